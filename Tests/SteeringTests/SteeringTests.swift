// Rules, fallback, health and scope, over geography made of overrides alone.

import DNSWire
import Geo
import Settings
import Testing

@testable import Steering

@Suite("rules")
struct RuleTests {
    @Test("rules that ask for more than a Country database knows are warned of")
    func countryDatabase() throws {
        let text =
            worldPools + """
                services:
                  web:
                    rules:
                      - match: { countries: US, subdivisions: US-CA }
                        pools: [virginia]
                      - match: { countries: US }
                        pools: [virginia]
                      - policy: proximity
                        pools: [frankfurt, virginia, tokyo, saopaulo, sydney, capetown]
                """
        let configuration = try #require(parse(text).configuration)
        for (kind, expected) in [
            (LocationDatabase.Kind.city, []),
            (
                .country,
                [
                    "a.yaml:20:9: warning: this rule matches subdivisions, and a Country database"
                        + " knows none; use a City database (scripts/fetch-geo gets one)",
                    "a.yaml:24:9: warning: policy \"proximity\" needs the clients' coordinates, and"
                        + " a Country database has none: they get the pools in file order; use a"
                        + " City database (scripts/fetch-geo gets one)",
                ]
            ),
        ] as [(LocationDatabase.Kind, [String])] {
            var diagnostics = Diagnostics()
            configuration.warnOfMissingPlaces(in: kind, &diagnostics)
            #expect(diagnostics.sorted.map(\.description) == expected)
        }
    }

    @Test(
        "the first that matches decides",
        arguments: [
            ("10.1.2.3", 0, "frankfurt"),  // networks and country
            ("10.1.200.3", 1, "virginia"),  // outside the network: the country's rule
            ("10.8.0.1", 1, "virginia"),
            ("203.0.113.1", 2, "tokyo"),  // continent
            ("203.0.113.130", -1, "capetown"),  // New Zealand: no rule
            ("192.0.2.1", -1, "capetown"),  // unknown
            ("::ffff:203.0.113.1", 2, "tokyo"),  // located as the IPv4 address it carries
            ("2001:db8:a::1", 3, "sydney"),
        ])
    func firstMatch(client: String, rule: Int, pool: String) throws {
        let steering = try steering(
            worldPools + """
                services:
                  web:
                    rules:
                      - match: { networks: 10.1.0.0/17, subdivisions: US-CA }
                        pools: [frankfurt]
                      - match: { countries: [US, CA] }
                        pools: [virginia]
                      - match: { continents: AS }
                        pools: [tokyo]
                      - match: { networks: ["2001:db8:a::/64", 192.0.2.128/25], countries: [DE] }
                        pools: [sydney]
                      - match: { networks: 192.0.2.0/24, countries: [DE] }
                        pools: [saopaulo]
                    fallback: capetown
                """, places: worldPlaces)
        let decision = try state(steering).decide("web", client)
        #expect(Int(decision.rule) == rule)
        #expect(try state(steering).pool("web", client) == pool)
        #expect((decision.reason == .noRuleMatched) == (rule < 0))
    }

    private static let listed = """
        rules:
              - { match: { countries: US }, pools: [virginia, frankfurt] }
              - { policy: proximity, pools: [frankfurt, tokyo] }
        """

    @Test("equal lists of rules share a tree, whatever their services' fallbacks")
    func sharing() throws {
        let steering = try steering(
            worldPools + """
                services:
                  a:
                    \(Self.listed)
                  b:
                    \(Self.listed)
                    fallback: sydney
                  c:
                    rules: [{ policy: proximity, pools: [tokyo, frankfurt] }]
                  d:
                    rules: [{ pools: [tokyo, frankfurt] }]
                """, places: worldPlaces)
        #expect(steering.treeCount == 2)
        let down = state(steering, down: ["frankfurt", "tokyo", "virginia"])
        #expect(try down.pool("a", "203.0.113.1") == "tokyo")
        #expect(try down.pool("b", "203.0.113.1") == "sydney")
        #expect(try down.decide("b", "203.0.113.1").reason == .fallback)
        #expect(try state(steering).pool("d", "198.51.100.1") == "tokyo")
    }

    @Test("rules over other pools at the same places share a tree, and answer their own pools")
    func sharingByPlace() throws {
        let steering = try steering(
            """
            pools:
              web-east: { location: [39, -77], origins: { o: { addresses: 192.0.2.1 } } }
              web-west: { location: [37, -122], origins: { o: { addresses: 192.0.2.2 } } }
              chat-east: { location: [39, -77], origins: { o: { addresses: 192.0.2.3 } } }
              chat-west: { location: [37, -122], origins: { o: { addresses: 192.0.2.4 } } }
              odd-west: { location: [38, -122], origins: { o: { addresses: 192.0.2.5 } } }
            services:
              web: { rules: [{ policy: proximity, pools: [web-east, web-west] }] }
              chat: { rules: [{ policy: proximity, pools: [chat-east, chat-west] }] }
              turned: { rules: [{ policy: proximity, pools: [chat-west, chat-east] }] }
              odd: { rules: [{ policy: proximity, pools: [chat-east, odd-west] }] }
            """, places: "198.51.100.0/24: { coordinates: [37, -121] }")
        #expect(steering.treeCount == 3)
        let state = state(steering)
        #expect(try state.pool("web", "198.51.100.1") == "web-west")
        #expect(try state.pool("chat", "198.51.100.1") == "chat-west")
        #expect(try state.pool("turned", "198.51.100.1") == "chat-west")
        #expect(try state.pool("odd", "198.51.100.1") == "odd-west")
        // Nobody knows where this one is: file order.
        #expect(try state.pool("chat", "203.0.113.1") == "chat-east")
    }

    @Test("rules that use no place have scope 0 and need no tree")
    func constant() throws {
        let steering = try steering(
            worldPools
                + "services: { s: { rules: [{ policy: weighted, pools: [tokyo, sydney] }] } }",
            places: worldPlaces)
        #expect(steering.treeCount == 0)
        #expect(try state(steering).decide("s", "198.51.100.1").scope == 0)
    }

    @Test("every address in the scope gets the same outcome")
    func scopeIsSound() throws {
        let steering = try steering(
            worldPools + """
                services:
                  web:
                    rules:
                      - { match: { networks: [10.3.3.0/24, "2001:db8:a:9::/64"] }, pools: sydney }
                      - { match: { countries: [CA, BR] }, pools: [virginia, saopaulo] }
                      - { policy: proximity, pools: [frankfurt, tokyo, virginia, sydney] }
                """, places: worldPlaces)
        let state = state(steering, down: ["virginia"])
        var random = SeededGenerator(11)
        let known = worldPlaces.split(separator: "\n").compactMap {
            IPNetwork(String($0.prefix { $0 != " " }.filter { $0 != "\"" }.dropLast()))
        }
        #expect(known.count == 9)
        for _ in 0..<2_000 {
            var client = IPAddress(ipv4: .random(in: 0...(.max), using: &random))
            if Bool.random(using: &random), let network = known.randomElement(using: &random) {
                client = randomAddress(in: network, &random)
            }
            let decision = state.decide(service: 0, client: Client(client), random: 0)
            let scope = try #require(IPNetwork(client, length: Int(decision.scope)))
            for _ in 0..<20 {
                let other = randomAddress(in: scope, &random)
                #expect(state.decide(service: 0, client: Client(other), random: 0) == decision)
            }
        }
    }

    private func randomAddress(
        in network: IPNetwork, _ random: inout SeededGenerator
    ) -> IPAddress {
        var address = IPAddress(
            family: network.address.family, high: random.next(),
            low: network.address.family == .ipv6 ? random.next() : 0)
        if address.family == .ipv4 { address = address.masked(to: 32) }
        let fixed = address.masked(to: network.length)
        address.high = address.high ^ fixed.high | network.address.high
        address.low = address.low ^ fixed.low | network.address.low
        return address
    }
}

@Suite("health")
struct HealthTests {
    private let pool = """
        monitors: { m: {} }
        pools:
          main: { monitor: m, min_healthy: 2, origins: {
            a: { addresses: [192.0.2.1, "2001:db8::1"] },
            b: { addresses: [192.0.2.2, "2001:db8::2"] },
            c: { addresses: [192.0.2.3] } } }
          spare: { monitor: m, origins: { d: { addresses: [192.0.2.9, "2001:db8::9"] } } }
        services: { s: { rules: [{ pools: [main, spare] }] } }
        """

    @Test(
        "answers carry the addresses that are up, and never lack a family",
        arguments: [
            ([], "192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1 2001:db8::2"),
            (["a"], "192.0.2.2 192.0.2.3 2001:db8::2"),
            (["192.0.2.1"], "192.0.2.2 192.0.2.3 2001:db8::1 2001:db8::2"),
            // No IPv6 address of the usable pool is up: all of them, rather than none.
            (
                ["2001:db8::1", "2001:db8::2"],
                "192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1 2001:db8::2"
            ),
            // Fewer healthy origins than the pool's minimum.
            (["a", "b"], "192.0.2.9 2001:db8::9"),
            // Everything is below its minimum: the first pool gives what is up in it.
            (["a", "b", "d"], "192.0.2.3 2001:db8::1 2001:db8::2"),
            (["main", "spare"], "192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1 2001:db8::2"),
        ] as [(Set<String>, String)])
    func answers(down: Set<String>, expected: String) throws {
        let state = state(try steering(pool), down: down)
        #expect(try state.answers("s", "10.0.0.1").joined(separator: " ") == expected)
    }

    @Test(
        "a verdict says what an address is good for",
        arguments: [
            (Verdict.up, true, Fitness.up), (.degraded, true, .degraded), (.down, true, .down),
            (.drained, true, .drained), (.unknown, true, .down), (.unknown, false, .up),
            (.down, false, .down), (.drained, false, .drained),
        ])
    func verdicts(verdict: Verdict, monitored: Bool, expected: Fitness) {
        #expect(verdict.fitness(monitored: monitored) == expected)
    }

    @Test("a pool without a monitor is up before any check")
    func unmonitored() throws {
        let steering = try steering(
            """
            monitors: { m: {} }
            pools:
              checked: { monitor: m, origins: { o: { addresses: 192.0.2.1 } } }
              unchecked: { origins: { o: { addresses: 192.0.2.2 } } }
            services: { s: { rules: [{ pools: [checked, unchecked] }] } }
            """)
        let state = SteeringState(
            steering, health: HealthTable(count: steering.addresses.count))
        #expect(try state.pool("s", "10.0.0.1") == "unchecked")
        #expect(steering.addresses.map(\.monitors) == [["m"], []])
    }

    @Test("the health table indexes addresses in file order")
    func indexes() throws {
        let addresses = try steering(pool).addresses
        #expect(
            addresses.map(\.address.description) == [
                "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3", "192.0.2.9",
                "2001:db8::9",
            ])
        #expect(addresses.map(\.origin) == [0, 0, 1, 1, 2, 0, 0])
        #expect(addresses.map(\.pool) == [0, 0, 0, 0, 0, 1, 1])
    }

    @Test("a weighted pool draws per family among the origins that have it up")
    func weightedFamilies() throws {
        let steering = try steering(
            """
            pools:
              p: { policy: weighted, origins: {
                a: { addresses: [192.0.2.1] },
                b: { addresses: [192.0.2.2, "2001:db8::2"] },
                c: { addresses: [192.0.2.3, "2001:db8::3"], weight: 0 } } }
            services: { s: { rules: [{ pools: p }] } }
            """)
        var random = SeededGenerator(5)
        func seen(_ state: SteeringState) throws -> Set<[String]> {
            Set(
                try (0..<200).map { _ in try state.answers("s", "10.0.0.1", random: random.next()) }
            )
        }
        #expect(
            try seen(state(steering)) == [
                ["192.0.2.1", "2001:db8::2"], ["192.0.2.2", "2001:db8::2"],
            ])
        #expect(try seen(state(steering, down: ["b"])) == [["192.0.2.1", "2001:db8::3"]])
    }

    @Test("an address that several pools have is answered once by policy all")
    func unionOnce() throws {
        let steering = try steering(
            """
            pools:
              a: { origins: { o: { addresses: [192.0.2.1, 192.0.2.2] } } }
              b: { origins: { o: { addresses: [192.0.2.2, 192.0.2.3] } } }
            services: { s: { rules: [{ policy: all, pools: [a, b] }] } }
            """)
        #expect(
            try state(steering).answers("s", "10.0.0.1") == ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        let decision = try state(steering, down: ["a"]).decide("s", "10.0.0.1")
        #expect(decision.reason == .all && decision.pool == -1 && decision.ipv4.count == 2)
    }

    @Test("policy all leaves draining origins out, unless there is nothing else")
    func unionDrains() throws {
        let steering = try steering(
            """
            pools:
              a: { origins: { o: { addresses: 192.0.2.1, weight: 0 }, p: { addresses: 192.0.2.2 } } }
              b: { origins: { q: { addresses: 192.0.2.3 } } }
            services: { s: { rules: [{ policy: all, pools: [a, b] }] } }
            """)
        #expect(try state(steering).answers("s", "10.0.0.1") == ["192.0.2.2", "192.0.2.3"])
        let left = state(steering, down: ["192.0.2.2", "b"])
        #expect(try left.answers("s", "10.0.0.1") == ["192.0.2.1"])
    }

    @Test("a service of one family has no addresses of the other")
    func families() throws {
        let one = try steering(
            "pools: { a: { origins: { o: { addresses: \"2001:db8::1\" } } } }\n"
                + "services: { s: { rules: [{ pools: a }] } }")
        #expect(one.service(named: "t") == nil)
        #expect(try state(one).decide("s", "10.0.0.1").ipv4.isEmpty)
    }
}
