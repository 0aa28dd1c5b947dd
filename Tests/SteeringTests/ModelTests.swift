// Decisions against a model that asks the definitions of each address anew: the ladder, matches, orders and
// services within services, without trees, shapes and outcomes. Every address of an answer's scope has to
// come to the same pool by the model, too.

import DNSWire
import Geo
import Testing

@testable import Steering

@Suite("decisions and definitions")
struct ModelTests {
    /// The definitions, in as many words.
    private struct Model {
        let steering: Steering
        let state: SteeringState

        var configuration: SteeringConfiguration { steering.configuration }

        func pool(_ service: Service, _ client: Client) -> Int {
            var address = client.address
            if let resolver = client.resolver {
                if service.clientSubnet == .ignore
                    || !knows(address, service) && knows(resolver, service)
                {
                    address = resolver
                }
            }
            let members = reach(service, address)
            let best = ["healthy", "degraded"].first { members.map(tier).contains($0) }
            if let best { return pick(service, address) { tier($0) == best }! }
            let fallback = service.fallback!
            if tier(fallback) != "down" || mayWork(fallback) { return fallback }
            return pick(service, address, where: mayWork) ?? fallback
        }

        /// How good a pool is, by the verdicts on its origins of one address.
        private func tier(_ index: Int) -> String {
            let pool = configuration.pools[index]
            let stated = pool.minimumHealthy[0].text
            let wanted =
                stated.hasSuffix("%")
                ? (Double(stated.dropLast())! / 100 * Double(pool.origins.count)).rounded(.up)
                : Double(stated)!
            let having = verdicts(index)
            if Double(having.count { $0 == .up }) >= wanted { return "healthy" }
            let fit = having.count { $0 == .up || $0 == .degraded }
            return Double(fit) >= wanted ? "degraded" : "down"
        }

        private func mayWork(_ index: Int) -> Bool {
            verdicts(index).contains { $0 != .down && $0 != .unknown }
        }

        private func verdicts(_ index: Int) -> [Verdict] {
            steering.addresses.indices.filter { steering.addresses[$0].pool == index }
                .map { state.health[$0] }
        }

        /// The pools that the rules for an address come to.
        private func reach(_ service: Service, _ address: IPAddress) -> [Int] {
            guard let (rule, _) = rule(service, address) else { return [] }
            return rule.pools.flatMap { reference in
                switch reference.target {
                case .pool(let index): [index]
                case .service(let index): reach(configuration.services[index], address)
                }
            }
        }

        private func rule(
            _ service: Service, _ address: IPAddress
        ) -> (rule: Rule, found: LocatedAddress)? {
            let found = steering.geography.findOrAssume(address)
            let located = found.foldedIPv4 ?? address
            return service.rules.first {
                $0.match?.firstMismatch(located, found.location) == nil
            }.map { ($0, found) }
        }

        /// Whether anything that the service asks for is known of an address.
        private func knows(_ address: IPAddress, _ service: Service) -> Bool {
            if isSameForEveryone(service) { return true }
            let located = FoldedSpace.ipv4(in: address) ?? address
            let overrides = steering.geography.overrides
            if overrides.entry(for: located, where: \.isPlace) != nil { return true }
            let rules = everyRule(service)
            let keys = rules.filter(\.policy.usesMeasurements).flatMap(configuration.pools)
                .compactMap { configuration.latency.columns[configuration.pools[$0].name] }
                .flatMap(\.rows).map(\.key)
            var matches = rules.flatMap { $0.match?.everyMatch ?? [] }
            var asns: Set<UInt32> = []
            for key in keys {
                switch key {
                case .network(let network): if network.contains(located) { return true }
                case .system(let number): asns.insert(number)
                case .region(let name):
                    matches += configuration.regions(named: [name]).flatMap(\.parts)
                        .flatMap(\.everyMatch)
                default: break
                }
            }
            if matches.contains(where: { $0.networks?.contains { $0.contains(located) } ?? false })
            {
                return true
            }
            asns.formUnion(matches.flatMap { $0.asns ?? [] })
            let asn = overrides.entry(for: located, where: { $0.asn != nil })?.location.asn
            if let asn, asns.contains(asn) { return true }
            let asksForPlaces = rules.contains { rule in
                rule.policy.dependsOnPlace
                    || rule.match?.everyMatch.contains { $0.namesPlaces || $0.asns != nil } ?? false
            }
            return SpecialSpace.containing(located) == nil && !asksForPlaces
        }

        private func everyRule(_ service: Service) -> [Rule] {
            service.rules.flatMap { rule in
                [rule] + nested(rule).flatMap { everyRule($0) }
            }
        }

        private func nested(_ rule: Rule) -> [Service] {
            rule.pools.compactMap {
                if case .service(let index) = $0.target {
                    configuration.services[index]
                } else {
                    nil
                }
            }
        }

        private func isSameForEveryone(_ service: Service) -> Bool {
            let first = service.rules[0]
            return first.match == nil && !first.policy.dependsOnPlace
                && nested(first).allSatisfy(isSameForEveryone)
        }

        /// The first pool of the order that is good enough.
        private func pick(
            _ service: Service, _ address: IPAddress, where isGood: (Int) -> Bool
        ) -> Int? {
            guard let (rule, found) = rule(service, address) else { return nil }
            let located = found.foldedIPv4 ?? address
            let order = rule.pools.enumerated().map { position, reference in
                (cost(reference, rule, located, found.location), position)
            }.sorted { $0 < $1 }
            for (_, position) in order {
                switch rule.pools[position].target {
                case .pool(let index): if isGood(index) { return index }
                case .service(let index):

                    let service = configuration.services[index]
                    if let pool = pick(service, address, where: isGood) { return pool }
                }
            }
            return nil
        }

        /// Less is better; equal ones go by the file.
        private func cost(
            _ reference: PoolReference, _ rule: Rule, _ address: IPAddress, _ location: Location?
        ) -> Double {
            guard rule.policy.dependsOnPlace else { return 0 }
            if !rule.policy.usesMeasurements, location?.coordinates == nil { return 0 }
            return configuration.pools(of: reference.target).map { pool in
                let row = steering.latencyRow(forPool: pool, address, location)
                if rule.policy.usesMeasurements, let row { return row.milliseconds }
                guard let here = location?.coordinates,
                    let there = configuration.pools[pool].location
                else { return .infinity }
                let distance = distanceKilometres(here, there)
                return rule.policy.usesMeasurements
                    ? distance * 3 / 199.861_638_67
                    : reference.bias < 0
                        ? distance / (1 + Double(reference.bias) / 100)
                        : distance * (1 - Double(reference.bias) / 100)
            }.min() ?? .infinity
        }
    }

    /// Networks that nest, touch and overlap in what overrides, rules and rows say.
    private static let networks = [
        "10.0.0.0/9", "10.1.0.0/16", "10.1.128.0/17", "10.2.0.0/15", "10.9.8.0/22", "172.16.0.0/12",
        "192.168.1.0/24", "192.168.1.128/25", "203.0.112.0/21", "203.0.113.0/24", "203.0.113.64/26",
        "203.0.113.128/28", "198.51.100.0/25", "198.51.100.64/26", "8.8.0.0/16", "0.0.0.0/0",
        "2001:db8::/32", "2001:db8:a::/48", "2001:db8:a:8000::/52", "2000::/3", "fd00::/9", "::/0",
    ]

    private struct Maker {
        var random: SeededGenerator

        mutating func below(_ count: Int) -> Int { Int(random.next() >> 33) % count }
        mutating func one<Element>(of elements: [Element]) -> Element {
            elements[below(elements.count)]
        }
        mutating func some(of elements: [String], most: Int) -> [String] {
            Array(elements.shuffled(using: &random).prefix(1 + below(min(most, elements.count))))
        }

        mutating func place() -> String {
            let country = one(of: ["JP", "GB", "BR", "US", "KE"])
            return one(of: [
                "country: \(country), coordinates: [\(below(140) - 70), \(below(340) - 170)]",
                "country: \(country)", "continent: AF", "coordinates: [35, 139]",
                "country: US, subdivision: CA, city: Fresno, coordinates: [36.7, -119.8]",
            ])
        }

        mutating func places() -> String {
            some(of: networks, most: 12).map { network in
                let asn = "asn: \(64_500 + below(3))"
                let says = one(of: [place(), place(), asn, "\(place()), \(asn)"])
                return "\"\(network)\": { \(says) }"
            }.joined(separator: "\n")
        }

        mutating func match(_ depth: Int = 0) -> String {
            let listed = some(of: networks, most: 3).map { "\"\($0)\"" }.joined(separator: ", ")
            var fields = [
                "networks: [\(listed)]", "asns: \(64_500 + below(3))", "countries: [JP, BR]",
                "continents: [AF, EU]", "subdivisions: US-CA", "cities: US/Fresno",
                "regions: [corner, SEAS]",
            ]
            if depth < 2 { fields += ["any: [\(match(depth + 1)), \(match(depth + 1))]"] }
            if depth < 2 { fields += ["not: \(match(depth + 1))"] }
            return "{ \(some(of: fields, most: 2).joined(separator: ", ")) }"
        }

        mutating func rules(_ services: [String]) -> String {
            let count = 1 + below(4)
            return (0..<count).map { index in
                let isLast = index == count - 1 && below(3) > 0
                let policy = one(of: ["failover", "proximity", "latency"])
                let entries = some(
                    of: (0..<6).map { "pool: p\($0)" } + services.map { "service: \($0)" }, most: 7)
                return "{ \(isLast ? "" : "match: \(match()), ")policy: \(policy), pools: ["
                    + entries.map {
                        "{ \($0)\(policy == "proximity" ? ", bias: \(one(of: [0, 40, -30]))" : "") }"
                    }.joined(separator: ", ") + "] }"
            }.joined(separator: ", ")
        }

        mutating func configuration() -> String {
            var text = "monitors: { m: { type: tcp } }\npools:\n"
            for (index, place) in ["50, 8", "39, -77", "35, 139", "-23, -46", "-33, 151", "0, 0"]
                .enumerated()
            {
                text +=
                    "  p\(index): { monitor: m, \(below(6) > 0 ? "location: [\(place)], " : "")"
                    + "min_healthy: \(one(of: ["1", "1", "2", "34%", "100%"])), origins: { "
                    + (1...3).map { "o\($0): { addresses: 192.0.\(index).\($0) }" }
                    .joined(separator: ", ") + " } }\n"
            }
            text +=
                "regions: { corner: { networks: [10.9.8.0/22, 203.0.113.64/26], countries: BR } }\n"
            text += "services:\n"
            var services: [String] = []
            for name in ["a", "b", "c", "d"] {
                text +=
                    "  \(name): { fallback: p0, ecs: \(one(of: ["use", "use", "ignore"])),"
                    + " rules: [\(rules(services))] }\n"
                services.append(name)
            }
            return text
        }

        mutating func latency() -> String {
            let keys =
                ModelTests.networks + [
                    "US-CA", "JP", "KE", "region:SEAS", "region:corner", "AS64500", "AS64501",
                    "continent:EU", "continent:AF", "*",
                ]
            return "key,pool,rtt_ms\n"
                + some(of: keys, most: 10).flatMap { key in
                    some(of: (0..<6).map { "p\($0)" }, most: 4).map {
                        "\(key),\($0),\(1 + below(90))\n"
                    }
                }.joined()
        }

        /// An address where something may change, or by which another carries it.
        mutating func address() -> IPAddress {
            let all = networks + SpecialSpace.networks.map(\.network.description)
            let network = IPNetwork(one(of: all))!
            let address = one(of: network.address.samples(inFirst: network.length, 2, &random))
            guard address.family == .ipv4, below(4) == 0 else { return address }
            let bits = UInt64(address.ipv4Bits)
            return one(of: [
                IPAddress(family: .ipv6, high: 0, low: 0xFFFF_0000_0000 | bits),
                IPAddress(family: .ipv6, high: 0x2002 << 48 | bits << 16, low: 7),
                IPAddress(family: .ipv6, high: 0x2001_0000 << 32, low: ~bits & 0xFFFF_FFFF),
                IPAddress(family: .ipv6, high: 0x64_FF9B << 32, low: bits),
            ])
        }

        private var networks: [String] { ModelTests.networks }
    }

    @Test(
        "each client gets what the definitions say, and so does all of its scope", arguments: 0..<40
    )
    func agreement(seed: Int) throws {
        var maker = Maker(random: SeededGenerator(UInt64(seed * 7_919 + 3)))
        var text = maker.configuration()
        // Rules that never match are errors: then another.
        while parse(text).configuration == nil { text = maker.configuration() }
        let latency = maker.latency()
        let places = maker.places()
        let fallback = maker.below(2) == 0 ? nil : "{ \(maker.place()) }"
        let (configuration, messages) = parse(text, latency: latency)
        let steering = try Steering(
            try #require(configuration, "\(messages)\n\(text)"),
            geography: geography(places, default: fallback))
        let kinds: [Verdict] =
            maker.one(of: [
                [.up, .up, .degraded, .down], [.degraded, .down], [.down, .drained, .down],
            ])
        var health = HealthTable(count: steering.addresses.count)
        for pool in steering.configuration.pools.indices {
            let verdict = maker.one(of: kinds)
            for index in steering.firstAddresses[pool]..<steering.firstAddresses[pool] + 3 {
                health[index] =
                    maker.below(4) == 0 ? maker.one(of: kinds + [.degraded, .unknown]) : verdict
            }
        }
        let model = Model(steering: steering, state: SteeringState(steering, health: health))
        for (index, service) in steering.configuration.services.enumerated() {
            for _ in 0..<40 {
                let resolver = maker.below(3) == 0 ? nil : maker.address()
                let address = maker.address()
                func client(_ address: IPAddress) -> Client {
                    resolver.map {
                        Client(address, knownBits: address.family.rawValue, resolver: $0)
                    }
                        ?? Client(address)
                }
                let decision = model.state.decide(
                    service: index, client: client(address), random: 0)
                let context =
                    "\(service.name) for \(address) by \(resolver?.description ?? "itself"),"
                    + " scope \(decision.scope), \(health.verdicts)\n\(text)\n\(latency)\n\(places)"
                    + "\ndefault: \(fallback ?? "none")"
                #expect(Int(decision.pool) == model.pool(service, client(address)), "\(context)")
                for other in address.samples(inFirst: Int(decision.scope), 6, &maker.random) {
                    #expect(
                        Int(decision.pool) == model.pool(service, client(other)),
                        "\(other) in the scope: \(context)")
                }
            }
        }
    }
}
