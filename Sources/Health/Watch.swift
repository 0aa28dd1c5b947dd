// What the checker watches, from the outside in: an origin has addresses, an address has a watch
// for each of its monitors, a watch has a rhythm and a verdict. All of it lives on the checker's
// loop.

internal import DNSWire
internal import NIOCore
internal import Steering

/// The addresses of one origin: it is up as long as any of them is.
final class WatchedOrigin {
    /// `pool/origin`.
    let key: String
    let pool: String
    var targets: [WatchedTarget] = []

    init(_ target: ProbeTarget) {
        key = "\(target.pool)/\(target.origin)"
        pool = target.pool
    }

    /// Whether any of its addresses is up by its counts, published or not.
    var isUp: Bool { targets.contains { $0.combined.isUsable } }

    /// Whether none of its addresses works as far as the newest results tell, and some do not.
    var isFailing: Bool {
        let seen = targets.map(\.seen)
        return seen.contains(.down) && !seen.contains(.up)
    }

    /// In which time all of its monitors have asked.
    var interval: Duration {
        targets.flatMap(\.watches).map { $0.monitor.interval + $0.monitor.longestRound }.max()
            ?? .zero
    }
}

/// One address with its monitors, and the verdict on it that is published.
final class WatchedTarget {
    let target: ProbeTarget
    /// In the order of the pool's `monitor`.
    let watches: [Watch]
    private(set) var standing = Standing()
    /// What was published before `standing`.
    private var standingBefore = Standing()
    /// The origin, once the table shows it.
    weak var origin: WatchedOrigin?
    var isTimed = false

    init(_ target: ProbeTarget, _ watches: [Watch]) {
        self.target = target
        self.watches = watches
    }

    /// What its monitors come to.
    var combined: Verdict { .combining(watches.map(\.health.verdict), needed: target.needed) }

    /// What they would come to if their newest results were all there is: no counts.
    var seen: Verdict { .combining(watches.map(\.seen), needed: target.needed) }

    /// Whether any of them would fail with this machine's network.
    var asksNetwork: Bool { watches.contains(where: \.monitor.asksNetwork) }

    /// What they came to before what began to fail since a moment.
    func verdict(before moment: Duration) -> Verdict {
        .combining(watches.map { $0.health(before: moment).verdict }, needed: target.needed)
    }

    /// Whether what is published is not what its monitors come to. That some have said nothing yet,
    /// after a reload that brought them, is no reason to forget what was known.
    var isHeldBack: Bool { ![standing.verdict, .unknown].contains(combined) }

    var horizon: Horizon {
        // It flips as soon as the freeze ends, or with the next result.
        guard combined == standing.verdict else { return Horizon(probes: 1, seconds: 0) }
        return .combining(
            watches.map { ($0.health.verdict, $0.monitor.horizon(of: $0.health)) },
            needed: target.needed)
    }

    /// Takes over what was published of it before a reload.
    func inherit(_ predecessor: WatchedTarget) {
        standing = predecessor.standing
        standingBefore = predecessor.standingBefore
    }

    /// Publishes what the monitors come to; returns what changed.
    func settle() -> Transition {
        change(to: Standing(combined, of: self))
    }

    /// Publishes what was before, or else what the monitors came to; returns what changed.
    func rollBack(to verdict: Verdict, because reason: String, at time: Timestamp) -> Transition {
        var before = standingBefore
        if before.verdict != verdict {
            before = Standing()
            before.verdict = verdict
            before.since = time
            before.reason = reason
        }
        var transition = change(to: before)
        transition.reason = reason
        transition.step = nil
        transition.duration = nil
        transition.time = time
        return transition
    }

    private func change(to next: Standing) -> Transition {
        let transition = Transition(
            key: target.key, pool: target.pool, origin: target.origin, address: target.address,
            from: standing.verdict, to: next.verdict, reason: next.reason, monitors: next.monitors,
            step: next.step, duration: next.duration, time: next.since ?? .now())
        standingBefore = standing
        standing = next
        return transition
    }
}

extension Standing {
    /// What the monitors of a target come to, with those that decided: the ones that are as bad or
    /// worse, or for what is up those that are up.
    fileprivate init(_ verdict: Verdict, of target: WatchedTarget) {
        self.verdict = verdict
        let watches = target.watches
        let deciding = watches.filter { watch in
            switch verdict {
            case .down: watch.health.verdict == .down
            case .degraded: [.degraded, .down].contains(watch.health.verdict)
            default: watch.health.verdict == .up
            }
        }
        // The newest of them made it so.
        since = deciding.compactMap(\.health.since).max()
        monitors = deciding.map(\.monitor.name)
        duration = deciding.compactMap(\.health.decidedBy).max { $0.time < $1.time }?.duration
        for watch in deciding {
            if case .failed(let step, _) = watch.health.decidedBy?.outcome { self.step = step }
        }
        guard watches.count > 1 else {
            reason = deciding.first?.health.reason ?? ""
            return
        }
        let up = watches.count { $0.health.verdict == .up }
        let told = deciding.map { "\($0.monitor.name): \($0.health.reason)" }
        reason =
            (told + ["\(up) of \(watches.count) monitors up, \(target.target.needed) needed"])
            .joined(separator: "; ")
    }
}

/// One address under one monitor: its verdict, its rhythm, and the attempt that is under way.
final class Watch {
    let monitor: Monitor
    /// `pool/origin/address monitor`.
    let memoryKey: String
    let address: IPAddress
    let host: String?
    private(set) var health: TargetHealth
    var round = Round()
    var attempt: ProbeAttempt?
    /// Whether the attempt began in a freeze that is over: that it fails says nothing.
    var isDoubtful = false
    /// Whose it is: of what is in force, or else of what will be.
    weak var target: WatchedTarget?
    private(set) var isRetired = false
    /// `up` or `down` by the newest result that says anything; unknown before it.
    private(set) var seen = Verdict.unknown
    /// How it was when it began to fail the last time.
    private var before: (health: TargetHealth, failedAt: Duration)?
    fileprivate weak var firstRound: FirstRound?

    private let schedule: Schedule
    private let born: NIODeadline
    private(set) var due: NIODeadline?
    private var timer: Scheduled<Void>?

    init(
        _ target: ProbeTarget, _ monitor: Monitor, _ health: TargetHealth, born: NIODeadline
    ) {
        self.born = born
        self.monitor = monitor
        self.health = health
        memoryKey = target.memoryKey(monitor)
        address = target.address
        host = target.host
        schedule = Schedule(key: memoryKey, interval: monitor.interval)
    }

    func isSame(as target: ProbeTarget, _ monitor: Monitor) -> Bool {
        address == target.address && host == target.host && monitor == self.monitor
    }

    // MARK: - Its verdict

    /// Takes a result.
    ///
    /// - Parameters:
    ///   - now: on the clock of freezes.
    ///   - frozenSince: what began to fail since then is one failure, whatever passed between.
    func take(_ result: ProbeResult, at now: Duration, frozenSince: Duration?) {
        switch result.outcome {
        case .inconclusive: break
        case .passed: seen = .up
        case .failed:
            let isKnown =
                if let frozenSince, let before { before.failedAt >= frozenSince } else { false }
            if seen != .down, !isKnown { before = (health, now) }
            seen = .down
        }
        _ = health.record(result, under: monitor.rules)
    }

    /// What was known before it began to fail, if that was since a moment.
    func health(before moment: Duration) -> TargetHealth {
        guard monitor.asksNetwork, let before, before.failedAt >= moment else { return health }
        return before.health
    }

    /// Forgets what failed since a moment, and all that followed from it; the counts start anew.
    func restore(before moment: Duration) {
        guard monitor.asksNetwork else { return }
        round = Round()
        isDoubtful = attempt != nil
        guard let before, before.failedAt >= moment else { return }
        health = before.health.resumed(at: .now())
        self.before = nil
        seen = .unknown
    }

    // MARK: - Its rhythm

    func leaveFirstRound() {
        firstRound?.leave()
        firstRound = nil
    }

    /// Calls `probe` at the next moment of the rhythm; one that has passed by is now, not a burst.
    func wait(on loop: any EventLoop, _ probe: @escaping () -> Void) {
        let next =
            due.map { $0 + TimeAmount(schedule.period) } ?? born + TimeAmount(schedule.offset)
        let moment = max(next, loop.now)
        due = moment
        timer = loop.assumeIsolated().scheduleTask(deadline: moment) {
            self.timer = nil
            probe()
        }
    }

    /// Makes it due right now without a change of its rhythm; false if it is under way already.
    func hasten() -> Bool {
        guard let timer else { return false }
        timer.cancel()
        self.timer = nil
        due = due.map { $0 - TimeAmount(schedule.period) }
        return true
    }

    func retire() {
        isRetired = true
        timer?.cancel()
        attempt?.cancel()
        leaveFirstRound()
    }
}

/// The first probes of targets of which nothing is known: over when each has a result, or its time
/// is up.
final class FirstRound {
    private let promise: EventLoopPromise<Void>
    private var remaining: Int
    private var timer: Scheduled<Void>?

    init(_ watches: [Watch], loop: any EventLoop, limit: Duration) {
        promise = loop.makePromise()
        remaining = watches.count
        guard let longest = watches.map(\.monitor.longestRound).max() else {
            promise.succeed()
            return
        }
        for watch in watches { watch.firstRound = self }
        // A second wave of probes gets its time too, where there are too many for one.
        let time = min(longest * 2, limit)
        timer = loop.assumeIsolated().scheduleTask(in: TimeAmount(time)) { self.abandon() }
    }

    var future: EventLoopFuture<Void> { promise.futureResult }

    func leave() {
        remaining -= 1
        if remaining == 0 { abandon() }
    }

    /// Ends the round with what there is.
    func abandon() {
        timer?.cancel()
        promise.succeed()
    }
}
