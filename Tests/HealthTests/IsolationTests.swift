import DNSWire
import Steering
import Testing

@testable import Health

/// Mass failures, in a checker whose time the test turns: ten origins in five pools, unless a test says
/// otherwise, that are asked every 10 s and are down after three failures.
struct IsolationTests {
    private static let reference = IsolationSettings.Reference(
        address: IPAddress(ipv4: 0xC633_6401), port: 443)

    private func settings(
        _ use: IsolationSettings.Use = .automatic, references: Int = 0
    ) -> IsolationSettings {
        var settings = IsolationSettings()
        settings.use = use
        settings.references = (0..<references).map {
            IsolationSettings.Reference(
                address: Self.reference.address, port: Self.reference.port + $0)
        }
        return settings
    }

    /// - Parameter pools: how many origins each has.
    private func started(
        _ isolation: IsolationSettings, pools: [Int] = [2, 2, 2, 2, 2],
        monitor: String = "interval: 10s, timeout: 2s, fall: 3, rise: 2"
    ) throws -> ScriptedChecker {
        let checker = ScriptedChecker()
        checker.replace(try targets(checker, pools, monitor), isolation: isolation)
        #expect(Set(checker.standings.values) == [.up])
        return checker
    }

    private func targets(
        _ checker: ScriptedChecker, _ pools: [Int], _ settings: String
    ) throws -> [ProbeTarget] {
        let monitor = try checker.monitor("web", settings)
        let names = pools.enumerated().flatMap { Array(repeating: "p\($0)", count: $1) }
        return names.enumerated().map { scriptedTarget($0 + 1, pool: $1, [monitor]) }
    }

    private func set(_ checker: ScriptedChecker, _ numbers: some Sequence<Int>, _ to: Behaviour?) {
        for number in numbers { checker.script["192.0.2.\(number)"] = to }
    }

    @Test("a checker that is cut off keeps the table, says so, and forgets it all when it is back")
    func cutOff() throws {
        let checker = try started(settings())
        let before = checker.state.states().map(\.standing)
        set(checker, 1...10, .fail)
        checker.advance(.seconds(11))
        #expect(checker.isFrozen && checker.state.isolationState.isIsolated)
        #expect(checker.updates.last?.table.isIsolated == true)
        checker.advance(.seconds(120))
        #expect(checker.state.isolationState.failing == 10)
        #expect(checker.state.states().map(\.standing) == before)
        #expect(checker.state.states().allSatisfy { $0.isHeldBack })
        set(checker, 1...10, .pass)
        checker.advance(.seconds(11))
        #expect(!checker.isFrozen && checker.updates.last?.table.isIsolated == false)
        let states = checker.state.states()
        #expect(states.map(\.standing) == before && states.allSatisfy { !$0.isHeldBack })
        // Nothing is left of it with which a single failure later would count for more.
        checker.advance(.seconds(11))
        set(checker, [1], .fail)
        checker.advance(.seconds(20))
        #expect(checker.standings["p0/o1/192.0.2.1"] == .up)
        checker.advance(.seconds(11))
        #expect(checker.standings["p0/o1/192.0.2.1"] == .down)
        #expect(checker.transitions.filter { $0.to == .down }.count == 1)
        #expect(checker.notices.map(\.kind) == [.isolated, .ended])
        #expect(
            checker.notices.first?.description
                == "isolated: 8 of 10 origins that were up fail at once; verdicts stay as they were, "
                + "for 5m at the most: health.references would tell whether it is this machine")
    }

    @Test("what fell already is as it was before, as if nothing had failed")
    func rollingBack() throws {
        let checker = try started(settings(), monitor: "interval: 10s, timeout: 2s, fall: 1")
        let before = checker.state.states().map(\.standing)
        set(checker, 1...10, .fail)
        checker.advance(.seconds(11))
        #expect(checker.state.states().map(\.standing) == before)
        #expect(checker.updates.last?.table.verdicts == Array(repeating: .up, count: 10))
        let fallen = checker.transitions.filter { $0.to == .down }
        let raised = checker.transitions.filter { $0.from == .down }
        #expect(fallen.count == 7 && Set(raised.map(\.key)) == Set(fallen.map(\.key)))
        #expect(
            raised.allSatisfy {
                $0.reason == "8 of 10 origins that were up fail at once: as it was before"
            })
    }

    @Test("without references the verdicts apply after five minutes, and it says so")
    func timeLimit() throws {
        let checker = try started(settings())
        set(checker, 1...10, .fail)
        checker.advance(.seconds(299))
        #expect(Set(checker.standings.values) == [.up])
        checker.advance(.seconds(13))
        #expect(Set(checker.standings.values) == [.down] && !checker.isFrozen)
        #expect(checker.notices.map(\.kind) == [.isolated, .ended])
        #expect(
            checker.notices.last?.description
                == "isolated no longer, after 5m, the longest without references: "
                + "10 of 10 origins that were up fail for good")
        // It does not start over, and who comes back is up by its counts.
        checker.advance(.seconds(60))
        #expect(!checker.isFrozen)
        set(checker, 1...10, .pass)
        checker.advance(.seconds(22))
        #expect(Set(checker.standings.values) == [.up])
    }

    @Test("with a reference that answers the failures are real, and nothing is late")
    func realFailure() throws {
        let checker = ScriptedChecker()
        checker.script["198.51.100.1 444"] = .fail
        checker.replace(
            try targets(checker, [2, 2, 2, 2, 2], "interval: 10s, timeout: 2s"),
            isolation: settings(references: 2))
        set(checker, 1...10, .fail)
        // fall x interval + timeout.
        checker.advance(.seconds(32))
        #expect(Set(checker.standings.values) == [.down])
        // The reference that fails is told of when all is well.
        #expect(
            checker.notices.map(\.description) == [
                "the reference 198.51.100.1:444 does not answer: connect: connection refused",
                "8 of 10 origins that were up fail at once, but the reference 198.51.100.1:443 answers:"
                    + " verdicts apply",
            ])
        #expect(!checker.updates.contains { $0.table.isIsolated })
    }

    @Test("while no reference answers the freeze lasts, and ends when one does")
    func references() throws {
        let checker = try started(settings(references: 2))
        set(checker, 1...10, .fail)
        checker.script["198.51.100.1"] = .stall
        checker.advance(.seconds(3_600))
        #expect(Set(checker.standings.values) == [.up] && checker.state.isolationState.isIsolated)
        checker.script["198.51.100.1 444"] = .pass
        checker.advance(.seconds(8))
        #expect(!checker.state.isolationState.isIsolated)
        #expect(
            checker.notices.filter { $0.kind == .isolated }.map(\.description) == [
                "isolated: 10 of 10 origins that were up fail at once; verdicts stay as they were, and no"
                    + " reference answers: 198.51.100.1:443, connect: timeout after 2s while"
                    + " connecting; 198.51.100.1:444, connect: timeout after 2s while connecting"
            ])
        #expect(
            checker.notices.contains {
                $0.kind == .ended
                    && $0.description.hasSuffix(
                        "the reference 198.51.100.1:444 answers again, 10 of 10 origins that were up fail"
                    )
            })
        // All of it still fails: now it counts, from the start.
        #expect(Set(checker.standings.values) == [.up])
        checker.advance(.seconds(32))
        #expect(Set(checker.standings.values) == [.down])
    }

    @Test(
        "the share, the number of origins and of pools decide by default",
        arguments: [
            // Up to 70 %.
            ([2, 2, 2, 2, 2], 7, false), ([2, 2, 2, 2, 2], 8, true),
            // Few origins, or few places: that all of them are dead may well be.
            ([1, 1, 1, 1], 4, false), ([5, 5], 10, false), ([1, 2, 2], 5, true),
            // The death of one place, however many origins it has.
            ([20, 1, 1], 20, false), ([20, 1, 1], 21, true),
        ])
    func defaults(pools: [Int], failing: Int, freezes: Bool) throws {
        let checker = try started(settings(), pools: pools)
        set(checker, 1...failing, .fail)
        checker.advance(.seconds(11))
        #expect(checker.isFrozen == freezes)
        checker.advance(.seconds(21))
        let down = checker.standings.values.filter { $0 == .down }.count
        #expect(down == (freezes ? 0 : failing))
    }

    @Test("a share that is stated counts however few the origins are, and off is off")
    func stated() throws {
        let pair = try started(settings(.above(percent: 50)), pools: [1, 1])
        set(pair, 1...2, .fail)
        pair.advance(.seconds(11))
        #expect(pair.isFrozen)
        let off = try started(settings(.off))
        set(off, 1...10, .fail)
        off.advance(.seconds(32))
        #expect(!off.isFrozen && Set(off.standings.values) == [.down])
    }

    @Test("what somebody else reports is neither counted nor frozen nor taken back")
    func reports() throws {
        let checker = ScriptedChecker()
        let push = try monitor("{type: push, max_age: 1d, stale: keep}")
        let pushed = (11...13).map {
            scriptedTarget($0, pool: "p\($0)", [push.bound(toOrigin: "p\($0)/o\($0)")])
        }
        let probed = try targets(checker, [2, 2, 2, 2, 2], "interval: 10s, timeout: 2s, fall: 1")
        checker.replace(probed + pushed, isolation: settings())
        func report(_ number: Int, isUp: Bool) {
            #expect(
                checker.state.report("p\(number)/o\(number)", isUp: isUp, reason: "release") == 1)
            checker.advance(.seconds(1))
        }
        for number in 11...13 { report(number, isUp: true) }
        report(11, isUp: false)
        set(checker, 1...8, .fail)
        checker.advance(.seconds(11))
        #expect(checker.isFrozen && checker.state.isolationState.origins == 10)
        report(12, isUp: false)
        report(13, isUp: false)
        report(13, isUp: true)
        let standings = checker.standings
        #expect(standings["p11/o11/192.0.2.11"] == .down, "taken back")
        #expect(standings["p12/o12/192.0.2.12"] == .down, "frozen")
        #expect(standings["p13/o13/192.0.2.13"] == .up)
        #expect(standings.count { $0.value == .up } == 11)
    }

    @Test("a pool of thousands that dies alone costs no look at all origins for each of them")
    func manyOfOnePool() {
        var isolation = Isolation()
        let names = (0..<8_000).map { "big/\($0)" } + (0..<2_000).map { "p\($0)/one" }
        let origins = names.map { name in
            (name, (pool: String(name.prefix { $0 != "/" }), interval: Duration.seconds(12)))
        }
        #expect(isolation.replace(settings(), Dictionary(origins) { first, _ in first }) == nil)
        for name in names {
            #expect(isolation.note(name, isUp: true, isFailing: false, at: .zero) == nil)
        }
        let took = ContinuousClock().measure {
            for (number, name) in names.prefix(8_000).enumerated() {
                let now = Duration.milliseconds(number)
                #expect(isolation.note(name, isUp: true, isFailing: true, at: now) == nil)
            }
        }
        #expect(took < .seconds(10))
        #expect(isolation.failing == 8_000 && !isolation.isFrozen)
        // Others with it are another matter, and a part of them is enough.
        var events = names[8_000..<8_010].compactMap {
            isolation.note($0, isUp: true, isFailing: true, at: .milliseconds(8_001))
        }
        #expect(events.isEmpty, "a look may wait for some more,")
        events = names[9_990...].compactMap {
            isolation.note($0, isUp: true, isFailing: false, at: .milliseconds(8_501))
        }
        #expect(events == [.froze(since: .milliseconds(-3_499))], "but not for long")
    }

    @Test("failures that come one by one over time are no mass failure", arguments: [3, 100])
    func gradual(fall: Int) throws {
        let checker = try started(
            settings(), monitor: "interval: 10s, timeout: 2s, fall: \(fall)")
        for number in 1...10 {
            set(checker, [number], .fail)
            checker.advance(.seconds(35))
        }
        #expect(!checker.isFrozen && checker.notices.isEmpty)
        #expect(Set(checker.standings.values) == [fall == 3 ? .down : .up])
    }

    @Test("who has been down for long is none of those that were up")
    func longDead() throws {
        let checker = try started(settings())
        for number in [1, 3, 5, 7, 9] {
            set(checker, [number], .fail)
            checker.advance(.seconds(35))
        }
        set(checker, [2, 4, 6, 8], .fail)
        checker.advance(.seconds(11))
        #expect(checker.isFrozen)
        #expect(checker.state.isolationState.failing == 4)
        #expect(checker.state.isolationState.origins == 5)
    }

    @Test("it is over when less than half of the share still fails, whatever their counts say")
    func recovering() throws {
        let checker = try started(
            settings(), monitor: "interval: 10s, timeout: 2s, fall: 1, rise: 100")
        set(checker, 1...10, .fail)
        checker.advance(.seconds(40))
        // 4 of 10 are not less than 35 %.
        set(checker, 5...10, .pass)
        checker.advance(.seconds(40))
        #expect(checker.isFrozen)
        set(checker, [4], .pass)
        checker.advance(.seconds(11))
        #expect(!checker.isFrozen)
        #expect(
            (4...10).allSatisfy {
                checker.standings["p\(($0 - 1) / 2)/o\($0)/192.0.2.\($0)"] == .up
            })
    }

    @Test("a pass now and then in a freeze does not make its failures count")
    func intermittent() throws {
        let checker = try started(
            settings(), monitor: "interval: 10s, timeout: 2s, fall: 1, rise: 2")
        let before = checker.state.states().map(\.standing)
        set(checker, 1...10, .fail)
        checker.advance(.seconds(40))
        set(checker, [1], .pass)
        checker.advance(.seconds(10))
        set(checker, [1], .fail)
        checker.advance(.seconds(40))
        #expect(checker.isFrozen)
        set(checker, 1...10, .pass)
        checker.advance(.seconds(11))
        #expect(!checker.isFrozen)
        #expect(checker.state.states().map(\.standing) == before)
    }

    @Test("a probe that began in a freeze and fails after it takes nobody down")
    func underWay() throws {
        let checker = try started(
            settings(references: 1), monitor: "interval: 10s, timeout: 9s, fall: 1")
        set(checker, 1...10, .stall)
        checker.script["198.51.100.1"] = .stall
        checker.advance(.seconds(60))
        #expect(checker.state.isolationState.isIsolated)
        set(checker, 1...10, .pass)
        checker.script["198.51.100.1"] = .pass
        while checker.isFrozen { checker.advance(.milliseconds(10)) }
        checker.advance(Checker.publishDelay)
        let told = checker.transitions.count
        checker.advance(.seconds(30))
        #expect(checker.transitions.count == told)
        #expect(Set(checker.standings.values) == [.up] && !checker.isFrozen)
        #expect(checker.notices.map(\.kind) == [.isolated, .ended])
    }

    @Test("a freeze that begins while references are asked for another reason asks them again")
    func askedAlready() throws {
        let checker = ScriptedChecker()
        checker.script["198.51.100.1 444"] = .stall
        checker.replace(
            try targets(checker, [2, 2, 2, 2, 2], "interval: 1s, timeout: 500ms"),
            isolation: settings(references: 2))
        set(checker, 1...10, .fail)
        checker.advance(.milliseconds(1_500))
        #expect(checker.isFrozen)
        checker.advance(.milliseconds(600))
        #expect(!checker.isFrozen && checker.notices.last?.kind == .real)
        checker.advance(.seconds(2))
        #expect(Set(checker.standings.values) == [.down])
    }

    @Test(
        "a reload during a freeze keeps what is held back, and one that switches it off publishes it"
    )
    func reloading() throws {
        let checker = try started(settings())
        set(checker, 1...10, .fail)
        checker.advance(.seconds(40))
        let edited = "interval: 8s, timeout: 2s, fall: 3, rise: 2"
        checker.replace(
            try targets(checker, [2, 2, 2, 2, 2, 1], edited), isolation: settings())
        #expect(checker.isFrozen)
        checker.advance(.seconds(40))
        #expect(checker.standings["p0/o1/192.0.2.1"] == .up)
        // Of a new one something is better known than nothing.
        #expect(checker.standings["p5/o11/192.0.2.11"] == .up)
        checker.replace(
            try targets(checker, [2, 2, 2, 2, 2, 1], edited), isolation: settings(.off))
        checker.advance(.milliseconds(50))
        #expect(checker.standings["p0/o1/192.0.2.1"] == .down && !checker.isFrozen)
        #expect(checker.notices.map(\.kind) == [.isolated, .ended])
    }

    @Test("an origin fails when all of its addresses do, whichever cannot be probed from here")
    func addresses() throws {
        let checker = ScriptedChecker()
        let monitor = try checker.monitor("web")
        var targets: [ProbeTarget] = []
        for number in 1...6 {
            for address in [number, number + 100] {
                var target = scriptedTarget(address, pool: "p\(number)", [monitor])
                target.origin = "o"
                targets.append(target)
            }
        }
        set(checker, [101], .inconclusive)
        checker.replace(targets, isolation: settings())
        set(checker, 1...6, .fail)
        checker.advance(.seconds(32))
        // One family of all of them: no origin is dead, but for the one that has no other.
        #expect(!checker.isFrozen)
        #expect(checker.standings.values.filter { $0 == .down }.count == 6)
        set(checker, 102...106, .fail)
        checker.advance(.seconds(32))
        #expect(checker.isFrozen)
        #expect(checker.standings.values.filter { $0 == .up }.count == 5)
    }
}
