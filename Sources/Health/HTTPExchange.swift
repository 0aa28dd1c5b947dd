// One HTTP/1.1 request and what is expected of its response: the settings of http and https
// monitors, which HTTPProbe has in words; HTTPJudge holds a response to them.

internal import DNSWire
internal import NIOCore
internal import NIOHTTP1
internal import Settings

/// The request to make and the response to expect.
struct HTTPExchange: Sendable, Hashable {
    static let keys = HTTPRequest.keys + ["method", "body", "redirects", "expect"]

    enum Method: String, CaseIterable, Sendable {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
        case put = "PUT"
        case options = "OPTIONS"

        fileprivate var takesBody: Bool { self == .post || self == .put }
    }

    /// How much of a body is looked at.
    static let bodyLimit = 65_536
    private static let requestBodyLimit = 65_536
    private static let patternLimit = 1_000
    private static let redirectLimit = 5
    /// The final ones: of those before it, as 103, a response may have any number.
    private static let statuses = 200...599

    var request: HTTPRequest
    var method = Method.get
    var body: String?
    /// How many redirects are followed from here.
    var redirects = 0
    var expectedStatuses = [200...299]
    var expectedFields: [HTTPRequest.Field] = []
    var expectedBody: ContentExpectation?

    init?(_ settings: SettingsMapping, defaultPort: Int, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let request = HTTPRequest(settings, defaultPort: defaultPort, &diagnostics)
        method = settings["method"]?.choice(Method.self, &diagnostics) ?? .get
        if let setting = settings["body"], let text = setting.string(&diagnostics) {
            if !method.takesBody {
                diagnostics.error(
                    at: setting.position,
                    "\(setting.path): a \(method.rawValue) request has no body; "
                        + "use method: POST, or remove this")
            } else if text.utf8.count > Self.requestBodyLimit {
                setting.expected("a text of at most \(Self.requestBodyLimit) octets", &diagnostics)
            }
            body = text
        }
        redirects =
            settings["redirects"]?.integer(in: 0...Self.redirectLimit, &diagnostics) ?? 0
        guard let request else { return nil }
        self.request = request
        if let setting = settings["expect"] { readExpectations(setting, &diagnostics) }
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    // MARK: - Expectations

    private mutating func readExpectations(
        _ setting: SettingsValue, _ diagnostics: inout Diagnostics
    ) {
        guard
            let expect = setting.mapping(["status", "headers", "body", "matches"], &diagnostics)
        else { return }
        if let status = expect["status"] {
            expectedStatuses = status.elements(&diagnostics).compactMap { element in
                if let range = Self.statusRange(element.text ?? "") { return range }
                element.expected(
                    "a final status from 200 to 599, or a range of them as 200-299", &diagnostics)
                return nil
            }
            if expectedStatuses.isEmpty {
                status.expected("at least one status, as 200-299", &diagnostics)
            }
        }
        if let headers = expect["headers"] {
            expectedFields = HTTPRequest.fields(headers, &diagnostics)
        }
        if let text = expect["body"] { readBody(text, &diagnostics) }
        guard let pattern = expect["matches"] else { return }
        readPattern(pattern, &diagnostics)
        if expect["body"] != nil {
            diagnostics.error(
                at: pattern.position,
                "\(pattern.path): either \"body\" (a text) or \"matches\" (a regular expression); "
                    + "remove one")
        }
    }

    private mutating func readBody(_ setting: SettingsValue, _ diagnostics: inout Diagnostics) {
        guard let text = setting.string(&diagnostics) else { return }
        if text.isEmpty || text.utf8.count > Self.bodyLimit {
            setting.expected("a text of 1 to \(Self.bodyLimit) octets", &diagnostics)
        } else if hasBody(setting, &diagnostics) {
            expectedBody = ContentExpectation(text: Array(text.utf8), limit: Self.bodyLimit)
        }
    }

    private mutating func readPattern(_ setting: SettingsValue, _ diagnostics: inout Diagnostics) {
        guard let text = setting.string(&diagnostics), hasBody(setting, &diagnostics) else {
            return
        }
        guard (1...Self.patternLimit).contains(text.utf8.count) else {
            return setting.expected(
                "a regular expression of 1 to \(Self.patternLimit) octets", &diagnostics)
        }
        do throws(PatternError) {
            expectedBody = ContentExpectation(pattern: try Pattern(text), limit: Self.bodyLimit)
        } catch {
            diagnostics.error(at: setting.position, "\(setting.path): \(error.description)")
        }
    }

    private func hasBody(_ setting: SettingsValue, _ diagnostics: inout Diagnostics) -> Bool {
        guard method == .head else { return true }
        diagnostics.error(
            at: setting.position,
            "\(setting.path): a response to HEAD has no body; use method: GET, or remove this")
        return false
    }

    private static func statusRange(_ text: String) -> ClosedRange<Int>? {
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = parts.compactMap { $0.utf8.count == 3 ? Int($0) : nil }
        guard numbers.count == parts.count, let first = numbers.first, let last = numbers.last,
            first <= last, statuses.contains(first), statuses.contains(last)
        else { return nil }
        return first...last
    }

    /// Whether a status is as expected.
    func accepts(status: Int) -> Bool { expectedStatuses.contains { $0.contains(status) } }

    /// `200-299, 301`.
    var expectedStatusesInWords: String {
        expectedStatuses
            .map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ", ")
    }

    // MARK: - On the wire

    /// - Parameter tls: nil asks in plain HTTP.
    func start(_ attempt: ProbeAttempt, _ tls: TLSSettings?) {
        attempt.connect(to: request.endpoint) {
            let secure = try tls?.handler(attempt, protocols: ["http/1.1"])
            let judge = HTTPJudge(self, attempt, scheme: tls == nil ? "http" : "https") { next in
                attempt.proceed { next.start(attempt, tls) }
            }
            return (secure.map { [$0] } ?? []) + handlers(judge)
        }
    }

    /// What stands between the transport and the decision, in order.
    func handlers(_ judge: HTTPJudge) -> [any ChannelHandler] {
        [HTTPRequestEncoder(), HTTPRequest.decoder(), judge]
    }

    func head(for origin: String) -> HTTPRequestHead {
        let length = method.takesBody ? [("Content-Length", "\(body?.utf8.count ?? 0)")] : []
        return request.head(
            HTTPMethod(rawValue: method.rawValue), for: origin,
            [("Connection", "close")] + length)
    }

    /// The exchange that a redirect asks for; nil if it leads to another place than this server.
    ///
    /// 303 asks with GET, and so do 301 and 302 in answer to POST (RFC 9110, section 15.4).
    func redirected(
        status: Int, to location: String, scheme: String, from origin: String
    ) -> HTTPExchange? {
        let withoutFragment = location.prefix { $0 != "#" }
        var target = withoutFragment
        if let end = target.firstRange(of: "://") {
            guard target[..<end.lowerBound].lowercased() == scheme else { return nil }
            target = target[target.index(end.lowerBound, offsetBy: 1)...]
        }
        if target.hasPrefix("//") {
            let authority = target.dropFirst(2).prefix { $0 != "/" && $0 != "?" }
            let port = scheme == "https" ? 443 : 80
            let named = authority.lowercased()
            let host = (request.host ?? origin).lowercased()
            let literal = host.contains(":") ? "[\(host)]" : host
            let own = request.endpoint.port
            guard named == "\(literal):\(own)" || own == port && named == literal else {
                return nil
            }
            target = target.dropFirst(2 + authority.count)
            if !target.hasPrefix("/") { target = "/" + target }
        } else if !target.hasPrefix("/") {
            let base = request.path.prefix { $0 != "?" }
            let directory = base.lastIndex(of: "/").map { base[...$0] } ?? "/"
            target = target.hasPrefix("?") ? base + target : directory + target
        }
        guard HTTPRequest.isPath(String(target)) else { return nil }
        var next = self
        next.request.path = String(target)
        next.redirects -= 1
        if status == 303 && method != .head || status < 303 && method == .post {
            next.method = .get
            next.body = nil
        }
        return next
    }
}
