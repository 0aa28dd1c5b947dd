// What the master-file reader hands to the zone builder: one record with the place it was written.

public import DNSWire
public import Settings

/// One record of a zone file, checked for itself but not yet against its zone.
public struct ZoneRecord: Sendable {
    /// What a record carries.
    public enum Content: Sendable, Hashable {
        /// A record of the DNS: its type and its data in uncompressed wire format.
        case data(RecordType, [UInt8])
        /// The pseudo record `STEER service`: A and AAAA at this name come from that service.
        case steer(service: String)
    }

    public var owner: Name
    /// Seconds, at most 2^31 - 1 (RFC 2181, section 8).
    public var ttl: UInt32
    /// Whether the record's own line states the TTL.
    public var hasOwnTTL: Bool
    public var content: Content
    public var position: SourcePosition

    public init(
        owner: Name, ttl: UInt32, hasOwnTTL: Bool = false, content: Content,
        position: SourcePosition
    ) {
        self.owner = owner
        self.ttl = ttl
        self.hasOwnTTL = hasOwnTTL
        self.content = content
        self.position = position
    }
}

/// The records of one zone in file order.
public struct ZoneSource: Sendable {
    public var apex: Name
    public var records: [ZoneRecord]
    /// The zone's main file, for findings about the zone as a whole.
    public var file: String
    /// Whether the text had no error: if it had one, records are missing, and that something is not there
    /// is no finding of its own.
    public var isComplete: Bool

    public init(apex: Name, records: [ZoneRecord], file: String, isComplete: Bool = true) {
        self.apex = apex
        self.records = records
        self.file = file
        self.isComplete = isComplete
    }
}
