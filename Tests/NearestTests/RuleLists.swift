// Configurations of rules of every kind as plain values, and their text: what a random one is made of,
// what `RuleOracle` works out, and what the server is given to read.

import DNSWire

/// Pools, regions, overrides and services.
struct TestWorld {
    var pools: [TestPool] = []
    var regions: [TestRegion] = []
    var overrides: [(network: IPNetwork, place: ClientPlace)] = []
    /// Where clients are whom nobody locates.
    var defaultPlace: ClientPlace?
    /// Those that others name come first.
    var services: [TestService] = []

    static func host(_ service: Int) -> String { "s\(service).example" }

    static let apex = "example."
}

/// Origins at one place; `o1` of the third pool has 192.0.3.1 and 2001:db8:3::1.
struct TestPool {
    var latitude: Double?
    var longitude: Double?
    var policy: OriginChoice
    var weights: [Int]

    enum OriginChoice: String, CaseIterable { case all, weighted, hash }
}

/// Whoever one of its parts holds.
struct TestRegion {
    var name: String
    var parts: TestMatch
}

/// All stated fields have to hold.
struct TestMatch {
    var networks: [IPNetwork]?
    var asns: [Int]?
    var continents: [String]?
    var countries: [String]?
    /// `US-CA`.
    var subdivisions: [String]?
    /// `DE/Berlin`.
    var cities: [String]?
    /// Predefined ones, or those of the world.
    var regions: [String]?
    var any: [TestMatch]?
    var not: [TestMatch]?

    static let kinds = [
        "networks", "asns", "continents", "countries", "subdivisions", "cities",
        "predefined regions",
        "own regions", "any", "not",
    ]
}

struct TestRule {
    var match: TestMatch?
    var policy: Choice
    var entries: [Entry]

    enum Choice: String, CaseIterable { case proximity, failover, weighted, hash, all }

    struct Entry {
        var target: Target
        var weight = 1
        var bias = 0
    }

    enum Target: Hashable {
        case pool(Int)
        case service(Int)
    }
}

struct TestService {
    var rules: [TestRule]
    var fallback: Int
    var ignoresSubnets = false
}

// MARK: - As the server reads them

extension TestWorld {
    var zone: String {
        """
        $TTL 300
        @ SOA ns1 hostmaster 1 3600 600 604800 60
        @ NS ns1
        ns1 A 192.0.2.53

        """ + services.indices.map { "s\($0) STEER s\($0)\n" }.joined()
    }

    var poolFile: String {
        var text = "pools:\n"
        for (index, pool) in pools.enumerated() {
            let origins = pool.weights.enumerated().map { origin, weight in
                "o\(origin): { addresses: [192.0.\(index).\(origin), \"2001:db8:\(index)::\(origin)\"]"
                    + (pool.policy == .all ? "" : ", weight: \(weight)") + " }"
            }
            var place = ""
            if let latitude = pool.latitude, let longitude = pool.longitude {
                place = "location: [\(latitude), \(longitude)], "
            }
            text +=
                "  p\(index): { monitor: m, \(place)policy: \(pool.policy),"
                + " origins: { \(origins.joined(separator: ", ")) } }\n"
        }
        text += "monitors: { m: { type: tcp } }\nregions:\n"
        for region in regions { text += "  \(region.name): \(region.parts.text)\n" }
        text += "services:\n"
        for (index, service) in services.enumerated() {
            text +=
                "  s\(index):\n    ecs: \(service.ignoresSubnets ? "ignore" : "use")\n"
                + "    fallback: p\(service.fallback)\n    rules:\n"
            for rule in service.rules { text += "      - \(rule.text)\n" }
        }
        return text
    }

    var overridesFile: String {
        "networks:\n" + overrides.map { "  \"\($0)\": { \($1.text) }\n" }.joined()
            + (defaultPlace.map { "default: { \($0.text) }\n" } ?? "")
    }
}

extension ClientPlace {
    fileprivate var text: String {
        let place = self
        var parts: [String] = []
        if let continent = place.continent { parts.append("continent: \(continent)") }
        if let country = place.country { parts.append("country: \"\(country)\"") }
        let subdivisions = place.subdivisions.map(quoted).joined(separator: ", ")
        if !subdivisions.isEmpty { parts.append("subdivision: [\(subdivisions)]") }
        if let city = place.city { parts.append("city: \(quoted(city))") }
        if let latitude = place.latitude, let longitude = place.longitude {
            parts.append("coordinates: [\(latitude), \(longitude)]")
        }
        if let asn = place.asn { parts.append("asn: \(asn)") }
        return parts.joined(separator: ", ")
    }
}

extension TestRule {
    var text: String {
        let entries = entries.map { entry in
            let name =
                switch entry.target {
                case .pool(let index): "pool: p\(index)"
                case .service(let index): "service: s\(index)"
                }
            switch policy {
            case .weighted, .hash: return "{ \(name), weight: \(entry.weight) }"
            case .proximity: return "{ \(name), bias: \(entry.bias) }"
            case .failover, .all: return "{ \(name) }"
            }
        }
        let match = match.map { "match: \($0.text), " } ?? ""
        return "{ \(match)policy: \(policy), pools: [\(entries.joined(separator: ", "))] }"
    }
}

extension TestMatch {
    var text: String {
        var parts: [String] = []
        func add(_ key: String, _ entries: [String]?) {
            guard let entries else { return }
            parts.append("\(key): [\(entries.joined(separator: ", "))]")
        }
        add("networks", networks?.map { quoted("\($0)") })
        add("asns", asns?.map { $0.isMultiple(of: 2) ? "\($0)" : "AS\($0)" })
        add("continents", continents)
        add("countries", countries?.map(quoted))
        add("subdivisions", subdivisions)
        add("cities", cities?.map(quoted))
        add("regions", regions)
        add("any", any?.map(\.text))
        add("not", not?.map(\.text))
        return "{ \(parts.joined(separator: ", ")) }"
    }
}

private func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
}
