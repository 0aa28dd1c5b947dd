// Overrides: the input is `geo/overrides.yaml`. What is read of it, asked by network and compiled into a
// tree, says the same of every network's ends.

import DNSWire
import Geo
import Settings

extension FuzzTarget {
    static let overrides = FuzzTarget(name: "overrides", maximumLength: 4_096) {
        { octets in
            // As the loader has it: what is not UTF-8 is refused before it is parsed.
            guard let text = String(validating: octets, as: UTF8.self) else { return nil }
            let lines = octets.count(where: { $0 == 10 || $0 == 13 }) + 1
            let (overrides, diagnostics) = readOverrides(text)
            if let fault = placeFault(diagnostics, lines: lines) { return fault }
            guard let overrides else {
                return diagnostics.hasErrors ? nil : "neither read nor wrong"
            }
            return treeFault(Geography(database: nil, overrides: overrides))
        }
    }
}

/// Reads a text as `geo/overrides.yaml`; nil if it is no YAML.
func readOverrides(_ text: String) -> (LocationOverrides?, Diagnostics) {
    var diagnostics = Diagnostics()
    let overrides = parseSettings(text, file: "f", diagnostics: &diagnostics).map {
        LocationOverrides.parse($0, &diagnostics)
    }
    return (overrides, diagnostics)
}

/// What a tree says otherwise than the entries, one by one.
private func treeFault(_ geography: Geography) -> String? {
    var places: [Location?] = []
    let tree = try? geography.compile(networks: [], withCities: true) { location, _ in
        if let known = places.firstIndex(of: location) { return UInt32(known) }
        places.append(location)
        return UInt32(places.count - 1)
    }
    guard let tree else { return "what was read is not compiled" }
    for entry in geography.overrides.entries {
        let network = entry.network
        for address in [network.address, network.last] {
            let match = tree.lookup(address)
            let found = geography.find(address)
            guard places[Int(match.outcome)] == found.location else {
                return "\(address) is at \(found), and not in the tree"
            }
            guard Int(match.scope) <= address.family.rawValue else { return "too long a scope" }
            // A wide network may lie around spaces that are located by the IPv4 address inside.
            guard found.foldedIPv4 != nil || geography.overrides.entry(for: address) != nil else {
                return "\(address) is not in \(network)"
            }
        }
    }
    return nil
}

extension IPNetwork {
    /// Its last address.
    fileprivate var last: IPAddress {
        let bits = Int(address.family.rawValue)
        let kept = IPAddress(family: address.family, high: .max, low: .max).masked(to: length)
        let all = IPAddress(family: address.family, high: .max, low: .max).masked(to: bits)
        return IPAddress(
            family: address.family, high: address.high | (all.high ^ kept.high),
            low: address.low | (all.low ^ kept.low))
    }
}
