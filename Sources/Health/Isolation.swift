// Whether so many origins fail at once that the checker rather suspects its own network: pure, with
// the time as a parameter. CheckerState tells it of every result, freezes the table and asks the
// references.
//
//     watching ──too many fail──▶ suspecting ──no reference answers──▶ isolated
//        ▲                            │                                   │
//        ├── a reference answers: the failures are real, verdicts apply ──┘ (or its time is up)
//        └── they pass again, or references answer again: what failed meanwhile is forgotten

public import DNSWire

/// When a checker suspects itself.
public struct IsolationSettings: Sendable, Hashable {
    /// An address that is known to be there whatever becomes of the origins.
    public struct Reference: Sendable, Hashable, CustomStringConvertible {
        public var address: IPAddress
        public var port: Int

        public init(address: IPAddress, port: Int) {
            self.address = address
            self.port = port
        }

        /// `192.0.2.1:443`, `[2001:db8::1]:443`.
        public var description: String {
            address.family == .ipv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
        }
    }

    /// Whether it ever does.
    public enum Use: Sendable, Hashable {
        /// From `leastOrigins` in `leastPools` on, with `usualPercent`.
        case automatic
        /// More than so many percent of the origins that were up, however few they are.
        case above(percent: Int)
        case off
    }

    public var use = Use.automatic
    public var references: [Reference] = []

    public init() {}

    static let usualPercent = 70
    /// Below, ordinary failures would freeze a table; more than 100 % never fail.
    public static let percents = 20...99
    /// With fewer origins, or fewer places, that most of them fail at once may well be real, and
    /// then clients need the fallback.
    static let leastOrigins = 5
    static let leastPools = 3
}

/// How it stands, for status and metrics.
public struct IsolationState: Sendable, Hashable {
    /// Whether verdicts stay as they were, because most origins failed at once.
    public var isFrozen = false
    /// Whether besides no reference answers, or none is given: `HealthTable.isIsolated`.
    public var isIsolated = false
    /// How many of the origins that were up fail, in a freeze.
    public var failing = 0
    public var origins = 0

    public init() {}
}

/// What the checker came to think of itself: for the log, loudly.
public struct IsolationNotice: Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable {
        /// It suspects its own network, and keeps all verdicts as they were before.
        case isolated
        /// It does no longer.
        case ended
        /// Most origins failed at once, and a reference showed that it is not this machine's
        /// network.
        case real
        /// A reference did not answer when all was well.
        case silentReference
    }

    public var kind: Kind
    /// What happened, with counts and what follows.
    public var description: String
    /// How many of the origins that were up fail.
    public var failing: Int
    public var origins: Int
}

/// The counts of origins that were up and now fail.
struct Isolation {
    /// Without references a freeze ends after this, for it may be wrong: long enough for a router
    /// to start again, short enough for clients of origins that are really dead.
    static let longestWithoutReferences = Duration.seconds(300)

    /// Where so many fail or more, all are looked at again after a part of these more, or after a pause.
    private static let lookStep = 64
    private static let lookPause = Duration.milliseconds(500)

    enum Phase: Equatable {
        case watching
        /// Frozen, while references are asked.
        case suspecting
        /// Frozen.
        case isolated
    }

    enum End: Equatable {
        /// A reference answered when it was suspected: the failures are the origins'.
        case referenceAnswers
        /// Nothing could be found out for too long.
        case timeIsUp
        /// It was switched off.
        case switchedOff
        /// Most origins pass again.
        case originsPass
        /// A reference answers again.
        case referenceAnswersAgain

        /// Whether what failed during the freeze counts.
        var failuresAreReal: Bool {
            switch self {
            case .referenceAnswers, .timeIsUp, .switchedOff: true
            case .originsPass, .referenceAnswersAgain: false
            }
        }
    }

    enum Event: Equatable {
        /// From now on nothing changes in the table, and what began to fail since then is as
        /// before.
        case froze(since: Duration)
        case isolated
        case ended(End)
    }

    private struct Origin {
        var pool: String
        /// The longest interval of its monitors, and a timeout.
        var interval: Duration
        var isUp = false
        /// When it began to fail, if it was up then and this machine may be to blame.
        var failedAt: Duration?
        /// Whether it fails, and that is known not to be this machine's fault.
        var isReallyFailing = false

        /// Whether it counts: it is up, or was when it began to fail.
        var counts: Bool { isUp || failedAt != nil }
    }

    private(set) var phase = Phase.watching
    private var settings = IsolationSettings()
    private var origins: [String: Origin] = [:]
    /// How many origins count, and how many of these fail suspiciously.
    private(set) var counting = 0
    private(set) var failing = 0
    /// The same when the last freeze ended.
    private(set) var atEnd = (failing: 0, counting: 0)
    private var frozenAt = Duration.zero
    /// How many began to fail since all origins were last looked at.
    private var unlooked = 0
    private var looked = Duration.zero

    var isFrozen: Bool { phase != .watching }
    var references: [IsolationSettings.Reference] { settings.references }

    /// When a freeze ends at the latest; nil if references decide, or there is none.
    var deadline: Duration? {
        isFrozen && references.isEmpty ? frozenAt + Self.longestWithoutReferences : nil
    }

    /// The share of failing origins above which it suspects itself; nil for never.
    private var percent: Int? {
        switch settings.use {
        case .off: return nil
        case .above(let percent): return percent
        case .automatic:
            guard origins.count >= IsolationSettings.leastOrigins,
                Set(origins.values.lazy.map(\.pool)).count >= IsolationSettings.leastPools
            else { return nil }
            return IsolationSettings.usualPercent
        }
    }
    /// `percent`, which does not change between replacements.
    private var threshold: Int?

    // MARK: - Events

    /// Changes the settings and the origins; what is known of those that stay is kept.
    ///
    /// - Parameter origins: by `pool/origin`: its pool, and its longest interval with a timeout.
    mutating func replace(
        _ settings: IsolationSettings, _ origins: [String: (pool: String, interval: Duration)]
    ) -> Event? {
        let before = self.origins
        self.settings = settings
        self.origins = origins.reduce(into: [:]) { all, entry in
            var origin =
                before[entry.key] ?? Origin(pool: entry.value.pool, interval: .zero)
            origin.interval = entry.value.interval
            all[entry.key] = origin
        }
        threshold = percent
        recount()
        guard isFrozen else { return nil }
        if threshold == nil { return end(.switchedOff) }
        return isOver ? end(.originsPass) : nil
    }

    /// Takes what a result made of its origin. After a freeze has ended, tell it of all of them.
    ///
    /// - Parameters:
    ///   - isUp: whether any of its addresses is up by its counts.
    ///   - isFailing: whether none of its addresses passed its newest probe, and some failed it.
    mutating func note(
        _ key: String, isUp: Bool, isFailing: Bool, at now: Duration
    ) -> Event? {
        guard var origin = origins[key] else { return nil }
        let begins =
            isFailing && origin.failedAt == nil && origin.isUp && !origin.isReallyFailing
        counting -= origin.counts ? 1 : 0
        failing -= origin.failedAt != nil ? 1 : 0
        // Whom a freeze began with it is about until its end.
        origin.isUp = isUp || isFrozen && origin.counts
        if begins { origin.failedAt = now }
        if !isFailing {
            origin.failedAt = nil
            origin.isReallyFailing = false
        }
        counting += origin.counts ? 1 : 0
        failing += origin.failedAt != nil ? 1 : 0
        origins[key] = origin
        if isFrozen { return isOver ? end(.originsPass) : nil }
        if begins { unlooked += 1 }
        return unlooked > 0 ? freezeIfSuspicious(at: now) : nil
    }

    /// Takes whether any reference answered, of those that were asked in a freeze.
    mutating func note(referenceAnswers: Bool) -> Event? {
        switch phase {
        case .watching: return nil
        case .suspecting:
            guard !referenceAnswers else { return end(.referenceAnswers) }
            phase = .isolated
            return .isolated
        case .isolated: return referenceAnswers ? end(.referenceAnswersAgain) : nil
        }
    }

    /// Takes that time has passed.
    mutating func expire(at now: Duration) -> Event? {
        guard let deadline, now >= deadline else { return nil }
        return end(.timeIsUp)
    }

    // MARK: - Deciding

    private func exceeds(_ part: Int, of all: Int) -> Bool {
        guard let threshold else { return false }
        return part * 100 > threshold * all
    }

    /// Whether the share of failing origins is below half of the threshold.
    private var isOver: Bool {
        guard let threshold else { return true }
        return failing == 0 || failing * 200 < threshold * counting
    }

    private mutating func freezeIfSuspicious(at now: Duration) -> Event? {
        // Counts what failed long ago, too, so that most results need no look at all origins.
        guard exceeds(failing, of: counting) else { return nil }
        // Where many fail that are not suspicious, a look at each new one would cost their square.
        guard unlooked > failing / Self.lookStep || now >= looked + Self.lookPause else {
            return nil
        }
        unlooked = 0
        looked = now
        let window = forgetOldFailures(at: now)
        var recent = 0
        var pools: Set<String> = []
        for origin in origins.values
        where origin.failedAt.map({ $0 >= now - window }) ?? false {
            recent += 1
            pools.insert(origin.pool)
        }
        // A pool that dies as a whole is what failover is for, however many origins it has.
        guard pools.count > 1, exceeds(recent, of: counting) else { return nil }
        frozenAt = now
        // Nobody to ask: isolated at once.
        phase = references.isEmpty ? .isolated : .suspecting
        return .froze(since: now - window)
    }

    /// Forgets of those that have been down for longer that they were up, and returns what "at
    /// once" is: the longest interval of the origins that failed within an interval of their own.
    private mutating func forgetOldFailures(at now: Duration) -> Duration {
        var window = Duration.zero
        for origin in origins.values {
            guard let failedAt = origin.failedAt, failedAt >= now - origin.interval else {
                continue
            }
            window = max(window, origin.interval)
        }
        for (key, origin) in origins {
            guard let failedAt = origin.failedAt, failedAt < now - window, !origin.isUp else {
                continue
            }
            origins[key]?.failedAt = nil
        }
        recount()
        return window
    }

    private mutating func end(_ end: End) -> Event {
        phase = .watching
        atEnd = (failing, counting)
        for key in origins.keys where origins[key]?.failedAt != nil {
            origins[key]?.failedAt = nil
            origins[key]?.isReallyFailing = end.failuresAreReal
        }
        recount()
        return .ended(end)
    }

    private mutating func recount() {
        counting = origins.values.count { $0.counts }
        failing = origins.values.count { $0.failedAt != nil }
    }
}
