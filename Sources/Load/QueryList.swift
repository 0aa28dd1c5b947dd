// What a load asks: questions read from text, clients to ask them for, and the messages that both
// make, laid out once so that sending is a copy.

public import DNSWire
public import Settings

/// What the answer to a question has to be, to count as right.
public enum ExpectedAnswer: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// NOERROR or NXDOMAIN: the server knows the zone.
    case known
    /// NOERROR, with records.
    case answer
    /// NOERROR, without records.
    case nodata
    case nxdomain
    case refused

    /// How it is written in a file of questions.
    public var text: String {
        switch self {
        case .known: "KNOWN"
        case .answer: "ANSWER"
        case .nodata: "NODATA"
        case .nxdomain: "NXDOMAIN"
        case .refused: "REFUSED"
        }
    }
}

/// One question, of class IN.
public struct Question: Hashable, Sendable {
    public var name: Name
    public var type: RecordType
    public var expectation: ExpectedAnswer

    public init(_ name: Name, _ type: RecordType, _ expectation: ExpectedAnswer = .known) {
        self.name = name
        self.type = type
        self.expectation = expectation
    }

    private static let format = RowFormat(
        "question", form: "NAME TYPE [EXPECTATION]", example: "\"www.example.com A ANSWER\"")

    /// Reads questions, rows of `NAME TYPE [EXPECTATION]`.
    ///
    /// Without the third word a row is what dnsperf reads as well. A file without any is an error.
    public static func read(
        _ text: String, file: String, _ diagnostics: inout Diagnostics
    ) -> [Question] {
        read(text, file: file, atMost: QueryList.maximumCount, &diagnostics)
    }

    static func read(
        _ text: String, file: String, atMost limit: Int, _ diagnostics: inout Diagnostics
    ) -> [Question] {
        format.read(text, file: file, atMost: limit, &diagnostics) { row, diagnostics in
            let words = row.words
            let name = readName(row, 0, &diagnostics)
            let type = RecordType(mnemonic: words[1])
            if type == nil {
                diagnostics.error(
                    at: row.position(of: 1),
                    "\"\(words[1])\" is not a record type; write one as A, HTTPS or TYPE65")
            }
            let expectation =
                words.count < 3
                ? .known : ExpectedAnswer.allCases.first { $0.text == words[2].uppercased() }
            if expectation == nil {
                let all = ExpectedAnswer.allCases.map(\.text)
                let near = closestMatch(to: String(words[2]), among: all)
                diagnostics.error(
                    at: row.position(of: 2),
                    "no answer is expected to be \"\(words[2])\"; "
                        + (near.map { "did you mean \"\($0)\"?" }
                            ?? "write \(all.joined(separator: ", ")), or nothing"))
            }
            guard let name, let type, let expectation else { return nil }
            return Question(name, type, expectation)
        }
    }
}

/// Messages ready to be sent, apart from their IDs.
public final class QueryList: Sendable {
    /// Questions, clients and messages.
    public static let maximumCount = RowFormat.maximumCount
    /// The payload size that queries state: what resolvers do.
    static let payloadSize: UInt16 = 1_232

    /// Where one message lies, and what is to come back.
    struct Row: BitwiseCopyable, Sendable {
        var start: UInt32
        var length: UInt16
        /// The octet after the question.
        var questionEnd: UInt16
        /// Where the ECS option's family stands; 0 without one.
        var subnetStart: UInt16
        var expectation: ExpectedAnswer
    }

    let rows: FlatArray<Row>
    private let octets: FlatArray<UInt8>

    public var count: Int { rows.count }

    /// Makes as many messages as there are questions or clients, whichever are more; the others
    /// come again from the first on.
    ///
    /// - Parameters:
    ///   - clients: the prefixes to disclose (RFC 7871); none sends no option.
    ///   - dnssecOK: whether to ask for signatures.
    /// - Precondition: at least one question, and no more than `maximumCount` of either, which is what
    ///   their readers see to.
    public init(_ questions: [Question], clients: [IPNetwork] = [], dnssecOK: Bool = false) {
        precondition(!questions.isEmpty, "a load asks something")
        var rows: [Row] = []
        var octets: [UInt8] = []
        let count = max(questions.count, clients.count)
        precondition(count <= Self.maximumCount, "a load has a limit, and its readers tell")
        for index in 0..<count {
            let question = questions[index % questions.count]
            let client = clients.isEmpty ? nil : clients[index % clients.count]
            let start = octets.count
            // ID, flags (none), one question, one additional record.
            octets += [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
            octets += question.name.wire
            octets.append(bigEndian: question.type.code)
            octets.append(bigEndian: 1)
            let questionEnd = octets.count - start
            octets.append(0)
            octets.append(bigEndian: RecordType.opt.code)
            octets.append(bigEndian: Self.payloadSize)
            octets += [0, 0, dnssecOK ? 0x80 : 0, 0]
            var subnetStart = 0
            if let client {
                let address = client.address.octets.prefix((client.length + 7) / 8)
                octets.append(bigEndian: UInt16(8 + address.count))
                octets.append(bigEndian: EDNSOption.clientSubnet)
                octets.append(bigEndian: UInt16(4 + address.count))
                subnetStart = octets.count - start
                octets.append(bigEndian: client.address.family == .ipv4 ? 1 : 2)
                octets += [UInt8(client.length), 0]
                octets += address
            } else {
                octets.append(bigEndian: 0)
            }
            rows.append(
                Row(
                    start: UInt32(start), length: UInt16(octets.count - start),
                    questionEnd: UInt16(questionEnd), subnetStart: UInt16(subnetStart),
                    expectation: question.expectation))
        }
        self.rows = FlatArray(rows)
        self.octets = FlatArray(octets)
    }

    /// The message of a row, its ID zero.
    @_lifetime(borrow self)
    func message(_ row: Row) -> Span<UInt8> {
        // Safe: `self` owns the octets and never changes them.
        let all = unsafe _overrideLifetime(octets.unboundSpan, borrowing: self)
        return all.extracting(Int(row.start)..<Int(row.start) + Int(row.length))
    }
}

extension [UInt8] {
    fileprivate mutating func append(bigEndian value: UInt16) {
        append(UInt8(value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }
}
