// What came of a load: counts and latencies. `LoadLimit` says what they tell of who was at its limit.

import DNSWire

/// What came of a load.
public struct LoadResult: Sendable {
    /// From the first query to the end of sending, or to the last answer if that came later.
    public var seconds = 0.0
    public var sent: UInt64 = 0
    /// Answers in time, wrong ones included.
    public var answered: UInt64 = 0
    /// Queries without an answer in time.
    public var lost: UInt64 = 0
    /// Open loop: queries that were due before the end and could not be sent.
    public var unsent: UInt64 = 0
    /// Open loop: queries sent more than `lateMilliseconds` after they were due.
    public var late: UInt64 = 0
    /// Open loop: those of the late and unsent that had to wait as so many others were without an answer.
    var held: UInt64 = 0
    /// UDP, closed loop: turns of the loop, and those in which it could do nothing but wait for answers.
    var turns: UInt64 = 0
    var idleTurns: UInt64 = 0
    /// TCP: how long it did nothing but wait for the server, in seconds.
    var waited = 0.0
    /// When the last answer came, in seconds after the first query; nil without one.
    public internal(set) var lastAnswer: Double?
    /// How many queries had been given up by then.
    var lostByLastAnswer: UInt64 = 0
    /// Answers that nobody waited for: late, or twice.
    public var stray: UInt64 = 0
    /// UDP: answers that arrived and were dropped, as the sockets of the load had no room for them.
    public var dropped: UInt64 = 0
    /// UDP: how often the system said that nothing listens there, or that there is no way to it.
    public var unreachable: UInt64 = 0
    /// The system's words for the last of those.
    public var unreachableReason: String?
    /// Answers with TC.
    public var truncated: UInt64 = 0
    /// Octets of all answers.
    public var octets: UInt64 = 0
    /// Answers by their response code's lower four bits.
    public var codes = [UInt64](repeating: 0, count: 16)
    /// By `AnswerFault`.
    public var faults = [UInt64](repeating: 0, count: AnswerFault.allCases.count)
    /// TCP: connections opened, and those that failed before their queries were answered.
    public var connections: UInt64 = 0
    public var failedConnections: UInt64 = 0
    /// From when a query was due to its answer: in a closed loop when it was sent.
    public var latencies = LatencyHistogram()
    /// Why it ended before its time, if it did.
    public var failure: LoadError?

    public init() {}

    /// Answers that are not what was expected.
    public var wrong: UInt64 { faults.reduce(0, +) }

    /// Notes that answers came just now, so many seconds after the first query.
    mutating func noteAnswer(at moment: Double) {
        lastAnswer = moment
        lostByLastAnswer = lost
    }

    /// Counts an answer to a query of the list.
    mutating func count(
        _ answer: Span<UInt8>, to query: Span<UInt8>, _ row: QueryList.Row, after latency: UInt64
    ) {
        answered += 1
        octets += UInt64(answer.count)
        latencies.add(nanoseconds: latency)
        if answer.count >= 4 {
            codes[Int(answer[3] & 0x0F)] += 1
            if answer[2] & 0x02 != 0 { truncated += 1 }
        }
        if let fault = fault(of: answer, to: query, row) { faults[Int(fault.rawValue)] += 1 }
    }
}
