// Options and records of queries beside cookies and client subnets: keepalive, TSIG, what is unknown,
// and the settings that answers obey.

import Authority
import DNSWire
import TestSupport
import Testing

@Suite struct OptionTests {
    private func fixture(_ change: (inout AnswerSettings) -> Void = { _ in }) throws -> Fixture {
        var answers = AnswerSettings(identity: "test")
        change(&answers)
        var text = "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\n"
        for index in 0..<250 { text += "many A 192.0.2.\(index)\n" }
        return try Fixture(zones: [("example.com.", text)], answers: answers)
    }

    private func query(_ options: [(code: UInt16, data: [UInt8])]) -> TestQuery {
        var query = TestQuery("ns.example.com.", .a)
        query.payloadSize = 1_232
        query.options = options
        return query
    }

    // MARK: - Keepalive

    @Test(
        "keepalive is answered over TCP, ignored over UDP, and may not state a time (RFC 7828)",
        arguments: [
            (Carrier.tcp, [UInt8](), UInt16(0), 100 as Int?), (.tcp, [0, 1], 1, 100),
            (.tcp, [0], 1, 100), (.udp, [], 0, nil), (.udp, [0, 1], 0, nil),
        ])
    func keepalive(
        _ carrier: Carrier, _ data: [UInt8], _ code: UInt16, _ timeout: Int?
    ) throws {
        var fixture = try fixture()
        let answer = try #require(
            TestAnswer(fixture.answer(to: query([(11, data)]).wire, over: carrier)))
        #expect(answer.code == code && answer.keepalive == timeout)
    }

    @Test("who does not ask for keepalive is not told")
    func noKeepalive() throws {
        var fixture = try fixture()
        let answer = try #require(TestAnswer(fixture.answer(to: query([]).wire, over: .tcp)))
        #expect(answer.keepalive == nil)
    }

    @Test("padding and unknown options get nothing of their kind", arguments: [5, 12, 13, 65_001])
    func unknown(_ code: UInt16) throws {
        var fixture = try fixture()
        for carrier in [Carrier.udp, .tcp] {
            let octets = fixture.answer(
                to: query([(code, [1, 2, 3])]).wire, over: carrier)
            // TestAnswer reads no option that it does not know.
            let answer = try #require(TestAnswer(octets))
            #expect(answer.code == 0)
            #expect(octets == fixture.answer(to: query([]).wire, over: carrier))
        }
    }

    // MARK: - TSIG and SIG(0)

    /// A record of the additional section with the given owner, type, class and data.
    private func record(
        _ owner: [UInt8], _ type: UInt16, _ data: [UInt8], recordClass: UInt16 = 255, ttl: UInt8 = 0
    ) -> [UInt8] {
        owner + [UInt8(type >> 8), UInt8(type & 255), UInt8(recordClass >> 8)]
            + [UInt8(recordClass & 255), 0, 0, 0, ttl, UInt8(data.count >> 8)]
            + [UInt8(data.count & 255)] + data
    }

    private static let key = [3, 0x6B, 0x65, 0x79, 0] as [UInt8]
    private static let algorithm = [UInt8](
        "\u{B}hmac-sha256\0".utf8)
    private static let time = [0, 0, 0x65, 0x53, 0xF1, 0, 0x01, 0x2C] as [UInt8]
    private static let signature =
        algorithm + time + [0, 32] + [UInt8](repeating: 7, count: 32) + [0x2A, 0x2A, 0, 0, 0, 0]

    @Test("TSIG gets NOTAUTH with BADKEY, unsigned, as there are no keys (RFC 8945, section 5.3.2)")
    func signed() throws {
        var fixture = try fixture()
        var query = query([])
        query.extraRecords = [record(Self.key, 250, Self.signature)]
        let octets = fixture.answer(to: query.wire)
        let answer = try #require(TestAnswer(octets))
        #expect(answer.code == 9 && answer.answer.isEmpty && !answer.isAuthoritative)
        // The last record: the query's, without MAC, with error 17.
        let data = Self.algorithm + Self.time + [0, 0, 0x2A, 0x2A, 0, 17, 0, 0]
        #expect(Array(octets.suffix(data.count + 15)) == record(Self.key, 250, data))
        #expect(answerFault(octets, to: query.wire, overTCP: false) == nil)
    }

    @Test("the refusal of a TSIG has to fit, or goes without the record")
    func longKey() throws {
        var fixture = try fixture()
        let label = [63] + [UInt8](repeating: 0x61, count: 63)
        let long = label + label + label + [61] + [UInt8](repeating: 0x62, count: 61) + [0]
        #expect(long.count == 255)
        var query = TestQuery("ns.example.com.", .a)
        query.extraRecords = [
            record(long, 250, long + Self.signature.dropFirst(Self.algorithm.count))
        ]
        let octets = fixture.answer(to: query.wire)
        #expect(octets.count <= 512 && TestAnswer(octets)?.code == 9)
        #expect(TestAnswer(octets)?.additional == [])
        let whole = fixture.answer(to: query.wire, over: .tcp)
        #expect(TestAnswer(whole)?.additional.count == 1)
    }

    @Test("a compressed key name gets NOTAUTH without the record")
    func compressedKey() throws {
        var fixture = try fixture()
        var query = query([])
        query.extraRecords = [record([0xC0, 0x0C], 250, Self.signature)]
        let answer = try #require(TestAnswer(fixture.answer(to: query.wire)))
        #expect(answer.code == 9 && answer.additional == [])
    }

    @Test("a TSIG that is none, or not alone and last, is FORMERR (RFC 8945, section 5.2)")
    func malformedSignature() throws {
        var fixture = try fixture()
        let good = record(Self.key, 250, Self.signature)
        let wrong = [
            [good, good], [good, record([0], 65_280, [])],
            [record(Self.key, 250, [])], [record(Self.key, 250, Self.signature.dropLast(1) + [1])],
            [record(Self.key, 250, Self.signature + [0])],
            [record(Self.key, 250, Self.signature, recordClass: 1)],
            [record(Self.key, 250, Self.signature, ttl: 1)],
            [record(Self.key, 250, Self.algorithm + Self.time + [0, 99])],
        ]
        for records in wrong {
            var query = query([])
            query.extraRecords = records
            let octets = fixture.answer(to: query.wire)
            #expect(TestAnswer(octets)?.code == 1)
        }
    }

    @Test("SIG(0) and other records are passed over", arguments: [24, 1, 65_280] as [UInt16])
    func otherRecords(_ type: UInt16) throws {
        var fixture = try fixture()
        var query = query([])
        query.extraRecords = [record([0], type, [1, 2, 3, 4])]
        #expect(TestAnswer(fixture.answer(to: query.wire))?.answer.count == 1)
    }

    // MARK: - Settings

    @Test(
        "the size over UDP is that of the settings, for the limit and in the OPT",
        arguments: [(512, 4_096), (1_232, 4_096), (4_096, 4_096), (4_096, 1_400), (1_400, 512)])
    func datagramLength(_ setting: Int, _ payload: UInt16) throws {
        var fixture = try fixture { $0.datagramLength = setting }
        var query = TestQuery("ns.example.com.", .a)
        query.payloadSize = payload
        #expect(TestAnswer(fixture.answer(to: query.wire))?.payloadSize == UInt16(setting))
        // 250 addresses take some 4,034 octets with an OPT.
        query.name = "many.example.com."
        let answer = try #require(TestAnswer(fixture.answer(to: query.wire)))
        #expect(answer.isTruncated == (min(setting, Int(payload)) < 4_041))
        #expect(answer.length <= min(setting, Int(payload)))
    }

    @Test(
        "the version is told where the settings say so, by both names",
        arguments: ["version.bind.", "version.server.", "VERSION.Server."])
    func version(_ name: String) throws {
        var query = TestQuery(name, .txt)
        query.recordClass = 3
        var silent = try fixture()
        #expect(TestAnswer(silent.answer(to: query.wire))?.code == 5)
        var telling = try fixture { $0.version = "rhumb 1" }
        let answer = try #require(TestAnswer(telling.answer(to: query.wire)))
        #expect(answer.answer == ["\(name) 0 CH TXT \"rhumb 1\""])
        // Not to be had in another class.
        query.recordClass = 1
        #expect(TestAnswer(telling.answer(to: query.wire))?.code == 5)
    }
}
