// A received query: header, the one question, EDNS. Read in place, in one pass, into a value that
// its worker reuses for every packet.

/// Response codes (RFC 1035, section 4.1.1).
public enum ResponseCode {
    public static let noError: UInt16 = 0
    public static let formatError: UInt16 = 1
    public static let nameError: UInt16 = 3
    public static let notImplemented: UInt16 = 4
    public static let refused: UInt16 = 5
    public static let yxdomain: UInt16 = 6
    /// Needs EDNS for its upper bits (RFC 6891, section 9).
    public static let badVersion: UInt16 = 16
}

/// What became of reading a packet.
public enum QueryStatus: UInt8, Sendable, BitwiseCopyable {
    /// A query to answer.
    case query
    /// Not to be answered at all: too short, or itself an answer.
    case ignore
    /// FORMERR.
    case malformed
    /// NOTIMP: an opcode other than QUERY.
    case unknownOpcode
    /// BADVERS (RFC 6891, section 6.1.3).
    case unknownVersion
}

/// An EDNS Client Subnet option of a query (RFC 7871, section 6).
public struct ClientSubnet: Sendable, BitwiseCopyable {
    /// As received: 1 IPv4, 2 IPv6, 0 only with a source length of 0.
    public var family: UInt16 = 0
    /// SOURCE PREFIX-LENGTH: how many leading bits of `address` the resolver disclosed.
    public var sourceLength: UInt8 = 0
    /// The address, zero after `sourceLength` bits.
    public var address = IPAddress(ipv4: 0)

    /// Octets of ADDRESS: as few as hold the source length.
    @inlinable public var addressOctets: Int { (Int(sourceLength) + 7) / 8 }
}

/// The parts of a query that answering needs; reused from packet to packet.
public struct Query: ~Copyable {
    /// The most additional records looked at: an OPT, a TSIG, and room for the odd. More are refused,
    /// so that a packet full of records costs no more than a short one (CVE-2016-7068).
    static let additionalLimit = 4

    /// QNAME in lower case.
    public var name = NameBuffer()
    public private(set) var type = RecordType(0)
    public private(set) var recordClass: UInt16 = 0
    /// The octet after the question; 12 when the question was not readable, so that none is echoed.
    public private(set) var questionEnd = 12

    public private(set) var hasEDNS = false
    /// The requestor's UDP payload size, as received.
    public private(set) var payloadSize: UInt16 = 0
    /// The DO bit (RFC 3225).
    public private(set) var dnssecOK = false
    public private(set) var hasSubnet = false
    public private(set) var subnet = ClientSubnet()
    /// An NSID was asked for (RFC 5001).
    public private(set) var wantsNSID = false

    public init() {}

    /// Reads a packet; after anything but `.query` and `.ignore` the header can still be answered.
    ///
    /// Strict where leniency would be a guess: exactly one question (RFC 9619), nothing in answer and
    /// authority, no octets after the last record, one OPT at the root (RFC 6891, section 6.1.1).
    public mutating func read(_ packet: Span<UInt8>) -> QueryStatus {
        questionEnd = 12
        hasEDNS = false
        dnssecOK = false
        hasSubnet = false
        wantsNSID = false
        guard packet.count >= 12, packet[2] & 0x80 == 0 else { return .ignore }
        // What other opcodes mean by their sections is not known; an OPT among them is answered.
        let isQuery = packet[2] & 0x78 == 0
        let fault = isQuery ? QueryStatus.malformed : .unknownOpcode
        guard packet.uint16(at: 4) == 1 else { return fault }
        guard let nameLength = name.load(packet, at: 12), 12 + nameLength + 4 <= packet.count else {
            return fault
        }
        var position = 12 + nameLength
        type = RecordType(packet.uint16(at: position))
        recordClass = packet.uint16(at: position + 2)
        position += 4
        questionEnd = position
        guard packet.uint16(at: 6) == 0, packet.uint16(at: 8) == 0 else { return fault }
        let additional = Int(packet.uint16(at: 10))
        guard additional <= Self.additionalLimit else { return fault }
        var version: UInt8 = 0
        for _ in 0..<additional {
            guard let next = readAdditional(packet, at: position, &version) else { return fault }
            position = next
        }
        guard isQuery, position == packet.count else { return fault }
        return version == 0 ? .query : .unknownVersion
    }

    /// Reads one record of the additional section and returns where the next begins.
    private mutating func readAdditional(
        _ packet: Span<UInt8>, at start: Int, _ version: inout UInt8
    ) -> Int? {
        guard let nameEnd = skipName(packet, at: start), nameEnd + 10 <= packet.count else {
            return nil
        }
        let dataStart = nameEnd + 10
        let dataEnd = dataStart + Int(packet.uint16(at: nameEnd + 8))
        guard dataEnd <= packet.count else { return nil }
        guard packet.uint16(at: nameEnd) == RecordType.opt.code else { return dataEnd }
        guard !hasEDNS, packet[start] == 0 else { return nil }
        hasEDNS = true
        payloadSize = packet.uint16(at: nameEnd + 2)
        version = packet[nameEnd + 5]
        dnssecOK = packet[nameEnd + 6] & 0x80 != 0
        // What another version's options look like is not known (RFC 6891, section 6.1.3).
        guard version == 0 else { return dataEnd }
        return readOptions(packet, from: dataStart, to: dataEnd) ? dataEnd : nil
    }

    /// Reads the options of an OPT record; unknown ones are passed over (RFC 6891, section 6.1.2).
    private mutating func readOptions(_ packet: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        var position = start
        while position < end {
            guard position + 4 <= end else { return false }
            let code = packet.uint16(at: position)
            let length = Int(packet.uint16(at: position + 2))
            position += 4
            guard position + length <= end else { return false }
            switch code {
            case EDNSOption.clientSubnet:
                // A second one would leave open which client is meant.
                guard !hasSubnet, readSubnet(packet, at: position, length: length) else {
                    return false
                }
            case EDNSOption.nsid: wantsNSID = true
            default: break
            }
            position += length
        }
        return true
    }

    /// Reads an ECS option to the letter of RFC 7871, section 6 and 7.1.2: no scope in a query, as
    /// many octets as the length needs, no bits after it.
    private mutating func readSubnet(_ packet: Span<UInt8>, at start: Int, length: Int) -> Bool {
        guard length >= 4, packet[start + 3] == 0 else { return false }
        subnet.family = packet.uint16(at: start)
        subnet.sourceLength = packet[start + 2]
        let family: IPAddress.Family
        switch subnet.family {
        case 1: family = .ipv4
        case 2: family = .ipv6
        // What `dig +subnet=0` sends: no family and nothing disclosed.
        case 0 where subnet.sourceLength == 0: family = .ipv4
        default: return false
        }
        guard subnet.sourceLength <= family.rawValue, length == 4 + subnet.addressOctets else {
            return false
        }
        var address = IPAddress(family: family, high: 0, low: 0)
        for index in 0..<subnet.addressOctets {
            let octet = UInt64(packet[start + 4 + index]) << UInt64(56 - 8 * (index & 7))
            if index < 8 { address.high |= octet } else { address.low |= octet }
        }
        guard address.masked(to: Int(subnet.sourceLength)) == address else { return false }
        subnet.address = address
        hasSubnet = true
        return true
    }

    /// Returns the octet after a possibly compressed name, without following pointers.
    private func skipName(_ packet: Span<UInt8>, at start: Int) -> Int? {
        var position = start
        while position < packet.count, position - start < Name.maximumLength {
            let length = Int(packet[position])
            if length == 0 { return position + 1 }
            if length >= 0xC0 { return position + 2 <= packet.count ? position + 2 : nil }
            guard length <= Name.maximumLabelLength else { return nil }
            position += length + 1
        }
        return nil
    }
}

/// Option codes of EDNS (RFC 6891, section 6.1.2) that are read or written here.
public enum EDNSOption {
    /// RFC 5001.
    public static let nsid: UInt16 = 3
    /// RFC 7871.
    public static let clientSubnet: UInt16 = 8
    /// RFC 8914.
    public static let extendedError: UInt16 = 15
}

extension Span<UInt8> {
    /// The two octets at `position` as a number in network order.
    ///
    /// - Precondition: `position + 2 <= count`.
    @inlinable
    @inline(__always)
    public func uint16(at position: Int) -> UInt16 {
        UInt16(self[position]) << 8 | UInt16(self[position + 1])
    }
}
