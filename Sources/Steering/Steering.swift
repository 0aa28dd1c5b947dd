// Pools, services and geography compiled into what decisions read: a location tree for each
// distinct list of rules, whose outcomes are "this rule, these pools in this order". Health is not
// in here, so a dead origin recompiles nothing; `SteeringState` lays it on top.

public import DNSWire
public import Geo

/// Compiled steering; immutable, made anew when a pool file or a database changes.
@safe
public final class Steering: Sendable {
    public let configuration: SteeringConfiguration
    public let geography: Geography
    /// Every address of every origin, and every host, in file order; its indexes are those of the
    /// health table.
    public let addresses: [SteeredAddress]
    /// By the index of the pool: where its addresses begin.
    let firstAddresses: [Int]
    /// The hosts that origins are given by, in file order.
    let hosts: [Name]

    /// The index of each service by its name.
    private let serviceIndexes: [String: Int]
    let services: ContiguousArray<CompiledService>
    private let trees: [LocationTree]
    /// The trees once more, for queries: a call through these counts no references.
    private let treeReferences: ContiguousArray<Unmanaged<LocationTree>>
    let outcomes: ContiguousArray<Outcome>
    /// What the outcomes choose among, in runs.
    let children: ContiguousArray<Child>
    /// The sets of pools that answer together.
    let unions: [[Int]]
    /// The sets of pools that outcomes come to.
    let sets: [PoolSet]
    /// Among whom capacities count.
    let neighbourhoods: [Neighbourhood]
    /// The pools that a displaced client may come to more than once, numbered.
    let revisited: [Int: Int]
    /// What the names of pools and services hash to.
    let poolSeeds: ContiguousArray<UInt64>
    let serviceSeeds: ContiguousArray<UInt64>
    let logarithms = LogarithmTable()
    /// By service: the rules that no network comes to, by index.
    let idleRules: [[Int]]
    /// What the next one may use again.
    private let shapes: ShapeTable

    /// How many trees are compiled at once unless said otherwise: more threads would wait for memory, and
    /// each takes up to 150 MB while it compiles a full City database.
    public static let treesAtOnce = 4

    /// Compiles; walks the whole database once for each distinct list of rules that uses places.
    ///
    /// - Parameters:
    ///   - previous: what was compiled before. Where geography says the same, the trees of lists of
    ///     rules that it has are taken over.
    ///   - treesAtOnce: how many cores to use at most.
    public init(
        _ configuration: SteeringConfiguration, geography: Geography,
        reusing previous: Steering? = nil,
        treesAtOnce: Int = Steering.treesAtOnce
    ) throws(GeoError) {
        self.configuration = configuration
        self.geography = geography
        addresses = configuration.pools.enumerated().flatMap { pool, settings in
            settings.origins.enumerated().flatMap { origin, settings in
                settings.host == nil
                    ? settings.addresses.map { ($0, origin) }
                    : [(settings.checkAddress ?? IPAddress(ipv4: 0), origin)]
            }.map {
                SteeredAddress(address: $0, pool: pool, origin: $1, monitors: settings.monitors)
            }
        }
        var count = 0
        firstAddresses = configuration.pools.map { pool in
            defer { count += pool.origins.reduce(0) { $0 + $1.healthEntries } }
            return count
        }
        hosts = configuration.pools.flatMap { $0.origins.compactMap(\.host) }
        let known = previous.flatMap { $0.geography.isSame(as: geography) ? $0.shapes : nil }
        var compiler = try RuleCompiler(
            configuration, geography, reusing: known ?? ShapeTable(), atOnce: treesAtOnce)
        services = ContiguousArray(
            configuration.services.indices.map { compiler.compile($0) })
        shapes = compiler.shapes
        serviceIndexes = Dictionary(
            configuration.services.enumerated().map { ($1.name, $0) }
        ) { first, _ in first }
        trees = compiler.trees
        // Safe: `trees` keeps them alive as long as `self`, and each use borrows `self`.
        unsafe treeReferences = ContiguousArray(
            compiler.trees.map { unsafe Unmanaged.passUnretained($0) })
        outcomes = compiler.outcomes
        idleRules = compiler.idleRules
        children = compiler.children
        unions = compiler.unions
        sets = compiler.sets
        neighbourhoods = configuration.neighbourhoods
        revisited = compiler.revisitedPools()
        poolSeeds = ContiguousArray(
            configuration.pools.map { seed(ofName: $0.name, for: .poolName) })
        serviceSeeds = ContiguousArray(
            configuration.services.map { seed(ofName: $0.name, for: .serviceName) })
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

    /// Whether the pools of a service, given by its index, have addresses of a family.
    public func serves(_ service: UInt32, _ family: IPAddress.Family) -> Bool {
        let service = services[Int(service)]
        return family == .ipv4 ? service.hasIPv4 : service.hasIPv6
    }

    /// Whether a service, given by its index, answers with the names of hosts: by a CNAME, whatever is
    /// asked for.
    public func answersByHost(_ service: Int) -> Bool { services[service].answersByHost }

    /// How many location trees there are: one for each distinct list of rules that uses places,
    /// which pools those rules name not counted, only where these are.
    public var treeCount: Int { trees.count }

    /// How many of the trees were compiled by `init`; the others are those of its `previous`.
    public var compiledTreeCount: Int { shapes.compiledTrees }
}

// MARK: - What compilation yields

/// Where a service's decisions start.
struct CompiledService: Sendable, BitwiseCopyable {
    /// The index of its location tree; negative if its outcome is the same for everyone.
    var tree: Int32
    /// The index of its first outcome, from which its tree counts; without a tree, the only one.
    var outcome: UInt32
    /// The index of its fallback pool; negative for "the first pool of the decision".
    var fallback: Int32 = -1
    var whenAllDown = WhenAllDown.fallback
    var clientSubnet = ClientSubnetUse.use
    /// Zeros where it is the STEER record's.
    var ttl = TTLBounds(lower: 0, upper: 0)
    /// Which families its pools have addresses of; all of them have the same.
    var hasIPv4 = false
    var hasIPv6 = false
    /// Whether its pools have host names; all of them do, or none.
    var answersByHost = false
}
