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
    /// How soon a combined verdict could be another: up, degraded or of no use.
    ///
    /// Two counts decide, of those that are up and of those that can be used. For a count to pass
    /// `needed`, so many monitors have to flip; all of them are on their way at once, so that the last
    /// of the soonest decides. A lower bound, as each of them is one.
    ///
    /// - Parameter monitors: what each says, and how soon it could say something else.
    static func combining(
        _ monitors: [(verdict: Verdict, horizon: Horizon)], needed: Int
    ) -> Horizon {
        let up = passing(monitors, needed) { $0 == .up }
        let usable = passing(monitors, needed) { $0.isUsable }
        return usable == .never || up != .never && up.isSooner(than: usable) ? up : usable
    }

    /// How soon the count of those that fulfil something could pass `needed`, up or down.
    private static func passing(
        _ monitors: [(verdict: Verdict, horizon: Horizon)], _ needed: Int,
        _ counts: (Verdict) -> Bool
    ) -> Horizon {
        let count = monitors.count { counts($0.verdict) }
        let isMet = count >= needed
        let flips = isMet ? count - needed + 1 : needed - count
        let soonest = monitors.filter { counts($0.verdict) == isMet }.map(\.horizon)
            .filter { $0 != .never }.sorted { $0.isSooner(than: $1) }
        return flips <= soonest.count ? soonest[flips - 1] : .never
    }

    private func isSooner(than other: Horizon) -> Bool {
        (seconds, probes) < (other.seconds, other.probes)
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
