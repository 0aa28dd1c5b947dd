// Who is located: the client by what is disclosed of it, else its resolver, else the default place.

import DNSWire
import Geo
import Testing

@testable import Steering

@Suite("the ladder")
struct LadderTests {
    private static let text =
        worldPools + """
            services:
              near: { rules: [ { policy: proximity, pools: [capetown, frankfurt, virginia, tokyo, saopaulo, sydney] } ] }
              ignoring: { ecs: ignore, rules: [ { policy: proximity, pools: [capetown, frankfurt, tokyo] } ] }
              rules:
                fallback: capetown
                rules:
                  - { match: { networks: [172.16.0.0/12, 8.8.4.0/24] }, pools: sydney }
                  - { match: { countries: [JP] }, pools: tokyo }
                  - { match: { asns: [64500] }, pools: saopaulo }
              networks:
                rules:
                  - { match: { networks: [203.0.113.0/24, 172.16.0.0/12] }, pools: tokyo }
                  - { pools: frankfurt }
              all: { rules: [ { policy: hash, pools: [frankfurt, virginia, tokyo, saopaulo] } ] }
              inner: { fallback: capetown, rules: [ { match: { countries: JP }, policy: hash, pools: [frankfurt, virginia, tokyo, saopaulo] } ] }
              nested: { rules: [ { pools: [ { service: inner }, sydney ] } ] }
            """
    private static let places = """
        203.0.113.0/24: { country: JP, coordinates: [34.69, 135.5] }
        198.51.100.0/24: { country: GB, coordinates: [51.51, -0.13] }
        10.1.0.0/16: { country: US, coordinates: [39, -77] }
        8.0.0.0/16: { country: BR, coordinates: [-22.9, -43.2] }
        11.0.0.0/8: { country: BR, coordinates: [-22.9, -43.2] }
        192.168.77.0/24: { asn: 64500 }
        192.168.78.0/24: { asn: 64501 }
        """
    private static let tokyoResolver = "203.0.113.53"

    private static func state(default place: String? = nil) throws -> SteeringState {
        let (configuration, messages) = parse(text)
        let steering = try Steering(
            try #require(configuration, "\(messages)"),
            geography: geography(places, default: place))
        return makeState(steering)
    }

    private static func client(_ subnet: String, by resolver: String?) -> Client {
        Client(IPNetwork(subnet)!, resolver: resolver.map(address))
    }

    @Test(
        "the first of client, resolver and default that anybody knows is gone by",
        arguments: [
            // Service, client, resolver, pool without and with a default near Virginia, by resolver.
            ("near", "198.51.100.0/24", "203.0.113.53", "frankfurt", "frankfurt", false),
            ("near", "192.168.1.0/24", "203.0.113.53", "tokyo", "tokyo", true),
            ("near", "8.8.8.0/24", "203.0.113.53", "tokyo", "tokyo", true),
            ("near", "fd00::/56", "203.0.113.53", "tokyo", "tokyo", true),
            ("near", "::ffff:192.168.1.0/120", "203.0.113.53", "tokyo", "tokyo", true),
            ("near", "2002:c0a8:100::/40", "203.0.113.53", "tokyo", "tokyo", true),
            ("near", "192.168.1.0/24", "::ffff:203.0.113.53", "tokyo", "tokyo", true),
            ("near", "192.168.1.0/24", "192.168.1.53", "capetown", "virginia", false),
            ("near", "8.8.8.0/24", "8.8.8.8", "capetown", "virginia", false),
            ("near", "8.8.8.8/32", nil, "capetown", "virginia", false),
            ("near", "10.1.2.0/24", "203.0.113.53", "virginia", "virginia", false),
            ("ignoring", "198.51.100.0/24", "203.0.113.53", "tokyo", "tokyo", true),
            ("ignoring", "203.0.113.0/24", "8.8.8.8", "capetown", "frankfurt", true),
            ("rules", "192.168.1.0/24", "203.0.113.53", "tokyo", "tokyo", true),
            // A rule's network counts, the client's first.
            ("rules", "172.16.1.0/24", "203.0.113.53", "sydney", "sydney", false),
            ("rules", "192.168.1.0/24", "172.16.1.1", "sydney", "sydney", true),
            ("rules", "192.168.1.0/24", "8.8.4.4", "sydney", "sydney", true),
            ("rules", "192.168.1.0/24", "198.51.100.53", "capetown", "capetown", true),
            // So does an AS number that a rule asks for, and no other.
            ("rules", "192.168.77.0/24", "203.0.113.53", "saopaulo", "saopaulo", false),
            ("rules", "192.168.78.0/24", "203.0.113.53", "tokyo", "tokyo", true),
            // Where no rule asks for places, an address that is in no list is an answer.
            ("networks", "8.8.8.0/24", "203.0.113.53", "frankfurt", "frankfurt", false),
            ("networks", "192.168.1.0/24", "203.0.113.53", "tokyo", "tokyo", true),
            ("networks", "192.168.1.0/24", "8.8.8.8", "frankfurt", "frankfurt", true),
        ] as [(String, String, String?, String, String, Bool)])
    func rungs(
        service: String, client: String, resolver: String?, without: String, with: String,
        byResolver: Bool
    ) throws {
        for (place, pool) in [(nil, without), ("{ country: US, coordinates: [39, -77] }", with)] {
            let state = try Self.state(default: place)
            let index = try #require(state.steering.service(named: service))
            let decision = state.decide(
                service: index, client: Self.client(client, by: resolver), random: 0)
            let name = state.steering.configuration.pools[Int(decision.pool)].name
            #expect(name == pool, "default \(place ?? "none")")
            #expect(decision.wentByResolver == byResolver)
        }
    }

    @Test("the scope is that of the client's space, as in the example of RFC 7871, section 10")
    func scope() throws {
        let places = """
            203.0.113.0/24: { country: JP, coordinates: [34.69, 135.5] }
            8.0.0.0/7: { country: BR, coordinates: [-22.9, -43.2] }
            11.0.0.0/8: { country: BR, coordinates: [-22.9, -43.2] }
            """
        let state = makeState(try makeSteering(Self.text, places: places))
        let service = try #require(state.steering.service(named: "near"))
        let client = Self.client("10.1.2.0/24", by: Self.tokyoResolver)
        let decision = state.decide(service: service, client: client, random: 0)
        #expect(decision.wentByResolver && decision.scope == 8)
        let mapped = Self.client("::ffff:10.1.2.0/120", by: Self.tokyoResolver)
        #expect(state.decide(service: service, client: mapped, random: 0).scope == 104)
        let text = state.explain(service: service, client: client, random: 0).text
        #expect(
            text.contains(
                "resolver  203.0.113.53 decided: nobody knows where 10.1.2.0/24 is"
                    + " (private space, RFC 1918)"))
        #expect(text.contains("place     JP, AS, at 34.69, 135.50 (203.0.113.0/24, overrides.yaml"))
        #expect(
            text.contains(
                "/8: the same for every client in 10.0.0.0/8 that asks through this resolver"))
    }

    @Test("the prefix that is hashed is the resolver's, where that is gone by")
    func hashing() throws {
        let state = try Self.state()
        let service = try #require(state.steering.service(named: "nested"))
        var pools: Set<Int32> = []
        for last in 0..<64 {
            // Clients of one resolver go together, those of several are spread.
            let resolver = "203.0.113.\(last)"
            let decisions = ["192.168.1.0/24", "192.168.2.0/24"].map {
                state.decide(
                    service: service, client: Self.client($0, by: resolver), random: 0)
            }
            #expect(decisions[0].pool == decisions[1].pool && decisions[0].scope < 24)
            pools.insert(decisions[0].pool)
        }
        // One /24 of resolvers.
        #expect(pools.count == 1)
        // A service that asks for nothing of a place goes by the prefix that is disclosed.
        let plain = state.decide(
            service: try #require(state.steering.service(named: "all")),
            client: Self.client("192.168.1.0/24", by: Self.tokyoResolver), random: 0)
        #expect(!plain.wentByResolver && plain.scope == 24)
    }

    @Test("an explanation says what the default did, and who is not known")
    func explanations() throws {
        let state = try Self.state(default: "{ country: US, coordinates: [39, -77] }")
        let service = try #require(state.steering.service(named: "near"))
        let text = state.explain(
            service: service, client: Self.client("192.168.1.0/24", by: "192.168.9.9"), random: 0
        ).text
        #expect(text.contains("resolver  192.168.9.9 is not known either"))
        #expect(
            text.contains("place     US, NA, at 39.00, -77.00 (the default, overrides.yaml:9:10)"))
        let alone = state.explain(
            service: service, client: Self.client("192.168.1.1/32", by: nil), random: 0)
        #expect(!alone.text.contains("resolver"))
        #expect(alone.isUnknown && alone.located.location?.country == "US")
        let system = state.explain(
            service: try #require(state.steering.service(named: "rules")),
            client: Self.client("192.168.77.0/24", by: nil), random: 0
        ).text
        #expect(system.contains("asn      AS64500 (192.168.77.0/24, overrides.yaml:7:3)"))
        #expect(system.contains("rule 3   failover: asns AS64500"))
    }
}
