// rhumb.yaml: how the server runs, as against what it answers. Optional; every key has a default.

import Authority
import DNSWire
import Health
import Settings
import Transport

/// The settings of one server.
///
///     # rhumb.yaml
///     listen: [0.0.0.0, "::"]      # ADDRESS or ADDRESS:PORT; default: all addresses, port 53
///     workers: 4                   # UDP threads; default: one for each core
///     identity: fra-dns-1          # answers id.server and NSID; default: the host name; "" for none
///     version: false               # answers version.server: true or a text of your own
///     cookies: true                # DNS cookies with a secret of this process alone; false: none
///     # cookies: { secret_file: state/cookie-secrets }   # one or two lines of 32 hex digits
///     explain: [127.0.0.0/8, "::1"]   # who may ask _explain.NAME TXT; default: this machine
///     udp: { answer_size: 1232 }   # the largest answer over UDP in octets, 512 to 4096
///     zones: zones                 # directory of *.zone and *.yaml
///     geo: geo                     # directory of *.mmdb, or one database file
///     state: state                 # directory for what outlives the server; one server each
///     control: { mode: 0600, group: operators }   # who may use rhumb status, drain, …
///     geo_watch: 10s               # how often to look for new databases, 1s to 1h; off: never
///     health:                      # when to suspect this machine and not the origins, if more than
///       isolation: 70%             # that of them fail at once; or off; default: 70% of five or more
///                                  # monitored origins in three or more pools
///       references: [192.0.2.1:443]  # TCP servers that tell which it is, up to 16; default: none
///     tcp:
///       idle_timeout: 10s
///       connections: 1024
///       connections_per_client: 64 # for each /24 or /56
///       lifetime: 1h               # of a connection; default: no limit
///       queries: 100000            # of a connection; default: no limit
///     events:                      # who is told what happens: EventSettings.swift has all keys
///       - webhook: https://hooks.example.com/x
///       - command: [/usr/local/bin/notify]
struct ServerSettings {
    var listen: [ListenAddress] = []
    var workers: Int?
    var identity: String?
    /// Nil says none.
    var version: String?
    var cookies = Cookies.processSecret
    var datagramLength = AnswerSettings().datagramLength
    var explainers = AnswerSettings().explainers
    /// Relative to the directory that the commands were given.
    var zones = "zones"
    var geo = "geo"
    var state = "state"
    var control = ControlSettings()
    /// How often a running server looks for other databases; nil for never.
    var geoWatch: Duration? = .seconds(10)
    /// Where `geo` is stated: what is named has to be there, as against the default.
    var geoPosition: SourcePosition?
    var isolation = IsolationSettings()
    var tcpIdleTimeout = Duration.seconds(10)
    var tcpConnections = 1_024
    var tcpConnectionsPerClient = 64
    /// Total limits of a connection; nil for none.
    var tcpLifetime: Duration?
    var tcpQueries: Int?
    var events: [EventSink] = []

    /// Where the secrets of DNS cookies come from.
    enum Cookies {
        case off
        /// Made at the start, and kept as long as the process.
        case processSecret
        /// Read at the start and at every reload; relative to the directory.
        case file(String, SourcePosition)
    }

    /// Reads the settings of a parsed file; what is wrong is reported and keeps its default.
    init(_ root: SettingsValue?, _ diagnostics: inout Diagnostics) {
        let known = [
            "listen", "workers", "identity", "version", "cookies", "explain", "zones", "geo",
            "geo_watch", "state", "control", "udp", "tcp", "health", "events",
        ]
        guard let root, let map = root.mapping(known, &diagnostics) else { return }
        map.refuseEmpty(&diagnostics)
        if let value = map["listen"] { readListen(value, &diagnostics) }
        workers = map["workers"].flatMap { $0.integer(in: 1...1_024, &diagnostics) }
        identity = map["identity"].flatMap { Self.identity($0, &diagnostics) }
        version = map["version"].flatMap { Self.version($0, &diagnostics) }
        if let value = map["cookies"] { cookies = Self.cookies(value, &diagnostics) }
        if let value = map["explain"] {
            explainers = value.elements(&diagnostics).compactMap { element in
                let network = element.text.flatMap { IPNetwork($0) }
                if network == nil {
                    element.expected("a network, as 192.0.2.0/24 or 2001:db8::/32", &diagnostics)
                }
                return network
            }
        }
        let udp = map["udp"]?.mapping(["answer_size"], &diagnostics)
        if let value = udp?["answer_size"],
            let size = value.integer(in: AnswerSettings.datagramLengths, &diagnostics)
        {
            datagramLength = size
        }
        if let path = map["zones"].flatMap({ $0.string(&diagnostics) }) { zones = path }
        if let path = map["state"].flatMap({ $0.string(&diagnostics) }) { state = path }
        if let value = map["control"] { control = ControlSettings(value, &diagnostics) }
        if let value = map["geo"], let path = value.string(&diagnostics) {
            geo = path
            geoPosition = value.position
        }
        if let value = map["geo_watch"] {
            let isOff = value.text == "off"
            geoWatch =
                isOff ? nil : value.duration(in: .seconds(1)...(.seconds(3_600)), &diagnostics)
        }
        if let health = map["health"] { readHealth(health, &diagnostics) }
        if let tcp = map["tcp"] { readTCP(tcp, &diagnostics) }
        if let value = map["events"] { events = EventSink.read(value, &diagnostics) }
    }

    private mutating func readListen(_ value: SettingsValue, _ diagnostics: inout Diagnostics) {
        let elements = value.elements(&diagnostics)
        if elements.isEmpty {
            diagnostics.error(
                at: value.position,
                "listen: name at least one address, or remove the key to listen on all")
        }
        for element in elements {
            guard let text = element.text, let address = ListenAddress(text) else {
                element.expected(
                    "ADDRESS or ADDRESS:PORT, as 127.0.0.1:5300 or [::1]:53", &diagnostics)
                continue
            }
            if listen.contains(address) {
                diagnostics.error(
                    at: element.position,
                    "\(element.path): \(address) is listed twice; remove one")
                continue
            }
            listen.append(address)
            // `::1:53` is an address, and hardly the one that is meant.
            if !text.hasPrefix("["), let colon = text.lastIndex(of: ":"), text.contains("::"),
                ["53", "5300", "5353"].contains(text[text.index(after: colon)...])
            {
                diagnostics.warning(
                    at: element.position,
                    "\(element.path): this is an address and no port; for a port write"
                        + " [\(text[..<colon])]\(text[colon...])")
            }
        }
    }

    private mutating func readTCP(_ value: SettingsValue, _ diagnostics: inout Diagnostics) {
        let keys = ["idle_timeout", "connections", "connections_per_client", "lifetime", "queries"]
        guard let tcp = value.mapping(keys, &diagnostics) else { return }
        if let value = tcp["idle_timeout"],
            let timeout = value.duration(in: .seconds(1)...(.seconds(600)), &diagnostics)
        {
            tcpIdleTimeout = timeout
        }
        if let count = tcp["connections"].flatMap({ $0.integer(in: 1...1_000_000, &diagnostics) }) {
            tcpConnections = count
        }
        if let value = tcp["connections_per_client"],
            let count = value.integer(in: 1...1_000_000, &diagnostics)
        {
            tcpConnectionsPerClient = count
        }
        tcpLifetime = tcp["lifetime"].flatMap {
            $0.duration(in: .seconds(1)...(.seconds(30 * 86_400)), &diagnostics)
        }
        tcpQueries = tcp["queries"].flatMap { $0.integer(in: 1...1_000_000_000, &diagnostics) }
    }

    /// Some at different places are enough to tell.
    private static let referenceLimit = 16

    private mutating func readHealth(_ value: SettingsValue, _ diagnostics: inout Diagnostics) {
        guard let health = value.mapping(["isolation", "references"], &diagnostics) else { return }
        if let value = health["isolation"] {
            isolation.use = Self.isolationUse(value, &diagnostics) ?? isolation.use
        }
        let elements = health["references"]?.elements(&diagnostics) ?? []
        if elements.count > Self.referenceLimit, let value = health["references"] {
            diagnostics.error(
                at: value.position, "\(value.path): more than \(Self.referenceLimit) references")
        }
        for element in elements.prefix(Self.referenceLimit) {
            // The port has to be stated: without one, a listening address has port 53.
            guard let text = element.text, let place = ListenAddress(text), place.port != 0,
                text.hasSuffix("\(place.address.family == .ipv6 ? "]" : ""):\(place.port)")
            else {
                element.expected(
                    "ADDRESS:PORT of a TCP server, as 192.0.2.1:443 or [2001:db8::1]:443",
                    &diagnostics)
                continue
            }
            let reference = IsolationSettings.Reference(
                address: place.address, port: Int(place.port))
            if isolation.references.contains(reference) {
                diagnostics.error(
                    at: element.position,
                    "\(element.path): \(reference) is listed twice; remove one")
                continue
            }
            isolation.references.append(reference)
        }
        if isolation.use == .off, let value = health["references"], !elements.isEmpty {
            diagnostics.warning(
                at: value.position,
                "\(value.path): nobody asks them while health.isolation is off; remove one of the two"
            )
        }
    }

    /// `off`, or `70%`.
    private static func isolationUse(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> IsolationSettings.Use? {
        if value.text == "off" { return .off }
        if let text = value.text, text.hasSuffix("%"), let percent = Int(text.dropLast()),
            IsolationSettings.percents.contains(percent)
        {
            return .above(percent: percent)
        }
        let percents = IsolationSettings.percents
        value.expected(
            "off, or a share of origins from \(percents.lowerBound)% to \(percents.upperBound)%,"
                + " as 70%", &diagnostics)
        return nil
    }

    private static func identity(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> String? {
        if let text = value.text, isYesOrNo(text) {
            value.expected("a name for this server, or \"\" for none", &diagnostics)
            return nil
        }
        return answerText(value, &diagnostics)
    }

    /// `true` for the program's name and version, `false` for none, or a text in their place.
    private static func version(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> String? {
        switch value.text {
        case "true": return "rhumb \(programVersion)"
        case "false": return nil
        case let text? where isYesOrNo(text):
            value.expected("true, false or a text of your own", &diagnostics)
            return nil
        default: return answerText(value, &diagnostics)
        }
    }

    /// Whether a word stands for a truth value where people write YAML, and not for itself.
    private static func isYesOrNo(_ text: String) -> Bool {
        ["yes", "no", "on", "off", "true", "false"].contains(text.lowercased())
    }

    private static func cookies(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> Cookies {
        if value.text != nil {
            return value.boolean(&diagnostics) == false ? .off : .processSecret
        }
        guard let map = value.mapping(["secret_file"], &diagnostics),
            let file = map.required("secret_file", &diagnostics),
            let path = file.string(&diagnostics)
        else { return .processSecret }
        return .file(path, file.position)
    }

    /// A text that goes into answers.
    private static func answerText(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> String? {
        guard let text = value.string(&diagnostics) else { return nil }
        if text.utf8.count > AnswerSettings.textLimit {
            diagnostics.error(
                at: value.position,
                "\(value.path): \(text.utf8.count) octets; it goes into answers, use at most "
                    + "\(AnswerSettings.textLimit)")
        }
        return text
    }

    /// The keys that are read at the start alone and say something else in `other`.
    func keysNeedingRestart(for other: ServerSettings) -> [String] {
        var keys: [String] = []
        if listen != other.listen { keys.append("listen") }
        if workers != other.workers { keys.append("workers") }
        if state != other.state { keys.append("state") }
        if control != other.control { keys.append("control") }
        if tcpIdleTimeout != other.tcpIdleTimeout { keys.append("tcp.idle_timeout") }
        if tcpConnections != other.tcpConnections { keys.append("tcp.connections") }
        if tcpConnectionsPerClient != other.tcpConnectionsPerClient {
            keys.append("tcp.connections_per_client")
        }
        if tcpLifetime != other.tcpLifetime { keys.append("tcp.lifetime") }
        if tcpQueries != other.tcpQueries { keys.append("tcp.queries") }
        return keys
    }
}
