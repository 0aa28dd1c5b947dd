// From pool files to what is probed: monitors read, and one target for each address that has one.

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
        targets = addresses.enumerated().compactMap { id, steered in
            guard let monitor = steered.monitor.flatMap({ monitors[$0] }) else { return nil }
            let pool = configuration.pools[steered.pool]
            let key = "\(pool.name)/\(pool.origins[steered.origin].name)/\(steered.address)"
            return ProbeTarget(id: id, key: key, address: steered.address, monitor: monitor)
        }
        base = HealthTable(count: addresses.count)
    }
}
