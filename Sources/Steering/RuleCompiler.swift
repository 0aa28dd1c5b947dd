// Services become outcomes: which rule a place matches, and what that rule chooses among for it.
// `ShapeTable` has the trees, whose numbers say so without naming pools; here the pools come in.
//
// Equal lists of rules share everything; lists that differ only in which pools stand at the same
// places share a tree. Many services over the same few sites walk the database once.

internal import DNSWire
internal import Geo

/// Compiles the services of one configuration.
struct RuleCompiler {
    private let configuration: SteeringConfiguration
    private(set) var trees: [LocationTree] = []
    private(set) var outcomes: ContiguousArray<Outcome> = []
    private(set) var children: ContiguousArray<Child> = []
    private(set) var unions: [[Int]] = []
    /// By service: the rules that nobody comes to, where there is a tree to tell.
    private(set) var idleRules: [[Int]] = []
    /// The first is that of no pool.
    private(set) var sets = [PoolSet(pools: [], hasCapacity: false)]
    private var setIndexes: [[Int]: UInt32] = [:]
    let shapes: ShapeTable
    private var compiled: [ServiceContent: (service: CompiledService, idleRules: [Int])] = [:]
    /// The index of each shape's tree.
    private var treeIndexes: [ServiceShape: Int32] = [:]
    /// By service: what its outcomes have in common, rule by rule.
    private var parts: [Int: [RulePart]] = [:]

    /// - Parameters:
    ///   - known: shapes that were compiled with the same geography.
    ///   - count: how many trees may be compiled at once.
    init(
        _ configuration: SteeringConfiguration, _ geography: Geography, reusing known: ShapeTable,
        atOnce count: Int
    ) throws(GeoError) {
        self.configuration = configuration
        var contents: Set<ServiceContent> = []
        let distinct = configuration.services.filter { contents.insert(.init($0)).inserted }
        shapes = try known.holding(
            distinct.map { ServiceShape($0, configuration) }, geography, atOnce: count)
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

        init(_ service: Service) {
            rules = service.rules.map {
                .init(match: $0.match, policy: $0.policy, pools: $0.pools, spare: $0.spare)
            }
            answersAll = service.whenAllDown == .all
        }
    }

    mutating func compile(_ index: Int) -> CompiledService {
        let service = configuration.services[index]
        let content = ServiceContent(service)
        var result: CompiledService
        if let shared = compiled[content] {
            result = shared.service
            idleRules.append(shared.idleRules)
        } else {
            let key = ServiceShape(service, configuration)
            guard let shape = shapes[key] else {
                preconditionFailure("the shapes of all services are there from the start")
            }
            result = addOutcomes(of: index, shape, tree: treeIndex(of: shape, key))
            let reached = Set(shape.outcomes.compactMap(\.rule))
            idleRules.append(
                shape.tree == nil ? [] : service.rules.indices.filter { !reached.contains($0) })
            compiled[content] = (result, idleRules[index])
        }
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
    /// The index of a shape's tree; negative if it needs none.
    private mutating func treeIndex(of shape: Shape, _ key: ServiceShape) -> Int32 {
        guard let tree = shape.tree else { return -1 }
        if let known = treeIndexes[key] { return known }
        trees.append(tree)
        treeIndexes[key] = Int32(trees.count - 1)
        return Int32(trees.count - 1)
    }

    private mutating func addOutcomes(
        of service: Int, _ shape: Shape, tree: Int32
    ) -> CompiledService {
        let first = outcomes.count
        // The tree counts through the service's own outcomes; those of others come behind them.
        outcomes += shape.outcomes.map { _ in Outcome(service: UInt32(service)) }
        var nested: [NestedKey: Int] = [:]
        for (offset, key) in shape.outcomes.enumerated() {
            outcomes[first + offset] = outcome(of: service, key, &nested)
        }
        return CompiledService(tree: tree, outcome: UInt32(first))
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
                let candidates = rule.pools.map {
                    configuration.candidate($0, rule.policy, &columns)
                }
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
