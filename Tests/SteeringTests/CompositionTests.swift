// Services within services, pools that leave clients to others, origins that answer together, and what
// is answered when nothing is left.

import DNSWire
import Foundation
import Geo
import Settings
import Testing

@testable import Steering

@Suite("services within services")
struct CompositionTests {
    @Test("geography outside and weights inside: each region draws among its own pools")
    func weightsInside() throws {
        let steering = try steering(
            worldPools + """
                services:
                  web:
                    rules: [{ policy: proximity, pools: [{ service: east }, { service: west }] }]
                  east: { rules: [{ policy: weighted, pools: [tokyo, { pool: sydney, weight: 3 }] }] }
                  west: { rules: [{ policy: weighted, pools: [frankfurt, virginia] }] }
                """, places: worldPlaces)
        let state = state(steering)
        for (client, pools) in [
            ("203.0.113.1", ["tokyo", "sydney"]), ("198.51.100.1", ["frankfurt", "virginia"]),
        ] {
            var random = SeededGenerator(5)
            var counts: [String: Int] = [:]
            for _ in 0..<4_000 {
                counts[try state.pool("web", client, random: random.next()), default: 0] += 1
            }
            #expect(Set(counts.keys) == Set(pools))
            let share = Double(counts[pools[1]] ?? 0) / 4_000
            #expect(abs(share - (pools[1] == "sydney" ? 0.75 : 0.5)) < 0.03, "\(counts)")
        }
        // A region without a usable pool gives way to the next.
        let down = self.state(steering, ["tokyo", "sydney"])
        #expect(["frankfurt", "virginia"].contains(try down.pool("web", "203.0.113.1")))
        let one = self.state(steering, ["sydney"])
        #expect(try one.pool("web", "203.0.113.1", random: .max) == "tokyo")
    }

    private func state(_ steering: Steering, _ down: Set<String> = []) -> SteeringState {
        makeState(steering, down: down)
    }

    @Test("weights outside and geography inside: a draw decides which map holds")
    func geographyInside() throws {
        let steering = try steering(
            worldPools + """
                services:
                  web: { rules: [{ policy: weighted, pools: [{ service: old, weight: 1 }, { service: new, weight: 1 }] }] }
                  old: { rules: [{ policy: proximity, pools: [frankfurt, virginia] }] }
                  new: { rules: [{ match: { countries: [JP] }, pools: tokyo }, { policy: proximity, pools: [frankfurt, sydney] }] }
                """, places: worldPlaces)
        let state = state(steering)
        #expect(try state.pool("web", "203.0.113.1", random: 0) == "frankfurt")
        #expect(try state.pool("web", "203.0.113.1", random: .max) == "tokyo")
        #expect(try state.pool("web", "203.0.113.130", random: .max) == "sydney")
        #expect(try state.pool("web", "198.51.100.130", random: 0) == "virginia")
        // What any of them looks at is in the scope.
        for client in ["203.0.113.1", "203.0.113.130", "198.51.100.1", "10.2.3.4"] {
            let scope = try state.decide("web", client).scope
            #expect(try state.decide("web", client, random: .max).scope == scope)
            #expect(scope > 0)
        }
    }

    @Test(
        "a nested service without a matching rule is passed over, and so are its faults in the chain"
    )
    func noMatchInside() throws {
        let steering = try steering(
            worldPools + """
                services:
                  web: { rules: [{ pools: [{ service: japan }, sydney] }], fallback: capetown }
                  japan: { rules: [{ match: { countries: JP }, pools: [tokyo] }], fallback: frankfurt }
                """, places: worldPlaces)
        let state = state(steering)
        #expect(try state.pool("web", "203.0.113.1") == "tokyo")
        #expect(try state.pool("web", "198.51.100.1") == "sydney")
        #expect(try state.pool("japan", "198.51.100.1") == "frankfurt")
        #expect(try self.state(steering, ["tokyo"]).pool("web", "203.0.113.1") == "sydney")
        let none = self.state(steering, ["tokyo", "sydney"])
        #expect(try none.pool("web", "203.0.113.1") == "capetown")
        #expect(try none.decide("web", "198.51.100.1").reason == .fallback)
    }

    @Test("services may name services four deep, and not five")
    func depth() throws {
        func chain(_ count: Int) -> String {
            let links = (0..<count).map {
                "  s\($0): { rules: [{ pools: [{ service: s\($0 + 1) }] }] }\n"
            }
            return worldPools + "services:\n" + links.joined()
                + "  s\(count): { rules: [{ pools: [tokyo] }] }\n"
        }
        #expect(try state(steering(chain(4))).pool("s0", "192.0.2.1") == "tokyo")
        #expect(parse(chain(5)).messages.contains { $0.contains("over more than 4 others") })
        #expect(parse(chain(4_000)).messages.contains { $0.contains("over more than 4 others") })
    }

    @Test("services that lead back to themselves are refused, and no others")
    func circles() throws {
        var random = SeededGenerator(18)
        var refused = 0
        for _ in 0..<200 {
            // Few enough that none is too deep without a circle.
            let names = (0..<Int.random(in: 1...5, using: &random)).map { "s\($0)" }
            let links = names.map { _ in names.filter { _ in random.next() >> 62 == 0 } }
            let text = zip(names, links).map { name, links in
                let entries = links.map { "{ service: \($0) }, " }.joined()
                return "  \(name): { rules: [{ pools: [\(entries)tokyo] }] }\n"
            }.joined()
            // Whatever can be left out for ever leads to none that is left.
            var left = Set(names)
            while let end = left.first(where: { name in
                links[names.firstIndex(of: name) ?? 0].allSatisfy { !left.contains($0) }
            }) { left.remove(end) }
            let (configuration, messages) = parse(worldPools + "services:\n" + text)
            let isCircle = messages.contains { $0.contains("leads back to itself") }
            #expect(isCircle == !left.isEmpty, "\(text)")
            #expect((configuration == nil) == isCircle, "\(messages)")
            if isCircle { refused += 1 }
        }
        #expect((50..<150).contains(refused), "both kinds have been tried")
    }

    @Test("rules that multiply over services are refused")
    func explosion() {
        let rules = (0..<100).map {
            "{ match: { networks: 10.0.\($0).0/24 }, pools: [{ service: NEXT }, tokyo] }"
        }.joined(separator: ", ")
        let text =
            worldPools + "services:\n"
            + (0..<3).map {
                "  s\($0): { fallback: tokyo, rules: [\(rules.replacing("NEXT", with: "s\($0 + 1)"))] }\n"
            }.joined() + "  s3: { rules: [{ pools: tokyo }] }\n"
        #expect(parse(text).messages.contains { $0.contains("comes to more than 4096 pools") })
    }

    @Test("the explanation follows into the service, with its rules and candidates")
    func explained() throws {
        let state = try state(
            steering(
                worldPools + """
                    services:
                      web: { rules: [{ policy: proximity, pools: [{ service: asia }, frankfurt] }] }
                      asia: { rules: [{ match: { countries: US }, pools: sydney }, { policy: weighted, pools: [tokyo, sydney] }] }
                    """, places: worldPlaces))
        let explanation = state.explain(
            service: try #require(steeringIndex(state, "web")),
            client: Client(address("203.0.113.1")), random: 0)
        #expect(explanation.levels.map(\.service) == ["web", "asia"])
        #expect(explanation.levels[0].candidates.map(\.name) == ["asia", "frankfurt"])
        #expect(explanation.levels[0].candidates.map(\.verdict) == [.chosen, .notNeeded])
        #expect(explanation.levels[1].rules.map(\.mismatch) == ["countries", nil])
        #expect(explanation.levels[1].candidates.map(\.verdict) == [.chosen, .notNeeded])
        #expect(explanation.levels[1].candidates.map(\.share) == [0.5, 0.5])
        #expect(explanation.pool?.name == "tokyo")
        #expect(explanation.text.contains("service  asia\n"))
    }

    private func steeringIndex(_ state: SteeringState, _ name: String) -> Int? {
        state.steering.service(named: name)
    }
}

@Suite("hash")
struct HashTests {
    private static let names = ["a", "b", "c", "d", "e"]

    /// Pools of one address each.
    private func steering(_ weights: [String: Int]) throws -> Steering {
        let pools = Self.names.enumerated().map {
            "  \($1): { origins: { o: { addresses: 192.0.2.\($0 + 1) } } }\n"
        }
        let entries = weights.sorted { $0.key < $1.key }.map {
            "{ pool: \($0.key), weight: \($0.value) }"
        }
        return try makeSteering(
            "pools:\n\(pools.joined())services: { s: { rules: [{ policy: hash, pools: ["
                + entries.joined(separator: ", ") + "] }] } }")
    }

    /// What each of many /24 gets.
    private func choices(_ state: SteeringState, count: Int = 20_000) throws -> [String] {
        try (0..<count).map { number in
            try state.pool("s", "\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255).7")
        }
    }

    @Test(
        "prefixes are shared out by weight",
        arguments: [
            (["a": 1, "b": 1], 10.8), (["a": 3, "b": 1, "c": 6], 13.8),
            (["a": 5, "b": 3, "c": 2, "d": 7], 16.3), (["a": 65_535, "b": 1, "c": 65_535], 13.8),
        ] as [([String: Int], Double)])
    func weights(weights: [String: Int], limit: Double) throws {
        let counts = Dictionary(grouping: try choices(state(steering(weights)))) { $0 }
            .mapValues(\.count)
        let total = Double(weights.values.reduce(0, +))
        let statistic = weights.reduce(0.0) { sum, item in
            let expected = 20_000 * Double(item.value) / total
            let difference = Double(counts[item.key] ?? 0) - expected
            return sum + difference * difference / expected
        }
        #expect(statistic < limit, "\(counts)")
    }

    @Test("a pool that goes moves its own clients only, and they spread by weight")
    func removal() throws {
        let steering = try steering(["a": 1, "b": 1, "c": 2])
        let before = try choices(state(steering))
        let after = try choices(state(steering, down: ["c"]))
        var moved: [String: Int] = [:]
        for (old, new) in zip(before, after) {
            #expect(old == "c" || old == new)
            if old == "c" { moved[new, default: 0] += 1 }
        }
        #expect(Set(moved.keys) == ["a", "b"])
        #expect(abs(moved["a", default: 0] - moved["b", default: 0]) < 400, "\(moved)")
    }

    @Test(
        "a heavier weight draws clients to its pool and moves no others")
    func minimalMovement() throws {
        let light = try choices(state(steering(["a": 1, "b": 1, "c": 1])))
        let heavy = try choices(state(steering(["a": 1, "b": 2, "c": 1])))
        for (old, new) in zip(light, heavy) { #expect(old == new || new == "b") }
        #expect(light != heavy)
    }

    @Test("all addresses of a /24 or /56 get the same, with that scope, and their neighbours not")
    func scope() throws {
        let state = try state(steering(["a": 1, "b": 1]))
        #expect(try state.decide("s", "192.0.2.99").scope == 24)
        #expect(try state.decide("s", "2001:db8::1").scope == 56)
        for number in 0..<200 {
            let pool = try state.pool("s", "10.0.\(number).0")
            #expect(try state.pool("s", "10.0.\(number).255") == pool)
            let wide = try state.pool("s", "2001:db8:0:\(String(number, radix: 16))00::")
            #expect(
                try state.pool("s", "2001:db8:0:\(String(number, radix: 16))ff:ffff::1") == wide)
        }
        let first = try (0..<200).map { try state.pool("s", "10.0.\($0).0") }
        #expect(Set(first).count == 2)
        // With nothing to choose among, the prefix does not matter.
        #expect(try self.state(steering(["a": 1])).decide("s", "192.0.2.99").scope == 0)
    }

    private func state(_ steering: Steering, down: Set<String> = []) -> SteeringState {
        makeState(steering, down: down)
    }

    @Test("origins of a pool are kept by prefix, and A and AAAA agree")
    func origins() throws {
        let steering = try makeSteering(
            """
            pools:
              p:
                policy: hash
                origins:
                  one: { addresses: [192.0.2.1, "2001:db8::1"] }
                  two: { addresses: [192.0.2.2, "2001:db8::2"] }
                  three: { addresses: [192.0.2.3, "2001:db8::3"], weight: 2 }
            services: { s: { rules: [{ pools: p }] } }
            """)
        let up = state(steering)
        let down = state(steering, down: ["two"])
        var counts: [String: Int] = [:]
        for number in 0..<4_000 {
            let client = "10.\(number >> 8).\(number & 255).9"
            let answers = try up.answers("s", client, random: UInt64(number))
            #expect(answers.count == 2)
            #expect(answers[0].last == answers[1].last)
            #expect(try up.answers("s", client, random: 99) == answers)
            #expect(try up.decide("s", client).scope == 24)
            counts[answers[0], default: 0] += 1
            let without = try down.answers("s", client)
            #expect(answers[0] == "192.0.2.2" || without == answers)
        }
        #expect(abs(counts["192.0.2.3", default: 0] - 2_000) < 130, "\(counts)")
        #expect(abs(counts["192.0.2.1", default: 0] - 1_000) < 120, "\(counts)")
    }

    @Test("the logarithm is right to a part in a hundred thousand, and its ends hold")
    func logarithm() {
        let table = LogarithmTable()
        var random = SeededGenerator(11)
        for bits in [1, .max, 1 << 63, 1 << 32, 3] + (0..<1_000).map({ _ in random.next() }) {
            let exact = -log2(Double(bits) / 0x1p64)
            let value = Double(table.negativeLogarithm(bits)) / Double(1 << 24)
            #expect(abs(value - exact) < 1e-5, "\(bits)")
        }
    }
}

@Suite("several addresses")
struct AnswersTests {
    private let pools = """
        pools:
          p:
            answers: 2
            origins:
              one: { addresses: [192.0.2.1, "2001:db8::1"], weight: 4 }
              two: { addresses: [192.0.2.2, "2001:db8::2"], weight: 2 }
              three: { addresses: [192.0.2.3, "2001:db8::3"], weight: 2 }
          q: { origins: { far: { addresses: [192.0.2.9, "2001:db8::9"] } } }
          r: { origins: { farther: { addresses: [192.0.2.10, "2001:db8::10"] } } }

        """

    @Test("an answer has as many origins as asked for, none twice, the first drawn by weight")
    func answers() throws {
        let state = try state(makeSteering(pools + "services: { s: { rules: [{ pools: p }] } }"))
        var first: [String: Int] = [:]
        var random = SeededGenerator(17)
        for _ in 0..<8_000 {
            let answers = try state.answers("s", "10.0.0.1", random: random.next())
            #expect(answers.count == 4 && Set(answers).count == 4)
            #expect(answers[0].last == answers[2].last && answers[1].last == answers[3].last)
            first[answers[0], default: 0] += 1
        }
        #expect(abs(first["192.0.2.1", default: 0] - 4_000) < 180, "\(first)")
        #expect(abs(first["192.0.2.2", default: 0] - 2_000) < 160, "\(first)")
        let one = makeState(state.steering, down: ["one", "two"])
        #expect(try one.answers("s", "10.0.0.1") == ["192.0.2.3", "2001:db8::3"])
    }

    @Test("a spare is one address of the next usable pool, behind the pool's own")
    func spare() throws {
        let steering = try makeSteering(
            pools + "services: { s: { rules: [{ spare: true, pools: [p, q, r] }] } }")
        let state = state(steering)
        for random in [0, UInt64.max, 77] {
            let decision = try state.decide("s", "10.0.0.1", random: random)
            let answers = state.addresses(decision).map(\.description)
            #expect(answers.count == 6)
            #expect(answers[2] == "192.0.2.9" && answers[5] == "2001:db8::9")
            #expect(decision.spare == 1 && decision.pool == 0)
        }
        let noQ = makeState(steering, down: ["q"])
        #expect(try noQ.answers("s", "10.0.0.1").contains("192.0.2.10"))
        let onlyR = makeState(steering, down: ["p", "q"])
        #expect(try onlyR.answers("s", "10.0.0.1") == ["192.0.2.10", "2001:db8::10"])
        #expect(
            state.explain(service: 0, client: Client(address("10.0.0.1")), random: 0).candidates
                .map(\.verdict) == [.chosen, .spare, .notNeeded])
    }

    @Test("under hash the spare is the pool that would take over")
    func hashedSpare() throws {
        let steering = try makeSteering(
            pools + "services: { s: { rules: [{ policy: hash, spare: true, pools: [p, q, r] }] } }")
        let state = state(steering)
        for number in 0..<100 {
            let client = "10.0.\(number).1"
            let decision = try state.decide("s", client)
            let name = steering.configuration.pools[Int(decision.pool)].name
            let next = try makeState(steering, down: [name]).decide("s", client)
            #expect(next.pool == decision.spare)
        }
    }
}

@Suite("pools that leave clients to others")
struct ShedTests {
    @Test("a share of the prefixes goes to the next pool, the same ones always, with their scope")
    func shed() throws {
        let text = { (shed: Int) in
            """
            pools:
              a: { shed: \(shed)%, origins: { o: { addresses: 192.0.2.1 } } }
              b: { origins: { o: { addresses: 192.0.2.2 } } }
            services: { s: { rules: [{ pools: [a, b] }] } }
            """
        }
        func gone(_ shed: Int, down: Set<String> = []) throws -> Set<Int> {
            let state = makeState(try makeSteering(text(shed)), down: down)
            var gone: Set<Int> = []
            for number in 0..<4_000 {
                let client = "10.\(number >> 8).\(number & 255).1"
                let decision = try state.decide("s", client)
                #expect(decision.scope == (shed == 0 || down.contains("a") ? 0 : 24))
                if decision.pool == 1 { gone.insert(number) }
            }
            return gone
        }
        #expect(try gone(0).isEmpty)
        let some = try gone(20)
        #expect(abs(some.count - 800) < 110)
        #expect(try gone(50).isSuperset(of: some), "more shed moves more, and none back")
        #expect(try gone(100).count == 4_000)
        #expect(try gone(20, down: ["a"]).count == 4_000)
        #expect(try gone(20, down: ["b"]).isEmpty, "the last one takes all")
    }

    @Test("the explanation says that a pool left this client to others")
    func explained() throws {
        let state = try state(
            makeSteering(
                """
                pools:
                  a: { shed: 100, origins: { o: { addresses: 192.0.2.1 } } }
                  b: { origins: { o: { addresses: 192.0.2.2 } } }
                services: { s: { rules: [{ pools: [a, b] }] } }
                """))
        let explanation = state.explain(
            service: 0, client: Client(address("10.0.0.1")), random: 0)
        #expect(explanation.candidates.map(\.verdict) == [.shed, .chosen])
        #expect(explanation.text.contains("leaves 100 % of clients to others"))
    }
}

@Suite("all pools down")
struct AllDownTests {
    private func state(_ mode: String, down: Set<String>, fallback: String = "capetown") throws
        -> SteeringState
    {
        makeState(
            try makeSteering(
                worldPools + """
                    services:
                      s:
                        when_all_down: \(mode)
                        fallback: \(fallback)
                        rules:
                          - { match: { countries: BR }, pools: [saopaulo] }
                          - { match: { continents: [EU, AS] }, policy: proximity, pools: [frankfurt, tokyo] }
                    """, places: worldPlaces), down: down)
    }

    private let japan = "203.0.113.1"

    @Test("the fallback answers, whatever its health")
    func fallback() throws {
        let down: Set = ["frankfurt", "tokyo"]
        #expect(try state("fallback", down: down).pool("s", japan) == "capetown")
        let all = try state("fallback", down: down.union(["capetown"])).decide("s", japan)
        #expect(all.reason == .everythingDown)
    }

    @Test("the first pool of the client's own order answers")
    func first() throws {
        let state = try state("first", down: ["frankfurt", "tokyo"])
        let decision = try state.decide("s", japan)
        #expect(decision.reason == .firstOfDown)
        #expect(try state.pool("s", japan) == "tokyo")
        #expect(try state.pool("s", "198.51.100.1") == "frankfurt")
        #expect(try state.pool("s", "198.51.100.130") == "saopaulo", "others are not concerned")
    }

    @Test("all pools of the rule answer together")
    func all() throws {
        let state = try state("all", down: ["frankfurt", "tokyo"])
        let decision = try state.decide("s", japan)
        #expect(decision.reason == .allDown && decision.pool == -1)
        #expect(state.addresses(decision).count == 8)
        #expect(try self.state("all", down: ["tokyo"]).pool("s", japan) == "frankfurt")
    }

    @Test("an error is answered, and only then")
    func servfail() throws {
        let down = try state("servfail", down: ["frankfurt", "tokyo"]).decide("s", japan)
        #expect(down.reason == .failure && down.ipv4.isEmpty && down.ipv6.isEmpty)
        #expect(try state("servfail", down: ["tokyo"]).pool("s", japan) == "frankfurt")
        // Nobody's rule: the fallback, or an error if that is down as well.
        #expect(try state("servfail", down: ["tokyo"]).pool("s", "10.2.0.1") == "capetown")
        #expect(
            try state("servfail", down: ["capetown"]).decide("s", "10.2.0.1").reason == .failure)
    }
}

@Suite("client subnets")
struct ClientSubnetTests {
    @Test("a service that ignores subnets goes by the resolver, the same for all of its clients")
    func ignored() throws {
        let text = { (ecs: String) in
            worldPools
                + "services: { s: { ecs: \(ecs), rules: [{ policy: proximity, pools: [frankfurt, tokyo] }] } }"
        }
        let client = Client(
            address("203.0.113.0"), knownBits: 24, resolver: address("198.51.100.1"))
        let used = makeState(
            try makeSteering(text("use"), places: worldPlaces), down: [])
        let ignored = makeState(
            try makeSteering(text("ignore"), places: worldPlaces), down: [])
        let here = used.decide(service: 0, client: client, random: 0)
        #expect(here.pool == 2 && here.scope > 0 && !here.wentByResolver)
        let there = ignored.decide(service: 0, client: client, random: 0)
        #expect(there.pool == 0 && there.scope == 0 && there.wentByResolver)
        let explanation = ignored.explain(service: 0, client: client, random: 0)
        #expect(explanation.located.location?.city == "London")
        #expect(explanation.text.contains("203.0.113.0/24, gone by its resolver 198.51.100.1"))
        #expect(explanation.text.contains("the service ignores subnets"))
        // Without a subnet there is nothing to ignore.
        let alone = ignored.decide(service: 0, client: Client(address("203.0.113.0")), random: 0)
        #expect(alone.pool == 2 && !alone.wentByResolver)
    }
}

@Suite("draws are independent")
struct IndependenceTests {
    @Test(
        "of each other: pools, services and origins, by weight and by prefix, whatever their names")
    func draws() throws {
        let weighted = try makeState(
            makeSteering(
                """
                pools:
                  a: { origins: { a: { addresses: 192.0.2.1, weight: 1 }, b: { addresses: 192.0.2.2, weight: 1 } } }
                  b: { origins: { a: { addresses: 192.0.2.3, weight: 1 }, b: { addresses: 192.0.2.4, weight: 1 } } }
                services:
                  web: { rules: [{ policy: weighted, pools: [{ service: a }, { service: b }] }] }
                  a: { rules: [{ policy: weighted, pools: [a, b] }] }
                  b: { rules: [{ policy: weighted, pools: [a, b] }] }
                """))
        let hashed = try makeState(
            makeSteering(
                """
                pools:
                  a: { policy: hash, origins: { a: { addresses: 192.0.2.1 }, b: { addresses: 192.0.2.2 } } }
                  b: { policy: hash, origins: { a: { addresses: 192.0.2.3 }, b: { addresses: 192.0.2.4 } } }
                services:
                  web: { rules: [{ policy: hash, pools: [a, b] }] }
                """))
        var random = SeededGenerator(3)
        for state in [weighted, hashed] {
            var counts: [String: Int] = [:]
            for number in 0..<8_000 {
                let client = "10.\(number >> 8).\(number & 255).1"
                counts[try state.answers("web", client, random: random.next())[0], default: 0] += 1
            }
            // Four standard deviations of 2,000.
            #expect(
                counts.count == 4 && counts.values.allSatisfy { abs($0 - 2_000) < 160 }, "\(counts)"
            )
        }
    }

    @Test("of what a pool leaves to others: those spread as the others' own clients do")
    func shed() throws {
        let state = try makeState(
            makeSteering(
                """
                pools:
                  a: { shed: 50%, origins: { o: { addresses: 192.0.2.1 } } }
                  b: { origins: { o: { addresses: 192.0.2.2 } } }
                  c: { policy: hash, origins: { a: { addresses: 192.0.2.3 }, b: { addresses: 192.0.2.4 } } }
                services:
                  web: { rules: [{ pools: [a, { service: h }] }] }
                  h: { rules: [{ policy: hash, pools: [b, c] }] }
                """))
        var counts: [String: Int] = [:]
        for number in 0..<8_000 {
            let client = "10.\(number >> 8).\(number & 255).1"
            counts[try state.answers("web", client)[0], default: 0] += 1
        }
        for (address, expected) in [("1", 4_000), ("2", 2_000), ("3", 1_000), ("4", 1_000)] {
            #expect(abs(counts["192.0.2.\(address)", default: 0] - expected) < 180, "\(counts)")
        }
    }
}

@Suite("what a review found")
struct SheddingThroughServicesTests {
    @Test(
        "a pool that leaves all its clients to others does so from within a service, and as a spare"
    )
    func drained() throws {
        let state = try makeState(
            makeSteering(
                """
                pools:
                  a: { origins: { o: { addresses: 192.0.2.1 } } }
                  b: { shed: 100%, origins: { o: { addresses: 192.0.2.2 } } }
                  c: { origins: { x: { addresses: 192.0.2.3 }, y: { addresses: 192.0.2.4 } } }
                services:
                  nested: { rules: [{ pools: [{ service: inner }, c] }] }
                  inner: { rules: [{ pools: [b] }] }
                  spare: { rules: [{ spare: true, pools: [a, b, c] }] }
                  twin: { rules: [{ spare: true, pools: [a, b, c] }] }
                """))
        #expect(try state.pool("nested", "10.0.0.1") == "c")
        #expect(try state.pool("inner", "10.0.0.1") == "b", "nobody else is there")
        var spares: Set<String> = []
        for random in 0..<64 {
            let answers = try state.answers("spare", "10.0.0.1", random: UInt64(random) << 58)
            #expect(answers.count == 2 && answers[0] == "192.0.2.1")
            spares.insert(answers[1])
        }
        #expect(spares == ["192.0.2.3", "192.0.2.4"], "any address of the spare pool")
        // Services of equal rules share what is compiled, not their places in the file.
        let twin = state.explain(
            service: try #require(state.steering.service(named: "twin")),
            client: Client(address("10.0.0.1")), random: 0)
        #expect(twin.levels[0].service == "twin")
        #expect(twin.rules[0].position.line == twin.servicePosition.line)
    }

    @Test("pools of a rule with a spare have no address in common")
    func commonAddress() {
        let messages = parse(
            """
            pools:
              a: { origins: { o: { addresses: 192.0.2.1 } } }
              b: { origins: { o: { addresses: 192.0.2.1 } } }
            services: { s: { rules: [{ spare: true, pools: [a, b] }] } }
            """
        ).messages
        #expect(messages.count == 1 && messages[0].contains("both have 192.0.2.1"), "\(messages)")
    }

    @Test("a service named as a pool is told how it is named")
    func scalar() {
        let messages = parse(
            """
            pools: { p: { origins: { o: { addresses: 192.0.2.1 } } } }
            services: { a: { rules: [{ pools: p }] }, b: { rules: [{ pools: [a] }] } }
            """
        ).messages
        #expect(messages.count == 1 && messages[0].contains("write { service: a }"), "\(messages)")
    }
}
