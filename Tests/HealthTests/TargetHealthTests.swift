// The rules of verdicts one by one; VerdictPropertyTests has all of them together.

import Foundation
import Settings
import Steering
import Testing

@testable import Health

/// The verdict after each of some results that come every 10 seconds.
private func verdicts(_ marks: String, _ rules: VerdictRules) -> String {
    var health = TargetHealth()
    return String(
        marks.enumerated().map { number, mark in
            let before = health.verdict
            let flip = health.record(result(mark, at: Double(number) * 10), under: rules)
            #expect((flip != nil) == (health.verdict != before))
            return health.verdict.mark
        })
}

private func verdictRules(_ yaml: String) throws -> VerdictRules {
    try monitor("{type: command, command: [/bin/true], \(yaml)}").rules
}

struct TargetHealthTests {
    /// Results (+ passed, - failed, ? inconclusive) and the verdict after each (Verdict.mark).
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
    func counts(marks: String, rise: Int, fall: Int, expected: String) throws {
        #expect(verdicts(marks, try verdictRules("rise: \(rise), fall: \(fall)")) == expected)
    }

    @Test("a verdict keeps the result and the time that decided it")
    func reason() {
        var health = TargetHealth()
        for (second, mark) in "+---+".enumerated() {
            _ = health.record(result(mark, at: Double(second)), under: VerdictRules())
        }
        #expect(health.verdict == .down)
        #expect(health.since == .at(3))
        #expect(health.reason == "connect: connection refused")
        #expect(health.decidedBy?.outcome == .failed(.connect, "connection refused"))
        #expect(health.last?.outcome.description == "status 200")
        #expect(health.contradictions == 1)
        #expect(
            health.history == [
                Flip(from: .unknown, to: .up, reason: "status 200", time: .at(0)),
                Flip(
                    from: .up, to: .down, reason: "connect: connection refused", time: .at(3)),
            ])
    }

    @Test("the newest eight flips are remembered")
    func history() {
        var health = TargetHealth()
        var rules = VerdictRules()
        (rules.rise, rules.fall) = (1, 1)
        for second in 0..<30 {
            _ = health.record(result(second % 2 == 0 ? "+" : "-", at: Double(second)), under: rules)
        }
        #expect(health.history.map(\.time) == (22..<30).map { .at(Double($0)) })
    }

    // MARK: - Hold-down and flaps

    @Test(
        "one that went down stays down for hold_down, and comes up with the first pass after it",
        arguments: [
            ("hold_down: 0s", "+---++++++", "UUUDDUUUUU"),
            // Down at 30 s: up at 80 s, with the passes in a row that it needs.
            ("hold_down: 50s", "+---++++++", "UUUDDDDDUU"),
            ("hold_down: 50s", "+---+++-++", "UUUDDDDDDU"),
            // The time is from when it went down, not from the last failure.
            ("hold_down: 50s", "+--------++", "UUUDDDDDDDU"),
            // One that was never up has nothing to hold down.
            ("hold_down: 50s", "-++", "DDU"),
        ])
    func holdDown(yaml: String, marks: String, expected: String) throws {
        #expect(verdicts(marks, try verdictRules(yaml)) == expected)
    }

    @Test(
        "one that goes down more often than its budget stays down until it is no more than that",
        arguments: [
            ("flaps: off", "+-+-+-+-+-+-+", "UDUDUDUDUDUDU"),
            // Down at 10, 30 and 50 s, which is once too often until 100 s after the first.
            ("flaps: 2 per 100s", "+-+-+-+++++++", "UDUDUDDDDDDUU"),
            ("flaps: 2 per 20s", "+-+-+-+-+-+-+", "UDUDUDUDUDUDU"),
            // Never up with more than the budget, but its passes count meanwhile.
            ("flaps: 1 per 60s, rise: 2", "+-++-++++++", "UDDUDDDUUUU"),
        ])
    func flaps(yaml: String, marks: String, expected: String) throws {
        let yaml = yaml.contains("rise") ? yaml : "\(yaml), rise: 1"
        #expect(verdicts(marks, try verdictRules("\(yaml), fall: 1")) == expected)
    }

    @Test("who flaps is told so, and until when")
    func flapping() throws {
        let rules = try verdictRules("flaps: 2 per 100s, rise: 1, fall: 1")
        var health = TargetHealth()
        for (number, mark) in "+-+-+-".enumerated() {
            _ = health.record(result(mark, at: Double(number) * 10), under: rules)
        }
        #expect(
            health.reason == "connect: connection refused; flapping: 3 times in 1m40s, "
                + "up again at the earliest at \(Timestamp.at(110))")
        #expect(health.heldUntil(under: rules) == .at(110))
        #expect(health.heldUntil(under: VerdictRules()) == nil)
    }

    @Test("a clock that is set back makes no wait longer than its rule")
    func clock() throws {
        let rules = try verdictRules("hold_down: 50s, rise: 1, fall: 1, flaps: 1 per 60s")
        var health = TargetHealth()
        for (number, mark) in "+-".enumerated() {
            _ = health.record(result(mark, at: 100_000 + Double(number)), under: rules)
        }
        // A day earlier, all of a sudden.
        #expect(health.record(result("+", at: 0), under: rules) == nil)
        #expect(health.since == .at(0) && health.heldUntil(under: rules) == .at(50))
        #expect(health.record(result("+", at: 49), under: rules) == nil)
        #expect(health.record(result("+", at: 50), under: rules)?.to == .up)
    }

    // MARK: - Degraded

    /// Response times in milliseconds, every 10 seconds; - is a failure.
    @Test(
        "degraded is who answers slowly for a while, and up again who answers well for as long",
        arguments: [
            // Each counts for a quarter, so that one outlier is nothing.
            ("100 900 100 100 100 100", "UUUUUU"),
            // 400 is passed with the third, and that lasts 20 s; below 320 is the tenth.
            ("100 900 900 900 900 900 100 100 100 100 100 100 100", "UUUUGGGGGGGUU"),
            // Between the limits nothing changes.
            ("390 390 390 390 390 390", "UUUUUU"),
            ("500 500 500 500 390 390 390 390 390 390 390", "UUUGGGGGGGG"),
            // What fails says nothing about times, and counts against it as ever.
            ("500 500 - - 500 500", "UUUUGG"),
            ("500 500 500 500 - - - 500 500 500 500 500", "UUUGGGDDUUUG"),
        ])
    func degraded(times: String, expected: String) throws {
        let rules = try verdictRules("degraded_above: 400ms, degraded_for: 20s")
        var health = TargetHealth()
        var seen = ""
        for (number, word) in times.split(separator: " ").enumerated() {
            let next = Int(word).map { result("+", at: Double(number) * 10, milliseconds: $0) }
            _ = health.record(next ?? result("-", at: Double(number) * 10), under: rules)
            seen.append(health.verdict.mark)
        }
        #expect(seen == expected)
    }

    @Test("degraded is who reports a high load for a while; the reasons say so")
    func load() throws {
        let rules = try verdictRules("load_above: 0.8, load_below: 0.5, degraded_for: 10s")
        var health = TargetHealth()
        var reasons: [String] = []
        for (number, load) in [900, 900, 800, 900, 900, 510, 500, 500, 900, nil, 900].enumerated() {
            let next = result("+", at: Double(number) * 10, load: load)
            if let flip = health.record(next, under: rules) {
                reasons.append("\(number) \(flip.to): \(flip.reason)")
            }
        }
        #expect(
            reasons == [
                "0 up: status 200", "4 degraded: load 0.9, more than 0.8 for 10s",
                "7 up: load 0.5, at most 0.5 for 10s",
            ])
    }

    @Test("the reasons of slow answers have the smoothed time and the limit")
    func reasons() throws {
        let rules = try verdictRules("degraded_above: 400ms, degraded_for: 0s")
        var health = TargetHealth()
        let flips = [("500", 0), ("100", 1), ("100", 2), ("100", 3)].map { time, number in
            health.record(
                result("+", at: Double(number), milliseconds: Int(time) ?? 0), under: rules)?.reason
        }
        #expect(flips[0] == "status 200" && health.responseTime == .microseconds(268_750))
        #expect(flips[1] == nil && health.verdict == .up)
        #expect(
            health.record(result("+", at: 4, milliseconds: 1_900), under: rules)?.reason
                == "response time 676ms, more than 400ms")
        #expect(health.record(result("+", at: 5, milliseconds: 1), under: rules) == nil)
        for second in 6..<8 {
            _ = health.record(result("+", at: Double(second), milliseconds: 1), under: rules)
        }
        #expect(health.reason == "response time 286ms, at most 320ms")
    }

    // MARK: - Beginning and going on

    @Test(
        "a target that nothing is remembered of begins as its monitor says",
        arguments: [
            ("last", ".", "DD"), ("up", "U", "UUD"), ("down", "D", "DDDUUU"),
        ])
    func start(start: String, first: String, after: String) throws {
        let rules = try verdictRules("start: \(start), rise: 4")
        var health = TargetHealth(under: rules, at: .at(0))
        #expect(String(health.verdict.mark) == first)
        #expect(health.reason == (start == "last" ? "" : "start: \(start)"))
        var seen = ""
        for number in 0..<after.count {
            let mark: Character = start == "down" ? "+" : "-"
            _ = health.record(result(mark, at: Double(number)), under: rules)
            seen.append(health.verdict.mark)
        }
        #expect(seen == after)
    }

    @Test("what is remembered is kept, and has to be contradicted anew")
    func resumed() throws {
        let rules = try verdictRules("hold_down: 1h, degraded_above: 400ms")
        var health = TargetHealth()
        for (number, mark) in "+---++--".enumerated() {
            _ = health.record(result(mark, at: Double(number)), under: VerdictRules())
        }
        #expect(health.verdict == .up && health.contradictions == 2)
        let resumed = TargetHealth(under: rules, remembered: health, at: .at(100))
        #expect(resumed.verdict == .up && resumed.since == .at(5))
        #expect(resumed.reason == health.reason && resumed.decidedBy == health.decidedBy)
        #expect(resumed.history == health.history && resumed.falls == health.falls)
        #expect(resumed.responseTime == health.responseTime && resumed.last == health.last)
        var later = resumed
        let flips = (100..<103).map { later.record(result("-", at: Double($0)), under: rules)?.to }
        #expect(flips == [nil, nil, .down])

        // `start` goes before what is remembered of the last process, but not before a hold-down.
        let down = TargetHealth(
            under: try verdictRules("start: down"), remembered: health, at: .at(9))
        #expect(down.verdict == .down && down.history.last?.reason == "start: down")
        #expect(down.history.count == 4 && down.falls == health.falls)
        let up = try verdictRules("start: up, hold_down: 1h")
        #expect(TargetHealth(under: up, remembered: later, at: .at(110)).verdict == .down)
        #expect(TargetHealth(under: up, remembered: later, at: .at(9_000)).verdict == .up)
    }

    @Test(
        "what was last seen more than a day ago, or later than now, says nothing about the verdict",
        arguments: [(86_400.0, "D"), (86_401, "U"), (-86_400, "D"), (-86_401, "U")])
    func age(seconds: Double, expected: String) {
        var health = TargetHealth()
        _ = health.record(result("-", at: 0), under: VerdictRules())
        var resumed = health.resumed(at: .at(seconds))
        #expect(resumed.history == health.history && resumed.last == health.last)
        _ = resumed.record(result("+", at: seconds), under: VerdictRules())
        #expect(String(resumed.verdict.mark) == expected)
    }

    // MARK: - Tries of a round

    /// Outcomes with the retries allowed, and the results that come of them.
    @Test(
        "a round takes its retries for failures alone, and a pass is one for all of it",
        arguments: [
            ("-", 0, ["connect: refused"]),
            ("-+", 1, ["status 200 (try 2; before: connect: refused)"]),
            ("--", 1, ["connect: refused"]), ("---", 2, ["connect: refused"]),
            ("--+", 2, ["status 200 (try 3; before: connect: refused)"]),
            ("+-+", 1, ["status 200", "status 200 (try 2; before: connect: refused)"]),
            // Not tried again, as nothing was tried; and no excuse for the failure before.
            ("?", 2, ["not probed: no route"]), ("-?", 2, ["connect: refused"]),
            ("-?-+", 1, ["connect: refused", "status 200 (try 2; before: connect: refused)"]),
        ])
    func round(marks: String, retries: Int, expected: [String]) {
        var round = Round()
        var results: [String] = []
        for mark in marks {
            let outcome: ProbeResult.Outcome =
                mark == "+"
                ? .passed("status 200")
                : mark == "-" ? .failed(.connect, "refused") : .inconclusive("no route")
            let result = round.take(outcome, retries: retries)
            #expect(round.isOpen == (result == nil))
            if let result { results.append(result.description) }
        }
        #expect(results == expected && !round.isOpen)
    }

    @Test(
        "loads are read in thousandths",
        arguments: [
            ("0.73", "0.73"), ("1", "1"), ("12.3456", "12.345"), ("1000", "1000"), ("0", "0"),
            ("0.050", "0.05"), ("1000.001", nil), ("10000", nil), (".5", nil), ("1.", nil),
            ("-1", nil), ("1e3", nil), ("", nil), ("٣", nil), ("1.2.3", nil), ("0x1", nil),
        ] as [(String, String?)])
    func loads(text: String, expected: String?) {
        #expect(Load(text)?.description == expected)
        #expect(Load(in: "ok|load=\(text); n=3")?.description == expected)
        #expect(Load(in: "ok overload=\(text)") == nil)
    }
}
