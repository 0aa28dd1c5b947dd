// Monitors of type grpc: one call of grpc.health.v1.Health/Check (the GRPC Health Checking Protocol)
// over HTTP/2, in plain TCP or TLS; SERVING passes. Keys of its own, beside Monitor's, with their
// defaults unless marked:
//
//     monitors:
//       api:
//         type: grpc
//         port: 50051              # required
//         # service: shop.Orders   # whose health to ask for; default: the server's as a whole
//         tls: false               # true: with the certificate verified as for https
//         # host: api.example.com  # :authority; default: the origin's host or address;
//                                  # with tls required: SNI and the name in the certificate
//         # source: 192.0.2.1      # ask from this address of this machine, or [IPv4, IPv6]
//
// With `tls: true` there are `insecure: false`, `ca_file` and `min_days` too, as in
// TLSSettings.

internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2
internal import Settings

/// Calls the health service.
struct GRPCProbe: Probe {
    static let type = "grpc"
    static let keys = Endpoint.keys + ["service", "tls", "host"] + TLSSettings.keys
    private static let serviceLimit = 200

    let endpoint: Endpoint
    let service: String
    let host: String?
    let tls: TLSSettings?

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let endpoint = Endpoint(settings, defaultPort: nil, &diagnostics)
        host = settings["host"].flatMap { $0.host(&diagnostics) }
        service = settings["service"]?.text ?? ""
        if let setting = settings["service"],
            setting.text == nil || service.utf8.count > Self.serviceLimit
        {
            setting.expected(
                "the name of a service, of at most \(Self.serviceLimit) octets", &diagnostics)
        }
        if settings["tls"]?.boolean(&diagnostics) ?? false {
            tls = TLSSettings(settings, host: host, &diagnostics)
        } else {
            tls = nil
            TLSSettings.refuse(settings, "set tls: true", &diagnostics)
        }
        guard let endpoint, diagnostics.errorCount == errorsBefore else { return nil }
        self.endpoint = endpoint
    }

    var port: Int? { endpoint.port }

    func start(_ attempt: ProbeAttempt) {
        attempt.connect(to: endpoint) { [self] in
            let secure = try tls?.handler(attempt, protocols: ["h2"])
            let stack: [any ChannelHandler] = [
                NIOHTTP2Handler(mode: .client), GRPCProbeHandler(self, attempt),
            ]
            return (secure.map { [$0] } ?? []) + stack
        }
    }

    // MARK: - Messages

    /// A HealthCheckRequest in its frame: no compression, the length, and field 1, the service.
    static func message(service: String) -> [UInt8] {
        var fields: [UInt8] = []
        if !service.isEmpty {
            // A varint of at most two octets, by the limit on names.
            let count = service.utf8.count
            let length =
                count < 128 ? [UInt8(count)] : [UInt8(count & 0x7F | 0x80), UInt8(count >> 7)]
            fields = [0x0A] + length + Array(service.utf8)
        }
        return [0, 0, 0, 0, UInt8(fields.count)] + fields
    }

    /// Field 1 of a framed HealthCheckResponse, 0 where it is left out; nil if that is none.
    static func status(in message: [UInt8]) -> UInt64? {
        guard message.count >= 5, message[0] == 0 else { return nil }
        let length = message[1..<5].reduce(0) { $0 << 8 | Int($1) }
        var rest = message.dropFirst(5)
        guard rest.count == length else { return nil }
        var status: UInt64 = 0
        while !rest.isEmpty {
            guard let key = varint(&rest) else { return nil }
            switch key & 7 {
            case 0:
                guard let value = varint(&rest) else { return nil }
                if key >> 3 == 1 { status = value }
            case 2:
                guard let count = varint(&rest), count <= rest.count else { return nil }
                rest = rest.dropFirst(Int(count))
            case 1, 5:
                let count = key & 7 == 1 ? 8 : 4
                guard rest.count >= count else { return nil }
                rest = rest.dropFirst(count)
            default: return nil
            }
        }
        return status
    }

    private static func varint(_ octets: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for index in 0..<10 {
            guard let octet = octets.popFirst() else { return nil }
            value |= UInt64(octet & 0x7F) << UInt64(7 * index)
            if octet < 0x80 { return value }
        }
        return nil
    }
}

/// Makes the call on the connection's first stream.
private final class GRPCProbeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// A HealthCheckResponse has two octets, and may have others one day.
    private static let messageLimit = 1_024
    private static let stream = HTTP2StreamID(1)
    private static let statuses = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]

    private let probe: GRPCProbe
    private let attempt: ProbeAttempt
    private var message: [UInt8] = []

    init(_ probe: GRPCProbe, _ attempt: ProbeAttempt) {
        self.probe = probe
        self.attempt = attempt
    }

    func channelActive(context: ChannelHandlerContext) {
        attempt.enter(.status, "waiting for the health of the service")
        let host = probe.host ?? attempt.host
        let literal = host.contains(":") ? "[\(host)]" : host
        let headers: HPACKHeaders = [
            ":method": "POST", ":scheme": probe.tls == nil ? "http" : "https",
            ":path": "/grpc.health.v1.Health/Check",
            ":authority": "\(literal):\(probe.endpoint.port)", "te": "trailers",
            "content-type": "application/grpc", "user-agent": "rhumb-health",
        ]
        write(.headers(.init(headers: headers)), context)
        let body = IOData.byteBuffer(ByteBuffer(bytes: GRPCProbe.message(service: probe.service)))
        write(.data(.init(data: body, endStream: true)), context)
        context.flush()
    }

    private func write(_ payload: HTTP2Frame.FramePayload, _ context: ChannelHandlerContext) {
        let frame = HTTP2Frame(streamID: Self.stream, payload: payload)
        context.write(wrapOutboundOut(frame), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !attempt.isDecided else { return }
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers) where frame.streamID == Self.stream:
            judge(headers.headers, isEnd: headers.endStream)
        case .data(let data) where frame.streamID == Self.stream:
            guard case .byteBuffer(let piece) = data.data else { return }
            message += piece.readableBytesView
            if message.count > Self.messageLimit {
                attempt.fail(.body, "a message of more than \(Self.messageLimit) octets")
            } else if data.endStream {
                attempt.fail(.body, "an answer without grpc-status")
            }
        case .rstStream(let code) where frame.streamID == Self.stream:
            attempt.fail(.status, "stream reset by the origin (\(Self.words(for: code)))")
        // One that shuts down in order still answers what it has taken (RFC 9113, section 6.8).
        case .goAway(let last, let code, _) where code != .noError || last < Self.stream:
            attempt.fail(.status, "connection closed by the origin (\(Self.words(for: code)))")
        default: break
        }
    }

    /// The headers, the trailers, or both in one.
    private func judge(_ headers: HPACKHeaders, isEnd: Bool) {
        if let code = headers.first(name: ":status"), code != "200" {
            return attempt.fail(.status, "HTTP status \(code.cut), expected 200")
        }
        guard isEnd else { return }
        guard let code = headers.first(name: "grpc-status") else {
            return attempt.fail(.body, "an answer without grpc-status")
        }
        guard code == "0" else {
            let words = headers.first(name: "grpc-message").map { ": \($0.cut)" } ?? ""
            return attempt.fail(.status, "grpc-status \(code.cut)\(words), expected 0")
        }
        guard let status = GRPCProbe.status(in: message) else {
            return attempt.fail(.body, "malformed health message")
        }
        let known = status < UInt64(Self.statuses.count)
        let word = known ? Self.statuses[Int(status)] : "status \(status)"
        if status == 1 {
            attempt.pass(word)
        } else {
            attempt.fail(.body, "\(word), expected SERVING")
        }
    }

    /// `0xb Enhance Your Calm`.
    private static func words(for code: HTTP2ErrorCode) -> String {
        String("\(code)".drop { $0 != "<" }.dropFirst().dropLast())
    }

    func channelInactive(context: ChannelHandlerContext) {
        attempt.fail(attempt.step, "connection closed by the origin before its answer")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case is NIOHTTP2Errors.BadClientMagic, is any NIOHTTP2Error:
            attempt.fail(attempt.step, "the server does not speak HTTP/2 rightly")
        default: attempt.fail(error)
        }
    }
}
