// What compiling works on: binary trees over the addresses of both families.

/// Nodes of two references each, children before parents.
struct BinaryTree {
    /// The left reference in the upper half, the right in the lower.
    fileprivate(set) var nodes: [UInt64] = []
    /// What IPv4 and IPv6 start with; a leaf of 0 says nothing.
    var roots = [leafBit, leafBit]

    /// A reference with this bit is a leaf and the rest of it a number; else it is a node's index.
    static let leafBit: UInt32 = 1 << 31
    /// Numbers from here on are the folded spaces: 2^23 are what a packed leaf has room for.
    static let firstFold: UInt32 = (1 << 23) - 8
    /// Node indices must leave room for a packed node's stride.
    static let maximumNodes = 1 << 26

    /// Makes room for nodes: growing by doubling would copy most of them once more.
    mutating func reserve(_ count: Int) {
        nodes.reserveCapacity(min(count, Self.maximumNodes))
    }

    /// The reference to what two halves make together: one leaf, or a new node.
    @inline(__always)
    mutating func join(_ zero: UInt32, _ one: UInt32) throws(CompileFault) -> UInt32 {
        // Each folded space occurs once, so leaves that are equal are never those.
        if zero == one, zero & Self.leafBit != 0 { return zero }
        guard nodes.count < Self.maximumNodes else { throw .tooLarge }
        nodes.append(UInt64(zero) << 32 | UInt64(one))
        return UInt32(truncatingIfNeeded: nodes.count - 1)
    }

    /// Where a reference's next bit leads: a leaf holds on both sides.
    @inline(__always)
    func children(of reference: UInt32) -> (left: UInt32, right: UInt32) {
        guard reference & Self.leafBit == 0 else { return (reference, reference) }
        let node = nodes[Int(reference)]
        return (UInt32(truncatingIfNeeded: node >> 32), UInt32(truncatingIfNeeded: node))
    }

    /// Where the nodes under one begin, in a tree that was made without sharing parts: they lie one after
    /// the other, halves before what they make, left ones first.
    func firstNode(under reference: UInt32) -> UInt32 {
        var node = reference
        while true {
            let (left, right) = children(of: node)
            if left & Self.leafBit == 0 {
                node = left
            } else if right & Self.leafBit == 0 {
                node = right
            } else {
                return node
            }
        }
    }

    /// Whether a reference is the leaf of a folded space.
    @inline(__always)
    static func isFold(_ reference: UInt32) -> Bool { reference >= leafBit | firstFold }

    static func fold(_ space: FoldedSpace) -> UInt32 {
        leafBit | firstFold + UInt32(space.rawValue)
    }

    static func leaf(_ number: UInt32) throws(CompileFault) -> UInt32 {
        guard number < firstFold else { throw .tooLarge }
        return leafBit | number
    }
}

/// Makes a tree from the leaves up in which parts that are alike are one part, wherever they stand.
///
/// Few outcomes in millions of networks make the same patterns over and over (trie folding: Rétvári et
/// al., "Compressing IP forwarding tables: towards entropy bounds and beyond", SIGCOMM 2013).
struct TreeBuilder {
    private(set) var tree = BinaryTree()
    /// A hash table of the nodes: one more than the index of each; 0 is a free slot. What is compared are the
    /// nodes themselves, so that it takes little beside them.
    private var slots: [UInt32] = Array(repeating: 0, count: 1 << 10)

    /// The reference to what two halves make together: one leaf, or the node that is alike, or a new one.
    @inline(__always)
    mutating func join(_ zero: UInt32, _ one: UInt32) throws(CompileFault) -> UInt32 {
        if zero == one, zero & BinaryTree.leafBit != 0 { return zero }
        let pair = UInt64(zero) << 32 | UInt64(one)
        let slot = slot(of: pair)
        if slots[slot] != 0 { return slots[slot] &- 1 }
        let new = try tree.join(zero, one)
        slots[slot] = new + 1
        if tree.nodes.count * 4 > slots.count * 3 { grow() }
        return new
    }

    /// Where a node is or would be.
    @inline(__always)
    private func slot(of pair: UInt64) -> Int {
        let mask = slots.count &- 1
        var slot = PairTable.hash(pair) & mask
        while slots[slot] != 0, tree.nodes[Int(slots[slot] &- 1)] != pair {
            slot = (slot &+ 1) & mask
        }
        return slot
    }

    private mutating func grow() {
        slots = Array(repeating: 0, count: slots.count * 2)
        for index in tree.nodes.indices {
            // No two are equal, so each finds a free one.
            slots[slot(of: tree.nodes[index])] = UInt32(truncatingIfNeeded: index + 1)
        }
    }
}
