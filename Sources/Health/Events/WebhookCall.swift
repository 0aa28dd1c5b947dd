// One try to deliver an event to a webhook: a POST over a connection of its own, made by the code that
// probes are made by, within its one deadline.

internal import NIOCore
internal import NIOHTTP1

/// The request, and what came of it.
final class WebhookCall {
    private let webhook: Webhook
    private let body: [UInt8]
    /// The status, if it is not a good one, and what the response says of another try.
    private var status: Int?
    private var location: String?
    private var askedPause: Duration?

    init(_ webhook: Webhook, body: [UInt8]) {
        self.webhook = webhook
        self.body = body
    }

    func start(_ attempt: ProbeAttempt) {
        attempt.connect(to: Endpoint(port: webhook.port)) {
            let secure = try self.webhook.tls?.handler(attempt, protocols: ["http/1.1"])
            return (secure.map { [$0] } ?? [])
                + [HTTPRequestEncoder(), HTTPRequest.decoder(), WebhookHandler(self, attempt)]
        }
    }

    /// What a result means for the event: 4xx says that it will never be taken, but for the two that
    /// are about time (RFC 9110, section 15.5.9; RFC 6585, section 4), and 3xx that it is not here.
    func outcome(_ result: ProbeResult.Outcome) -> EventOutbox.Outcome {
        switch (result, status) {
        case (.passed, _): .delivered
        case (_, .some(300..<400)):
            .refused("\(result)" + (location.map { " to \($0.quoted); write that URL" } ?? ""))
        case (_, .some(let status))
        where (400..<500).contains(status) && ![408, 429].contains(status):
            .refused("\(result)")
        default: .failed("\(result)", askedPause: askedPause)
        }
    }

    fileprivate var head: HTTPRequestHead {
        var headers: HTTPHeaders = ["Host": webhook.authority, "User-Agent": "rhumb-events"]
        for field in webhook.fields { headers.remove(name: field.name) }
        headers.add(contentsOf: webhook.fields.map { ($0.name, $0.value) })
        headers.add(contentsOf: [
            ("Content-Type", "application/json"), ("Content-Length", "\(body.count)"),
            ("Connection", "close"),
        ])
        return HTTPRequestHead(
            version: .http1_1, method: .POST, uri: webhook.path, headers: headers)
    }

    fileprivate var content: ByteBuffer { ByteBuffer(bytes: body) }

    fileprivate func judge(_ head: HTTPResponseHead, _ attempt: ProbeAttempt) {
        let code = Int(head.status.code)
        guard !(200..<300).contains(code) else { return attempt.pass("status \(code)") }
        status = code
        location = head.headers["Location"].first
        // Seconds; the other form, a date, is not for pauses of minutes.
        askedPause = head.headers["Retry-After"].first.flatMap { UInt32($0) }.map { .seconds($0) }
        attempt.fail(.status, "\(code)")
    }
}

private final class WebhookHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let call: WebhookCall
    private let attempt: ProbeAttempt

    init(_ call: WebhookCall, _ attempt: ProbeAttempt) {
        self.call = call
        self.attempt = attempt
    }

    /// The transport is ready: TCP is connected and TLS, if there is one, has agreed.
    func channelActive(context: ChannelHandlerContext) {
        attempt.enter(.send)
        context.write(wrapOutboundOut(.head(call.head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(call.content))), promise: nil)
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenSuccess { [attempt] in
            if attempt.step == .send { attempt.enter(.status) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: sent)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !attempt.isDecided, case .head(let head) = unwrapInboundIn(data) else { return }
        call.judge(head, attempt)
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
        attempt.fail(.status, "connection closed before a whole response")
    }
}
