// What the counts of a load say about who was at its limit: the server, or the machine that asks.

/// What kept a load from what was asked of it.
public struct LoadLimit: Hashable, Sendable {
    /// Where it lies.
    public enum Side: String, Sendable {
        /// The machine that asks, or the program.
        case client
        /// The server, or the way to it.
        case server
    }

    public var side: Side
    /// What it was in plain words, and what to do about it.
    public var text: String

    public init(_ side: Side, _ text: String) {
        self.side = side
        self.text = text
    }
}

extension LoadResult {
    /// What is sent so much after it was due tells of the machine that sends: a busy one loses its
    /// processor for some milliseconds now and then.
    static let lateMilliseconds = 10
    /// Less than this share of all queries, or of a loop's turns, is an accident.
    private static let share = 0.01
    /// As many queries lost one after the other, while none was answered, are no accident.
    private static let lostInARow = 3
    /// A loop over TCP that waits for less than this share of the time is at work itself for most of it.
    /// The server may be as busy meanwhile where much is in flight, so this is no proof.
    private static let waitingShare = 0.5

    /// What kept a load from what was asked of it; empty if nothing did.
    public func limits(of plan: LoadPlan) -> [LoadLimit] {
        // Why nothing could be asked at all says the failure.
        guard failure == nil || answered > 0 else { return [] }
        var limits = (theirs(plan).map { [LoadLimit(.server, $0)] } ?? [])
        limits += ours(plan).map { LoadLimit(.client, $0) }
        let (tardy, due) = (late + unsent, sent + unsent)
        if limits.isEmpty, plan.rate != nil, part(tardy, of: due) > Self.share {
            let text =
                "the server, or the way to it: so many queries were without an answer that "
                + "\(percent(tardy, of: due)) of all had to wait, or were not sent"
            limits.append(LoadLimit(.server, text))
        }
        return limits
    }

    /// Whether the server answered, and had ceased to when the load ended.
    public func wentSilent(_ plan: LoadPlan) -> Bool {
        guard let lastAnswer else { return false }
        return seconds - lastAnswer >= Double(plan.patienceMilliseconds) / 1_000
            && lost >= lostByLastAnswer + UInt64(Self.lostInARow) && !isDropping
    }

    /// What lies with the server.
    private func theirs(_ plan: LoadPlan) -> String? {
        if answered == 0, sent > 0, !isDropping {
            return
                "no answer came from \(plan.endpoint): is it a DNS server, and does the network let "
                + "\(plan.overTCP ? "TCP" : "UDP") through?"
        }
        if let lastAnswer, wentSilent(plan) {
            return
                "no answer since \(tenths(lastAnswer)) s: the server has ended or hangs, or the way to "
                + "it is cut. It answered \(perSecond(answered, in: lastAnswer)) queries a second until "
                + "then, and none of \(lost - lostByLastAnswer) after; the load's rate counts all "
                + "\(tenths(seconds)) seconds"
        }
        let lost = max(lost, dropped) - dropped
        if plan.rate != nil, part(lost, of: sent) > Self.share {
            return
                "the server, or the way to it: it answered \(perSecond(answered, in: seconds)) of the "
                + "\(perSecond(sent, in: seconds)) queries a second that were sent"
        }
        return nil
    }

    /// What lies with the machine that asks.
    private func ours(_ plan: LoadPlan) -> [String] {
        var limits: [String] = []
        let due = sent + unsent
        let late = max(late + unsent, held) - held
        if let rate = plan.rate, part(late, of: due) > Self.share {
            limits.append(
                "this side, not the server: \(percent(late, of: due)) of the "
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
        guard plan.rate == nil, answered > 0 else { return limits }
        let more =
            "so the server may bear more. Ask from several machines, or with several loads at a time"
        if turns > 0, part(idleTurns, of: turns) < Self.share {
            limits.append(
                "this side, not the server: it hardly ever had to wait for an answer, \(more)")
        }
        if plan.overTCP, failure == nil, waited < Self.waitingShare * seconds {
            limits.append(
                "this side, it seems: it waited for answers for \(Int(waited / seconds * 100)) % of "
                    + "the time, and was at work itself for the rest, \(more)")
        }
        return limits
    }

    private var isDropping: Bool { part(dropped, of: sent) > Self.share }

    private func part(_ count: UInt64, of all: UInt64) -> Double {
        all > 0 ? Double(count) / Double(all) : 0
    }

    private func percent(_ count: UInt64, of all: UInt64) -> String {
        "\(max(1, Int((part(count, of: all) * 100).rounded()))) %"
    }

    private func perSecond(_ count: UInt64, in seconds: Double) -> Int {
        seconds > 0 ? Int((Double(count) / seconds).rounded()) : 0
    }

    private func tenths(_ seconds: Double) -> String {
        let tenths = Int((seconds * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
