import Steering
import Testing

@testable import Health

private func result(_ mark: Character, at second: Int64 = 0) -> ProbeResult {
    let outcome: ProbeResult.Outcome =
        switch mark {
        case "+": .passed("status 200")
        case "-": .failed(.connect, "connection refused")
        default: .inconclusive("too many open files")
        }
    return ProbeResult(
        outcome, duration: .milliseconds(3), time: Timestamp(nanoseconds: second * 1_000_000_000))
}

struct TargetHealthTests {
    /// Results (+ passed, - failed, ? inconclusive) and the verdict after each (U up, D down, . unknown).
    @Test(
        "verdicts follow from rise and fall",
        arguments: [
            // The first result decides at once.
            ("+", 2, 3, "U"), ("-", 2, 3, "D"),
            // Nothing is known until there is one.
            ("??+", 2, 3, "..U"),
            // The third failure in a row brings down, the second pass in a row brings up.
            ("+---++", 2, 3, "UUUDDU"),
            // A result that agrees with the verdict starts the count again.
            ("+--+--+---", 2, 3, "UUUUUUUUUD"), ("-+-+-++", 2, 3, "DDDDDDU"),
            // Counts of one flip at once.
            ("+-+-", 1, 1, "UDUD"),
            // What says nothing about the origin neither counts nor interrupts.
            ("+-?-?-", 2, 3, "UUUUUD"), ("-+?+", 2, 3, "DDDU"),
        ])
    func rows(marks: String, rise: Int, fall: Int, expected: String) {
        var machine = TargetHealth()
        var rules = VerdictRules()
        (rules.rise, rules.fall) = (rise, fall)
        var seen = ""
        for mark in marks {
            let before = machine.verdict
            let flipped = machine.record(result(mark), under: rules) != nil
            #expect(flipped == (machine.verdict != before))
            switch machine.verdict {
            case .up: seen += "U"
            case .down: seen += "D"
            case .unknown: seen += "."
            case .degraded, .drained: seen += "?"
            }
        }
        #expect(seen == expected)
    }

    /// How many results in a row would flip the verdict, after each; and the least seconds of 10 s each.
    @Test(
        "how soon a verdict could flip follows from the results that contradict it",
        arguments: [
            ("", [1], 0), ("+", [3], 20), ("+-", [3, 2], 10), ("+--", [3, 2, 1], 0),
            ("+--+", [3, 2, 1, 3], 20), ("+---", [3, 2, 1, 2], 10), ("+---+", [3, 2, 1, 2, 1], 0),
            ("-?", [2, 2], 10),
        ] as [(String, [Int], UInt32)])
    func horizons(marks: String, expected: [Int], seconds: UInt32) throws {
        let monitor = try monitor("{type: tcp, port: 1, interval: 10s, rise: 2, fall: 3}")
        var machine = TargetHealth()
        var seen = marks.isEmpty ? [max(machine.remaining(under: monitor.rules), 1)] : []
        for mark in marks {
            _ = machine.record(result(mark), under: monitor.rules)
            seen.append(max(machine.remaining(under: monitor.rules), 1))
        }
        #expect(seen == expected)
        let horizon = monitor.horizon(of: machine)
        #expect(horizon == Horizon(probes: Int32(expected.last ?? 0), seconds: seconds))
    }

    @Test("a verdict keeps the result and the time that decided it")
    func reason() {
        var machine = TargetHealth()
        for (second, mark) in "+---+".enumerated() {
            _ = machine.record(result(mark, at: Int64(second)), under: VerdictRules())
        }
        #expect(machine.verdict == .down)
        #expect(machine.since == Timestamp(nanoseconds: 3_000_000_000))
        #expect(machine.decidedBy?.outcome.description == "connect: connection refused")
        #expect(machine.last?.outcome.description == "status 200")
        #expect(machine.contradictions == 1)
    }

    @Test("no verdict flips without its count in a row", arguments: 0..<50 as Range<UInt64>)
    func randomSequences(seed: UInt64) {
        var random = Random(seed: seed)
        let rise = Int.random(in: 1...5, using: &random)
        let fall = Int.random(in: 1...5, using: &random)
        var machine = TargetHealth()
        var rules = VerdictRules()
        (rules.rise, rules.fall) = (rise, fall)
        var seen: [Character] = []
        var flips = 0
        for _ in 0..<2_000 {
            let mark: Character = ["+", "-", "-", "+", "?"].randomElement(using: &random) ?? "+"
            let before = machine.verdict
            let flipped = machine.record(result(mark), under: rules) != nil
            if mark != "?" { seen.append(mark) }
            let needed = before == .unknown ? 1 : before == .down ? rise : fall
            let opposite: Character =
                before == .unknown ? (seen.last ?? "?") : before == .down ? "+" : "-"
            // It flips when, and only when, the newest results are the count in a row.
            let run = seen.reversed().prefix { $0 == opposite }.count
            #expect(flipped == (mark != "?" && run >= needed))
            flips += flipped ? 1 : 0
        }
        #expect(flips > 2)
    }
}
