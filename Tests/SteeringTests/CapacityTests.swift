// Capacity: where the clients of pools that are down or shedding go, and that nobody topples.

import DNSWire
import Geo
import Settings
import Testing

@testable import Steering

/// Pools of one address each, `KEYS` by name in file order.
private func pools(_ keys: [(name: String, keys: String)]) -> String {
    "monitors: { m: { type: tcp } }\npools:\n"
        + keys.enumerated().map { index, pool in
            "  \(pool.name): { monitor: m, \(pool.keys)origins: { o: { addresses: 192.0.2.\(index + 1) } } }\n"
        }.joined()
}

/// Many /24, each as its first address.
private func prefixes(_ count: Int) -> [String] {
    (0..<count).map { "10.\($0 >> 8).\($0 & 255).1" }
}

extension SteeringState {
    /// How many of these clients each pool gets.
    fileprivate func counts(_ service: String, _ clients: [String]) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for client in clients { counts[try pool(service, client), default: 0] += 1 }
        return counts
    }
}

@Suite("capacity")
struct CapacityTests {
    /// Six sites around the world, each with the clients of one /12 beside it.
    private struct World {
        static let sites = [
            ("frankfurt", "[50.1, 8.7]"), ("virginia", "[39.0, -77.5]"), ("tokyo", "[35.7, 139.7]"),
            ("saopaulo", "[-23.5, -46.6]"), ("sydney", "[-33.9, 151.2]"),
            ("capetown", "[-33.9, 18.4]"),
        ]
        /// /24 prefixes beside each site.
        static let clients = 4_096

        static func steering(_ keys: String) throws -> Steering {
            try makeSteering(
                pools(sites.map { ($0.0, "location: \($0.1), \(keys)") })
                    + "services: { web: { rules: [{ policy: proximity, pools: ["
                    + sites.map(\.0).joined(separator: ", ") + "] }] } }",
                places: sites.enumerated().map {
                    "10.\($0 * 16).0.0/12: { coordinates: \($1.1) }"
                }.joined(separator: "\n"))
        }

        /// What each site gets of all clients, in /24, as `simulate` has it.
        static func simulate(_ keys: String, down: Set<String>) throws -> [Double] {
            let steering = try steering(keys)
            var simulation = Simulation(steering.configuration)
            simulation.run(
                over: try PlaceMap(steering.geography), .ipv4,
                by: .init(makeState(steering, down: down), service: 0), against: nil)
            #expect(simulation.total.weight == Double(6 * clients * 256))
            return simulation.total.byPool.dropLast().map { $0 / 256 }
        }
    }

    @Test(
        "no pool gets more than it bears while the others have room for all, whichever goes",
        arguments: [["tokyo"], ["frankfurt"], ["virginia", "saopaulo"]] as [Set<String>])
    func nobodyTopples(down: Set<String>) throws {
        // What five others have left is enough for one, what four have left for two.
        let capacity = down.count == 1 ? 130 : 160
        let keys = "capacity: \(capacity), load: 100, "
        let bearable = Double(World.clients * capacity / 100)
        // Four standard deviations of a share of all that are displaced.
        let noise = 4 * (Double(down.count * World.clients) * 0.25).squareRoot()
        for (site, clients) in zip(World.sites, try World.simulate(keys, down: down)) {
            if down.contains(site.0) {
                #expect(clients == 0)
            } else {
                #expect(clients < bearable + noise, "\(site.0)")
                #expect(clients >= Double(World.clients))
            }
        }
        // Their neighbours alone would bear it all.
        let without = try World.simulate("", down: down)
        #expect(without.contains { $0 >= Double(2 * World.clients) })
    }

    @Test(
        "with all pools up, and for all clients of others, capacity changes nothing, not the scope")
    func unchanged() throws {
        let plain = makeState(try World.steering(""))
        let steering = try World.steering("capacity: 130, load: 100, ")
        let up = makeState(steering)
        let down = makeState(steering, down: ["tokyo"])
        for client in prefixes(6 * 4_096).enumerated().filter({ $0.offset % 7 == 0 }).map(\.element)
        {
            let decision = try plain.decide("web", client)
            #expect(try up.decide("web", client) == decision)
            guard decision.pool != 2 else { continue }
            #expect(try down.decide("web", client) == decision)
        }
        let displaced = try down.decide("web", "10.32.0.1")
        #expect(displaced.isDisplaced && displaced.scope == 24)
        // Where the next has room for all, nobody's prefix matters.
        let ample = makeState(try World.steering("capacity: 300, load: 100, "), down: ["tokyo"])
        let moved = try ample.decide("web", "10.32.0.1")
        let scope = try plain.decide("web", "10.32.0.1").scope
        #expect(moved.isDisplaced && moved.scope == scope && scope > 0)
    }

    @Test("the next pools get the shares that they have room for, in the order of the rule")
    func shares() throws {
        // Of 100 that are displaced b has room for 30, c for 20, d for 40; a little is left for e.
        let state = makeState(
            try makeSteering(
                pools([
                    ("a", "load: 100, "), ("b", "capacity: 60, load: 30, "),
                    ("c", "capacity: 120, load: 100, "), ("d", "capacity: 80, "),
                    ("e", "load: 10, "),
                ]) + "services: { s: { rules: [{ pools: [a, b, c, d, e] }] } }"), down: ["a"])
        let clients = prefixes(40_000)
        let counts = try state.counts("s", clients)
        let expected = ["b": 0.3, "c": 0.2, "d": 0.4, "e": 0.1]
        let statistic = expected.reduce(0.0) { sum, item in
            let expected = item.value * 40_000
            let difference = Double(counts[item.key, default: 0]) - expected
            return sum + difference * difference / expected
        }
        // Chi-square of three degrees of freedom at 0.001.
        #expect(statistic < 16.27, "\(counts)")
        #expect(Set(counts.keys) == Set(expected.keys))
    }

    @Test("a larger capacity draws clients to its pool, from pools behind it, and moves no others")
    func minimalMovement() throws {
        func choices(_ capacity: Int, third: String = "load: 10, ") throws -> [String] {
            let state = makeState(
                try makeSteering(
                    pools([
                        ("a", "load: 100, "), ("b", "capacity: \(capacity), load: 10, "),
                        ("c", third), ("d", "load: 10, "),
                    ]) + "services: { s: { rules: [{ pools: [a, b, c, d] }] } }"), down: ["a"])
            return try prefixes(20_000).map { try state.pool("s", $0) }
        }
        let (small, large) = (try choices(40), try choices(50))
        let moved = zip(small, large).filter { $0 != $1 }
        #expect(moved.allSatisfy { $0 == "c" && $1 == "b" })
        // A tenth of the clients, within four standard deviations.
        #expect(abs(moved.count - 2_000) < 170)
        // Where the next one's threshold moves with it, it takes from those behind: no more than that
        // share once more, and nobody goes back.
        let (few, many) = (
            try choices(40, third: "capacity: 50, load: 10, "),
            try choices(50, third: "capacity: 50, load: 10, ")
        )
        let both = zip(few, many).filter { $0 != $1 }
        #expect(both.allSatisfy { $0 > $1 })
        #expect(both.count < 2 * 2_170, "\(both.count)")
    }

    @Test("where nothing has room, all that are up share by capacity, and keep their clients")
    func overCapacity() throws {
        let steering = try makeSteering(
            pools([
                ("a", "load: 100, "), ("b", "capacity: 10, load: 10, "),
                ("c", "capacity: 30, load: 30, "), ("d", "capacity: 60, load: 60, "),
            ]) + "services: { s: { rules: [{ pools: [a, b, c, d] }] } }")
        let clients = prefixes(20_000)
        let state = makeState(steering, down: ["a"])
        let counts = try state.counts("s", clients)
        for (name, share) in [("b", 0.1), ("c", 0.3), ("d", 0.6)] {
            #expect(abs(Double(counts[name, default: 0]) - share * 20_000) < 280, "\(counts)")
        }
        let fewer = makeState(steering, down: ["a", "c"])
        for client in clients.prefix(2_000) {
            let decision = try state.decide("s", client)
            #expect(decision.reason == .overCapacity && decision.isForced && decision.scope == 24)
            if decision.pool != 2 {
                #expect(try fewer.decide("s", client).pool == decision.pool)
            }
        }
        #expect(try makeState(steering, down: ["a", "b", "c"]).pool("s", "10.0.0.1") == "d")
    }

    @Test("what a pool sheds is spread alike, and who sheds takes no more than its share of others")
    func shed() throws {
        let steering = try makeSteering(
            pools([
                ("a", "shed: 40%, capacity: 200, load: 100, "),
                ("b", "capacity: 60, load: 50, "), ("c", "shed: 50%, capacity: 80, load: 40, "),
                ("d", "load: 10, "),
            ])
                + "services: { s: { rules: [{ pools: [a, b, c, d] }] }, t: { rules: [{ pools: [c, d] }] } }"
        )
        let counts = try makeState(steering).counts("s", prefixes(40_000))
        // Of 100 clients a leaves 40 to others. To b come 40, to c as many, to which it would like 20 of
        // its 40; it has room for all, and takes half of the 30 that b leaves.
        for (name, share) in [("a", 0.6), ("b", 0.1), ("c", 0.15), ("d", 0.15)] {
            #expect(abs(Double(counts[name, default: 0]) - share * 40_000) < 400, "\(counts)")
        }
    }

    @Test("an answer is never empty or from a dead pool while others live, whatever is down")
    func subsets() throws {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"]
        let keys = names.enumerated().map { index, name in
            let stated = [
                "capacity: 12, load: 10, ", "load: 10, ", "capacity: 20, shed: 30%, ",
                "capacity: 10, load: 10, ", "capacity: 1000, ", "shed: 100%, capacity: 30, ",
                "load: 0, ", "capacity: 11, load: 10, ",
            ]
            return (name, stated[index])
        }
        let steering = try makeSteering(
            pools(keys) + """
                services:
                  s: { rules: [{ pools: [a, { service: t }, { service: u }, g, { service: v }] }] }
                  t: { rules: [{ pools: [b, c] }] }
                  u: { rules: [{ policy: hash, pools: [c, d, e] }] }
                  v: { rules: [{ policy: weighted, pools: [f, { service: w }] }] }
                  w: { rules: [{ pools: [h, a] }] }
                """)
        var random = SeededGenerator(31)
        for subset in 0..<1 << names.count {
            let down = Set(names.indices.filter { subset >> $0 & 1 == 1 }.map { names[$0] })
            let state = makeState(steering, down: down)
            for service in ["s", "t", "u", "v", "w"] {
                let decision = try state.decide(
                    service, "10.\(subset).7.1", random: random.next())
                #expect(!decision.ipv4.isEmpty)
                let member = steering.configuration.services.first { $0.name == service }
                let all = steering.configuration.pools(of: try #require(member).rules[0])
                if all.contains(where: { state.pools[$0].isUsable }) {
                    #expect(state.pools[Int(decision.pool)].isUsable, "\(service) without \(down)")
                }
            }
        }
    }

    @Test("who is displaced stays so within services, and comes out of them again")
    func nested() throws {
        let steering = try makeSteering(
            pools([
                ("a", "load: 100, "), ("b", "capacity: 40, load: 10, "),
                ("c", "capacity: 50, load: 10, "), ("d", "load: 10, "),
            ]) + """
                services:
                  s: { rules: [{ pools: [{ service: home }, { service: next }, d] }] }
                  home: { rules: [{ match: { countries: JP }, pools: b }, { pools: a }], fallback: b }
                  next: { rules: [{ pools: [b, c] }] }
                  drawn: { rules: [{ pools: [a, { service: pair }, d] }] }
                  pair: { rules: [{ policy: hash, pools: [b, c] }] }
                  outer: { rules: [{ policy: weighted, pools: [{ service: s }, { service: next }] }] }
                """)
        let up = makeState(steering)
        let down = makeState(steering, down: ["a"])
        #expect(try up.counts("s", prefixes(100)) == ["a": 100])
        let counts = try down.counts("s", prefixes(20_000))
        for (name, share) in [("b", 0.3), ("c", 0.4), ("d", 0.3)] {
            #expect(abs(Double(counts[name, default: 0]) - share * 20_000) < 280, "\(counts)")
        }
        // By itself, "next" has clients of its own: nobody is displaced.
        #expect(try down.counts("next", prefixes(100)) == ["b": 100])
        // Half of them draw b, which takes 30 of 100; half c, which takes 40.
        let drawn = try down.counts("drawn", prefixes(20_000))
        for (name, share) in [("b", 0.15), ("c", 0.2), ("d", 0.65)] {
            #expect(abs(Double(drawn[name, default: 0]) - share * 20_000) < 280, "\(drawn)")
        }
        // A draw's answers have one scope, whichever it is; while nobody is displaced, no prefix.
        for random in [0, UInt64.max] {
            #expect(try up.decide("outer", "10.1.1.1", random: random).scope == 0)
            #expect(try down.decide("outer", "10.1.1.1", random: random).scope == 24)
        }
    }

    @Test("a pool that several services of a rule have is asked for a client once")
    func visitedAgain() throws {
        let steering = try makeSteering(
            pools([
                ("eu", "load: 100, "), ("us", "capacity: 110, load: 100, "),
                ("asia", "capacity: 110, load: 100, "), ("last", "capacity: 60, load: 40, "),
                ("far", "load: 10, "),
            ]) + """
                services:
                  web: { rules: [{ pools: [{ service: e }, { service: u }, { service: a }, far] }] }
                  e: { rules: [{ pools: [eu, last] }] }
                  u: { rules: [{ policy: hash, pools: [{ service: v }, { service: w }] }] }
                  v: { rules: [{ pools: [us, last] }] }
                  w: { rules: [{ pools: [us, last] }] }
                  a: { rules: [{ pools: [asia, last] }] }
                """)
        #expect(steering.revisited == [3: 0])
        let counts = try makeState(steering, down: ["eu"]).counts("web", prefixes(20_000))
        for (name, share) in [("last", 0.2), ("us", 0.1), ("asia", 0.1), ("far", 0.6)] {
            #expect(abs(Double(counts[name, default: 0]) - share * 20_000) < 280, "\(counts)")
        }
    }

    @Test("no pool gets more than its capacity of those that it has room for", arguments: 0..<16)
    func bounds(seed: Int) throws {
        var random = SeededGenerator(UInt64(seed * 613 + 7))
        let names = ["a", "b", "c", "d", "e", "f"]
        let loads = names.map { _ in Int.random(in: 2...10, using: &random) * 10 }
        let capacities = loads.map { $0 + Int.random(in: 0...8, using: &random) * 10 }
        var text = pools(
            zip(names, zip(loads, capacities)).map {
                ($0, "load: \($1.0), capacity: \($1.1), ")
            })
        text += "services:\n"
        func entries(_ services: [String], first: String? = nil) -> String {
            let others = (names.filter { $0 != first } + services.map { "{ service: \($0) }" })
                .shuffled(using: &random).prefix(Int.random(in: 2...5, using: &random))
            return ((first.map { [$0] } ?? []) + others).joined(separator: ", ")
        }
        var services: [String] = []
        for name in ["s", "t", "u"] {
            let policy = ["failover", "failover", "hash"].randomElement(using: &random)!
            text += "  \(name): { rules: [{ policy: \(policy), pools: [\(entries(services))] }] }\n"
            services.append(name)
        }
        // The clients of each pool are those of one /14.
        let rules = names.enumerated().map { index, name in
            "{ match: { networks: 10.\(index * 4).0.0/14 }, pools: [\(entries(services, first: name))] }"
        }
        text += "  web: { fallback: a, rules: [\(rules.joined(separator: ", "))] }\n"
        let steering = try makeSteering(text)
        let web = try #require(steering.service(named: "web"))
        for _ in 0..<4 {
            let down = Set(names.filter { _ in Int.random(in: 0..<3, using: &random) == 0 })
            let state = makeState(steering, down: down)
            var got = Array(repeating: 0.0, count: names.count)
            for home in names.indices {
                for prefix in 0..<1_024 {
                    let client = IPAddress(ipv4: 10 << 24 | UInt32(home * 1_024 + prefix) << 8)
                    let decision = state.decide(service: web, client: Client(client), random: 0)
                    // Whoever has to be taken by someone is above all capacities.
                    guard !decision.isForced, decision.reason == .ranked else { continue }
                    got[Int(decision.pool)] += Double(loads[home]) / 1_024
                }
            }
            for index in names.indices {
                // Five standard deviations of what 1,024 prefixes of each home can be off by.
                #expect(
                    got[index] <= Double(capacities[index]) + 20,
                    "\(names[index]) of \(capacities) gets \(got) without \(down): \(text)")
            }
        }
    }

    @Test("pools whose clients never come are not reckoned with, nor those that only draw")
    func demand() throws {
        let steering = try makeSteering(
            pools([
                ("a", "load: 100, "), ("b", "load: 50, "), ("c", "capacity: 60, load: 10, "),
                ("d", "load: 1, "),
            ]) + """
                services:
                  s: { rules: [{ pools: [a, b, c] }] }
                  t: { rules: [{ policy: hash, pools: [c, d] }] }
                """)
        func share(_ down: Set<String>) -> Double {
            Double(makeState(steering, down: down).rooms[2].share) / 65_536
        }
        #expect(share([]) == 1)
        #expect(share(["a"]) == 0.5)
        // b is nobody's first.
        #expect(share(["a", "b"]) == 0.5)
        #expect(share(["b", "d"]) == 1)
        #expect(try makeSteering(pools([("a", ""), ("b", "")]) + "services: {}").sets.count == 1)
    }

    @Test("the explanation says what is left, for how many, and who has no room")
    func explained() throws {
        let steering = try makeSteering(
            pools([
                ("a", "load: 100, "), ("b", "capacity: 40, load: 10, "), ("c", "load: 10, "),
            ]) + """
                services:
                  s: { rules: [{ pools: [a, b, c] }] }
                  t: { rules: [{ pools: [{ service: s }, c] }] }
                """)
        let down = makeState(steering, down: ["a"])
        let client = try #require(prefixes(100).first { try down.pool("s", $0) == "c" })
        let explanation = down.explain(service: 0, client: Client(address(client)), random: 0)
        #expect(explanation.candidates.map(\.verdict) == [.down, .overCapacity, .chosen])
        #expect(
            explanation.candidates.map(\.pool?.room)
                == [nil, 0.3, nil].map { $0.map { ($0 * 65_536).rounded(.down) / 65_536 } })
        let lines = explanation.text.split(separator: "\n").map(String.init)
        #expect(
            lines.contains(
                "         b  1/1 up  30 of 40 left, for 30 % of those displaced  has no room for this client's prefix"
            ), "\(lines)")
        #expect(
            explanation.text.contains("number 3 in order; those before are down or have no room"))
        let nested = down.explain(service: 1, client: Client(address(client)), random: 0)
        #expect(
            nested.levels.map { $0.candidates.map(\.verdict) }.last == [
                .down, .overCapacity, .chosen,
            ])
        // A service that is down says which of its pools are.
        let all = makeState(steering, down: ["a", "b", "c"])
        let dead = all.explain(service: 1, client: Client(address(client)), random: 0)
        #expect(dead.candidates[0].downPools.map(\.name) == ["a", "b", "c"])
        #expect(dead.text.contains("down: a 0/1 up, b 0/1 up, c 0/1 up"))
    }
}

@Suite("capacity in pool files")
struct CapacityFileTests {
    @Test("a pool beside one with a capacity has to say what it bears")
    func unstated() {
        let messages = parse(
            pools([("a", "capacity: 10, "), ("b", ""), ("c", "load: 5, ")]) + """
                services:
                  s: { rules: [{ pools: [a, { service: t }] }] }
                  t: { rules: [{ policy: weighted, pools: [b, c] }] }
                """
        ).messages
        #expect(
            messages == [
                "a.yaml:4:3: error: the pool \"b\" states neither a capacity nor a load, but the rule at"
                    + " a.yaml:7:16 has \"a\" with a capacity beside it: what its clients would bring"
                    + " there is not known; add \"load: N\""
            ], "\(messages)")
    }

    @Test(
        "what makes no sense is warned of: a load over the capacity, a capacity that nobody looks at"
    )
    func warnings() {
        let messages = parse(
            pools([("a", "capacity: 10, load: 11, "), ("b", "capacity: 10, ")]) + """
                services:
                  s: { rules: [{ pools: [a] }] }
                  t: { rules: [{ policy: weighted, pools: [b] }] }
                """
        ).messages
        #expect(messages.count == 2, "\(messages)")
        #expect(
            messages[0].contains("a.yaml:3:40: warning: pools.a.load: the pool usually bears more"))
        #expect(messages[1].contains("the capacity of the pool \"b\" is not looked at"))
    }

    @Test("the load is half of the capacity if it is not stated")
    func defaults() throws {
        let configuration = try #require(
            parse(
                pools([
                    ("a", "capacity: 11, "), ("b", "capacity: 9, load: 0, "), ("c", "load: 7, "),
                ])
            ).configuration)
        #expect(configuration.pools.map(\.usualLoad) == [6, 0, 7])
    }
}
