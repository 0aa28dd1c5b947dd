// What waits to be delivered to one sink, in order, and when to try: a pure machine with time and
// randomness as parameters.

/// The queue of one sink. One event is under way at a time.
struct EventOutbox {
    /// Events that wait: a mass failure of some hundred pools fits, and it is some hundred KiB.
    static let capacity = 1_000
    /// The wait after the first failure; each further one doubles it.
    static let firstPause = Duration.seconds(1)
    static let longestPause = Duration.seconds(300)
    /// What a receiver may ask for by `Retry-After`.
    static let longestAskedPause = Duration.seconds(3_600)
    /// How long an event is tried: older ones are no news.
    static let longestTrying = Duration.seconds(86_400)

    /// How a try ended.
    enum Outcome: Sendable, Hashable {
        case delivered
        /// Another try may help.
        case failed(String, askedPause: Duration? = nil)
        /// No other try would help.
        case refused(String)
    }

    /// What a person should know of the deliveries.
    enum Notice: Hashable {
        /// The first of several failures in a row.
        case failing(String)
        case deliveredAgain(failures: Int)
        /// The event is given up.
        case gaveUp(Event, String)
    }

    private struct Entry {
        var telling: Telling
        var since: Duration
    }

    private var entries: [Entry] = []
    /// Where the queue begins in `entries`.
    private var first = 0
    private(set) var isUnderWay = false
    /// How many were dropped since the last delivery.
    private(set) var dropped = 0
    private var droppedAtBegin = 0
    private var failures = 0
    private var pausedUntil = Duration.zero

    var count: Int { entries.count - first }

    /// Takes what is to be delivered; where there is no room, the oldest that is not under way goes.
    ///
    /// - Returns: how many were dropped.
    mutating func add(_ tellings: [Telling], at now: Duration) -> Int {
        entries += tellings.map { Entry(telling: $0, since: now) }
        let excess = max(0, count - Self.capacity)
        let kept = isUnderWay ? first + 1 : first
        entries.removeSubrange(kept..<kept + excess)
        dropped += excess
        return excess
    }

    /// The event to try now, and how many were dropped before it; nil if there is none or it is not time.
    /// `end` has to follow.
    mutating func begin(at now: Duration) -> (telling: Telling, dropped: Int)? {
        guard !isUnderWay, count > 0, now >= pausedUntil else { return nil }
        isUnderWay = true
        droppedAtBegin = dropped
        return (entries[first].telling, dropped)
    }

    /// How long to wait until `begin` may have something.
    func wait(at now: Duration) -> Duration? {
        isUnderWay || count == 0 ? nil : max(.zero, pausedUntil - now)
    }

    /// Takes how the try ended.
    ///
    /// - Parameter random: 0 to 1, for the jitter of the next try.
    mutating func end(_ outcome: Outcome, at now: Duration, random: Double) -> Notice? {
        isUnderWay = false
        switch outcome {
        case .delivered:
            dropped -= droppedAtBegin
            removeFirst()
            defer { reset() }
            return failures > 0 ? .deliveredAgain(failures: failures) : nil
        case .refused(let reason):
            let event = entries[first].telling.event
            removeFirst()
            reset()
            return .gaveUp(event, reason)
        case .failed(let reason, let askedPause):
            failures += 1
            // Doubled up to the longest, which 9 doublings exceed; from half to all of that.
            let pause = min(Self.firstPause * (1 << min(failures - 1, 9)), Self.longestPause)
            let asked = min(askedPause ?? .zero, Self.longestAskedPause)
            pausedUntil = now + max(pause * (0.5 + random / 2), asked)
            let entry = entries[first]
            if now - entry.since > Self.longestTrying {
                removeFirst()
                return .gaveUp(entry.telling.event, reason)
            }
            return failures == 1 ? .failing(reason) : nil
        }
    }

    private mutating func reset() {
        failures = 0
        pausedUntil = .zero
    }

    private mutating func removeFirst() {
        first += 1
        // Now and then, so that it costs each event little.
        guard first >= 100 || first == entries.count else { return }
        entries.removeFirst(first)
        first = 0
    }
}
