// What proximity promises beside what every policy does: the nearest, biased, ties and gaps in order.

import DNSWire
import Foundation
import Geo
import Settings
import Testing

@testable import Steering

private let poolNames = ["frankfurt", "virginia", "tokyo", "saopaulo", "sydney", "capetown"]
private let clients = [
    "198.51.100.1", "198.51.100.129", "203.0.113.1", "203.0.113.130", "10.1.2.3", "10.8.0.1",
    "192.0.2.77", "2001:db8:a::1", "2001:db8:a:8000::1", "2001:db8:ffff::1",
]

@Suite("proximity")
struct ProximityTests {
    @Test("gives each client the nearest usable pool that brute force finds")
    func bruteForce() throws {
        let steering = try steering(
            worldPools + """
                services: { web: { rules: [{ policy: proximity, pools: [\(poolNames.joined(separator: ", "))] }] } }
                """, places: worldPlaces)
        for subset in 0..<1 << poolNames.count - 1 {
            let down = Set(poolNames.indices.filter { subset >> $0 & 1 == 1 }.map { poolNames[$0] })
            let state = state(steering, down: down)
            for client in clients {
                let place = steering.geography.find(address(client)).location?.coordinates
                let usable = steering.configuration.pools.filter { !down.contains($0.name) }
                let nearest = usable.min {
                    guard let place, let a = $0.location, let b = $1.location else { return false }
                    return haversine(place, a) < haversine(place, b)
                }
                #expect(try state.pool("web", client) == (nearest?.name ?? "frankfurt"))
            }
        }
    }

    /// The textbook formula, so that nothing is shared with what is tested.
    private func haversine(_ a: Coordinates, _ b: Coordinates) -> Double {
        let (p, q) = (a.latitude * .pi / 180, b.latitude * .pi / 180)
        let l = (b.longitude - a.longitude) * .pi / 180
        let h = pow(sin((q - p) / 2), 2) + cos(p) * cos(q) * pow(sin(l / 2), 2)
        return 2 * 6371.0088 * asin(min(1, h.squareRoot()))
    }

    @Test(
        "bias moves distances as Route 53 documents",
        arguments: [(0, 1000.0), (25, 750), (99, 10), (-25, 1000 / 0.75), (-99, 100_000)])
    func bias(bias: Int, expected: Double) {
        #expect(abs(biasedDistance(1000, bias: bias) - expected) < 1e-6)
    }

    @Test("bias draws clients from farther away")
    func biasDraws() throws {
        // London is 640 km from Frankfurt and 5,920 km from Virginia.
        for (bias, expected) in [(85, "frankfurt"), (92, "virginia")] {
            let steering = try steering(
                worldPools + """
                    services: { web: { rules: [{ policy: proximity, pools: [frankfurt, { pool: virginia, bias: \(bias) }] }] } }
                    """, places: worldPlaces)
            #expect(try state(steering).pool("web", "198.51.100.1") == expected)
        }
    }

    private static let here = Coordinates(latitude: 10, longitude: 20)

    private func order(_ places: [(Double, Double)?], from client: Coordinates? = here) -> [Int] {
        let candidates = places.map { place in
            Policy.Candidate(
                sites: [
                    .init(
                        point: place.map {
                            SurfacePoint(Coordinates(latitude: $0.0, longitude: $0.1))
                        })
                ], bias: 0)
        }
        let head = Policy.proximity.order(
            candidates, Policy.Client(point: client.map(SurfacePoint.init)))
        return head + Policy.proximity.rest(candidates).filter { !head.contains($0) }
    }

    @Test("equal distances go by file order")
    func ties() {
        #expect(order([(50, 50), (10, 21), (10, 21), (10, 20)]) == [3, 1, 2, 0])
    }

    @Test("cosines rank as distances do, also where pools share places", arguments: 0..<20)
    func cosines(seed: Int) throws {
        var random = SeededGenerator(UInt64(seed) &* 0x9E37_79B9 + 11)
        var served = 0
        for _ in 0..<300 {
            // Few cities, so that many share one; now and then some a centimetre apart.
            var cities = (0..<Int.random(in: 1...14, using: &random)).map { _ in
                Coordinates(
                    latitude: .random(in: -90...90, using: &random),
                    longitude: .random(in: -180...180, using: &random))
            }
            if Bool.random(using: &random) {
                cities.append(cities[0])
                cities[0].latitude += 1e-7 * (cities[0].latitude > 0 ? -1 : 1)
            }
            let points = cities.map(SurfacePoint.init)
            var candidates = (0..<Int.random(in: 1...24, using: &random)).map { _ in
                // Services have several places, or none.
                let count = [1, 1, 1, 0, 2, 3].randomElement(using: &random) ?? 1
                return Policy.Candidate(
                    sites: (0..<count).map { _ in
                        .init(
                            point: Int.random(in: 0..<9, using: &random) == 0
                                ? nil : points.randomElement(using: &random))
                    }, bias: 0)
            }
            Policy.linkTwins(&candidates)
            for number in 0..<4 {
                let client =
                    number == 0
                    ? points[0]
                    : SurfacePoint(
                        Coordinates(
                            latitude: .random(in: -90...90, using: &random),
                            longitude: .random(in: -180...180, using: &random)))
                var distances: [(kilometres: Double, index: Int)] = []
                for (index, candidate) in candidates.enumerated() {
                    let points = candidate.sites.compactMap(\.point)
                    let least = points.map { client.distanceKilometres(to: $0) }.min()
                    if let least { distances.append((least, index)) }
                }
                distances.sort { $0 < $1 }
                let expected = distances.prefix(Policy.rankedPools).map(\.index)
                #expect(
                    Policy.proximity.order(candidates, Policy.Client(point: client)) == expected)
                if rankByCosine(candidates, client).order != nil { served += 1 }
            }
        }
        // Services that have one of several places in common are near ties still.
        #expect(served > 100)
    }

    @Test("pools of one city don't cost distances")
    func twins() {
        let cities = [(50.11, 8.68), (39.04, -77.49), (50.11, 8.68), (50.11, 8.68)]
        var candidates = cities.map {
            Policy.Candidate(
                sites: [.init(point: SurfacePoint(Coordinates(latitude: $0.0, longitude: $0.1)))],
                bias: 0)
        }
        let client = SurfacePoint(Self.here)
        #expect(rankByCosine(candidates, client).order == nil)
        Policy.linkTwins(&candidates)
        #expect(rankByCosine(candidates, client).order == [0, 2, 3, 1])
    }

    @Test("pools without a location come last, and are not at 0,0")
    func missingPoolLocation() {
        let atNull = Coordinates(latitude: 0, longitude: 0)
        #expect(order([nil, (80, 100), nil, (1, 1)], from: atNull) == [3, 1, 0, 2])
    }

    @Test("a client without coordinates gets file order")
    func missingClient() {
        #expect(order([nil, (80, 100), (0, 0)], from: nil) == [0, 1, 2])
    }

    @Test("beyond eight pools, the nearest eight are ranked and the rest follow in file order")
    func manyPools() {
        let farFirst = (0..<12).map { (10.0, 20.0 + 5 * Double(12 - $0)) as (Double, Double)? }
        #expect(order(farFirst + [nil]) == [11, 10, 9, 8, 7, 6, 5, 4, 0, 1, 2, 3, 12])
    }
}
