// What a sink is told and when: scenarios as rows, and random sequences against a slow account of the rules.

import Steering
import Testing

@testable import Health

@Suite("What sinks are told")
struct EventTellerTests {
    private static func pool(_ to: Verdict, from: Verdict = .up, _ name: String = "p") -> Event {
        let kind: Event.Kind =
            switch to {
            case .up, .unknown: .poolUp
            case .degraded: .poolDegraded
            case .drained: .poolDrained
            case .down: .poolDown
            }
        return Event(kind, .pool(name), from: from, to: to, reason: "r", time: EventTests.time)
    }

    /// What is told in the seconds 0 to `end`, as `12 pool_down`, a repetition as `12 pool_down+1`.
    private func told(
        _ rules: TellingRules, _ events: [(second: Int, event: Event)], until end: Int = 1_000,
        clock: (Int) -> Timestamp = { _ in EventTests.time }
    ) -> [String] {
        var teller = EventTeller(rules)
        var told: [String] = []
        for second in 0...end {
            for entry in events where entry.second == second {
                teller.take(entry.event, at: .seconds(second))
            }
            let (tellings, next) = teller.advance(to: .seconds(second), time: clock(second))
            #expect(next.map { $0 > .zero } ?? true)
            told += tellings.map {
                "\(second) \($0.event.kind.rawValue)"
                    + ($0.repetition > 0 ? "+\($0.repetition)" : "")
            }
        }
        return told
    }

    private func rules(
        delay: Int = 0, repetition: Int? = nil, kinds: Set<Event.Kind> = TellingRules.usualKinds
    ) -> TellingRules {
        TellingRules(
            kinds: kinds, delay: .seconds(delay), repetition: repetition.map { .seconds($0) })
    }

    @Test("without a delay all is told at once, and once")
    func atOnce() {
        let events = [
            (5, Self.pool(.down)), (9, Self.pool(.up, from: .down)), (20, Self.pool(.down)),
        ]
        #expect(told(rules(), events) == ["5 pool_down", "9 pool_up", "20 pool_down"])
    }

    @Test("what recovers within the delay is not told, nor is its recovery")
    func recovered() {
        let events = [(5, Self.pool(.down)), (34, Self.pool(.up, from: .down))]
        #expect(told(rules(delay: 30), events) == [])
        let late = [(5, Self.pool(.down)), (36, Self.pool(.up, from: .down))]
        #expect(told(rules(delay: 30), late) == ["35 pool_down", "66 pool_up"])
    }

    @Test(
        "trouble that changes its kind within the delay is told when it has lasted, as what it is by then"
    )
    func changing() {
        let kinds = TellingRules.usualKinds.union([.poolDegraded])
        let events = [
            (0, Self.pool(.degraded)), (20, Self.pool(.down, from: .degraded)),
            (25, Self.pool(.degraded, from: .down)), (28, Self.pool(.down, from: .degraded)),
        ]
        #expect(told(rules(delay: 30, kinds: kinds), events) == ["30 pool_down"])
    }

    @Test("a recovery is told to those alone who heard of the trouble")
    func heard() {
        let quiet = [
            (0, Self.pool(.degraded)), (10, Self.pool(.up, from: .degraded)),
            (20, Self.pool(.drained)), (30, Self.pool(.up, from: .drained)),
        ]
        #expect(told(rules(), quiet) == [])
        let through = [
            (0, Self.pool(.down)), (10, Self.pool(.degraded, from: .down)),
            (20, Self.pool(.up, from: .degraded)),
        ]
        #expect(told(rules(), through) == ["0 pool_down", "20 pool_up"])
    }

    @Test("the recovery of what an earlier process told is told")
    func restarted() {
        #expect(told(rules(), [(3, Self.pool(.up, from: .down))]) == ["3 pool_up"])
        #expect(told(rules(), [(3, Self.pool(.up, from: .degraded))]) == [])
        #expect(told(rules(), [(3, Self.pool(.up, from: .unknown))]) == [])
        #expect(told(rules(), [(3, Self.pool(.down, from: .unknown))]) == ["3 pool_down"])
    }

    @Test("what lasts is told again, until it is over")
    func repeated() {
        let events = [(10, Self.pool(.down)), (250, Self.pool(.up, from: .down))]
        #expect(
            told(rules(delay: 5, repetition: 100), events) == [
                "15 pool_down", "115 pool_down+1", "215 pool_down+2", "255 pool_up",
            ])
    }

    @Test("in a muted time nothing is told; what holds at its end is told then")
    func muted() throws {
        var rules = rules()
        rules.mutes = [try #require(MutePeriod("23:59-00:02"))]
        // The day ends at second 100.
        let clock = { (second: Int) in
            Timestamp(nanoseconds: (86_300 + Int64(second)) * 1_000_000_000)
        }
        let events = [
            (10, Self.pool(.down, "a")),
            // 40 to 220 is muted.
            (50, Self.pool(.down, "b")), (60, Self.pool(.down, "c")),
            (70, Self.pool(.up, from: .down, "b")), (80, Self.pool(.up, from: .down, "a")),
        ]
        #expect(
            told(rules, events, clock: clock) == ["10 pool_down", "220 pool_down", "220 pool_up"])
    }

    @Test("pools that are not wanted are not told of; what is of no pool is")
    func filtered() {
        var rules = rules()
        rules.pools = [Glob("eu-*"), Glob("tokyo")]
        rules.kinds = Set(Event.Kind.allCases)
        let events = [
            (0, Self.pool(.down, "eu-1")), (1, Self.pool(.down, "us-1")),
            (2, Self.pool(.down, "tokyo")),
            (
                3,
                Event(
                    .originDown, .address(pool: "us-1", origin: "o", address: "a"), from: .up,
                    to: .down,
                    reason: "")
            ),
            (
                4,
                Event(
                    .originDown, .address(pool: "eu-2", origin: "o", address: "a"), from: .up,
                    to: .down,
                    reason: "")
            ),
            (5, Event(.serviceDown, .rule(service: "w", 1), from: .up, to: .down, reason: "")),
            (6, Event(.isolationEntered, .checker, reason: "")),
            (7, Event(.overrideSet, .override("us-1"), to: .down, reason: "")),
            (8, Event(.overrideSet, .override("*/fra-1"), to: .down, reason: "")),
        ]
        #expect(
            told(rules, events) == [
                "0 pool_down", "2 pool_down", "4 origin_down", "5 service_down",
                "6 isolation_entered", "8 override_set",
            ])
    }

    @Test("an override is told, changed, and ended, whatever it says")
    func overrides() {
        let kinds: Set<Event.Kind> = [.overrideSet, .overrideCleared, .overrideExpired]
        let event = { (kind: Event.Kind, from: Verdict?, to: Verdict?) in
            Event(kind, .override("p/*"), from: from, to: to, reason: "")
        }
        let events = [
            (0, event(.overrideSet, nil, .up)), (5, event(.overrideSet, .up, .drained)),
            (9, event(.overrideCleared, .drained, nil)),
        ]
        #expect(
            told(rules(kinds: kinds), events) == [
                "0 override_set", "5 override_set", "9 override_cleared",
            ])
        #expect(
            told(rules(kinds: kinds), [(4, event(.overrideExpired, .down, nil))])
                == ["4 override_expired"])
    }

    @Test("what was told and is not in the files any more is told to be removed, and forgotten")
    func removed() {
        var teller = EventTeller(rules(repetition: 60))
        teller.take(Self.pool(.down, "told"), at: .zero)
        _ = teller.advance(to: .zero, time: EventTests.time)
        teller.take(Self.pool(.degraded, "quiet"), at: .zero)
        _ = teller.advance(to: .zero, time: EventTests.time)
        teller.take(Self.pool(.down, "stays"), at: .seconds(1))
        teller.retain(at: .seconds(2), time: EventTests.time) { $0 == .pool("stays") }
        let (told, _) = teller.advance(to: .seconds(2), time: EventTests.time)
        #expect(told.map(\.event.kind) == [.poolDown, .removed])
        #expect(told.map(\.event.subject) == [.pool("stays"), .pool("told")])
        #expect(teller.subjectCount == 1)
    }

    // MARK: - Random sequences

    @Test(
        "any sequence is told by the rules, and what is well again is forgotten", arguments: 0..<200
    )
    func random(seed: UInt64) {
        var random = Numbers(state: seed)
        let delay = [0, 0, 3, 10][Int(random.next() % 4)]
        let repetition: Int? = random.next() % 2 == 0 ? nil : 20
        let kinds = Set(Event.Kind.allCases.filter { _ in random.next() % 4 > 0 })
        var rules = rules(delay: delay, repetition: repetition, kinds: kinds)
        if random.next() % 3 == 0, let mute = MutePeriod("00:01-00:02") { rules.mutes = [mute] }
        var teller = EventTeller(rules)
        var account = Account(rules: rules)
        var current: [String: Verdict] = [:]
        for second in 0..<400 {
            // Calm in the end, so that all is told that will be.
            if second < 300, random.next() % 3 == 0 {
                let name = ["a", "b"][Int(random.next() % 2)]
                let from = current[name] ?? .up
                let to = [Verdict.up, .degraded, .down, .drained][Int(random.next() % 4)]
                if from != to {
                    current[name] = to
                    let event = Self.pool(to, from: from, name)
                    teller.take(event, at: .seconds(second))
                    account.take(event, second)
                }
            }
            let time = Timestamp(nanoseconds: Int64(second) * 1_000_000_000)
            let told = teller.advance(to: .seconds(second), time: time).tellings
            #expect(
                Set(told)
                    == Set(
                        account.told(
                            second, isMuted: !rules.mutes.isEmpty && (60..<120).contains(second))),
                "second \(second)")
        }
        let troubled = current.values.count { $0 != .up }
        #expect(teller.subjectCount == troubled)
    }

    /// The rules in other words: the whole history, searched each second.
    private struct Account {
        let rules: TellingRules
        private var history: [Event.Subject: [(second: Int, event: Event)]] = [:]
        /// The last change that counted as told.
        private var told: [Event.Subject: (second: Int, event: Event, repetition: Int)] = [:]
        private var heard: Set<Event.Subject> = []

        init(rules: TellingRules) { self.rules = rules }

        mutating func take(_ event: Event, _ second: Int) {
            history[event.subject, default: []].append((second, event))
        }

        mutating func told(_ second: Int, isMuted: Bool) -> [Telling] {
            guard !isMuted else { return [] }
            var all: [Telling] = []
            for (subject, events) in history {
                guard let latest = events.last else { continue }
                let known = told[subject]?.event.condition
                if latest.event.condition != known {
                    // Back to the first of all changes since which nothing was as it was told.
                    let since = events.reversed().prefix { $0.event.condition != known }.last?
                        .second
                    let begin = max(since ?? second, told[subject]?.second ?? 0)
                    guard .seconds(second - begin) >= rules.delay else { continue }
                    told[subject] = (second, latest.event, 0)
                } else if let repetition = rules.repetition, let last = told[subject],
                    known != nil, rules.kinds.contains(last.event.kind),
                    .seconds(second - last.second) >= repetition
                {
                    told[subject] = (second, last.event, last.repetition + 1)
                } else {
                    continue
                }
                guard let now = told[subject], rules.kinds.contains(now.event.kind) else {
                    continue
                }
                if now.event.condition == nil, !heard.contains(subject) { continue }
                if now.event.condition == nil {
                    heard.remove(subject)
                } else {
                    heard.insert(subject)
                }
                all.append(Telling(event: now.event, repetition: now.repetition))
            }
            return all
        }
    }

    private struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}

@Suite("Muted times")
struct MutePeriodTests {
    @Test(
        "a time of the day is read, and nothing else",
        arguments: [
            ("22:00-06:00", true), ("00:00-24:00", true), ("09:30-09:31", true),
            ("06:00-06:00", false), ("24:00-01:00", false), ("1:00-02:00", false),
            ("22:60-06:00", false), ("25:00-06:00", false), ("22:00", false), ("", false),
            ("22:00-06:00-07:00", false), ("-1:00-02:00", false), ("10:00-00:00", false),
        ])
    func read(text: String, isOne: Bool) {
        #expect((MutePeriod(text) != nil) == isOne)
    }

    @Test(
        "it lasts until its end, over midnight and before 1970 as well",
        arguments: [
            ("22:00-06:00", 21, nil), ("22:00-06:00", 22, 8), ("22:00-06:00", 23, 7),
            ("22:00-06:00", 0, 6), ("22:00-06:00", 5, 1), ("22:00-06:00", 6, nil),
            ("09:00-17:00", 8, nil), ("09:00-17:00", 9, 8), ("09:00-17:00", 16, 1),
            ("09:00-17:00", 17, nil), ("00:00-24:00", 23, 1), ("22:00-06:00", -1, 7),
        ] as [(String, Int, Int?)])
    func rest(text: String, hour: Int, rest: Int?) throws {
        let period = try #require(MutePeriod(text))
        let time = Timestamp(nanoseconds: Int64(hour) * 3_600_000_000_000)
        #expect(period.rest(at: time) == rest.map { .seconds(3_600 * $0) })
    }
}
