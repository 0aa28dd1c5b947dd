// Every size an answer may be limited to: it is whole, or it has TC and whole RRsets only.

import Authority
import DNSWire
import TestSupport
import Testing

@Suite struct TruncationTests {
    static let zone: String = {
        let servers = (10..<32).flatMap { number in
            [
                "deep NS n\(number).deep", "n\(number).deep A 192.0.2.\(number)",
                "n\(number).deep AAAA 2001:db8::\(number)", "side NS n\(number).deep",
            ]
        }
        let texts = (0..<11).map { "texts TXT \"\($0) \(String(repeating: "t", count: 90))\"" }
        let long = String(repeating: "l", count: 60)
        let chain = (0..<9).map { "c\($0).\(long) CNAME c\($0 + 1).\(long).\(long)" }
        return """
            $TTL 300
            @ SOA ns1 hostmaster 1 3600 600 604800 60
            @ NS ns1
            ns1 A 192.0.2.53
            \((servers + texts + chain).joined(separator: "\n"))
            c0 CNAME c1
            c1 CNAME c2
            c2 CNAME texts
            d DNAME \(long).\(long).\(long)
            lb STEER web
            """
    }()

    static let pools = """
        pools:
          main:
            origins:
              one: { addresses: [\((1...15).map { "\"2001:db8:1::\($0)\"" }.joined(separator: ", "))] }
        services:
          web: { rules: [ { pools: [main] } ] }
        """

    /// Names and types whose answers are longer than 512 octets, or nearly.
    static let questions: [(String, RecordType)] = [
        ("texts", .txt), ("c0", .txt), ("www.deep", .a), ("www.side", .a), ("lb", .aaaa),
        ("\(String(repeating: "x", count: 50)).d", .a), ("nothing", .a),
    ]

    @Test("an answer is whole, or it has TC and whole RRsets", arguments: questions.indices)
    func everyLimit(_ index: Int) throws {
        let (name, type) = Self.questions[index]
        var fixture = try Fixture(zones: [("example.com.", Self.zone)], pools: Self.pools)
        var query = TestQuery("\(name).example.com.", type)
        query.payloadSize = 1_232
        let octets = fixture.answer(to: query.wire, over: .tcp)
        let whole = try #require(TestAnswer(octets))
        #expect(!whole.isTruncated)
        var wasWhole = false
        for limit in 512...1_232 {
            query.payloadSize = UInt16(limit)
            let answer = fixture.answer(to: query.wire)
            #expect(answer.count <= limit)
            let cut = try #require(TestAnswer(answer))
            let isWhole = cut.text == whole.text
            if name == "www.side" {
                // Only what the referral can do without is missing (RFC 9471, section 3.2).
                #expect(!cut.isTruncated || cut.authority.isEmpty)
                #expect(isWhole == (octets.count <= limit))
            } else {
                #expect(cut.isTruncated == (octets.count > limit), "\(limit)")
                #expect(cut.isTruncated != isWhole)
            }
            #expect(isWhole || !wasWhole)
            wasWhole = isWhole
            expectWholeSets(cut.answer, of: whole.answer)
            expectWholeSets(cut.authority, of: whole.authority)
            expectWholeSets(cut.additional, of: whole.additional)
            #expect(cut.payloadSize == 1_232)
        }
        #expect(wasWhole == (octets.count <= 1_232))
    }

    /// Each RRset of `part` is in it as it is in `whole`, in the same order.
    private func expectWholeSets(_ part: [String], of whole: [String]) {
        let key = { (record: String) in
            let fields = record.split(separator: " ")
            return "\(fields[0]) \(fields[3])"
        }
        let keys = Set(part.map(key))
        #expect(part == whole.filter { keys.contains(key($0)) })
    }
}
