// A hundred thousand broken packets; Tests/ScenarioTests sends as many to the whole server.

import Authority
import TestSupport
import Testing

@Suite struct MutatedPacketTests {
    @Test(
        "no mutated packet gets an answer that breaks a rule, or ends the process",
        arguments: [UInt64(1), 2, 3, 4])
    func mutated(seed: UInt64) throws {
        var fixture = try Fixture.everything()
        var mutator = PacketMutator(Fixture.queries, seed: seed)
        var codes: [UInt8: Int] = [:]
        for number in 0..<25_000 {
            let packet = mutator.next()
            let carrier: Carrier = number % 2 == 0 ? .udp : .tcp
            let answer = fixture.answer(to: packet, over: carrier)
            if let fault = answerFault(answer, to: packet, overTCP: carrier == .tcp) {
                Issue.record("\(fault): packet \(number) of seed \(seed): \(packet)")
                return
            }
            if answer.count > 3 { codes[answer[3] & 15, default: 0] += 1 }
        }
        // The mutator goes easy enough on packets for each of these to come by, NOERROR to REFUSED.
        for code: UInt8 in [0, 1, 3, 4, 5] {
            #expect(codes[code, default: 0] > 100, "code \(code)")
        }
    }

    @Test("whole queries get no error by the fixture's fault", arguments: Fixture.queries)
    func whole(_ query: [UInt8]) throws {
        var fixture = try Fixture.everything()
        let answer = try #require(TestAnswer(fixture.answer(to: query)))
        #expect([0, 3, 5].contains(answer.code))
    }
}
