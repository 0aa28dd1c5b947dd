// From the compiler's binary tree to the table that queries read.

/// Packs one tree; made for that, used once, and gone.
struct TreePacker {
    private var table: [UInt32]
    private let tree: BinaryTree
    /// The entry that leads to each node of the tree that was placed; 0 for the others.
    private var entries: [UInt32]

    /// Fewer bits a step would make a long way of the sparse parts of IPv6.
    static let minimumStride = 2
    static let maximumStride = 8

    /// Packs both families into one table.
    static func pack(_ tree: BinaryTree) throws(CompileFault) -> [UInt32] {
        let rootSlots = tree.roots.count * Entry.rootSlots
        var table: [UInt32] = []
        // Enough for most: a table that grows is there twice.
        table.reserveCapacity(rootSlots + 5 * tree.nodes.count / 2)
        table.append(contentsOf: repeatElement(0, count: rootSlots))
        var packer = TreePacker(
            table: table, tree: tree,
            entries: Array(repeating: 0, count: tree.nodes.count))
        table = []
        for (index, root) in tree.roots.enumerated() {
            try packer.expand(
                root, level: 0, slot: index * Entry.rootSlots, stride: Entry.rootBits)
        }
        return packer.table
    }

    /// Fills the slots of one node with what lies `stride` levels below, copying leaves above that.
    private mutating func expand(
        _ reference: UInt32, level: Int, slot: Int, stride: Int
    ) throws(CompileFault) {
        if reference & BinaryTree.leafBit != 0 {
            let entry = Entry.leaf(depth: level, outcome: reference & ~BinaryTree.leafBit)
            for index in slot..<(slot + 1 << (stride - level)) { table[index] = entry }
        } else if level == stride {
            table[slot] = try place(reference)
        } else {
            let (zero, one) = tree.children(of: reference)
            try expand(zero, level: level + 1, slot: slot, stride: stride)
            try expand(
                one, level: level + 1, slot: slot + 1 << (stride - level - 1), stride: stride)
        }
    }

    /// Makes a node of a subtree at the table's end, unless it is there, and returns the entry that leads
    /// there.
    private mutating func place(_ reference: UInt32) throws(CompileFault) -> UInt32 {
        let node = Int(reference)
        if entries[node] != 0 { return entries[node] }
        let stride = stride(of: reference)
        let index = table.count
        guard index + 1 << stride <= Entry.maximumIndex else { throw .tooLarge }
        table.append(contentsOf: repeatElement(0, count: 1 << stride))
        try expand(reference, level: 0, slot: index, stride: stride)
        entries[node] = Entry.node(stride: stride, index: index)
        return entries[node]
    }

    /// How many bits a step takes: as many as leave no slot idle.
    private func stride(of reference: UInt32) -> Int {
        var stride = Self.minimumStride
        while stride < Self.maximumStride, isFull(reference, levels: stride) { stride += 1 }
        return stride
    }

    /// Whether there is no leaf above the `levels`th level below a reference, or on it.
    private func isFull(_ reference: UInt32, levels: Int) -> Bool {
        guard reference & BinaryTree.leafBit == 0 else { return false }
        guard levels > 0 else { return true }
        let (zero, one) = tree.children(of: reference)
        return isFull(zero, levels: levels - 1) && isFull(one, levels: levels - 1)
    }
}
