// From pool files to what is probed: monitors read, and one target for each address of a pool that has one.

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

    /// - Parameters:
    ///   - addresses: `Steering.addresses` of that configuration.
    ///   - monitors: by name, as `Monitor.read` returns them.
    public init(
        _ configuration: SteeringConfiguration, addresses: [SteeredAddress],
        monitors: [String: Monitor]
    ) {
        let timedPools = configuration.timedPools
        targets = addresses.enumerated().compactMap { id, steered in
            guard let monitor = steered.monitor.flatMap({ monitors[$0] }) else { return nil }
            let pool = configuration.pools[steered.pool]
            let origin = pool.origins[steered.origin]
            // Addresses of an origin that are checked at one place have one key: one probe for all.
            let address = origin.checkAddress ?? steered.address
            return ProbeTarget(
                id: id, key: "\(pool.name)/\(origin.name)/\(address)", address: address,
                host: origin.host.map { String($0.description.dropLast()) },
                monitor: monitor.bound(toOrigin: "\(pool.name)/\(origin.name)"),
                isTimed: timedPools.contains(steered.pool))
        }
        base = HealthTable(count: addresses.count)
    }

    /// Makes a table say how soon its verdicts could flip if they have been the same for a while.
    public func settle(_ table: inout HealthTable) {
        for target in targets where target.isTimed {
            table.setHorizon(
                target.monitor.horizon(of: TargetHealth(settledAs: table[target.id])), of: target.id
            )
        }
    }

    /// How many places are probed: targets with one key are one.
    public var probeCount: Int { Set(targets.map(\.key)).count }
}
