// What the checker's loop owns: who is probed when, how many at once, and what changed. Freezes are
// in CheckerFreeze.

internal import DNSWire
internal import NIOCore
internal import Steering

/// The state of a checker; lives on its loop.
final class CheckerState {
    /// Probes at once: sockets and bursts stay bounded, and the schedule holds although every
    /// target stalls to its timeout, up to the larger limit.
    var concurrency = 256...4_096
    /// The longest a first round lasts, so that slow origins cannot keep a server from starting.
    private static let longestFirstRound = Duration.seconds(30)

    let loop: any EventLoop
    let trust = TrustCache()
    private let publish: @Sendable (HealthUpdate) -> Void
    private let started: NIODeadline

    /// The places in the table; those with one key have one target.
    private var plan: [(id: Int, target: WatchedTarget)] = []
    private(set) var targets: [WatchedTarget] = []
    private(set) var origins: [WatchedOrigin] = []
    private var base = HealthTable(count: 0)
    /// Verdicts of an earlier process, until the first replacement.
    var memory: [String: TargetHealth] = [:]
    /// Attempts that are not over, those of reference rounds too.
    var running = 0
    /// How many may run; `resizeSlots` says.
    private var slots = 0
    private var waiting = CircularBuffer<Watch>()

    /// Whether the checker suspects itself, and what it does about that.
    var isolation = Isolation()
    var frozenSince: Duration?
    var frozenAt: NIODeadline
    var references: ReferenceRound?
    /// Asks a port of a reference whether it accepts a connection.
    var connect: (ProbeAttempt, Int) -> Void = { TCPProbe(port: $1).start($0) }
    /// Whether they are to be asked as soon as the round that is under way is over.
    var wantsReferences = false
    /// The reference that answered last, of those that were asked last.
    var answering: IsolationSettings.Reference?
    var freezeTimer: Scheduled<Void>?

    var transitions: [Transition] = []
    var notices: [IsolationNotice] = []
    private var publication: Scheduled<Void>?
    private var lastReplacement: EventLoopFuture<Void>
    private var round: FirstRound?
    private(set) var stopped: EventLoopPromise<Void>?
    /// Who is to look at a report, by `pool/origin` and `pool/origin/address`.
    private var reported: [String: [Watch]] = [:]

    init(loop: any EventLoop, publish: @escaping @Sendable (HealthUpdate) -> Void) {
        self.loop = loop
        self.publish = publish
        started = loop.now
        frozenAt = loop.now
        lastReplacement = loop.makeSucceededVoidFuture()
    }

    /// Since the checker began; the clock of freezes.
    var uptime: Duration { .nanoseconds((loop.now - started).nanoseconds) }

    // MARK: - Replacing

    /// Replacements come into force one after the other, in the order of the calls.
    func replace(
        _ targets: [ProbeTarget], base: HealthTable, isolation: IsolationSettings,
        adopt: @escaping (HealthUpdate) -> Void
    ) -> EventLoopFuture<Void> {
        lastReplacement = lastReplacement.assumeIsolated().flatMap {
            self.beginReplacement(targets) {
                self.base = base
                self.replaceIsolation(isolation)
                adopt(self.takeUpdate())
            }
        }.nonisolated()
        return lastReplacement
    }

    /// Probes what is new, and then puts the targets in force.
    private func beginReplacement(
        _ places: [ProbeTarget], adopt: @escaping () -> Void
    ) -> EventLoopFuture<Void> {
        guard stopped == nil else { return loop.makeSucceededVoidFuture() }
        trust.removeAll()
        let known = Dictionary(targets.flatMap(\.watches).map { ($0.memoryKey, $0) }) { a, _ in a }
        var fresh: [Watch] = []
        var next: [String: WatchedTarget] = [:]
        // In the order of the file, so that a bounded round is not a lottery.
        let nextPlan = places.map { place in
            // A key that occurs twice is one target with two places in the table.
            let target =
                next[place.key]
                ?? WatchedTarget(
                    place,
                    place.monitors.map { monitor in
                        let old = known[place.memoryKey(monitor)]
                        if let old, old.isSame(as: place, monitor) { return old }
                        let watch = Watch(
                            place, monitor, begin(place, monitor, after: old), born: loop.now)
                        fresh.append(watch)
                        return watch
                    })
            next[place.key] = target
            target.isTimed = target.isTimed || place.isTimed
            return (id: place.id, target: target)
        }
        let kept = nextPlan.map(\.target)
        for target in kept {
            for watch in target.watches where watch.target == nil { watch.target = target }
        }
        // Of the others something is known to begin with.
        let round = FirstRound(
            fresh.filter { $0.health.verdict == .unknown }, loop: loop,
            limit: Self.longestFirstRound)
        self.round = round
        resizeSlots(for: kept + targets)
        for watch in fresh { enqueue(watch) }
        return round.future.assumeIsolated().map {
            self.round = nil
            self.putInForce(nextPlan)
            if self.stopped == nil { adopt() }
        }.nonisolated()
    }

    /// What is known of a target before it is asked: by a monitor of the same name before a reload,
    /// or by an earlier process.
    private func begin(_ target: ProbeTarget, _ monitor: Monitor, after old: Watch?) -> TargetHealth
    {
        // In a freeze, what failed may yet be forgotten.
        let known = old.map { old in frozenSince.map { old.health(before: $0) } ?? old.health }
        if let known, known.verdict != .unknown { return known.resumed(at: .now()) }
        return TargetHealth(
            under: monitor.rules, remembered: memory[target.memoryKey(monitor)], at: .now())
    }

    private func putInForce(_ next: [(id: Int, target: WatchedTarget)]) {
        let before = Dictionary(targets.map { ($0.target.key, $0) }) { first, _ in first }
        let old = targets.flatMap(\.watches)
        plan = next
        var keys: Set<String> = []
        targets = next.map(\.target).filter { keys.insert($0.target.key).inserted }
        let kept = Set(targets.flatMap(\.watches).map { ObjectIdentifier($0) })
        for watch in old where stopped != nil || !kept.contains(ObjectIdentifier(watch)) {
            watch.retire()
        }
        var byKey: [String: WatchedOrigin] = [:]
        origins = []
        for target in targets {
            if stopped != nil { target.watches.forEach { $0.retire() } }
            let origin =
                byKey["\(target.target.pool)/\(target.target.origin)"]
                ?? WatchedOrigin(target.target)
            if origin.targets.isEmpty { origins.append(origin) }
            byKey[origin.key] = origin
            origin.targets.append(target)
            target.origin = origin
            for watch in target.watches { watch.target = target }
            if let predecessor = before[target.target.key] { target.inherit(predecessor) }
        }
        memory = [:]
        indexReported()
        resizeSlots(for: targets)
    }

    private func resizeSlots(for targets: [WatchedTarget]) {
        let stalling = targets.flatMap(\.watches).reduce(0.0) {
            $0 + $1.monitor.longestRound / $1.monitor.interval
        }
        slots = min(max(Int(stalling * 1.25), concurrency.lowerBound), concurrency.upperBound)
    }

    func states() -> [TargetState] {
        let now = (deadline: loop.now, time: Timestamp.now())
        return plan.map { id, target in
            TargetState(
                id: id, key: target.target.key, pool: target.target.pool,
                origin: target.target.origin, address: target.target.address,
                standing: target.standing, isHeldBack: target.isHeldBack,
                monitors: target.watches.map { watch in
                    MonitorState(
                        monitor: watch.monitor, memoryKey: watch.memoryKey, health: watch.health,
                        nextProbe: watch.attempt != nil
                            ? nil
                            : watch.due.map {
                                now.time.advanced(
                                    by: .nanoseconds(($0 - now.deadline).nanoseconds))
                            })
                }, needed: target.target.needed)
        }
    }

    func stop() -> EventLoopFuture<Void> {
        if let stopped { return stopped.futureResult }
        let promise = loop.makePromise(of: Void.self)
        stopped = promise
        publication?.cancel()
        freezeTimer?.cancel()
        references?.cancel()
        for watch in targets.flatMap(\.watches) { watch.retire() }
        round?.abandon()
        while let watch = waiting.popFirst() { watch.retire() }
        _ = leaveIfStopped()
        return promise.futureResult
    }

    // MARK: - Probing

    private func enqueue(_ watch: Watch) {
        guard stopped == nil, !watch.isRetired else { return }
        running < slots && waiting.isEmpty ? start(watch) : waiting.append(watch)
    }

    private func start(_ watch: Watch) {
        running += 1
        let attempt = ProbeAttempt(
            watch.address, host: watch.host, timeout: watch.monitor.timeout, loop: loop,
            trust: trust,
            decide: { outcome, duration in self.record(outcome, duration, of: watch) },
            end: { self.end(watch) })
        watch.attempt = attempt
        watch.isDoubtful = false
        attempt.run(watch.monitor.probe)
    }

    private func record(_ outcome: ProbeResult.Outcome, _ duration: Duration, of watch: Watch) {
        if watch.isDoubtful, case .failed = outcome { return }
        guard let outcome = watch.round.take(outcome, retries: watch.monitor.rules.retries) else {
            return  // `end` starts the next try.
        }
        let target = watch.target
        let horizon = target.flatMap { $0.isTimed ? $0.horizon : nil }
        watch.take(
            ProbeResult(outcome, duration: duration, time: .now(), load: watch.attempt?.load),
            at: uptime, frozenSince: frozenSince)
        // Without an origin it is not in force yet, and what it says waits for that.
        if let target, let origin = target.origin {
            note(origin)
            settle(target)
            if target.isTimed, target.horizon != horizon { schedulePublication() }
        }
        watch.leaveFirstRound()
    }

    private func end(_ watch: Watch) {
        running -= 1
        watch.attempt = nil
        if leaveIfStopped() { return }
        // Not at once: a probe may end within `start`, and each that waits would then take its
        // place deeper on the stack.
        if !waiting.isEmpty { loop.assumeIsolated().execute { self.startWaiting() } }
        guard !watch.isRetired else { return }
        // A retry waits for its turn behind all that are due; if none is, there are three at the
        // most, so that the stack is bounded.
        if watch.round.isOpen { return enqueue(watch) }
        watch.wait(on: loop) { self.enqueue(watch) }
    }

    /// Tells who waits for the stop that all is over, when it is.
    func leaveIfStopped() -> Bool {
        guard let stopped else { return false }
        if running == 0 {
            trust.close()
            stopped.succeed()
        }
        return true
    }

    func startWaiting() {
        while stopped == nil, running < slots, let next = waiting.popFirst() {
            if !next.isRetired { start(next) }
        }
    }

    // MARK: - Reports

    private func indexReported() {
        reported = [:]
        for target in targets {
            let origin = "\(target.target.pool)/\(target.target.origin)"
            let watches = target.watches.filter(\.monitor.takesReports)
            for name in [target.target.key, origin] where !watches.isEmpty {
                reported[name, default: []] += watches
            }
        }
    }

    func report(_ name: String, isUp: Bool, reason: String) -> Int {
        let parts = name.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        // An address counts in any form.
        let address = parts.count == 3 ? IPAddress(String(parts[2])) : nil
        let name = address.map { "\(parts[0])/\(parts[1])/\($0)" } ?? name
        guard stopped == nil, let watches = reported[name] else { return 0 }
        trust.reports.take(name, isUp: isUp, reason: reason) { self.reported[$0] != nil }
        for watch in watches where watch.hasten() { enqueue(watch) }
        return watches.count
    }

    // MARK: - Publishing

    /// Publishes what the monitors of a target come to, unless that is held back.
    func settle(_ target: WatchedTarget) {
        let isFrozen = isolation.isFrozen && target.asksNetwork
        guard target.isHeldBack, !isFrozen || target.standing.verdict == .unknown else { return }
        transitions.append(target.settle())
        schedulePublication()
    }

    func schedulePublication() {
        guard publication == nil, stopped == nil else { return }
        let delay = TimeAmount(Checker.publishDelay)
        publication = loop.assumeIsolated().scheduleTask(in: delay) {
            self.publish(self.takeUpdate())
        }
    }

    private func takeUpdate() -> HealthUpdate {
        publication?.cancel()
        publication = nil
        defer {
            transitions = []
            notices = []
        }
        var table = base
        for (id, target) in plan {
            table[id] = target.standing.verdict
            if target.isTimed { table.setHorizon(target.horizon, of: id) }
        }
        table.isIsolated = isolation.phase == .isolated
        return HealthUpdate(table: table, transitions: transitions, isolationNotices: notices)
    }
}
