// How pools and services stand, as status and operators are told.

import DNSWire
import Testing

@testable import Steering

@Suite("standing")
struct StandingTests {
    private static func text(_ service: String) -> String {
        """
        monitors: { m: { type: tcp } }
        pools:
          a: { monitor: m, min_healthy: 2, origins: { a1: { addresses: 192.0.2.1 }, a2: { addresses: 192.0.2.2 } } }
          b: { monitor: m, origins: { b1: { addresses: 192.0.2.3 } } }
          c: { monitor: m, origins: { c1: { addresses: 192.0.2.4 } } }
        services:
          s: \(service)
        """
    }

    /// A state with words of operators: `d` for drained, `-` for down, `+` for up.
    private func stand(_ service: String, _ signs: String) throws -> SteeringState {
        let steering = try steering(Self.text(service))
        var health = HealthTable(count: steering.addresses.count, verdict: .up)
        for (index, sign) in signs.enumerated() where sign != "+" {
            health.override(index, with: sign == "d" ? .drained : .down)
        }
        return SteeringState(steering, health: health)
    }

    @Test(
        "a pool says whether it can be used, and by which rule",
        arguments: [
            ("++++", true, "2 of 2 origins up"), ("-+++", false, "1 of 2 origins up"),
            ("dd++", false, "0 of 2 origins up"),
        ])
    func pool(_ row: (signs: String, isUsable: Bool, reason: String)) throws {
        let standing = try stand("{ rules: [{ pools: [a, b] }] }", row.signs).standing(ofPool: 0)
        #expect(standing.isUsable == row.isUsable)
        #expect(standing.reason.hasPrefix(row.reason), "\(standing.reason)")
        #expect(standing.reason.contains("min_healthy") == !row.isUsable || row.isUsable)
    }

    @Test(
        "what answers although nothing can be used is told of, and nothing else",
        arguments: [
            // Pools a (min_healthy 2), b and c, by their index.
            ("{ rules: [{ pools: [a, b] }] }", "-d-+", [[0]]),
            ("{ rules: [{ pools: [a, b] }] }", "---+", [[0, 1]]),
            ("{ rules: [{ pools: [a, b] }], fallback: c }", "dddd", [[2]]),
            ("{ rules: [{ pools: [a, b] }], fallback: c }", "dd-+", []),
            ("{ rules: [{ pools: [a, b] }], fallback: c }", "d+--", [[0]]),
            ("{ rules: [{ pools: [a, b] }], fallback: c }", "----", [[2]]),
            ("{ rules: [{ pools: [a, b] }], when_all_down: all }", "dd-+", [[0]]),
            ("{ rules: [{ pools: [a, b] }], when_all_down: all }", "---+", [[0, 1]]),
            ("{ rules: [{ pools: [a, b] }], when_all_down: servfail, fallback: c }", "dd-+", [[]]),
            (
                "{ rules: [{ match: { networks: [192.0.2.0/24] }, pools: [a] }, { pools: [b] }] }",
                "dd++", [[0]]
            ),
            (
                "{ rules: [{ match: { networks: [192.0.2.0/24] }, pools: [a] }], fallback: b }",
                "++d+", [[1]]
            ),
        ])
    func forced(_ row: (service: String, signs: String, pools: [[Int]])) throws {
        let forced = try stand(row.service, row.signs).forcedAnswers()
        #expect(forced.map(\.pools) == row.pools, "\(forced)")
    }

    @Test(
        "an address that was taken out is answered where its family has nothing else",
        arguments: [
            ("{ rules: [{ pools: [a, b] }] }", "++d+", []),
            ("{ rules: [{ pools: [b] }] }", "++d+", [2]),
            ("{ rules: [{ pools: [b] }], fallback: c }", "++d+", []),
        ])
    func answered(_ row: (service: String, signs: String, addresses: [Int])) throws {
        #expect(try stand(row.service, row.signs).answered([2]) == row.addresses)
    }

    @Test("a drained address of one family is answered if its pool has no other of that family")
    func family() throws {
        let steering = try steering(
            """
            pools:
              a: { origins: { o: { addresses: [192.0.2.1, "2001:db8::1"] }, p: { addresses: 192.0.2.2 } } }
            services:
              s: { rules: [{ pools: [a] }] }
            """)
        var health = HealthTable(count: 3, verdict: .up)
        for index in 0...1 { health.override(index, with: .drained) }
        #expect(SteeringState(steering, health: health).answered([0, 1]) == [1])
    }

    @Test("a pool is answered by the services that name it, name one that does, or fall back to it")
    func services() throws {
        let steering = try steering(
            """
            pools:
              a: { origins: { o: { addresses: 192.0.2.1 } } }
              b: { origins: { o: { addresses: 192.0.2.2 } } }
              c: { origins: { o: { addresses: 192.0.2.3 } } }
            services:
              inner: { rules: [{ pools: [a] }] }
              outer: { rules: [{ pools: [{ service: inner }, b] }], fallback: c }
              other: { rules: [{ pools: [b] }] }
            """)
        let configuration = steering.configuration
        #expect(configuration.services(answeringWith: [0]) == [0, 1])
        #expect(configuration.services(answeringWith: [1]) == [1, 2])
        #expect(configuration.services(answeringWith: [2]) == [1])
        #expect(configuration.pools(ofService: 1) == [0, 1, 2])
    }
}
