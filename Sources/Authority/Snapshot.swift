// What a query sees, and how a new one reaches the workers: one writer, many readers.

public import Steering
internal import Synchronization
public import Zones

/// Content and health at one moment; immutable.
public final class Snapshot: Sendable {
    public let content: Content
    /// The content's zones: held here too, as a field of a field costs a retain to reach.
    let zones: ZoneSet
    /// The content's steering with the health table that is in force.
    public let steering: SteeringState
    /// The content's, for the same reason.
    let cookies: CookieSecrets?
    let datagramLength: Int

    public init(content: Content, health: HealthTable, ramps: RampShares = RampShares()) {
        self.content = content
        zones = content.zones
        cookies = content.cookies
        datagramLength = content.datagramLength
        steering = SteeringState(content.steering, health: health, ramps: ramps)
    }

    /// Content whose health nobody has looked at yet.
    public convenience init(_ content: Content) {
        self.init(content: content, health: HealthTable(count: content.steering.addresses.count))
    }

    /// Why a client is answered as it is where a lookup found what depends on the client.
    ///
    /// - Parameters:
    ///   - lookup: one for which `ZoneSet.steering(of:)` is not nil.
    ///   - random: the bits that a weighted draw would use.
    public func explain(_ lookup: Lookup, client: Client, random: UInt64) -> Explanation {
        let source = source(of: lookup)
        var explanation = steering.explain(
            service: content.service(at: source.steer), client: client, random: random)
        if explanation.ttl == nil {
            explanation.ttl = source.steerTTL
            explanation.ttlReason = .steer
        }
        if lookup.outcome == .answer {
            let rrset = zones.rrset(lookup.rrset)
            explanation.bindingType = rrset.type
            if let ttl = explanation.ttl, rrset.ttl < ttl {
                explanation.ttl = rrset.ttl
                explanation.ttlReason = .binding
            }
        }
        return explanation
    }

    /// The index of the service that decides there.
    public func service(of lookup: Lookup) -> Int { content.service(at: source(of: lookup).steer) }

    /// What a client is answered there.
    public func decide(_ lookup: Lookup, client: Client, random: UInt64) -> Decision {
        steering.decide(service: service(of: lookup), client: client, random: random)
    }

    private func source(of lookup: Lookup) -> HintSource {
        guard let source = zones.steering(of: lookup) else {
            preconditionFailure("only what a service decides is explained")
        }
        return source
    }
}

/// Hands snapshots from the control plane to the workers.
///
/// A worker keeps a strong reference to the snapshot it uses and compares `generation` once a
/// batch: one atomic load, no lock and no reference counting until something changed.
public final class SnapshotPublisher: Sendable {
    private let number = Atomic<UInt64>(0)
    private let latest: Mutex<Snapshot>
    private let prepares = Atomic(false)

    public init(_ first: Snapshot) {
        latest = Mutex(first)
    }

    /// Moves whenever `current` does; a plain load.
    public var generation: UInt64 { number.load(ordering: .acquiring) }

    /// The newest snapshot with its generation.
    public var current: (snapshot: Snapshot, generation: UInt64) {
        latest.withLock { ($0, number.load(ordering: .relaxed)) }
    }

    /// Whether the next content is being made, by a thread that has only the time that others leave: workers
    /// without rest leave some. A plain load.
    public var isPreparing: Bool {
        get { prepares.load(ordering: .relaxed) }
        set { prepares.store(newValue, ordering: .relaxed) }
    }

    public func publish(_ snapshot: Snapshot) {
        // The old one leaves the lock alive: freeing it must not hold up a worker.
        let old = latest.withLock { current in
            let old = current
            current = snapshot
            number.add(1, ordering: .releasing)
            return old
        }
        withExtendedLifetime(old) {}
    }
}
