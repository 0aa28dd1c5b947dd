// Several origins in one answer, and one address of the next pool.

import DNSWire
import Testing

@testable import Steering

@Suite("several addresses")
struct AnswersTests {
    private let pools = """
        pools:
          p:
            answers: 2
            origins:
              one: { addresses: [192.0.2.1, "2001:db8::1"], weight: 4 }
              two: { addresses: [192.0.2.2, "2001:db8::2"], weight: 2 }
              three: { addresses: [192.0.2.3, "2001:db8::3"], weight: 2 }
          q: { origins: { far: { addresses: [192.0.2.9, "2001:db8::9"] } } }
          r: { origins: { farther: { addresses: [192.0.2.10, "2001:db8::10"] } } }

        """

    @Test("an answer has as many origins as asked for, none twice, the first drawn by weight")
    func answers() throws {
        let state = try state(makeSteering(pools + "services: { s: { rules: [{ pools: p }] } }"))
        var first: [String: Int] = [:]
        var random = SeededGenerator(17)
        for _ in 0..<8_000 {
            let answers = try state.answers("s", "10.0.0.1", random: random.next())
            #expect(answers.count == 4 && Set(answers).count == 4)
            #expect(answers[0].last == answers[2].last && answers[1].last == answers[3].last)
            first[answers[0], default: 0] += 1
        }
        #expect(abs(first["192.0.2.1", default: 0] - 4_000) < 180, "\(first)")
        #expect(abs(first["192.0.2.2", default: 0] - 2_000) < 160, "\(first)")
        let one = makeState(state.steering, down: ["one", "two"])
        #expect(try one.answers("s", "10.0.0.1") == ["192.0.2.3", "2001:db8::3"])
    }

    @Test("a spare is one address of the next usable pool, behind the pool's own")
    func spare() throws {
        let steering = try makeSteering(
            pools + "services: { s: { rules: [{ spare: true, pools: [p, q, r] }] } }")
        let state = state(steering)
        for random in [0, UInt64.max, 77] {
            let decision = try state.decide("s", "10.0.0.1", random: random)
            let answers = state.addresses(decision).map(\.description)
            #expect(answers.count == 6)
            #expect(answers[2] == "192.0.2.9" && answers[5] == "2001:db8::9")
            #expect(decision.spare == 1 && decision.pool == 0)
        }
        let noQ = makeState(steering, down: ["q"])
        #expect(try noQ.answers("s", "10.0.0.1").contains("192.0.2.10"))
        let onlyR = makeState(steering, down: ["p", "q"])
        #expect(try onlyR.answers("s", "10.0.0.1") == ["192.0.2.10", "2001:db8::10"])
        #expect(
            state.explain(service: 0, client: Client(address("10.0.0.1")), random: 0).candidates
                .map(\.verdict) == [.chosen, .spare, .notNeeded])
    }

    @Test("under hash the spare is the pool that would take over")
    func hashedSpare() throws {
        let steering = try makeSteering(
            pools + "services: { s: { rules: [{ policy: hash, spare: true, pools: [p, q, r] }] } }")
        let state = state(steering)
        for number in 0..<100 {
            let client = "10.0.\(number).1"
            let decision = try state.decide("s", client)
            let name = steering.configuration.pools[Int(decision.pool)].name
            let next = try makeState(steering, down: [name]).decide("s", client)
            #expect(next.pool == decision.spare)
        }
    }
}
