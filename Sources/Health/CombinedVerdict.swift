// What the monitors of an address come to together: pure, from their verdicts to one, and how soon
// that could flip.

internal import DNSWire
public import Steering

extension Verdict {
    /// Whether clients may be sent where a monitor says so.
    var isUsable: Bool { self == .up || self == .degraded }

    /// The verdict on an address that `needed` of its monitors have to have up.
    ///
    /// Degraded if enough have it up or degraded, but not enough up: also where one that has said
    /// nothing yet could make it up, for an address that can be used is not held back. Otherwise
    /// unknown if those that have said nothing yet could make it usable, and down if not.
    ///
    /// - Parameters:
    ///   - verdicts: one for each monitor.
    ///   - needed: at least 1, at most as many as there are.
    static func combining(_ verdicts: some Collection<Verdict>, needed: Int) -> Verdict {
        let up = verdicts.count { $0 == .up }
        let usable = verdicts.count { $0.isUsable }
        let unknown = verdicts.count { $0 == .unknown }
        if up >= needed { return .up }
        if usable >= needed { return .degraded }
        return usable + unknown >= needed ? .unknown : .down
    }
}

extension Horizon {
    /// How soon a combined verdict could turn from usable to not usable or back.
    ///
    /// For that, the verdicts of so many monitors have to flip; all of them are on their way at
    /// once, so that the last of the soonest decides. A lower bound, as each of them is one.
    ///
    /// - Parameter monitors: what each says, and how soon it could say the opposite.
    static func combining(
        _ monitors: [(verdict: Verdict, horizon: Horizon)], needed: Int
    ) -> Horizon {
        let usable = monitors.filter { $0.verdict.isUsable }
        let isUsable = usable.count >= needed
        let candidates = isUsable ? usable : monitors.filter { !$0.verdict.isUsable }
        let flips = isUsable ? usable.count - needed + 1 : needed - usable.count
        let soonest = candidates.map(\.horizon).filter { $0 != .never }
            .sorted { ($0.seconds, $0.probes) < ($1.seconds, $1.probes) }
        return flips <= soonest.count ? soonest[flips - 1] : .never
    }
}

/// A verdict on an address as it is published, and how it came about.
public struct Standing: Sendable, Hashable {
    public var verdict = Verdict.unknown
    /// When the verdict was reached; nil while it is unknown.
    public var since: Timestamp?
    /// What decided: `status: 503, expected 200-299`; of several monitors,
    /// `web: status: 503, expected 200-299; 1 of 2 monitors up, 2 needed`. Empty while it is
    /// unknown.
    public var reason = ""
    /// The names of the monitors that decided.
    public var monitors: [String] = []
    /// Where a probe failed; nil for what is up.
    public var step: ProbeStep?
    /// How long the newest of the probes that decided took.
    public var duration: Duration?

    init() {}
}
