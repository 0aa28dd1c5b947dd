// Monitors of type smtp: the banner and the answer to EHLO (RFC 5321), and TLS by STARTTLS
// (RFC 3207) if that is wanted; no mail is sent. Keys of its own, beside Monitor's, with their
// defaults unless marked:
//
//     monitors:
//       mail:
//         type: smtp
//         port: 25
//         starttls: false          # true: has to be offered, and its certificate is verified
//         # ehlo: probe.example.com # the name to greet with; default: the address asked from
//         # host: mail.example.com  # with starttls required: the name the certificate is for
//         # source: 192.0.2.1       # ask from this address of this machine, or [IPv4, IPv6]
//
// With `starttls: true` there are `insecure: false`, `ca_file` and `min_days` too, as in
// TLSSettings.

internal import Cryptography
internal import NIOCore
internal import Settings

/// Greets, and leaves.
struct SMTPProbe: Probe {
    static let type = "smtp"
    static let keys = Endpoint.keys + ["starttls", "ehlo", "host"] + TLSSettings.keys

    let endpoint: Endpoint
    let tls: TLSSettings?
    let greeting: String?

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let endpoint = Endpoint(settings, defaultPort: 25, &diagnostics)
        let host = settings["host"].flatMap { $0.host(&diagnostics) }
        greeting = settings["ehlo"].flatMap { $0.host(&diagnostics) }
        if settings["starttls"]?.boolean(&diagnostics) ?? false {
            tls = TLSSettings(settings, host: host, &diagnostics)
        } else {
            tls = nil
            TLSSettings.refuse(settings, "set starttls: true", &diagnostics)
        }
        guard let endpoint, diagnostics.errorCount == errorsBefore else { return nil }
        self.endpoint = endpoint
    }

    var port: Int? { endpoint.port }

    func start(_ attempt: ProbeAttempt) {
        attempt.connect(to: endpoint) { [SMTPProbeHandler(self, attempt)] }
    }
}

/// Takes replies out of what a server sends (RFC 5321, section 4.2).
struct SMTPReader {
    struct Reply: Equatable {
        /// 200 to 599.
        var code: Int
        /// The lines, without their ends, whatever octets they have.
        var lines: [String]
    }

    /// Why it is no reply, in words.
    struct Fault: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    /// More than RFC 5321, section 4.5.3.1.5 allows a line of a reply to have.
    static let lineLimit = 1_024
    static let lineCount = 100

    private var received: ArraySlice<UInt8> = []
    private var reply: Reply?

    /// Whether all that was fed is used up.
    var isEmpty: Bool { received.isEmpty && reply == nil }

    mutating func feed(_ octets: some Sequence<UInt8>) { received += octets }

    /// The next whole reply, if there is one.
    mutating func next() throws(Fault) -> Reply? {
        while let line = try nextLine() {
            let text = String(decoding: line, as: UTF8.self)
            let digits = line.prefix(3)
            let separator = line.dropFirst(3).first
            guard digits.count == 3, digits.allSatisfy({ (0x30...0x39).contains($0) }),
                (0x32...0x35).contains(digits[line.startIndex]),
                separator == nil || separator == 0x20 || separator == UInt8(ascii: "-")
            else { throw Fault(description: "what came is not SMTP: \(text.quoted)") }
            let code = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
            // "220-" and then "554 " is a 554: it is the last line that counts, as clients have it.
            let lines = (reply?.lines ?? []) + [text]
            guard lines.count <= Self.lineCount else {
                throw Fault(description: "a reply of more than \(Self.lineCount) lines")
            }
            reply = Reply(code: code, lines: lines)
            if separator != UInt8(ascii: "-") {
                defer { reply = nil }
                return reply
            }
        }
        return nil
    }

    private mutating func nextLine() throws(Fault) -> ArraySlice<UInt8>? {
        let end = received.firstIndex(of: 10)
        guard (end ?? received.endIndex) - received.startIndex <= Self.lineLimit else {
            throw Fault(description: "a line of more than \(Self.lineLimit) octets")
        }
        guard let end else { return nil }
        let line = received[..<end]
        received = received[(end + 1)...]
        return line.last == 13 ? line.dropLast() : line
    }
}

/// Goes through the dialogue, one reply after the other.
private final class SMTPProbeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State { case banner, greeted, startingTLS, secure }

    private let probe: SMTPProbe
    private let attempt: ProbeAttempt
    private var state = State.banner
    private var reader = SMTPReader()

    init(_ probe: SMTPProbe, _ attempt: ProbeAttempt) {
        self.probe = probe
        self.attempt = attempt
    }

    /// TCP is connected or, the second time, TLS has agreed.
    func channelActive(context: ChannelHandlerContext) {
        guard state == .startingTLS else {
            return attempt.enter(.status, "waiting for the banner")
        }
        state = .secure
        send("QUIT", context)
        attempt.pass("STARTTLS done")
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard state != .secure else { return }
        reader.feed(unwrapInboundIn(data).readableBytesView)
        do throws(SMTPReader.Fault) {
            while !attempt.isDecided, state != .secure, let reply = try reader.next() {
                judge(reply, context)
            }
        } catch {
            attempt.fail(.status, error.description)
        }
    }

    private func judge(_ reply: SMTPReader.Reply, _ context: ChannelHandlerContext) {
        let (expected, asked) =
            switch state {
            case .banner: (220, "the connection")
            case .greeted: (250, "EHLO")
            case .startingTLS, .secure: (220, "STARTTLS")
            }
        guard reply.code == expected else {
            let line = reply.lines.last ?? ""
            return attempt.fail(.status, "\(line.quoted) to \(asked), expected \(expected)")
        }
        switch state {
        case .banner:
            attempt.enter(.status, "waiting for the answer to EHLO")
            state = .greeted
            send("EHLO \(greeting(context))", context)
        case .greeted where probe.tls == nil:
            send("QUIT", context)
            attempt.pass("\(reply.code) to EHLO")
        case .greeted:
            // The keyword alone, after the code (RFC 3207, section 2).
            guard reply.lines.contains(where: { $0.dropFirst(4).uppercased() == "STARTTLS" }) else {
                return attempt.fail(.status, "STARTTLS is not offered")
            }
            attempt.enter(.handshake, "waiting for the answer to STARTTLS")
            state = .startingTLS
            send("STARTTLS", context)
        case .startingTLS: secure(context)
        case .secure: break
        }
    }

    private func secure(_ context: ChannelHandlerContext) {
        // What somebody put in before TLS is not to be taken for what comes within it.
        guard reader.isEmpty else {
            return attempt.fail(.handshake, "plaintext after the answer to STARTTLS")
        }
        do {
            guard let handler = try probe.tls?.handler(attempt) else { return }
            try context.pipeline.syncOperations.addHandler(handler, position: .before(self))
        } catch {
            attempt.fail(error)
        }
    }

    /// The name, or the address in brackets (RFC 5321, section 4.1.3).
    private func greeting(_ context: ChannelHandlerContext) -> String {
        if let name = probe.greeting { return name }
        let address = context.localAddress?.ipAddress ?? "127.0.0.1"
        return address.contains(":") ? "[IPv6:\(address)]" : "[\(address)]"
    }

    private func send(_ line: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: line + "\r\n")), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        attempt.fail(attempt.step, "connection closed by the origin before its reply")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        attempt.fail(error)
    }
}
