// Content from texts: the one place where tests, counts and fuzz targets turn zones, pools and places
// into what a server serves. It takes the server's own way; `TestAnswer`, which reads what came of it,
// shares no code with that.

public import Authority
public import DNSWire
public import Geo
public import Settings
import Steering
import Zones

/// Zones and steering behind them, loaded and linked.
public struct TestContent: Sendable {
    public let content: Content
    /// The warnings about the texts.
    public let findings: [Diagnostic]

    /// What is wrong with the texts.
    public struct Fault: Error, CustomStringConvertible {
        public var findings: [Diagnostic]
        public var description: String { findings.map(\.description).joined(separator: "\n") }
    }

    /// - Parameters:
    ///   - zones: master files by apex, without `$INCLUDE`.
    ///   - pools: one pool file.
    ///   - morePools: another.
    ///   - places: overrides, as in `geo/overrides.yaml`.
    ///   - latency: measured round trips, as in `geo/latency.csv`.
    /// - Throws: a `Fault` with all diagnostics if there is an error among them.
    public init(
        zones: [(apex: String, text: String)], pools: String = "", morePools: String = "",
        places: String = "", latency: String = "",
        answers: AnswerSettings = AnswerSettings(identity: "test"),
        database: LocationDatabase? = nil, asnDatabase: LocationDatabase? = nil
    ) throws {
        var diagnostics = Diagnostics()
        let sources = try zones.map { apex, text in
            readMasterFile(
                Array(text.utf8), file: "\(apex)zone", apex: try Name(apex),
                include: { _ throws(FileError) in throw FileError(explanation: "no files here") },
                diagnostics: &diagnostics)
        }
        let zones = ZoneSet(sources, diagnostics: &diagnostics)
        let files = [("pools", pools), ("more pools", morePools)].filter { !$0.1.isEmpty }
        let configuration = SteeringConfiguration.parse(
            files.map { PoolFile(name: $0.0, text: $0.1) },
            latency: latency.isEmpty
                ? LatencyTable() : .parse(Array(latency.utf8), file: "latency", &diagnostics),
            diagnostics: &diagnostics)
        let overrides = parseSettings(places, file: "places", diagnostics: &diagnostics).map {
            LocationOverrides.parse($0, &diagnostics)
        }
        guard !diagnostics.hasErrors, let zones, let configuration, let overrides else {
            throw Fault(findings: diagnostics.sorted)
        }
        // One tree after the other: what loading costs must not differ from run to run for scripts/count.
        let steering = try Steering(
            configuration,
            geography: Geography(
                database: database, asnDatabase: asnDatabase, overrides: overrides),
            treesAtOnce: 1)
        guard
            let content = Content(
                zones: zones, steering: steering, answers: answers, diagnostics: &diagnostics)
        else { throw Fault(findings: diagnostics.sorted) }
        self.content = content
        findings = diagnostics.sorted
    }

    /// A scenario's content.
    public init(
        _ scenario: Scenario, answers: AnswerSettings = AnswerSettings(identity: "scenario")
    ) throws {
        try self.init(
            zones: scenario.zones, pools: scenario.pools, places: scenario.places,
            latency: scenario.latency, answers: answers)
    }

    /// The shipped sample below the directory with other zones and pools, steered by a database.
    public init(
        sample directory: String, with others: [(apex: String, text: String)] = [],
        morePools: String = "", database: String,
        answers: AnswerSettings = AnswerSettings(identity: "sample")
    ) throws {
        func text(_ file: String) throws -> String {
            try String(
                decoding: readFile(path: "\(directory)/\(file)", limit: 1 << 20), as: UTF8.self)
        }
        try self.init(
            zones: [("example.com.", text("zones/example.com.zone"))] + others,
            pools: text("zones/example.yaml"), morePools: morePools, answers: answers,
            database: LocationDatabase(path: database))
    }

    /// The content with all origins up but those that `isDown` picks.
    ///
    /// - Parameter soon: how soon verdicts could flip, in seconds, by `POOL/ORIGIN`; others never.
    public func snapshot(
        soon: [String: UInt32] = [:],
        where isDown: (_ pool: String, _ origin: String, IPAddress) -> Bool = { _, _, _ in false }
    ) -> Snapshot {
        let steering = content.steering
        var health = HealthTable(count: steering.addresses.count, verdict: .up)
        for (index, steered) in steering.addresses.enumerated() {
            let pool = steering.configuration.pools[steered.pool]
            let origin = pool.origins[steered.origin].name
            if isDown(pool.name, origin, steered.address) { health[index] = .down }
            if let seconds = soon["\(pool.name)/\(origin)"] {
                health.setHorizon(Horizon(probes: 2, seconds: seconds), of: index)
            }
        }
        return Snapshot(content: content, health: health)
    }

    /// The content with all origins up but those listed, as `POOL/ORIGIN`.
    public func snapshot(down: [String], soon: [String: UInt32] = [:]) -> Snapshot {
        snapshot(soon: soon) { pool, origin, _ in down.contains("\(pool)/\(origin)") }
    }
}
