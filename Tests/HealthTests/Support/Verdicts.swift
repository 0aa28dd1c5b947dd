// Results in short, and an independent account of the verdicts that follow from them.

import Steering

@testable import Health

extension Timestamp {
    /// So many seconds after a day in 2026 on which nothing happened.
    static func at(_ seconds: Double) -> Timestamp {
        Timestamp(nanoseconds: 1_780_000_000_000_000_000 + Int64(seconds * 1e9))
    }
}

/// A result: + passed, - failed, anything else inconclusive.
func result(
    _ mark: Character, at seconds: Double = 0, milliseconds: Int = 3, load: Int? = nil
) -> ProbeResult {
    let outcome: ProbeResult.Outcome =
        switch mark {
        case "+": .passed("status 200")
        case "-": .failed(.connect, "connection refused")
        default: .inconclusive("too many open files")
        }
    return ProbeResult(
        outcome, duration: .milliseconds(milliseconds), time: .at(seconds),
        load: load.map { Load(thousandths: $0) })
}

extension Verdict {
    /// U up, G degraded, D down, . unknown.
    var mark: Character {
        switch self {
        case .up: "U"
        case .degraded: "G"
        case .down: "D"
        case .unknown: "."
        case .drained: "!"
        }
    }
}

/// The rules, told once more and naively: at each result everything is counted again from the whole
/// list.
struct NaiveVerdicts {
    struct Change {
        /// The index of the result that decided, or of the one before which time was lost.
        var index: Int
        var from: Verdict
        var to: Verdict
        var time: Timestamp
    }

    let rules: VerdictRules
    private(set) var results: [ProbeResult] = []
    private(set) var changes: [Change] = []
    /// How many results there were at each restart.
    private(set) var restarts: [Int] = []
    /// Where what is smoothed begins.
    private var smoothedFrom = 0

    init(rules: VerdictRules) { self.rules = rules }

    var verdict: Verdict { changes.last?.to ?? .unknown }

    private func passed(_ index: Int) -> Bool {
        if case .passed = results[index].outcome { true } else { false }
    }

    private func failed(_ index: Int) -> Bool {
        if case .failed = results[index].outcome { true } else { false }
    }

    mutating func restart(forgetting isOld: Bool, at time: Timestamp) {
        restarts.append(results.count)
        guard isOld else { return }
        smoothedFrom = results.count
        if verdict != .unknown {
            changes.append(
                Change(index: results.count - 1, from: verdict, to: .unknown, time: time))
        }
    }

    /// The smoothed response time after a result, in milliseconds, by the weights of all before it.
    private func responseTime(_ index: Int) -> Double {
        let times = (smoothedFrom...index).filter { passed($0) }
            .map { results[$0].duration / .milliseconds(1) }
        var sum = 0.0
        var weight = 1.0
        for time in times.dropFirst().reversed() {
            sum += time * weight / 4
            weight *= 0.75
        }
        return sum + times[0] * weight
    }

    private func isOver(_ index: Int) -> Bool {
        if let limit = rules.responseTime, responseTime(index) > limit.above / .milliseconds(1) {
            return true
        }
        guard let limit = rules.load, let load = results[index].load else { return false }
        return load.thousandths > limit.above.thousandths
    }

    private func isBelow(_ index: Int) -> Bool {
        if let limit = rules.responseTime, responseTime(index) > limit.below / .milliseconds(1) {
            return false
        }
        guard let limit = rules.load, let load = results[index].load else { return true }
        return load.thousandths <= limit.below.thousandths
    }

    mutating func add(_ result: ProbeResult) {
        results.append(result)
        let last = results.count - 1
        let begin = max((changes.last?.index ?? -1) + 1, restarts.last ?? 0)
        let judged = (begin..<results.count).filter { passed($0) || failed($0) }
        guard judged.last == last else { return }
        let passes = judged.reversed().prefix { passed($0) }.count
        let failures = judged.reversed().prefix { failed($0) }.count
        var next = verdict
        switch verdict {
        case .unknown: next = passes > 0 ? .up : .down
        case .up, .degraded:
            if failures >= rules.fall { next = .down }
            guard passed(last) else { break }
            let isUp = verdict == .up
            let speaking = judged.filter { passed($0) }.reversed()
                .prefix { isUp ? isOver($0) : isBelow($0) }
            if let first = speaking.last, result.time - results[first].time >= rules.degradedFor {
                next = isUp ? .degraded : .up
            }
        default:
            if passes >= rules.rise, !isHeld(at: result.time) { next = .up }
        }
        guard next != verdict else { return }
        changes.append(Change(index: last, from: verdict, to: next, time: result.time))
    }

    private func isHeld(at time: Timestamp) -> Bool {
        let falls = changes.filter { $0.to == .down && $0.from != .unknown }.map(\.time)
        if let last = falls.last, time - last < rules.holdDown { return true }
        guard let flaps = rules.flaps else { return false }
        return falls.filter { time - $0 < flaps.window }.count > flaps.budget
    }
}
