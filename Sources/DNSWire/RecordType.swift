// Record types by number and mnemonic. What each type's data looks like is the table in
// RecordTypeTable.swift.

/// A record type (RFC 1035, section 3.2.2).
public struct RecordType: Hashable, Sendable, BitwiseCopyable {
    public let code: UInt16

    @inlinable
    public init(_ code: UInt16) { self.code = code }

    @inlinable public static var a: RecordType { RecordType(1) }
    @inlinable public static var ns: RecordType { RecordType(2) }
    @inlinable public static var cname: RecordType { RecordType(5) }
    @inlinable public static var soa: RecordType { RecordType(6) }
    @inlinable public static var ptr: RecordType { RecordType(12) }
    @inlinable public static var mx: RecordType { RecordType(15) }
    @inlinable public static var txt: RecordType { RecordType(16) }
    @inlinable public static var aaaa: RecordType { RecordType(28) }
    @inlinable public static var srv: RecordType { RecordType(33) }
    @inlinable public static var dname: RecordType { RecordType(39) }
    @inlinable public static var opt: RecordType { RecordType(41) }
    @inlinable public static var ds: RecordType { RecordType(43) }
    @inlinable public static var rrsig: RecordType { RecordType(46) }
    @inlinable public static var nsec: RecordType { RecordType(47) }
    @inlinable public static var dnskey: RecordType { RecordType(48) }
    @inlinable public static var svcb: RecordType { RecordType(64) }
    @inlinable public static var https: RecordType { RecordType(65) }
    /// What a signed denial says of a name that does not exist; never asked for (RFC 9824).
    @inlinable public static var nxname: RecordType { RecordType(128) }
    @inlinable public static var tsig: RecordType { RecordType(250) }
    @inlinable public static var ixfr: RecordType { RecordType(251) }
    @inlinable public static var axfr: RecordType { RecordType(252) }
    @inlinable public static var any: RecordType { RecordType(255) }

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
    /// No such name, but address hints that are filled in for each client: SVCB and HTTPS of a zone that
    /// says `auto`. `MessageWriter.appendBindings` writes these.
    case automaticHints
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
