// Services become outcomes: which rule a place matches, and what that rule chooses among for it. The
// one walk over all places is `Geography.compile`'s; this says what each of them comes out as.
//
// Equal lists of rules share everything; lists that differ only in which pools stand at the same
// places share a tree. Many services over the same few sites walk the database once.

internal import DNSWire
internal import Geo

/// Compiles the services of one configuration.
struct RuleCompiler {
    private let configuration: SteeringConfiguration
    private let geography: Geography
    private(set) var trees: [LocationTree] = []
    private(set) var outcomes: ContiguousArray<Outcome> = []
    private(set) var children: ContiguousArray<Child> = []
    private(set) var unions: [[Int]] = []
    /// By service: the rules that nobody comes to, where there is a tree to tell.
    private(set) var idleRules: [[Int]] = []
    /// The first is that of no pool.
    private(set) var sets = [PoolSet(pools: [], hasCapacity: false)]
    private var setIndexes: [[Int]: UInt32] = [:]
    private var compiled: [ServiceContent: CompiledService] = [:]
    private var shapes: [[RuleShape]: Shape] = [:]
    /// By service: what its outcomes have in common, rule by rule.
    private var parts: [Int: [RulePart]] = [:]

    init(_ configuration: SteeringConfiguration, _ geography: Geography) {
        self.configuration = configuration
        self.geography = geography
    }

    /// A service without its name and its places in the file.
    private struct ServiceContent: Hashable {
        struct Rule: Hashable {
            var match: Match?
            var policy: Policy
            var pools: [PoolReference]
            var spare: Bool
        }

        var rules: [Rule]
        var answersAll: Bool
    }

    mutating func compile(_ index: Int) throws(GeoError) -> CompiledService {
        let service = configuration.services[index]
        let content = ServiceContent(
            rules: service.rules.map {
                .init(match: $0.match, policy: $0.policy, pools: $0.pools, spare: $0.spare)
            }, answersAll: service.whenAllDown == .all)
        var result: CompiledService
        let shape = try shape(of: service)
        if let shared = compiled[content] {
            result = shared
        } else {
            result = addOutcomes(of: index, shape)
            compiled[content] = result
        }
        let reached = Set(shape.outcomes.compactMap(\.rule))
        idleRules.append(
            shape.tree < 0 ? [] : service.rules.indices.filter { !reached.contains($0) })
        result.fallback = service.fallback.map(Int32.init) ?? -1
        result.whenAllDown = service.whenAllDown
        result.clientSubnet = service.clientSubnet
        result.ttl = service.ttl?.bounds ?? TTLBounds(lower: 0, upper: 0)
        if let rule = service.rules.first, let pool = configuration.pools(of: rule).first {
            result.hasIPv4 = configuration.pools[pool].serves(.ipv4)
            result.hasIPv6 = configuration.pools[pool].serves(.ipv6)
            result.answersByHost = configuration.pools[pool].answersByHost
        }
        return result
    }
}

// MARK: - Shapes: what decides which outcomes there are and who gets which

/// What of a rule a location tree depends on.
private struct RuleShape: Hashable {
    /// Something to choose among; a pool, if `nested` is empty.
    struct Candidate: Hashable {
        var candidate: Policy.Candidate
        var nested: [RuleShape]
    }

    var match: Match?
    var policy: Policy
    var candidates: [Candidate]
    /// What its candidates' sites count by their `column`; empty unless the policy uses measurements.
    var columns: [LatencyColumn] = []
    /// The regions that these name, in the order in which they count.
    var regions: [Region] = []

    /// It, and those of the services that it names.
    var withNested: [RuleShape] { [self] + candidates.flatMap(\.nested).flatMap(\.withNested) }

    /// Whether it, or one of a service that it names, asks for cities.
    var usesCities: Bool {
        ((match?.everyMatch ?? []) + regions.flatMap(\.parts)).contains { $0.cities != nil }
            || candidates.contains { $0.nested.contains(where: \.usesCities) }
    }

    /// The AS numbers that it, or one of a service that it names, asks for.
    var asns: Set<UInt32> {
        let matches = (match?.everyMatch ?? []) + regions.flatMap(\.parts)
        var result = Set(matches.flatMap { $0.asns ?? [] })
        for rule in candidates.flatMap(\.nested) { result.formUnion(rule.asns) }
        return result
    }

    /// Whether it, or one of a service that it names, asks who or where a client is beyond its address.
    var usesPlaces: Bool {
        policy.dependsOnPlace
            || match?.everyMatch.contains { $0.namesPlaces || $0.asns != nil } ?? false
            || candidates.contains { $0.nested.contains(where: \.usesPlaces) }
    }

    /// Whether it gives everyone the same outcome.
    var isSameForEveryone: Bool {
        match == nil && !policy.dependsOnPlace
            && candidates.allSatisfy { $0.nested.first?.isSameForEveryone ?? true }
    }
}

/// What rules of one shape have in common.
private struct Shape {
    /// The index of the tree; negative if the only outcome is the same for everyone.
    var tree: Int32
    /// What the tree's numbers mean.
    var outcomes: [OutcomeKey] = []
}

/// An outcome without its pools: which rule matched, and the positions in it, best first.
private struct OutcomeKey: Hashable {
    struct Choice: Hashable {
        /// The position in the rule's list.
        var position: Int
        /// What another service comes out as: one, or none for a pool.
        var nested: [OutcomeKey] = []
    }

    /// Whether it is that of clients whom nobody knows.
    var prefersResolver = false
    /// The index of the rule; nil if none matched.
    var rule: Int?
    /// Those that the place decides about; the others follow in the rule's own order.
    var head: [Choice] = []
}

extension RuleCompiler {
    private mutating func shape(of service: Service) throws(GeoError) -> Shape {
        let key = ruleShapes(of: service)
        if let known = shapes[key] { return known }
        let new = try compileShape(key)
        shapes[key] = new
        return new
    }

    private func ruleShapes(of service: Service) -> [RuleShape] {
        service.rules.map { rule in
            var shape = RuleShape(match: rule.match, policy: rule.policy, candidates: [])
            shape.candidates = rule.pools.map { reference in
                let candidate = candidate(reference, rule.policy, &shape.columns)
                guard case .service(let index) = reference.target else {
                    return .init(candidate: candidate, nested: [])
                }
                return .init(
                    candidate: candidate, nested: ruleShapes(of: configuration.services[index]))
            }
            shape.regions = configuration.regions(named: shape.columns.flatMap(\.regions))
            return shape
        }
    }

    /// - Parameter columns: gets those of its pools that it lacks, if the policy uses them.
    private func candidate(
        _ reference: PoolReference, _ policy: Policy, _ columns: inout [LatencyColumn]
    ) -> Policy.Candidate {
        var sites: [Policy.Site] = []
        for pool in configuration.pools(of: reference.target).map({ configuration.pools[$0] }) {
            var site = Policy.Site(point: pool.location.map(SurfacePoint.init))
            if policy.usesMeasurements, let column = configuration.latency.columns[pool.name] {
                site.column = columns.firstIndex(of: column) ?? columns.count
                if site.column == columns.count { columns.append(column) }
            }
            sites.append(site)
        }
        return Policy.Candidate(sites: sites, bias: reference.bias)
    }

    private mutating func compileShape(_ rules: [RuleShape]) throws(GeoError) -> Shape {
        var lists = NetworkLists()
        let everyRule = rules.flatMap(\.withNested)
        let measurements = Measurements(
            everyRule.lazy.flatMap(\.columns),
            regions: configuration.regions(named: everyRule.flatMap(\.regions).map(\.name)), &lists)
        let prepared = rules.map { PreparedRule($0, measurements, &lists) }
        if rules.first?.isSameForEveryone == true {
            // Nobody's place matters, so the scope is 0 and no database need be walked.
            return Shape(tree: -1, outcomes: [PreparedRule.outcome(prepared, ClientFacts())])
        }
        let usesCities = rules.contains(where: \.usesCities)
        let usesPlaces = rules.contains(where: \.usesPlaces)
        let asns = rules.reduce(into: Set()) { $0.formUnion($1.asns) }
        let fallback = geography.overrides.fallback?.location
        // One list more, to know what is in special-purpose space.
        let special = lists.all.count
        var interned: [OutcomeKey: UInt32] = [:]
        var shape = Shape(tree: Int32(trees.count))
        let tree = try geography.compile(
            networks: lists.all + [SpecialSpace.networks.map(\.network)],
            numbered: measurements.networks, asns: asns.union(measurements.systems),
            withCities: usesCities
        ) { location, matchedLists, number in
            let isSpecial = matchedLists.last == special
            let matchedLists = isSpecial ? Array(matchedLists.dropLast()) : matchedLists
            var located = location
            if let fallback, location?.isPlace != true {
                located = fallback.with(asn: location?.asn)
            }
            let facts = ClientFacts(
                location: located, matchedLists: matchedLists,
                measured: measurements.roundTrips(located, matchedLists, number: number))
            var key = PreparedRule.outcome(prepared, facts)
            // Where no place is asked for, a public address is as good as any other.
            key.prefersResolver =
                location == nil && number == nil && matchedLists.isEmpty
                && (isSpecial || usesPlaces)
            if let known = interned[key] { return known }
            let number = UInt32(shape.outcomes.count)
            shape.outcomes.append(key)
            interned[key] = number
            return number
        }
        trees.append(tree)
        return shape
    }
}

/// A match whose networks are among the lists that are laid into the location tree.
struct PreparedMatch {
    private let match: Match
    /// The index of its list of networks.
    private let networks: Int?
    private let regions: [PreparedMatch]
    private let any: [PreparedMatch]
    private let none: [PreparedMatch]

    init(_ match: Match, _ lists: inout NetworkLists) {
        self.match = match
        networks = match.networks.map { lists.index(of: $0) }
        regions = match.regions?.flatMap(\.parts).map { PreparedMatch($0, &lists) } ?? []
        any = match.any?.map { PreparedMatch($0, &lists) } ?? []
        none = match.none?.map { PreparedMatch($0, &lists) } ?? []
    }

    /// As `Match.firstMismatch`, for a place and the lists that hold the client.
    func holds(_ location: Location?, _ matchedLists: [Int]) -> Bool {
        if let networks, !matchedLists.contains(networks) { return false }
        guard match.firstMismatchOfPlace(location) == nil else { return false }
        let holds = { (inner: PreparedMatch) in inner.holds(location, matchedLists) }
        return (match.regions == nil || regions.contains(where: holds))
            && (match.any == nil || any.contains(where: holds)) && !none.contains(where: holds)
    }
}

/// Lists of networks, each distinct one once.
struct NetworkLists {
    private(set) var all: [[IPNetwork]] = []
    private var indexes: [Set<IPNetwork>: Int] = [:]

    mutating func index(of networks: Set<IPNetwork>) -> Int {
        if let known = indexes[networks] { return known }
        indexes[networks] = all.count
        all.append(Array(networks))
        return all.count - 1
    }
}

/// What rules may go by.
private struct ClientFacts {
    /// Nil if nobody knows where the client is.
    var location: Location?
    /// The lists of networks that hold the client.
    var matchedLists: [Int] = []
    /// As `Measurements.roundTrips` has them.
    var measured: [Double?] = []
}

/// A rule ready to be asked of places.
private struct PreparedRule {
    let match: PreparedMatch?
    let policy: Policy
    let candidates: [Policy.Candidate]
    let nested: [[PreparedRule]]

    init(_ shape: RuleShape, _ measurements: Measurements, _ lists: inout NetworkLists) {
        match = shape.match.map { PreparedMatch($0, &lists) }
        policy = shape.policy
        // The rule counts its own columns, clients' measured round trips are those of all rules.
        let columns = shape.columns.map { measurements.index(of: $0) }
        candidates = shape.candidates.map(\.candidate).map { candidate in
            var candidate = candidate
            for index in candidate.sites.indices {
                candidate.sites[index].column = candidate.sites[index].column.flatMap {
                    columns[$0]
                }
            }
            return candidate
        }
        nested = shape.candidates.map { $0.nested.map { PreparedRule($0, measurements, &lists) } }
    }

    /// What rules say of a place.
    static func outcome(_ rules: [PreparedRule], _ facts: ClientFacts) -> OutcomeKey {
        let index = rules.firstIndex {
            $0.match?.holds(facts.location, facts.matchedLists) ?? true
        }
        guard let index else { return OutcomeKey(rule: nil) }
        let rule = rules[index]
        let client = Policy.Client(
            point: facts.location?.coordinates.map(SurfacePoint.init), measured: facts.measured)
        var order = rule.policy.order(rule.candidates, client)
        guard rule.nested.contains(where: { !$0.isEmpty }) else {
            return OutcomeKey(rule: index, head: order.map { .init(position: $0) })
        }
        // What other services say differs from place to place, so nothing is left to the rest.
        order += rule.policy.rest(rule.candidates).filter { !order.contains($0) }
        return OutcomeKey(
            rule: index,
            head: order.map { position in
                let nested = rule.nested[position]
                return .init(
                    position: position,
                    nested: nested.isEmpty ? [] : [outcome(nested, facts)])
            })
    }
}

// MARK: - Outcomes: the pools of one service put into the places of its shape

/// What all outcomes of a rule have in common.
private struct RulePart {
    var rest: UInt32
    var restCount: UInt8
    var union: Int32
    /// The set of its pools, unless it names services.
    var set: UInt32
}

extension RuleCompiler {
    private mutating func addOutcomes(of service: Int, _ shape: Shape) -> CompiledService {
        let first = outcomes.count
        // The tree counts through the service's own outcomes; those of others come behind them.
        outcomes += shape.outcomes.map { _ in Outcome(service: UInt32(service)) }
        var nested: [NestedKey: Int] = [:]
        for (offset, key) in shape.outcomes.enumerated() {
            outcomes[first + offset] = outcome(of: service, key, &nested)
        }
        return CompiledService(tree: shape.tree, outcome: UInt32(first))
    }

    private struct NestedKey: Hashable {
        var service: Int
        var key: OutcomeKey
    }

    private mutating func outcome(
        of service: Int, _ key: OutcomeKey, _ nested: inout [NestedKey: Int]
    ) -> Outcome {
        var outcome = Outcome(service: UInt32(service))
        outcome.prefersResolver = key.prefersResolver
        guard let index = key.rule else { return outcome }
        let rule = configuration.services[service].rules[index]
        let part = part(of: service, rule: index)
        var head: [Child] = []
        for choice in key.head {
            let reference = rule.pools[choice.position]
            switch reference.target {
            case .pool(let pool): head.append(Child(pool: pool, weight: reference.weight))
            case .service(let inner):
                let innerKey = NestedKey(service: inner, key: choice.nested[0])
                let number: Int
                if let known = nested[innerKey] {
                    number = known
                } else {
                    let new = self.outcome(of: inner, innerKey.key, &nested)
                    number = outcomes.count
                    outcomes.append(new)
                    nested[innerKey] = number
                }
                head.append(Child(outcome: number, weight: reference.weight))
            }
        }
        outcome.rule = Int32(index)
        outcome.pick = rule.policy.pick
        outcome.hasSpare = rule.spare
        outcome.mayHash = mayHash(rule, head)
        outcome.head = UInt32(children.count)
        outcome.headCount = UInt8(head.count)
        outcome.rest = part.rest
        outcome.restCount = part.restCount
        outcome.union = part.union
        outcome.hasNested = rule.pools.contains { $0.pool == nil }
        outcome.set = outcome.hasNested ? set(of: head) : part.set
        outcome.hasCapacity = sets[Int(outcome.set)].hasCapacity
        children += head
        return outcome
    }

    private func mayHash(_ rule: Rule, _ head: [Child]) -> Bool {
        if rule.policy.pick == .byHash { return true }
        let pools = rule.pools.compactMap(\.pool).map { configuration.pools[$0] }
        return pools.contains { pool in
            pool.policy == .hash && pool.origins.count > 1
                || pool.shed > 0 && rule.policy.pick == .firstUsable
        } || head.contains { child in child.outcome.map { outcomes[$0].mayHash } ?? false }
    }

    /// The index of the set of pools that children come to.
    private mutating func set(of children: [Child]) -> UInt32 {
        // Sets of others by their index: what other services come to is put together but once.
        let key = children.map { child in
            child.outcome.map { -1 - Int(outcomes[$0].set) } ?? Int(child.reference)
        }.sorted()
        if let known = setIndexes[key] { return known }
        let members = uniqued(key.flatMap { $0 < 0 ? sets[-1 - $0].pools : [$0] })
        let index = UInt32(sets.count)
        sets.append(
            PoolSet(
                pools: members,
                hasCapacity: members.contains { configuration.pools[$0].capacity != nil }))
        setIndexes[key] = index
        return index
    }

    private mutating func part(of service: Int, rule index: Int) -> RulePart {
        if let known = parts[service] { return known[index] }
        let settings = configuration.services[service]
        let new = settings.rules.map { rule in
            var part = RulePart(rest: UInt32(children.count), restCount: 0, union: -1, set: 0)
            if rule.pools.allSatisfy({ $0.pool != nil }) {
                part.set = set(of: rule.pools.map { Child(pool: $0.pool ?? 0, weight: 0) })
                var columns: [LatencyColumn] = []
                let candidates = rule.pools.map { candidate($0, rule.policy, &columns) }
                for position in rule.policy.rest(candidates) {
                    let reference = rule.pools[position]
                    children.append(Child(pool: reference.pool ?? 0, weight: reference.weight))
                }
                part.restCount = UInt8(rule.pools.count)
            }
            if rule.policy.pick == .union || settings.whenAllDown == .all {
                part.union = Int32(unions.count)
                unions.append(configuration.pools(of: rule))
            }
            return part
        }
        parts[service] = new
        return new[index]
    }
}

extension SteeringConfiguration {
    /// The pools that a rule's entry may lead to, each once, in file order of the rules.
    ///
    /// - Precondition: services don't lead back to themselves.
    func pools(of target: PoolReference.Target) -> [Int] {
        switch target {
        case .pool(let index): [index]
        case .service(let index): uniqued(services[index].rules.flatMap { pools(of: $0) })
        }
    }

    func pools(of rule: Rule) -> [Int] { uniqued(rule.pools.flatMap { pools(of: $0.target) }) }
}

/// The elements in their order, each once.
private func uniqued<Element: Hashable>(_ elements: [Element]) -> [Element] {
    var seen: Set<Element> = []
    return elements.filter { seen.insert($0).inserted }
}
