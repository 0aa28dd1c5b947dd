// Lays one database out: from the root to where it says nothing more, with the overrides, the special
// and the folded spaces in its place. This is the one walk over the database's own tree, which is not
// to be trusted, and the one reading of its records.

import DNSWire

/// Why compiling stopped.
enum CompileFault: Error {
    /// A record of the search tree that points nowhere.
    case strayRecord
    /// The search tree is deeper than addresses have bits, or its branches meet again.
    case tangledTree
    /// A data record that contradicts the format.
    case corruptRecord
    /// More outcomes or networks than the tree can number.
    case tooLarge
}

/// One network that a descent has to look at; sorted, they stand in descent order.
struct LayerEntry<Kind: BitwiseCopyable>: BitwiseCopyable {
    var network: IPNetwork
    var kind: Kind

    static func precedes(_ a: LayerEntry, _ b: LayerEntry) -> Bool {
        (a.network.address.high, a.network.address.low, a.network.length)
            < (b.network.address.high, b.network.address.low, b.network.length)
    }

    /// The index of the first entry of a sorted range whose address has a one at that bit.
    static func first(
        of entries: [LayerEntry], in range: Range<Int>, withBit bit: Int
    ) -> Int {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = low + (high - low) / 2
            let address = entries[middle].network.address
            let word = bit < 64 ? address.high : address.low
            if word >> UInt64(63 - (bit & 63)) & 1 == 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Numbers what records and overrides say, 0 being nothing; asked once for each.
protocol RecordNumbering {
    mutating func number(ofRecordAt offset: Int) throws(DataFault) -> UInt32
    mutating func number(ofOverride index: Int) -> UInt32
}

/// What takes the place of the database in a network.
enum DatabaseLayer: BitwiseCopyable {
    /// The index of what holds in place of the database.
    case override(Int)
    /// What the database says in here does not count.
    case special
    case fold(FoldedSpace)
}

/// Compiles one database; made for that, used once, and gone.
struct DatabaseCompiler<Numbering: RecordNumbering> {
    private let database: LocationDatabase?
    private(set) var numbering: Numbering
    private var overrideLeaves: [Int: UInt32] = [:]
    /// The entries of the family that is being compiled.
    private var entries: [LayerEntry<DatabaseLayer>] = []
    private var family: IPAddress.Family = .ipv4
    /// Parts that are alike are not looked for: there are few where each place counts, and all that a list
    /// of rules does not tell apart is folded when that is compiled.
    private var output = BinaryTree()

    /// What each data record was numbered.
    private var numbers = OffsetTable()
    private var lastRecord: UInt32 = 0
    private var lastLeaf: UInt32?

    private let tree: SearchTree?
    private let nodeCount: UInt32
    private var remainingVisits = 0

    init(_ database: LocationDatabase?, _ numbering: Numbering) {
        self.database = database
        self.numbering = numbering
        tree = database?.tree
        nodeCount = database?.tree.nodeCount ?? 0
        // No more than what the layers add to them; untouched memory costs nothing.
        output.reserve(Int(nodeCount))
    }

    /// Compiles both families.
    mutating func compile(
        _ layers: [LayerEntry<DatabaseLayer>]
    ) throws(CompileFault) -> BinaryTree {
        var roots: [UInt32] = []
        for family in [IPAddress.Family.ipv4, .ipv6] {
            entries = layers.filter { $0.network.address.family == family }
                .sorted(by: LayerEntry.precedes)
            self.family = family
            // A sound tree has one way to each node, apart from aliases of IPv4, most of which are
            // folded and not walked. A tangled one has up to 2^128.
            remainingVisits = 4 * Int(nodeCount) + 1_000_000
            // A record that means "nothing known", for what the database does not cover.
            let root = (family == .ipv4 ? tree?.ipv4Root : tree?.ipv6Root) ?? nodeCount
            roots.append(
                try descend(
                    entries: 0..<entries.count, record: root, depth: 0, override: nil))
        }
        output.roots = roots
        return output
    }

    /// All layers, while any of them lie in this part of the space.
    private mutating func descend(
        entries range: Range<Int>, record: UInt32, depth: Int, override: Int?
    ) throws(CompileFault) -> UInt32 {
        var range = range
        var record = record
        var override = override
        // Those that are this very part come first, being sorted.
        while let first = range.first, entries[first].network.length == depth {
            switch entries[first].kind {
            case .fold(let space): return BinaryTree.fold(space)
            case .special: record = nodeCount
            case .override(let index): override = index
            }
            range = range.dropFirst()
        }
        // What an override covers, the database does not decide.
        if override != nil { record = nodeCount }
        guard !range.isEmpty else {
            if let override { return try leaf(override: override) }
            return try descend(record: record, depth: depth)
        }
        let middle = LayerEntry.first(of: entries, in: range, withBit: depth)
        var (left, right) = (record, record)
        if record < nodeCount, let tree {
            try visit(depth: depth)
            (left, right) = tree.children(of: record)
        }
        let zero = try descend(
            entries: range.lowerBound..<middle, record: left, depth: depth + 1,
            override: override)
        let one = try descend(
            entries: middle..<range.upperBound, record: right, depth: depth + 1,
            override: override)
        return try output.join(zero, one)
    }

    /// The database alone: the part that visits ten million nodes.
    private mutating func descend(
        record: UInt32, depth: Int
    ) throws(CompileFault) -> UInt32 {
        guard record < nodeCount, let tree else { return try leaf(record: record) }
        try visit(depth: depth)
        let (left, right) = tree.children(of: record)
        let zero = try descend(record: left, depth: depth + 1)
        let one = try descend(record: right, depth: depth + 1)
        return try output.join(zero, one)
    }

    @inline(__always)
    private mutating func visit(depth: Int) throws(CompileFault) {
        remainingVisits -= 1
        guard depth < Int(family.rawValue), remainingVisits > 0 else { throw .tangledTree }
    }

    // MARK: - Leaves

    private mutating func leaf(override: Int) throws(CompileFault) -> UInt32 {
        if let known = overrideLeaves[override] { return known }
        let leaf = try BinaryTree.leaf(numbering.number(ofOverride: override))
        overrideLeaves[override] = leaf
        return leaf
    }

    @inline(__always)
    private mutating func leaf(
        record: UInt32
    ) throws(CompileFault) -> UInt32 {
        // Neighbours often share their record.
        if record == lastRecord, let lastLeaf { return lastLeaf }
        let result: UInt32
        if let known = numbers[record] {
            result = BinaryTree.leafBit | known
        } else {
            result = try BinaryTree.leaf(try newNumber(of: record))
            numbers[record] = result & ~BinaryTree.leafBit
        }
        (lastRecord, lastLeaf) = (record, result)
        return result
    }

    @inline(never)
    private mutating func newNumber(of record: UInt32) throws(CompileFault) -> UInt32 {
        guard record != nodeCount, let database else { return 0 }
        let offset = Int(record) - Int(nodeCount) - SearchTree.separatorLength
        guard offset >= 0, offset < database.data.count else { throw .strayRecord }
        do {
            return try numbering.number(ofRecordAt: offset)
        } catch {
            throw .corruptRecord
        }
    }
}
