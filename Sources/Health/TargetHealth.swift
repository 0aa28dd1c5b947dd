// Why did it flip? The pure machine from the results of one target (an address under a monitor) to
// its verdict. Time comes in with the results, so that the same results always make the same
// verdicts.
//
//     unknown ──first result──▶ up or down          up, degraded ──`fall` failures in a row──▶ down
//     up ──over a limit for `degraded_for`──▶ degraded ──below all for as long──▶ up
//     down ──`rise` passes in a row, neither held down nor flapping──▶ up
//
// VerdictRules has the numbers, Checker the probes, TargetHealthCoding what is written to disk.

internal import Settings
public import Steering

/// A verdict that changed.
public struct Flip: Sendable, Hashable {
    public var from: Verdict
    public var to: Verdict
    /// What decided, as `status: 503, expected 200-299`.
    public var reason: String
    public var time: Timestamp
}

/// The verdict on one target, and how it came about.
public struct TargetHealth: Sendable, Hashable {
    public internal(set) var verdict = Verdict.unknown
    /// When the verdict was reached; nil while it is unknown.
    public internal(set) var since: Timestamp?
    /// Why the verdict is what it is, for people; empty while it is unknown.
    public internal(set) var reason = ""
    /// The result that decided the verdict; nil while it is unknown, and where a monitor's `start`
    /// did.
    public internal(set) var decidedBy: ProbeResult?
    public internal(set) var last: ProbeResult?
    /// The smoothed response time of probes that passed.
    ///
    /// Each one counts for a quarter (`smoothing`), so that half of a jump is seen after three.
    public internal(set) var responseTime: Duration?
    /// The newest flips, the oldest first.
    public internal(set) var history: [Flip] = []
    /// How many of the newest results in a row contradict the verdict, at most as many as flip it.
    public internal(set) var contradictions = 0

    /// When it went down after having been up, the newest times last: what `hold_down` and `flaps`
    /// count.
    var falls: [Timestamp] = []
    /// Since when all that passed has been over a limit, if it is up, or below all if degraded.
    var leaningSince: Timestamp?
    /// Nothing here is later: the time of the newest result, or of being resumed.
    var newest: Timestamp?

    /// Enough to see a pattern in `status`.
    public static let historyLimit = 8
    /// Falls are kept for the largest budget, so that a rule that is edited finds them.
    static let fallLimit = VerdictRules.flapCounts.upperBound + 1
    /// One in so many is the weight of a new response time (RFC 6298, section 2, takes 8 for TCP,
    /// which has more of them).
    static let smoothing = 4
    /// What was last seen of a target longer ago says nothing about its verdict.
    public static let memory = Duration.seconds(86_400)

    public init() {}

    /// A target that nothing contradicts.
    init(settledAs verdict: Verdict) { self.verdict = verdict }

    // MARK: - Results

    /// Takes a result; returns the flip if the verdict changes.
    public mutating func record(_ result: ProbeResult, under rules: VerdictRules) -> Flip? {
        advance(to: result.time)
        last = result
        switch result.outcome {
        case .inconclusive: return nil
        case .failed: return recordFailure(result, rules)
        case .passed: return recordPass(result, rules)
        }
    }

    private mutating func recordFailure(_ result: ProbeResult, _ rules: VerdictRules) -> Flip? {
        guard verdict != .down else {
            contradictions = 0
            return nil
        }
        contradictions += 1
        guard remaining(under: rules) == 0 else { return nil }
        if verdict != .unknown { falls = (falls + [result.time]).suffix(Self.fallLimit) }
        let flapping = flappingInWords(rules).map { "; \($0)" } ?? ""
        return flip(to: .down, because: "\(result.outcome)\(flapping)", by: result, at: result.time)
    }

    private mutating func recordPass(_ result: ProbeResult, _ rules: VerdictRules) -> Flip? {
        smooth(result.duration)
        if verdict == .up || verdict == .degraded {
            contradictions = 0
            return lean(result, rules)
        }
        contradictions += min(1, remaining(under: rules))
        guard remaining(under: rules) == 0, !isHeld(under: rules, at: result.time) else {
            return nil
        }
        return flip(to: .up, because: "\(result.outcome)", by: result, at: result.time)
    }

    /// How many results in a row flip the verdict from here on, hold-down and flapping aside.
    func remaining(under rules: VerdictRules) -> Int {
        let needed =
            switch verdict {
            case .unknown: 1
            case .up, .degraded: rules.fall
            case .down, .drained: rules.rise
            }
        return max(needed - contradictions, 0)
    }

    private mutating func flip(
        to verdict: Verdict, because reason: String, by result: ProbeResult?, at time: Timestamp
    ) -> Flip {
        let flip = Flip(from: self.verdict, to: verdict, reason: reason, time: time)
        self.verdict = verdict
        since = time
        self.reason = reason
        decidedBy = result
        contradictions = 0
        leaningSince = nil
        history = (history + [flip]).suffix(Self.historyLimit)
        return flip
    }

    // MARK: - Degraded

    /// Goes over to degraded, or back to up, when all that passed for long enough speaks for it;
    /// failures between say nothing here.
    private mutating func lean(_ result: ProbeResult, _ rules: VerdictRules) -> Flip? {
        let words =
            verdict == .up
            ? rules.strain(responseTime, result.load) : rules.relief(responseTime, result.load)
        guard let words else {
            leaningSince = nil
            return nil
        }
        let start = leaningSince ?? result.time
        leaningSince = start
        guard result.time - start >= rules.degradedFor else { return nil }
        return flip(
            to: verdict == .up ? .degraded : .up,
            because: rules.degradedFor > .zero
                ? "\(words) for \(durationText(rules.degradedFor))" : words,
            by: result, at: result.time)
    }

    private mutating func smooth(_ duration: Duration) {
        let before = responseTime ?? duration
        // In whole nanoseconds, as files have it.
        let after = before + (duration - before) / Self.smoothing
        responseTime = .nanoseconds(after.wholeNanoseconds)
    }

    // MARK: - Held down

    /// The moment before which passes don't bring it up; nil where nothing holds it down.
    public func heldUntil(under rules: VerdictRules) -> Timestamp? {
        guard verdict == .down, let fall = falls.last else { return nil }
        let held = rules.holdDown > .zero ? fall.advanced(by: rules.holdDown) : nil
        return [held, flappingUntil(rules)].compactMap(\.self).max()
    }

    /// What a flip has to wait for beside its count: the hold-down if it is down; if it is up, what
    /// degrades it whatever the count is. Nil where there is no such thing.
    ///
    /// `whole` is from the newest result on if it has begun, and else from the one it begins with.
    func wait(under rules: VerdictRules) -> (whole: Duration, hasBegun: Bool)? {
        switch verdict {
        case .unknown, .drained: return nil
        case .down:
            guard let newest, let until = heldUntil(under: rules) else { return nil }
            return (until - newest, true)
        case .up where !rules.canDegrade: return nil
        case .up, .degraded:
            guard let newest, let leaningSince else { return (rules.degradedFor, false) }
            return (rules.degradedFor - (newest - leaningSince), true)
        }
    }

    private func isHeld(under rules: VerdictRules, at time: Timestamp) -> Bool {
        heldUntil(under: rules).map { time < $0 } ?? false
    }

    /// When the falls within the window are no more than the budget again; nil if they have never
    /// been more.
    private func flappingUntil(_ rules: VerdictRules) -> Timestamp? {
        guard let flaps = rules.flaps, falls.count > flaps.budget else { return nil }
        return falls[falls.count - flaps.budget - 1].advanced(by: flaps.window)
    }

    private func flappingInWords(_ rules: VerdictRules) -> String? {
        guard let flaps = rules.flaps, let until = flappingUntil(rules), let now = falls.last,
            until > now
        else { return nil }
        let count = falls.count { now - $0 < flaps.window }
        return "flapping: \(count) times in \(durationText(flaps.window)), "
            + "up again at the earliest at \(until)"
    }

    // MARK: - Beginning and going on

    /// A target that probing begins with, as its monitor's `start` says.
    ///
    /// - Parameter remembered: what was known of it before a restart.
    public init(under rules: VerdictRules, remembered: TargetHealth? = nil, at now: Timestamp) {
        self = remembered?.resumed(at: now) ?? TargetHealth()
        guard let start = rules.start.verdict, start != verdict,
            start != .up || !isHeld(under: rules, at: now)
        else { return }
        newest = now
        _ = flip(to: start, because: "start: \(rules.start.rawValue)", by: nil, at: now)
    }

    /// The same target after a time without probes (a restart, or a monitor that was edited).
    ///
    /// Its verdict stays, with all that led to it, and has to be contradicted as often as if
    /// nothing had been seen against it. One from too long ago is unknown again: the first result
    /// decides.
    public func resumed(at now: Timestamp) -> TargetHealth {
        var health = self
        let seen = last?.time ?? since
        if seen.map({ abs(now - $0) > Self.memory }) ?? true {
            health.verdict = .unknown
            health.since = nil
            health.reason = ""
            health.decidedBy = nil
            health.responseTime = nil
        }
        health.contradictions = 0
        health.leaningSince = nil
        health.newest = nil
        health.advance(to: now)
        return health
    }

    /// Lets time go on.
    ///
    /// Where the clock was set back nothing is later than now, so that no wait gets longer than its
    /// rule.
    private mutating func advance(to now: Timestamp) {
        if newest.map({ now < $0 }) ?? true { cut(to: now) }
        newest = now
    }

    /// Sees to it that nothing that waits for a time is later than a moment.
    mutating func cut(to now: Timestamp) {
        since = since.map { min($0, now) }
        leaningSince = leaningSince.map { min($0, now) }
        falls = falls.map { min($0, now) }
    }
}

private func abs(_ duration: Duration) -> Duration { max(duration, .zero - duration) }
