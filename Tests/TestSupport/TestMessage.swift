// Messages as tests see them: a query built octet by octet, an answer decoded to dig-like text.
// Shares nothing with the server's codec but names and the record types' presentation format.

public import DNSWire

/// Options of a test query, by the names that dig gives them.
public struct TestQuery: Sendable {
    public var id: UInt16 = 0x2A2A
    public var name: String
    public var type: RecordType
    public var recordClass: UInt16 = 1
    public var recursionDesired = false
    public var checkingDisabled = false
    /// Other bits of the header's second pair of octets.
    public var flags: UInt16 = 0
    public var opcode: UInt8 = 0
    /// Nil sends no OPT.
    public var payloadSize: UInt16?
    public var dnssecOK = false
    public var version: UInt8 = 0
    /// The whole ECS option's data.
    public var subnet: [UInt8]?
    public var nsid = false
    /// The lower 16 bits of OPT's TTL, beside DO.
    public var ednsFlags: UInt16 = 0
    /// Other options, by code.
    public var options: [(code: UInt16, data: [UInt8])] = []
    /// Whether there is a question at all.
    public var hasQuestion = true
    /// Whole records that follow the OPT.
    public var extraRecords: [[UInt8]] = []

    public init(_ name: String, _ type: RecordType) {
        self.name = name
        self.type = type
    }

    /// Sets a well-formed client subnet, and EDNS with it.
    public mutating func setSubnet(_ network: IPNetwork) {
        let family: UInt8 = network.address.family == .ipv4 ? 1 : 2
        let octets = network.address.octets.prefix((network.length + 7) / 8)
        subnet = [0, family, UInt8(network.length), 0] + octets
        if payloadSize == nil { payloadSize = 1_232 }
    }

    /// The wire format; the name's case is kept.
    public var wire: [UInt8] {
        var flags = self.flags | UInt16(opcode) << 11
        if recursionDesired { flags |= 0x0100 }
        if checkingDisabled { flags |= 0x0010 }
        let question = (try? Name.wire(of: name.utf8, origin: .root)) ?? [0]
        var octets = [UInt8]()
        let additional = UInt16((payloadSize == nil ? 0 : 1) + extraRecords.count)
        for word in [id, flags, hasQuestion ? 1 : 0, 0, 0, additional] { octets += bigEndian(word) }
        if hasQuestion { octets += question + bigEndian(type.code) + bigEndian(recordClass) }
        if let payloadSize {
            var options: [UInt8] = []
            if let subnet { options += bigEndian(8) + bigEndian(UInt16(subnet.count)) + subnet }
            if nsid { options += [0, 3, 0, 0] }
            for option in self.options {
                options += bigEndian(option.code) + bigEndian(UInt16(option.data.count))
                options += option.data
            }
            octets += [0] + bigEndian(41) + bigEndian(payloadSize) + [0, version]
            octets += bigEndian(ednsFlags | (dnssecOK ? 0x8000 : 0))
            octets += bigEndian(UInt16(options.count)) + options
        }
        for record in extraRecords { octets += record }
        return octets
    }
}

/// Bits of the header that are flags, as dig prints them (RFC 1035, section 4.1.1; RFC 6895, 2).
let headerBits: [(name: String, bit: UInt16)] = [
    ("aa", 0x0400), ("tc", 0x0200), ("rd", 0x0100), ("ra", 0x0080), ("z", 0x0040), ("ad", 0x0020),
    ("cd", 0x0010),
]

func bigEndian(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

/// A decoded answer.
public struct TestAnswer: Sendable {
    public var id: UInt16
    public var flags: UInt16
    /// The response code, its EDNS bits included.
    public var code: UInt16
    /// `NAME CLASS TYPE`, with the case as received.
    public var question: String?
    /// `NAME TTL CLASS TYPE DATA` for each record.
    public var answer: [String] = []
    public var authority: [String] = []
    public var additional: [String] = []
    public var payloadSize: UInt16?
    public var dnssecOK = false
    /// The rest of OPT's last 16 bits, of which none is known.
    public var ednsFlags: UInt16 = 0
    /// The scope of an ECS option, and the option as `ADDRESS/SOURCE/SCOPE`.
    public var scope: Int?
    public var subnet: String?
    public var nsid: String?
    /// The data of a COOKIE option.
    public var cookie: [UInt8]?
    /// The timeout of an edns-tcp-keepalive option.
    public var keepalive: Int?
    public var extendedErrors: [UInt16] = []
    public var length: Int

    public var isTruncated: Bool { flags & 0x0200 != 0 }
    public var isAuthoritative: Bool { flags & 0x0400 != 0 }

    /// Decodes a whole message; nil if any octet of it is not as it should be.
    public init?(_ octets: [UInt8]) {
        var reader = Reader(octets: octets)
        guard octets.count >= 12, let header = reader.words(6) else { return nil }
        id = header[0]
        flags = header[1]
        code = header[1] & 15
        length = octets.count
        guard header[2] <= 1 else { return nil }
        if header[2] == 1 {
            guard let name = reader.name(), let words = reader.words(2) else { return nil }
            question = "\(name) \(className(words[1])) \(RecordType(words[0]))"
        }
        for (section, count) in zip([\TestAnswer.answer, \.authority, \.additional], header[3...]) {
            for _ in 0..<count {
                guard let record = reader.record() else { return nil }
                if record.type == .opt {
                    guard readOPT(record) else { return nil }
                } else {
                    self[keyPath: section].append(record.text)
                }
            }
        }
        guard reader.position == octets.count else { return nil }
    }

    private mutating func readOPT(_ record: Reader.Record) -> Bool {
        guard payloadSize == nil, record.owner == "." else { return false }
        payloadSize = record.recordClass
        code |= UInt16(record.ttl >> 24) << 4
        dnssecOK = record.ttl & 0x8000 != 0
        ednsFlags = UInt16(record.ttl & 0x7FFF)
        // The version of what is said here is 0 (RFC 6891, section 6.1.3).
        guard record.ttl >> 16 & 0xFF == 0 else { return false }
        var rest = record.data[...]
        while !rest.isEmpty {
            guard rest.count >= 4 else { return false }
            let head = Array(rest.prefix(4)).map(Int.init)
            let data = Array(rest.dropFirst(4).prefix(head[2] << 8 | head[3]))
            guard data.count == head[2] << 8 | head[3] else { return false }
            rest = rest.dropFirst(4 + data.count)
            switch head[0] << 8 | head[1] {
            case 3:
                guard nsid == nil else { return false }
                nsid = String(decoding: data, as: UTF8.self)
            case 8:
                guard data.count >= 4, subnet == nil else { return false }
                let size = data[1] == 2 ? 16 : 4
                let padded = Array(
                    (Array(data[4...]) + Array(repeating: 0, count: 16)).prefix(size))
                guard let address = IPAddress(octets: padded) else { return false }
                scope = Int(data[3])
                subnet = "\(address)/\(data[2])/\(data[3])"
            case 10:
                guard cookie == nil else { return false }
                cookie = data
            case 11:
                guard data.count == 2, keepalive == nil else { return false }
                keepalive = Int(data[0]) << 8 | Int(data[1])
            case 15: extendedErrors.append(UInt16(data[0]) << 8 | UInt16(data[1]))
            default: return false
            }
        }
        return true
    }

    /// The data of the answer section's records of a type, in order.
    public func data(of type: RecordType) -> [String] {
        answer.compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 4)
            return fields.count == 5 && fields[3] == type.description ? String(fields[4]) : nil
        }
    }

    /// The message as scenario files have it: code and flags, sections, EDNS.
    public var text: String {
        let codes = [
            0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
            6: "YXDOMAIN", 9: "NOTAUTH", 16: "BADVERS", 23: "BADCOOKIE",
        ]
        var head = [codes[Int(code)] ?? "RCODE\(code)"]
        head += headerBits.filter { flags & $0.bit != 0 }.map(\.name)
        var lines = [";; " + head.joined(separator: " ")]
        for (title, records) in [
            ("ANSWER", answer), ("AUTHORITY", authority), ("ADDITIONAL", additional),
        ] where !records.isEmpty {
            lines += [";; \(title)"] + records
        }
        if let payloadSize {
            var words = [";; EDNS \(payloadSize)"]
            if dnssecOK { words.append("do") }
            if ednsFlags != 0 { words.append("flags \(String(ednsFlags, radix: 16))") }
            if let subnet { words.append("subnet \(subnet)") }
            if let nsid { words.append("nsid \(nsid)") }
            if let cookie {
                // The server's part depends on the time.
                let digits = cookie.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
                words.append("cookie \(digits.joined())+\(cookie.count - 8)")
            }
            if let keepalive { words.append("keepalive \(keepalive)") }
            words += extendedErrors.map { "ede \($0)" }
            lines.append(words.joined(separator: " "))
        }
        return lines.joined(separator: "\n")
    }
}

private func className(_ value: UInt16) -> String {
    value == 1 ? "IN" : value == 3 ? "CH" : value == 255 ? "ANY" : "CLASS\(value)"
}

/// Reads a message by the letter of RFC 1035, section 4.1, pointers strictly backwards.
private struct Reader {
    struct Record {
        var owner: String
        var type: RecordType
        var recordClass: UInt16
        var ttl: UInt32
        var data: [UInt8]

        var text: String {
            let value = type.presentation(of: data[...])
            return "\(owner) \(ttl) \(className(recordClass)) \(type) \(value)"
        }
    }

    let octets: [UInt8]
    var position = 0

    mutating func words(_ count: Int) -> [UInt16]? {
        guard position + 2 * count <= octets.count else { return nil }
        defer { position += 2 * count }
        return (0..<count).map {
            UInt16(octets[position + 2 * $0]) << 8 | UInt16(octets[position + 2 * $0 + 1])
        }
    }

    mutating func name() -> String? {
        nameWire().map { Name.presentation(ofWire: $0) }
    }

    /// Reads a name, uncompressed.
    mutating func nameWire() -> [UInt8]? {
        var wire: [UInt8] = []
        var cursor = position
        var next: Int?
        while cursor < octets.count {
            let length = Int(octets[cursor])
            if length >= 0xC0 {
                guard cursor + 1 < octets.count else { return nil }
                let target = (length & 0x3F) << 8 | Int(octets[cursor + 1])
                next = next ?? cursor + 2
                // Backwards, and never to another pointer.
                guard target < cursor, octets[target] < 0xC0 else { return nil }
                cursor = target
                continue
            }
            guard length <= 63, cursor + length < octets.count else { return nil }
            wire += octets[cursor...cursor + length]
            cursor += length + 1
            if length == 0 {
                position = next ?? cursor
                return wire.count <= 255 ? wire : nil
            }
        }
        return nil
    }

    mutating func record() -> Record? {
        guard let owner = name(), let head = words(5) else { return nil }
        let type = RecordType(head[0])
        let end = position + Int(head[4])
        guard end <= octets.count else { return nil }
        guard let data = expandedData(type, end) else { return nil }
        position = end
        return Record(
            owner: owner, type: type, recordClass: head[1],
            ttl: UInt32(head[2]) << 16 | UInt32(head[3]), data: data)
    }

    /// The data with its names uncompressed.
    private mutating func expandedData(_ type: RecordType, _ end: Int) -> [UInt8]? {
        var data: [UInt8] = []
        var names = 0
        switch type {
        case .ns, .cname, .ptr: names = 1
        case .soa: names = 2
        case .mx:
            guard let preference = words(1) else { return nil }
            data += bigEndian(preference[0])
            names = 1
        default: break
        }
        for _ in 0..<names {
            guard let name = nameWire() else { return nil }
            data += name
        }
        guard position <= end else { return nil }
        return data + octets[position..<end]
    }
}
