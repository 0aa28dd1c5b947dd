// The checker: probes every target on one event loop of its own, and hands out tables of verdicts.
//
// Queries never come here. What they read is the HealthTable of the last update, which the owner
// puts into a snapshot; updates come one after the other from the checker's loop.

public import DNSWire
internal import NIOCore
internal import NIOPosix
public import Steering

/// One address to probe.
public struct ProbeTarget: Sendable, Equatable {
    /// Its index in the health table.
    public var id: Int
    /// `pool/origin/address`: who it is across reloads and restarts.
    public var key: String
    public var address: IPAddress
    /// The origin's host name, without its final dot; nil for one that is given by addresses.
    public var host: String?
    public var monitor: Monitor
    /// Whether some answer lives until its verdict could flip: then the table says how soon that could
    /// be, and every probe that changes it is published at once.
    public var isTimed: Bool

    public init(
        id: Int, key: String, address: IPAddress, host: String? = nil, monitor: Monitor,
        isTimed: Bool = false
    ) {
        self.id = id
        self.key = key
        self.address = address
        self.host = host
        self.monitor = monitor
        self.isTimed = isTimed
    }
}

/// A verdict that changed.
public struct Transition: Sendable, Hashable {
    public var key: String
    public var from: Verdict
    public var to: Verdict
    /// What decided, as `status: 503, expected 200-299`.
    public var reason: String
    public var time: Timestamp
}

/// The verdicts of one moment, with all that changed since the update before.
public struct HealthUpdate: Sendable {
    public var table: HealthTable
    public var transitions: [Transition]
}

/// What is known of one target, for status and explain.
public struct TargetState: Sendable {
    public var key: String
    public var address: IPAddress
    public var monitor: Monitor
    public var health: TargetHealth
}

/// Probes targets until it is stopped.
public final class Checker: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop
    private let state: NIOLoopBound<CheckerState>

    /// - Parameter publish: gets every change of a verdict, and of how soon one could flip where that
    ///   matters, within `publishDelay` of the deciding probe. It is called on the checker's loop, so it must not block.
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
    /// Targets with a known key and equal address and monitor keep their state and their rhythm;
    /// all others are probed at once, and their first result decides. Until that round is over the
    /// old targets stay in force. A target whose first result is late (many stall, and few can be
    /// probed at a time) starts as unknown.
    ///
    /// - Parameters:
    ///   - targets: all of them, each id below the size of `base`.
    ///   - base: the table of the new configuration, with verdicts for addresses nobody probes.
    ///   - adopt: gets the first update of the new targets, at the moment from which on `publish`
    ///     gets theirs too: the place to put new content and its table in force together. Not
    ///     called if the checker is stopped meanwhile.
    public func replace(
        _ targets: [ProbeTarget], base: HealthTable,
        adopt: @escaping @Sendable (HealthUpdate) -> Void = { _ in }
    ) async {
        precondition(
            targets.allSatisfy { (0..<base.count).contains($0.id) },
            "every target has a place in the health table")
        let done = loop.flatSubmit { [state] in
            state.value.replace(targets, base: base, adopt: adopt)
        }
        // It never fails.
        try? await done.get()
    }

    /// Changes what is probed to a plan; see `replace(_:base:adopt:)`.
    public func replace(
        _ plan: ProbePlan, adopt: @escaping @Sendable (HealthUpdate) -> Void = { _ in }
    ) async {
        await replace(plan.targets, base: plan.base, adopt: adopt)
    }

    /// What is known of each target, in the order of the targets.
    public func states() async -> [TargetState] {
        let states = loop.submit { [state] in state.value.states() }
        return (try? await states.get()) ?? []
    }

    /// Ends all probes and the checker's thread; nothing is published after it.
    public func stop() async {
        let done = loop.flatSubmit { [state] in state.value.stop() }
        try? await done.get()
        try? await group.shutdownGracefully()
    }
}

extension NIOLoopBound {
    /// Makes a value on its loop, from outside of it.
    fileprivate static func makeOnLoop(
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
