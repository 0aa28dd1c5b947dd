// Monitors of type websocket: the upgrade of RFC 6455 over TCP or TLS, its accept key verified, and
// a ping answered if that is wanted. Keys of its own, beside Monitor's, with their defaults unless marked:
//
//     monitors:
//       chat:
//         type: websocket
//         tls: false                    # true: wss, with the certificate verified as for https
//         port: 80                      # with tls: 443
//         path: /
//         host: chat.example.com        # the Host header; default: the origin's host or address;
//                                       # with tls required: SNI and the name in the certificate
//         # origin: https://example.com # the Origin header, which servers may insist on
//         # subprotocol: graphql-ws     # offer it, and fail if the server does not take it
//         # headers: { Cookie: a=b }    # further header fields of the request
//         ping: false                   # true: send a ping, and wait for its pong
//         # source: 192.0.2.1           # ask from this address of this machine, or [IPv4, IPv6]
//
// With `tls: true` there are `insecure: false`, `ca_file` and `min_days` too, as in
// TLSSettings.

internal import Cryptography
internal import NIOCore
internal import NIOHTTP1
internal import Settings

/// Asks for an upgrade, and leaves in order.
struct WebSocketProbe: Probe {
    static let type = "websocket"
    static let keys =
        HTTPRequest.keys + ["tls", "origin", "subprotocol", "ping"] + TLSSettings.keys
    private static let originLimit = 1_024

    let request: HTTPRequest
    let tls: TLSSettings?
    let origin: String?
    let subprotocol: String?
    let sendsPing: Bool

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let isSecure = settings["tls"]?.boolean(&diagnostics) ?? false
        let request = HTTPRequest(settings, defaultPort: isSecure ? 443 : 80, &diagnostics)
        if isSecure {
            tls = TLSSettings(settings, host: request?.host, &diagnostics)
        } else {
            tls = nil
            TLSSettings.refuse(settings, "set tls: true", &diagnostics)
        }
        origin = settings["origin"]?.text
        if let setting = settings["origin"] {
            let octets = (origin ?? "").utf8
            if octets.isEmpty || octets.count > Self.originLimit
                || !octets.allSatisfy({ (0x21...0x7E).contains($0) })
            {
                setting.expected("an origin, as https://www.example.com", &diagnostics)
            }
        }
        if let setting = settings["origin"],
            request?.fields.contains(where: { $0.name.lowercased() == "origin" }) == true
        {
            diagnostics.error(
                at: setting.position,
                "\(setting.path): there is a header Origin, too; remove one of the two")
        }
        subprotocol = settings["subprotocol"]?.text
        if let setting = settings["subprotocol"], !HTTPRequest.isToken(subprotocol ?? "") {
            setting.expected("the name of one subprotocol, as graphql-ws", &diagnostics)
        }
        sendsPing = settings["ping"]?.boolean(&diagnostics) ?? false
        guard let request, diagnostics.errorCount == errorsBefore else { return nil }
        self.request = request
    }

    var port: Int? { request.endpoint.port }

    func start(_ attempt: ProbeAttempt) {
        attempt.connect(to: request.endpoint) { [self] in
            let secure = try tls?.handler(attempt, protocols: ["http/1.1"])
            return (secure.map { [$0] } ?? []) + handlers(attempt)
        }
    }

    /// What stands between the transport and the decision, in order.
    func handlers(_ attempt: ProbeAttempt) -> [any ChannelHandler] {
        let encoder = HTTPRequestEncoder()
        let decoder = HTTPRequest.decoder(.forwardBytes)
        return [encoder, decoder, WebSocketUpgrade(self, attempt, encoder, decoder)]
    }

    /// The key that a server has to answer with (RFC 6455, section 4.2.2).
    static func accept(forKey key: String) -> String {
        base64(sha1(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }
}

/// Sends the request of an upgrade and holds the response to RFC 6455, section 4.1.
private final class WebSocketUpgrade: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let probe: WebSocketProbe
    private let attempt: ProbeAttempt
    private let encoder: HTTPRequestEncoder
    private let decoder: ByteToMessageHandler<HTTPResponseDecoder>
    private let key = base64((0..<16).map { _ in UInt8.random(in: 0...255) })

    init(
        _ probe: WebSocketProbe, _ attempt: ProbeAttempt, _ encoder: HTTPRequestEncoder,
        _ decoder: ByteToMessageHandler<HTTPResponseDecoder>
    ) {
        self.probe = probe
        self.attempt = attempt
        self.encoder = encoder
        self.decoder = decoder
    }

    func channelActive(context: ChannelHandlerContext) {
        var fields = [
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Version", "13"),
        ]
        if let origin = probe.origin { fields.append(("Origin", origin)) }
        if let name = probe.subprotocol { fields.append(("Sec-WebSocket-Protocol", name)) }
        attempt.enter(.status, "waiting for the upgrade")
        let head = probe.request.head(.GET, for: attempt.host, fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !attempt.isDecided else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            if let fault = fault(of: head) { attempt.fail(.status, fault) }
        case .body: break
        case .end: upgrade(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !attempt.isDecided else { return }
        if let error = error as? HTTPParserError {
            attempt.fail(.status, HTTPRequest.words(for: error))
        } else {
            attempt.fail(error)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        attempt.fail(.status, "connection closed by the origin before a whole response")
    }

    private func fault(of head: HTTPResponseHead) -> String? {
        guard head.status.code == 101 else { return "\(head.status.code), expected 101" }
        let headers = head.headers
        if !headers[canonicalForm: "Upgrade"].contains(where: { $0.lowercased() == "websocket" }) {
            return "101, but no upgrade to websocket"
        }
        if !headers[canonicalForm: "Connection"].contains(where: { $0.lowercased() == "upgrade" }) {
            return "101, but the header Connection has no \"upgrade\""
        }
        if headers["Sec-WebSocket-Accept"] != [WebSocketProbe.accept(forKey: key)] {
            return "101, but the header Sec-WebSocket-Accept is not for the key that was sent"
        }
        if let extensions = headers["Sec-WebSocket-Extensions"].first(where: { !$0.isEmpty }) {
            return "101, with an extension that was not offered: \(extensions.quoted)"
        }
        let chosen = headers["Sec-WebSocket-Protocol"]
        guard chosen == (probe.subprotocol.map { [$0] } ?? []) else {
            let wanted = probe.subprotocol.map { "not \($0)" } ?? "none was offered"
            return "101, with the subprotocol \((chosen.first ?? "").quoted), \(wanted)"
        }
        return nil
    }

    /// Makes way for frames: the HTTP handlers go, and the decoder hands on what it has left. It goes
    /// when it is through with what it is reading, and takes what is written for HTTP till then.
    private func upgrade(_ context: ChannelHandlerContext) {
        let operations = context.pipeline.syncOperations
        do {
            let frames = WebSocketFrames(attempt, sendsPing: probe.sendsPing)
            try operations.addHandler(frames, position: .after(self))
            operations.removeHandler(self, promise: nil)
            operations.removeHandler(encoder, promise: nil)
            let isGone = context.eventLoop.makePromise(of: Void.self)
            isGone.futureResult.assumeIsolated().whenSuccess { frames.begin() }
            operations.removeHandler(decoder, promise: isGone)
        } catch {
            attempt.fail(error)
        }
    }
}
