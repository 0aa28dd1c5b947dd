// Pool files and overrides: the input is a YAML file, read as each.

import DNSWire
import Geo
import Health
import Settings
import Steering

extension FuzzTarget {
    static let pools = FuzzTarget(name: "pools", maximumLength: 4_096) {
        { octets in
            // As the loader has it: what is not UTF-8 is refused before it is parsed.
            guard let text = String(validating: octets, as: UTF8.self) else { return nil }
            let lines = octets.count(where: { $0 == 10 || $0 == 13 }) + 1
            let (overrides, findings) = readOverrides(text)
            if let fault = placeFault(findings, lines: lines) { return fault }

            var diagnostics = Diagnostics()
            var entries: [MonitorEntry] = []
            let configuration = SteeringConfiguration.parse(
                [PoolFile(name: "f", text: text)], monitors: &entries, diagnostics: &diagnostics)
            guard (configuration == nil) == diagnostics.hasErrors else {
                return "errors and a configuration, or neither"
            }
            for entry in entries {
                let errors = diagnostics.errorCount
                let monitor = Monitor(name: entry.name, entry.value, &diagnostics)
                guard (monitor == nil) == (diagnostics.errorCount > errors) else {
                    return "errors and a monitor, or neither"
                }
            }
            if let fault = placeFault(diagnostics, lines: lines) { return fault }
            return configuration.flatMap { steeringFault($0, overrides ?? LocationOverrides()) }
        }
    }
}

/// Every finding says where it is, and is there.
func placeFault(_ diagnostics: Diagnostics, lines: Int) -> String? {
    for finding in diagnostics.sorted {
        let position = finding.position
        guard position.file == "f", (0...lines + 1).contains(position.line), position.column >= 0,
            !finding.message.isEmpty
        else { return "a finding at no place: \(finding)" }
    }
    return nil
}

/// What loads also decides, for any client and any health.
private func steeringFault(
    _ configuration: SteeringConfiguration, _ overrides: LocationOverrides
) -> String? {
    let geography = Geography(database: nil, overrides: overrides)
    guard let steering = try? Steering(configuration, geography: geography) else {
        return "what was read is not compiled"
    }
    var findings = Diagnostics()
    steering.checkPlaces(&findings)
    let resolvers =
        ["10.0.0.53", "203.0.113.53", "::ffff:192.0.2.53"].map { IPAddress($0) } + [nil]
    let clients = ["10.1.2.3", "192.0.2.1", "203.0.113.9", "2001:db8::1", "::ffff:192.0.2.1"]
    // All alike; then the first down, the next up, and so on.
    for verdict in [Verdict.up, .down, .unknown, nil] {
        var health = HealthTable(count: steering.addresses.count, verdict: verdict ?? .up)
        if verdict == nil {
            for index in stride(from: 0, to: health.count, by: 2) { health[index] = .down }
        }
        let state = SteeringState(steering, health: health)
        for service in configuration.services.indices.prefix(16) {
            for (index, client) in clients.compactMap({ IPAddress($0) }).enumerated() {
                let resolver = resolvers[(index + service) % resolvers.count]
                let whole = Int(client.family.rawValue)
                guard let subnet = IPNetwork(client, length: whole) else { return "no network" }
                let asking = Client(subnet, resolver: resolver)
                let decision = state.decide(service: service, client: asking, random: .max)
                guard decision.scope <= client.family.rawValue else { return "too long a scope" }
                let hasAnswer =
                    decision.reason == .failure
                    || state.addresses(decision).isEmpty != (state.host(decision) == nil)
                guard hasAnswer else {
                    return "\(configuration.services[service].name) has no answer for \(client)"
                }
                let explanation = state.explain(service: service, client: asking, random: .max)
                guard explanation.decision == decision else {
                    return "explained otherwise than decided"
                }
            }
        }
    }
    return nil
}
