// Additional data under the limits of size and number. What it consists of is in additional.scenario.

import Authority
import DNSWire
import TestSupport
import Testing

@Suite struct AdditionalTests {
    private static let count = 40

    /// Mail servers with ten addresses each.
    private func fixture() throws -> Fixture {
        var text = "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\n"
        for server in 0..<Self.count {
            text += "@ MX \(server) m\(server)\n"
            for address in 1...10 { text += "m\(server) A 192.0.\(server).\(address)\n" }
        }
        for server in 0..<3 { text += "few MX \(server) m\(server)\n" }
        return try Fixture(zones: [("example.com.", text)])
    }

    @Test("what does not fit is left out by whole RRsets, and never sets TC (RFC 2181, section 9)")
    func limits() throws {
        var fixture = try fixture()
        var lengths: Set<Int> = []
        for size in stride(from: 512, through: 1_232, by: 7) {
            var query = TestQuery("few.example.com.", .mx)
            query.payloadSize = UInt16(size)
            let octets = fixture.answer(to: query.wire)
            let answer = try #require(TestAnswer(octets))
            #expect(octets.count <= size)
            #expect(!answer.isTruncated && answer.answer.count == 3)
            #expect(answer.additional.count % 10 == 0)
            lengths.insert(answer.additional.count)
        }
        #expect(lengths == [20, 30])
    }

    @Test("no more than 32 RRsets go with an answer, whatever its size (CVE-2024-11187)")
    func number() throws {
        var fixture = try fixture()
        let answer = try #require(
            TestAnswer(
                fixture.answer(to: TestQuery("example.com.", .mx).wire, over: .tcp)))
        #expect(answer.answer.count == Self.count)
        #expect(answer.additional.count == 32 * 10)
    }

    @Test("a query's OPT comes after the additional data, and fits beside it")
    func options() throws {
        var fixture = try fixture()
        var query = TestQuery("few.example.com.", .mx)
        query.payloadSize = 600
        query.nsid = true
        query.setSubnet(IPNetwork("2001:db8::/56")!)
        let octets = fixture.answer(to: query.wire)
        let answer = try #require(TestAnswer(octets))
        #expect(octets.count <= 600 && answer.nsid == "test" && answer.scope == 0)
    }
}
