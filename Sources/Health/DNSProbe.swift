// Monitors of type dns: one question over UDP, again over TCP where the answer was cut short, and a
// look at the response code and the records. Keys of its own, beside Monitor's, with their defaults
// unless marked:
//
//     monitors:
//       names:
//         type: dns
//         name: www.example.com    # required; the final dot may be left out
//         record: A                # the type to ask for
//         port: 53
//         transport: udp           # or tcp
//         recursion: false         # true: ask for recursion, as resolvers want it
//         # source: 192.0.2.1      # ask from this address of this machine, or [IPv4, IPv6]
//         expect:
//           rcode: [NOERROR]       # one or several of NOERROR, NXDOMAIN, REFUSED, SERVFAIL ...
//           # answer: 192.0.2.80   # one record has these data, as a zone file writes them
//
// With NOERROR there has to be a record of the type in any case. Datagrams that do not answer the
// question, which anybody may send, are not looked at. One that gets no answer for half of the
// timeout is sent a second time.

internal import DNSWire
internal import NIOCore
internal import Settings

/// Asks a question.
struct DNSProbe: Probe {
    static let type = "dns"
    static let keys = Endpoint.keys + ["name", "record", "transport", "recursion", "expect"]
    private enum Transport: String, CaseIterable { case udp, tcp }

    let endpoint: Endpoint
    let question: DNSQuestion
    let overTCP: Bool
    var expectedCodes: [UInt8] = [0]
    /// In presentation format.
    var expectedData: String?

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let endpoint = Endpoint(settings, defaultPort: 53, &diagnostics)
        let recursion = settings["recursion"]?.boolean(&diagnostics) ?? false
        let name = settings.required("name", &diagnostics).flatMap { Self.name($0, &diagnostics) }
        let record = settings["record"].map { Self.record($0, &diagnostics) } ?? .a
        overTCP = settings["transport"]?.choice(Transport.self, &diagnostics) == .tcp
        guard let name, let record, let endpoint else { return nil }
        self.endpoint = endpoint
        question = DNSQuestion(name: name, type: record, wantsRecursion: recursion)
        if let expect = settings["expect"]?.mapping(["rcode", "answer"], &diagnostics) {
            if let codes = expect["rcode"] { readCodes(codes, &diagnostics) }
            if let answer = expect["answer"] {
                readAnswer(answer, &diagnostics)
                if !expectedCodes.contains(0) {
                    diagnostics.error(
                        at: answer.position,
                        "\(answer.path): only an answer with NOERROR has records; add it to "
                            + "\"rcode\", or remove this")
                }
            }
        }
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    private static func name(_ setting: SettingsValue, _ diagnostics: inout Diagnostics) -> Name? {
        guard let text = setting.string(&diagnostics) else { return nil }
        do throws(NameError) {
            return try Name(text, origin: .root)
        } catch {
            diagnostics.error(at: setting.position, "\(setting.path): \(error.explanation)")
            return nil
        }
    }

    private static func record(
        _ setting: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> RecordType? {
        if let type = setting.text.flatMap({ RecordType(mnemonic: $0) }), !type.isMeta {
            return type
        }
        let hint = setting.text.flatMap { closestMatch(to: $0, among: RecordType.dataMnemonics) }
        setting.expected(
            "a record type, as A or TXT" + (hint.map { " (did you mean \($0)?)" } ?? ""),
            &diagnostics)
        return nil
    }

    private mutating func readCodes(_ setting: SettingsValue, _ diagnostics: inout Diagnostics) {
        expectedCodes = setting.elements(&diagnostics).compactMap { element in
            if let code = DNSAnswer.codes.firstIndex(of: element.text ?? "") { return UInt8(code) }
            element.expected(
                "one of \(DNSAnswer.codes.joined(separator: ", "))", &diagnostics)
            return nil
        }
        if expectedCodes.isEmpty {
            setting.expected("at least one response code, as NOERROR", &diagnostics)
        }
    }

    private mutating func readAnswer(_ setting: SettingsValue, _ diagnostics: inout Diagnostics) {
        guard let text = setting.string(&diagnostics) else { return }
        do throws(RDataError) {
            let rdata = try question.type.rdata(from: Self.tokens(text)[...], origin: .root)
            expectedData = question.type.presentation(of: rdata[...])
        } catch {
            diagnostics.error(at: setting.position, "\(setting.path): \(error.explanation)")
        }
    }

    /// The words of record data: quotes keep them together.
    private static func tokens(_ text: String) -> [RDataToken] {
        var tokens: [RDataToken] = []
        var word: [UInt8] = []
        var isQuoted = false
        var wasEscape = false
        for octet in text.utf8 {
            let isQuote = octet == UInt8(ascii: "\"") && !wasEscape
            wasEscape = octet == UInt8(ascii: "\\") && !wasEscape
            if isQuote || octet == 0x20 && !isQuoted {
                if isQuoted || !word.isEmpty {
                    tokens.append(RDataToken(word[...], isQuoted: isQuoted))
                }
                word = []
                if isQuote { isQuoted.toggle() }
            } else {
                word.append(octet)
            }
        }
        return word.isEmpty ? tokens : tokens + [RDataToken(word[...])]
    }

    // MARK: - Asking

    var port: Int? { endpoint.port }

    func start(_ attempt: ProbeAttempt) { overTCP ? ask(attempt) : askInDatagrams(attempt) }

    private func askInDatagrams(_ attempt: ProbeAttempt) {
        attempt.connectDatagrams(port: endpoint.port, sources: endpoint.sources) {
            [DNSProbeHandler(self, attempt, isStream: false) { attempt.proceed { ask(attempt) } }]
        }
    }

    private func ask(_ attempt: ProbeAttempt) {
        attempt.connect(to: endpoint) { [DNSProbeHandler(self, attempt, isStream: true) {}] }
    }

    /// What is wrong with an answer, or what was seen.
    fileprivate func judge(_ answer: DNSAnswer, _ attempt: ProbeAttempt) {
        let code = answer.codeInWords
        guard expectedCodes.contains(answer.code) else {
            let expected = expectedCodes.map { DNSAnswer.codes[Int($0)] }.joined(separator: ", ")
            return attempt.fail(.status, "\(code), expected \(expected)")
        }
        guard answer.code == 0 else { return attempt.pass(code) }
        guard let first = answer.data.first else {
            return attempt.fail(.body, "\(code), but no \(question.type) record")
        }
        guard let expectedData else {
            return attempt.pass("\(code), \(question.type) \(first.cut)")
        }
        // Names are equal in any case; texts are close enough for a check.
        let wanted = expectedData.lowercased()
        if answer.data.contains(where: { $0.lowercased() == wanted }) {
            attempt.pass("\(code), \(question.type) \(expectedData.cut)")
        } else {
            attempt.fail(
                .body, "\(question.type) \(first.cut), expected \(expectedData.cut)")
        }
    }
}

private final class DNSProbeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let probe: DNSProbe
    private let attempt: ProbeAttempt
    private let isStream: Bool
    private let askAgain: () -> Void
    private let id = UInt16.random(in: 0...UInt16.max)
    private var received = ByteBuffer()

    /// - Parameter askAgain: asks over TCP, after an answer that was cut short.
    init(
        _ probe: DNSProbe, _ attempt: ProbeAttempt, isStream: Bool, askAgain: @escaping () -> Void
    ) {
        self.probe = probe
        self.attempt = attempt
        self.isStream = isStream
        self.askAgain = askAgain
    }

    func channelActive(context: ChannelHandlerContext) {
        attempt.enter(.status, "waiting for the answer")
        let query = probe.question.query(id: id)
        var message = ByteBuffer()
        if isStream { message.writeInteger(UInt16(query.count)) }
        message.writeBytes(query)
        context.writeAndFlush(wrapOutboundOut(message), promise: nil)
        guard !isStream else { return }
        attempt.resend { [self] in context.writeAndFlush(wrapOutboundOut(message), promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !attempt.isDecided else { return }
        var piece = unwrapInboundIn(data)
        guard isStream else {
            let message = Array(piece.readableBytesView)
            guard probe.question.isAnswered(by: message, id: id) else { return }
            return judge(message)
        }
        received.writeBuffer(&piece)
        guard let length: UInt16 = received.getInteger(at: received.readerIndex),
            received.readableBytes >= 2 + Int(length)
        else { return }
        let message = Array(received.readableBytesView.dropFirst(2).prefix(Int(length)))
        guard probe.question.isAnswered(by: message, id: id) else {
            return attempt.fail(.status, "what came does not answer the question")
        }
        judge(message)
    }

    private func judge(_ message: [UInt8]) {
        if !isStream, DNSAnswer.isTruncated(message) { return askAgain() }
        guard let answer = DNSAnswer(message, to: probe.question) else {
            return attempt.fail(.status, "malformed answer")
        }
        probe.judge(answer, attempt)
    }

    func channelInactive(context: ChannelHandlerContext) {
        attempt.fail(.status, "connection closed by the origin before an answer")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        attempt.fail(error)
    }
}
