// Pools, services and geography compiled into what decisions read: a location tree for each
// distinct list of rules, whose outcomes are "this rule, these pools in this order". Health is not
// in here, so a dead origin recompiles nothing; `SteeringState` lays it on top.

internal import DNSWire
public import Geo

/// Compiled steering; immutable, made anew when a pool file or a database changes.
@safe
public final class Steering: Sendable {
    public let configuration: SteeringConfiguration
    public let geography: Geography
    /// Every address of every origin in file order; its indexes are those of the health table.
    public let addresses: [SteeredAddress]

    /// The index of each service by its name.
    private let serviceIndexes: [String: Int]
    let services: ContiguousArray<CompiledService>
    private let trees: [LocationTree]
    /// The trees once more, for queries: a call through these counts no references.
    private let treeReferences: ContiguousArray<Unmanaged<LocationTree>>
    let outcomes: ContiguousArray<Outcome>
    /// The pools of all outcomes, each a run of indexes into `configuration.pools`, best first.
    let rankings: ContiguousArray<UInt32>
    /// The rules whose pick needs a table made from health.
    let tableRules: [TableRule]

    /// Compiles; walks the whole database once for each distinct list of rules that uses places.
    public init(_ configuration: SteeringConfiguration, geography: Geography) throws(GeoError) {
        self.configuration = configuration
        self.geography = geography
        addresses = configuration.pools.enumerated().flatMap { pool, settings in
            settings.origins.enumerated().flatMap { origin, settings in
                settings.addresses.map { ($0, origin) }
            }.map { SteeredAddress(address: $0, pool: pool, origin: $1, monitor: settings.monitor) }
        }
        var compiler = RuleCompiler(pools: configuration.pools, geography: geography)
        var services: ContiguousArray<CompiledService> = []
        for service in configuration.services { services.append(try compiler.compile(service)) }
        self.services = services
        serviceIndexes = Dictionary(
            configuration.services.enumerated().map { ($1.name, $0) }
        ) { first, _ in first }
        trees = compiler.trees
        // Safe: `trees` keeps them alive as long as `self`, and each use borrows `self`.
        unsafe treeReferences = ContiguousArray(
            compiler.trees.map { unsafe Unmanaged.passUnretained($0) })
        outcomes = compiler.outcomes
        rankings = compiler.rankings
        tableRules = compiler.tableRules
    }

    /// The index of a service, for `SteeringState.decide`; nil if there is none of that name.
    public func service(named name: String) -> Int? { serviceIndexes[name] }

    /// What a service's location tree says of an address; outcome 0 and scope 0 without a tree.
    ///
    /// - Parameter tree: `CompiledService.tree`.
    @inline(__always)
    func lookup(_ address: IPAddress, inTree tree: Int32) -> LocationMatch {
        guard tree >= 0 else { return LocationMatch(outcome: 0, scope: 0) }
        // Safe: `trees` holds a strong reference to each for as long as `self` lives.
        return unsafe treeReferences[Int(tree)]._withUnsafeGuaranteedRef { $0.lookup(address) }
    }

    /// How many location trees there are: one for each distinct list of rules that uses places,
    /// which pools those rules name not counted, only where these are.
    public var treeCount: Int { trees.count }
}

// MARK: - What compilation yields

/// Where a service's decisions start.
struct CompiledService: Sendable, BitwiseCopyable {
    /// The index of its location tree; negative if its outcome is the same for everyone.
    var tree: Int32
    /// The index of its first outcome, from which its tree counts; without a tree, the only one.
    var outcome: UInt32
    /// The index of its fallback pool; negative for "the first pool of the decision".
    var fallback: Int32
}

/// What the location tree says of a client: which rule matched, and its pools, best first.
struct Outcome: Sendable, BitwiseCopyable {
    /// The index of the rule in its service; negative if none matched.
    var rule: Int32
    var pick: Pick
    /// The index into `tableRules`, where the pick needs one.
    var table: UInt32
    /// Its run in `rankings`.
    var start: UInt32
    var count: UInt32
}

/// A rule that is picked from by a table: what `SteeringState` makes the table from.
struct TableRule: Sendable {
    var pick: Pick
    var pools: [PoolReference]
}

// MARK: - Compilation

/// Compiles services one after the other.
///
/// Equal lists of rules share everything; lists that differ only in which pools stand at the same
/// places share a tree. Many services over the same few sites walk the database once.
private struct RuleCompiler {
    let pools: [Pool]
    let geography: Geography
    var trees: [LocationTree] = []
    var outcomes: ContiguousArray<Outcome> = []
    var rankings: ContiguousArray<UInt32> = []
    var tableRules: [TableRule] = []
    private var compiled: [[RuleContent]: CompiledService] = [:]
    private var shapes: [[RuleShape]: Shape] = [:]

    /// A rule without its place in the file.
    private struct RuleContent: Hashable {
        var match: Match?
        var policy: Policy
        var pools: [PoolReference]
    }

    /// What of a rule decides which outcomes there are and who gets which.
    private struct RuleShape: Hashable {
        var match: Match?
        var policy: Policy
        var candidates: [Policy.Candidate]
    }

    /// What rules of one shape have in common.
    private struct Shape {
        /// The index of the tree; negative if the only outcome is the same for everyone.
        var tree: Int32
        /// What the tree's numbers mean.
        var outcomes: [OutcomeKey] = []
    }

    /// An outcome: which rule matched, and the positions of its pools, best first.
    private struct OutcomeKey: Hashable {
        /// The index of the rule; nil if none matched.
        var rule: Int?
        var order: [Int] = []
    }

    init(pools: [Pool], geography: Geography) {
        self.pools = pools
        self.geography = geography
    }

    mutating func compile(_ service: Service) throws(GeoError) -> CompiledService {
        let key = service.rules.map {
            RuleContent(match: $0.match, policy: $0.policy, pools: $0.pools)
        }
        var result: CompiledService
        if let shared = compiled[key] {
            result = shared
        } else {
            result = addOutcomes(of: service.rules, try shape(of: service.rules))
            compiled[key] = result
        }
        result.fallback = service.fallback.map(Int32.init) ?? -1
        return result
    }

    // MARK: Shapes

    private mutating func shape(of rules: [Rule]) throws(GeoError) -> Shape {
        let key = rules.map { rule in
            RuleShape(
                match: rule.match, policy: rule.policy,
                candidates: rule.pools.map {
                    Policy.Candidate(
                        point: pools[$0.pool].location.map(SurfacePoint.init), bias: $0.bias)
                })
        }
        if let known = shapes[key] { return known }
        let new = try compileShape(key)
        shapes[key] = new
        return new
    }

    private mutating func compileShape(_ rules: [RuleShape]) throws(GeoError) -> Shape {
        if let only = rules.first, only.match == nil, !only.policy.dependsOnPlace {
            // Nobody's place matters, so the scope is 0 and no database need be walked.
            let order = only.policy.order(only.candidates, nil)
            return Shape(tree: -1, outcomes: [OutcomeKey(rule: 0, order: order)])
        }
        // Which of the lists given to the location tree are a rule's networks.
        var networks: [[IPNetwork]] = []
        let networkLists = rules.map { rule -> Int? in
            guard let list = rule.match?.networks else { return nil }
            networks.append(Array(list))
            return networks.count - 1
        }
        var interned: [OutcomeKey: UInt32] = [:]
        var shape = Shape(tree: Int32(trees.count))
        let tree = try geography.compile(networks: networks) { location, matchedLists in
            let key = Self.outcome(rules, networkLists, location, matchedLists)
            if let known = interned[key] { return known }
            let number = UInt32(shape.outcomes.count)
            shape.outcomes.append(key)
            interned[key] = number
            return number
        }
        trees.append(tree)
        return shape
    }

    /// What rules say of a place.
    private static func outcome(
        _ rules: [RuleShape], _ networkLists: [Int?], _ location: Location?, _ matchedLists: [Int]
    ) -> OutcomeKey {
        let index = rules.indices.firstIndex { index in
            let inNetworks = networkLists[index].map(matchedLists.contains) ?? false
            return rules[index].match?.firstMismatch(inNetworks: inNetworks, location: location)
                == nil
        }
        guard let index else { return OutcomeKey(rule: nil) }
        let client = location?.coordinates.map(SurfacePoint.init)
        let rule = rules[index]
        return OutcomeKey(rule: index, order: rule.policy.order(rule.candidates, client))
    }

    // MARK: Outcomes

    /// Puts the pools of one list of rules into the places of its shape.
    private mutating func addOutcomes(of rules: [Rule], _ shape: Shape) -> CompiledService {
        let first = UInt32(outcomes.count)
        let tables = rules.map { makeTable($0) }
        for key in shape.outcomes {
            let rule = key.rule.map { rules[$0] }
            outcomes.append(
                Outcome(
                    rule: Int32(key.rule ?? -1), pick: rule?.policy.pick ?? .nothing,
                    table: key.rule.map { tables[$0] } ?? 0, start: UInt32(rankings.count),
                    count: UInt32(key.order.count)))
            for position in key.order {
                rankings.append(UInt32(rule?.pools[position].pool ?? 0))
            }
        }
        return CompiledService(tree: shape.tree, outcome: first, fallback: -1)
    }

    private mutating func makeTable(_ rule: Rule) -> UInt32 {
        switch rule.policy.pick {
        case .firstUsable, .nothing: return 0
        case .byWeight, .union:
            tableRules.append(TableRule(pick: rule.policy.pick, pools: rule.pools))
            return UInt32(tableRules.count - 1)
        }
    }
}
