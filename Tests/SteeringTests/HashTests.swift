// Policy hash: every prefix keeps its pool and its origin. What moves is in `MovementTests`, shares in
// `ShareTests`.

import Foundation
import Testing

@testable import Steering

@Suite("hash")
struct HashTests {
    private static let names = ["a", "b", "c", "d", "e"]

    /// Pools of one address each.
    private func steering(_ weights: [String: Int]) throws -> Steering {
        let pools = Self.names.enumerated().map {
            "  \($1): { origins: { o: { addresses: 192.0.2.\($0 + 1) } } }\n"
        }
        let entries = weights.sorted { $0.key < $1.key }.map {
            "{ pool: \($0.key), weight: \($0.value) }"
        }
        return try makeSteering(
            "pools:\n\(pools.joined())services: { s: { rules: [{ policy: hash, pools: ["
                + entries.joined(separator: ", ") + "] }] } }")
    }

    /// What each of many /24 gets.
    private func choices(_ state: SteeringState, count: Int = 20_000) throws -> [String] {
        try (0..<count).map { number in
            try state.pool("s", "\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255).7")
        }
    }

    @Test("a pool that goes moves its own clients only, and they spread by weight")
    func removal() throws {
        let steering = try steering(["a": 1, "b": 1, "c": 2])
        let before = try choices(state(steering))
        let after = try choices(state(steering, down: ["c"]))
        var moved: [String: Int] = [:]
        for (old, new) in zip(before, after) {
            #expect(old == "c" || old == new)
            if old == "c" { moved[new, default: 0] += 1 }
        }
        #expect(Set(moved.keys) == ["a", "b"])
        #expect(abs(moved["a", default: 0] - moved["b", default: 0]) < 400, "\(moved)")
    }

    @Test("all addresses of a /24 or /56 get the same, with that scope, and their neighbours not")
    func scope() throws {
        let state = try state(steering(["a": 1, "b": 1]))
        #expect(try state.decide("s", "192.0.2.99").scope == 24)
        #expect(try state.decide("s", "2001:db8::1").scope == 56)
        for number in 0..<200 {
            let pool = try state.pool("s", "10.0.\(number).0")
            #expect(try state.pool("s", "10.0.\(number).255") == pool)
            let wide = try state.pool("s", "2001:db8:0:\(String(number, radix: 16))00::")
            #expect(
                try state.pool("s", "2001:db8:0:\(String(number, radix: 16))ff:ffff::1") == wide)
        }
        let first = try (0..<200).map { try state.pool("s", "10.0.\($0).0") }
        #expect(Set(first).count == 2)
        // With nothing to choose among, the prefix does not matter.
        #expect(try self.state(steering(["a": 1])).decide("s", "192.0.2.99").scope == 0)
    }

    private func state(_ steering: Steering, down: Set<String> = []) -> SteeringState {
        makeState(steering, down: down)
    }

    @Test("origins of a pool are kept by prefix, and A and AAAA agree")
    func origins() throws {
        let steering = try makeSteering(
            """
            pools:
              p:
                policy: hash
                origins:
                  one: { addresses: [192.0.2.1, "2001:db8::1"] }
                  two: { addresses: [192.0.2.2, "2001:db8::2"] }
                  three: { addresses: [192.0.2.3, "2001:db8::3"], weight: 2 }
            services: { s: { rules: [{ pools: p }] } }
            """)
        let up = state(steering)
        let down = state(steering, down: ["two"])
        var counts: [String: Int] = [:]
        for number in 0..<4_000 {
            let client = "10.\(number >> 8).\(number & 255).9"
            let answers = try up.answers("s", client, random: UInt64(number))
            #expect(answers.count == 2)
            #expect(answers[0].last == answers[1].last)
            #expect(try up.answers("s", client, random: 99) == answers)
            #expect(try up.decide("s", client).scope == 24)
            counts[answers[0], default: 0] += 1
            let without = try down.answers("s", client)
            #expect(answers[0] == "192.0.2.2" || without == answers)
        }
        #expect(abs(counts["192.0.2.3", default: 0] - 2_000) < 130, "\(counts)")
        #expect(abs(counts["192.0.2.1", default: 0] - 1_000) < 120, "\(counts)")
    }

    @Test("the logarithm is right to a part in a hundred thousand, and its ends hold")
    func logarithm() {
        let table = LogarithmTable()
        var random = SeededGenerator(11)
        for bits in [1, .max, 1 << 63, 1 << 32, 3] + (0..<1_000).map({ _ in random.next() }) {
            let exact = -log2(Double(bits) / 0x1p64)
            let value = Double(table.negativeLogarithm(bits)) / Double(1 << 24)
            #expect(abs(value - exact) < 1e-5, "\(bits)")
        }
    }
}
