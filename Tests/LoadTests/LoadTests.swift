// The pure parts of a load: what is asked, what passes for an answer, what is counted. `LoadPlanTests` has
// plans and what is said of them, `UDPLoadTests` and `TCPLoadTests` have the loops.

import DNSWire
import Settings
import TestSupport
import Testing

@testable import Load

@Suite("Questions")
struct QuestionTests {
    @Test("a file of questions is read as dnsperf reads it, with what is expected after it")
    func readsLines() throws {
        var diagnostics = Diagnostics()
        let text = """
            www.example.com A
            # nothing
            ;www.example.org A
            example.com. TYPE257 answer   # and why

            nowhere.example.com\tAAAA NXDOMAIN\r
            """
        let questions = Question.read(text, file: "q", &diagnostics)
        #expect(diagnostics.sorted.map(\.description) == [])
        #expect(
            questions == [
                Question(try Name("www.example.com."), .a),
                Question(try Name("example.com."), RecordType(257), .answer),
                Question(try Name("nowhere.example.com."), .aaaa, .nxdomain),
            ])
    }

    @Test(
        "of a line that is no question each field at fault is named, with its cure",
        arguments: [
            (
                "www.example.com",
                ["1: error: TYPE is missing; a question is NAME TYPE [EXPECTATION]"]
            ),
            ("a.example A ANSWER 1", ["20: error: \"1\" is too much; a question is"]),
            ("www..example.com A", ["1: error: \"www..example.com\": two dots in a row"]),
            ("a.example ABC", ["11: error: \"ABC\" is not a record type; write one as A"]),
            (
                "a.example A MAYBE",
                ["13: error: no answer is expected to be \"MAYBE\"; write KNOWN"]
            ),
            (
                "a.example A anwser",
                ["13: error: no answer is expected to be \"anwser\"; did you mean \"ANSWER\"?"]
            ),
            (
                "..  ABC MAYBE",
                ["1: error: \"..\"", "5: error: \"ABC\"", "9: error: no answer is expected"]
            ),
        ])
    func reportsLines(line: String, faults: [String]) {
        var diagnostics = Diagnostics()
        #expect(Question.read("a.example A\n\(line)", file: "q", &diagnostics).count == 1)
        let texts = diagnostics.sorted.map(\.description)
        #expect(texts.count == faults.count, "\(texts)")
        for (text, fault) in zip(texts, faults) { #expect(text.hasPrefix("q:2:" + fault)) }
    }

    @Test("a file without questions is an error")
    func noQuestions() {
        var diagnostics = Diagnostics()
        #expect(Question.read("; none\n", file: "q", &diagnostics).isEmpty)
        #expect(
            diagnostics.sorted.map(\.description)
                == [
                    "q: error: no questions in it; write one a line, as \"www.example.com A ANSWER\""
                ])
    }
}

@Suite("What a file may hold")
struct FileTests {
    @Test("lines may end in CR and LF", arguments: ["\n", "\r\n", "\r"])
    func lineEnds(end: String) throws {
        var diagnostics = Diagnostics()
        let questions = Question.read(
            ["a. A", "", "b. AAAA NXDOMAIN # none", "c. MX", ""].joined(separator: end), file: "q",
            &diagnostics)
        let clients = ClientList.read(
            ["192.0.2.0/24", "", "2001:db8::1 # one", ""].joined(separator: end), file: "c",
            &diagnostics)
        #expect(diagnostics.sorted.map(\.description) == [])
        #expect(questions.map(\.type) == [.a, .aaaa, RecordType(15)])
        #expect(questions.map(\.expectation) == [.known, .nxdomain, .known])
        #expect(clients == [IPNetwork("192.0.2.0/24"), IPNetwork("2001:db8::1")])
    }

    @Test("one line more than there may be is an error that names the limit")
    func limits() {
        for count in 2...4 {
            var diagnostics = Diagnostics()
            let questions = Question.read(
                String(repeating: "a. A\n", count: count), file: "q", atMost: 3, &diagnostics)
            let clients = ClientList.read(
                String(repeating: "::1\n", count: count), file: "c", atMost: 3, &diagnostics)
            #expect(questions.count == min(count, 3) && clients.count == min(count, 3))
            #expect(
                diagnostics.sorted.map(\.description)
                    == (count < 4
                        ? []
                        : [
                            "c:4:1: error: more than 3 clients; leave some out",
                            "q:4:1: error: more than 3 questions; leave some out",
                        ]))
        }
    }

    @Test(
        "of a line that is no client it is said why, and what to write",
        arguments: [
            ("a.example", "1: error: \"a.example\": no address or network; write one as 192.0.2.1"),
            (
                "192.0.2.1/24",
                "1: error: \"192.0.2.1/24\": the bits after the length have to be zero; "
                    + "write 192.0.2.0/24"
            ),
            (
                "192.0.2.0/33",
                "1: error: \"192.0.2.0/33\": the length of an IPv4 network is 1 to 32"
            ),
            ("::/129", "1: error: \"::/129\": the length of an IPv6 network is 1 to 128"),
            ("::/", "1: error: \"::/\": the length of an IPv6 network is 1 to 128"),
            ("::/+1", "1: error: \"::/+1\": the length of an IPv6 network is 1 to 128"),
            ("::/99999999999999999999", "1: error: \"::/99999999999999999999\": the length of an"),
            ("::1 ::2", "5: error: \"::2\" is too much; a client is ADDRESS[/LENGTH]"),
            (
                "0.0.0.0/0",
                "1: error: \"0.0.0.0/0\": who discloses no bit is answered as the resolver"
            ),
            ("::1/0", "1: error: \"::1/0\": who discloses no bit is answered as the resolver"),
        ])
    func reportsClients(line: String, fault: String) {
        var diagnostics = Diagnostics()
        #expect(ClientList.read("::1\n\(line)\n", file: "c", &diagnostics).count == 1)
        let texts = diagnostics.sorted.map(\.description)
        #expect(texts.count == 1 && texts[0].hasPrefix("c:2:" + fault), "\(texts)")
    }

    @Test("a file without clients is an error: else nothing would be disclosed")
    func noClients() {
        var diagnostics = Diagnostics()
        #expect(ClientList.read("# none\n\n", file: "c", &diagnostics).isEmpty)
        #expect(
            diagnostics.sorted.map(\.description)
                == ["c: error: no clients in it; write one a line, as 192.0.2.0/24"])
    }
}

@Suite("Clients drawn")
struct RandomClientsTests {
    @Test("drawing ends where nobody knows any place")
    func emptyDatabase() {
        var random = RandomClients(seed: 1)
        var asked = 0
        let drawn = random.ipv4(QueryList.maximumCount) { _ in
            asked += 1
            return false
        }
        #expect(drawn.isEmpty)
        #expect(asked == RandomClients.drawsAtLeast)
    }

    @Test(
        "where one in a thousand is known, all that are wanted are found; where one in 65,536, some"
    )
    func sparseDatabase() {
        var random = RandomClients(seed: 1)
        #expect(random.ipv4(200) { $0.ipv4Bits % 1_000 == 0 }.count == 200)
        let few = random.ipv4(200) { $0.ipv4Bits % 65_536 == 0 }
        #expect((1..<200).contains(few.count))
    }

    @Test("clients are prefixes of /24 within unicast, and the same for the same seed")
    func prefixes() {
        var (one, other) = (RandomClients(seed: 7), RandomClients(seed: 7))
        let drawn = one.ipv4(1_000) { _ in true }
        #expect(drawn == other.ipv4(1_000) { _ in true })
        #expect(Set(drawn).count > 990)
        for client in drawn {
            #expect(client.length == 24 && (1..<224).contains(client.address.ipv4Bits >> 24))
        }
    }
}

@Suite("Messages")
struct QueryListTests {
    private let client4 = IPNetwork("192.0.2.0/24")
    private let client6 = IPNetwork("2001:db8:0:ff00::/56")

    /// The message of a row, with an ID.
    private func message(_ list: QueryList, _ index: Int) -> [UInt8] {
        let span = list.message(list.rows[index])
        return span.indices.map { span[$0] }
    }

    @Test("a message is what another writer of messages makes")
    func isWellFormed() throws {
        let clients = [try #require(client4), try #require(client6)]
        let list = QueryList([Question(try Name("www.example.com."), .aaaa)], clients: clients)
        #expect(list.count == 2)
        for (index, client) in clients.enumerated() {
            var expected = TestQuery("www.example.com.", .aaaa)
            expected.id = 0
            expected.setSubnet(client)
            #expect(message(list, index) == expected.wire)
        }
        var plain = TestQuery("www.example.com.", .aaaa)
        plain.id = 0
        plain.payloadSize = 1_232
        #expect(
            message(QueryList([Question(try Name("www.example.com."), .aaaa)]), 0) == plain.wire)
    }

    @Test("there are as many messages as questions or clients, whichever are more")
    func repeatsTheFewer() throws {
        let names = ["a.", "b.", "c."]
        let questions = try names.map { Question(try Name($0), .a) }
        let clients = try [#require(client4), #require(client6)]
        #expect(QueryList(questions, clients: clients).count == 3)
        #expect(QueryList([questions[0]], clients: clients).count == 2)
        let list = QueryList(questions, clients: clients)
        #expect(message(list, 2).starts(with: [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0x63]))
        #expect(message(list, 2).suffix(3) == [192, 0, 2])
    }
}

@Suite("Answers")
struct AnswerCheckTests {
    /// An answer to `www.example.com. A` for 192.0.2.0/24, changed by octets at places.
    private static func answer(_ changes: [Int: UInt8] = [:], records: Bool = true) -> [UInt8] {
        var query = TestQuery("www.example.com.", .a)
        query.id = 0
        query.setSubnet(IPNetwork("192.0.2.0/24")!)
        var octets = query.wire
        octets[2] = 0x84
        if records {
            octets[7] = 1
            octets.insert(
                contentsOf: [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1], at: 33)
        }
        octets[octets.count - 4] = 20
        for (place, octet) in changes { octets[place] = octet }
        return octets
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let what: String
        let answer: [UInt8]
        let expectation: ExpectedAnswer
        let fault: AnswerFault?
        var testDescription: String { what }
    }

    static let rows: [Row] = [
        Row(what: "right", answer: answer(), expectation: .answer, fault: nil),
        Row(what: "known", answer: answer(), expectation: .known, fault: nil),
        Row(what: "a query", answer: answer([2: 0]), expectation: .known, fault: .malformed),
        Row(
            what: "cut off", answer: Array(answer().prefix(11)), expectation: .known,
            fault: .malformed),
        Row(
            what: "no question", answer: answer([5: 0]), expectation: .known, fault: .otherQuestion),
        Row(
            what: "another name", answer: answer([13: 0x57]), expectation: .known,
            fault: .otherQuestion),
        Row(
            what: "another type", answer: answer([30: 28]), expectation: .known,
            fault: .otherQuestion),
        Row(what: "SERVFAIL", answer: answer([3: 2]), expectation: .known, fault: .otherAnswer),
        Row(
            what: "no data", answer: answer(records: false), expectation: .answer,
            fault: .otherAnswer),
        Row(what: "NODATA", answer: answer(records: false), expectation: .nodata, fault: nil),
        Row(what: "data", answer: answer(), expectation: .nodata, fault: .otherAnswer),
        Row(
            what: "NXDOMAIN", answer: answer([3: 3], records: false), expectation: .nxdomain,
            fault: nil),
        Row(
            what: "REFUSED", answer: answer([3: 5], records: false), expectation: .refused,
            fault: nil),
        Row(
            what: "another prefix", answer: answer([33 + 16 + 11 + 8: 193]), expectation: .answer,
            fault: .otherClient),
        Row(
            what: "no prefix", answer: answer([33 + 16 + 11 + 1: 9]), expectation: .answer,
            fault: .otherClient),
        Row(
            what: "an OPT cut off", answer: Array(answer().dropLast(2)), expectation: .answer,
            fault: .malformed),
        Row(
            what: "a record cut off", answer: Array(answer().prefix(40)), expectation: .answer,
            fault: .malformed),
    ]

    @Test("an answer is right or has one fault", arguments: rows)
    func findsFaults(row: Row) throws {
        let question = Question(try Name("www.example.com."), .a, row.expectation)
        let list = QueryList([question], clients: [try #require(IPNetwork("192.0.2.0/24"))])
        let listed = list.rows[0]
        #expect(fault(of: row.answer.span, to: list.message(listed), listed) == row.fault)
    }

    @Test("no prefix of an answer, and no octet changed in it, makes the check trap")
    func isTotal() throws {
        let list = QueryList(
            [Question(try Name("www.example.com."), .a)],
            clients: [try #require(IPNetwork("192.0.2.0/24"))])
        let row = list.rows[0]
        let whole = Self.answer()
        for length in 0...whole.count {
            _ = fault(of: Array(whole.prefix(length)).span, to: list.message(row), row)
        }
        for place in whole.indices {
            for octet: UInt8 in [0, 1, 0x3F, 0x40, 0x80, 0xC0, 0xFF] {
                _ = fault(of: Self.answer([place: octet]).span, to: list.message(row), row)
            }
        }
    }
}

@Suite("Latencies")
struct LatencyHistogramTests {
    @Test("a percentile is at most a step, 1.6 percent, above the latency that it is")
    func isPrecise() {
        for latency: UInt64 in [0, 1, 63, 64, 65, 127, 128, 1_000, 123_456, 5_000_000_000] {
            var histogram = LatencyHistogram()
            histogram.add(nanoseconds: latency)
            let median = histogram.percentile(0.5)
            #expect(median >= latency && Double(median) <= Double(latency) * 1.016)
        }
    }

    @Test("percentiles are of all that was counted")
    func countsAll() {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(0.5) == 0)
        for latency in 1...1_000 { histogram.add(nanoseconds: UInt64(latency) * 1_000) }
        for (share, least) in [(0.0, 1_000), (0.5, 500_000), (0.99, 990_000), (1, 1_000_000)] {
            let percentile = Double(histogram.percentile(share))
            #expect(percentile >= Double(least) && percentile <= Double(least) * 1.016)
        }
    }

    @Test("what is longer than all steps counts as the longest")
    func isBounded() {
        var histogram = LatencyHistogram()
        histogram.add(nanoseconds: .max)
        #expect(histogram.count == 1)
        #expect(histogram.percentile(1) > 1 << 39)
    }
}
