// How long answers may be kept. A service states a TTL, or bounds; within these an answer lives until the
// soonest moment at which a verdict that the decision looked at could flip. Bounds cost those queries a
// second look at the outcome, and others nothing.

internal import DNSWire
public import Settings

/// What a service states as `ttl: 10s-60s` or `ttl: 30s`.
public struct ServiceTTL: Sendable, Hashable {
    /// Seconds, 1 or more; equal for a fixed TTL.
    public let bounds: TTLBounds
    /// As the file has it.
    public let text: String
    public let position: SourcePosition

    /// Reads the value of `ttl`; nil after reporting what is wrong with it.
    init?(_ value: SettingsValue, _ diagnostics: inout Diagnostics) {
        guard let range = value.durationRange(in: SteeringLimit.ttl, &diagnostics) else {
            return nil
        }
        guard
            [range.lowerBound, range.upperBound].allSatisfy({ $0.components.attoseconds == 0 })
        else {
            value.expected("whole seconds, as 30s or 10s-60s", &diagnostics)
            return nil
        }
        bounds = TTLBounds(
            lower: UInt32(range.lowerBound.components.seconds),
            upper: UInt32(range.upperBound.components.seconds))
        text = value.text ?? ""
        position = value.position
    }
}

/// The least and the most seconds that an answer may be kept.
public struct TTLBounds: Sendable, Hashable, BitwiseCopyable {
    public var lower: UInt32
    public var upper: UInt32

    public init(lower: UInt32, upper: UInt32) {
        self.lower = lower
        self.upper = upper
    }

    public var isFixed: Bool { lower == upper }
}

extension SteeringConfiguration {
    /// The indexes of the pools whose probes set the TTL of some answer.
    public var timedPools: Set<Int> {
        var timed: Set<Int> = []
        for (index, service) in services.enumerated() {
            guard let bounds = service.ttl?.bounds, !bounds.isFixed else { continue }
            timed.formUnion(pools(of: .service(index)))
            if let fallback = service.fallback { timed.insert(fallback) }
        }
        // What pools have left for each other's clients follows from all of them.
        let crowded = Set(neighbourhoods.flatMap(\.members))
        return timed.isDisjoint(with: crowded) ? timed : timed.union(crowded)
    }

    /// How long resolvers may keep the answers of each pool, in seconds; nil for a pool that no STEER
    /// record leads to. What a service states counts for the records that name it, and for no service
    /// that names it in turn.
    ///
    /// - Parameter records: the index of each service that STEER records name, and the longest TTL
    ///   of these.
    public func longestTTLs(of records: [(service: Int, ttl: UInt32)]) -> [UInt32?] {
        var longest: [UInt32?] = Array(repeating: nil, count: pools.count)
        for (index, recordTTL) in records {
            let service = services[index]
            let ttl = service.ttl?.bounds.upper ?? recordTTL
            for pool in pools(of: .service(index)) + [service.fallback].compactMap(\.self) {
                longest[pool] = max(longest[pool] ?? 0, ttl)
            }
        }
        return longest
    }

    /// Whether any pool that a service may answer with is probed.
    public func isMonitored(_ service: Service) -> Bool {
        (service.rules.flatMap { pools(of: $0) } + [service.fallback].compactMap(\.self))
            .contains { pools[$0].isMonitored }
    }

    /// Reports a TTL that makes probes pointless.
    func warnOfLongTTL(_ service: Service, _ diagnostics: inout Diagnostics) {
        guard let ttl = service.ttl, ttl.bounds.upper > SteeringLimit.promptTTL,
            isMonitored(service)
        else { return }
        diagnostics.warning(
            at: ttl.position,
            "resolvers keep answers of the service \"\(service.name)\" for up to"
                + " \(durationText(.seconds(Int64(ttl.bounds.upper)))), and their clients go on for as"
                + " long to a pool that is down; its pools are probed, so write minutes at the most"
        )
    }
}

// MARK: - Of one decision

/// The soonest flip that could change a decision.
struct SoonestFlip: BitwiseCopyable {
    var seconds = UInt32.max
    /// The index of the pool that it is in; -1 for none.
    var pool: Int32 = -1

    init() {}

    /// The soonest in any of some pools.
    init(among members: [Int], _ pools: ContiguousArray<PoolState>) {
        for index in members { consider(pools[index], Int32(index)) }
    }

    fileprivate mutating func consider(_ other: SoonestFlip) {
        if other.seconds < seconds { self = other }
    }

    @inline(__always)
    fileprivate mutating func consider(_ state: PoolState, _ index: Int32) {
        guard state.horizon < seconds else { return }
        seconds = state.horizon
        pool = index
    }
}

extension SteeringState {
    /// How long, in seconds, what was decided may be kept; nil where that is the STEER record's.
    ///
    /// Apart from `decide`, which is the faster for it where no service has a TTL.
    public func ttl(of decision: Decision) -> UInt32? {
        guard decision.hasTTL else { return nil }
        let bounds = steering.services[Int(decision.service)].ttl
        if bounds.isFixed { return bounds.upper }
        return min(max(soonestFlip(of: decision).seconds, bounds.lower), bounds.upper)
    }

    /// The soonest flip among the pools that a decision looked at: each that was passed over, the one that
    /// answers, and the spare; all of them where something is drawn or several answer together. The same
    /// for every client of its scope, as it follows from the outcome and the pools chosen.
    func soonestFlip(of decision: Decision) -> SoonestFlip {
        var walk = FlipWalk(
            pool: decision.pool, spare: decision.spare,
            hasHealthySpare: decision.spare >= 0
                && pools[Int(decision.spare)].tier == .healthy)
        let outcome = steering.outcomes[Int(decision.outcome)]
        // All of the order was looked at before what is not from it, before anything is forced, and
        // before degraded pools count.
        consider(
            outcome,
            stops: decision.position >= 0 && !decision.isForced && tier(of: outcome) == .healthy,
            at: decision.position, &walk)
        if decision.pool >= 0 { walk.flip.consider(pools[Int(decision.pool)], decision.pool) }
        // What has room follows from the load of all that share capacities, of other rules as well.
        if decision.isDisplaced { walk.flip.consider(crowdedFlip) }
        if decision.reason == .allDown {
            // Of services that the outcome does not come to there are pools among these, too.
            walk.flip.consider(unions[Int(outcome.union)].flip)
        }
        if decision.reason == .lastResort {
            let fallback = steering.services[Int(decision.service)].fallback
            if fallback >= 0 { walk.flip.consider(pools[Int(fallback)], fallback) }
        }
        return walk.flip
    }

    /// A way through an outcome up to the pools that were chosen.
    private struct FlipWalk: BitwiseCopyable {
        /// What was chosen.
        let pool: Int32
        let spare: Int32
        /// Otherwise all that a rule comes to was looked at for one.
        let hasHealthySpare: Bool
        var flip = SoonestFlip()
        /// Whether it has come by what was chosen.
        var hasChoice = false
    }

    /// - Parameters:
    ///   - stops: whether what comes behind the choice was not looked at.
    ///   - position: where the choice is; -1 for "at the pool chosen".
    private func consider(
        _ outcome: Outcome, stops: Bool, at position: Int32 = -1, _ walk: inout FlipWalk
    ) {
        let isOrdered = outcome.pick == .firstUsable
        var lacksSpare = outcome.hasSpare
        var cursor = ChildCursor()
        while let child = steering.next(&cursor, of: outcome) {
            if let inner = child.outcome {
                // What may be for a spare is not followed so closely.
                let isForSpare = outcome.hasSpare && (walk.hasChoice || !walk.hasHealthySpare)
                consider(
                    steering.outcomes[inner], stops: stops && isOrdered && !isForSpare, &walk)
            } else {
                let pool = pools[Int(child.reference)]
                walk.flip.consider(pool, child.reference)
                // One that leaves clients to others may have left this one, and been drawn farther on.
                if pool.takesAll {
                    if walk.hasChoice, child.reference == walk.spare { lacksSpare = false }
                    if child.reference == walk.pool { walk.hasChoice = true }
                }
            }
            guard stops, isOrdered else { continue }
            if cursor.position == position { walk.hasChoice = true }
            if walk.hasChoice, !lacksSpare { return }
        }
        // Several pools of it answer, none of them alone.
        if outcome.pick == .union, unions[Int(outcome.union)].isUsable { walk.hasChoice = true }
    }
}
