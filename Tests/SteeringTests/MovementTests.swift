// What moves when a pool or an origin goes: its own clients, and nobody else's.

import DNSWire
import Testing

@testable import Steering

@Suite("who moves")
struct MovementTests {
    /// The policies that promise a client its pool for as long as that can be used; a draw does not.
    static let keeping = Combination.all.filter {
        $0.policy.pick == .firstUsable || $0.policy.pick == .byHash
    }

    /// Clients of known places and others, each in a prefix of its own.
    private let clients =
        World.clients
        + World.prefixes(1_500).map { client in
            // Half in 10.0.0.0/13, where places are known in parts, half all over 10.0.0.0/8.
            let number = client.address.ipv4Bits >> 8 & 0xFFFF
            let spread = number.isMultiple(of: 2) ? number << 8 : number << 14
            return Client(IPAddress(ipv4: 0x0A00_0000 | spread & 0x00FF_FFFF))
        }

    private func choices(_ state: SteeringState) -> [(pool: String, origins: [Int])] {
        let service = state.steering.service(named: "fallback") ?? 0
        return clients.map { client in
            let decision = state.decide(service: service, client: client, random: 5)
            return (
                state.steering.configuration.pools[Int(decision.pool)].name,
                [Int(decision.ipv4Origin), Int(decision.ipv6Origin)]
            )
        }
    }

    @Test(
        "a pool that goes, by its health or from the file, moves its own clients",
        arguments: keeping)
    func pools(combination: Combination) throws {
        let steering = try makeSteering(
            World.configuration(combination), places: worldPlaces, latency: World.latency)
        let before = choices(makeState(steering))
        var moved = 0
        for gone in World.members {
            let others = World.members.filter { $0 != gone }
            let down = choices(makeState(steering, down: [gone]))
            let removed = try choices(
                makeState(
                    makeSteering(
                        World.configuration(combination, members: others), places: worldPlaces,
                        latency: World.latency)))
            for (index, old) in before.enumerated() {
                let client = clients[index].address
                for new in [down[index], removed[index]] {
                    try #require(new.pool != gone, "\(client) stays at \(gone)")
                    guard old.pool != gone else {
                        moved += 1
                        continue
                    }
                    try #require(
                        new == old, "\(client) goes from \(old) to \(new) for \(gone)")
                }
            }
        }
        // Everybody is at some pool, which goes once in each way.
        #expect(moved == 2 * clients.count)
        #expect(Set(before.map(\.pool)).count >= (combination.policy == .failover ? 1 : 4))
    }

    @Test("an origin that goes, by its health or from the file, moves its own clients")
    func origins() throws {
        let text = { (origins: [Int]) in
            let origins = origins.map {
                "o\($0): { addresses: [192.0.2.\($0), \"2001:db8::\($0)\"], weight: \($0) }"
            }
            return """
                pools: { p: { policy: hash, origins: { \(origins.joined(separator: ", ")) } } }
                services: { fallback: { rules: [{ pools: p }] } }
                """
        }
        let names = Array(1...5)
        func addresses(_ state: SteeringState) throws -> [[String]] {
            clients.map { client in
                state.addresses(state.decide(service: 0, client: client, random: 5))
                    .map(\.description)
            }
        }
        let steering = try makeSteering(text(names))
        let before = try addresses(makeState(steering))
        for gone in names {
            let down = try addresses(makeState(steering, down: ["o\(gone)"]))
            let removed = try addresses(makeState(makeSteering(text(names.filter { $0 != gone }))))
            #expect(down == removed)
            for (old, new) in zip(before, down) {
                #expect((old == new) == (old[0] != "192.0.2.\(gone)"))
            }
        }
    }

    @Test("a pool whose weight or bias grows draws clients, and no other gets any")
    func growth() throws {
        for (policy, key, range) in [
            ("hash", "weight", [1, 2, 7]), ("proximity", "bias", [-30, 0, 40]),
        ] {
            let states = try range.map { value in
                try makeState(
                    makeSteering(
                        worldPools + """
                            services:
                              fallback:
                                rules: [{ policy: \(policy), pools: [frankfurt, { pool: tokyo, \(key): \(value) }, sydney] }]
                            """, places: worldPlaces))
            }
            let choices = states.map { self.choices($0).map(\.pool) }
            for (less, more) in zip(choices, choices.dropFirst()) {
                for (old, new) in zip(less, more) { #expect(old == new || new == "tokyo") }
            }
        }
    }
}
