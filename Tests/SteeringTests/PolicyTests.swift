// What holds for every policy, with every subset of pools down; then what each promises itself.

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

@Suite("every policy")
struct PolicyConformanceTests {
    @Test("holds what all policies promise, whatever pools are down", arguments: Policy.all)
    func conformance(policy: Policy) throws {
        // The fallback, capetown, is not in the rule, so it tells itself apart.
        let members = poolNames.dropLast()
        let steering = try steering(
            worldPools + """
                services:
                  web:
                    rules: [{ policy: \(policy), pools: [\(members.joined(separator: ", "))] }]
                    fallback: capetown
                """, places: worldPlaces, latency: worldLatency)
        let allUp = state(steering)
        var random = SeededGenerator(7)
        for subset in 0..<1 << poolNames.count {
            let down = Set(poolNames.indices.filter { subset >> $0 & 1 == 1 }.map { poolNames[$0] })
            let state = state(steering, down: down)
            for client in clients {
                let decision = try state.decide("web", client, random: random.next())
                let healthy = try allUp.decide("web", client)
                if policy != .hash {
                    #expect(decision.scope == healthy.scope, "scope must not depend on health")
                }
                #expect(decision.outcome == healthy.outcome)
                try check(decision, in: state, down: down, members: Array(members))
            }
        }
    }

    private func check(
        _ decision: Decision, in state: SteeringState, down: Set<String>, members: [String]
    ) throws {
        let pools = state.steering.configuration.pools
        #expect(!decision.ipv4.isEmpty && !decision.ipv6.isEmpty, "never NODATA for some")
        let answered = state.addresses(decision)
        #expect(Set(answered).count == answered.count, "no address twice")
        let sources = Set(
            answered.compactMap { address in
                pools.first { $0.origins.contains { $0.addresses.contains(address) } }?.name
            })
        let usable = Set(members).subtracting(down)
        if usable.isEmpty {
            #expect(sources == ["capetown"])
            let expected: Decision.Reason = down.contains("capetown") ? .everythingDown : .fallback
            #expect(decision.reason == expected)
        } else {
            #expect(sources.isSubset(of: usable), "a dead pool answered while others are up")
            #expect(decision.pool >= 0 ? sources.count == 1 : sources == usable)
        }
        let families = [decision.ipv4, decision.ipv6].map(\.count)
        #expect(families[0] == families[1], "A and AAAA come from the same origins here")
    }

    @Test("draws again the same with the same random bits", arguments: Policy.all)
    func isPure(policy: Policy) throws {
        let steering = try steering(
            worldPools + """
                services: { web: { rules: [{ policy: \(policy), pools: [\(poolNames.joined(separator: ", "))] }] } }
                """, places: worldPlaces, latency: worldLatency)
        let state = state(steering, down: ["virginia"])
        for seed: UInt64 in [0, 1, .max, 0x8000_0000_0000_0000] {
            for client in clients {
                let first = try state.decide("web", client, random: seed)
                #expect(try state.decide("web", client, random: seed) == first)
            }
        }
    }

    @Test("orders each candidate exactly once, whatever is known", arguments: Policy.all)
    func orderIsPermutation(policy: Policy) {
        var random = SeededGenerator(3)
        for count in 1...20 {
            let candidates = (0..<count).map { _ in
                Policy.Candidate(
                    sites: (0..<Int.random(in: 0...2, using: &random)).map { _ in
                        .init(
                            point: Bool.random(using: &random) ? nil : randomPoint(&random),
                            column: Bool.random(using: &random) ? nil : 0)
                    },
                    bias: Int.random(in: -99...99, using: &random))
            }
            #expect(policy.rest(candidates).sorted() == Array(0..<count))
            for (point, measured) in [(nil, nil), (randomPoint(&random), nil), (nil, 30.5)] {
                let order = policy.order(
                    candidates, Policy.Client(point: point, measured: [measured]))
                #expect(Set(order).count == order.count)
                #expect(Set(order).isSubset(of: 0..<count))
            }
        }
    }

    private func randomPoint(_ random: inout SeededGenerator) -> SurfacePoint {
        SurfacePoint(
            Coordinates(
                latitude: .random(in: -90...90, using: &random),
                longitude: .random(in: -180...180, using: &random)))
    }

    @Test("has a header whose example loads", arguments: Policy.all)
    func headerExample(policy: Policy) throws {
        let example = try #require(
            try headerExamples(in: "Policies").first {
                $0.file.lowercased().contains(fileName(policy))
            })
        let (configuration, messages) = parse(
            """
            pools:
              main: { location: [1, 2], origins: { o: { addresses: 192.0.2.1 } } }
              spare: { location: [3, 4], origins: { o: { addresses: 192.0.2.2 } } }

            """ + example.text, latency: "key,pool,rtt_ms\n*,main,1\n*,spare,2\n")
        #expect(messages.isEmpty)
        #expect(configuration?.services.first?.rules.first?.policy == policy)
    }

    private func fileName(_ policy: Policy) -> String { policy == .union ? "union" : policy.name }

    @Test("parsers have headers whose examples load")
    func parserExamples() throws {
        let examples = try headerExamples(in: "")
        #expect(examples.count == 3)
        for example in examples {
            let (configuration, messages) = parse(example.text)
            #expect(configuration != nil, "\(example.file): \(messages)")
        }
    }
}

/// The yaml blocks in the first comments of the sources of a folder.
private func headerExamples(in folder: String) throws -> [(file: String, text: String)] {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/Steering/\(folder)")
    let files = try FileManager.default.contentsOfDirectory(atPath: root.path())
    return try files.filter { $0.hasSuffix(".swift") }.sorted().compactMap { file in
        let source = try String(contentsOf: root.appending(path: file), encoding: .utf8)
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(of: "// ```yaml"),
            let end = lines[start...].firstIndex(of: "// ```")
        else { return nil }
        return (file, lines[(start + 1)..<end].map { $0.dropFirst(3) + "\n" }.joined())
    }
}

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

@Suite("weights")
struct WeightTests {
    private static let draws = 20_000

    /// The chi-square statistic of what was drawn against weights.
    private func chiSquare(_ counts: [String: Int], _ weights: [String: Int]) -> Double {
        let total = Double(weights.values.reduce(0, +))
        return weights.filter { $0.value > 0 }.reduce(0) { sum, item in
            let expected = Double(Self.draws) * Double(item.value) / total
            let difference = Double(counts[item.key] ?? 0) - expected
            return sum + difference * difference / expected
        }
    }

    private func pools(_ weights: [String: Int]) throws -> Steering {
        let sorted = weights.sorted { $0.key < $1.key }
        let pools = sorted.enumerated().map {
            "  \($1.key): { origins: { o: { addresses: 192.0.2.\($0 + 1) } } }\n"
        }
        let entries = sorted.map { "{ pool: \($0.key), weight: \($0.value) }" }
        return try steering(
            "pools:\n\(pools.joined())services: { s: { rules: [{ policy: weighted, pools: ["
                + entries.joined(separator: ", ") + "] }] } }")
    }

    // The statistic's 99.9th percentiles: 10.8 for one degree of freedom, 13.8, 16.3, 18.5, 20.5.
    @Test(
        "between pools come out as set",
        arguments: [
            (["a": 1, "b": 1], [], 10.8), (["a": 3, "b": 1, "c": 6], [], 13.8),
            (["a": 65_535, "b": 1, "c": 65_535], [], 13.8), (["a": 0, "b": 2, "c": 5], [], 10.8),
            (["a": 0, "b": 0, "c": 0], [], 13.8), (["a": 5, "b": 3, "c": 2, "d": 7], ["a"], 13.8),
            (["a": 0, "b": 0, "c": 9], ["c"], 10.8),
        ] as [([String: Int], Set<String>, Double)])
    func betweenPools(weights: [String: Int], down: Set<String>, limit: Double) throws {
        let state = state(try pools(weights), down: down)
        var random = SeededGenerator(42)
        var counts: [String: Int] = [:]
        for _ in 0..<Self.draws {
            counts[try state.pool("s", "192.0.2.99", random: random.next()), default: 0] += 1
        }
        var expected = weights.filter { !down.contains($0.key) }
        if expected.values.allSatisfy({ $0 == 0 }) { expected = expected.mapValues { _ in 1 } }
        #expect(Set(counts.keys).isSubset(of: expected.filter { $0.value > 0 }.keys))
        #expect(chiSquare(counts, expected) < limit)
    }

    @Test("between origins come out as set, and independent of the pool's draw")
    func betweenOrigins() throws {
        let steering = try steering(
            """
            pools:
              a: { origins: {
                a1: { addresses: [192.0.2.1, "2001:db8::1"], weight: 3 },
                a2: { addresses: [192.0.2.2, "2001:db8::2"], weight: 1 } } }
              b: { origins: {
                b1: { addresses: [192.0.2.3, "2001:db8::3"], weight: 1 },
                b2: { addresses: [192.0.2.4, "2001:db8::4"], weight: 3 } } }
            services: { s: { rules: [{ policy: weighted, pools: [a, b] }] } }
            """)
        let state = state(steering)
        var random = SeededGenerator(1)
        var counts: [String: Int] = [:]
        var torn = 0
        for _ in 0..<Self.draws {
            let decision = try state.decide("s", "192.0.2.99", random: random.next())
            if decision.ipv4Origin != decision.ipv6Origin || decision.ipv4.count != 1 { torn += 1 }
            counts[state.addresses(decision)[0].description, default: 0] += 1
        }
        #expect(torn == 0, "A and AAAA come from one origin if they can")
        let expected = ["192.0.2.1": 3, "192.0.2.2": 1, "192.0.2.3": 1, "192.0.2.4": 3]
        #expect(chiSquare(counts, expected) < 16.3)
    }

    @Test("the ends of the random range draw the first and the last")
    func ends() throws {
        let state = state(try pools(["a": 1, "b": 65_535, "c": 1]))
        #expect(try state.pool("s", "192.0.2.99", random: 0) == "a")
        #expect(try state.pool("s", "192.0.2.99", random: .max) == "c")
    }
}
