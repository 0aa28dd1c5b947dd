// Degraded and drained: pools that are used after the healthy ones of their rule, and before the dead ones.

import DNSWire
import Testing

@testable import Steering

/// The same verdict for all addresses of each pool or origin that is named; all else is up.
func makeHealth(_ steering: Steering, _ verdicts: [String: Verdict]) -> HealthTable {
    var health = HealthTable(count: steering.addresses.count, verdict: .up)
    for (index, steered) in steering.addresses.enumerated() {
        let pool = steering.configuration.pools[steered.pool]
        let origin = pool.origins[steered.origin].name
        let verdict =
            verdicts[steered.address.description] ?? verdicts["\(pool.name)/\(origin)"]
            ?? verdicts[pool.name]
        if let verdict { health[index] = verdict }
    }
    return health
}

func makeState(
    _ steering: Steering, _ verdicts: [String: Verdict], ramps: RampShares = RampShares()
) -> SteeringState {
    SteeringState(steering, health: makeHealth(steering, verdicts), ramps: ramps)
}

@Suite("degraded pools")
struct TierTests {
    /// Pools `a` to `f` of two origins each, one of which has to be up; `a` is 192.0.1.1 and 192.0.1.2.
    private static func pools(_ keys: [String: String] = [:]) -> String {
        "monitors: { m: { type: tcp } }\npools:\n"
            + ["a", "b", "c", "d", "e", "f"].enumerated().map { index, name in
                "  \(name): { monitor: m, \(keys[name] ?? "")origins: {"
                    + " one: { addresses: 192.0.\(index + 1).1 },"
                    + " two: { addresses: 192.0.\(index + 1).2 } } }\n"
            }.joined()
    }

    @Test(
        "they answer after the healthy ones and before the dead ones, under every policy",
        arguments: ["failover", "proximity", "latency", "weighted", "hash"])
    func order(policy: String) throws {
        let rule = "{ policy: \(policy), pools: [a, b, c, d] }"
        func taken(_ verdicts: [String: Verdict]) throws -> Set<String> {
            let steering = try makeSteering(
                Self.pools() + "services: { s: { fallback: f, rules: [\(rule)] } }")
            let state = makeState(steering, verdicts)
            var random = SeededGenerator(9)
            return Set(
                try (0..<60).map { try state.pool("s", "10.\($0).3.4", random: random.next()) })
        }
        let all = try taken([:])
        #expect(all == (["weighted", "hash"].contains(policy) ? ["a", "b", "c", "d"] : ["a"]))
        #expect(try taken(["a": .degraded, "b": .down, "c": .degraded]) == ["d"])
        #expect(try taken(["a": .down, "b": .degraded, "c": .drained, "d": .down]) == ["b"])
        #expect(try taken(["a": .down, "b": .drained, "c": .down, "d": .unknown]) == ["f"])
        // The fallback is not of the rule: it may be healthy, and yet has to wait.
        #expect(try taken(["a": .down, "b": .down, "c": .down, "d": .degraded]) == ["d"])
    }

    @Test("policy all leaves them out while another is healthy")
    func union() throws {
        let steering = try makeSteering(
            Self.pools()
                + "services: { s: { fallback: f, rules: [{ policy: all, pools: [a, b, c] }] } }")
        let rows: [([String: Verdict], String)] = [
            (["a": .degraded], "192.0.2.1 192.0.2.2 192.0.3.1 192.0.3.2"),
            (["a": .degraded, "b/one": .degraded], "192.0.2.2 192.0.3.1 192.0.3.2"),
            (
                ["a": .degraded, "b": .degraded, "c": .down],
                "192.0.1.1 192.0.1.2 192.0.2.1 192.0.2.2"
            ),
            (["a": .down, "b": .degraded, "c": .drained], "192.0.2.1 192.0.2.2"),
        ]
        for (verdicts, answer) in rows {
            let state = makeState(steering, verdicts)
            #expect(try state.answers("s", "10.0.0.1").joined(separator: " ") == answer)
        }
    }

    @Test(
        "a healthy pool answers with what is up, a degraded one with what is up or degraded",
        arguments: [
            (["main/a": .degraded], "192.0.2.2 192.0.2.3 2001:db8::2"),
            // A family of which nothing is up has what is degraded.
            (
                ["main/a": .degraded, "2001:db8::2": .down],
                "192.0.2.2 192.0.2.3 2001:db8::1"
            ),
            (
                ["main/a": .degraded, "main/b": .down, "spare": .down],
                "192.0.2.1 192.0.2.3 2001:db8::1"
            ),
            (["main/a": .degraded, "main/b": .down], "192.0.2.9 2001:db8::9"),
            // Too few are fit: those that are, and drained before dead ones.
            (["main/a": .drained, "main/b": .down, "spare": .down], "192.0.2.3 2001:db8::1"),
            (
                ["main/a": .drained, "main/b": .down, "main/c": .down, "spare": .down],
                "192.0.2.1 2001:db8::1"
            ),
        ] as [([String: Verdict], String)])
    func addresses(verdicts: [String: Verdict], answer: String) throws {
        let steering = try makeSteering(
            """
            monitors: { m: {} }
            pools:
              main: { monitor: m, min_healthy: 2, origins: {
                a: { addresses: [192.0.2.1, "2001:db8::1"] },
                b: { addresses: [192.0.2.2, "2001:db8::2"] },
                c: { addresses: [192.0.2.3] } } }
              spare: { monitor: m, origins: { d: { addresses: [192.0.2.9, "2001:db8::9"] } } }
            services: { s: { rules: [{ pools: [main, spare] }] } }
            """)
        let state = makeState(steering, verdicts)
        #expect(try state.answers("s", "10.0.0.1").joined(separator: " ") == answer)
    }

    // MARK: - Over services, sheds, spares and capacities

    private func state(
        _ services: String, _ verdicts: [String: Verdict], keys: [String: String] = [:],
        ramps: RampShares = RampShares()
    ) throws -> SteeringState {
        makeState(
            try makeSteering(Self.pools(keys) + "services:\n" + services), verdicts, ramps: ramps)
    }

    @Test(
        "the tier is that of all that the outcome comes to, over services too",
        arguments: [
            ([:], "a"), (["a": .degraded], "b"),
            // A service that has only degraded pools left gives way to a healthy pool elsewhere.
            (["a": .degraded, "b": .degraded], "c"),
            (["a": .degraded, "b": .degraded, "c": .degraded], "d"),
            (["a": .degraded, "b": .degraded, "c": .down, "d": .degraded], "a"),
            (["a": .down, "b": .degraded, "c": .down, "d": .drained], "b"),
            (["a": .down, "b": .drained, "c": .down, "d": .degraded], "d"),
        ] as [([String: Verdict], String)])
    func nested(verdicts: [String: Verdict], pool: String) throws {
        let state = try state(
            """
              s: { fallback: f, rules: [{ pools: [{ service: t }, { service: u }] }] }
              t: { rules: [{ pools: [a, b] }] }
              u: { rules: [{ policy: hash, pools: [{ service: v }, { pool: d, weight: 0 }] }] }
              v: { rules: [{ policy: weighted, pools: [c] }] }

            """, verdicts)
        #expect(try state.pool("s", "10.0.0.1") == pool)
    }

    @Test("whom a healthy pool leaves to others it takes rather than a degraded one")
    func shed() throws {
        let rule = "  s: { fallback: f, rules: [{ pools: [a, b, c] }] }\n"
        let others: [String: Verdict] = ["b": .degraded, "c": .degraded]
        let shedding = try state(rule, others, keys: ["a": "shed: 100%, "])
        let decision = try shedding.decide("s", "10.0.0.1")
        #expect(try shedding.pool("s", "10.0.0.1") == "a" && decision.isForced)
        let ramping = try state(rule, others, ramps: RampShares([0: 0]))
        #expect(try ramping.pool("s", "10.0.0.1") == "a")
        // Another that is healthy takes them.
        let healthy = try state(rule, ["b": .degraded], keys: ["a": "shed: 100%, "])
        #expect(try healthy.pool("s", "10.0.0.1") == "c")
    }

    @Test(
        "the spare is the next healthy pool; without one, the first that is degraded",
        arguments: ["failover", "hash"])
    func spare(policy: String) throws {
        let rule =
            "  s: { fallback: f, rules: [{ policy: \(policy), spare: true, pools: [a, b, c, d] }] }\n"
        func spares(_ verdicts: [String: Verdict]) throws -> Set<String> {
            let state = try state(rule, verdicts)
            return Set(
                try (0..<40).map { prefix in
                    let decision = try state.decide("s", "10.0.\(prefix).1")
                    let pools = state.steering.configuration.pools
                    return decision.spare < 0 ? "none" : pools[Int(decision.spare)].name
                })
        }
        let isOrdered = policy == "failover"
        #expect(
            try spares(["a": .degraded, "c": .down]) == (isOrdered ? ["d"] : ["b", "d"]))
        #expect(
            try spares(["a": .degraded, "b": .down, "d": .degraded])
                == (isOrdered ? ["a"] : ["a", "d"]))
        #expect(
            try spares(["a": .degraded, "b": .degraded, "c": .down, "d": .down])
                == (isOrdered ? ["b"] : ["a", "b"]))
        #expect(try spares(["a": .down, "b": .drained, "c": .down]) == ["none"])
    }

    @Test("clients of a degraded pool are spread by capacity while others are healthy")
    func capacity() throws {
        let rule = "  s: { fallback: f, rules: [{ pools: [a, b, c] }] }\n"
        let keys = ["a": "load: 100, ", "b": "capacity: 40, load: 10, ", "c": "load: 10, "]
        func counts(_ verdicts: [String: Verdict]) throws -> [String: Int] {
            let state = try state(rule, verdicts, keys: keys)
            var counts: [String: Int] = [:]
            for prefix in 0..<4_000 {
                let client = "10.\(prefix >> 8).\(prefix & 255).1"
                counts[try state.pool("s", client), default: 0] += 1
            }
            return counts
        }
        let spread = try counts(["a": .degraded])
        #expect(Set(spread.keys) == ["b", "c"])
        #expect(abs(spread["b", default: 0] - 1_200) < 150, "\(spread)")
        #expect(try counts(["a": .degraded, "b": .degraded, "c": .degraded]) == ["a": 4_000])
        let degraded = try counts(["a": .down, "b": .degraded, "c": .degraded])
        #expect(Set(degraded.keys) == ["b", "c"])
        #expect(abs(degraded["b", default: 0] - 1_200) < 150, "\(degraded)")
    }

    @Test("a pool that was degraded has its clients back at once; one that was down ramps")
    func ramp() throws {
        let steering = try makeSteering(
            Self.pools(["a": "ramp: 100s, "])
                + "services: { s: { fallback: f, rules: [{ pools: [a, b] }] } }")
        var ramps = Ramps()
        let start = ContinuousClock.now
        func shares(_ verdict: Verdict, at seconds: Int) -> RampShares {
            ramps.update(
                steering, makeHealth(steering, ["a": verdict]), at: start + .seconds(seconds)
            ).shares
        }
        #expect(shares(.up, at: 0) == RampShares())
        #expect(shares(.degraded, at: 10) == RampShares())
        #expect(shares(.up, at: 20) == RampShares())
        #expect(shares(.drained, at: 30) == RampShares())
        #expect(shares(.degraded, at: 40) == RampShares([0: 0]))
        // It goes on where it was.
        #expect(shares(.up, at: 90) == RampShares([0: 0.5]))
        #expect(shares(.up, at: 140) == RampShares())
    }

    // MARK: - When nothing can be used

    @Test(
        "what an operator drained answers before what is dead",
        arguments: [
            ("first", ["b": .drained], "b"), ("first", ["c": .drained], "c"),
            ("first", ["a": .drained, "b": .drained], "a"),
            ("first", [:], "a"), ("first", ["b/two": .up], "b"),
            ("fallback", ["b": .drained, "f": .up], "f"),
            ("fallback", ["b": .drained, "f": .degraded], "f"),
            ("fallback", ["b": .drained, "f": .drained], "f"),
            ("fallback", ["b": .drained], "b"), ("fallback", [:], "f"),
            ("servfail", ["b": .drained], "several"),
        ] as [(String, [String: Verdict], String)])
    func drained(mode: String, verdicts: [String: Verdict], pool: String) throws {
        let keys = Dictionary(
            uniqueKeysWithValues: ["a", "b", "c"].map { ($0, "min_healthy: 2, ") })
        let down: [String: Verdict] = ["a": .down, "b": .down, "c": .down, "f": .down]
        let state = try state(
            """
              s: { when_all_down: \(mode), fallback: f, rules: [{ pools: [a, { service: t }] }] }
              t: { rules: [{ pools: [b, c] }] }

            """, down.merging(verdicts) { $1 }, keys: keys)
        #expect(try state.pool("s", "10.0.0.1") == pool)
        let decision = try state.decide("s", "10.0.0.1")
        let isLastResort =
            pool == "b" || pool == "c"
        #expect((decision.reason == .lastResort) == isLastResort)
    }

    @Test("where all answer together, drained addresses stand in for dead ones")
    func drainedTogether() throws {
        let services = "  s: { when_all_down: all, fallback: f, rules: [{ pools: [a, b] }] }\n"
        let drained = try state(services, ["a": .down, "b/one": .drained, "b/two": .down])
        #expect(try drained.answers("s", "10.0.0.1") == ["192.0.2.1"])
        let down = try state(services, ["a": .down, "b": .down])
        #expect(try down.answers("s", "10.0.0.1").count == 4)
    }

    // MARK: - Spares and draws

    @Test(
        "all draws of a decision have one scope, however far they go for a spare",
        arguments: [
            // Of the first, a draw of b goes on to what hashes, one of a does not.
            "[{ service: drawn }, { pool: b }, { service: hashed }]",
            // Of the second, a draw of a does.
            "[{ pool: a }, { service: drawn }, { service: hashed }]",
        ])
    func drawnSpare(pools: String) throws {
        let state = try state(
            """
              s: { fallback: f, rules: [{ spare: true, pools: \(pools) }] }
              drawn: { rules: [{ policy: weighted, pools: [a, b] }] }
              hashed: { rules: [{ policy: hash, pools: [c, d] }] }

            """, [:])
        let draws = try [0, UInt64.max].map { try state.decide("s", "10.0.0.1", random: $0) }
        #expect(draws[0] != draws[1])
        for draw in draws {
            #expect(draw.scope == 24 && draw.isDrawn && draw.spare >= 0)
        }
    }

    // MARK: - TTL

    private func ttl(
        _ services: String, _ verdicts: [String: Verdict], soon: String
    ) throws -> UInt32? {
        let steering = try makeSteering(Self.pools() + "services:\n" + services)
        var health = makeHealth(steering, verdicts)
        for (index, steered) in steering.addresses.enumerated() {
            let pool = steering.configuration.pools[steered.pool]
            let seconds: UInt32 = pool.name == soon ? 20 : 40
            health.setHorizon(Horizon(probes: 1, seconds: seconds), of: index)
        }
        let state = SteeringState(steering, health: health)
        return state.ttl(of: try state.decide("s", "10.0.0.1"))
    }

    @Test(
        "a decision for a degraded pool lives until any pool of its rule could be healthy",
        arguments: [
            ([:], "c", 40), (["a": .degraded], "a", 20), (["a": .degraded], "c", 40),
            (["a": .degraded, "b": .degraded, "c": .degraded], "c", 20),
            // Drained b answers for as long as the fallback is down.
            (["a": .down, "b": .drained, "c": .down, "f": .down], "f", 20),
        ] as [([String: Verdict], String, UInt32)])
    func horizon(verdicts: [String: Verdict], soon: String, expected: UInt32) throws {
        let services = "  s: { ttl: 10s-60s, fallback: f, rules: [{ pools: [a, b, c] }] }\n"
        #expect(try ttl(services, verdicts, soon: soon) == expected)
    }

    @Test(
        "a spare that is not healthy, and want of one, were looked for in all of the rule",
        arguments: [
            ([:], "c", 40), (["b": .degraded, "c": .down], "c", 20),
            (["b": .down, "c": .degraded], "c", 20), (["b": .down, "c": .down], "c", 20),
        ] as [([String: Verdict], String, UInt32)])
    func spareHorizon(verdicts: [String: Verdict], soon: String, expected: UInt32) throws {
        let services = """
              s: { ttl: 10s-60s, fallback: f, rules: [{ spare: true, pools: [{ service: t }, d] }] }
              t: { rules: [{ pools: [a, b, c] }] }

            """
        let down: [String: Verdict] = soon == "c" && expected == 40 ? [:] : ["d": .down]
        #expect(try ttl(services, verdicts.merging(down) { $1 }, soon: soon) == expected)
    }
}
