// The checker: probes every target on one event loop of its own, and hands out tables of verdicts.
//
// Queries never come here. What they read is the HealthTable of the last update, which the owner
// puts into a snapshot; updates come one after the other from the checker's loop.

public import DNSWire
internal import NIOCore
internal import NIOPosix
public import Steering
internal import Synchronization

/// One address to probe, by one monitor or several.
public struct ProbeTarget: Sendable, Equatable {
    /// Its index in the health table.
    public var id: Int
    /// `pool/origin/address`, or the host for the address: who it is across reloads and restarts.
    public var key: String
    public var pool: String
    public var origin: String
    /// Unspecified (0.0.0.0) where each probe resolves the host.
    public var address: IPAddress
    /// The origin's host name, without its final dot; nil for one that is given by addresses.
    public var host: String?
    /// Who asks it, by their names each once; never empty.
    public var monitors: [Monitor]
    /// How many of them have to have it up; at least 1.
    public var needed: Int
    /// Whether some answer lives until its verdict could flip: then the table says how soon that
    /// could be, and every probe that changes it is published at once.
    public var isTimed: Bool

    public init(
        id: Int, pool: String, origin: String, address: IPAddress, host: String? = nil,
        monitors: [Monitor], needed: Int, isTimed: Bool = false
    ) {
        self.id = id
        let isByName = address == ProbeAttempt.unresolved
        key = "\(pool)/\(origin)/\(isByName ? host ?? "\(address)" : "\(address)")"
        self.pool = pool
        self.origin = origin
        self.address = address
        self.host = host
        self.monitors = monitors
        self.needed = needed
        self.isTimed = isTimed
    }

    /// What `Checker.remember` and saved states know a monitor's verdict on this address by:
    /// `pool/origin/address monitor`.
    public func memoryKey(_ monitor: Monitor) -> String { "\(key) \(monitor.name)" }
}

/// A verdict on an address that changed, as published.
public struct Transition: Sendable, Hashable {
    /// `pool/origin/address`, or the host for the address.
    public var key: String
    public var pool: String
    public var origin: String
    public var address: IPAddress
    public var from: Verdict
    public var to: Verdict
    /// What decided, as `status: 503, expected 200-299`; of several monitors,
    /// `web: status: 503, expected 200-299; 1 of 2 monitors up, 2 needed`.
    public var reason: String
    /// The names of the monitors that decided.
    public var monitors: [String]
    /// Where a probe failed; nil where none did.
    public var step: ProbeStep?
    /// How long the probe that decided took.
    public var duration: Duration?
    public var time: Timestamp

    /// The last part of `key`: the address that is asked, or the host's name.
    public var place: String { String(key.dropFirst(pool.count + origin.count + 2)) }
}

/// The verdicts of one moment, with all that changed since the update before.
public struct HealthUpdate: Sendable {
    public var table: HealthTable
    public var transitions: [Transition]
    /// What the checker came to think of itself meanwhile.
    public var isolationNotices: [IsolationNotice] = []
}

/// What is known of one address, for status and explain.
public struct TargetState: Sendable {
    /// Its index in the health table.
    public var id: Int
    /// `pool/origin/address`.
    public var key: String
    public var pool: String
    public var origin: String
    public var address: IPAddress
    /// What is published of it, where no operator says otherwise.
    public var standing: Standing
    /// Whether its probes say something else than that, which is held back while the checker
    /// suspects itself.
    public var isHeldBack: Bool
    /// In the order of the pool's `monitor`.
    public var monitors: [MonitorState]
    /// How many of them have to have it up.
    public var needed: Int
}

/// What is known of one address by one monitor.
public struct MonitorState: Sendable {
    public var monitor: Monitor
    /// What `Checker.remember` takes: the same for this address and monitor after a restart.
    public var memoryKey: String
    public var health: TargetHealth
    /// When the next probe is due; nil while one is under way or waits for its turn.
    public var nextProbe: Timestamp?
}

/// Probes targets until it is stopped.
public final class Checker: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop
    private let state: NIOLoopBound<CheckerState>
    /// Whether the loop still takes work.
    private let isOpen = Mutex(true)

    /// - Parameter publish: gets every change of a verdict, and of how soon one could flip where
    ///   that matters, within `publishDelay` of the deciding probe. It is called on the checker's
    ///   loop, so it must not block.
    public init(publish: @escaping @Sendable (HealthUpdate) -> Void) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        self.loop = loop
        state = NIOLoopBound.makeOnLoop(loop) { CheckerState(loop: loop, publish: publish) }
    }

    /// Flips within this time are published together.
    public static let publishDelay = Duration.milliseconds(20)

    /// Changes what is probed; returns when the first round of all that is new is over.
    ///
    /// Monitors that are unchanged for an address keep their state of it and their rhythm there. An
    /// edited one of the same name keeps the verdict and its history, and is asked at once, its
    /// counts from the start. All others are asked at once, and their first result decides; only
    /// these are waited for, and until that round is over the old targets stay in force. An address
    /// whose first results are late (many stall, and few can be probed at a time) starts as
    /// unknown.
    ///
    /// - Parameters:
    ///   - targets: all of them, each id below the size of `base`.
    ///   - base: the table of the new configuration, with verdicts for addresses nobody probes.
    ///   - isolation: when to suspect this machine, from now on.
    ///   - adopt: gets the first update of the new targets, at the moment from which on `publish`
    ///     gets theirs too: the place to put new content and its table in force together. Not
    ///     called if the checker is stopped meanwhile.
    public func replace(
        _ targets: [ProbeTarget], base: HealthTable,
        isolation: IsolationSettings = IsolationSettings(),
        adopt: @escaping @Sendable (HealthUpdate) -> Void = { _ in }
    ) async {
        precondition(
            targets.allSatisfy { (0..<base.count).contains($0.id) },
            "every target has a place in the health table")
        let done = loop.flatSubmit { [state] in
            state.value.replace(targets, base: base, isolation: isolation, adopt: adopt)
        }
        // It never fails.
        try? await done.get()
    }

    /// Changes what is probed to a plan; see `replace(_:base:adopt:)`.
    public func replace(
        _ plan: ProbePlan, adopt: @escaping @Sendable (HealthUpdate) -> Void = { _ in }
    ) async {
        await replace(
            plan.targets, base: plan.base, isolation: plan.isolation, adopt: adopt)
    }

    /// Gives verdicts of an earlier process back, by `MonitorState.memoryKey`: call it before the
    /// first `replace`. Targets that they fit start from them, and no first round waits for those.
    public func remember(_ states: [String: TargetHealth]) async {
        let done = loop.submit { [state] in state.value.memory = states }
        try? await done.get()
    }

    /// Whether the checker suspects itself, and how many failed.
    public func isolation() async -> IsolationState {
        let isolation = loop.submit { [state] in state.value.isolationState }
        return (try? await isolation.get()) ?? IsolationState()
    }

    /// What is known of each target, in the order of the targets.
    public func states() async -> [TargetState] {
        let states = loop.submit { [state] in state.value.states() }
        return (try? await states.get()) ?? []
    }

    /// Takes a result from outside for monitors of type `push`; may be called from any thread.
    ///
    /// They look at it at once, and their verdicts follow as `rise` and `fall` say.
    ///
    /// - Parameters:
    ///   - name: `pool/origin`, or `pool/origin/address` for one address of it.
    ///   - reason: why, for status and logs; may be empty. A word `load=0.73` in that of one that is
    ///     up is its load.
    /// - Returns: how many monitors of addresses it is for; 0 if none asks for it, and it is forgotten.
    public func report(_ name: String, isUp: Bool, reason: String) async -> Int {
        let taken = isOpen.withLock { isOpen in
            isOpen
                ? loop.submit { [state] in
                    state.value.report(name, isUp: isUp, reason: reason)
                } : nil
        }
        return (try? await taken?.get()) ?? 0
    }

    /// Ends all probes and the checker's thread; nothing is published after it.
    public func stop() async {
        let done = loop.flatSubmit { [state] in state.value.stop() }
        try? await done.get()
        isOpen.withLock { $0 = false }
        try? await group.shutdownGracefully()
    }
}

extension NIOLoopBound {
    /// Makes a value on its loop, from outside of it.
    static func makeOnLoop(
        _ loop: any EventLoop, _ make: @escaping @Sendable () -> Value
    ) -> NIOLoopBound<Value> {
        let made = loop.submit { NIOLoopBound(make(), eventLoop: loop) }
        do {
            return try made.wait()
        } catch {
            preconditionFailure("a new event loop runs what is submitted to it")
        }
    }
}
