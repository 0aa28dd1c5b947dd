// What the checker's loop owns: who is probed when, how many at once, and what changed.

internal import DNSWire
internal import NIOCore
internal import Steering

/// The state of a checker; lives on its loop.
final class CheckerState {
    /// Probes at once: sockets and bursts stay bounded, and the schedule holds although every
    /// target stalls to its timeout, up to the larger limit.
    private static let concurrency = 256...4_096
    /// The longest a first round lasts, so that slow origins cannot keep a server from starting.
    private static let longestFirstRound = Duration.seconds(30)

    private let loop: any EventLoop
    private let publish: @Sendable (HealthUpdate) -> Void
    private let trust = TrustCache()

    private var plan: [(id: Int, watch: Watch)] = []
    private var base = HealthTable(count: 0)
    private var running = 0
    private var slots = concurrency.lowerBound
    private var waiting = CircularBuffer<Watch>()
    private var flips: [Transition] = []
    /// Flips of targets that are not in force yet; they wait for their adoption.
    private var flipsAside: [Transition] = []
    private var publication: Scheduled<Void>?
    private var lastReplacement: EventLoopFuture<Void>
    private var round: FirstRound?
    private var stopped: EventLoopPromise<Void>?

    init(loop: any EventLoop, publish: @escaping @Sendable (HealthUpdate) -> Void) {
        self.loop = loop
        self.publish = publish
        lastReplacement = loop.makeSucceededVoidFuture()
    }

    // MARK: - Replacing

    /// Replacements come into force one after the other, in the order of the calls.
    func replace(
        _ targets: [ProbeTarget], base: HealthTable, adopt: @escaping (HealthUpdate) -> Void
    ) -> EventLoopFuture<Void> {
        lastReplacement = lastReplacement.assumeIsolated().flatMap {
            self.beginReplacement(targets, base: base, adopt: adopt)
        }.nonisolated()
        return lastReplacement
    }

    private func beginReplacement(
        _ targets: [ProbeTarget], base: HealthTable, adopt: @escaping (HealthUpdate) -> Void
    ) -> EventLoopFuture<Void> {
        guard stopped == nil else { return loop.makeSucceededVoidFuture() }
        trust.removeAll()
        let known = Dictionary(plan.map { ($0.watch.key, $0.watch) }) { first, _ in first }
        var fresh: [String: Watch] = [:]
        let next = targets.map { target in
            if let watch = known[target.key], watch.isSame(as: target) { return (target.id, watch) }
            // A key that occurs twice is one target with two places in the table.
            let watch = fresh[target.key] ?? Watch(target)
            fresh[target.key] = watch
            return (target.id, watch)
        }
        let timed = Set(targets.lazy.filter(\.isTimed).map(\.key))
        let round = FirstRound(Array(fresh.values), loop: loop, limit: Self.longestFirstRound)
        self.round = round
        resizeSlots(for: next.map(\.1) + plan.map(\.watch))
        // In the order of the file, so that a bounded round is not a lottery.
        var started: Set<ObjectIdentifier> = []
        for (_, watch) in next
        where fresh[watch.key] === watch && started.insert(ObjectIdentifier(watch)).inserted {
            enqueue(watch)
        }
        return round.future.assumeIsolated().map {
            self.finishReplacement(next, timed: timed, base: base, adopt: adopt)
        }.nonisolated()
    }

    private func finishReplacement(
        _ next: [(Int, Watch)], timed: Set<String>, base: HealthTable,
        adopt: (HealthUpdate) -> Void
    ) {
        round = nil
        let kept = Set(next.map { ObjectIdentifier($0.1) })
        guard stopped == nil else {
            for (_, watch) in next { watch.retire() }
            return
        }
        for (_, watch) in plan where !kept.contains(ObjectIdentifier(watch)) { watch.retire() }
        for (_, watch) in next {
            watch.isInForce = true
            watch.isTimed = timed.contains(watch.key)
        }
        plan = next
        self.base = base
        flips += flipsAside
        flipsAside = []
        resizeSlots(for: next.map(\.1))
        adopt(takeUpdate())
    }

    private func resizeSlots(for watches: [Watch]) {
        let stalling = watches.reduce(0.0) { $0 + $1.monitor.longestRound / $1.monitor.interval }
        slots = min(
            max(Int(stalling * 1.25), Self.concurrency.lowerBound), Self.concurrency.upperBound)
    }

    func states() -> [TargetState] {
        plan.map { _, watch in
            TargetState(
                key: watch.key, address: watch.address, monitor: watch.monitor, health: watch.health
            )
        }
    }

    func stop() -> EventLoopFuture<Void> {
        if let stopped { return stopped.futureResult }
        let promise = loop.makePromise(of: Void.self)
        stopped = promise
        publication?.cancel()
        for (_, watch) in plan { watch.retire() }
        round?.abandon()
        while let watch = waiting.popFirst() { watch.retire() }
        if running == 0 { promise.succeed() }
        return promise.futureResult
    }

    // MARK: - Probing

    private func enqueue(_ watch: Watch) {
        guard stopped == nil, !watch.isRetired else { return }
        running < slots ? start(watch) : waiting.append(watch)
    }

    private func start(_ watch: Watch) {
        running += 1
        let attempt = ProbeAttempt(
            watch.address, host: watch.host, timeout: watch.monitor.timeout, loop: loop,
            trust: trust,
            decide: { outcome, duration in self.record(outcome, duration, of: watch) },
            end: { self.end(watch) })
        watch.attempt = attempt
        watch.monitor.probe.start(attempt)
    }

    private func record(_ outcome: ProbeResult.Outcome, _ duration: Duration, of watch: Watch) {
        guard let outcome = watch.round.take(outcome, retries: watch.monitor.rules.retries) else {
            return  // `end` starts the next try.
        }
        let before = watch.monitor.horizon(of: watch.health)
        let result = ProbeResult(
            outcome, duration: duration, time: .now(), load: watch.attempt?.load)
        if let flip = watch.health.record(result, under: watch.monitor.rules) {
            let flip = Transition(
                key: watch.key, from: flip.from, to: flip.to, reason: flip.reason, time: flip.time)
            if watch.isInForce {
                flips.append(flip)
                schedulePublication()
            } else {
                flipsAside.append(flip)
            }
        } else if watch.isTimed, watch.isInForce,
            watch.monitor.horizon(of: watch.health) != before
        {
            schedulePublication()
        }
        watch.leaveFirstRound()
    }

    private func end(_ watch: Watch) {
        running -= 1
        watch.attempt = nil
        if let stopped {
            if running == 0 { stopped.succeed() }
            return
        }
        // Not at once: a probe may end within `start`, and each that waits would then take its place
        // deeper on the stack.
        if !waiting.isEmpty { loop.assumeIsolated().execute { self.startWaiting() } }
        guard !watch.isRetired else { return }
        // A retry keeps its place; there are three at the most, so the stack is bounded.
        if watch.round.isOpen { return start(watch) }
        watch.wait(on: loop) { self.enqueue(watch) }
    }

    private func startWaiting() {
        while stopped == nil, running < slots, let next = waiting.popFirst() {
            if !next.isRetired { start(next) }
        }
    }

    // MARK: - Publishing

    private func schedulePublication() {
        guard publication == nil else { return }
        let delay = TimeAmount(Checker.publishDelay)
        publication = loop.assumeIsolated().scheduleTask(in: delay) {
            self.publish(self.takeUpdate())
        }
    }

    private func takeUpdate() -> HealthUpdate {
        publication?.cancel()
        publication = nil
        defer { flips = [] }
        var table = base
        for (id, watch) in plan {
            table[id] = watch.health.verdict
            if watch.isTimed { table.setHorizon(watch.monitor.horizon(of: watch.health), of: id) }
        }
        return HealthUpdate(table: table, transitions: flips)
    }
}

// MARK: - One target

/// One target under watch: its health, its rhythm, and the attempt that is under way.
final class Watch {
    let key: String
    let address: IPAddress
    let host: String?
    let monitor: Monitor
    var health: TargetHealth
    var round = Round()
    var attempt: ProbeAttempt?
    /// Whether the table shows it.
    var isInForce = false
    /// `ProbeTarget.isTimed`, of the targets in force.
    var isTimed = false
    private(set) var isRetired = false
    fileprivate weak var firstRound: FirstRound?

    private let schedule: Schedule
    private let born = NIODeadline.now()
    private var due: NIODeadline?
    private var timer: Scheduled<Void>?

    init(_ target: ProbeTarget) {
        key = target.key
        address = target.address
        host = target.host
        monitor = target.monitor
        schedule = Schedule(key: target.key, interval: target.monitor.interval)
        health = TargetHealth(under: monitor.rules, at: .now())
    }

    func isSame(as target: ProbeTarget) -> Bool {
        address == target.address && host == target.host && monitor == target.monitor
    }

    func leaveFirstRound() {
        firstRound?.leave()
        firstRound = nil
    }

    /// Calls `probe` at the next moment of the rhythm; one that has passed by is now, not a burst.
    func wait(on loop: any EventLoop, _ probe: @escaping () -> Void) {
        let next =
            due.map { $0 + TimeAmount(schedule.period) } ?? born + TimeAmount(schedule.offset)
        let moment = max(next, .now())
        due = moment
        timer = loop.assumeIsolated().scheduleTask(deadline: moment, probe)
    }

    func retire() {
        isRetired = true
        timer?.cancel()
        attempt?.cancel()
        leaveFirstRound()
    }
}

/// The first probes of targets that are new: over when each has a result, or its time is up.
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
