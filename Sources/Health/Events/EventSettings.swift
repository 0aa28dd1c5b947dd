// `events:` of rhumb.yaml: who is told what happens. A sink is a webhook or a program of yours; the keys
// below `on` are for both, with their defaults unless marked:
//
//     events:
//       - webhook: https://hooks.example.com/x   # POST of a JSON object; or http://
//         headers: { Authorization: "Bearer …" } # none
//         timeout: 10s                           # for one try, 100ms to 1m
//         insecure: false                        # true takes any certificate
//         # ca_file: ca.pem                      # trust these authorities only; relative to this file
//       - command: [/usr/local/bin/notify, ops]  # gets the JSON object on its standard input
//         timeout: 10s
//         on: [pool_down, pool_up]               # names of events; default: TellingRules.usualKinds
//         pools: ["eu-*"]                        # patterns of pools; default: all
//         delay: 30s                             # tell what has lasted so long, to 1d; default: at once
//         repeat: 1h                             # tell it again while it lasts, 1m to 7d; default: off
//         mute: ["22:00-06:00"]                  # times of each day, in UTC; default: none

internal import Cryptography
internal import DNSWire
public import Settings

/// One who is told what happens.
public struct EventSink: Sendable, Equatable {
    enum Way: Sendable, Equatable {
        case webhook(Webhook)
        case command(Program)
    }

    /// `webhook hooks.example.com`, `command notify`: without what may be secret.
    public let name: String
    let way: Way
    let timeout: Duration
    let rules: TellingRules
    /// The patterns of pools, where they are stated.
    private let patterns: [Pattern]

    private struct Pattern: Sendable, Equatable {
        var text: String
        var position: SourcePosition
        var path: String
    }

    /// Each has a connection or a program at a time; more than some hide what is important.
    public static let most = 16
    private static let timeouts = Duration.milliseconds(100)...Duration.seconds(60)
    private static let delays = Duration.zero...Duration.seconds(86_400)
    private static let repetitions = Duration.seconds(60)...Duration.seconds(7 * 86_400)
    private static let listLimit = 100
    private static let keys =
        ["webhook", "command", "timeout", "on", "pools", "delay", "repeat", "mute"]
        + Webhook.keys

    /// Reads the list; those with errors are reported and left out.
    public static func read(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> [EventSink] {
        let elements = value.elements(&diagnostics)
        if elements.count > most {
            diagnostics.error(
                at: value.position,
                "\(value.path): \(elements.count) sinks; at most \(most) are told")
        }
        return elements.prefix(most).compactMap { EventSink($0, &diagnostics) }
    }

    init?(_ value: SettingsValue, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        guard let settings = value.mapping(Self.keys, &diagnostics) else { return nil }
        settings.refuseEmpty(&diagnostics)
        timeout =
            settings["timeout"]?.duration(in: Self.timeouts, &diagnostics) ?? .seconds(10)
        let list = settings["pools"].map { Self.list($0, &diagnostics) } ?? []
        patterns = list.compactMap { element in
            guard let text = element.string(&diagnostics) else { return nil }
            return Pattern(text: text, position: element.position, path: element.path)
        }
        rules = Self.rules(settings, patterns.map { Glob($0.text) }, &diagnostics)
        switch (settings["webhook"], settings["command"]) {
        case (let url?, nil):
            guard let webhook = Webhook(url, settings, &diagnostics) else { return nil }
            way = .webhook(webhook)
            name = "webhook \(webhook.host)"
        case (nil, let command?):
            for key in Webhook.keys {
                guard let setting = settings[key] else { continue }
                diagnostics.error(
                    at: setting.position, "\(setting.path): is for a webhook; remove this")
            }
            guard let program = Program(command, &diagnostics) else { return nil }
            way = .command(program)
            let path = program.words[0]
            name = "command \(path[(path.lastIndex(of: "/") ?? path.startIndex)...].dropFirst())"
        default:
            diagnostics.error(
                at: settings.position,
                "\(settings.path): expected either \"webhook\" (a URL) or \"command\" (a program)")
            return nil
        }
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    private static func list(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> [SettingsValue] {
        let elements = value.elements(&diagnostics)
        guard elements.isEmpty || elements.count > listLimit else { return elements }
        diagnostics.error(
            at: value.position, "\(value.path): name 1 to \(listLimit), or remove the key")
        return []
    }

    private static func rules(
        _ settings: SettingsMapping, _ pools: [Glob], _ diagnostics: inout Diagnostics
    ) -> TellingRules {
        var rules = TellingRules()
        if let value = settings["on"] {
            rules.kinds = Set(
                list(value, &diagnostics).compactMap { $0.choice(Event.Kind.self, &diagnostics) })
        }
        rules.pools = pools
        rules.delay = settings["delay"]?.duration(in: delays, &diagnostics) ?? .zero
        if let value = settings["repeat"], value.text != "off" {
            rules.repetition = value.duration(in: repetitions, &diagnostics)
        }
        rules.mutes = (settings["mute"].map { list($0, &diagnostics) } ?? []).compactMap {
            element in
            let period = element.text.flatMap { MutePeriod($0) }
            if period == nil {
                element.expected("a time of the day in UTC, as \"22:00-06:00\"", &diagnostics)
            }
            return period
        }
        return rules
    }

    /// Warns of patterns that no pool fits.
    public func checkPatterns(among pools: [String], _ diagnostics: inout Diagnostics) {
        for pattern in patterns
        where !pools.contains(where: { Glob(pattern.text).matches($0) }) {
            let hint = closestMatch(to: pattern.text, among: pools)
            diagnostics.warning(
                at: pattern.position,
                "\(pattern.path): no pool is \"\(pattern.text)\""
                    + (hint.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
    }

    public static func == (a: Self, b: Self) -> Bool {
        (a.way, a.timeout, a.rules) == (b.way, b.timeout, b.rules)
    }
}

/// Where a webhook is, and how it is asked.
struct Webhook: Sendable, Equatable {
    static let keys = ["headers", "ca_file", "insecure"]
    private static let lengthLimit = 2_048
    /// Fields that are made from other settings, or that frame the message.
    private static let ownFields = [
        "host", "connection", "content-length", "content-type", "transfer-encoding", "te",
        "trailer",
        "upgrade", "expect",
    ]

    /// A name or an address, without brackets.
    let host: String
    let port: Int
    /// With its query.
    let path: String
    /// Nil for plain HTTP.
    let tls: TLSSettings?
    let fields: [HTTPRequest.Field]
    /// As the Host header has it.
    let authority: String

    init?(
        _ value: SettingsValue, _ settings: SettingsMapping, _ diagnostics: inout Diagnostics
    ) {
        let errorsBefore = diagnostics.errorCount
        fields =
            settings["headers"].map {
                HTTPRequest.fields($0, refusing: Self.ownFields, &diagnostics)
            } ?? []
        guard let text = value.string(&diagnostics) else { return nil }
        guard let url = Self.parse(text) else {
            // Not what was found: there may be a secret in it.
            diagnostics.error(
                at: value.position,
                "\(value.path): expected a URL of visible ASCII characters, as"
                    + " https://hooks.example.com/x, without user name or fragment")
            return nil
        }
        (host, port, path) = (url.host, url.port, url.path)
        let literal = host.contains(":") ? "[\(host)]" : host
        authority = port == (url.isSecure ? 443 : 80) ? literal : "\(literal):\(port)"
        if url.isSecure {
            tls = TLSSettings(settings, peer: host, &diagnostics)
        } else {
            tls = nil
            TLSSettings.refuse(settings, "use https://", &diagnostics)
        }
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    private static func parse(
        _ text: String
    ) -> (isSecure: Bool, host: String, port: Int, path: String)? {
        guard text.utf8.count <= lengthLimit, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            !text.contains("#"), let end = text.firstRange(of: "://")
        else { return nil }
        let scheme = text[..<end.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else { return nil }
        let rest = text[end.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        var path = String(rest.dropFirst(authority.count))
        if !path.hasPrefix("/") { path = "/" + path }
        var host = authority
        var port = scheme == "https" ? 443 : 80
        let portStart = authority.lastIndex(of: ":")
        if let colon = portStart, !authority[colon...].contains("]") {
            guard let number = Int(authority[colon...].dropFirst()), ports.contains(number) else {
                return nil
            }
            port = number
            host = authority[..<colon]
        }
        let isLiteral = host.hasPrefix("[") && host.hasSuffix("]")
        let name = String(isLiteral ? host.dropFirst().dropLast() : host)
        let isAddress = IPAddress(name) != nil
        guard isLiteral ? isAddress && name.contains(":") : isAddress || isHostName(name) else {
            return nil
        }
        return (scheme == "https", name, port, path)
    }
}
