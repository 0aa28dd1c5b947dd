// Which trees are compiled: none twice, and at a reload only what is new.

import DNSWire
import Geo
import Testing

@testable import Steering

@Suite("trees are kept")
struct ReuseTests {
    private let services = """
        services:
          near: { rules: [ { policy: proximity, pools: [frankfurt, virginia, tokyo] } ] }
          same: { rules: [ { policy: proximity, pools: [frankfurt, virginia, tokyo] } ] }
          japan: { rules: [ { match: { countries: JP }, pools: [tokyo] }, { pools: [virginia] } ],
                   fallback: virginia }
          everyone: { rules: [ { pools: [sydney] } ] }
        """

    private func steering(
        _ text: String, _ geography: Geography, reusing previous: Steering? = nil,
        treesAtOnce: Int = Steering.treesAtOnce
    ) throws -> Steering {
        let (configuration, messages) = parse(text)
        return try Steering(
            try #require(configuration, "\(messages)"), geography: geography, reusing: previous,
            treesAtOnce: treesAtOnce)
    }

    @Test("a change of pools alone compiles no tree, and answers with the new pools")
    func poolsAlone() throws {
        let geography = try geography(worldPlaces)
        let before = try steering(worldPools + services, geography)
        #expect(before.treeCount == 2)
        #expect(before.compiledTreeCount == 2)
        let text = worldPools.replacing("192.0.2.10", with: "192.0.2.99")
            .replacing("min_healthy: 2", with: "shed: 10%, min_healthy: 1")
        let after = try steering(text + services, geography, reusing: before)
        #expect(after.treeCount == 2)
        #expect(after.compiledTreeCount == 0)
        #expect(try makeState(after).answers("near", "198.51.100.5").contains("192.0.2.99"))
    }

    @Test("what changes is compiled, and nothing else")
    func oneRule() throws {
        let geography = try geography(worldPlaces)
        let before = try steering(worldPools + services, geography)
        let changes = [
            ("countries: JP", "countries: [JP, GB]", 1), ("[35.68, 139.69]", "[35.6, 139.6]", 1),
            ("proximity, pools: [frankfurt,", "proximity, pools: [saopaulo,", 1),
            ("services:", "services:\n  unused: { rules: [ { pools: [tokyo] } ] }", 0),
        ]
        for (old, new, count) in changes {
            let text = (worldPools + services).replacing(old, with: new, maxReplacements: 1)
            let after = try steering(text, geography, reusing: before)
            let fresh = try steering(text, geography)
            #expect(after.compiledTreeCount == count, "\(new)")
            try expectSame(after, fresh)
        }
    }

    @Test("overrides that say the same keep the trees, others do not")
    func overrides() throws {
        let before = try steering(worldPools + services, geography(worldPlaces))
        let same = try steering(
            worldPools + services, geography("\n\n" + worldPlaces), reusing: before)
        #expect(same.compiledTreeCount == 0)
        let other = try steering(
            worldPools + services,
            geography(worldPlaces.replacing("[34.69, 135.5]", with: "[50, 8]")), reusing: before)
        #expect(other.compiledTreeCount == 2)
        #expect(try makeState(before).pool("near", "203.0.113.1") == "tokyo")
        #expect(try makeState(other).pool("near", "203.0.113.1") == "frankfurt")
    }

    @Test(
        "trees that are compiled at once are those that are compiled one by one", arguments: 0..<5)
    func atOnce(seed: Int) throws {
        var random = SeededGenerator(UInt64(seed + 3))
        let pools = ["frankfurt", "virginia", "tokyo", "saopaulo", "sydney", "capetown"]
        let countries = ["GB", "BR", "JP", "NZ", "US", "KE", "CA", "DE", "AU"]
        var text = worldPools + "services:\n"
        for number in 0..<20 {
            let some = pools.shuffled(using: &random).prefix(2 + number % 5)
            let match = countries.shuffled(using: &random).prefix(1 + number % 3)
            text +=
                "  s\(number): { fallback: tokyo, rules: [ { match: { countries: [\(match.joined(separator: ", "))] },"
                + " pools: [\(some.joined(separator: ", "))] },"
                + " { policy: proximity, pools: [\(some.joined(separator: ", "))] } ] }\n"
        }
        let geography = try geography(worldPlaces)
        try expectSame(
            steering(text, geography, treesAtOnce: 1), steering(text, geography, treesAtOnce: 8))
    }

    private func expectSame(_ one: Steering, _ other: Steering) throws {
        let (a, b) = (makeState(one), makeState(other))
        #expect(one.treeCount == other.treeCount)
        for service in one.configuration.services.indices {
            for client in [
                "203.0.113.1", "203.0.113.130", "198.51.100.5", "198.51.100.140", "10.1.2.3",
                "10.2.3.4", "10.9.9.9", "8.8.8.8", "2001:db8:a::1", "2001:db8:a:8000::1", "2a00::1",
                "2002:cb00:7105::1",
            ] {
                let client = Client(address(client))
                let same = a.decide(service: service, client: client, random: 7)
                #expect(same == b.decide(service: service, client: client, random: 7))
            }
        }
    }
}
