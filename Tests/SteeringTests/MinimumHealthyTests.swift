// `min_healthy`: what files may say, what it comes to, and what explanations say of it.

import DNSWire
import Testing

@testable import Steering

@Suite("the minimum of healthy origins")
struct MinimumHealthyTests {
    /// Five origins, three of which have IPv6.
    private static func file(_ minimum: String) -> String {
        let origins = (1...5).map {
            "o\($0): { addresses: [192.0.2.\($0)\($0 > 3 ? "" : ", \"2001:db8::\($0)\"")] }"
        }
        return """
            monitors: { m: { type: tcp } }
            pools:
              main: { monitor: m, min_healthy: \(minimum), origins: { \(origins.joined(separator: ", ")) } }
              next: { monitor: m, origins: { o: { addresses: [192.0.2.9, "2001:db8::9"] } } }
            services: { s: { rules: [{ pools: [main, next] }] } }
            """
    }

    @Test(
        "a number, a share rounded up, or some of each family",
        arguments: [
            ("2", ["total 2"]), ("5", ["total 5"]), ("50%", ["total 3"]), ("60%", ["total 3"]),
            ("61%", ["total 4"]), ("1%", ["total 1"]), ("100%", ["total 5"]),
            ("{ ipv4: 1, ipv6: 50% }", ["ipv4 1", "ipv6 2"]),
            ("{ ipv6: 3, total: 20% }", ["total 1", "ipv6 3"]),
        ])
    func read(text: String, minimums: [String]) throws {
        let (configuration, messages) = parse(Self.file(text))
        #expect(messages.isEmpty)
        let pool = try #require(configuration?.pools.first)
        #expect(pool.minimumHealthy.map { "\($0.kind) \($0.count)" } == minimums)
    }

    @Test(
        "what could never be met, and what is no whole number, is refused where it stands",
        arguments: [
            (
                "6", 36,
                ": 6 healthy origins are wanted, but the pool has 5; it could never be used"
            ),
            (
                "{ ipv6: 4 }", 44,
                ".ipv6: 4 healthy origins are wanted, but 3 of the pool have IPv6; it could never be"
                    + " used"
            ),
            (
                "0.5", 36,
                ": expected a whole number from 1 to 5, or a share from 1% to 100%, found \"0.5\""
            ),
            (
                "0%", 36,
                ": expected a whole number from 1 to 5, or a share from 1% to 100%, found \"0%\""
            ),
            (
                "101%", 36,
                ": expected a whole number from 1 to 5, or a share from 1% to 100%, found \"101%\""
            ),
            (
                "{ ipv6: -1 }", 44,
                ".ipv6: expected a whole number from 1 to 3, or a share from 1% to 100%, found \"-1\""
            ),
            (
                "[1]", 36,
                ": expected a whole number from 1 to 5, or a share from 1% to 100%, found a list"
            ),
            ("{ ipv8: 1, ipv4: 1 }", 38, ": unknown key \"ipv8\"; did you mean \"ipv4\"?"),
            ("{ ipv4: }", 44, ".ipv4: has no value; give it one, or remove the key"),
            (
                "{}", 36,
                ": states no minimum; write a number or a share, as 2 or 50%, or some of total, ipv4"
                    + " and ipv6"
            ),
        ])
    func refused(text: String, column: Int, message: String) {
        let (configuration, messages) = parse(Self.file(text))
        #expect(configuration == nil)
        #expect(
            messages.contains("a.yaml:3:\(column): error: pools.main.min_healthy\(message)"),
            "\(messages)")
    }

    @Test(
        "a family that nobody has, or nobody knows of, is refused",
        arguments: [
            ("addresses: 192.0.2.1", "no origin of the pool has an IPv6 address"),
            (
                "host: a.example",
                "the pool's origins are host names, whose addresses Rhumb does not know"
            ),
        ])
    func noFamily(origin: String, why: String) {
        let text = "pools: { a: { min_healthy: { ipv6: 1 }, origins: { o: { \(origin) } } } }"
        #expect(
            parse(text).messages == [
                "a.yaml:1:36: error: pools.a.min_healthy.ipv6: \(why); remove this, or it could never"
                    + " be used"
            ])
    }

    @Test(
        "too few of a family take the whole pool out of the answers, for both families",
        arguments: [
            ("1", [], "healthy"), ("3", ["o1", "o2"], "healthy"),
            ("3", ["o1", "o2", "o3"], "down: 2 of 5 origins up, min_healthy wants 3"),
            ("50%", ["o1", "o2", "o3"], "down: 2 of 5 origins up, min_healthy 50% wants 3"),
            ("{ ipv6: 1 }", ["2001:db8::1", "2001:db8::2"], "healthy"),
            (
                "{ ipv6: 1 }", ["2001:db8::1", "2001:db8::2", "2001:db8::3"],
                "down: 0 of 3 origins up by IPv6, min_healthy.ipv6 wants 1"
            ),
            (
                "{ total: 5, ipv6: 60% }", ["2001:db8::1", "2001:db8::2"],
                "down: 1 of 3 origins up by IPv6, min_healthy.ipv6 60% wants 2"
            ),
            // An origin is up by one address, of whichever family, unless a family is asked for.
            ("{ total: 5 }", ["2001:db8::1", "192.0.2.2"], "healthy"),
            (
                "{ ipv4: 100% }", ["192.0.2.2"],
                "down: 4 of 5 origins up by IPv4, min_healthy.ipv4 100% wants 5"
            ),
        ] as [(String, Set<String>, String)])
    func met(minimum: String, down: Set<String>, expected: String) throws {
        let steering = try makeSteering(Self.file(minimum))
        let verdicts = { (verdict: Verdict) in
            Dictionary(
                uniqueKeysWithValues: down.map { ($0.hasPrefix("o") ? "main/\($0)" : $0, verdict) })
        }
        for verdict in [Verdict.down, .drained, .unknown] {
            let state = makeState(steering, verdicts(verdict))
            let pool = state.summarise(0)
            #expect(pool.shortfall.map { "\(pool.tier): \($0)" } ?? pool.tier == expected)
            #expect(try state.pool("s", "10.0.0.1") == (expected == "healthy" ? "main" : "next"))
        }
        // Degraded origins count for a degraded pool, which gives way to a healthy one.
        let state = makeState(steering, verdicts(.degraded))
        #expect(state.summarise(0).tier == (expected == "healthy" ? "healthy" : "degraded"))
        #expect(try state.pool("s", "10.0.0.1") == (expected == "healthy" ? "main" : "next"))
        let both = makeState(steering, verdicts(.degraded).merging(["next": .down]) { $1 })
        #expect(try both.pool("s", "10.0.0.1") == "main")
    }

    // MARK: - Explained

    private func lines(
        _ verdicts: [String: Verdict], minimum: String = "50%",
        change: (inout HealthTable) -> Void = { _ in }
    ) throws -> [String] {
        let steering = try makeSteering(Self.file(minimum))
        var health = makeHealth(steering, verdicts)
        change(&health)
        let explanation = SteeringState(steering, health: health).explain(
            service: 0, client: Client(address("10.0.0.1")), random: 0)
        return explanation.text.split(separator: "\n").map(String.init)
    }

    @Test("an explanation names the rule that took a pool out, and what it counted (L22)")
    func ruleThatFired() throws {
        let degraded: [String: Verdict] = [
            "main/o1": .degraded, "main/o2": .degraded, "main/o3": .down,
        ]
        #expect(
            try lines(degraded).contains(
                "pools    main  2/5 up, 2 degraded  degraded: 2 of 5 origins up and 2 degraded,"
                    + " min_healthy 50% wants 3"))
        #expect(
            try lines(degraded).contains(
                "chosen   next (number 2 in order; those before are degraded)"))
        let down = try lines(["main/o1": .down, "main/o2": .drained, "main/o3": .down])
        #expect(
            down.contains(
                "pools    main  2/5 up, 1 drained  down: 2 of 5 origins up, min_healthy 50% wants 3"
            ), "\(down)")
        let last = try lines(degraded.merging(["next": .down]) { $1 })
        #expect(
            last.contains(
                "chosen   main (first in order; it is degraded, as all are that can be used)"),
            "\(last)")
        let none = try lines(["main": .down, "next": .drained])
        #expect(
            none.contains(
                "chosen   next (all pools are down; the first with an address that may work answers)"
            ), "\(none)")
    }

    @Test("an explanation says that a verdict is an operator's word, and that all are doubted")
    func operatorsWord() throws {
        let said = try lines(["next": .down]) { health in
            health.override(0, with: .drained)
            health.override(1, with: .drained)
            health.isIsolated = true
        }
        #expect(
            said[0]
                == "ISOLATED  the checker doubts its own network, not the origins: all verdicts are"
                + " from before")
        #expect(
            said.contains { $0.hasPrefix("pools     main  4/5 up, 1 drained, 1 by an operator") })
        #expect(
            said.contains { $0.contains("192.0.2.1, 2001:db8::1  drained by an operator") },
            "\(said)")
        #expect(try lines([:]).allSatisfy { !$0.contains("operator") && !$0.contains("ISOLATED") })
    }
}
