// What the transports count. Each worker and the TCP loop write cells of their own, once a batch;
// anyone may read them at any time, and the sums are exact once the writers rest.

import Synchronization

/// What the UDP workers did since the start.
public struct UDPCounters: Sendable, Equatable {
    /// Datagrams received.
    public var received: UInt64 = 0
    /// Answers that the kernel took.
    public var answered: UInt64 = 0
    /// Datagrams that get no answer: too short, not a query, source port 0.
    public var unanswered: UInt64 = 0
    /// Datagrams dropped because they were longer than 4,096 octets.
    public var oversized: UInt64 = 0
    /// Answers that could not be sent.
    public var sendErrors: UInt64 = 0
    /// Receive calls that failed for an unusual reason.
    public var receiveErrors: UInt64 = 0
}

/// What the TCP service did since the start.
public struct TCPCounters: Sendable, Equatable {
    /// Connections accepted.
    public var accepted: UInt64 = 0
    /// Connections that are open.
    public var open: UInt64 = 0
    /// Connections closed to make room for a newer one: too many of all, or of one network.
    public var evicted: UInt64 = 0
    /// Connections closed because no message was completed or taken in time.
    public var timedOut: UInt64 = 0
    /// Connections closed because of a length that no message has.
    public var malformed: UInt64 = 0
    /// Connections closed at a total limit: of queries, or of their lifetime.
    public var limited: UInt64 = 0
    /// Messages received.
    public var received: UInt64 = 0
    /// Answers written.
    public var answered: UInt64 = 0
    /// Messages that get no answer: not a query.
    public var unanswered: UInt64 = 0
}

/// What the whole transport did since the start.
public struct TransportCounters: Sendable, Equatable {
    public var udp = UDPCounters()
    public var tcp = TCPCounters()
}

// MARK: - The cells

/// A counter that one thread writes and any may read.
struct CounterCell: ~Copyable, Sendable {
    private let value = Atomic<UInt64>(0)

    var current: UInt64 { value.load(ordering: .relaxed) }

    /// Adds; to be called by the one writer only, so that a plain load and store do.
    @inline(__always)
    func add(_ amount: UInt64) {
        guard amount != 0 else { return }
        value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }
}

/// One UDP worker's counters, with a neighbourhood of their own: no other thread's writes share
/// their cache lines (nor the pair that the processor fetches together).
final class UDPCounterCells: Sendable {
    private let before = InlineArray<16, UInt64>(repeating: 0)
    private let received = CounterCell()
    private let answered = CounterCell()
    private let unanswered = CounterCell()
    private let oversized = CounterCell()
    private let sendErrors = CounterCell()
    private let receiveErrors = CounterCell()
    private let after = InlineArray<16, UInt64>(repeating: 0)

    /// Adds what one batch came to; only for the worker that owns these.
    func add(_ tally: UDPCounters) {
        received.add(tally.received)
        answered.add(tally.answered)
        unanswered.add(tally.unanswered)
        oversized.add(tally.oversized)
        sendErrors.add(tally.sendErrors)
        receiveErrors.add(tally.receiveErrors)
    }

    /// Adds these counters to a sum.
    func add(to sum: inout UDPCounters) {
        sum.received += received.current
        sum.answered += answered.current
        sum.unanswered += unanswered.current
        sum.oversized += oversized.current
        sum.sendErrors += sendErrors.current
        sum.receiveErrors += receiveErrors.current
    }
}

/// The TCP loop's counters.
final class TCPCounterCells: Sendable {
    let accepted = CounterCell()
    let closed = CounterCell()
    let evicted = CounterCell()
    let timedOut = CounterCell()
    let malformed = CounterCell()
    let limited = CounterCell()
    let received = CounterCell()
    let answered = CounterCell()
    let unanswered = CounterCell()

    var current: TCPCounters {
        // `closed` first: a connection that closes in between must not make `open` negative.
        let closed = closed.current
        let accepted = accepted.current
        return TCPCounters(
            accepted: accepted, open: accepted >= closed ? accepted - closed : 0,
            evicted: evicted.current, timedOut: timedOut.current, malformed: malformed.current,
            limited: limited.current, received: received.current, answered: answered.current,
            unanswered: unanswered.current)
    }
}
