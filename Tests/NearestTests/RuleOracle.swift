// What a configuration of rules has to answer, worked out by brute force from its meaning: rules one
// after the other, every pool's distance, every draw. Nothing of Sources/Geo or Sources/Steering is used.

import DNSWire
import Glibc

/// One answer that a client may get.
struct PossibleAnswer: Hashable {
    /// The origins whose addresses it has, as `POOL.ORIGIN`, in order.
    var origins: [String]
    /// How often it comes; 1 where nothing is drawn.
    var probability: Double
}

/// What a client has to get.
struct Expected {
    /// The rules that decided, outermost first; empty if none matched.
    var rules: [TestRule] = []
    var answers: [PossibleAnswer]
    /// Whether two pools are so close, in kilometres or in their draws, that either is right.
    var isClose = false

    /// Whether it is the same decision.
    func agrees(with other: Expected) -> Bool {
        isClose || other.isClose
            || Set(answers.map(\.origins)) == Set(other.answers.map(\.origins))
                && answers.allSatisfy { mine in
                    other.answers.contains {
                        $0.origins == mine.origins && abs($0.probability - mine.probability) < 1e-9
                    }
                }
    }
}

/// Answers for a world at one moment.
struct RuleOracle {
    let world: TestWorld
    /// Which origins are down, as `POOL.ORIGIN`.
    let down: Set<String>
    let database: CityDatabase
    let systems: CityDatabase?

    /// The address by which a service ignores subnets: that of `Asker`'s resolver.
    static let resolver = IPAddress(ipv4: 0xC000_0201)

    /// - Parameter bySubnet: whether a resolver disclosed the client, rather than asked for itself.
    func expected(_ service: Int, _ client: IPAddress, bySubnet: Bool) -> Expected {
        let settings = world.services[service]
        var address = settings.ignoresSubnets && bySubnet ? Self.resolver : client
        // Nobody knows the client: its resolver counts, if that is known.
        if bySubnet, isUnknown(address, to: service), !isUnknown(Self.resolver, to: service) {
            address = Self.resolver
        }
        if var found = decide(service, address, place(of: address)) {
            found.answers = merged(found.answers)
            return found
        }
        // The fallback, with what it has if all of it is down.
        let rules = matchingRule(service, address, place(of: address)).map { [$0] } ?? []
        return Expected(
            rules: rules,
            answers: merged(origins(of: settings.fallback, address, whateverHealth: true)))
    }

    /// An override's place, or else the database's.
    func place(of address: IPAddress) -> ClientPlace {
        let located = carriedIPv4(address) ?? address
        var place = knownPlace(of: located)
        if !place.isKnown, let assumed = world.defaultPlace {
            (place, place.asn) = (assumed, place.asn)
        }
        return place
    }

    /// By overrides or databases; for places and AS numbers the longest network that states one counts.
    private func knownPlace(of located: IPAddress) -> ClientPlace {
        let entries = world.overrides.filter { $0.network.contains(located) }
            .sorted { $0.network.length > $1.network.length }
        let isAsked = !isSpecial(located)
        var place =
            entries.first { $0.place.isKnown }?.place
            ?? (isAsked ? database.place(of: located) : ClientPlace())
        place.asn =
            entries.lazy.compactMap(\.place.asn).first
            ?? (isAsked ? systems?.place(of: located).asn : nil)
        return place
    }

    /// Whether nothing that a service asks for is known of an address.
    private func isUnknown(_ address: IPAddress, to service: Int) -> Bool {
        let located = carriedIPv4(address) ?? address
        guard !isSameForEveryone(service) else { return false }
        let rules = everyRule(of: service)
        let matches = rules.compactMap(\.match).flatMap(everyMatch)
        let place = knownPlace(of: located)
        let asksForPlaces =
            rules.contains { $0.policy == .proximity } || matches.contains(where: \.asksForPlaces)
        return !place.isKnown && !matches.contains { $0.asns?.contains(place.asn ?? 0) ?? false }
            && !matches.contains { $0.networks?.contains { $0.contains(located) } ?? false }
            && (isSpecial(located) || asksForPlaces)
    }

    /// Its own, and those of services that it names.
    private func everyRule(of service: Int) -> [TestRule] {
        world.services[service].rules.flatMap { rule in
            [rule]
                + rule.entries.flatMap { entry -> [TestRule] in
                    if case .service(let inner) = entry.target { everyRule(of: inner) } else { [] }
                }
        }
    }

    /// Itself, and all within, those of regions included.
    private func everyMatch(_ match: TestMatch) -> [TestMatch] {
        let regions = match.regions ?? []
        let parts = world.regions.filter { regions.contains($0.name) }.map(\.parts)
        // Predefined ones are made of countries.
        let predefined = regions.count > parts.count ? [TestMatch(countries: [])] : []
        return [match] + parts + predefined
            + ((match.any ?? []) + (match.not ?? [])).flatMap(everyMatch)
    }

    /// Whether its first rule takes everyone, wherever they are.
    private func isSameForEveryone(_ service: Int) -> Bool {
        guard let rule = world.services[service].rules.first, rule.match == nil,
            rule.policy != .proximity
        else { return false }
        return rule.entries.allSatisfy {
            if case .service(let inner) = $0.target { isSameForEveryone(inner) } else { true }
        }
    }

    private func merged(_ answers: [PossibleAnswer]) -> [PossibleAnswer] {
        var sums: [[String]: Double] = [:]
        for answer in answers { sums[answer.origins, default: 0] += answer.probability }
        return sums.map { PossibleAnswer(origins: $0.key, probability: $0.value) }
    }

    // MARK: - Rules

    private func matchingRule(_ service: Int, _ address: IPAddress, _ place: ClientPlace)
        -> TestRule?
    {
        world.services[service].rules.first { rule in
            rule.match.map { holds($0, address, place) } ?? true
        }
    }

    func holds(_ match: TestMatch, _ address: IPAddress, _ place: ClientPlace) -> Bool {
        if let networks = match.networks {
            let located = carriedIPv4(address) ?? address
            guard networks.contains(where: { $0.contains(located) }) else { return false }
        }
        if let asns = match.asns {
            guard let own = place.asn, asns.contains(own) else { return false }
        }
        if let continents = match.continents {
            guard let own = place.continent, continents.contains(own) else { return false }
        }
        if let countries = match.countries {
            guard let own = place.country, countries.contains(own) else { return false }
        }
        if let subdivisions = match.subdivisions {
            guard let country = place.country,
                place.subdivisions.contains(where: { subdivisions.contains("\(country)-\($0)") })
            else { return false }
        }
        if let cities = match.cities {
            guard let country = place.country, let city = place.city else { return false }
            let own = "\(country)/\(city)".lowercased()
            guard cities.contains(where: { $0.lowercased() == own }) else { return false }
        }
        if let regions = match.regions {
            guard regions.contains(where: { isIn($0, address, place) }) else { return false }
        }
        if let any = match.any, !any.contains(where: { holds($0, address, place) }) { return false }
        if let not = match.not, not.contains(where: { holds($0, address, place) }) { return false }
        return true
    }

    /// A region holds whom one of its fields does.
    private func isIn(_ name: String, _ address: IPAddress, _ place: ClientPlace) -> Bool {
        guard let region = world.regions.first(where: { $0.name == name }) else {
            return place.country != nil && WorldRegion.of(place) == name
        }
        let parts = region.parts
        return [
            TestMatch(networks: parts.networks), TestMatch(asns: parts.asns),
            TestMatch(continents: parts.continents),
            TestMatch(countries: parts.countries), TestMatch(subdivisions: parts.subdivisions),
            TestMatch(cities: parts.cities),
        ].contains { part in
            let isStated =
                part.networks != nil || part.asns != nil || part.continents != nil
                || part.countries != nil
                || part.subdivisions != nil || part.cities != nil
            return isStated && holds(part, address, place)
        }
    }

    // MARK: - Policies

    /// What a service's rules choose; nil if no rule matches or nothing of it can be used.
    private func decide(_ service: Int, _ address: IPAddress, _ place: ClientPlace) -> Expected? {
        guard let rule = matchingRule(service, address, place) else { return nil }
        let usable: [(entry: TestRule.Entry, index: Int, result: Expected)] = rule.entries
            .enumerated().compactMap { index, entry in
                outcome(of: entry.target, address, place).map { (entry, index, $0) }
            }
        guard let first = usable.first else { return nil }
        var result: Expected
        switch rule.policy {
        case .failover: result = first.result
        case .proximity:
            let costs = usable.map { cost(of: $0.entry, at: $0.index, place) }
            result = best(usable.map(\.result), costs, tolerance: 1e-6)
        case .hash:
            let total = usable.reduce(0) { $0 + $1.entry.weight }
            let drawable = usable.filter { total == 0 || $0.entry.weight > 0 }
            let scores = drawable.map {
                Rendezvous.score(of: name(of: $0.entry.target), max($0.entry.weight, 1), address)
            }
            result = best(drawable.map(\.result), scores, tolerance: 1e-4)
        case .weighted:
            let total = usable.reduce(0) { $0 + $1.entry.weight }
            result = Expected(answers: [])
            for (entry, _, inner) in usable {
                let share =
                    total == 0 ? 1 / Double(usable.count) : Double(entry.weight) / Double(total)
                result.isClose = result.isClose || inner.isClose
                result.answers += inner.answers.filter { _ in share > 0 }.map {
                    PossibleAnswer(origins: $0.origins, probability: $0.probability * share)
                }
                if share > 0 { result.rules += inner.rules }
            }
        case .all:
            let names = usable.flatMap { item -> [String] in
                guard case .pool(let pool) = item.entry.target else { return [] }
                return upOrigins(of: pool)
            }
            result = Expected(answers: [PossibleAnswer(origins: names.sorted(), probability: 1)])
        }
        result.rules.insert(rule, at: 0)
        return result
    }

    /// The result that costs least, or all that cost as little.
    private func best(_ results: [Expected], _ costs: [Double], tolerance: Double) -> Expected {
        let least = costs.min() ?? 0
        let limit = least + tolerance * max(1, abs(least))
        let taken = results.indices.filter { costs[$0] <= limit || costs[$0] == least }
        // What stands first in the file wins where nothing is known of either.
        guard taken.count > 1, least.isFinite else { return results[taken[0]] }
        return Expected(
            rules: taken.flatMap { results[$0].rules },
            answers: taken.flatMap { results[$0].answers },
            isClose: true)
    }

    private func outcome(
        of target: TestRule.Target, _ address: IPAddress, _ place: ClientPlace
    ) -> Expected? {
        switch target {
        case .service(let service): return decide(service, address, place)
        case .pool(let pool):
            guard !upOrigins(of: pool).isEmpty else { return nil }
            return Expected(answers: origins(of: pool, address, whateverHealth: false))
        }
    }

    // MARK: - Distances

    /// Kilometres with the bias; beyond them all, in order, what is nowhere.
    private func cost(of entry: TestRule.Entry, at index: Int, _ place: ClientPlace) -> Double {
        guard let latitude = place.latitude, let longitude = place.longitude else {
            return Double(index)
        }
        let distances = pools(of: entry.target).compactMap { pool -> Double? in
            guard let poolLatitude = world.pools[pool].latitude,
                let poolLongitude = world.pools[pool].longitude
            else { return nil }
            return Site(name: "", latitude: poolLatitude, longitude: poolLongitude, origins: [])
                .kilometres(latitude: latitude, longitude: longitude)
        }
        guard let distance = distances.min() else { return 1e12 + 1e9 * Double(index) }
        let share = Double(entry.bias) / 100
        return entry.bias < 0 ? distance / (1 + share) : distance * (1 - share)
    }

    /// Every pool that a target may come to.
    private func pools(of target: TestRule.Target) -> [Int] {
        switch target {
        case .pool(let pool): [pool]
        case .service(let service):
            world.services[service].rules.flatMap(\.entries).flatMap { pools(of: $0.target) }
        }
    }

    // MARK: - Origins

    private func upOrigins(of pool: Int) -> [String] {
        world.pools[pool].weights.indices.map { "\(pool).\($0)" }.filter { !down.contains($0) }
    }

    private func origins(
        of pool: Int, _ address: IPAddress, whateverHealth: Bool
    ) -> [PossibleAnswer] {
        let settings = world.pools[pool]
        var names = upOrigins(of: pool)
        if names.isEmpty, whateverHealth {
            names = settings.weights.indices.map { "\(pool).\($0)" }
        }
        let weights = names.map { name in
            settings.weights[Int(name.split(separator: ".")[1]) ?? 0]
        }
        let total = weights.reduce(0, +)
        switch settings.policy {
        case .all: return [PossibleAnswer(origins: names.sorted(), probability: 1)]
        case .weighted:
            return zip(names, weights).map {
                PossibleAnswer(origins: [$0], probability: Double($1) / Double(total))
            }
        case .hash:
            let scores = zip(names, weights).map { name, weight in
                Rendezvous.score(
                    of: .origin("p\(pool)/o\(name.split(separator: ".")[1])"), weight, address)
            }
            let least = scores.min() ?? 0
            let taken = names.indices.filter { scores[$0] <= least * (1 + 1e-4) }
            return taken.map {
                PossibleAnswer(origins: [names[$0]], probability: 1 / Double(taken.count))
            }
        }
    }

    private func name(of target: TestRule.Target) -> Rendezvous.Name {
        switch target {
        case .pool(let index): .pool("p\(index)")
        case .service(let index): .service("s\(index)")
        }
    }
}

extension TestMatch {
    fileprivate var asksForPlaces: Bool {
        asns != nil || continents != nil || countries != nil || subdivisions != nil || cities != nil
    }
}

// MARK: - Weighted rendezvous hashing

/// The draws by which a prefix keeps its pool, written once more: all servers of all versions have to
/// come to the same, or an upgrade would move everybody.
enum Rendezvous {
    enum Name {
        case pool(String)
        case service(String)
        case origin(String)
    }

    /// The least wins: the logarithm of what name and prefix draw, by the weight.
    static func score(of name: Name, _ weight: Int, _ client: IPAddress) -> Double {
        let draw = mix(prefix(of: client) ^ seed(of: name)) | 1
        return -log2(Double(draw) / 0x1p64) / Double(weight)
    }

    /// The /24 or /56, after the length, mixed.
    private static func prefix(of client: IPAddress) -> UInt64 {
        let octets = client.octets
        let length = octets.count == 4 ? 24 : 56
        let bits = octets.prefix(length / 8).reduce(0) { $0 << 8 | UInt64($1) }
        return mix(bits &+ UInt64(length) << 56)
    }

    /// FNV-1a of the name, with a number for what is named.
    private static func seed(of name: Name) -> UInt64 {
        let (text, purpose): (String, UInt64) =
            switch name {
            case .pool(let text): (text, 0xC2B2_AE3D_27D4_EB4F)
            case .service(let text): (text, 0x1656_67B1_9E37_79F9)
            case .origin(let text): (text, 0x8542_4CF0_B5A9_D3E1)
            }
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for octet in text.utf8 { hash = (hash ^ UInt64(octet)) &* 0x100_0000_01B3 }
        return mix(hash ^ purpose)
    }

    /// SplitMix64's.
    private static func mix(_ bits: UInt64) -> UInt64 {
        var generator = Randomness(state: bits)
        return generator.next()
    }
}

// MARK: - The world's regions

/// The thirteen that come with Rhumb, by their countries and, of US and CA, the parts of WNAM.
enum WorldRegion {
    static let names = countries.keys.sorted()

    /// The region of a place whose country is known.
    static func of(_ place: ClientPlace) -> String? {
        guard let country = place.country else { return nil }
        let parts = western[country] ?? []
        if place.subdivisions.contains(where: { parts.contains($0) }) { return "WNAM" }
        return countries.first { $0.value.contains(country) }?.key
    }

    private static func list(_ text: String) -> Set<String> {
        Set(text.split(separator: " ").map(String.init))
    }

    private static let western: [String: Set<String>] = [
        "US": list("AK AR AZ CA CO HI IA ID KS LA MN MO MT ND NE NM NV OK OR SD TX UT WA WY")
            .union([
                "Alaska", "Arkansas", "Arizona", "California", "Colorado", "Hawaii", "Iowa",
                "Idaho",
                "Kansas", "Louisiana", "Minnesota", "Missouri", "Montana", "North Dakota",
                "Nebraska",
                "New Mexico", "Nevada", "Oklahoma", "Oregon", "South Dakota", "Texas", "Utah",
                "Washington", "Wyoming",
            ]),
        "CA": list("AB BC MB NT SK YT").union([
            "Alberta", "British Columbia", "Manitoba", "Northwest Territories", "Saskatchewan",
            "Yukon",
        ]),
    ]

    private static let countries: [String: Set<String>] = [
        "WNAM": ["MX"],
        "ENAM": list(
            "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS "
                + "NI PA PM PR SV SX TC TT US VC VG VI"),
        "WEU": list(
            "AD AT AX BE CH CY DE DK ES FI FO FR GB GG GI GR IE IM IS IT JE LI LU MC MT NL NO PT SE "
                + "SJ SM VA"),
        "EEU": list(
            "AL AM AZ BA BG BY CZ EE GE HR HU KG KZ LT LV MD ME MK PL RO RS RU SI SK TJ TM UA UZ XK"
        ),
        "NSAM": list("CO EC GF GY PE SR VE"),
        "SSAM": list("AR BO BR BV CL FK GS PY UY"),
        "OC": list(
            "AQ AS AU CC CK CX FJ FM GU HM KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS"
        ),
        "ME": list("AE BH IL IQ IR JO KW LB OM PS QA SA SY TR YE"),
        "NAF": list("BF BJ CI CV DZ EG EH GH GM GN GW LR LY MA ML MR NE NG SD SL SN TG TN"),
        "SAF": list(
            "AO BI BW CD CF CG CM DJ ER ET GA GQ KE KM LS MG MU MW MZ NA RE RW SC SH SO SS ST SZ TD TF "
                + "TZ UG YT ZA ZM ZW"),
        "SAS": list("AF BD BT IN IO LK MV NP PK"),
        "SEAS": list("BN ID KH LA MM MY PH SG TH TL VN"),
        "NEAS": list("CN HK JP KP KR MN MO TW"),
    ]
}
