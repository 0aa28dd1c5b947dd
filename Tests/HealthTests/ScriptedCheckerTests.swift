import DNSWire
import Steering
import Testing

@testable import Health

/// When a checker does what, to the millisecond: in time that the test turns.
struct ScriptedCheckerTests {
    @Test(
        "an origin that dies is down within fall x interval + timeout, and back within rise x interval",
        arguments: [Behaviour.fail, .stall], 1...20)
    func timing(death: Behaviour, number: Int) throws {
        let checker = ScriptedChecker()
        let monitor = try checker.monitor("web", "interval: 10s, timeout: 2s, fall: 3, rise: 2")
        checker.replace([scriptedTarget(number, pool: "p", [monitor])])
        let key = "p/o\(number)/192.0.2.\(number)"
        // It dies at any moment of its rhythm.
        checker.advance(.seconds(60) + .milliseconds(487) * number)
        checker.script["192.0.2.\(number)"] = death
        let died = checker.state.uptime
        while checker.standings[key] == .up, checker.state.uptime - died < .seconds(60) {
            checker.advance(.milliseconds(10))
        }
        // Two intervals, with jitter, lie between the first and the last of three.
        let down = checker.state.uptime - died
        #expect(try down <= #require(monitor.detectionTime) && down > .seconds(18))
        checker.script["192.0.2.\(number)"] = .pass
        let returned = checker.state.uptime
        while checker.standings[key] == .down, checker.state.uptime - returned < .seconds(60) {
            checker.advance(.milliseconds(10))
        }
        #expect(checker.state.uptime - returned <= .seconds(20) + .milliseconds(10))
        checker.advance(Checker.publishDelay)
        #expect(checker.transitions.map(\.to) == [.up, .down, .up])
    }

    @Test("until the new targets are known, flips of the old ones are published in the old table")
    func replacingMeanwhile() throws {
        let checker = ScriptedChecker()
        let monitor = try checker.monitor("web", "interval: 10s, timeout: 2s, fall: 1")
        let slow = try checker.monitor("slow", "interval: 1m, timeout: 20s")
        checker.replace([scriptedTarget(1, pool: "p", [monitor])])
        checker.script["192.0.2.1"] = .fail
        checker.script["192.0.2.2"] = .stall
        checker.replace([
            scriptedTarget(2, pool: "p", [slow]), scriptedTarget(1, pool: "p", [monitor]),
        ])
        checker.advance(.seconds(15))
        #expect(checker.updates.map(\.table.verdicts) == [[.up], [.down]])
        checker.advance(.seconds(10))
        #expect(checker.updates.map(\.table.verdicts) == [[.up], [.down], [.down, .down]])
        #expect(
            checker.transitions.map(\.key) == [
                "p/o1/192.0.2.1", "p/o1/192.0.2.1", "p/o2/192.0.2.2",
            ])
    }

    @Test(
        "a first round ends after half a minute, and who is late is unknown until it has its turn")
    func firstRound() throws {
        let checker = ScriptedChecker()
        let slow = try checker.monitor("slow", "interval: 1m, timeout: 20s")
        for number in 1...4 { checker.script["192.0.2.\(number)"] = .stall }
        checker.state.concurrency = 1...1
        checker.replace((1...4).map { scriptedTarget($0, pool: "p", [slow]) })
        checker.advance(.seconds(29))
        #expect(checker.updates.isEmpty)
        checker.advance(.seconds(2))
        #expect(checker.updates.map(\.table.verdicts) == [[.down, .unknown, .unknown, .unknown]])
        checker.advance(.seconds(60))
        #expect(Set(checker.standings.values) == [.down])
    }
}
