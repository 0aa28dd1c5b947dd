// From the compiler's binary trees to the table that queries read.

import DNSWire

/// Packs both families into one table.
struct TreePacker {
    private(set) var table: [UInt32]
    private(set) var networkCount = 0
    private var nodes: [UInt64] = []

    // With both of the full City databases at hand these gave the fastest lookups among settings
    // of equal size, and the smallest table among those of equal speed.

    /// Fewer bits a step would make a long way of the sparse parts of IPv6.
    static let minimumStride = 2
    static let maximumStride = 8
    /// A step takes more bits as long as at least one slot in this many is used.
    static let slotsPerEntry = 3

    init() {
        table = Array(repeating: 0, count: 2 * Entry.rootSlots)
    }

    /// Packs one family's tree below its root, which starts at the entry `rootIndex`.
    mutating func pack(
        _ tree: BinaryTree, root: UInt32, at rootIndex: Int
    ) throws(CompileFault) {
        nodes = tree.nodes
        // Enough for all there is, as a rule; copying a table that grows takes both at once.
        table.reserveCapacity(table.count + 5 * nodes.count / 2)
        try expand(root, level: 0, slot: rootIndex, stride: Entry.rootBits, depth: 0)
        nodes = []
    }

    /// Fills the slots of one node with what lies `stride` levels below, copying leaves above that.
    private mutating func expand(
        _ reference: UInt32, level: Int, slot: Int, stride: Int, depth: Int
    ) throws(CompileFault) {
        if reference & BinaryTree.leafBit != 0 {
            networkCount += 1
            let outcome = reference & ~BinaryTree.leafBit
            let entry = Entry.leaf(depth: depth + level, outcome: outcome)
            for index in slot..<(slot + 1 << (stride - level)) { table[index] = entry }
        } else if level == stride {
            table[slot] = try place(reference, depth: depth + stride)
        } else {
            let node = nodes[Int(reference)]
            try expand(
                UInt32(truncatingIfNeeded: node >> 32), level: level + 1, slot: slot,
                stride: stride, depth: depth)
            try expand(
                UInt32(truncatingIfNeeded: node), level: level + 1,
                slot: slot + 1 << (stride - level - 1), stride: stride, depth: depth)
        }
    }

    /// Makes a node of a subtree at the table's end and returns the entry that leads there.
    private mutating func place(_ reference: UInt32, depth: Int) throws(CompileFault) -> UInt32 {
        let stride = bestStride(of: reference)
        let index = table.count
        guard index + 1 << stride <= Entry.maximumIndex else { throw .tooLarge }
        table.append(contentsOf: repeatElement(0, count: 1 << stride))
        try expand(reference, level: 0, slot: index, stride: stride, depth: depth)
        return Entry.node(stride: stride, index: index)
    }

    private func bestStride(of reference: UInt32) -> Int {
        var level = [reference]
        var leaves = 0
        var best = Self.minimumStride
        for stride in 1...Self.maximumStride {
            var below: [UInt32] = []
            for reference in level {
                if reference & BinaryTree.leafBit != 0 {
                    leaves += 1
                } else {
                    let node = nodes[Int(reference)]
                    below.append(UInt32(truncatingIfNeeded: node >> 32))
                    below.append(UInt32(truncatingIfNeeded: node))
                }
            }
            guard !below.isEmpty else { break }
            level = below
            if stride > best, (leaves + level.count) * Self.slotsPerEntry >= 1 << stride {
                best = stride
            }
        }
        return best
    }
}
