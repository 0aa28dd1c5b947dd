// The compiled location tree: an address in, the index of its outcome and the scope out.

/// What the tree says of an address.
public struct LocationMatch: Sendable, BitwiseCopyable {
    /// The index that the compiler's `outcome` closure returned for this network.
    public var outcome: UInt32
    /// How many leading bits of the address the outcome depended on: 0 to 32 or 128.
    public var scope: UInt8

    @inlinable
    public init(outcome: UInt32, scope: UInt8) {
        self.outcome = outcome
        self.scope = scope
    }
}
