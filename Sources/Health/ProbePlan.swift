// From pool files to what is probed: monitors read, and one target for each address of a pool that
// has one.

internal import DNSWire
public import Settings
public import Steering

extension Monitor {
    /// Reads the `monitors:` of all pool files; those with errors are reported and left out.
    public static func read(
        _ entries: [MonitorEntry], _ diagnostics: inout Diagnostics
    ) -> [String: Monitor] {
        var monitors: [String: Monitor] = [:]
        for entry in entries {
            monitors[entry.name] = Monitor(name: entry.name, entry.value, &diagnostics)
        }
        return monitors
    }
}

/// What a checker has to do for one configuration.
public struct ProbePlan: Sendable {
    public let targets: [ProbeTarget]
    /// The table before any probe, of the size of `Steering.addresses`: all unknown, which steering
    /// takes for up where there is no monitor.
    public let base: HealthTable
    public var isolation = IsolationSettings()

    /// - Parameters:
    ///   - addresses: `Steering.addresses` of that configuration.
    ///   - monitors: by name, as `Monitor.read` returns them.
    public init(
        _ configuration: SteeringConfiguration, addresses: [SteeredAddress],
        monitors: [String: Monitor]
    ) {
        let timedPools = configuration.timedPools
        targets = addresses.enumerated().compactMap { id, steered in
            let asking = steered.monitors.compactMap { monitors[$0] }
            guard !asking.isEmpty else { return nil }
            let pool = configuration.pools[steered.pool]
            let origin = pool.origins[steered.origin]
            // Addresses of an origin that are checked at one place have one key: one probe for all.
            return ProbeTarget(
                id: id, pool: pool.name, origin: origin.name,
                address: origin.checkAddress ?? steered.address,
                host: origin.host.map { String($0.description.dropLast()) },
                monitors: asking.map { $0.bound(toOrigin: "\(pool.name)/\(origin.name)") },
                needed: min(pool.monitorsNeeded, asking.count),
                isTimed: timedPools.contains(steered.pool))
        }
        base = HealthTable(count: addresses.count)
    }

    /// Makes a table say how soon its verdicts could flip if they have been the same for a while.
    public func settle(_ table: inout HealthTable) {
        for target in targets where target.isTimed {
            let verdict = table[target.id]
            let monitors = target.monitors.map {
                (verdict: verdict, horizon: $0.horizon(of: TargetHealth(settledAs: verdict)))
            }
            table.setHorizon(.combining(monitors, needed: target.needed), of: target.id)
        }
    }

    /// How many probes a round has: targets with one key are one, for each of their monitors.
    public var probeCount: Int {
        Dictionary(targets.map { ($0.key, $0.monitors.count) }) { first, _ in first }
            .values.reduce(0, +)
    }
}
