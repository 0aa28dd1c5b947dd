// Record types by number and mnemonic. What each type's data looks like is the table in
// RecordTypeTable.swift.

/// A record type (RFC 1035, section 3.2.2).
public struct RecordType: Hashable, Sendable, BitwiseCopyable {
    public let code: UInt16

    @inlinable
    public init(_ code: UInt16) { self.code = code }

    public static let a = RecordType(1)
    public static let ns = RecordType(2)
    public static let cname = RecordType(5)
    public static let soa = RecordType(6)
    public static let ptr = RecordType(12)
    public static let hinfo = RecordType(13)
    public static let mx = RecordType(15)
    public static let txt = RecordType(16)
    public static let aaaa = RecordType(28)
    public static let srv = RecordType(33)
    public static let naptr = RecordType(35)
    public static let dname = RecordType(39)
    public static let opt = RecordType(41)
    public static let ds = RecordType(43)
    public static let rrsig = RecordType(46)
    public static let nsec = RecordType(47)
    public static let dnskey = RecordType(48)
    public static let nsec3 = RecordType(50)
    public static let nsec3param = RecordType(51)
    public static let svcb = RecordType(64)
    public static let https = RecordType(65)
    public static let any = RecordType(255)

    /// Whether the type exists in messages only, never as data in a zone.
    ///
    /// Type 0, OPT, and 128 to 255: meta types and query types (RFC 6895, section 3.1).
    @inlinable
    public var isMeta: Bool { code == 0 || code == 41 || (128...255).contains(code) }
}

// MARK: - Names in the data

/// Where a type's data holds names that a message may compress.
///
/// Only the types of RFC 1035 have such names (RFC 3597, section 4); the data of every other type
/// is copied as it is.
public enum NameLayout: UInt8, Sendable, BitwiseCopyable {
    /// No name that may be compressed.
    case none
    /// One name and nothing else: NS, CNAME, PTR.
    case name
    /// Two octets, then one name: MX.
    case preferenceThenName
    /// Two names, then twenty octets: SOA.
    case twoNamesThenFixed
}

extension RecordType {
    /// How to compress this type's data.
    @inlinable
    public var nameLayout: NameLayout {
        switch code {
        case 2, 5, 12: .name
        case 15: .preferenceThenName
        case 6: .twoNamesThenFixed
        default: .none
        }
    }
}

// MARK: - Mnemonics

extension RecordType: CustomStringConvertible {
    /// A type from its mnemonic or from `TYPEnnn` (RFC 3597, section 5), in any case.
    public init?(mnemonic: some StringProtocol) {
        self.init(mnemonic: Array(mnemonic.utf8)[...])
    }

    /// A type from the octets of its mnemonic or of `TYPEnnn`, in any case.
    public init?(mnemonic octets: ArraySlice<UInt8>) {
        guard let key = Self.key(ofMnemonic: octets) else { return nil }
        if let type = RecordTypeTable.typesByMnemonic[key] {
            self = type
            return
        }
        guard octets.count > 4, Self.key(ofMnemonic: octets.prefix(4)) == Self.genericPrefix,
            let code = parseDecimal(octets.dropFirst(4), maximum: UInt64(UInt16.max))
        else { return nil }
        self.init(UInt16(code))
    }

    /// The mnemonic, or `TYPEnnn` for a type without one.
    public var description: String {
        if let row = RecordTypeTable.row(of: self) { return row.mnemonic }
        return RecordTypeTable.metaTypes.first { $0.type == self }?.mnemonic ?? "TYPE\(code)"
    }

    /// All mnemonics of types that a zone may hold, for "did you mean".
    public static var dataMnemonics: [String] { RecordTypeTable.rows.map(\.mnemonic) }

    /// Up to 16 octets in upper case as one number, so that no text is made to look a type up.
    static func key(ofMnemonic octets: ArraySlice<UInt8>) -> UInt128? {
        guard (1...16).contains(octets.count) else { return nil }
        var key: UInt128 = 0
        for octet in octets {
            key = key << 8 | UInt128(octet &- 0x61 < 26 ? octet & 0xDF : octet)
        }
        return key
    }

    private static let genericPrefix = key(ofMnemonic: Array("TYPE".utf8)[...])
}

/// Returns the value of one to twenty ASCII digits; nil if there is anything else or it is more
/// than `maximum`.
func parseDecimal(_ octets: ArraySlice<UInt8>, maximum: UInt64) -> UInt64? {
    guard (1...20).contains(octets.count) else { return nil }
    var value: UInt64 = 0
    for octet in octets {
        guard octet &- 0x30 < 10 else { return nil }
        let (product, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(UInt64(octet &- 0x30))
        guard !overflow, !carry, sum <= maximum else { return nil }
        value = sum
    }
    return value
}
