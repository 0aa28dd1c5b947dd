// What the pool files say, checked: pools, services and their rules as values, names resolved to
// indexes. `PoolFileParser` makes it, `Steering` compiles it. Indexes follow file order.

public import DNSWire
public import Geo
public import Settings

/// Everything that the pool files of one server say; several files form one namespace.
public struct SteeringConfiguration: Sendable {
    public var pools: [Pool] = []
    public var services: [Service] = []
    /// Those that the files define; thirteen more come with Rhumb.
    public var regions: [Region] = []
    /// Measured round trips, the rows that count.
    public var latency = LatencyTable()
    /// How much measured values may differ, in percent, before a running server goes by the new one.
    public var latencyMargin = 10
    /// The `monitors:` entries, unread: their keys belong to the health checker.
    public var monitors: [MonitorEntry] = []

    public init() {}
}

extension Pool {
    /// What it usually bears: half of its capacity if nothing is stated.
    var usualLoad: Int { load ?? ((capacity ?? 0) + 1) / 2 }

    /// What it is worth beside other pools that are all over their capacity.
    var worth: Int { max(1, capacity ?? 2 * usualLoad) }
}

/// One entry of `monitors:`; only its name matters to steering.
public struct MonitorEntry: Sendable {
    public var name: String
    public var position: SourcePosition
    public var value: SettingsValue
}

/// Origins at one place.
public struct Pool: Sendable {
    public var name: String
    public var position: SourcePosition
    /// Where the pool is; nil for a pool that proximity puts last.
    public var location: Coordinates?
    /// The names of the monitors that check the origins, none twice; empty for a pool that is always up.
    public var monitors: [String]
    /// How many of the monitors have to have an address up for it to be up; at least 1.
    public var monitorsNeeded = 1
    /// How many origins it takes for the pool to be used; all of these, and never empty.
    public var minimumHealthy: [MinimumHealthy]
    public var policy: OriginPolicy
    /// How many origins an answer carries the addresses of, where the policy is not `all`.
    public var answers = 1
    /// How many of its clients, in percent, the pool leaves to the next pools of their rules.
    public var shed = 0
    /// The most that it bears, in the user's unit; nil for a pool without a limit.
    public var capacity: Int?
    /// What it usually bears, in the same unit; nil if nothing is stated.
    public var load: Int?
    /// How long it takes, once it can be used again, until it has all of its clients back.
    public var ramp: Duration?
    /// Never empty.
    public var origins: [Origin]

    public var isMonitored: Bool { !monitors.isEmpty }

    /// Whether its origins are given by host name: then all of them are.
    public var answersByHost: Bool { origins.contains { $0.host != nil } }

    /// Whether any origin has an address of that family.
    public func serves(_ family: IPAddress.Family) -> Bool {
        origins.contains { $0.addresses.contains { $0.family == family } }
    }
}

/// How a pool picks among its origins.
public enum OriginPolicy: String, CaseIterable, Sendable {
    /// Every answer carries the addresses of one origin, drawn by weight.
    case weighted
    /// Every client prefix gets the same origin for as long as that is up, in proportion to weights.
    case hash
    /// Every answer carries the addresses of all origins that are up.
    case all
}

/// A server that clients are steered to.
public struct Origin: Sendable {
    public var name: String
    public var position: SourcePosition
    /// No two alike within the pool; empty only for an origin given by its host name.
    public var addresses: [IPAddress]
    /// The name that clients are sent to by a CNAME, where no addresses are given.
    public var host: Name?
    /// The share of the draws, 0 to 65,535; 0 is drawn only where every candidate has 0.
    public var weight: Int
    /// Where the monitor asks in place of the addresses: what it finds holds for all of them.
    public var checkAddress: IPAddress?

    /// How many places it has in the health table.
    var healthEntries: Int { host == nil ? addresses.count : 1 }
}

/// What a STEER record names: ordered rules, and where clients go when those give nothing.
public struct Service: Sendable {
    public var name: String
    public var position: SourcePosition
    /// The first that matches decides; never empty.
    public var rules: [Rule]
    /// The index of the pool for clients that no rule matches and for when a rule's pools are all
    /// down; nil means the first pool of the decision at hand.
    public var fallback: Int?
    public var whenAllDown = WhenAllDown.fallback
    public var clientSubnet = ClientSubnetUse.use
    /// Nil for the STEER record's.
    public var ttl: ServiceTTL?
}

/// What clients get while all pools of their rule are down.
public enum WhenAllDown: String, CaseIterable, Sendable, BitwiseCopyable {
    /// The service's fallback pool, whatever its health.
    case fallback
    /// The addresses of all of the rule's pools.
    case all
    /// The first pool in the order for this client.
    case first
    /// The error SERVFAIL, so that resolvers try another name server.
    case servfail
}

/// Whether a service steers by what resolvers disclose of their clients (RFC 7871).
public enum ClientSubnetUse: String, CaseIterable, Sendable, BitwiseCopyable {
    case use
    /// The resolver's own address counts.
    case ignore
}

/// An optional match on the client's place, a policy, and its pools in order.
public struct Rule: Sendable {
    public var position: SourcePosition
    /// Nil matches everyone.
    public var match: Match?
    public var policy: Policy
    /// Never empty, none twice.
    public var pools: [PoolReference]
    /// Whether answers carry one address of the next usable pool, too.
    public var spare = false
}

/// A pool as a rule lists it, or another service that chooses one.
public struct PoolReference: Hashable, Sendable {
    public enum Target: Hashable, Sendable {
        /// The index of a pool.
        case pool(Int)
        /// The index of a service, whose rules choose a pool.
        case service(Int)
    }

    public var target: Target
    /// The share of the draws under `weighted`, 0 to 65,535.
    public var weight = 1
    /// -99 to 99; under `proximity`, more draws clients from farther away.
    public var bias = 0

    public init(_ target: Target, weight: Int = 1, bias: Int = 0) {
        self.target = target
        self.weight = weight
        self.bias = bias
    }

    /// The index of the pool; nil for a service.
    public var pool: Int? {
        if case .pool(let index) = target { index } else { nil }
    }
}

// MARK: - Limits

/// What a configuration may hold; each bounds memory or time that a mistaken file would cost.
public enum SteeringLimit {
    /// The health checker probes addresses of every pool; outcomes name pools in 32 bits.
    public static let pools = 4_096
    /// Monitors of one pool: each asks all of its addresses.
    public static let monitorsPerPool = 8
    /// Enough for a hall of servers at one place.
    public static let originsPerPool = 256
    /// What the health table indexes and the checker can probe from one machine.
    public static let addresses = 65_536
    public static let services = 4_096
    /// A tree is compiled in (networks x matching rules); explain lists every rule.
    public static let rulesPerService = 256
    /// Each distinct place is ranked against each pool of a proximity rule at load.
    public static let poolsPerRule = 64
    /// How deep services may name services; more is hard to follow, for people too.
    public static let nesting = 4
    /// Pools that a service's rules name, with those of the services that they name, each as often as
    /// it is named: what compiling looks at for each distinct place.
    public static let nestedEntries = 4_096
    /// So that sums and products over all pools stay below 64 bits.
    public static let capacity = 1_000_000_000
    /// A server takes at least the first; who wants more than the last has `shed`.
    public static let ramp = Duration.seconds(1)...Duration.seconds(3_600)
    /// Origins that one answer may draw.
    public static let answers = 8
    /// How deep `any` and `not` may stand in each other, and how many of them a match may have.
    public static let matchDepth = 8
    public static let matchParts = 256
    public static let regions = 1_024
    /// Entries of one field of a match.
    public static let entriesPerMatch = 10_000
    /// Octets of a name: it must fit one character-string of a STEER record, and a metric's label.
    public static let nameLength = 63
    /// Addresses of one family that one answer may carry.
    ///
    /// An answer without fragments is 1,232 octets; header (12), the longest question (259), OPT
    /// (11), client subnet (24) and cookie (28) leave 898, and an AAAA record takes 28.
    public static let addressesPerAnswer = 32
    /// The largest weight, so that sums of weights stay far below 64 bits.
    public static let weight = 65_535
    /// The largest bias either way: 100 would make a distance zero or infinite.
    public static let bias = 99
    /// Seconds of a TTL that a service states. Zero would have every client ask for each connection;
    /// resolvers are told to keep nothing for more than 7 days (RFC 8767, section 4). Both are far inside
    /// what the wire holds (RFC 2181, section 8).
    public static let ttl = Duration.seconds(1)...Duration.seconds(604_800)
    /// The longest TTL, in seconds, without a warning where pools are probed.
    public static let promptTTL: UInt32 = 3_600
}
