// All rules of verdicts together, by random sequences: against the naive account in
// Support/Verdicts, against their own promises, over restarts, through damaged files, and for what
// could come next.

import Foundation
import Steering
import Testing

@testable import Health

/// Rules of any kind, small enough for all of them to matter within a hundred results.
private func randomRules(_ random: inout Random) -> VerdictRules {
    var rules = VerdictRules()
    rules.rise = .random(in: 1...4, using: &random)
    rules.fall = .random(in: 1...4, using: &random)
    if Bool.random(using: &random) {
        rules.holdDown = .seconds(Int.random(in: 0...120, using: &random))
    }
    if Bool.random(using: &random) {
        rules.flaps = VerdictRules.FlapBudget(
            budget: .random(in: 1...3, using: &random),
            window: .seconds(Int.random(in: 60...600, using: &random)))
    }
    // No average of whole milliseconds in quarters is one of these, so that rounding cannot matter.
    if Bool.random(using: &random) {
        rules.responseTime = .init(above: .microseconds(500_333), below: .microseconds(400_333))
    }
    if Bool.random(using: &random) {
        rules.load = .init(above: Load(thousandths: 700), below: Load(thousandths: 500))
    }
    rules.degradedFor = .seconds(Int.random(in: 0...40, using: &random))
    return rules
}

/// What one target is like for a while.
private struct Weather {
    var failing = 0.2
    var milliseconds = 400
    var load = 600

    mutating func change(_ random: inout Random) {
        failing = [0, 0.1, 0.5, 0.9, 1].randomElement(using: &random) ?? 0
        milliseconds = .random(in: 1...1_000, using: &random)
        load = .random(in: 300...900, using: &random)
    }

    func result(at seconds: Double, _ random: inout Random) -> ProbeResult {
        let mark: Character =
            Double.random(in: 0..<1, using: &random) < 0.1
            ? "?" : Double.random(in: 0..<1, using: &random) < failing ? "-" : "+"
        return HealthTests.result(
            mark, at: seconds, milliseconds: milliseconds + .random(in: 0...50, using: &random),
            load: Bool.random(using: &random) ? load : nil)
    }
}

struct VerdictPropertyTests {
    /// What a seed's sequence leads to.
    private func run(_ seed: UInt64, restarts: Bool) throws -> (flips: [Flip], rules: VerdictRules)
    {
        var random = Random(seed: seed)
        let rules = randomRules(&random)
        var naive = NaiveVerdicts(rules: rules)
        var health = TargetHealth()
        var weather = Weather()
        var flips: [Flip] = []
        var seconds = 0.0
        for number in 0..<400 {
            if number % 10 == 0 { weather.change(&random) }
            seconds += .random(in: 9...10, using: &random)
            if restarts, Int.random(in: 0..<25, using: &random) == 0 {
                let gap = [0, 10, 300, 80_000, 90_000].randomElement(using: &random) ?? 0
                seconds += Double(gap)
                let saved = try JSONEncoder().encode(health)
                let read = try JSONDecoder().decode(TargetHealth.self, from: saved)
                #expect(read == health)
                let isOld = health.last.map { Timestamp.at(seconds) - $0.time > .seconds(86_400) }
                health = TargetHealth(under: rules, remembered: read, at: .at(seconds))
                naive.restart(forgetting: isOld ?? true, at: .at(seconds))
            }
            let next = weather.result(at: seconds, &random)
            if let flip = health.record(next, under: rules) {
                #expect(flip.to == health.verdict && flip.time == next.time)
                #expect(health.since == flip.time && health.decidedBy == next)
                flips.append(flip)
            }
            naive.add(next)
            try #require(health.verdict == naive.verdict, "seed \(seed), result \(number)")
            #expect(health.last == next)
            #expect(health.history == flips.suffix(8))
        }
        return (flips, rules)
    }

    @Test("verdicts are those of the naive account, and all kinds of flips occur")
    func model() throws {
        var kinds: Set<String> = []
        for seed in 0..<60 as Range<UInt64> {
            for flip in try run(seed, restarts: false).flips {
                kinds.insert("\(flip.from.mark)\(flip.to.mark)")
            }
        }
        #expect(kinds == [".U", ".D", "UD", "DU", "UG", "GU", "GD"])
    }

    @Test("restarts neither forget nor invent: only counts begin anew")
    func restarts() throws {
        for seed in 100..<150 as Range<UInt64> { _ = try run(seed, restarts: true) }
    }

    @Test("whatever comes, a hold-down and a budget are kept")
    func promises() throws {
        var (held, budgets) = (0, 0)
        for seed in 200..<260 as Range<UInt64> {
            let (flips, rules) = try run(seed, restarts: seed % 2 == 0)
            let falls = flips.filter { $0.to == .down && $0.from != .unknown }.map(\.time)
            for rising in flips where rising.to == .up && rising.from == .down {
                guard let fall = falls.last(where: { $0 < rising.time }) else { continue }
                #expect(rising.time - fall >= rules.holdDown)
                held += rules.holdDown > .zero ? 1 : 0
            }
            guard let flaps = rules.flaps else { continue }
            for last in falls {
                let count = falls.count { $0 <= last && last - $0 < flaps.window }
                // The one beyond the budget is what keeps it down. After a day of silence it starts
                // over.
                #expect(count <= flaps.budget + 1)
                budgets += count > flaps.budget ? 1 : 0
            }
        }
        #expect(held > 20 && budgets > 20)
    }

    // MARK: - What could come next

    /// All that could happen next: whether any of it flips the verdict sooner than `horizon` says.
    ///
    /// - Parameter elapsed: since the first result of that future.
    private func findEarlier(
        _ health: TargetHealth, _ monitor: Monitor, _ horizon: Horizon, from start: Double,
        elapsed: Double = 0, count: Int32 = 1
    ) -> String? {
        guard elapsed < Double(horizon.seconds) || count < horizon.probes else { return nil }
        for (mark, milliseconds, load) in [("+", 1, 0), ("+", 900, 990), ("-", 1, 0), ("?", 1, 0)] {
            var next = health
            let result = result(
                Character(mark), at: start + elapsed, milliseconds: milliseconds, load: load)
            if let flip = next.record(result, under: monitor.rules) {
                return "\(flip.from) to \(flip.to) after \(elapsed) s, \(count) results"
            }
            let found = findEarlier(
                next, monitor, horizon, from: start,
                elapsed: elapsed + monitor.interval / .seconds(1), count: count + 1)
            if let found { return found }
        }
        return nil
    }

    @Test("of all that could come next, nothing flips a verdict sooner than its horizon says")
    func horizons() throws {
        var positive = 0
        for seed in 0..<24 as Range<UInt64> {
            var random = Random(seed: seed)
            let limits = [
                "", "degraded_above: 500ms", "degraded_above: 500ms, load_above: 0.7",
            ]
            let monitor = try monitor(
                """
                {type: command, command: [/bin/true], interval: 2s, timeout: 1s, retries: 1,
                rise: \(Int.random(in: 1...3, using: &random)),
                fall: \(Int.random(in: 1...4, using: &random)),
                hold_down: \(Int.random(in: 0...10, using: &random))s,
                flaps: \(seed % 2 == 0 ? "off" : "1 per 12s"),
                \(seed % 3 == 0 ? "" : "degraded_for: \(Int.random(in: 0...9, using: &random))s,")
                \(limits[Int(seed % 3)])}
                """)
            var health = TargetHealth()
            var weather = Weather()
            var seconds = 0.0
            for number in 0..<60 {
                if number % 6 == 0 { weather.change(&random) }
                seconds += 2
                _ = health.record(weather.result(at: seconds, &random), under: monitor.rules)
                guard number % 7 == 0 else { continue }
                if seed % 4 == 0 { health = health.resumed(at: .at(seconds)) }
                let horizon = monitor.horizon(of: health)
                positive += horizon.seconds > 0 ? 1 : 0
                // The next is there at once, on time, or as late as a whole round allows.
                for delay in [0.0, 2, 4] {
                    let found = findEarlier(health, monitor, horizon, from: seconds + delay)
                    #expect(found == nil, "seed \(seed), result \(number), \(horizon)")
                }
            }
        }
        #expect(positive > 50)
    }

    /// How many results in a row would flip the verdict, after some that come every 10 s; and the
    /// least seconds that these take.
    @Test(
        "how soon a verdict could flip follows from what contradicts it, and from what holds it",
        arguments: [
            ("", "", 1, 0), ("", "+", 3, 20), ("", "+-", 2, 10), ("", "+--", 1, 0),
            ("", "+--+", 3, 20), ("", "+---", 2, 10), ("", "+---+", 1, 0), ("", "-?", 2, 10),
            // 60 s from now, of which the next result may take 12.
            ("hold_down: 60s", "+---", 6, 48), ("hold_down: 60s", "+---+++", 3, 18),
            ("hold_down: 10s", "+---", 2, 10),
            ("flaps: 1 per 10m, fall: 1", "+-++-", 57, 558),
            ("degraded_above: 1s, fall: 9", "+", 4, 30), ("degraded_above: 1s", "+", 3, 20),
            ("degraded_above: 1s, fall: 9", "s", 4, 30),
            ("degraded_above: 1s, fall: 9", "sss", 2, 8),
            ("degraded_above: 1s, fall: 9", "ssss", 1, 0),
            ("degraded_above: 1s, fall: 9", "ss", 3, 18),
        ] as [(String, String, Int32, UInt32)])
    func horizonRows(keys: String, marks: String, probes: Int32, seconds: UInt32) throws {
        let monitor = try monitor("{type: tcp, port: 1\(keys.isEmpty ? "" : ", " + keys)}")
        var health = TargetHealth()
        for (number, mark) in marks.enumerated() {
            let next = result(
                mark == "s" ? "+" : mark, at: Double(number) * 10,
                milliseconds: mark == "s" ? 1_900 : 1)
            _ = health.record(next, under: monitor.rules)
        }
        let expected = Horizon(
            probes: probes, seconds: seconds,
            isDegrading: keys.hasPrefix("degraded_above: 1s, fall: 9"))
        #expect(monitor.horizon(of: health) == expected)
    }

    // MARK: - From disk

    @Test("a state goes through JSON unchanged, under keys that stay")
    func coding() throws {
        var health = TargetHealth()
        let slow = result("+", at: 0, milliseconds: 1_500, load: 730)
        for next in [slow, result("-", at: 1), result("?", at: 2)] {
            _ = health.record(next, under: VerdictRules())
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let data = try encoder.encode(health)
        #expect(
            String(decoding: data, as: UTF8.self) == """
                {"contradictions":1,"decided_by":{"duration":1500000000,"load":730,\
                "outcome":"passed","time":1780000000000000000,"words":"status 200"},"falls":[],\
                "history":[{"from":"unknown","reason":"status 200","time":1780000000000000000,\
                "to":"up"}],"last":{"duration":3000000,"outcome":"inconclusive",\
                "time":1780000002000000000,"words":"too many open files"},\
                "newest":1780000002000000000,"reason":"status 200","response_time":1500000000,\
                "since":1780000000000000000,"verdict":"up"}
                """)
        #expect(try JSONDecoder().decode(TargetHealth.self, from: data) == health)
        // All but the verdict may be missing.
        let least = Data(#"{"verdict": "down"}"#.utf8)
        #expect(
            try JSONDecoder().decode(TargetHealth.self, from: least)
                == TargetHealth(settledAs: .down))
    }

    @Test(
        "what is no verdict of a probe is refused",
        arguments: ["{}", #"{"verdict": "drained"}"#, #"{"verdict": "UP"}"#, #"{"verdict": 1}"#])
    func refused(json: String) {
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(TargetHealth.self, from: Data(json.utf8))
        }
    }

    @Test("a damaged state neither traps nor holds a target down for longer than its rules")
    func hostile() throws {
        let monitor = try monitor(
            "{type: tcp, port: 1, rise: 1, hold_down: 1h, flaps: 2 per 1h, degraded_above: 1s}")
        let numbers = ["0", "-1", "\(Int64.max)", "\(Int64.min)", "1780000000000000000"]
        var read = 0
        for seed in 0..<2_000 as Range<UInt64> {
            var random = Random(seed: seed)
            let number = { (random: inout Random) in numbers.randomElement(using: &random) ?? "" }
            let flip = #"{"from": "up", "to": "down", "time": \#(number(&random))}"#
            let result =
                #"{"outcome": "failed", "step": "body", "duration": \#(number(&random)), "#
                + #""time": \#(number(&random)), "load": \#(number(&random))}"#
            let verdict = ["up", "down", "degraded", "unknown"].randomElement(using: &random) ?? ""
            let falls = (0..<30).map { _ in number(&random) }.joined(separator: ",")
            let json =
                #"{"verdict": "\#(verdict)", "since": \#(number(&random)), "last": \#(result), "#
                + #""reason": "\#(String(repeating: "a\\n", count: 2_000))", "#
                + #""decided_by": \#(result), "response_time": \#(number(&random)), "#
                + #""contradictions": \#(number(&random)), "falls": [\#(falls)], "#
                + #""leaning_since": \#(number(&random)), "newest": \#(number(&random)), "#
                + #""history": [\#(Array(repeating: flip, count: 20).joined(separator: ","))]}"#
            let state = try JSONDecoder().decode(TargetHealth.self, from: Data(json.utf8))
            read += 1
            #expect(state.history.count == 8 && state.falls.count == 21)
            #expect(state.reason.count == 1_000 && !state.reason.contains("\n"))
            for var health in [state, state.resumed(at: .at(0))] {
                _ = monitor.horizon(of: health)
                _ = "\(String(describing: health.since)) \(health.history)"
                for second in stride(from: 0.0, through: 7_200, by: 60) {
                    _ = health.record(HealthTests.result("+", at: second), under: monitor.rules)
                    _ = monitor.horizon(of: health)
                }
                #expect(health.verdict == .up)
            }
        }
        #expect(read == 2_000)
    }
}
