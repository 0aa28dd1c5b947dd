import Steering
import Testing

@testable import Health

/// Every way to give each of so many monitors one of the verdicts.
private func combinations<Value>(_ count: Int, of values: [Value]) -> [[Value]] {
    (0..<count).reduce([[]]) { all, _ in all.flatMap { row in values.map { row + [$0] } } }
}

/// What is so for verdicts that are all known.
private func plain(_ verdicts: [Verdict], needed: Int) -> Verdict {
    if verdicts.filter({ $0 == .up }).count >= needed { return .up }
    return verdicts.filter({ $0 != .down }).count >= needed ? .degraded : .down
}

struct CombinedVerdictTests {
    @Test(
        "known verdicts decide by their counts, and unknown ones only leave open what they could decide",
        arguments: 1...4)
    func allCombinations(count: Int) {
        for verdicts in combinations(count, of: [Verdict.unknown, .up, .degraded, .down]) {
            for needed in 1...count {
                let worst = plain(verdicts.map { $0 == .unknown ? .down : $0 }, needed: needed)
                let best = plain(verdicts.map { $0 == .unknown ? .up : $0 }, needed: needed)
                let expected = worst != .down ? worst : best != .down ? .unknown : .down
                #expect(
                    Verdict.combining(verdicts, needed: needed) == expected,
                    "\(needed) of \(verdicts)")
            }
        }
    }

    @Test(
        "all, any and two of three",
        arguments: [
            ([.up, .up, .down], 3, .down), ([.up, .up, .down], 2, .up),
            ([.down, .up, .down], 1, .up),
            ([.up, .degraded, .down], 2, .degraded), ([.degraded, .unknown], 1, .degraded),
            ([.up, .unknown], 2, .unknown), ([.down, .unknown], 2, .down), ([.down], 1, .down),
        ] as [([Verdict], Int, Verdict)])
    func rows(verdicts: [Verdict], needed: Int, expected: Verdict) {
        #expect(Verdict.combining(verdicts, needed: needed) == expected)
    }

    /// What a verdict may be after it flipped.
    private func others(_ verdict: Verdict) -> [Verdict] {
        switch verdict {
        case .up: [.degraded, .down]
        case .degraded: [.up, .down]
        default: [.up]
        }
    }

    /// What clients are told apart by.
    private func tier(_ verdicts: [Verdict], _ needed: Int) -> Verdict {
        plain(verdicts.map { $0 == .unknown ? .down : $0 }, needed: needed)
    }

    /// The soonest over all that monitors can flip to.
    private func soonest(
        _ monitors: [(verdict: Verdict, horizon: Horizon)], needed: Int
    ) -> UInt32? {
        let before = tier(monitors.map(\.verdict), needed)
        var outcomes: [(verdicts: [Verdict], time: UInt32)] = [([], 0)]
        for monitor in monitors {
            outcomes = outcomes.flatMap { verdicts, time in
                let stays = [(verdicts + [monitor.verdict], time)]
                guard monitor.horizon != .never else { return stays }
                return stays
                    + others(monitor.verdict).map {
                        (verdicts + [$0], max(time, monitor.horizon.seconds))
                    }
            }
        }
        return outcomes.filter { tier($0.verdicts, needed) != before }.map(\.time).min()
    }

    @Test("a combined verdict flips no sooner than enough of its monitors could", arguments: 1...3)
    func horizons(count: Int) {
        let horizons = [0, 20, 50].map { Horizon(probes: 1, seconds: $0) } + [.never]
        let each = [Verdict.up, .degraded, .down, .unknown].flatMap { verdict in
            horizons.map { (verdict: verdict, horizon: $0) }
        }
        for monitors in combinations(count, of: each) {
            for needed in 1...count {
                let horizon = Horizon.combining(monitors, needed: needed)
                let expected = soonest(monitors, needed: needed)
                #expect((horizon == .never ? nil : horizon.seconds) == expected, "\(monitors)")
            }
        }
    }
}
