// A received query: header, the one question, EDNS. Read in place, in one pass, into a value that
// its worker reuses for every packet.

/// Response codes (RFC 1035, section 4.1.1).
public enum ResponseCode {
    public static let noError: UInt16 = 0
    public static let formatError: UInt16 = 1
    public static let serverFailure: UInt16 = 2
    public static let nameError: UInt16 = 3
    public static let notImplemented: UInt16 = 4
    public static let refused: UInt16 = 5
    public static let yxdomain: UInt16 = 6
    /// A zone that is not served, or a TSIG that can't be checked (RFC 8945, section 3).
    public static let notAuthoritative: UInt16 = 9
    /// Needs EDNS for its upper bits (RFC 6891, section 9).
    public static let badVersion: UInt16 = 16
    /// Needs EDNS for its upper bits (RFC 7873, section 8).
    public static let badCookie: UInt16 = 23
}

/// What became of reading a packet.
public enum QueryStatus: UInt8, Sendable, BitwiseCopyable {
    /// A query to answer.
    case query
    /// Not to be answered at all: too short, or itself an answer.
    case ignore
    /// FORMERR.
    case malformed
    /// No question, but a COOKIE option: asks for a server cookie alone (RFC 7873, section 5.4).
    case cookieOnly
    /// NOTIMP: an opcode other than QUERY.
    case unknownOpcode
    /// NOTAUTH: signed by TSIG, of which this server has no keys (RFC 8945, section 5.2.1).
    case unknownKey
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

/// A COOKIE option of a query (RFC 7873, section 4).
public struct Cookie: Sendable, BitwiseCopyable {
    /// The option's length in octets, as received.
    public var length: Int
    /// The client cookie, its first octet the highest.
    public var client: UInt64 = 0
    /// The two halves of a server cookie of 16 octets, which is what RFC 9018 makes; zero otherwise.
    public var serverHigh: UInt64 = 0
    public var serverLow: UInt64 = 0

    public init(length: Int = 0) { self.length = length }

    /// Whether the length is one that cookies have: 8 of the client, or 8 to 32 of the server after
    /// them.
    @inlinable public var isWellFormed: Bool { length == 8 || (16...40).contains(length) }
}

/// Where the parts of a TSIG record lie in its packet, for the error that answers it.
public struct SignatureRecord: Sendable, BitwiseCopyable {
    /// The record's owner, the key's name.
    public var start = 0
    /// The octet after the owner.
    public var nameEnd = 0
    /// The octet after the algorithm's name, which is where the time begins.
    public var algorithmEnd = 0
    /// The record's original ID.
    public var originalID: UInt16 = 0
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
    public private(set) var hasCookie = false
    /// The first COOKIE option; others are ignored (RFC 7873, section 5.2).
    public private(set) var cookie = Cookie()
    public private(set) var hasKeepalive = false
    /// Whether an edns-tcp-keepalive option states a timeout, which a client may not (RFC 7828,
    /// section 3.2.1).
    public private(set) var hasKeepaliveTimeout = false
    /// The TSIG record; only after `unknownKey`, and nil there too if its names are compressed.
    public private(set) var signature: SignatureRecord?
    private var isSigned = false

    public init() {}

    /// Reads a packet; after anything but `.query` and `.ignore` the header can still be answered.
    ///
    /// Strict where leniency would be a guess: exactly one question (RFC 9619), nothing in answer, nor
    /// in authority but what IXFR has there, no octets after the last record, one OPT at the root (RFC
    /// 6891, sections 6.1.1 and 6.1.2), TSIG the last record or nowhere (RFC 8945, section 5.2).
    public mutating func read(_ packet: Span<UInt8>) -> QueryStatus {
        questionEnd = 12
        hasEDNS = false
        dnssecOK = false
        hasSubnet = false
        wantsNSID = false
        hasCookie = false
        hasKeepalive = false
        isSigned = false
        guard packet.count >= 12, packet[2] & 0x80 == 0 else { return .ignore }
        // What other opcodes mean by their sections is not known; an OPT among them is answered.
        let isQuery = packet[2] & 0x78 == 0
        let fault = isQuery ? QueryStatus.malformed : .unknownOpcode
        let questions = packet.uint16(at: 4)
        guard questions <= 1 else { return fault }
        var position = 12
        if questions == 1 {
            guard let nameLength = name.load(packet, at: 12),
                12 + nameLength + 4 <= packet.count
            else { return fault }
            position += nameLength
            type = RecordType(packet.uint16(at: position))
            recordClass = packet.uint16(at: position + 2)
            position += 4
            questionEnd = position
        }
        guard packet.uint16(at: 6) == 0 else { return fault }
        if packet.uint16(at: 8) != 0 {
            guard let next = skipClientVersion(packet, at: position) else { return fault }
            position = next
        }
        let additional = Int(packet.uint16(at: 10))
        guard additional <= Self.additionalLimit else { return fault }
        var version: UInt8 = 0
        for _ in 0..<additional {
            guard !isSigned, let next = readAdditional(packet, at: position, &version) else {
                return fault
            }
            position = next
        }
        guard isQuery, position == packet.count else { return fault }
        guard !isSigned else { return .unknownKey }
        guard version == 0 else { return .unknownVersion }
        guard questions == 1 else {
            return hasCookie && cookie.isWellFormed ? .cookieOnly : .malformed
        }
        return .query
    }

    /// Passes over the client's SOA record that an IXFR query has in authority (RFC 1995, section 3).
    ///
    /// Returns where the additional section begins; nil if there is anything else in authority.
    @inline(never)
    private func skipClientVersion(_ packet: Span<UInt8>, at start: Int) -> Int? {
        guard packet.uint16(at: 8) == 1, questionEnd > 12, type == .ixfr,
            let nameEnd = skipName(packet, at: start), nameEnd + 10 <= packet.count
        else { return nil }
        let dataEnd = nameEnd + 10 + Int(packet.uint16(at: nameEnd + 8))
        return dataEnd <= packet.count ? dataEnd : nil
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
        let type = packet.uint16(at: nameEnd)
        if type == RecordType.tsig.code {
            return readSignature(packet, from: start, nameEnd, dataEnd) ? dataEnd : nil
        }
        // SIG(0) and all else: not looked at, as by a server that knows of no keys.
        guard type == RecordType.opt.code else { return dataEnd }
        guard !hasEDNS, packet[start] == 0 else { return nil }
        hasEDNS = true
        payloadSize = packet.uint16(at: nameEnd + 2)
        version = packet[nameEnd + 5]
        dnssecOK = packet[nameEnd + 6] & 0x80 != 0
        let isReadable = readOptions(packet, from: dataStart, to: dataEnd)
        if version != 0 {
            // What another version's options look like is not known (RFC 6891, section 6.1.3), but
            // who sends a COOKIE as version 0 has it gets one.
            hasSubnet = false
            hasKeepalive = false
            hasCookie = hasCookie && cookie.isWellFormed
            return dataEnd
        }
        // Of two subnets neither is known to be the client's, so none comes back.
        if !isReadable { hasSubnet = false }
        return isReadable ? dataEnd : nil
    }

    /// Reads the options of an OPT record; unknown ones are passed over (RFC 6891, section 6.1.2).
    ///
    /// Goes on after an option that is wrong, as the error that answers it has a cookie and an NSID,
    /// too, where one was asked for.
    private mutating func readOptions(_ packet: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        var position = start
        var isReadable = true
        while position < end {
            guard position + 4 <= end else { return false }
            let code = packet.uint16(at: position)
            let length = Int(packet.uint16(at: position + 2))
            position += 4
            guard position + length <= end else { return false }
            switch code {
            case EDNSOption.clientSubnet:
                // A second one would leave open which client is meant.
                if hasSubnet || !readSubnet(packet, at: position, length: length) {
                    isReadable = false
                }
            case EDNSOption.nsid: wantsNSID = true
            case EDNSOption.cookie: if !hasCookie { readCookie(packet, position, length) }
            case EDNSOption.keepalive:
                hasKeepaliveTimeout = length > 0 || hasKeepalive && hasKeepaliveTimeout
                hasKeepalive = true
            default: break
            }
            position += length
        }
        return isReadable
    }

    private mutating func readCookie(_ packet: Span<UInt8>, _ start: Int, _ length: Int) {
        hasCookie = true
        cookie = Cookie(length: length)
        guard cookie.isWellFormed else { return }
        cookie.client = packet.uint64(at: start)
        guard length == 24 else { return }
        cookie.serverHigh = packet.uint64(at: start + 8)
        cookie.serverLow = packet.uint64(at: start + 16)
    }

    /// Reads a TSIG record as far as its refusal needs (RFC 8945, section 4.2); false if it is none.
    private mutating func readSignature(
        _ packet: Span<UInt8>, from start: Int, _ nameEnd: Int, _ dataEnd: Int
    ) -> Bool {
        // Class ANY, TTL 0.
        guard packet.uint16(at: nameEnd + 2) == 255, packet.uint16(at: nameEnd + 4) == 0,
            packet.uint16(at: nameEnd + 6) == 0,
            let algorithmEnd = skipName(packet, at: nameEnd + 10), algorithmEnd + 10 <= dataEnd
        else { return false }
        // Time and fudge, then the MAC, then ID, error and other data, each with its length.
        let macEnd = algorithmEnd + 10 + Int(packet.uint16(at: algorithmEnd + 8))
        guard macEnd + 6 <= dataEnd,
            macEnd + 6 + Int(packet.uint16(at: macEnd + 4)) == dataEnd
        else { return false }
        isSigned = true
        signature = nil
        if isUncompressed(packet, from: start, to: nameEnd),
            isUncompressed(packet, from: nameEnd + 10, to: algorithmEnd)
        {
            signature = SignatureRecord(
                start: start, nameEnd: nameEnd, algorithmEnd: algorithmEnd,
                originalID: packet.uint16(at: macEnd))
        }
        return true
    }

    /// Reads an ECS option to the letter of RFC 7871, sections 6 and 7.2.1: no scope in a query, as
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

    /// Whether a name that `skipName` went over has no pointer: then it ends in the root's octet.
    private func isUncompressed(_ packet: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        var position = start
        while position < end, packet[position] < 0xC0, packet[position] > 0 {
            position += Int(packet[position]) + 1
        }
        return position == end - 1
    }
}

/// Option codes of EDNS (RFC 6891, section 6.1.2) that are read or written here.
public enum EDNSOption {
    /// RFC 5001.
    public static let nsid: UInt16 = 3
    /// RFC 7871.
    public static let clientSubnet: UInt16 = 8
    /// RFC 7873.
    public static let cookie: UInt16 = 10
    /// RFC 7828.
    public static let keepalive: UInt16 = 11
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

    /// The eight octets at `position` as a number in network order.
    ///
    /// - Precondition: `position + 8 <= count`.
    @inlinable
    public func uint64(at position: Int) -> UInt64 {
        // Safe: bounds-checked, and octets have no invalid values.
        unsafe UInt64(
            bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
    }
}
