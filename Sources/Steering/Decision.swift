// What was decided for one query: everything that the packet writer, the counters and `explain`
// need, as plain numbers. Names and texts are in `Steering.configuration` by index.

/// The answer chosen for one client, with what led to it.
public struct Decision: Sendable, BitwiseCopyable, Hashable {
    /// Why this pool.
    public enum Reason: UInt8, Sendable, BitwiseCopyable {
        /// The first usable pool in the rule's order for this client.
        case ranked
        /// Drawn by weight among the rule's usable pools.
        case drawn
        /// The client's prefix picked it among the rule's usable pools.
        case hashed
        /// Nothing that can be used has room for the client: its prefix picked this by capacity.
        case overCapacity
        /// All usable pools of the rule answer together.
        case all
        /// No rule matched the client: the fallback pool.
        case noRuleMatched
        /// No pool of the rule can be used: the fallback pool.
        case fallback
        /// No pool of the rule can be used: the first one in the order for this client.
        case firstOfDown
        /// No pool of the rule can be used: all of them answer together.
        case allDown
        /// Neither can the fallback pool: the first in the order that has an address which is not down, but
        /// drained, or up without enough others.
        case lastResort
        /// Nor can the fallback pool be used: it answers what it has, rather than nothing.
        case everythingDown
        /// No pool of the rule can be used: an error (SERVFAIL) rather than an address.
        case failure
    }

    /// The index of the service.
    public var service: UInt32
    /// The index of the outcome: which rule, and its pools in which order.
    public var outcome: UInt32
    /// The index of the rule in the service; -1 if none matched.
    public var rule: Int32
    /// The index of the pool that answers; -1 if several do together, or none.
    public var pool: Int32 = -1
    /// The pool's place in the outcome's order, from 0; -1 if it is not from there.
    public var position: Int32 = -1
    /// The index of the pool whose address is given beside; -1 if none is.
    public var spare: Int32 = -1
    public var reason: Reason
    /// How many leading bits of the client's address this depended on: every address that shares
    /// them gets the same decision (RFC 7871, section 7.2.1). Zero is "everyone".
    ///
    /// What the location tree said depends on no health. A pool that leaves a share of its clients to
    /// others tells them apart by their prefix, and the scope is at least as long as that.
    public var scope: UInt8
    /// Whether the client's place was looked up by the resolver's address, though a subnet was given.
    public var wentByResolver = false
    /// Whether several runs of addresses answer: then `ipv4` and `ipv6` are but the first of each, and
    /// `SteeringState.runs` has them all.
    public var hasSeveralRuns = false
    /// Whether it was drawn at random, on any level: others of this client may come out otherwise.
    public var isDrawn = false
    /// Whether the client's first choice did not take it, in a rule whose pools state capacities.
    public var isDisplaced = false
    /// Whether all that can be used left the client to others, so that one of them had to take it.
    public var isForced = false
    /// Whether the service says how long the answer may be kept; `SteeringState.ttl` has it.
    public var hasTTL = false
    /// Which share of the displaced clients comes as far in the order as this one has.
    var reach = Share.all
    /// The marks of those that have not taken it (`Room.mark`).
    var refusers: UInt64 = 0
    /// The bits by which several origins are drawn, and the spare's.
    var key: UInt64 = 0
    var spareKey: UInt64 = 0
    /// The indexes, in the pool, of the origins drawn for each family; -1 if none was drawn.
    ///
    /// They are the same unless an origin lacks a family, or is down in one.
    public var ipv4Origin: Int32 = -1
    public var ipv6Origin: Int32 = -1
    /// The index of the host whose name answers, for `SteeringState.loadHost`; -1 if addresses do.
    public var host: Int32 = -1
    /// What A and AAAA carry; empty for a family that the service does not have.
    public var ipv4 = AddressRange()
    public var ipv6 = AddressRange()
}

/// What an answer carries of one family: runs of the state's addresses, in the order of the answer.
public struct AddressRuns: Sendable, BitwiseCopyable {
    /// One for each origin that an answer may draw, and one for the spare.
    private var runs = InlineArray<9, AddressRange>(repeating: AddressRange())
    private var origins = InlineArray<9, Int32>(repeating: -1)
    /// How many runs there are.
    public private(set) var count = 0
    /// How many addresses there are in all.
    public private(set) var addressCount = 0

    public subscript(index: Int) -> AddressRange { runs[index] }

    /// - Parameter origin: its index in the pool; -1 if the run is that of several origins, or a spare.
    mutating func append(_ range: AddressRange, origin: Int32 = -1) {
        guard range.count > 0, count < 9 else { return }
        runs[count] = range
        origins[count] = origin
        count += 1
        addressCount += Int(range.count)
    }

    /// The origin of the first run.
    var origin: Int32 { origins[0] }

    /// The addresses' indices.
    public var indices: [UInt32] { (0..<count).flatMap { runs[$0].indices } }

    /// The indexes, in their pool, of the origins that were drawn.
    var drawnOrigins: [Int32] { (0..<count).map { origins[$0] }.filter { $0 >= 0 } }
}

/// A run of the state's addresses of one family.
public struct AddressRange: Sendable, BitwiseCopyable, Hashable {
    public var start: UInt32
    public var count: UInt32

    @inlinable
    public init(start: UInt32 = 0, count: UInt32 = 0) {
        self.start = start
        self.count = count
    }

    /// What to give `SteeringState.ipv4Address` or `ipv6Address`.
    @inlinable
    public var indices: Range<UInt32> { start..<start + count }

    @inlinable
    public var isEmpty: Bool { count == 0 }
}
