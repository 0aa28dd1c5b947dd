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
    public static let dname = RecordType(39)
    public static let opt = RecordType(41)
    public static let ds = RecordType(43)
    public static let rrsig = RecordType(46)
    public static let svcb = RecordType(64)
    public static let https = RecordType(65)
    public static let any = RecordType(255)
}
