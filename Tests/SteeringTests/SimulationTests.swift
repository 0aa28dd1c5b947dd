// What `simulate` adds up, against sums made by hand.

import DNSWire
import Geo
import Settings
import Testing

@testable import Steering

@Suite("simulation")
struct SimulationTests {
    private let text =
        worldPools + """
            services:
              web: { rules: [{ policy: proximity, pools: [frankfurt, virginia, tokyo] }] }
              hashed: { rules: [{ policy: hash, pools: [frankfurt, virginia] }] }
            """

    private func deciding(_ service: String, down: Set<String> = []) throws -> Simulation.Deciding {
        let steering = try steering(text, places: worldPlaces)
        return .init(
            makeState(steering, down: down), service: try #require(steering.service(named: service))
        )
    }

    /// Goes through all of IPv4 by `service`.
    private func simulate(
        _ service: String, down: Set<String> = [], comparing: Bool = false
    ) throws -> Simulation {
        let deciding = try deciding(service, down: down)
        var simulation = Simulation(deciding.state.steering.configuration)
        simulation.run(
            over: try PlaceMap(geography(worldPlaces)), .ipv4, by: deciding,
            against: comparing ? try self.deciding(service) : nil)
        return simulation
    }

    @Test("each network counts by its addresses, at its place, and what is nowhere not at all")
    func sums() throws {
        let simulation = try simulate("web")
        // London, Rio, Osaka and its neighbour in Auckland, San Francisco, Nairobi, and Canada, which has
        // no coordinates.
        let sizes: [String: Double] = [
            "GB": 128, "BR": 64, "JP": 240, "NZ": 16, "US": 65_536, "KE": 131_072, "CA": 524_288,
        ]
        #expect(simulation.countries.mapValues(\.weight) == sizes)
        #expect(simulation.total.weight == sizes.values.reduce(0, +))
        #expect(simulation.total.located == simulation.total.weight - 524_288)
        #expect(simulation.continents["EU"]?.weight == 128)
        let byPool = try #require(simulation.countries["JP"]?.byPool)
        #expect(byPool[2] == 240 && byPool.reduce(0, +) == 240)
        #expect(simulation.moved.isEmpty && simulation.movedShare == 0)
        let london = try #require(simulation.countries["GB"])
        #expect(abs(try #require(london.meanKilometres) - 638) < 1)
        #expect(london.percentile95 == 640)
        #expect(london.meanScope == 25)
    }

    @Test("every prefix of a hash is a client of its own")
    func prefixes() throws {
        let simulation = try simulate("hashed")
        let canada = try #require(simulation.countries["CA"])
        #expect(canada.meanScope == 24)
        // 2,048 networks of 256 addresses.
        #expect(abs(canada.byPool[0] / canada.weight - 0.5) < 0.05)
        #expect(canada.byPool[0] + canada.byPool[1] == canada.weight)
    }

    @Test("what moves when a pool goes is what it had, and where it goes is told")
    func moves() throws {
        let before = try simulate("web")
        let after = try simulate("web", down: ["tokyo"], comparing: true)
        #expect(after.moved.keys.allSatisfy { $0[0] == 2 && $0[1] != 2 })
        #expect(after.moved.values.reduce(0, +) == before.total.byPool[2])
        #expect(after.movedShare == before.total.byPool[2] / before.total.weight)
        #expect(try simulate("web", comparing: true).moved.isEmpty)
    }

    @Test("one pool alone is never nearer on average than the nearest of several")
    func worth() throws {
        let simulation = try simulate("web")
        for index in 0..<3 {
            #expect(try #require(simulation.savedMilliseconds(againstPool: index)) >= 0)
        }
        // 1,000 km and back: 2,000 km times 1.5 at 199,862 km/s.
        #expect(abs(roundTripMilliseconds(1_000) - 15.01) < 0.01)
    }

    @Test("clients of a file count by their weights")
    func clients() throws {
        let deciding = try deciding("web")
        var simulation = Simulation(deciding.state.steering.configuration)
        let clients = [("198.51.100.1", 3.0), ("203.0.113.1", 1), ("192.0.2.1", 4)].map {
            (Client(address($0.0)), $0.1)
        }
        simulation.run(
            over: clients, try geography(worldPlaces), by: deciding, against: nil)
        #expect(simulation.total.weight == 8)
        #expect(simulation.unlocated == 4)
        #expect(simulation.total.byPool[0] == 7 && simulation.total.byPool[2] == 1)
        #expect(simulation.continents["EU"]?.weight == 3)
    }

    @Test("IPv6 is gone through by /64, without the spaces that carry IPv4")
    func ipv6() throws {
        let deciding = try deciding("web")
        var simulation = Simulation(deciding.state.steering.configuration)
        simulation.run(
            over: try PlaceMap(geography(worldPlaces)), .ipv6, by: deciding, against: nil)
        #expect(simulation.countries.mapValues(\.weight) == ["DE": 65_536 - 4_096, "AU": 4_096])
    }
}
