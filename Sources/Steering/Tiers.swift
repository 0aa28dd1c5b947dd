// How good what can be answered is. A pool is *healthy* if enough of its origins are up; *degraded* if
// it takes those that are degraded to come to enough; otherwise it cannot be used.
//
// Degraded pools count only where no healthy one is among all that the outcome of a client comes to,
// over services too: so each decision goes by one tier, on every level. A healthy pool that leaves a
// client to others is healthy all the same: whom no other healthy pool takes it has to take, rather than
// a degraded one. A degraded pool gets its clients back at once: it was never away from those it had.

internal import DNSWire

/// What an address is good for, worst first.
enum Fitness: UInt8, Comparable, Sendable, BitwiseCopyable {
    case down
    /// Not to be used, but by an operator's word: it may well work.
    case drained
    case degraded
    case up

    static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// The worst that is answered where this is the best there is.
    ///
    /// - Parameter isHealthy: whether it is for healthy pools, which leave out what is degraded.
    func least(isHealthy: Bool) -> Fitness { isHealthy ? self : min(self, .degraded) }
}

/// How good a pool is, or which kinds several pools are of; empty for what cannot be used.
struct Tiers: OptionSet, Hashable, Sendable, BitwiseCopyable {
    let rawValue: UInt8

    static let healthy = Tiers(rawValue: 1)
    static let degraded = Tiers(rawValue: 2)

    /// The best of them, alone.
    @inline(__always)
    var best: Tiers { Tiers(rawValue: rawValue & (0 &- rawValue)) }

    /// Whether any of the others is among them.
    @inline(__always)
    func has(_ others: Tiers) -> Bool { rawValue & others.rawValue != 0 }
}

/// A value for all origins of a pool, and for those with addresses of each family.
struct ByKind<Value: Hashable & Sendable>: Hashable, Sendable {
    var total: Value
    var ipv4: Value
    var ipv6: Value

    init(_ value: Value) {
        total = value
        ipv4 = value
        ipv6 = value
    }

    subscript(kind: MinimumHealthy.Kind) -> Value {
        get {
            switch kind {
            case .total: total
            case .ipv4: ipv4
            case .ipv6: ipv6
            }
        }
        set {
            switch kind {
            case .total: total = newValue
            case .ipv4: ipv4 = newValue
            case .ipv6: ipv6 = newValue
            }
        }
    }
}

/// How many origins of a pool are what.
struct OriginCounts: Hashable, Sendable {
    /// Those with an address that is up.
    var up = ByKind(0)
    /// Those with an address that is up or degraded.
    var fit = ByKind(0)

    /// - Parameter best: the fitness of an origin's best address.
    fileprivate mutating func add(_ best: ByKind<Fitness>) {
        for kind in MinimumHealthy.Kind.allCases {
            if best[kind] == .up { up[kind] += 1 }
            if best[kind] >= .degraded { fit[kind] += 1 }
        }
    }
}

extension Pool {
    /// How good the pool is, by the counts of its origins.
    func tier(_ counts: OriginCounts) -> Tiers {
        let meets = { (having: ByKind<Int>) in
            self.minimumHealthy.allSatisfy { having[$0.kind] >= $0.count }
        }
        return meets(counts.up) ? .healthy : meets(counts.fit) ? .degraded : []
    }
}

extension Steering {
    /// What each address is good for.
    func fitnesses(_ health: HealthTable) -> [Fitness] {
        zip(addresses, health.verdicts).map { $1.fitness(monitored: $0.isMonitored) }
    }

    /// How many origins of each pool are what: an origin is as good as the best of its addresses.
    ///
    /// - Parameter countingUnknown: whether what nobody has looked at yet counts as up.
    func originCounts(_ health: HealthTable, countingUnknown: Bool = false) -> [OriginCounts] {
        var counts = Array(repeating: OriginCounts(), count: configuration.pools.count)
        // An origin's addresses follow each other.
        var last = (pool: -1, origin: -1)
        var best = ByKind(Fitness.down)
        for (address, verdict) in zip(addresses, health.verdicts) {
            let origin = (pool: address.pool, origin: address.origin)
            if origin != last {
                if last.pool >= 0 { counts[last.pool].add(best) }
                best = ByKind(.down)
                last = origin
            }
            let fitness =
                countingUnknown && verdict == .unknown
                ? .up : verdict.fitness(monitored: address.isMonitored)
            best.total = max(best.total, fitness)
            let family: MinimumHealthy.Kind = address.address.family == .ipv4 ? .ipv4 : .ipv6
            best[family] = max(best[family], fitness)
        }
        if last.pool >= 0 { counts[last.pool].add(best) }
        return counts
    }
}
