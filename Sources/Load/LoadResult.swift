// What came of a load, and what it says about who was at its limit.

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

// MARK: - Who was at its limit

extension LoadResult {
    /// What is sent so much after it was due tells of the machine that sends: a busy one loses its
    /// processor for some milliseconds now and then.
    static let lateMilliseconds = 10
    /// Less than this share of all queries, or of a loop's turns, is an accident.
    private static let share = 0.01

    /// What kept a load from what was asked of it, in plain words; empty if nothing did.
    public func limits(of plan: LoadPlan) -> [String] {
        var limits: [String] = []
        let lost = max(lost, dropped) - dropped
        let isDropping = part(dropped, of: sent) > Self.share
        if answered == 0, sent > 0, failure == nil, !isDropping {
            limits.append(
                "no answer came: is it a DNS server, and does the network let \(plan.overTCP ? "TCP" : "UDP") "
                    + "through?")
        } else if plan.rate != nil, part(lost, of: sent) > Self.share {
            limits.append(
                "the server, or the way to it: it answered \(perSecond(answered)) of the "
                    + "\(perSecond(sent)) queries a second that were sent")
        }
        let (tardy, due) = (late + unsent, sent + unsent)
        let ours = max(tardy, held) - held
        if let rate = plan.rate, part(ours, of: due) > Self.share {
            limits.append(
                "this side, not the server: \(percent(ours, of: due)) of the "
                    + "queries were sent more than \(Self.lateMilliseconds) ms after they were due, or "
                    + "not at all, as this machine did not keep up with \(Int(rate.rounded())) a second. "
                    + "Latencies count from when a query was due, so they tell of that. Lower --rate, "
                    + "give the load a core of its own (taskset), or ask from several machines")
        }
        if isDropping {
            limits.append(
                "this side, not the server: \(dropped) answers came and found no room in the sockets "
                    + "here. Raise net.core.rmem_max, or lower the load")
        }
        if plan.rate == nil, answered > 0, turns > 0, part(idleTurns, of: turns) < Self.share {
            limits.append(
                "this side, not the server: it hardly ever had to wait for an answer, so the server may "
                    + "bear more. Ask from several machines, or with several loads at a time")
        }
        if limits.isEmpty, plan.rate != nil, part(tardy, of: due) > Self.share {
            limits.append(
                "the server, or the way to it: so many queries were without an answer that "
                    + "\(percent(tardy, of: due)) of all had to wait, or were not sent")
        }
        return limits
    }

    private func part(_ count: UInt64, of all: UInt64) -> Double {
        all > 0 ? Double(count) / Double(all) : 0
    }

    private func percent(_ count: UInt64, of all: UInt64) -> String {
        "\(max(1, Int((part(count, of: all) * 100).rounded()))) %"
    }

    private func perSecond(_ count: UInt64) -> Int {
        seconds > 0 ? Int((Double(count) / seconds).rounded()) : 0
    }
}
