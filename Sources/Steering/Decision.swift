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
        /// All usable pools of the rule answer together.
        case all
        /// No rule matched the client: the fallback pool.
        case noRuleMatched
        /// No pool of the rule can be used: the fallback pool.
        case fallback
        /// Nor can the fallback pool be used: it answers what it has, rather than nothing.
        case everythingDown
    }

    /// The index of the service.
    public var service: UInt32
    /// The index of the outcome: which rule, and its pools in which order.
    public var outcome: UInt32
    /// The index of the rule in the service; -1 if none matched.
    public var rule: Int32
    /// The index of the pool that answers; -1 if several do (`all`).
    public var pool: Int32 = -1
    /// The pool's place in the outcome's order, from 0; -1 if it is not from there.
    public var position: Int32 = -1
    public var reason: Reason
    /// How many leading bits of the client's address this depended on, health set aside: every
    /// address that shares them gets the same outcome (RFC 7871, section 7.2.1). Zero is "everyone".
    public var scope: UInt8
    /// The indexes, in the pool, of the origins drawn for each family; -1 if none was drawn.
    ///
    /// They are the same unless an origin lacks a family, or is down in one.
    public var ipv4Origin: Int32 = -1
    public var ipv6Origin: Int32 = -1
    /// What A and AAAA carry; empty for a family that the service does not have.
    public var ipv4 = AddressRange()
    public var ipv6 = AddressRange()
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
