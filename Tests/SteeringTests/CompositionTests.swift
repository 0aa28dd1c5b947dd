// Services within services: either may be geography or weights, and nothing comes round.

import DNSWire
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
