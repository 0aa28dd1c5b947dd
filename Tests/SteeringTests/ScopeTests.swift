// The scope of an answer says which clients share it. Health is the same for all of them, so it
// must not move it: peers that looked at the next pool forgot the scope of the one before, and let
// resolvers give the last resort to the whole world (docs/lessons.md, L1).

import DNSWire
import Testing

@testable import Steering

@Suite struct ScopeTests {
    private static let pools = ["frankfurt", "virginia", "tokyo", "saopaulo", "sydney", "capetown"]

    private static func world() throws -> Steering {
        try steering(
            worldPools + """
                services:
                  near: { rules: [ { policy: proximity, pools: [\(pools.joined(separator: ", "))] } ],
                          fallback: capetown }
                  rules:
                    rules:
                      - match: { networks: [10.1.0.0/16] }
                        pools: [virginia, frankfurt]
                      - match: { countries: [GB, DE] }
                        policy: all
                        pools: [frankfurt, virginia]
                      - match: { continents: [AS] }
                        policy: weighted
                        pools: [tokyo, sydney]
                    fallback: capetown
                """, places: worldPlaces)
    }

    @Test(
        "the scope stays what it was, whatever is down", arguments: ["near", "rules"],
        [
            "198.51.100.1", "198.51.100.129", "203.0.113.1", "203.0.113.129", "10.1.2.3",
            "10.2.0.1", "10.8.0.1", "192.0.2.1", "2001:db8:a::1", "2001:db8:a:8000::1",
            "2001:db8:b::1",
        ])
    func failover(service: String, client: String) throws {
        let steering = try Self.world()
        let healthy = try state(steering).decide(service, client)
        for set in 0..<1 << Self.pools.count {
            let down = Self.pools.enumerated().filter { set >> $0.offset & 1 == 1 }.map(\.element)
            let decision = try state(steering, down: Set(down)).decide(service, client)
            #expect(decision.scope == healthy.scope, "\(down)")
            #expect(decision.ipv4.count > 0 && decision.ipv6.count > 0, "\(down)")
        }
    }

    @Test("clients that no rule matches have a scope that keeps them from those that one does")
    func miss() throws {
        let state = try state(Self.world())
        for (client, neighbour) in [("10.0.255.255", "10.1.0.0"), ("10.2.0.0", "10.1.255.255")] {
            let decision = try state.decide("rules", client)
            #expect(try state.pool("rules", client) == "capetown")
            #expect(try state.pool("rules", neighbour) == "virginia")
            let length = Int(decision.scope)
            #expect(address(client).masked(to: length) != address(neighbour).masked(to: length))
        }
    }
}
