// The rows of a compiled `ZoneSet`: plain numbers that point at each other by index, so that a
// million names are a few allocations and a lookup follows no reference.

public import DNSWire
public import Settings

/// An RRset, ready to be copied into an answer.
///
/// Its block holds every record as `C0 0C | type | class IN | TTL | length | data`: right as it
/// stands for an RRset whose owner is the question's name, at octet 12 of the message. For other
/// owners the two octets of each record's pointer are overwritten. Names in the data are
/// uncompressed and keep their case; `layout` says where a writer finds them.
public struct RRset: BitwiseCopyable, Sendable {
    public let type: RecordType
    public let recordCount: UInt16
    public let ttl: UInt32
    @usableFromInline let start: UInt32
    @usableFromInline let length: UInt16
    public let layout: NameLayout
    /// How many RRsets go with this one as an answer; `ZoneSet.additional(of:)` has them.
    public internal(set) var additionalCount: UInt8 = 0

    /// Where the block begins in `ZoneSet.octets`.
    @inlinable
    public var blockStart: Int { Int(start) }

    /// The block's octets.
    @inlinable
    public var blockLength: Int { Int(length) }
}

/// What a zone set has at one name, or on one side of a zone cut.
struct Node: BitwiseCopyable, Sendable {
    struct Flags: OptionSet, BitwiseCopyable, Sendable {
        let rawValue: UInt8
        /// The top of its zone.
        static let apex = Flags(rawValue: 1)
        /// NS below the apex: this name and all below it belong to another zone.
        static let cut = Flags(rawValue: 2)
        static let cname = Flags(rawValue: 4)
        static let dname = Flags(rawValue: 8)
        static let steered = Flags(rawValue: 16)
        /// On the way to a deeper zone only; its own zone does not know it.
        static let pathOnly = Flags(rawValue: 32)
    }

    /// The name in canonical wire format, in the arena.
    let nameStart: UInt32
    /// -1 where no zone is.
    let zone: Int32
    let firstSet: Int32
    /// The node of `*` right below, or -1.
    var wildcard: Int32
    /// Of a path: the nearest node above that its zone knows, or -1. Of an apex: the parent zone's
    /// node of the same name, or -1.
    var link: Int32
    /// Steered: the index of its service. A cut: the first of its glue.
    var extra: Int32
    /// Steered: its TTL. A cut: how many rows of glue it has.
    var extraValue: UInt32
    let setCount: UInt8
    let labelCount: UInt8
    let flags: Flags
    let reserved: UInt8 = 0
}

/// One entry of the open-addressing table; `node` is -1 in an empty one.
struct Slot: BitwiseCopyable, Sendable {
    let hash: UInt32
    let node: Int32
}

/// What negative answers need of a zone.
struct ZoneRow: BitwiseCopyable, Sendable {
    /// The SOA with the TTL of negative answers.
    let negativeSOA: Int32
    let apexLabels: UInt8
}

/// The addresses of one name server of a delegation.
public struct Glue: BitwiseCopyable, Sendable {
    /// Where the server's name stands in `ZoneSet.octets`: in the data of one of the records of the
    /// referral's NS RRset, so that a writer can point at its copy of it.
    public let targetStart: UInt32
    /// The server's name in octets.
    public let targetLength: UInt8
    /// Whether the name lies at or below the cut, so that the referral is useless without it: it
    /// has to be in the answer, or TC set (RFC 9471, section 3.1).
    public let isRequired: Bool
    /// The RRset of its A records, or -1.
    public let a: Int32
    /// The RRset of its AAAA records, or -1.
    public let aaaa: Int32
}

/// A service that STEER records name.
public struct SteerReference: Sendable {
    /// One STEER record.
    public struct Use: Sendable {
        public let owner: Name
        public let ttl: UInt32
        /// Whether the record itself states the TTL.
        public let hasOwnTTL: Bool
        public let position: SourcePosition
        /// The types that the owner has beside it.
        public let company: [RecordType]

        init(_ record: ZoneRecord, besides company: [RecordType] = []) {
            owner = record.owner
            ttl = record.ttl
            hasOwnTTL = record.hasOwnTTL
            position = record.position
            self.company = company
        }
    }

    /// How many uses are kept; as many as there can be diagnostics about them.
    public static let maximumUses = Diagnostics.limit

    /// All services that sources name, for when they can't become a `ZoneSet`.
    public static func all(in sources: [ZoneSource]) -> [SteerReference] {
        var references: [SteerReference] = []
        var indexes: [String: Int] = [:]
        for source in sources {
            for record in source.records {
                guard case .steer(let service) = record.content else { continue }
                let index = indexes[service] ?? references.count
                if index == references.count {
                    indexes[service] = index
                    references.append(SteerReference(service: service, uses: []))
                }
                references[index].add(Use(record))
            }
        }
        return references
    }

    public let service: String
    /// Where it is named, in file order of each zone; the first `maximumUses`.
    public internal(set) var uses: [Use]
    /// Those uses of all that have company, so that no alias may stand there; the first `maximumUses`.
    public internal(set) var accompanied: [Use] = []
    /// The longest TTL of all uses, in seconds.
    public private(set) var longestTTL: UInt32 = 0

    mutating func add(_ use: Use) {
        longestTTL = max(longestTTL, use.ttl)
        if uses.count < Self.maximumUses { uses.append(use) }
        if !use.company.isEmpty, accompanied.count < Self.maximumUses { accompanied.append(use) }
    }
}

/// A steered name that a record takes for a host.
public struct SteeredHost: Sendable {
    public let type: RecordType
    public let target: Name
    /// Of the record.
    public let position: SourcePosition
    /// The index in `ZoneSet.steerReferences`.
    public let steer: Int32
}

/// A zone as its files state it.
public struct ZoneSummary: Sendable {
    public let apex: Name
    public let file: String
    public let serial: UInt32
    /// Records, STEER included, duplicates not.
    public let recordCount: Int
}
