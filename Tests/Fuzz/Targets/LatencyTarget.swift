// The table of round trips: the input is `geo/latency.csv`; what follows a zero octet is the file as it
// was before, which a running server goes by.

import DNSWire
import Geo
import Settings
import Steering

extension FuzzTarget {
    static let latency = FuzzTarget(name: "latency", maximumLength: 4_096) {
        let places = """
            networks:
              192.0.2.0/24: { country: US, subdivision: CA, coordinates: [37, -122] }
              198.51.100.0/24: { country: DE }
              "2001:db8::/32": { country: KE, coordinates: [-1, 37] }
            """
        var diagnostics = Diagnostics()
        let overrides = parseSettings(places, file: "places", diagnostics: &diagnostics).map {
            LocationOverrides.parse($0, &diagnostics)
        }
        let geography = Geography(database: nil, overrides: overrides ?? LocationOverrides())
        return { octets in
            let parts = octets.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
            var tables: [LatencyTable?] = []
            for part in parts {
                var diagnostics = Diagnostics()
                let table = LatencyTable.parse(Array(part), file: "f", &diagnostics)
                guard (table == nil) == diagnostics.hasErrors else {
                    return "errors and a table, or neither"
                }
                let lines = part.count(where: { $0 == 10 || $0 == 13 }) + 1
                for finding in diagnostics.sorted {
                    let position = finding.position
                    guard position.file == "f", (0...lines).contains(position.line),
                        (0...part.count + 1).contains(position.column), !finding.message.isEmpty
                    else { return "a finding at no place: \(finding)" }
                }
                guard (table?.rowCount ?? 0) <= part.count / 6 else { return "rows of nothing" }
                tables.append(table)
            }
            guard let table = tables.first ?? nil else { return nil }
            return fault(of: table, after: (tables.last ?? nil) ?? table, geography)
        }
    }
}

/// What a table decides it also explains, and what was in force stays within its margin.
private func fault(
    of table: LatencyTable, after previous: LatencyTable, _ geography: Geography
) -> String? {
    let pools = """
        pools:
          a: { location: [50, 8], origins: { o: { addresses: 192.0.2.1 } } }
          b: { location: [39, -77], origins: { o: { addresses: 192.0.2.2 } } }
          c: { origins: { o: { addresses: 192.0.2.3 } } }
        regions: { r: { countries: [DE, KE], networks: 203.0.113.0/25 } }
        services: { s: { rules: [{ policy: latency, pools: [a, b, c] }] } }
        """
    var diagnostics = Diagnostics()
    guard
        var configuration = SteeringConfiguration.parse(
            [PoolFile(name: "p", text: pools)], latency: table, diagnostics: &diagnostics)
    else { return "a table that pool files can't go with" }
    configuration.settleLatency(after: previous)
    guard configuration.latency.rowCount <= table.rowCount else { return "rows out of nowhere" }
    guard let steering = try? Steering(configuration, geography: geography) else {
        return "what was read is not compiled"
    }
    let health = HealthTable(count: steering.addresses.count, verdict: .up)
    let state = SteeringState(steering, health: health)
    for client in ["192.0.2.1", "198.51.100.9", "203.0.113.9", "2001:db8::1", "2a00::1"] {
        guard let address = IPAddress(client) else { continue }
        let explanation = state.explain(service: 0, client: Client(address), random: 0)
        // The explanation looks each row up, the decision has them from its tree.
        let told = explanation.candidates.map { $0.roundTrip?.milliseconds ?? .infinity }
        guard told == told.sorted(), explanation.candidates.count == 3 else {
            return "\(client): decided otherwise than explained: \(told)"
        }
        for row in explanation.candidates.compactMap(\.roundTrip?.row) {
            guard row.measured > 0, row.position.line > 0 else { return "a row at no place" }
        }
    }
    return nil
}
