// EDNS options as they come back: of every length, and of every number. Peers got both wrong
// (docs/lessons.md, L6 and L9).

import Authority
import DNSWire
import TestSupport
import Testing

@Suite struct EchoedOptionTests {
    /// The options of an answer to a query with an OPT, which is the last record of both.
    private func options(of answer: [UInt8]) throws -> [(code: UInt16, data: [UInt8])] {
        let decoded = try #require(TestAnswer(answer))
        #expect(decoded.payloadSize != nil)
        // Nothing but options has these eleven octets before it: root, OPT, 1,232, no flags.
        let head: [UInt8] = [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0]
        let start = try #require(
            answer.indices.last { answer[$0...].starts(with: head) })
        var rest = answer[(start + 11)...]
        var options: [(code: UInt16, data: [UInt8])] = []
        while rest.count >= 4 {
            let words = rest.prefix(4).map(UInt16.init)
            let length = Int(words[2] << 8 | words[3])
            options.append((words[0] << 8 | words[1], Array(rest.dropFirst(4).prefix(length))))
            rest = rest.dropFirst(4 + length)
        }
        #expect(rest.isEmpty)
        return options
    }

    @Test(
        "a subnet comes back octet for octet but for its scope, whatever its length",
        arguments: [IPAddress.Family.ipv4, .ipv6])
    func echo(family: IPAddress.Family) throws {
        var fixture = try Fixture.everything()
        var random = SeededRandom(seed: 6)
        for length in 0...Int(family.rawValue) {
            for name in ["geo.example.com.", "www.example.com.", "nothing.example.com.", "org."] {
                let octets = (0..<Int(family.rawValue) / 8).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                let address = try #require(IPAddress(octets: octets)).masked(to: length)
                var query = TestQuery(name, .a)
                query.setSubnet(try #require(IPNetwork(address, length: length)))
                let sent = try #require(query.subnet)
                let found = try options(of: fixture.answer(to: query.wire)).filter { $0.code == 8 }
                #expect(found.count == 1)
                var received = try #require(found.first).data
                #expect(received.count == sent.count)
                #expect(received[3] <= family.rawValue)
                if length == 0 { #expect(received[3] == 0) }
                received[3] = 0
                #expect(received == sent)
            }
        }
    }

    @Test("options that are repeated to the packet's end take no more room than one")
    func repeated() throws {
        var fixture = try Fixture.everything()
        var query = TestQuery("geo.example.com.", .a)
        query.nsid = true
        query.payloadSize = 512
        let once = fixture.answer(to: query.wire)
        for (code, data) in [(3, []), (3, [1, 2, 3]), (65_001, [])] as [(UInt16, [UInt8])] {
            query.options = (0..<120).map { _ in (code, data) }
            #expect(fixture.answer(to: query.wire) == once)
        }
        query.options = [(65_001, [UInt8](repeating: 7, count: 3_000))]
        #expect(fixture.answer(to: query.wire, over: .tcp) == once)
    }
}
