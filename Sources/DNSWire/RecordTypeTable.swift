// The record types that Rhumb knows, one row each: mnemonic, number, and the fields of the data.
// RDataReader.swift turns text into octets by these rows, RDataWire.swift checks and walks octets,
// RDataWriter.swift turns them into text. A new type is a new row, unless it needs a new kind
// of field.

/// One kind of field in record data, with its wire format and its presentation format.
enum RDataField: Sendable, BitwiseCopyable {
    /// A domain name.
    case name
    case uint8
    case uint16
    case uint32
    /// Seconds in 32 bits; text may use units: `1h30m`.
    case seconds
    case ipv4
    case ipv6
    /// A length octet and up to 255 octets (RFC 1035, section 3.3).
    case characterString
    /// One or more character-strings, to the end.
    case characterStrings
    /// The rest as octets without a length, written as one quoted string; may be empty.
    case text
    /// As `text`, but never empty (RFC 7553, section 4.4).
    case nonEmptyText
    /// A length octet and ASCII letters and digits, at least one (RFC 8659, section 4.1).
    case tag
    /// The rest in hexadecimal; at least one octet.
    case hexadecimal
    /// The rest in base64; at least one octet.
    case base64
    /// A record type by mnemonic.
    case recordType
    /// A DNSSEC algorithm by number or mnemonic (RFC 4034, appendix A.1).
    case algorithm
    /// A certificate type by number or mnemonic (RFC 4398, section 2.1).
    case certificateType
    /// Seconds since 1970 in 32 bits, as number or YYYYMMDDHHmmSS (RFC 4034, section 3.2).
    case timestamp
    /// The rest as a type bitmap (RFC 4034, section 4.1.2); may be empty.
    case typeBitmap
    /// A length octet and a salt in hexadecimal, `-` for none (RFC 5155, section 3.3).
    case salt
    /// A length octet and a hash in base32hex without padding (RFC 5155, section 3.3).
    case hash
    /// The rest as service parameters (RFC 9460, section 2).
    case serviceParameters
    /// Sixteen octets of place and size (RFC 1876).
    case place
    /// The rest as address prefixes (RFC 3123); may be empty.
    case prefixes
    /// Eight octets as four groups of hexadecimal digits with colons between (RFC 6742).
    case locator64
    /// Six octets as `xx-xx-…` (RFC 7043).
    case eui48
    /// Eight octets as `xx-xx-…` (RFC 7043).
    case eui64
}

/// What is known of one type.
struct RecordTypeRow: Sendable {
    let type: RecordType
    let mnemonic: String
    /// The fields in words, shown when there are too few or too many.
    let usage: String
    let fields: [RDataField]

    init(_ mnemonic: String, _ code: UInt16, _ usage: String, _ fields: RDataField...) {
        self.type = RecordType(code)
        self.mnemonic = mnemonic
        self.usage = usage
        self.fields = fields
    }
}

enum RecordTypeTable {
    static let rows: [RecordTypeRow] = [
        // RFC 1035
        .init("A", 1, "address", .ipv4),
        .init("NS", 2, "name", .name),
        .init("CNAME", 5, "name", .name),
        .init(
            "SOA", 6, "primary mailbox serial refresh retry expire minimum",
            .name, .name, .uint32, .seconds, .seconds, .seconds, .seconds),
        .init("MB", 7, "name", .name),
        .init("MG", 8, "name", .name),
        .init("MR", 9, "name", .name),
        .init("PTR", 12, "name", .name),
        .init("HINFO", 13, "cpu os", .characterString, .characterString),
        .init("MINFO", 14, "mailbox error-mailbox", .name, .name),
        .init("MX", 15, "preference name", .uint16, .name),
        .init("TXT", 16, "\"string\" ...", .characterStrings),
        // RFC 1183
        .init("RP", 17, "mailbox name", .name, .name),
        .init("AFSDB", 18, "subtype name", .uint16, .name),
        .init("X25", 19, "address", .characterString),
        .init("RT", 21, "preference name", .uint16, .name),
        // RFC 2535, RFC 3445
        .init(
            "KEY", 25, "flags protocol algorithm key", .uint16, .uint8, .algorithm, .base64),
        // RFC 2163
        .init("PX", 26, "preference name x400-name", .uint16, .name, .name),
        // RFC 1712
        .init(
            "GPOS", 27, "longitude latitude altitude",
            .characterString, .characterString, .characterString),
        // RFC 3596
        .init("AAAA", 28, "address", .ipv6),
        // RFC 1876
        .init(
            "LOC", 29, "latitude N|S longitude E|W altitude [size [horizontal [vertical]]]",
            .place),
        // RFC 2782
        .init("SRV", 33, "priority weight port name", .uint16, .uint16, .uint16, .name),
        // RFC 3403
        .init(
            "NAPTR", 35, "order preference \"flags\" \"services\" \"regexp\" name",
            .uint16, .uint16, .characterString, .characterString, .characterString, .name),
        // RFC 2230
        .init("KX", 36, "preference name", .uint16, .name),
        // RFC 4398
        .init(
            "CERT", 37, "type tag algorithm certificate",
            .certificateType, .uint16, .algorithm, .base64),
        // RFC 6672
        .init("DNAME", 39, "name", .name),
        // RFC 3123
        .init("APL", 42, "[!]family:address/length ...", .prefixes),
        // RFC 4034
        .init(
            "DS", 43, "tag algorithm digest-type digest",
            .uint16, .algorithm, .uint8, .hexadecimal),
        // RFC 4255
        .init("SSHFP", 44, "algorithm type fingerprint", .uint8, .uint8, .hexadecimal),
        // RFC 4034
        .init(
            "RRSIG", 46,
            "type algorithm labels ttl expiration inception tag signer signature",
            .recordType, .algorithm, .uint8, .uint32, .timestamp, .timestamp, .uint16, .name,
            .base64),
        .init("NSEC", 47, "next-name types ...", .name, .typeBitmap),
        .init(
            "DNSKEY", 48, "flags protocol algorithm key", .uint16, .uint8, .algorithm, .base64),
        // RFC 4701
        .init("DHCID", 49, "identifier", .base64),
        // RFC 5155
        .init(
            "NSEC3", 50, "hash-algorithm flags iterations salt next-hash types ...",
            .uint8, .uint8, .uint16, .salt, .hash, .typeBitmap),
        .init(
            "NSEC3PARAM", 51, "hash-algorithm flags iterations salt",
            .uint8, .uint8, .uint16, .salt),
        // RFC 6698, RFC 8162
        .init(
            "TLSA", 52, "usage selector matching-type data", .uint8, .uint8, .uint8, .hexadecimal),
        .init(
            "SMIMEA", 53, "usage selector matching-type data",
            .uint8, .uint8, .uint8, .hexadecimal),
        // RFC 7344, RFC 8078
        .init(
            "CDS", 59, "tag algorithm digest-type digest", .uint16, .algorithm, .uint8, .hexadecimal
        ),
        .init(
            "CDNSKEY", 60, "flags protocol algorithm key", .uint16, .uint8, .algorithm, .base64),
        // RFC 7929
        .init("OPENPGPKEY", 61, "key", .base64),
        // RFC 7477
        .init("CSYNC", 62, "serial flags types ...", .uint32, .uint16, .typeBitmap),
        // RFC 8976
        .init(
            "ZONEMD", 63, "serial scheme hash-algorithm digest",
            .uint32, .uint8, .uint8, .hexadecimal),
        // RFC 9460
        .init("SVCB", 64, "priority target [key[=value]] ...", .uint16, .name, .serviceParameters),
        .init("HTTPS", 65, "priority target [key[=value]] ...", .uint16, .name, .serviceParameters),
        // RFC 7208
        .init("SPF", 99, "\"string\" ...", .characterStrings),
        // RFC 6742
        .init("NID", 104, "preference identifier", .uint16, .locator64),
        .init("L32", 105, "preference locator", .uint16, .ipv4),
        .init("L64", 106, "preference locator", .uint16, .locator64),
        .init("LP", 107, "preference name", .uint16, .name),
        // RFC 7043
        .init("EUI48", 108, "xx-xx-xx-xx-xx-xx", .eui48),
        .init("EUI64", 109, "xx-xx-xx-xx-xx-xx-xx-xx", .eui64),
        // RFC 7553
        .init("URI", 256, "priority weight \"target\"", .uint16, .uint16, .nonEmptyText),
        // RFC 8659
        .init("CAA", 257, "flags tag \"value\"", .uint8, .tag, .text),
        .init("AVC", 258, "\"string\" ...", .characterStrings),
        // RFC 9606
        .init("RESINFO", 261, "\"key[=value]\" ...", .characterStrings),
    ]

    /// Types with a mnemonic that no zone holds (RFC 6895, section 3.1).
    static let metaTypes: [(mnemonic: String, type: RecordType)] = [
        ("OPT", RecordType(41)), ("TKEY", RecordType(249)), ("TSIG", RecordType(250)),
        ("IXFR", RecordType(251)), ("AXFR", RecordType(252)), ("MAILB", RecordType(253)),
        ("MAILA", RecordType(254)), ("ANY", RecordType(255)),
    ]

    /// The row of a type; nil for a type that is only known by its number.
    static func row(of type: RecordType) -> RecordTypeRow? { index(of: type).map { rows[$0] } }

    /// The fields of such a row, without copies of its texts.
    static func fields(of type: RecordType) -> [RDataField]? {
        index(of: type).map { rows[$0].fields }
    }

    private static func index(of type: RecordType) -> Int? {
        let code = Int(type.code)
        guard code < rowIndices.count, rowIndices[code] >= 0 else { return nil }
        return Int(rowIndices[code])
    }

    /// Row numbers by type code, up to the largest code in the table; -1 where there is none.
    private static let rowIndices: [Int16] = {
        let largest = rows.reduce(0) { max($0, Int($1.type.code)) }
        var indices = [Int16](repeating: -1, count: largest + 1)
        for (index, row) in rows.enumerated() { indices[Int(row.type.code)] = Int16(index) }
        return indices
    }()

    static let typesByMnemonic: [UInt128: RecordType] = {
        var types: [UInt128: RecordType] = [:]
        for (mnemonic, type) in rows.map({ ($0.mnemonic, $0.type) }) + metaTypes {
            guard let key = RecordType.key(ofMnemonic: Array(mnemonic.utf8)[...]) else { continue }
            types[key] = type
        }
        return types
    }()
}
