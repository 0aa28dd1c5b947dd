import DNSWire
import Steering
import Testing

@testable import Health

/// Random origins, failures and outages of the checker itself, in time that the test turns.
struct IsolationRandomTests {
    /// What a run is about.
    private struct World {
        let checker = ScriptedChecker()
        var targets: [ProbeTarget] = []
        var references = 0
        var random: Random
        /// Which addresses are dead for real, and whether the checker is cut off.
        var dead: Set<IPAddress> = []
        var isCutOff = false

        init(seed: UInt64) throws {
            random = Random(seed: seed)
            references = Int.random(in: 0...2, using: &random)
            let monitors = try (0..<3).map { number in
                try checker.monitor(
                    "m\(number)",
                    "interval: \([2, 5, 10].randomElement(using: &random) ?? 5)s, timeout: 1s,"
                        + " fall: \(Int.random(in: 1...3, using: &random)),"
                        + " rise: \(Int.random(in: 1...3, using: &random))")
            }
            var number = 0
            for pool in 0..<Int.random(in: 3...6, using: &random) {
                let asking = Array(
                    monitors.shuffled(using: &random)
                        .prefix(Int.random(in: 1...2, using: &random)))
                for origin in 0..<Int.random(in: 2...4, using: &random) {
                    for _ in 0..<Int.random(in: 1...2, using: &random) {
                        number += 1
                        var target = scriptedTarget(
                            number, pool: "p\(pool)", asking,
                            needed: Int.random(in: 1...asking.count, using: &random))
                        target.origin = "o\(origin)"
                        targets.append(target)
                    }
                }
            }
        }

        var settings: IsolationSettings {
            var settings = IsolationSettings()
            settings.references = (0..<references).map {
                IsolationSettings.Reference(
                    address: IPAddress(ipv4: 0xC633_6401), port: 443 + $0)
            }
            return settings
        }

        /// The longest after which every monitor has asked everybody.
        var round: Duration {
            targets.flatMap(\.monitors).map { $0.interval + $0.timeout }.max() ?? .zero
        }

        func act() {
            for target in targets {
                let fails = isCutOff || dead.contains(target.address)
                checker.script["\(target.address)"] =
                    fails ? (target.id % 2 == 0 ? .fail : .stall) : .pass
            }
            checker.script["198.51.100.1"] = isCutOff ? .stall : .pass
        }

        /// Origins of which an address is up in the table, or those that are dead as a whole.
        func origins(where fits: (ProbeTarget) -> Bool, all: Bool = false) -> Int {
            Dictionary(grouping: targets) { "\($0.pool)/\($0.origin)" }.values.count {
                all ? $0.allSatisfy(fits) : $0.contains(where: fits)
            }
        }
    }

    private static let step = Duration.milliseconds(500)

    @Test(
        "nothing that is published in a freeze contradicts the table before it, and every freeze ends",
        arguments: 1...40)
    func freezes(seed: UInt64) throws {
        var world = try World(seed: seed)
        let checker = world.checker
        checker.replace(world.targets, isolation: world.settings)
        // What was published, and when an address was last seen to be all right by script, step by step.
        var history: [(time: Duration, table: [String: Verdict])] = []
        var frozen: (since: Duration, table: [String: Verdict])?
        var frozenFor = Duration.zero
        var freezes = 0
        for _ in 0..<600 {
            if Int.random(in: 0..<60, using: &world.random) == 0 { world.isCutOff.toggle() }
            if Int.random(in: 0..<40, using: &world.random) == 0,
                let address = world.targets.randomElement(using: &world.random)?.address,
                world.dead.remove(address) == nil
            {
                world.dead.insert(address)
            }
            world.act()
            checker.advance(Self.step)
            let table = checker.standings
            if let frozen, checker.isFrozen, checker.state.frozenSince == frozen.since {
                #expect(table == frozen.table)
                frozenFor += Self.step
            } else if let since = checker.state.frozenSince {
                freezes += 1
                frozen = (since, table)
                frozenFor = .zero
                // Each verdict is one that the table had since the failures began, and who was used then
                // and has not fallen by what failed before still is.
                let recent = history.filter { $0.time >= since - Self.step }.map(\.table)
                for (key, verdict) in table where recent.first?[key] != nil {
                    #expect(recent.contains { $0[key] == verdict }, "\(key) \(verdict)")
                }
            } else {
                frozen = nil
                // Nothing is held back.
                #expect(checker.state.states().allSatisfy { !$0.isHeldBack })
            }
            if world.references == 0 {
                #expect(frozenFor <= Isolation.longestWithoutReferences + Self.step)
            }
            history.append((checker.state.uptime, table))
            history = history.suffix(100)
        }
        #expect(checker.isFrozen == checker.state.isolationState.isFrozen)
        world.isCutOff = false
        world.dead = []
        world.act()
        checker.advance(world.round * 5)
        #expect(!checker.isFrozen && Set(checker.standings.values) == [.up])
        #expect(checker.state.isolation.failing == 0)
        #expect(freezes > 0 || checker.notices.isEmpty)
    }

    @Test(
        "as long as no more than the share fails, nothing is ever held back or late",
        arguments: 1...30)
    func ordinary(seed: UInt64) throws {
        var world = try World(seed: seed)
        let checker = world.checker
        checker.replace(world.targets, isolation: world.settings)
        let all = world.origins { _ in true }
        var deadSince: [String: Duration] = [:]
        for _ in 0..<400 {
            if Int.random(in: 0..<4, using: &world.random) == 0,
                let address = world.targets.randomElement(using: &world.random)?.address
            {
                let before = world.dead
                if world.dead.remove(address) == nil { world.dead.insert(address) }
                // No more than the share of those that are up, whichever are seen to be.
                let dead = world.dead
                let failing = world.origins(where: { dead.contains($0.address) }, all: true)
                if failing * 200 > all * IsolationSettings.usualPercent { world.dead = before }
            }
            world.act()
            checker.advance(Self.step)
            #expect(!checker.isFrozen)
            for target in world.targets {
                guard world.dead.contains(target.address) else {
                    deadSince[target.key] = nil
                    continue
                }
                let since = deadSince[target.key] ?? checker.state.uptime - Self.step
                deadSince[target.key] = since
                let longest = target.monitors.compactMap(\.detectionTime).max() ?? .zero
                if checker.state.uptime - since > longest + Self.step {
                    #expect(checker.standings[target.key] == .down)
                }
            }
        }
        #expect(checker.notices.isEmpty)
    }

    @Test(
        "a checker that was cut off for less than the limit publishes no failure of it",
        arguments: 1...20)
    func cutOff(seed: UInt64) throws {
        var world = try World(seed: seed)
        let checker = world.checker
        checker.replace(world.targets, isolation: world.settings)
        checker.advance(.seconds(30))
        for _ in 0..<4 {
            world.isCutOff = true
            world.act()
            checker.advance(world.round)
            #expect(checker.isFrozen)
            let down = checker.standings.values.filter { $0 == .down }
            #expect(down.isEmpty)
            checker.advance(.seconds(Int.random(in: 1...200, using: &world.random)))
            world.isCutOff = false
            world.act()
            let fallen = checker.transitions.count { $0.to == .down }
            checker.advance(world.round * 2)
            #expect(!checker.isFrozen && Set(checker.standings.values) == [.up])
            #expect(checker.transitions.count { $0.to == .down } == fallen)
        }
    }
}
