// A DNS question and what answers it, as a client sees them: the query that a dns monitor sends, and
// a total reader of responses, whose names may be compressed (RFC 1035, section 4.1.4).

internal import DNSWire

/// What is asked.
struct DNSQuestion: Sendable, Hashable {
    let name: Name
    let type: RecordType
    /// Whether the RD bit is set.
    let wantsRecursion: Bool

    /// What fits into a datagram without fragments (DNS Flag Day 2020).
    private static let payloadSize: UInt16 = 1_232

    /// The query with an OPT record (RFC 6891).
    func query(id: UInt16) -> [UInt8] {
        let header: [UInt16] = [id, wantsRecursion ? 0x0100 : 0, 1, 0, 0, 1]
        let opt: [UInt16] = [RecordType.opt.code, Self.payloadSize, 0, 0, 0]
        return octets(header) + name.wire + octets([type.code, 1]) + [0] + octets(opt)
    }

    private func octets(_ numbers: [UInt16]) -> [UInt8] {
        numbers.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
    }

    /// Whether a message is a response to that query: id, opcode and question are the same. One
    /// without a question will do where the server did not understand (RFC 1035, section 4.1.1).
    func isAnswered(by message: [UInt8], id: UInt16) -> Bool {
        guard message.count >= 12, message.uint16(at: 0) == id, message[2] & 0xF8 == 0x80 else {
            return false
        }
        guard message.uint16(at: 4) == 1 else {
            return message.uint16(at: 4) == 0 && message[3] & 0xF != 0
        }
        var reader = DNSReader(message, at: 12)
        guard let asked = reader.name().flatMap({ Name(wire: $0) }), asked == name,
            reader.uint16() == type.code, reader.uint16() == 1
        else { return false }
        return true
    }
}

/// What a response says.
struct DNSAnswer {
    /// The codes of RFC 1035 and RFC 2136 by their number.
    static let codes = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",
    ]

    /// Without the bits that EDNS adds: no server sets them in answer to such a query.
    let code: UInt8
    /// The data of the records of the type in the answer section, in presentation format.
    private(set) var data: [String] = []

    var codeInWords: String {
        Int(code) < Self.codes.count ? Self.codes[Int(code)] : "RCODE\(code)"
    }

    static func isTruncated(_ message: [UInt8]) -> Bool { message.count > 2 && message[2] & 2 != 0 }

    /// Reads a message that answers the question; nil if it is malformed.
    init?(_ message: [UInt8], to question: DNSQuestion) {
        guard message.count >= 12 else { return nil }
        code = message[3] & 0xF
        var reader = DNSReader(message, at: 12)
        for _ in 0..<message.uint16(at: 4) {
            guard reader.name() != nil, reader.skip(4) else { return nil }
        }
        // Each record has at least 11 octets, so that there are as many as the message has room for.
        for _ in 0..<message.uint16(at: 6) {
            guard reader.name() != nil, let type = reader.uint16(),
                let recordClass = reader.uint16(),
                reader.skip(4), let rdata = reader.data(of: RecordType(type))
            else { return nil }
            guard type == question.type.code, recordClass == 1 else { continue }
            guard question.type.isValid(rdata: rdata[...]) else { return nil }
            data.append(question.type.presentation(of: rdata[...]))
        }
    }
}

/// Reads a message from a place on; nil at its end or where it makes no sense.
private struct DNSReader {
    /// A name has no more labels that pointers could stand between.
    private static let mostHops = 127

    private let message: [UInt8]
    private var position: Int

    init(_ message: [UInt8], at position: Int) {
        self.message = message
        self.position = position
    }

    mutating func skip(_ count: Int) -> Bool {
        guard message.count - position >= count else { return false }
        position += count
        return true
    }

    mutating func uint16() -> UInt16? {
        guard skip(2) else { return nil }
        return message.uint16(at: position - 2)
    }

    /// A name without compression.
    mutating func name() -> [UInt8]? {
        var wire: [UInt8] = []
        var place = position
        var isHere = true
        var hops = 0
        while place < message.count {
            let length = Int(message[place])
            switch length >> 6 {
            case 0:
                guard message.count - place > length, wire.count + length < Name.maximumLength
                else { return nil }
                wire += message[place...place + length]
                place += length + 1
                if isHere { position = place }
                if length == 0 { return wire }
            case 3:
                guard place + 1 < message.count else { return nil }
                let target = Int(message.uint16(at: place) & 0x3FFF)
                if isHere { position = place + 2 }
                isHere = false
                // Back only, so that it ends; and not often, so that it ends soon.
                hops += 1
                guard target < place, hops <= Self.mostHops else { return nil }
                place = target
            default: return nil
            }
        }
        return nil
    }

    /// The length and the data of a record, names in them without compression.
    mutating func data(of type: RecordType) -> [UInt8]? {
        guard let length = uint16(), message.count - position >= Int(length) else { return nil }
        let end = position + Int(length)
        var data: [UInt8] = []
        switch type.nameLayout {
        case .none, .automaticHints: break
        case .name: data = name() ?? []
        case .preferenceThenName:
            guard skip(2) else { return nil }
            data = message[position - 2..<position] + (name() ?? [])
        case .twoNamesThenFixed: data = (name() ?? []) + (name() ?? [])
        }
        guard position <= end else { return nil }
        data += message[position..<end]
        position = end
        return data
    }
}

extension [UInt8] {
    /// Two octets as a number, the high one first; they have to be there.
    fileprivate func uint16(at index: Int) -> UInt16 {
        UInt16(self[index]) << 8 | UInt16(self[index + 1])
    }
}
