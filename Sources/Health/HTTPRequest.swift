// Where and how an HTTP request goes: what http, https and websocket monitors share.
//
//     port: 80
//     path: /
//     host: www.example.com          # the Host header (and SNI); default: the origin's host or address
//     headers: { Accept: text/html } # beside Host, User-Agent, Accept and Connection
//     source: 192.0.2.1              # ask from this address of this machine

internal import DNSWire
internal import NIOCore
internal import NIOHTTP1
internal import Settings

/// The target and the header fields of a request.
struct HTTPRequest: Sendable, Hashable {
    static let keys = Endpoint.keys + ["path", "host", "headers"]

    struct Field: Sendable, Hashable {
        var name: String
        var value: String
    }

    /// What headers of a response may take; more than any server sends by default.
    static let headerLimit = 16_384
    private static let headerCount = 256
    static let pathLimit = 2_048
    private static let fieldCount = 32
    private static let fieldLimit = 4_096
    /// Fields that are made from other settings, or that frame the message.
    private static let ownFields = [
        "host", "connection", "upgrade", "content-length", "transfer-encoding", "te", "trailer",
        "expect", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol",
        "sec-websocket-extensions",
    ]

    let endpoint: Endpoint
    var path = "/"
    let host: String?
    let fields: [Field]
    private let isDefaultPort: Bool

    init?(_ settings: SettingsMapping, defaultPort: Int, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let endpoint = Endpoint(settings, defaultPort: defaultPort, &diagnostics)
        if let setting = settings["path"] {
            path = setting.text ?? ""
            if !Self.isPath(path) {
                setting.expected(
                    "a path from / on, of at most \(Self.pathLimit) visible ASCII characters "
                        + "(others written as %20)", &diagnostics)
            }
        }
        host = settings["host"].flatMap { $0.host(&diagnostics) }
        fields =
            settings["headers"].map { Self.fields($0, refusing: Self.ownFields, &diagnostics) }
            ?? []
        guard let endpoint, diagnostics.errorCount == errorsBefore else { return nil }
        self.endpoint = endpoint
        isDefaultPort = endpoint.port == defaultPort
    }

    static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.count <= pathLimit
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// Reads a mapping of header fields; what is wrong is reported and left out.
    static func fields(
        _ setting: SettingsValue, refusing ownFields: [String] = [],
        _ diagnostics: inout Diagnostics
    ) -> [Field] {
        let entries = setting.namedEntries(&diagnostics) ?? []
        if entries.count > fieldCount {
            setting.expected("at most \(fieldCount) fields", &diagnostics)
        }
        return entries.compactMap { entry in
            guard isToken(entry.name) else {
                diagnostics.error(
                    at: entry.key,
                    "\(entry.value.path): expected the name of a header field, as Accept")
                return nil
            }
            guard !ownFields.contains(entry.name.lowercased()) else {
                diagnostics.error(
                    at: entry.key,
                    "\(entry.value.path): this field is made from the other settings; remove it")
                return nil
            }
            let text = entry.value.isNull ? "" : entry.value.text
            guard let text, text.utf8.count <= fieldLimit,
                text.utf8.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 9 })
            else {
                entry.value.expected(
                    "a text of at most \(fieldLimit) ASCII characters in one line", &diagnostics)
                return nil
            }
            return Field(name: entry.name, value: text)
        }
    }

    /// RFC 9110, section 5.6.2.
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { octet in
                (0x30...0x39).contains(octet) || (0x61...0x7A).contains(octet | 0x20)
                    || "!#$%&'*+-.^_`|~".utf8.contains(octet)
            }
    }

    // MARK: - On the wire

    /// `Host` as RFC 9110, section 7.2 has it: with the port unless it is the scheme's own.
    ///
    /// - Parameter origin: whom to ask if the monitor names no host: the origin's own, or its address.
    func authority(for origin: String) -> String {
        let host = host ?? origin
        let literal = host.contains(":") ? "[\(host)]" : host
        return isDefaultPort ? literal : "\(literal):\(endpoint.port)"
    }

    func head(
        _ method: HTTPMethod, for origin: String, _ more: [(String, String)]
    ) -> HTTPRequestHead {
        var headers: HTTPHeaders = [
            "Host": authority(for: origin), "User-Agent": "rhumb-health", "Accept": "*/*",
        ]
        for field in fields { headers.remove(name: field.name) }
        headers.add(contentsOf: fields.map { ($0.name, $0.value) })
        headers.add(contentsOf: more)
        return HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: headers)
    }

    /// The decoder of responses, within limits.
    static func decoder(
        _ leftOver: RemoveAfterUpgradeStrategy = .dropBytes
    ) -> ByteToMessageHandler<HTTPResponseDecoder> {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = headerLimit
        limits.maxHeaderListSize = headerLimit
        limits.maxHeaderFieldCount = headerCount
        return ByteToMessageHandler(
            HTTPResponseDecoder(leftOverBytesStrategy: leftOver, limitConfiguration: limits))
    }

    static func words(for error: HTTPParserError) -> String {
        switch error {
        case .invalidEOFState: "connection closed by the origin before a whole response"
        case .headerOverflow: "headers of more than \(headerLimit) octets"
        case .invalidConstant, .invalidVersion: "the response is not HTTP/1"
        case .invalidContentLength, .unexpectedContentLength:
            "malformed HTTP response, a bad Content-Length"
        case .invalidChunkSize: "malformed HTTP response, a bad chunk size"
        case .invalidHeaderToken: "malformed HTTP response, a bad header"
        default: "malformed HTTP response (\(error))"
        }
    }
}
