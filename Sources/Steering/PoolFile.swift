// Pool files: `zones/*.yaml` read into one checked `SteeringConfiguration`. All names of all files
// are collected first, so that a file may use what a later one defines; then pools, services, and
// what concerns them together are checked. Every fault is reported, not just the first.

public import Settings

/// The text of one pool file.
public struct PoolFile: Sendable {
    /// The file's name as messages show it.
    public var name: String
    public var text: String

    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }
}

extension SteeringConfiguration {
    /// Reads pool files, in the order given, as one namespace; nil if anything is wrong.
    ///
    /// - Parameter latency: what was read of round trips; nil if that had faults.
    public static func parse(
        _ files: [PoolFile], latency: LatencyTable? = LatencyTable(),
        diagnostics: inout Diagnostics
    ) -> SteeringConfiguration? {
        var monitors: [MonitorEntry] = []
        return parse(files, latency: latency, monitors: &monitors, diagnostics: &diagnostics)
    }

    /// Does the same, and returns the monitors also where something else is wrong, so that their
    /// reader can tell its findings in the same run.
    public static func parse(
        _ files: [PoolFile], latency: LatencyTable? = LatencyTable(),
        monitors: inout [MonitorEntry], diagnostics: inout Diagnostics
    ) -> SteeringConfiguration? {
        let errorsBefore = diagnostics.errorCount
        var parser = PoolFileParser()
        for file in files {
            parser.collect(file, &diagnostics)
        }
        parser.parsedRegions = parser.regions.entries.map {
            parser.parseRegionEntry($0, &diagnostics)
        }
        let pools = parser.pools.entries.map { parser.parsePool($0, &diagnostics) }
        let services = parser.services.entries.map { parser.parseService($0, pools, &diagnostics) }
        let latencySettings = parser.parseLatency(&diagnostics)
        checkAddressTotal(pools, parser.pools.entries, &diagnostics)
        monitors = parser.monitors.entries.map {
            MonitorEntry(name: $0.name, position: $0.position, value: $0.value)
        }
        guard diagnostics.errorCount == errorsBefore else { return nil }

        var configuration = SteeringConfiguration()
        configuration.pools = pools.compactMap(\.self)
        configuration.services = services.compactMap(\.self)
        configuration.regions = parser.parsedRegions.compactMap(\.self)
        configuration.monitors = monitors
        configuration.checkServices(&diagnostics)
        guard diagnostics.errorCount == errorsBefore else { return nil }
        configuration.warnOfUnusedPools(&diagnostics)
        if let latency { configuration.take(latency, latencySettings, &diagnostics) }
        configuration.warnOfUnusedRegions(parser.regions.entries, &diagnostics)
        return configuration
    }

    /// The names of the services that pool files state, faulty ones included.
    ///
    /// For finding STEER records without a service where `parse` found other faults. Nil where some
    /// may be missing: in files that are no YAML, or with a section of an unknown name.
    public static func statedServices(_ files: [PoolFile]) -> [String]? {
        var parser = PoolFileParser()
        var reportedElsewhere = Diagnostics()
        for file in files { parser.collect(file, &reportedElsewhere) }
        return reportedElsewhere.hasErrors ? nil : parser.services.entries.map(\.name)
    }

    private static func checkAddressTotal(
        _ pools: [Pool?], _ entries: [NamedEntry], _ diagnostics: inout Diagnostics
    ) {
        var total = 0
        for (pool, entry) in zip(pools, entries) {
            total += pool?.origins.reduce(0) { $0 + $1.healthEntries } ?? 0
            if total > SteeringLimit.addresses {
                diagnostics.error(
                    at: entry.position,
                    "more than \(SteeringLimit.addresses) addresses in all pools together")
                return
            }
        }
    }

    private func warnOfUnusedPools(_ diagnostics: inout Diagnostics) {
        var used = Set(services.compactMap(\.fallback))
        for rule in services.flatMap(\.rules) {
            used.formUnion(rule.pools.compactMap(\.pool))
        }
        for (index, pool) in pools.enumerated() where !used.contains(index) {
            diagnostics.warning(at: pool.position, "no service uses the pool \"\(pool.name)\"")
        }
    }
}

extension SteeringConfiguration {
    fileprivate func warnOfUnusedRegions(
        _ entries: [NamedEntry], _ diagnostics: inout Diagnostics
    ) {
        let matches = services.flatMap(\.rules).compactMap(\.match).flatMap(\.everyMatch)
        let used = Set(
            matches.flatMap { $0.regions ?? [] }.map(\.name)
                + latency.columns.values.flatMap(\.regions))
        for entry in entries where !used.contains(entry.name) {
            diagnostics.warning(at: entry.position, "no rule uses the region \"\(entry.name)\"")
        }
    }
}

// MARK: - The namespace

/// A named entry of one of the three sections.
struct NamedEntry {
    var name: String
    var position: SourcePosition
    var value: SettingsValue
}

/// The entries of one section, over all files, in file order.
struct NamedEntries {
    let kind: String
    let limit: Int
    private(set) var entries: [NamedEntry] = []
    private(set) var index: [String: Int] = [:]

    init(kind: String, limit: Int) {
        self.kind = kind
        self.limit = limit
    }

    mutating func add(_ entry: NamedEntry, _ diagnostics: inout Diagnostics) {
        checkName(entry.name, of: kind, at: entry.position, &diagnostics)
        if let first = index[entry.name] {
            diagnostics.error(
                at: entry.position,
                "the \(kind) \"\(entry.name)\" is already defined at \(entries[first].position)")
            return
        }
        if entries.count == limit {
            diagnostics.error(at: entry.position, "more than \(limit) \(kind)s")
        }
        guard entries.count < limit else { return }
        index[entry.name] = entries.count
        entries.append(entry)
    }

    /// The index that a value names; reports what is no name, or none of these.
    func find(_ value: SettingsValue, _ diagnostics: inout Diagnostics) -> Int? {
        guard let name = value.text else {
            value.expected("the name of a \(kind)", &diagnostics)
            return nil
        }
        if let found = index[name] { return found }
        var hint = ""
        if entries.isEmpty {
            hint = "; no \(kind)s are defined"
        } else if let near = suggestion(for: name, diagnostics) {
            hint = "; did you mean \"\(near)\"?"
        } else if entries.count <= 12 {
            hint = "; defined are \(entries.map(\.name).joined(separator: ", "))"
        }
        diagnostics.error(
            at: value.position, "\(value.path): there is no \(kind) \"\(name)\"\(hint)")
        return nil
    }

    /// The name that was probably meant.
    ///
    /// Comparing with every name costs some milliseconds; after the first hundred faults, and for
    /// what is too long for a name, it is not worth them.
    private func suggestion(for name: String, _ diagnostics: Diagnostics) -> String? {
        guard name.utf8.count <= SteeringLimit.nameLength, diagnostics.errorCount < 100 else {
            return nil
        }
        return closestMatch(
            to: name, among: index.keys.filter { $0.utf8.count <= SteeringLimit.nameLength })
    }
}

/// Reports a name that would not fit a STEER record, a metric's label or a URL as it is.
func checkName(
    _ name: String, of kind: String, at position: SourcePosition, _ diagnostics: inout Diagnostics
) {
    let fits = name.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: "."):
            true
        default: false
        }
    }
    if !fits || !(1...SteeringLimit.nameLength).contains(name.utf8.count) {
        diagnostics.error(
            at: position,
            "\"\(name)\" cannot name a \(kind); use 1 to \(SteeringLimit.nameLength) of the letters"
                + " a to z, digits, hyphen, underscore and full stop")
    }
}

/// The sections of all files, by name; the parsers of pools and services extend it.
struct PoolFileParser {
    private(set) var monitors = NamedEntries(kind: "monitor", limit: SteeringLimit.pools)
    private(set) var pools = NamedEntries(kind: "pool", limit: SteeringLimit.pools)
    private(set) var services = NamedEntries(kind: "service", limit: SteeringLimit.services)
    private(set) var regions = NamedEntries(kind: "region", limit: SteeringLimit.regions)
    /// What is said of measured round trips, in one of the files.
    private(set) var latency: SettingsValue?
    /// By the index of `regions`; nil for one whose faults are reported already.
    var parsedRegions: [Region?] = []

    /// Takes the named entries of one file.
    mutating func collect(_ file: PoolFile, _ diagnostics: inout Diagnostics) {
        guard let root = parseSettings(file.text, file: file.name, diagnostics: &diagnostics),
            let sections = root.mapping(
                ["monitors", "pools", "regions", "services", "latency"], &diagnostics)
        else { return }
        if let new = sections["latency"] {
            if let latency {
                diagnostics.error(
                    at: new.position,
                    "\"latency\" is already stated at \(latency.position); it holds for all files, so"
                        + " state it in one")
            }
            latency = new
        }
        for (section, entries) in [
            ("monitors", \PoolFileParser.monitors), ("pools", \.pools), ("regions", \.regions),
            ("services", \.services),
        ] {
            for entry in sections[section]?.namedEntries(&diagnostics) ?? [] {
                self[keyPath: entries].add(
                    NamedEntry(name: entry.name, position: entry.key, value: entry.value),
                    &diagnostics)
            }
        }
    }
}
