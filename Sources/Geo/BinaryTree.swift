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
    fileprivate mutating func reserve(_ count: Int) {
        nodes.reserveCapacity(min(count, Self.maximumNodes))
    }

    /// The index of a new node.
    @inline(__always)
    fileprivate mutating func append(_ pair: UInt64) throws(CompileFault) -> UInt32 {
        guard nodes.count < Self.maximumNodes else { throw .tooLarge }
        nodes.append(pair)
        return UInt32(truncatingIfNeeded: nodes.count - 1)
    }

    /// Where a reference's next bit leads: a leaf holds on both sides.
    @inline(__always)
    func children(of reference: UInt32) -> (left: UInt32, right: UInt32) {
        guard reference & Self.leafBit == 0 else { return (reference, reference) }
        let node = nodes[Int(reference)]
        return (UInt32(truncatingIfNeeded: node >> 32), UInt32(truncatingIfNeeded: node))
    }

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
/// Few outcomes in millions of networks make the same patterns over and over (trie folding: Rétvári
/// et al., "Compressing IP forwarding tables: towards entropy bounds and beyond", SIGCOMM 2013).
/// Larger parts hardly ever recur, though, and are not looked for: a node whose half was not there
/// before can't have been there, and can't be found again before that half is. Until then it is in
/// no table.
struct TreeBuilder {
    private(set) var tree = BinaryTree()
    /// A hash table of nodes: one more than the index of each; 0 is a free slot. What is compared
    /// are the nodes themselves, so that it takes little beside them.
    private var slots: [UInt32] = Array(repeating: 0, count: 1 << 10)
    private var entered = 0
    /// By node: one more than the index of the node that is to be entered once this one is found;
    /// or 0.
    private var waiting: [UInt32] = []
    private let hash = SeededHash()

    /// Marks a reference to a node that nothing else leads to yet; beside `leafBit`, all numbers
    /// and all indices.
    private static let newBit: UInt32 = 1 << 30

    /// The reference without what marks it.
    static func settled(_ reference: UInt32) -> UInt32 { reference & ~newBit }

    /// - Parameter nodes: room for so many; if they are not used, it costs nothing.
    init(reserving nodes: Int) {
        tree.reserve(nodes)
        waiting.reserveCapacity(min(nodes, BinaryTree.maximumNodes))
    }

    /// The reference to what two halves make together: one leaf, or the node that is alike, or a
    /// new one.
    ///
    /// What it returns is to be passed on once, or `settled`.
    @inline(__always)
    mutating func join(_ zero: UInt32, _ one: UInt32) throws(CompileFault) -> UInt32 {
        // Each folded space occurs once, so leaves that are equal are never those.
        if zero == one, zero & BinaryTree.leafBit != 0 { return zero }
        let pair = UInt64(Self.settled(zero)) << 32 | UInt64(Self.settled(one))
        if (zero | one) & Self.newBit != 0 {
            let new = try append(pair)
            waiting[Int(Self.settled(zero & Self.newBit != 0 ? zero : one))] = new + 1
            return new | Self.newBit
        }
        let mask = slots.count &- 1
        var slot = hash(pair) & mask
        while slots[slot] != 0 {
            let known = slots[slot] &- 1
            if tree.nodes[Int(known)] == pair {
                if waiting[Int(known)] != 0 { enterWhatWaits(for: known) }
                return known
            }
            slot = (slot &+ 1) & mask
        }
        let new = try append(pair)
        slots[slot] = new + 1
        countEntered()
        return new | Self.newBit
    }

    @inline(__always)
    private mutating func append(_ pair: UInt64) throws(CompileFault) -> UInt32 {
        waiting.append(0)
        return try tree.append(pair)
    }

    @inline(never)
    private mutating func enterWhatWaits(for node: UInt32) {
        slots[freeSlot(for: tree.nodes[Int(waiting[Int(node)]) - 1])] = waiting[Int(node)]
        waiting[Int(node)] = 0
        countEntered()
    }

    /// The slot for a node that is not there.
    private func freeSlot(for pair: UInt64) -> Int {
        var slot = hash(pair) & (slots.count - 1)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        return slot
    }

    @inline(__always)
    private mutating func countEntered() {
        entered += 1
        if entered * 4 > slots.count * 3 { grow() }
    }

    @inline(never)
    private mutating func grow() {
        let old = slots
        slots = Array(repeating: 0, count: slots.count * 2)
        for entry in old where entry != 0 {
            slots[freeSlot(for: tree.nodes[Int(entry) - 1])] = entry
        }
    }
}
