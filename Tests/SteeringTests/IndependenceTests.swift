// Draws for one purpose tell nothing of those for another.

import Testing

@testable import Steering

@Suite("draws are independent")
struct IndependenceTests {
    @Test(
        "of each other: pools, services and origins, by weight and by prefix, whatever their names")
    func draws() throws {
        let weighted = try makeState(
            makeSteering(
                """
                pools:
                  a: { origins: { a: { addresses: 192.0.2.1, weight: 1 }, b: { addresses: 192.0.2.2, weight: 1 } } }
                  b: { origins: { a: { addresses: 192.0.2.3, weight: 1 }, b: { addresses: 192.0.2.4, weight: 1 } } }
                services:
                  web: { rules: [{ policy: weighted, pools: [{ service: a }, { service: b }] }] }
                  a: { rules: [{ policy: weighted, pools: [a, b] }] }
                  b: { rules: [{ policy: weighted, pools: [a, b] }] }
                """))
        let hashed = try makeState(
            makeSteering(
                """
                pools:
                  a: { policy: hash, origins: { a: { addresses: 192.0.2.1 }, b: { addresses: 192.0.2.2 } } }
                  b: { policy: hash, origins: { a: { addresses: 192.0.2.3 }, b: { addresses: 192.0.2.4 } } }
                services:
                  web: { rules: [{ policy: hash, pools: [a, b] }] }
                """))
        var random = SeededGenerator(3)
        for state in [weighted, hashed] {
            var counts: [String: Int] = [:]
            for number in 0..<8_000 {
                let client = "10.\(number >> 8).\(number & 255).1"
                counts[try state.answers("web", client, random: random.next())[0], default: 0] += 1
            }
            // Four standard deviations of 2,000.
            #expect(
                counts.count == 4 && counts.values.allSatisfy { abs($0 - 2_000) < 160 }, "\(counts)"
            )
        }
    }

    @Test("of what a pool leaves to others: those spread as the others' own clients do")
    func shed() throws {
        let state = try makeState(
            makeSteering(
                """
                pools:
                  a: { shed: 50%, origins: { o: { addresses: 192.0.2.1 } } }
                  b: { origins: { o: { addresses: 192.0.2.2 } } }
                  c: { policy: hash, origins: { a: { addresses: 192.0.2.3 }, b: { addresses: 192.0.2.4 } } }
                services:
                  web: { rules: [{ pools: [a, { service: h }] }] }
                  h: { rules: [{ policy: hash, pools: [b, c] }] }
                """))
        var counts: [String: Int] = [:]
        for number in 0..<8_000 {
            let client = "10.\(number >> 8).\(number & 255).1"
            counts[try state.answers("web", client)[0], default: 0] += 1
        }
        for (address, expected) in [("1", 4_000), ("2", 2_000), ("3", 1_000), ("4", 1_000)] {
            #expect(abs(counts["192.0.2.\(address)", default: 0] - expected) < 180, "\(counts)")
        }
    }
}
