// The compiled location tree: an address in, the index of its outcome and the scope out.
//
// A flat table of 32-bit entries. The first 16 bits of an address pick an entry of the family's
// root; an entry is a leaf, or tells where the next bits, two to eight, go on. Where networks are
// dense a step takes more bits, where they are sparse fewer (level compression, as in the LC-trie
// of Nilsson and Karlsson), and parts that are alike are there once, so the table stays small: what a
// query costs here is cache lines, not steps.

public import DNSWire

/// What the tree says of an address.
public struct LocationMatch: Hashable, Sendable, BitwiseCopyable {
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

/// The outcome of every address there is, for one list of rules; immutable.
public final class LocationTree: Sendable {
    /// Both roots, then the nodes: see `Entry`.
    private let table: FlatArray<UInt32>

    init(table: [UInt32]) {
        precondition(table.count >= 2 * Entry.rootSlots, "a tree has a root for each family")
        self.table = FlatArray(table)
    }

    /// Returns the outcome of an address and the scope it has there; neither locks nor allocates.
    ///
    /// Of an IPv6 address that carries an IPv4 address, that one decides, and the scope reaches
    /// from the IPv6 address's start to the IPv4 bits that mattered.
    public func lookup(_ address: IPAddress) -> LocationMatch {
        guard address.family == .ipv6 else {
            return walk(root: 0, high: address.high, low: 0)
        }
        let match = walk(root: Entry.rootSlots, high: address.high, low: address.low)
        guard match.outcome >= BinaryTree.firstFold,
            let space = FoldedSpace(
                rawValue: UInt8(truncatingIfNeeded: match.outcome - BinaryTree.firstFold))
        else { return match }
        let inner = space.ipv4(high: address.high, low: address.low)
        var result = walk(root: 0, high: inner.high, low: 0)
        result.scope &+= UInt8(space.offset)
        return result
    }

    /// Returns what the leaf says that an address leads to.
    ///
    /// Ends, as each step leads to a part of the binary tree that the table was packed from.
    @inline(__always)
    private func walk(root: Int, high: UInt64, low: UInt64) -> LocationMatch {
        var entry = table[root &+ Int(truncatingIfNeeded: high >> UInt64(64 - Entry.rootBits))]
        var bits = high &<< UInt64(Entry.rootBits) | low &>> UInt64(64 - Entry.rootBits)
        var rest = low &<< UInt64(Entry.rootBits)
        var depth: UInt64 = 0
        var stride = UInt64(Entry.rootBits)
        while !Entry.isLeaf(entry) {
            depth = depth &+ stride
            stride = Entry.stride(ofNode: entry)
            let slot = Int(truncatingIfNeeded: bits &>> (64 &- stride))
            entry = table[Entry.index(ofNode: entry) &+ slot]
            bits = bits &<< stride | rest &>> (64 &- stride)
            rest = rest &<< stride
        }
        return LocationMatch(
            outcome: Entry.outcome(ofLeaf: entry),
            scope: UInt8(truncatingIfNeeded: depth) &+ Entry.depth(ofLeaf: entry))
    }
}

/// A table entry. A leaf has its top bit set, then 8 bits of depth and 23 of outcome; a node has
/// 4 bits of stride, from 1 on, and 27 of index. A leaf's depth counts from the node that it is an entry of, so
/// that a node is the same wherever it stands.
enum Entry {
    /// How many bits the roots take at once: 256 KiB each.
    static let rootBits = 16
    static let rootSlots = 1 << rootBits
    /// The entries that a node's index can reach.
    static let maximumIndex = 1 << 27

    static func leaf(depth: Int, outcome: UInt32) -> UInt32 {
        1 << 31 | UInt32(depth) << 23 | outcome
    }

    static func node(stride: Int, index: Int) -> UInt32 {
        UInt32(stride) << 27 | UInt32(index)
    }

    @inline(__always)
    static func isLeaf(_ entry: UInt32) -> Bool { entry >> 31 != 0 }

    @inline(__always)
    static func outcome(ofLeaf entry: UInt32) -> UInt32 { entry & 0x7F_FFFF }

    @inline(__always)
    static func depth(ofLeaf entry: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: entry >> 23) }

    @inline(__always)
    static func stride(ofNode entry: UInt32) -> UInt64 { UInt64(entry >> 27) }

    @inline(__always)
    static func index(ofNode entry: UInt32) -> Int { Int(entry & 0x7FF_FFFF) }
}
