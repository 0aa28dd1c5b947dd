// One HTTP/1.1 request and what is expected of its response: what http and https monitors share.

internal import DNSWire
internal import NIOCore
internal import NIOHTTP1
internal import Settings

/// The request to make and the response to expect.
struct HTTPExchange: Sendable, Hashable {
    static let keys = ["port", "path", "host", "method", "expect"]

    enum Method: String, CaseIterable, Sendable { case get = "GET", head = "HEAD" }

    /// How much of a body is looked at.
    static let bodyLimit = 65_536
    /// What headers may take; more than any server sends by default.
    static let headerLimit = 16_384
    private static let headerCount = 256
    private static let pathLimit = 2_048
    private static let statuses = 100...599

    var port: Int
    var path = "/"
    var host: String?
    var method = Method.get
    var expectedStatuses = [200...299]
    var expectedBody: String?
    private var isDefaultPort: Bool

    init?(_ settings: SettingsMapping, defaultPort: Int, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        port = settings["port"]?.integer(in: ports, &diagnostics) ?? defaultPort
        isDefaultPort = port == defaultPort
        if let setting = settings["path"] { readPath(setting, &diagnostics) }
        if let setting = settings["host"] { readHost(setting, &diagnostics) }
        method = settings["method"]?.choice(Method.self, &diagnostics) ?? .get
        if let setting = settings["expect"] { readExpectations(setting, &diagnostics) }
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    // MARK: - Settings

    private mutating func readPath(_ setting: SettingsValue, _ diagnostics: inout Diagnostics) {
        guard let text = setting.text, text.hasPrefix("/"), text.utf8.count <= Self.pathLimit,
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            return setting.expected(
                "a path from / on, of at most \(Self.pathLimit) visible ASCII characters "
                    + "(others written as %20)", &diagnostics)
        }
        path = text
    }

    private mutating func readHost(_ setting: SettingsValue, _ diagnostics: inout Diagnostics) {
        guard let text = setting.text, IPAddress(text) != nil || Self.isHostName(text) else {
            return setting.expected(
                "a host name in ASCII (xn-- for others) or an address, without a port",
                &diagnostics)
        }
        host = text
    }

    private static func isHostName(_ text: String) -> Bool {
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return text.utf8.count <= 253
            && labels.allSatisfy { label in
                (1...63).contains(label.count)
                    && label.allSatisfy { octet in
                        (0x30...0x39).contains(octet) || (0x61...0x7A).contains(octet | 0x20)
                            || octet == UInt8(ascii: "-") || octet == UInt8(ascii: "_")
                    }
            }
    }

    private mutating func readExpectations(
        _ setting: SettingsValue, _ diagnostics: inout Diagnostics
    ) {
        guard let expect = setting.mapping(["status", "body"], &diagnostics) else { return }
        if let status = expect["status"] {
            expectedStatuses = status.elements(&diagnostics).compactMap { element in
                if let range = Self.statusRange(element.text ?? "") { return range }
                element.expected(
                    "a status from 100 to 599, or a range of them as 200-299", &diagnostics)
                return nil
            }
            if expectedStatuses.isEmpty {
                status.expected("at least one status, as 200-299", &diagnostics)
            }
        }
        guard let body = expect["body"], let text = body.string(&diagnostics) else { return }
        if text.isEmpty || text.utf8.count > Self.bodyLimit {
            body.expected("a text of 1 to \(Self.bodyLimit) octets", &diagnostics)
        } else if method == .head {
            diagnostics.error(
                at: body.position,
                "\(body.path): a response to HEAD has no body; use method: GET, or remove this")
        }
        expectedBody = text
    }

    private static func statusRange(_ text: String) -> ClosedRange<Int>? {
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = parts.compactMap { $0.utf8.count == 3 ? Int($0) : nil }
        guard numbers.count == parts.count, let first = numbers.first, let last = numbers.last,
            first <= last, statuses.contains(first), statuses.contains(last)
        else { return nil }
        return first...last
    }

    // MARK: - On the wire

    /// `Host` as RFC 9110, section 7.2 has it: with the port unless it is the scheme's own.
    func authority(for origin: String) -> String {
        let host = host ?? origin
        let literal = host.contains(":") ? "[\(host)]" : host
        return isDefaultPort ? literal : "\(literal):\(port)"
    }

    /// - Parameter origin: whom to ask if the monitor names no host: the origin's own, or its address.
    func request(for origin: String) -> HTTPRequestHead {
        let headers: HTTPHeaders = [
            "Host": authority(for: origin), "User-Agent": "rhumb-health", "Accept": "*/*",
            "Connection": "close",
        ]
        return HTTPRequestHead(
            version: .http1_1, method: method == .get ? .GET : .HEAD, uri: path, headers: headers)
    }

    /// Whether a status is as expected.
    func accepts(status: Int) -> Bool { expectedStatuses.contains { $0.contains(status) } }

    /// `200-299, 301`.
    var expectedStatusesInWords: String {
        expectedStatuses
            .map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ", ")
    }

    /// What stands between the transport and the decision, in order.
    func handlers(for attempt: ProbeAttempt) -> [any ChannelHandler] {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = Self.headerLimit
        limits.maxHeaderListSize = Self.headerLimit
        limits.maxHeaderFieldCount = Self.headerCount
        return [
            HTTPRequestEncoder(),
            ByteToMessageHandler(HTTPResponseDecoder(limitConfiguration: limits)),
            HTTPExchangeHandler(self, attempt),
        ]
    }
}

// MARK: - Judging

/// Sends the request and judges the response, part by part; leaves as soon as it knows.
final class HTTPExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let exchange: HTTPExchange
    private let attempt: ProbeAttempt
    private var status = 0
    private var body: [UInt8] = []

    init(_ exchange: HTTPExchange, _ attempt: ProbeAttempt) {
        self.exchange = exchange
        self.attempt = attempt
    }

    /// The transport is ready: TCP is connected and TLS, if there is one, has agreed.
    func channelActive(context: ChannelHandlerContext) {
        attempt.step = .send
        let origin = attempt.host ?? attempt.address.description
        context.write(wrapOutboundOut(.head(exchange.request(for: origin))), promise: nil)
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenSuccess { [attempt] in
            if attempt.step == .send { attempt.step = .status }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: sent)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !attempt.isDecided else { return }
        switch unwrapInboundIn(data) {
        case .head(let head): judge(status: Int(head.status.code))
        case .body(let part): judge(part)
        case .end: judgeEnd()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !attempt.isDecided else { return }
        if attempt.step == .send { attempt.step = .status }
        if let error = error as? HTTPParserError {
            attempt.fail(attempt.step, words(for: error))
        } else {
            attempt.fail(error)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if attempt.step == .send { attempt.step = .status }
        attempt.fail(attempt.step, "connection closed by the origin before a whole response")
    }

    private func judge(status: Int) {
        self.status = status
        attempt.step = .status
        guard exchange.accepts(status: status) else {
            return attempt.fail(.status, "\(status), expected \(exchange.expectedStatusesInWords)")
        }
        guard exchange.expectedBody != nil else { return attempt.pass("status \(status)") }
        attempt.step = .body
    }

    private func judge(_ part: ByteBuffer) {
        guard let expected = exchange.expectedBody else { return }
        let octets = Array(expected.utf8)
        // The expected text may begin in what came before.
        let start = max(0, body.count - octets.count + 1)
        body += part.readableBytesView.prefix(HTTPExchange.bodyLimit - body.count)
        if body[start...].contains(octets) {
            attempt.pass("status \(status), body has \(expected.quoted)")
        } else if body.count >= HTTPExchange.bodyLimit {
            attempt.fail(
                .body, "\(expected.quoted) not in the first \(HTTPExchange.bodyLimit) octets")
        }
    }

    private func judgeEnd() {
        guard let expected = exchange.expectedBody else { return }
        attempt.fail(.body, "\(expected.quoted) not in the \(body.count) octets of it")
    }

    private func words(for error: HTTPParserError) -> String {
        switch error {
        case .invalidEOFState: "connection closed by the origin before a whole response"
        case .headerOverflow: "headers of more than \(HTTPExchange.headerLimit) octets"
        case .invalidConstant, .invalidVersion: "the response is not HTTP/1"
        case .invalidContentLength, .unexpectedContentLength:
            "malformed HTTP response, a bad Content-Length"
        case .invalidChunkSize: "malformed HTTP response, a bad chunk size"
        case .invalidHeaderToken: "malformed HTTP response, a bad header"
        default: "malformed HTTP response (\(error))"
        }
    }
}

extension String {
    /// In quotes for one line of a log: cut after 40 characters, controls as spaces.
    fileprivate var quoted: String {
        let line = prefix(40).map { $0.isASCII && ($0.asciiValue ?? 0) < 0x20 ? " " : $0 }
        return "\"" + String(line) + (count > 40 ? "…" : "") + "\""
    }
}

extension ArraySlice<UInt8> {
    /// Whether `octets` (not empty) occur in a row.
    fileprivate func contains(_ octets: [UInt8]) -> Bool {
        guard count >= octets.count else { return false }
        return (startIndex...endIndex - octets.count).contains { start in
            self[start] == octets[0] && self[start..<start + octets.count].elementsEqual(octets)
        }
    }
}
