// Sends the request of an HTTPExchange and judges the response, part by part; leaves as soon as it
// knows, for the next place where a redirect leads there.

internal import NIOCore
internal import NIOHTTP1

final class HTTPJudge: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private static let redirects = [301, 302, 303, 307, 308]

    private let exchange: HTTPExchange
    private let attempt: ProbeAttempt
    private let scheme: String
    private let follow: (HTTPExchange) -> Void
    private var status = 0
    private var search: ContentSearch?

    /// - Parameters:
    ///   - scheme: `http` or `https`.
    ///   - follow: makes the exchange that a redirect asks for.
    init(
        _ exchange: HTTPExchange, _ attempt: ProbeAttempt, scheme: String,
        follow: @escaping (HTTPExchange) -> Void
    ) {
        self.exchange = exchange
        self.attempt = attempt
        self.scheme = scheme
        self.follow = follow
        search = exchange.expectedBody.map { ContentSearch($0) }
    }

    /// The transport is ready: TCP is connected and TLS, if there is one, has agreed.
    func channelActive(context: ChannelHandlerContext) {
        attempt.enter(.send)
        context.write(wrapOutboundOut(.head(exchange.head(for: attempt.host))), promise: nil)
        if let body = exchange.body {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
        }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenSuccess { [attempt] in
            if attempt.step == .send { attempt.enter(.status) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: sent)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !attempt.isDecided else { return }
        switch unwrapInboundIn(data) {
        case .head(let head): judge(head)
        case .body(let part): judge(part)
        case .end: judgeEnd()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !attempt.isDecided else { return }
        if attempt.step == .send { attempt.enter(.status) }
        if let error = error as? HTTPParserError {
            attempt.fail(attempt.step, HTTPRequest.words(for: error))
        } else {
            attempt.fail(error)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if attempt.step == .send { attempt.enter(.status) }
        attempt.fail(attempt.step, "connection closed by the origin before a whole response")
    }

    // MARK: - Judging

    private func judge(_ head: HTTPResponseHead) {
        status = Int(head.status.code)
        attempt.enter(.status)
        if exchange.redirects > 0, Self.redirects.contains(status),
            let location = head.headers["Location"].first
        {
            guard
                let next = exchange.redirected(
                    status: status, to: location, scheme: scheme, from: attempt.host)
            else {
                return attempt.fail(
                    .status, "\(status) to \(location.quoted), which is not this server")
            }
            return follow(next)
        }
        guard exchange.accepts(status: status) else {
            return attempt.fail(.status, "\(status), expected \(exchange.expectedStatusesInWords)")
        }
        for expected in exchange.expectedFields {
            let values = head.headers[expected.name]
            if values.contains(where: { $0.contains(expected.value) || expected.value.isEmpty }) {
                continue
            }
            let found = values.first.map { "is \($0.quoted)" } ?? "is missing"
            let wanted = expected.value.isEmpty ? "" : ", expected \(expected.value.quoted)"
            return attempt.fail(.status, "\(status), header \(expected.name) \(found)\(wanted)")
        }
        guard search != nil else { return attempt.pass("status \(status)") }
        attempt.enter(.body)
    }

    private func judge(_ part: ByteBuffer) {
        guard let expected = exchange.expectedBody else { return }
        if search?.feed(part.readableBytesView) == true {
            attempt.pass("status \(status), body has \(expected.words)")
        } else if let search, search.isExhausted {
            let why = search.isTooCostly ? ", more of which the pattern is too costly for" : ""
            attempt.fail(.body, "\(expected.words) not in the first \(search.count) octets\(why)")
        }
    }

    private func judgeEnd() {
        guard let expected = exchange.expectedBody, search != nil else { return }
        if search?.finish() == true {
            attempt.pass("status \(status), body has \(expected.words)")
        } else {
            let count = search?.count ?? 0
            attempt.fail(.body, "\(expected.words) not in the \(count) octets of it")
        }
    }
}
