// Weights and sheds come out as shares of answers: chi-square over 100,000 clients at a thousandth.

import DNSWire
import Testing

@testable import Steering

@Suite("shares")
struct ShareTests {
    private static let clientCount = 100_000

    /// What was chosen: the pool, and the origin if one alone answers.
    private struct Choice: Hashable {
        var pool: Int
        var origin: Int
    }

    /// How many of many clients, each in a prefix of its own, get which pool and origin.
    private func count(_ state: SteeringState) -> [Choice: Int] {
        var random = SeededGenerator(42)
        var counts: [Choice: Int] = [:]
        for client in World.prefixes(Self.clientCount) {
            let decision = state.decide(service: 0, client: client, random: random.next())
            counts[
                Choice(pool: Int(decision.pool), origin: Int(decision.ipv4Origin)), default: 0] += 1
        }
        return counts
    }

    /// The shares of a pool's origins, of which those with an IPv4 address count.
    private func originShares(_ pool: Int, _ policy: OriginPolicy) -> [Int: Double] {
        guard policy != .all else { return [-1: 1] }
        let origins = (0..<3).filter { World.serves(pool, $0, 0) }
        let total = origins.reduce(0) { $0 + World.originWeights[$1] }
        return Dictionary(
            uniqueKeysWithValues: origins.map {
                ($0, Double(World.originWeights[$0]) / Double(total))
            })
    }

    private func shares(
        _ pools: [Int: Double], _ combination: Combination
    ) -> [Choice: Double] {
        var shares: [Choice: Double] = [:]
        for (pool, share) in pools where share > 0 {
            for (origin, part) in originShares(pool, combination.origins) {
                shares[Choice(pool: pool, origin: origin)] = share * part
            }
        }
        return shares
    }

    @Test(
        "of pools and their origins are the weights, less what pools shed, whatever is down",
        arguments: Combination.all.filter { $0.policy.entryKeys.contains("weight") },
        [[], ["p1", "p5"]] as [Set<String>])
    func weights(combination: Combination, down: Set<String>) throws {
        let state = try makeState(makeSteering(World.configuration(combination)), down: down)
        var expected: [Int: Double] = [:]
        for (pool, name) in World.members.enumerated() where !down.contains(name) {
            let kept = combination.isShedding ? 100 - World.sheds[pool] : 100
            expected[pool] = Double(World.poolWeights[pool] * kept)
        }
        let counts = count(state)
        let (statistic, limit) = chiSquare(counts, shares(expected, combination))
        #expect(statistic < limit, "\(counts)")
    }

    @Test(
        "of ranked pools are what those before them shed, and of origins their weights",
        arguments: Combination.all.filter { $0.policy.pick == .firstUsable && $0.isShedding })
    func ranked(combination: Combination) throws {
        // Nobody's place is known, so that all policies that rank have the order given.
        let state = try makeState(
            makeSteering(World.configuration(combination, members: ["p3", "p1", "p7", "p4", "p2"])))
        let counts = count(state)
        // 50 %, 30 % and 10 % are shed, then all of what is left; p2 sheds nothing.
        let expected = [3: 0.5, 1: 0.5 * 0.7, 7: 0.5 * 0.3 * 0.9, 2: 0.5 * 0.3 * 0.1]
        let (statistic, limit) = chiSquare(counts, shares(expected, combination))
        #expect(statistic < limit, "\(counts)")
    }

    @Test(
        "of pools that all weigh nothing are equal, and what weighs nothing gets nothing from others",
        arguments: Combination.all.filter {
            $0.policy.entryKeys.contains("weight") && $0.origins == .all && !$0.isShedding
        },
        [
            ([1, 1], [], [1, 1]), ([65_535, 1, 65_535], [], [65_535, 1, 65_535]),
            ([0, 2, 5], [], [0, 2, 5]), ([0, 0, 0], [], [1, 1, 1]),
            ([0, 0, 9], [2], [1, 1]), ([5, 3, 2, 7], [0], [0, 3, 2, 7]),
        ] as [([Int], [Int], [Double])])
    func zero(combination: Combination, _ row: ([Int], [Int], [Double])) throws {
        let (weights, down, expected) = row
        let pools = weights.indices.map {
            "  p\($0): { origins: { o: { addresses: 192.0.2.\($0 + 1) } } }\n"
        }
        let entries = weights.enumerated().map { "{ pool: p\($0), weight: \($1) }" }
        let steering = try makeSteering(
            "pools:\n\(pools.joined())services: { s: { rules: [{ policy: \(combination.policy), pools: ["
                + entries.joined(separator: ", ") + "] }] } }")
        var counts: [Int: Int] = [:]
        for (choice, number) in count(makeState(steering, down: Set(down.map { "p\($0)" }))) {
            counts[choice.pool, default: 0] += number
        }
        let shares = Dictionary(uniqueKeysWithValues: expected.enumerated().map { ($0, $1) })
        let (statistic, limit) = chiSquare(counts, shares)
        #expect(statistic < limit, "\(counts)")
    }

    @Test("the ends of the random range draw the first and the last")
    func ends() throws {
        let state = try makeState(
            makeSteering(
                """
                pools:
                  a: { origins: { o: { addresses: 192.0.2.1 } } }
                  b: { origins: { o: { addresses: 192.0.2.2 } } }
                  c: { origins: { o: { addresses: 192.0.2.3 } } }
                services: { s: { rules: [{ policy: weighted, pools: [a, { pool: b, weight: 65535 }, c] }] } }
                """))
        #expect(try state.pool("s", "192.0.2.99", random: 0) == "a")
        #expect(try state.pool("s", "192.0.2.99", random: .max) == "c")
    }
}
