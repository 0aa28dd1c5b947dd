// Ramps: a pool that comes back gets its clients little by little, as `ramp` in its file has it. What is
// remembered of it from one verdict to the next is here, as a value; time is a parameter.

/// Which share of its clients each pool takes at one moment, for its ramp.
public struct RampShares: Sendable, Hashable {
    /// By the index of the pool; only those that are on their way up.
    private(set) var shares: [Int: Share] = [:]

    /// No pool is on its way up.
    public init() {}

    /// - Parameter shares: from 0 to 1, by the index of the pool.
    init(_ shares: [Int: Double]) {
        self.shares = shares.mapValues { Share($0 * Double(Share.all)) }
    }

    fileprivate mutating func set(_ share: Share, of pool: Int) { shares[pool] = share }
}

/// Since when pools can be used again, degraded or not, that were down; by name, so that it outlives
/// a reload.
public struct Ramps: Sendable {
    private enum Phase: Equatable {
        case down
        /// Since when, for as long as it has not all of its clients back.
        case up(since: ContinuousClock.Instant?)
    }

    /// The shares of a moment.
    public struct Update: Sendable, Equatable {
        public var shares: RampShares
        /// How long they hold; nil if no ramp runs.
        public var next: Duration?
    }

    /// No finer than this, or 1 % of the ramp if that is longer: each step is a new snapshot.
    static let leastStep = Duration.seconds(1)

    private var phases: [String: Phase] = [:]

    /// Nothing was down yet.
    public init() {}

    /// Takes verdicts in, and says who is on its way up.
    ///
    /// A pool of an unknown name has all of its clients at once: at a start, or where it is new in the
    /// files. So has one that nobody had looked at before.
    public mutating func update(
        _ steering: Steering, _ health: HealthTable, at now: ContinuousClock.Instant
    ) -> Update {
        var update = Update(shares: RampShares(), next: nil)
        var phases: [String: Phase] = [:]
        // One that was degraded was not down: who can be used is who counts.
        let counts = steering.originCounts(health)
        let perhaps = steering.originCounts(health, countingUnknown: true)
        for (index, pool) in steering.configuration.pools.enumerated() {
            let before = self.phases[pool.name]
            guard !pool.tier(counts[index]).isEmpty else {
                let isUnknown = !pool.tier(perhaps[index]).isEmpty && before != .down
                phases[pool.name] = isUnknown ? before : .down
                continue
            }
            var since: ContinuousClock.Instant?
            switch before {
            case .down: since = now
            case .up(let start): since = start
            case nil: break
            }
            guard let start = since, let ramp = pool.ramp, now < start + ramp else {
                phases[pool.name] = .up(since: nil)
                continue
            }
            phases[pool.name] = .up(since: start)
            update.shares.set(Share((now - start) / ramp * Double(Share.all)), of: index)
            let step = min(max(Self.leastStep, ramp / 100), start + ramp - now)
            update.next = min(update.next ?? step, step)
        }
        self.phases = phases
        return update
    }
}
