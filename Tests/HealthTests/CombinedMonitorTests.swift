import DNSWire
import Steering
import Testing

@testable import Health

/// One address under several monitors, in a checker whose time the test turns.
struct CombinedMonitorTests {
    private let address = "192.0.2.1"

    private func told(_ checker: ScriptedChecker) -> [String] {
        checker.transitions.map { "\($0.from) \($0.to) \($0.reason)" }
    }

    @Test("all monitors have to have an address up, and the reason names those that have not")
    func all() throws {
        let checker = ScriptedChecker()
        let monitors = try ["web", "ping"].map { try checker.monitor($0) }
        checker.replace([scriptedTarget(1, pool: "p", monitors)])
        #expect(
            told(checker) == [
                "unknown up web: status 200; ping: status 200; 2 of 2 monitors up, 2 needed"
            ])
        checker.script["\(address) web"] = .fail
        checker.advance(.seconds(35))
        let flip = try #require(checker.transitions.last)
        #expect(
            flip.reason == "web: connect: connection refused; 1 of 2 monitors up, 2 needed")
        #expect(
            [flip.key, flip.pool, flip.origin, "\(flip.address)"] == [
                "p/o1/192.0.2.1", "p", "o1", "192.0.2.1",
            ])
        #expect(flip.monitors == ["web"] && flip.step == .connect && flip.from == .up)
        #expect(checker.updates.last?.table[0] == .down)
        let state = try #require(checker.state.states().first)
        #expect(state.monitors.map(\.health.verdict) == [.down, .up])
        #expect(state.standing.since == state.monitors[0].health.since && !state.isHeldBack)
        #expect(state.monitors.allSatisfy { $0.nextProbe != nil })
    }

    @Test("any monitor that has an address up keeps it up, and then the last one takes it down")
    func any() throws {
        let checker = ScriptedChecker()
        let monitors = try ["web", "ping"].map { try checker.monitor($0) }
        checker.replace([scriptedTarget(1, pool: "p", monitors, needed: 1)])
        checker.script["\(address) web"] = .fail
        checker.advance(.seconds(35))
        #expect(checker.standings.values.map(\.self) == [.up])
        checker.script["\(address) ping"] = .stall
        checker.advance(.seconds(35))
        #expect(checker.standings.values.map(\.self) == [.down])
        #expect(
            checker.transitions.last?.reason
                == "web: connect: connection refused; "
                + "ping: connect: timeout after 2s while connecting; 0 of 2 monitors up, 1 needed")
    }

    @Test("a monitor that a reload adds is heard before it counts, the others keep their rhythm")
    func adding() throws {
        let checker = ScriptedChecker()
        let web = try checker.monitor("web")
        checker.replace([scriptedTarget(1, pool: "p", [web])])
        checker.advance(.seconds(60))
        let asked = checker.script.asked("\(address) web")
        let health = checker.state.states()[0].monitors[0].health
        // It cannot be probed: nothing new is known, and nothing old forgotten.
        checker.script["\(address) ping"] = .inconclusive
        checker.replace([scriptedTarget(1, pool: "p", [web, try checker.monitor("ping")])])
        #expect(checker.script.asked("\(address) ping") == 1)
        #expect(checker.script.asked("\(address) web") == asked)
        #expect(checker.state.states()[0].monitors[0].health == health)
        #expect(checker.updates.last?.table.verdicts == [.up])
        checker.script["\(address) ping"] = .fail
        checker.advance(.seconds(11))
        #expect(checker.standings.values.map(\.self) == [.down])
    }

    @Test("an edited monitor keeps verdict, since and history, and its counts start anew")
    func editing() throws {
        let checker = ScriptedChecker()
        checker.replace([
            scriptedTarget(1, pool: "p", [try checker.monitor("web", "interval: 10s, fall: 3")])
        ])
        checker.script["192.0.2.1"] = .fail
        checker.advance(.seconds(20))
        let before = checker.state.states()[0]
        #expect(before.monitors[0].health.contradictions == 2)
        checker.replace([
            scriptedTarget(1, pool: "p", [try checker.monitor("web", "interval: 9s, fall: 2")])
        ])
        let after = checker.state.states()[0]
        #expect(after.standing == before.standing)
        #expect(after.monitors[0].health.history == before.monitors[0].health.history)
        #expect(after.monitors[0].health.since == before.monitors[0].health.since)
        // It was asked at once: that is the first of two.
        #expect(after.monitors[0].health.contradictions == 1)
        checker.advance(.seconds(9))
        #expect(checker.standings.values.map(\.self) == [.down])
        #expect(checker.transitions.count == 2)
    }

    @Test("what an earlier process knew is in force at once, whoever stalls")
    func remembering() throws {
        let checker = ScriptedChecker()
        let monitors = [try checker.monitor("web"), try checker.monitor("ping")]
        let targets = (1...2).map { scriptedTarget($0, pool: "p", monitors) }
        checker.replace(targets)
        checker.script["192.0.2.2 web"] = .fail
        checker.advance(.seconds(35))
        let states = checker.state.states()
        #expect(states.map(\.standing.verdict) == [.up, .down])
        let memory = Dictionary(
            states.flatMap { $0.monitors.map { ($0.memoryKey, $0.health) } }
        ) { first, _ in first }
        #expect(memory.keys.sorted().first == "p/o1/192.0.2.1 ping")

        let restarted = ScriptedChecker()
        restarted.script["192.0.2.1"] = .stall
        restarted.script["192.0.2.2"] = .stall
        restarted.state.memory = memory
        let again = [try restarted.monitor("web"), try restarted.monitor("ping")]
        restarted.replace((1...2).map { scriptedTarget($0, pool: "p", again) })
        #expect(restarted.updates.map(\.table.verdicts) == [[.up, .down]])
        #expect(
            restarted.state.states().map { $0.monitors.map(\.health.since) }
                == states.map { $0.monitors.map(\.health.since) })
        // And they are asked all the same.
        #expect(restarted.script.asked("192.0.2.1 web") == 1)
    }

    @Test("retries of some wait behind what is due of others")
    func retries() throws {
        let checker = ScriptedChecker()
        let stalling = try checker.monitor("slow", "interval: 8s, timeout: 2s, retries: 3")
        let quick = try checker.monitor("quick", "interval: 10s, timeout: 2s")
        var targets = (1...16).map { scriptedTarget($0, pool: "slow", [stalling]) }
        targets.append(scriptedTarget(17, pool: "quick", [quick]))
        checker.state.concurrency = 4...4
        checker.replace(targets)
        for number in 1...16 { checker.script["192.0.2.\(number)"] = .stall }
        checker.advance(.seconds(20))
        let before = checker.script.asked("192.0.2.17 quick")
        checker.advance(.seconds(60))
        // A try of 2 s of each is before it, and not their rounds of 8 s.
        #expect(checker.script.asked("192.0.2.17 quick") - before >= 5)
        #expect(checker.standings["quick/o17/192.0.2.17"] == .up)
    }
}
