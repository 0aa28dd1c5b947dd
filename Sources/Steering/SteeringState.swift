// Steering with the health of one moment laid on top: everything a decision reads, in flat arrays.
//
// Built on the control plane for each group of health flips, and no tree is touched. Every answer
// that can be given is a run of one of the two address arrays, so that deciding copies nothing.

public import DNSWire

/// What a query sees of steering; immutable.
public final class SteeringState: Sendable {
    public let steering: Steering
    public let health: HealthTable

    let pools: ContiguousArray<PoolState>
    /// By the index of the pool.
    let originCounts: [OriginCounts]
    /// By the index of `Steering.unions`.
    let unions: ContiguousArray<UnionState>
    /// The soonest in any of the pools that share capacities.
    let crowdedFlip: SoonestFlip
    /// The entries of all draw tables.
    let draws: ContiguousArray<DrawEntry>
    /// By the index of `Steering.sets`.
    let sets: ContiguousArray<SetState>
    /// By the index of the pool; empty where no capacity counts.
    let rooms: ContiguousArray<Room>
    /// Which pools are on their way up.
    let ramps: RampShares
    /// The addresses that answers carry, as 32 bits in host order.
    @usableFromInline let ipv4: ContiguousArray<UInt32>
    /// The addresses that answers carry, as pairs: the first 64 bits, then the last.
    @usableFromInline let ipv6: ContiguousArray<UInt64>
    /// The hosts' names in wire format, one after the other, and where each begins.
    private let hostOctets: ContiguousArray<UInt8>
    private let hostStarts: ContiguousArray<Int>

    /// - Parameter ramps: for the same pools and verdicts.
    /// - Precondition: `health` has one verdict for each of `steering.addresses`.
    public init(_ steering: Steering, health: HealthTable, ramps: RampShares = RampShares()) {
        precondition(
            health.count == steering.addresses.count,
            "a health table belongs to the steering whose addresses it counts")
        self.steering = steering
        self.health = health
        self.ramps = ramps
        var builder = StateBuilder(steering, health, ramps)
        let pools = ContiguousArray(
            steering.configuration.pools.indices.map { builder.addPool($0) })
        self.pools = pools
        originCounts = builder.originCounts
        unions = ContiguousArray(steering.unions.map { builder.addUnion($0, pools) })
        draws = builder.draws
        crowdedFlip = SoonestFlip(among: steering.neighbourhoods.flatMap(\.members), pools)
        let rooms = steering.rooms(pools)
        self.rooms = rooms
        sets = ContiguousArray(steering.sets.map { SetState($0, pools, rooms, ramps) })
        ipv4 = builder.ipv4
        ipv6 = builder.ipv6
        var hostOctets: ContiguousArray<UInt8> = []
        hostStarts = ContiguousArray(
            steering.hosts.map { host in
                defer { hostOctets += host.wire }
                return hostOctets.count
            })
        self.hostOctets = hostOctets
    }

    /// An IPv4 address of a decision, as 32 bits in host order.
    ///
    /// - Parameter index: one of the decision's `ipv4` range.
    @inlinable
    public func ipv4Address(_ index: UInt32) -> UInt32 { ipv4[Int(index)] }

    /// An IPv6 address of a decision, as its first and last 64 bits in host order.
    ///
    /// - Parameter index: one of the decision's `ipv6` range.
    @inlinable
    public func ipv6Address(_ index: UInt32) -> (high: UInt64, low: UInt64) {
        (ipv6[2 * Int(index)], ipv6[2 * Int(index) + 1])
    }

    /// Loads the name of a decision's host.
    ///
    /// - Parameter index: the decision's `host`, if that is not negative.
    public func loadHost(_ index: Int32, into name: inout NameBuffer) {
        Self.load(hostOctets, at: hostStarts[Int(index)], into: &name)
    }

    /// Apart, as a field's span does not outlive the access to the field (Swift 6.3).
    private static func load(
        _ octets: borrowing ContiguousArray<UInt8>, at start: Int, into name: inout NameBuffer
    ) {
        let length = name.load(octets.span, at: start)
        precondition(length != nil, "the name of a host is well formed")
    }

    /// The host of a decision, for people and tests; nil if addresses answer.
    public func host(_ decision: Decision) -> Name? {
        decision.host < 0 ? nil : steering.hosts[Int(decision.host)]
    }

    /// The addresses of a decision, for people and tests; the packet writer reads them one by one.
    public func addresses(_ decision: Decision) -> [IPAddress] {
        runs(decision, .ipv4).indices.map { IPAddress(ipv4: ipv4Address($0)) }
            + runs(decision, .ipv6).indices.map {
                let (high, low) = ipv6Address($0)
                return IPAddress(family: .ipv6, high: high, low: low)
            }
    }
}

// MARK: - The tables

/// A share of the clients, in parts of 65,536.
typealias Share = UInt32

extension Share {
    static let all: Share = 65_536
}

/// One pool at this moment.
struct PoolState: Sendable, BitwiseCopyable {
    /// How good it is.
    var tier: Tiers
    /// Whether any of its addresses is not down: drained, say, or up without enough others.
    var mayWork: Bool
    /// Whether the client's prefix picks the origins.
    var picksByHash: Bool
    /// Whether each origin draws for itself and the best are taken: for a prefix, for several origins,
    /// and where the families have different origins, so that both get the same one if they can.
    var ranksOrigins: Bool
    /// How many origins an answer has.
    var answers: UInt8
    /// Whether it is healthy, and leaves no client to others.
    var takesAll: Bool
    /// Which share of its clients it takes.
    var admission = Share.all
    /// How soon a verdict on any of its addresses could flip, in seconds.
    var horizon = UInt32.max
    /// What it answers with; a table of one entry needs no draw.
    var ipv4: DrawTable
    var ipv6: DrawTable
    /// The hosts that it answers with in place of addresses: their ranges are single indexes of
    /// `Steering.hosts`.
    var hosts: DrawTable
}

extension PoolState {
    /// Whether enough of its origins are up or degraded.
    var isUsable: Bool { !tier.isEmpty }

    /// Whether the client's prefix picks among several origins.
    @inline(__always)
    var hashes: Bool { picksByHash && max(ipv4.count, ipv6.count, hosts.count) > 1 }
}

/// The pools that an outcome comes to.
struct SetState: Sendable, BitwiseCopyable {
    /// How good they are.
    var tiers: Tiers
    /// Whether any may leave a client to others now that at other times leaves none.
    var mayRefuse: Bool
    /// What they are drawn by together while nothing has room.
    var weight: UInt64

    init(
        _ set: PoolSet, _ pools: ContiguousArray<PoolState>, _ rooms: ContiguousArray<Room>,
        _ ramps: RampShares
    ) {
        let tiers = Tiers(set.pools.map { pools[$0].tier })
        self.tiers = tiers
        let usable = set.pools.filter { pools[$0].tier.has(tiers.best) }
        mayRefuse = set.pools.contains {
            set.hasCapacity ? !pools[$0].takesAll : ramps.shares[$0] != nil
        }
        weight = rooms.isEmpty ? 0 : usable.reduce(0) { $0 + rooms[$1].weight }
    }
}

/// What several pools answer together.
struct UnionState: Sendable, BitwiseCopyable {
    /// Whether any of the pools can be used.
    var isUsable: Bool
    /// Those that are healthy, or else the degraded ones.
    var ipv4: AddressRange
    var ipv6: AddressRange
    /// All of them, whatever their health: the best kind of address that they have.
    var allIPv4: AddressRange
    var allIPv6: AddressRange
    /// The soonest in any of the pools.
    var flip: SoonestFlip
}

/// A run of `draws`.
struct DrawTable: Sendable, BitwiseCopyable {
    var start: UInt32 = 0
    var count: UInt32 = 0
}

/// One thing that can be drawn.
struct DrawEntry: Sendable, BitwiseCopyable {
    /// The sum of the weights up to and with this entry; the last one's is the total.
    var sum: UInt64
    /// What the origin's name hashes to.
    var seed: UInt64
    var weight: UInt32
    /// The index of the origin in its pool; negative for a pool's origins together.
    var item: Int32
    var range: AddressRange
}

// MARK: - Building

private struct StateBuilder {
    private let configuration: SteeringConfiguration
    /// By health index.
    private let fitnesses: [Fitness]
    let originCounts: [OriginCounts]
    private let ramps: RampShares
    private let horizons: [Horizon]
    private let firstAddresses: [Int]
    var draws: ContiguousArray<DrawEntry> = []
    var ipv4: ContiguousArray<UInt32> = []
    var ipv6: ContiguousArray<UInt64> = []
    /// How many hosts the pools before have.
    private var hostCount: UInt32 = 0

    init(_ steering: Steering, _ health: HealthTable, _ ramps: RampShares) {
        configuration = steering.configuration
        self.ramps = ramps
        originCounts = steering.originCounts(health)
        fitnesses = steering.fitnesses(health)
        horizons = health.horizons
        firstAddresses = steering.firstAddresses
    }

    mutating func addPool(_ index: Int) -> PoolState {
        let pool = configuration.pools[index]
        var health = firstAddresses[index]
        // Per origin, what each of its addresses is good for, or its host.
        let states = pool.origins.map { origin in
            defer { health += origin.healthEntries }
            return fitnesses[health..<health + origin.healthEntries]
        }
        let origins = zip(pool.origins, states).map { origin, states in
            zip(origin.addresses, states).map { (address: $0, fitness: $1) }
        }
        let tier = pool.tier(originCounts[index])
        let isHealthy = tier == .healthy
        let unshed = UInt64(Share.all) * UInt64(100 - pool.shed) / 100
        let ramped = UInt64(ramps.shares[index] ?? .all)
        let admission = Share(unshed * ramped / UInt64(Share.all))
        let ipv4 = addAnswers(pool, origins, .ipv4, isHealthy)
        let ipv6 = addAnswers(pool, origins, .ipv6, isHealthy)
        return PoolState(
            tier: tier, mayWork: states.contains { $0.contains { $0 > .down } },
            picksByHash: pool.policy == .hash,
            ranksOrigins: pool.policy == .hash || pool.answers > 1 || !agree(ipv4, ipv6),
            answers: UInt8(pool.answers), takesAll: isHealthy && admission == .all,
            admission: admission,
            horizon: horizons[firstAddresses[index]..<health].map(\.seconds).min() ?? .max,
            ipv4: ipv4, ipv6: ipv6,
            hosts: addHosts(pool, states.map { $0.max() ?? .down }, isHealthy))
    }

    /// Whether the same point in two tables is the same origin, or one has nothing to draw.
    private func agree(_ ipv4: DrawTable, _ ipv6: DrawTable) -> Bool {
        guard ipv4.count > 0, ipv6.count > 0 else { return true }
        return entries(of: ipv4).elementsEqual(entries(of: ipv6)) { $0.item == $1.item }
    }

    private func entries(of table: DrawTable) -> ContiguousArray<DrawEntry>.SubSequence {
        draws[Int(table.start)..<Int(table.start + table.count)]
    }

    /// Adds the hosts that a pool answers with: the best that there are.
    private mutating func addHosts(
        _ pool: Pool, _ fitnesses: [Fitness], _ isHealthy: Bool
    ) -> DrawTable {
        guard pool.answersByHost else { return DrawTable() }
        let least = (fitnesses.max() ?? .down).least(isHealthy: isHealthy)
        var entries: [DrawEntry] = []
        for (index, origin) in pool.origins.enumerated() where fitnesses[index] >= least {
            entries.append(
                DrawEntry(
                    sum: 0, seed: seed(ofName: "\(pool.name)/\(origin.name)", for: .originName),
                    weight: UInt32(origin.weight), item: Int32(index),
                    range: AddressRange(start: hostCount + UInt32(index), count: 1)))
        }
        hostCount += UInt32(pool.origins.count)
        return addDraws(entries)
    }

    /// Adds what a pool answers for one family: the best that there is, of whatever kind.
    private mutating func addAnswers(
        _ pool: Pool, _ origins: [[(address: IPAddress, fitness: Fitness)]],
        _ family: IPAddress.Family, _ isHealthy: Bool
    ) -> DrawTable {
        let ofFamily = origins.map { $0.filter { $0.address.family == family } }
        let best = ofFamily.joined().map(\.fitness).max() ?? .down
        let least = best.least(isHealthy: isHealthy)
        var entries: [DrawEntry] = []
        for (index, addresses) in ofFamily.enumerated() {
            let answered = addresses.filter { $0.fitness >= least }.map(\.address)
            guard !answered.isEmpty else { continue }
            let origin = pool.origins[index]
            entries.append(
                DrawEntry(
                    sum: 0, seed: seed(ofName: "\(pool.name)/\(origin.name)", for: .originName),
                    weight: UInt32(origin.weight),
                    item: Int32(index), range: add(answered, family)))
        }
        guard var first = entries.first else { return DrawTable() }
        switch pool.policy {
        case .weighted, .hash: return addDraws(entries)
        case .all:
            // The origins' ranges follow each other, so together they are one.
            first.range.count = entries.reduce(0) { $0 + $1.range.count }
            first.item = -1
            return addDraws([first])
        }
    }

    /// Adds a draw table; entries of weight 0 are left out, unless all have it: then all are equal.
    private mutating func addDraws(_ entries: [DrawEntry]) -> DrawTable {
        let isAllZero = entries.allSatisfy { $0.weight == 0 }
        let start = draws.count
        var sum: UInt64 = 0
        for var entry in entries where entry.weight > 0 || isAllZero {
            if isAllZero { entry.weight = 1 }
            sum += UInt64(entry.weight)
            entry.sum = sum
            draws.append(entry)
        }
        return DrawTable(start: UInt32(start), count: UInt32(draws.count - start))
    }

    private mutating func add(_ addresses: [IPAddress], _ family: IPAddress.Family) -> AddressRange
    {
        switch family {
        case .ipv4:
            ipv4 += addresses.map(\.ipv4Bits)
            return AddressRange(
                start: UInt32(ipv4.count - addresses.count), count: UInt32(addresses.count))
        case .ipv6:
            for address in addresses {
                ipv6 += [address.high, address.low]
            }
            return AddressRange(
                start: UInt32(ipv6.count / 2 - addresses.count), count: UInt32(addresses.count))
        }
    }

    mutating func addUnion(
        _ members: [Int], _ pools: ContiguousArray<PoolState>
    ) -> UnionState {
        let tier = Tiers(members.map { pools[$0].tier }).best
        let usable = members.filter { pools[$0].tier.has(tier) }
        let isHealthy = tier == .healthy
        return UnionState(
            isUsable: !usable.isEmpty,
            ipv4: addUnion(usable, .ipv4, isHealthy), ipv6: addUnion(usable, .ipv6, isHealthy),
            allIPv4: addUnion(members, .ipv4, false), allIPv6: addUnion(members, .ipv6, false),
            flip: SoonestFlip(among: members, pools))
    }

    /// Adds what pools answer together; an address that several have is there once.
    private mutating func addUnion(
        _ members: [Int], _ family: IPAddress.Family, _ isHealthy: Bool
    ) -> AddressRange {
        var all: [(address: IPAddress, fitness: Fitness, weight: Int)] = []
        for pool in members {
            var health = firstAddresses[pool]
            for origin in configuration.pools[pool].origins {
                for address in origin.addresses {
                    defer { health += 1 }
                    guard address.family == family else { continue }
                    all.append((address, fitnesses[health], origin.weight))
                }
            }
        }
        let best = all.map(\.fitness).max() ?? .down
        let least = best.least(isHealthy: isHealthy)
        var answered = all.filter { $0.fitness >= least }
        // Those of weight 0 wait, unless nothing else is left.
        if best > .down, answered.contains(where: { $0.weight > 0 }) {
            answered.removeAll { $0.weight == 0 }
        }
        var seen: Set<IPAddress> = []
        return add(answered.map(\.address).filter { seen.insert($0).inserted }, family)
    }
}
