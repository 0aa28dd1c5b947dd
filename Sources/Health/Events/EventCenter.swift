// Where events go: to each sink's teller, which says what is told and when, and from there to its outbox,
// which says what is tried and when. All of it lives on a loop of its own, so that no sink, however
// slow, holds up a probe, an answer or another sink.

internal import DNSWire
internal import NIOCore
internal import NIOPosix
internal import Settings
internal import Synchronization

/// Tells sinks what happens, until it is stopped.
public final class EventCenter: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop
    private let desk: NIOLoopBound<EventDesk>
    /// Makes ids that no other process makes, and the number of the next.
    private let idPrefix: String
    private let nextNumber = Atomic<UInt64>(1)

    /// - Parameters:
    ///   - server: what events call this server.
    ///   - warn: gets what a person should know of deliveries, in one line; must not block.
    public convenience init(server: String, warn: @escaping @Sendable (String) -> Void) {
        self.init(server: server, lookUp: HostResolver.ofOperators, warn: warn)
    }

    /// - Parameter lookUp: how hosts of webhooks are looked up.
    init(
        server: String, lookUp: @escaping HostResolver.LookUp,
        warn: @escaping @Sendable (String) -> Void
    ) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        self.loop = loop
        desk = NIOLoopBound.makeOnLoop(loop) {
            EventDesk(loop, server: server, lookUp: lookUp, warn: warn)
        }
        idPrefix = String(UInt64.random(in: 1 << 60 ... .max), radix: 36)
    }

    /// Tells events to all sinks that want them; returns at once.
    public func post(_ events: [Event]) {
        guard !events.isEmpty else { return }
        let numbered = events.map { event in
            var event = event
            let number = nextNumber.wrappingAdd(1, ordering: .relaxed).oldValue
            event.id = "\(idPrefix)-\(number)"
            return event
        }
        loop.execute { [desk] in desk.value.take(numbered) }
    }

    /// Changes who is told. Sinks that are as before keep what they wait for.
    ///
    /// - Parameter isThere: whether the files still have what an event was about.
    public func replace(
        _ sinks: [EventSink], where isThere: @escaping @Sendable (Event.Subject) -> Bool
    ) {
        loop.execute { [desk] in desk.value.replace(sinks, where: isThere) }
    }

    /// Ends all deliveries; what waits is lost, and counted in a warning.
    public func stop() async {
        let done = loop.flatSubmit { [desk] in desk.value.stop() }
        try? await done.get()
        try? await group.shutdownGracefully()
    }
}

/// What the loop owns.
final class EventDesk {
    /// The longest sleep, so that a wall clock that is set is followed.
    private static let longestSleep = Duration.seconds(60)
    /// The shortest, so that many that are due one after the other are looked at together.
    private static let shortestSleep = Duration.milliseconds(20)

    private let loop: any EventLoop
    private let server: String
    private let warn: @Sendable (String) -> Void
    private let trust: TrustCache
    private var routes: [EventRoute] = []
    /// Deliveries under way.
    private var running = 0
    private var stopped: EventLoopPromise<Void>?

    init(
        _ loop: any EventLoop, server: String, lookUp: @escaping HostResolver.LookUp,
        warn: @escaping @Sendable (String) -> Void
    ) {
        self.loop = loop
        self.server = server
        trust = TrustCache(resolver: HostResolver(lookUp: lookUp))
        self.warn = warn
    }

    private var now: Duration { .nanoseconds(NIODeadline.now().uptimeNanoseconds) }

    func take(_ events: [Event]) {
        guard stopped == nil else { return }
        for route in routes {
            for event in events { route.teller.take(event, at: now) }
            look(at: route)
        }
    }

    func replace(_ sinks: [EventSink], where isThere: (Event.Subject) -> Bool) {
        guard stopped == nil else { return }
        trust.removeAll()
        var known = routes
        routes = sinks.map { sink in
            guard let index = known.firstIndex(where: { $0.sink == sink }) else {
                return EventRoute(sink)
            }
            return known.remove(at: index)
        }
        for route in known { retire(route) }
        for route in routes {
            route.teller.retain(at: now, time: .now(), isThere)
            look(at: route)
        }
    }

    func stop() -> EventLoopFuture<Void> {
        if let stopped { return stopped.futureResult }
        let promise = loop.makePromise(of: Void.self)
        stopped = promise
        for route in routes { retire(route) }
        trust.close()
        if running == 0 { promise.succeed() }
        return promise.futureResult
    }

    private func retire(_ route: EventRoute) {
        route.isRetired = true
        route.timer?.cancel()
        if route.outbox.count > 0 {
            warn("events: \(route.sink.name): \(route.outbox.count) not delivered")
        }
        route.attempt?.cancel()
    }

    // MARK: - One sink

    /// Does what is due, and sleeps until something is.
    private func look(at route: EventRoute) {
        guard !route.isRetired else { return }
        let now = now
        let (tellings, next) = route.teller.advance(to: now, time: .now())
        let dropped = route.outbox.add(tellings, at: now)
        if dropped > 0 {
            warn(
                "events: \(route.sink.name): \(dropped) dropped, as \(EventOutbox.capacity) wait"
                    + " to be delivered")
        }
        if route.attempt == nil, let (telling, dropped) = route.outbox.begin(at: now) {
            deliver(telling, dropped: dropped, by: route)
        }
        route.timer?.cancel()
        route.timer = nil
        let waits = [next, route.attempt == nil ? route.outbox.wait(at: now) : nil]
        guard !route.isRetired, let wait = waits.compactMap(\.self).min() else { return }
        let sleep = min(max(wait, Self.shortestSleep), Self.longestSleep)
        route.timer = loop.assumeIsolated().scheduleTask(in: TimeAmount(sleep)) {
            self.look(at: route)
        }
    }

    private func deliver(_ telling: Telling, dropped: Int, by route: EventRoute) {
        let body = telling.event.json(
            server: server, repetition: telling.repetition, dropped: dropped)
        switch route.sink.way {
        case .webhook(let webhook):
            let call = WebhookCall(webhook, body: body)
            attempt(route, IPAddress(webhook.host), host: webhook.host, call.outcome) { attempt in
                attempt.address == ProbeAttempt.unresolved
                    ? attempt.resolveHost { call.start(attempt) } : call.start(attempt)
            }
        case .command(let program):
            let call = CommandCall(program, telling.event, body: body)
            attempt(route, nil, host: nil, call.outcome) { call.start($0) }
        }
    }

    private func attempt(
        _ route: EventRoute, _ address: IPAddress?, host: String?,
        _ outcome: @escaping (ProbeResult.Outcome) -> EventOutbox.Outcome,
        _ start: (ProbeAttempt) -> Void
    ) {
        running += 1
        let attempt = ProbeAttempt(
            address ?? ProbeAttempt.unresolved, host: host, timeout: route.sink.timeout, loop: loop,
            trust: trust, decide: { result, _ in self.settle(route, outcome(result)) },
            end: { self.end(route) })
        route.attempt = attempt
        start(attempt)
    }

    private func settle(_ route: EventRoute, _ outcome: EventOutbox.Outcome) {
        let notice = route.outbox.end(outcome, at: now, random: .random(in: 0...1))
        if let notice { warn("events: \(route.sink.name): \(notice.words)") }
    }

    private func end(_ route: EventRoute) {
        running -= 1
        route.attempt = nil
        if let stopped {
            if running == 0 { stopped.succeed() }
            return
        }
        // Not at once: a try may end within its start, and the next would be deeper on the stack.
        loop.assumeIsolated().execute { self.look(at: route) }
    }
}

/// One sink with all that waits for it.
final class EventRoute {
    let sink: EventSink
    var teller: EventTeller
    var outbox = EventOutbox()
    var attempt: ProbeAttempt?
    var timer: Scheduled<Void>?
    var isRetired = false

    init(_ sink: EventSink) {
        self.sink = sink
        teller = EventTeller(sink.rules)
    }
}

extension EventOutbox.Notice {
    fileprivate var words: String {
        switch self {
        case .failing(let reason): "not delivered, and will be tried again: \(reason)"
        case .deliveredAgain(let failures):
            "delivered again, after \(failures) failure\(failures == 1 ? "" : "s")"
        case .gaveUp(let event, let reason):
            "gave up on \(event.kind.rawValue) of \(event.subject): \(reason)"
        }
    }
}
