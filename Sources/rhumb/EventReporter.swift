// Where all that happens is told: a line in the log, and the sinks that `events:` of rhumb.yaml names.

import Authority
import DNSWire
import Health
import Logging
import Steering

/// Tells events; never makes anyone wait.
final class EventReporter: Sendable {
    private let logger: Logger
    private let center: EventCenter

    /// - Parameter server: what sinks are told that this server is.
    init(_ logger: Logger, server: String) {
        self.logger = logger
        center = EventCenter(server: server) { logger.warning("\($0)") }
    }

    /// Tells what happened between two moments.
    ///
    /// - Parameters:
    ///   - update: what the checker published between them, if it was the checker.
    ///   - old: nil at a start, when all that works is no news.
    func tell(_ update: HealthUpdate?, from old: Snapshot?, to new: Snapshot) {
        var events: [Event] = []
        for notice in update?.isolationNotices ?? [] {
            if let event = Event(notice) {
                events.append(event)
            } else {
                logger.warning("\(notice)")
            }
        }
        events += update?.transitions.compactMap { Event($0) } ?? []
        let changes = new.steering.changes(
            since: old?.steering, services: new.content.steeredServices)
        tell(events + changes.map { Event($0) })
    }

    func tell(_ events: [Event]) {
        for event in events { logger.log(level: event.level, "\(event.logLine)") }
        center.post(events)
    }

    /// Changes who is told, and forgets what is not probed or asked for any more.
    func replace(_ loaded: Loaded) {
        let subjects = KnownSubjects(
            loaded.content.steering.configuration, loaded.probes.targets,
            services: loaded.content.steeredServices)
        center.replace(loaded.settings.events) { subjects.contains($0) }
    }

    func stop() async { await center.stop() }
}

/// What events of one configuration can be about.
struct KnownSubjects: Sendable {
    private let pools: Set<String>
    /// Addresses that are probed: nothing ends the trouble of any other.
    private let targets: Set<String>
    /// How many rules the services have that records name.
    private let rules: [String: Int]

    init(_ configuration: SteeringConfiguration, _ targets: [ProbeTarget], services: [Int]) {
        pools = Set(configuration.pools.map(\.name))
        self.targets = Set(targets.map(\.key))
        let named = services.map { configuration.services[$0] }
        rules = Dictionary(named.map { ($0.name, $0.rules.count) }, uniquingKeysWith: max)
    }

    func contains(_ subject: Event.Subject) -> Bool {
        switch subject {
        case .address: targets.contains(subject.description)
        case .pool(let name): pools.contains(name)
        case .rule(let service, let number): number <= rules[service] ?? 0
        case .checker, .override: true
        }
    }
}

extension Event {
    fileprivate var level: Logger.Level {
        switch kind {
        case .serviceDown, .isolationEntered: .error
        default: isTrouble ? .warning : .notice
        }
    }
}

extension Event {
    fileprivate init(_ change: SteeringChange) {
        let kind: Kind
        let subject: Subject
        switch change.subject {
        case .pool(let name):
            subject = .pool(name)
            kind =
                switch change.to {
                case .degraded: .poolDegraded
                case .drained: .poolDrained
                case .down: .poolDown
                case .up, .unknown: .poolUp
                }
        case .rule(let service, let number):
            subject = .rule(service: service, number)
            kind = change.to == .up ? .serviceUp : .serviceDown
        }
        self.init(kind, subject, from: change.from, to: change.to, reason: change.reason)
    }

    /// What a transition of the checker tells; nil for what works at a start, which is no news.
    init?(_ transition: Transition) {
        guard transition.from != .unknown || transition.to != .up else { return nil }
        let kind: Kind =
            switch transition.to {
            case .up, .unknown: .originUp
            case .degraded: .originDegraded
            case .down, .drained: .originDown
            }
        self.init(
            kind,
            .address(
                pool: transition.pool, origin: transition.origin, address: transition.place),
            from: transition.from, to: transition.to, step: transition.step,
            reason: transition.reason, duration: transition.duration, time: transition.time)
    }

    /// Nil for what leaves the checker as it is.
    fileprivate init?(_ notice: IsolationNotice) {
        switch notice.kind {
        case .isolated: self.init(.isolationEntered, .checker, reason: notice.description)
        case .ended: self.init(.isolationLeft, .checker, reason: notice.description)
        case .real, .silentReference: return nil
        }
    }
}
