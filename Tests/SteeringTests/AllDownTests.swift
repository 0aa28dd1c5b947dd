// What is answered when nothing that a rule names is left.

import Testing

@testable import Steering

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
