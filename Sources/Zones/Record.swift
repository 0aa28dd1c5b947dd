// What the master-file reader hands to the zone builder: records with the places they were written at.
// There may be millions, so they are packed: octets one after the other, and a row for each record.

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

/// Records in file order, packed; each can be had as a `ZoneRecord`.
public struct ZoneRecords: RandomAccessCollection, Sendable {
    /// Numbers of one record.
    struct Row: BitwiseCopyable {
        /// The owner's wire format in `octets`; records that follow each other may share it.
        var ownerStart: UInt32
        var dataStart: UInt32
        var dataLength: UInt32
        var ttl: UInt32
        var line: UInt32
        var column: UInt32
        /// Which of `files`.
        var file: UInt32
        /// 0 for STEER, whose data is the service's name: no record of a zone has that type.
        var type: UInt16
        var ownerLength: UInt8
        var hasOwnTTL: Bool

        var ownerRange: Range<Int> { Int(ownerStart)..<Int(ownerStart) + Int(ownerLength) }
        var dataRange: Range<Int> { Int(dataStart)..<Int(dataStart) + Int(dataLength) }
    }

    private(set) var rows: [Row] = []
    /// How many times the owner is not that of the record before: as many names at the most.
    private(set) var ownerCount = 0
    /// Owners and data in wire format.
    private(set) var octets: [UInt8] = []
    private var files: [String] = []

    public init() {}

    public init(_ records: some Sequence<ZoneRecord>) {
        for record in records { append(record) }
    }

    /// Makes room for the records of a text, so that they need not be moved while they become more.
    mutating func reserveCapacity(forText length: Int) {
        // A short record has some 20 octets: "www A 192.0.2.1". What is not used costs nothing, but a
        // system that promises no more than it has may not give very much at once.
        rows.reserveCapacity(Swift.min(length / 16, 1 << 22))
        octets.reserveCapacity(Swift.min(length + length / 2, 1 << 27))
    }

    /// Adds a record.
    ///
    /// - Precondition: owners and data come to less than 2^32 octets; see `maximumZoneRecordsLength`.
    public mutating func append(_ record: ZoneRecord) {
        if files.last != record.position.file { files.append(record.position.file) }
        var ownerStart = octets.count
        if let last = rows.last, octets[last.ownerRange].elementsEqual(record.owner.wire) {
            ownerStart = Int(last.ownerStart)
        } else {
            octets += record.owner.wire
            ownerCount += 1
        }
        let dataStart = octets.count
        var type: UInt16 = 0
        switch record.content {
        case .data(let dataType, let data):
            type = dataType.code
            octets += data
        case .steer(let service): octets += service.utf8
        }
        rows.append(
            Row(
                ownerStart: UInt32(ownerStart), dataStart: UInt32(dataStart),
                dataLength: UInt32(octets.count - dataStart), ttl: record.ttl,
                line: UInt32(clamping: record.position.line),
                column: UInt32(clamping: record.position.column), file: UInt32(files.count - 1),
                type: type, ownerLength: UInt8(record.owner.wire.count),
                hasOwnTTL: record.hasOwnTTL))
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { rows.count }

    public subscript(index: Int) -> ZoneRecord {
        let row = rows[index]
        let data = data(at: index)
        return ZoneRecord(
            owner: owner(at: index), ttl: row.ttl, hasOwnTTL: row.hasOwnTTL,
            content: row.type == 0
                ? .steer(service: String(decoding: data, as: UTF8.self))
                : .data(RecordType(row.type), Array(data)),
            position: position(at: index))
    }

    func owner(at index: Int) -> Name { Name(uncheckedWire: octets[rows[index].ownerRange]) }

    func data(at index: Int) -> ArraySlice<UInt8> { octets[rows[index].dataRange] }

    func position(at index: Int) -> SourcePosition {
        let row = rows[index]
        return SourcePosition(
            file: files[Int(row.file)], line: Int(row.line), column: Int(row.column))
    }
}

/// The records of one zone in file order.
public struct ZoneSource: Sendable {
    public var apex: Name
    public var records: ZoneRecords
    /// The zone's main file, for findings about the zone as a whole.
    public var file: String
    /// Whether the text had no error: if it had one, records are missing, and that something is not there
    /// is no finding of its own.
    public var isComplete: Bool

    public init(apex: Name, records: [ZoneRecord], file: String, isComplete: Bool = true) {
        self.init(apex: apex, records: ZoneRecords(records), file: file, isComplete: isComplete)
    }

    init(apex: Name, records: ZoneRecords, file: String, isComplete: Bool) {
        self.apex = apex
        self.records = records
        self.file = file
        self.isComplete = isComplete
    }
}
