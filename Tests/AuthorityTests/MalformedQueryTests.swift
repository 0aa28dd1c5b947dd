// Each way to be no proper query, and what it gets: nothing, FORMERR, NOTIMP or BADVERS.

import Authority
import DNSWire
import TestSupport
import Testing

/// A packet, and the code of its answer; nil for no answer.
struct PacketRow: CustomTestStringConvertible, Sendable {
    let name: String
    let packet: [UInt8]
    let code: UInt16?

    init(_ name: String, _ packet: [UInt8], _ code: UInt16?) {
        self.name = name
        self.packet = packet
        self.code = code
    }

    var testDescription: String { name }
}

private let noError: UInt16 = 0
private let formatError: UInt16 = 1
private let notImplemented: UInt16 = 4
private let refused: UInt16 = 5
private let badVersion: UInt16 = 16

/// A message by its parts.
private func message(
    flags: UInt16 = 0, counts: (UInt16, UInt16, UInt16, UInt16) = (1, 0, 0, 0),
    question: [UInt8] = geoA, _ rest: [UInt8] = []
) -> [UInt8] {
    [0x2A, 0x2A] + words(flags, counts.0, counts.1, counts.2, counts.3) + question + rest
}

private func words(_ values: UInt16...) -> [UInt8] {
    values.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
}

private let geo: [UInt8] =
    [3] + Array("geo".utf8) + [7] + Array("example".utf8) + [3] + Array("com".utf8) + [0]
private let geoA: [UInt8] = geo + words(1, 1)
private let plainRecord: [UInt8] = [0] + words(1, 1, 0, 60, 4) + [192, 0, 2, 1]

/// A question for a transfer of the zone: type 251 is IXFR, 252 AXFR.
private func transfer(_ type: UInt16) -> [UInt8] { Array(geo.dropFirst(4)) + words(type, 1) }

/// An OPT record with these options.
private func opt(
    owner: [UInt8] = [0], version: UInt8 = 0, length: UInt16? = nil, _ options: [UInt8] = []
) -> [UInt8] {
    owner + words(41, 1_232) + [0, version, 0, 0] + words(length ?? UInt16(options.count)) + options
}

private func option(_ code: UInt16, _ data: [UInt8], length: UInt16? = nil) -> [UInt8] {
    words(code, length ?? UInt16(data.count)) + data
}

/// A query with an OPT of these options.
private func query(options: [UInt8]) -> [UInt8] {
    message(counts: (1, 0, 0, 1), opt(options))
}

/// A name of that many octets, of labels with at most 63.
private func name(octets: Int) -> [UInt8] {
    var name: [UInt8] = []
    while octets - 1 - name.count > 0 {
        let label = min(63, octets - 2 - name.count)
        name += [UInt8(label)] + [UInt8](repeating: 0x61, count: label)
    }
    return name + [0]
}

@Suite struct MalformedQueryTests {
    static let header: [PacketRow] = [
        .init("nothing", [], nil),
        .init("eleven octets", Array(message().prefix(11)), nil),
        .init("an answer", message(flags: 0x8000), nil),
        .init("an answer of another opcode", message(flags: 0xA800), nil),
        .init("a header alone", message(counts: (0, 0, 0, 0), question: []), formatError),
        .init("a header that promises a question", message(question: []), formatError),
        .init("no question but its octets", message(counts: (0, 0, 0, 0)), formatError),
        .init("two questions", message(counts: (2, 0, 0, 0), geoA), formatError),
        .init("65,535 questions", message(counts: (65_535, 0, 0, 0)), formatError),
        .init("an answer record", message(counts: (1, 1, 0, 0), plainRecord), formatError),
        .init("an answer count alone", message(counts: (1, 1, 0, 0)), formatError),
        .init("an authority record", message(counts: (1, 0, 1, 0), plainRecord), formatError),
        .init(
            "IXFR with the client's SOA",
            message(counts: (1, 0, 1, 0), question: transfer(251), plainRecord), refused),
        .init(
            "IXFR with the client's SOA and an OPT",
            message(counts: (1, 0, 1, 1), question: transfer(251), plainRecord + opt()), refused),
        .init(
            "IXFR with two authority records",
            message(counts: (1, 0, 2, 0), question: transfer(251), plainRecord + plainRecord),
            formatError),
        .init(
            "IXFR with a cut authority record",
            message(counts: (1, 0, 1, 0), question: transfer(251), plainRecord.dropLast()),
            formatError),
        .init(
            "AXFR with an authority record",
            message(counts: (1, 0, 1, 0), question: transfer(252), plainRecord), formatError),
        .init("no additional record", message(counts: (1, 0, 0, 1)), formatError),
        .init("an additional record", message(counts: (1, 0, 0, 1), plainRecord), noError),
        .init(
            "four additional records",
            message(counts: (1, 0, 0, 4), plainRecord + opt() + plainRecord + plainRecord), noError),
        .init(
            "five additional records",
            message(
                counts: (1, 0, 0, 5), opt() + plainRecord + plainRecord + plainRecord + plainRecord),
            formatError),
        .init("65,535 additional records", message(counts: (1, 0, 0, 65_535), opt()), formatError),
        .init("an octet after the question", message([0]), formatError),
        .init("an octet after the OPT", message(counts: (1, 0, 0, 1), opt() + [0]), formatError),
        .init("a second query after the first", message(message()), formatError),
        .init("TC", message(flags: 0x0200), noError),
        .init("AA, RA, Z, AD and a code", message(flags: 0x04E5), noError),
    ]

    static let question: [PacketRow] = [
        .init("a pointer to itself", message(question: [0xC0, 12] + words(1, 1)), formatError),
        .init("a pointer to the header", message(question: [0xC0, 0] + words(1, 1)), formatError),
        .init(
            "a label, then a pointer", message(question: [1, 0x61, 0xC0, 12] + words(1, 1)),
            formatError),
        .init("a pointer's first octet", message(question: [0xC0]), formatError),
        .init(
            "a label of 64",
            message(question: [64] + [UInt8](repeating: 0x61, count: 64) + [0] + words(1, 1)),
            formatError),
        .init("a label of type 10", message(question: [0x80, 0x61, 0] + words(1, 1)), formatError),
        .init("a label beyond the end", message(question: [9, 0x61, 0x62]), formatError),
        .init("a name without end", message(question: Array(geo.dropLast())), formatError),
        .init("a name of 255", message(question: name(octets: 255) + words(1, 1)), refused),
        .init("a name of 256", message(question: name(octets: 256) + words(1, 1)), formatError),
        .init("a name of 300", message(question: name(octets: 300) + words(1, 1)), formatError),
        .init(
            "127 labels",
            message(question: (0..<127).flatMap { _ in [1, 0x61] } + [0] + words(1, 1)), refused),
        .init(
            "128 labels",
            message(question: (0..<128).flatMap { _ in [1, 0x61] } + [0] + words(1, 1)), formatError
        ),
        .init("no class", message(question: geo + words(1)), formatError),
        .init("half a class", message(question: geo + words(1) + [0]), formatError),
        .init("the root", message(question: [0] + words(1, 1)), refused),
    ]

    static let opcode: [PacketRow] =
        (1...15).map {
            .init("opcode \($0)", message(flags: UInt16($0) << 11), notImplemented)
        } + [
            .init(
                "STATUS, a header alone",
                message(flags: 2 << 11, counts: (0, 0, 0, 0), question: []), notImplemented),
            .init(
                "UPDATE with records",
                message(flags: 5 << 11, counts: (1, 1, 1, 0), plainRecord + plainRecord),
                notImplemented),
            .init(
                "UPDATE with a name that is none", message(flags: 5 << 11, question: [0xC0, 12]),
                notImplemented),
            .init("NOTIFY with an octet too many", message(flags: 4 << 11, [7]), notImplemented),
            .init(
                "NOTIFY with an OPT", message(flags: 4 << 11, counts: (1, 0, 0, 1), opt()),
                notImplemented),
        ]

    static let edns: [PacketRow] = [
        .init("an OPT", query(options: []), noError),
        .init("two OPT", message(counts: (1, 0, 0, 2), opt() + opt()), formatError),
        .init(
            "an OPT between others",
            message(counts: (1, 0, 0, 3), plainRecord + opt() + plainRecord), noError),
        .init(
            "an OPT not at the root", message(counts: (1, 0, 0, 1), opt(owner: geo)), formatError),
        .init(
            "an OPT at a pointer to a root",
            message(counts: (1, 0, 0, 1), opt(owner: [0xC0, 12 + 16])), formatError),
        .init(
            "an OPT with an endless name", message(counts: (1, 0, 0, 1), opt(owner: [64])),
            formatError),
        .init(
            "an OPT longer than the packet", message(counts: (1, 0, 0, 1), opt(length: 1)),
            formatError),
        .init(
            "an OPT shorter than its options",
            message(counts: (1, 0, 0, 1), opt(length: 3, [0, 9, 0, 0])), formatError),
        .init("an option's code alone", query(options: [0, 9]), formatError),
        .init(
            "an option longer than the OPT", query(options: option(9, [1, 2], length: 3)),
            formatError),
        .init("an option of 65,535", query(options: option(9, [], length: 65_535)), formatError),
        .init("an unknown option", query(options: option(65_001, [1, 2, 3])), noError),
        .init(
            "an unknown empty option, often",
            query(options: (0..<200).flatMap { _ in option(65_001, []) }), noError),
        .init("NSID twice", query(options: option(3, []) + option(3, [])), noError),
        .init("NSID with data", query(options: option(3, [1, 2])), noError),
        .init(
            "a padding of 400", query(options: option(12, [UInt8](repeating: 0, count: 400))),
            noError),
        .init("an unknown version", message(counts: (1, 0, 0, 1), opt(version: 1)), badVersion),
        .init(
            "an unknown version's options",
            message(counts: (1, 0, 0, 1), opt(version: 9, [1, 2, 3])), badVersion),
        .init(
            "an unknown version, badly framed",
            message(counts: (1, 0, 0, 1), opt(version: 1, length: 9)), formatError),
    ]

    // RFC 7871, section 6, and what section 7.2.1 says of queries.
    static let subnet: [PacketRow] = [
        .init("a subnet", query(options: option(8, [0, 1, 24, 0, 203, 0, 113])), noError),
        .init("nothing disclosed", query(options: option(8, [0, 1, 0, 0])), noError),
        .init("nothing disclosed, of no family", query(options: option(8, [0, 0, 0, 0])), noError),
        .init("nothing disclosed of IPv6", query(options: option(8, [0, 2, 0, 0])), noError),
        .init(
            "all bits of IPv4", query(options: option(8, [0, 1, 32, 0, 203, 0, 113, 9])), noError),
        .init(
            "all bits of IPv6",
            query(options: option(8, [0, 2, 128, 0] + [UInt8](repeating: 7, count: 16))), noError),
        .init("an empty subnet option", query(options: option(8, [])), formatError),
        .init("three octets", query(options: option(8, [0, 1, 0])), formatError),
        .init("family 3", query(options: option(8, [0, 3, 24, 0, 203, 0, 113])), formatError),
        .init("family 3, nothing disclosed", query(options: option(8, [0, 3, 0, 0])), formatError),
        .init("family 256", query(options: option(8, [1, 0, 24, 0, 203, 0, 113])), formatError),
        .init("no family, but a prefix", query(options: option(8, [0, 0, 8, 0, 10])), formatError),
        .init(
            "no family, but an address", query(options: option(8, [0, 0, 0, 0, 10])), formatError),
        .init(
            "33 bits of IPv4", query(options: option(8, [0, 1, 33, 0, 203, 0, 113, 0, 0])),
            formatError),
        .init(
            "255 bits of IPv4",
            query(options: option(8, [0, 1, 255, 0] + [UInt8](repeating: 1, count: 32))),
            formatError),
        .init(
            "129 bits of IPv6",
            query(options: option(8, [0, 2, 129, 0] + [UInt8](repeating: 1, count: 17))),
            formatError),
        .init("an octet too few", query(options: option(8, [0, 1, 24, 0, 203, 0])), formatError),
        .init(
            "an octet too many", query(options: option(8, [0, 1, 24, 0, 203, 0, 113, 0])),
            formatError),
        .init(
            "the whole IPv4 address for 24 bits",
            query(options: option(8, [0, 1, 24, 0, 203, 0, 113, 7])), formatError),
        .init(
            "bits after the prefix", query(options: option(8, [0, 1, 20, 0, 203, 0, 120])),
            formatError),
        .init(
            "the first bit after the prefix",
            query(options: option(8, [0, 1, 23, 0, 203, 0, 113])), formatError),
        .init(
            "bits after an IPv6 prefix",
            query(options: option(8, [0, 2, 65, 0] + [UInt8](repeating: 1, count: 9))), formatError),
        .init("a scope", query(options: option(8, [0, 1, 24, 1, 203, 0, 113])), formatError),
        .init(
            "the same subnet twice",
            query(options: option(8, [0, 1, 8, 0, 10]) + option(8, [0, 1, 8, 0, 10])), formatError),
        .init(
            "a subnet among others",
            query(options: option(3, []) + option(8, [0, 1, 8, 0, 10]) + option(12, [0])), noError),
    ]

    @Test(
        "a packet that is no proper query gets its code, or nothing",
        arguments: header + question + opcode + edns + subnet)
    func table(_ row: PacketRow) throws {
        for carrier in [Carrier.udp, .tcp] {
            var fixture = try Fixture.everything()
            let answer = fixture.answer(to: row.packet, over: carrier)
            #expect(answerFault(answer, to: row.packet, overTCP: carrier == .tcp) == nil)
            #expect(TestAnswer(answer)?.code == row.code)
        }
    }

    @Test("a query cut off anywhere is malformed")
    func cutAnywhere() throws {
        var fixture = try Fixture.everything()
        for whole in Fixture.queries {
            for count in 0..<whole.count {
                let packet = Array(whole.prefix(count))
                let answer = fixture.answer(to: packet)
                let expected: UInt16? = count < 12 ? nil : formatError
                #expect(TestAnswer(answer)?.code == expected)
                #expect(answerFault(answer, to: packet, overTCP: false) == nil)
            }
        }
    }

    @Test("an error has an OPT exactly if the query's was read, and says why only there")
    func errorsWithOPT() throws {
        var fixture = try Fixture.everything()
        let bare = try #require(TestAnswer(fixture.answer(to: message([0]))))
        #expect(bare.text == ";; FORMERR")
        let twice = message(counts: (1, 0, 0, 2), opt() + opt())
        #expect(TestAnswer(fixture.answer(to: twice))?.text == ";; FORMERR\n;; EDNS 1232")
        let subnet = query(options: option(8, [0, 1, 24, 1, 203, 0, 113]))
        #expect(TestAnswer(fixture.answer(to: subnet))?.text == ";; FORMERR\n;; EDNS 1232")
    }

    @Test("of no family and nothing disclosed, the option comes back as it was")
    func noFamily() throws {
        var fixture = try Fixture.everything()
        let answer = fixture.answer(to: query(options: option(8, [0, 0, 0, 0])))
        #expect(answer.suffix(8) == [0, 8, 0, 4, 0, 0, 0, 0])
    }

    @Test("the longest question with every option fits, whatever is said of it")
    func everythingAtOnce() throws {
        var fixture = try Fixture.everything()
        let options = option(3, []) + option(8, [0, 2, 128, 0] + [UInt8](repeating: 9, count: 16))
        let long = [[UInt8]](repeating: [1, 0x61], count: 110).flatMap(\.self)
        for below in ["wild", "old", "child", "nothing"] {
            let label = [UInt8(below.utf8.count)] + Array(below.utf8)
            let name = long + label + geo.dropFirst(4)
            for type: UInt16 in [1, 16, 28, 43, 255, 252, 41] {
                for size: UInt16 in [0, 512, 1_232] {
                    var packet = message(
                        counts: (1, 0, 0, 1), question: name + words(type, 1), opt(options))
                    let place = packet.count - options.count - 8
                    packet.replaceSubrange(place..<place + 2, with: words(size))
                    let answer = fixture.answer(to: packet)
                    #expect(answerFault(answer, to: packet, overTCP: false) == nil)
                    #expect(TestAnswer(answer)?.nsid == String(repeating: "i", count: 64))
                }
            }
        }
    }
}
