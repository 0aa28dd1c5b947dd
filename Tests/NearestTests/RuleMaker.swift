// Random configurations of rules of every kind, from what the database has: its countries, its cities,
// its networks.

import DNSWire

/// Makes worlds by a seed.
struct RuleMaker {
    var random: Randomness
    private let database: CityDatabase
    private let systems: CityDatabase?
    /// Networks of the database, with what it says of them.
    private let samples: [(network: IPNetwork, place: ClientPlace)]
    private var world = TestWorld()

    init(_ database: CityDatabase, _ systems: CityDatabase?, seed: UInt64) {
        random = Randomness(state: seed)
        self.database = database
        self.systems = systems
        var samples: [(IPNetwork, ClientPlace)] = []
        while samples.count < 400 {
            let family: IPAddress.Family = samples.count.isMultiple(of: 3) ? .ipv6 : .ipv4
            let (address, length) = database.drawAddress(family, &random)
            var place = database.place(of: address)
            place.asn = systems?.place(of: address).asn
            guard place.country != nil, carriedIPv4(address) == nil else { continue }
            samples.append((networkOf(address, length), place))
        }
        self.samples = samples
    }

    /// A world of services that go two levels deep: the first two name pools alone.
    mutating func makeWorld(services: Int) -> TestWorld {
        world = TestWorld()
        world.pools = (0..<8).map { _ in makePool() }
        world.overrides = makeOverrides()
        if below(2) == 0 {
            world.defaultPlace = makePlace()
            world.defaultPlace?.asn = nil
        }
        world.regions = (0..<3).map { TestRegion(name: "region\($0)", parts: makeParts()) }
        for index in 0..<services {
            let named = index < 2 ? 0 : index < 4 ? 2 : 4
            world.services.append(makeService(naming: named))
        }
        return world
    }

    private mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    private mutating func one<Element>(of elements: [Element]) -> Element {
        elements[below(elements.count)]
    }

    // MARK: - Pools and places

    private mutating func makePool() -> TestPool {
        let isPlaced = below(8) > 0
        return TestPool(
            latitude: isPlaced ? Double(below(12_000) - 5_000) / 100 : nil,
            longitude: isPlaced ? Double(below(36_000) - 18_000) / 100 : nil,
            policy: one(of: TestPool.OriginChoice.allCases),
            weights: (0...below(3)).map { _ in 1 + below(4) })
    }

    private mutating func makeOverrides() -> [(network: IPNetwork, place: ClientPlace)] {
        var overrides: [(network: IPNetwork, place: ClientPlace)] = []
        for _ in 0..<12 {
            let network = makeNetwork()
            guard !overrides.contains(where: { $0.network == network }) else { continue }
            var place = below(4) > 0 ? makePlace() : ClientPlace()
            if place.country == nil || below(2) == 0 {
                place.latitude = Double(below(12_000) - 5_000) / 100
                place.longitude = Double(below(36_000) - 18_000) / 100
            }
            if below(3) == 0 { place.asn = 1_000 + below(5) }
            // Some state whose the network is, and not where.
            if below(6) == 0 { place = ClientPlace(asn: 1_000 + below(5)) }
            overrides.append((network, place))
        }
        return overrides
    }

    /// What an override says of a network, which a database without parts of countries never does.
    private mutating func makePlace() -> ClientPlace {
        let other = one(of: samples).place
        var place = ClientPlace(continent: other.continent ?? "EU", country: other.country)
        var parts = other.subdivisions.filter { isCode($0) } + ["XY"]
        if below(3) == 0 {
            (place.continent, place.country) = ("NA", one(of: ["US", "CA"]))
            parts = place.country == "US" ? ["CA", "TX", "NY"] : ["BC", "AB", "ON"]
        }
        place.city = other.city ?? "Springfield"
        place.subdivisions = Array(parts.shuffled(using: &random).prefix(below(3)))
        return place
    }

    /// A network of the database, or around one, or within one.
    private mutating func makeNetwork() -> IPNetwork {
        let sample = one(of: samples).network
        let range = sample.address.family == .ipv4 ? 8...28 : 20...60
        let length = below(2) == 0 ? sample.length : sample.length + below(9) - 4
        return networkOf(
            sample.address, min(max(length, range.lowerBound), range.upperBound))
    }

    private func isCode(_ text: String) -> Bool {
        (1...3).contains(text.utf8.count)
            && text.utf8.allSatisfy { (65...90).contains($0) || (48...57).contains($0) }
    }

    /// A place that rules are to hold for: of the database or of an override.
    private mutating func anchor() -> (network: IPNetwork, place: ClientPlace) {
        let overrides = world.overrides.filter { $0.place.country != nil }
        return !overrides.isEmpty && below(4) == 0 ? one(of: overrides) : one(of: samples)
    }

    // MARK: - Matches

    /// Each of the fields that a place has by itself, more or less.
    private mutating func makeParts() -> TestMatch {
        var parts = TestMatch()
        for kind in 0..<6 where below(2) == 0 { set(kind, of: &parts, anchor()) }
        if parts.text == TestMatch().text { parts.countries = [anchor().place.country ?? "DE"] }
        return parts
    }

    private mutating func makeMatch(depth: Int = 0) -> TestMatch {
        var match = TestMatch()
        let anchor = anchor()
        // Two fields seldom hold together if they are of different places.
        for _ in 0..<(below(3) == 0 ? 2 : 1) {
            let kind = one(
                of: depth < 2 ? [0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9] : [0, 1, 2, 3, 4, 5, 6, 7])
            if kind == 2 && match.subdivisions != nil || kind == 3 && match.countries != nil {
                continue
            }
            switch kind {
            case 6:
                // One of the two that share countries, or any others.
                match.regions =
                    below(2) == 0
                    ? [one(of: ["ENAM", "WNAM"])]
                    : [one(of: WorldRegion.names), one(of: WorldRegion.names)]
            case 7: match.regions = ["region\(below(3))"]
            case 8: match.any = (0...below(3)).map { _ in makeMatch(depth: depth + 1) }
            case 9: match.not = (0...below(2)).map { _ in makeMatch(depth: depth + 1) }
            default: set(kind, of: &match, anchor)
            }
        }
        if let regions = match.regions, Set(regions).count < regions.count {
            match.regions = [regions[0]]
        }
        return match
    }

    /// States one field so that it holds for a place, if the place has it, and for some others.
    private mutating func set(
        _ kind: Int, of match: inout TestMatch, _ anchor: (network: IPNetwork, place: ClientPlace)
    ) {
        let others = (0..<below(4)).map { _ in one(of: samples) }
        let places = [anchor.place] + others.map(\.place)
        switch kind {
        case 0:
            let networks = [anchor.network] + others.map { _ in makeNetwork() }
            match.networks = unique(networks.filter { carriedIPv4($0.address) == nil })
        case 1: match.continents = unique(places.prefix(2).map { $0.continent ?? "AN" })
        case 2: match.countries = unique(places.compactMap(\.country))
        case 3:
            match.subdivisions = unique(
                places.map { place in
                    "\(place.country ?? "US")-\(place.subdivisions.first(where: isCode) ?? "CA")"
                })
        case 4:
            match.asns = unique(places.map { $0.asn ?? 1_000 + below(5) })
        default:
            match.cities = unique(
                places.map { "\($0.country ?? "DE")/\($0.city ?? "Springfield")" })
        }
    }

    private func unique<Element: Hashable>(_ elements: [Element]) -> [Element] {
        var seen: Set<Element> = []
        return elements.filter { seen.insert($0).inserted }
    }

    // MARK: - Services

    private mutating func makeService(naming services: Int) -> TestService {
        var rules = (0..<1 + below(5)).map { _ in makeRule(makeMatch(), naming: services) }
        if below(4) > 0 { rules.append(makeRule(nil, naming: services)) }
        return TestService(
            rules: rules, fallback: below(world.pools.count),
            ignoresSubnets: services > 0 && below(10) == 0)
    }

    private mutating func makeRule(_ match: TestMatch?, naming services: Int) -> TestRule {
        var targets = world.pools.indices.map { TestRule.Target.pool($0) }
        var policy = one(of: TestRule.Choice.allCases)
        if policy == .proximity || below(3) == 0 { policy = one(of: [.proximity, policy]) }
        if policy != .all { targets += (0..<services).map { .service($0) } }
        let chosen = targets.shuffled(using: &random).prefix(1 + below(5))
        return TestRule(
            match: match, policy: policy,
            entries: chosen.map {
                TestRule.Entry(target: $0, weight: below(4), bias: one(of: [0, 0, 40, -30]))
            })
    }
}
