// Makes one location tree of a database, overrides and the networks of a rule list: one descent
// through all of them at once, from the root to where none of them says anything more.
//
// On the way back, two halves with the same outcome become one leaf. So a leaf is the largest
// network around its addresses in which nothing decides otherwise, and its depth is the scope that
// an answer may carry (RFC 7871, section 7.2.1). Spaces that carry IPv4 become a leaf of their own
// kind, equal to nothing: no IPv6 scope can cover one.

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

/// One network of overrides, rule lists and folded spaces; sorted, they stand in descent order.
struct LayerEntry: BitwiseCopyable {
    enum Kind: BitwiseCopyable {
        case override(Int)
        case list(Int)
        case fold(FoldedSpace)
    }

    var network: IPNetwork
    var kind: Kind

    static func precedes(_ a: LayerEntry, _ b: LayerEntry) -> Bool {
        (a.network.address.high, a.network.address.low, a.network.length)
            < (b.network.address.high, b.network.address.low, b.network.length)
    }
}

/// A compiled family before packing: nodes of two references each, children before parents.
struct BinaryTree {
    /// The left reference in the upper half, the right in the lower.
    var nodes: [UInt64] = []

    /// A reference with this bit is a leaf and the rest of it the outcome; else a node's index.
    static let leafBit: UInt32 = 1 << 31
    /// Outcomes from here on are the folded spaces: 2^23 are what a packed leaf has room for.
    static let firstFold: UInt32 = (1 << 23) - 8
    /// Node indices must leave room for a packed node's stride.
    static let maximumNodes = 1 << 26
}

/// Compiles one rule list; made for that, used once, and gone.
struct TreeCompiler {
    /// Chooses the outcome of a location and the lists that matched; asked once for each pair.
    typealias Outcome = (_ location: Location?, _ matchedLists: [Int]) -> UInt32

    private let database: LocationDatabase?
    private let overrides: [LocationOverrides.Entry]
    /// The entries of the family that is being compiled.
    private var entries: [LayerEntry] = []
    private var family: IPAddress.Family = .ipv4
    private var output = BinaryTree()

    /// The sets of matched lists that occur, by index; the first is the empty one.
    private var sets: [[Int]] = [[]]
    private var setIndices: [[Int]: Int] = [[]: 0]
    /// One for each set: what each data record came out as.
    private var recordOutcomes = [OffsetTable()]
    private var overrideOutcomes: [UInt64: UInt32] = [:]
    private var lastRecord: UInt32 = 0
    private var lastSet = -1
    private var lastLeaf: UInt32 = 0

    private var tree: SearchTree?
    private var decoder: RecordDecoder?
    private var nodeCount: UInt32 = 0
    private var remainingVisits = 0

    init(
        database: LocationDatabase?, overrides: [LocationOverrides.Entry], withCities: Bool
    ) {
        self.database = database
        self.overrides = overrides
        tree = database?.tree
        decoder = database.map { RecordDecoder($0.data, withCities: withCities) }
        nodeCount = database?.tree.nodeCount ?? 0
    }

    /// Compiles one family.
    ///
    /// - Parameter layers: overrides, networks of rules and folded spaces of this family.
    mutating func compile(
        _ family: IPAddress.Family, layers: [LayerEntry], _ outcome: Outcome
    ) throws(CompileFault) -> (tree: BinaryTree, root: UInt32) {
        entries = layers.sorted(by: LayerEntry.precedes)
        self.family = family
        output = BinaryTree()
        // A sound tree has one way to each node, apart from aliases of IPv4, most of which are
        // folded and not walked. A tangled one has up to 2^128.
        remainingVisits = 4 * Int(nodeCount) + 1_000_000
        // A record that means "nothing known", for what the database does not cover.
        let root = (family == .ipv4 ? tree?.ipv4Root : tree?.ipv6Root) ?? nodeCount
        let top = try descend(
            entries: 0..<entries.count, record: root, depth: 0, override: nil, set: 0, outcome)
        defer { output = BinaryTree() }
        return (output, top)
    }

    // MARK: - The descent

    /// All layers, while overrides or rule networks lie in this part of the space.
    private mutating func descend(
        entries range: Range<Int>, record: UInt32, depth: Int, override: Int?, set: Int,
        _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        var range = range
        var override = override
        var set = set
        // Those that are this very part come first, being sorted.
        while let first = range.first, entries[first].network.length == depth {
            switch entries[first].kind {
            case .fold(let space):
                return BinaryTree.leafBit | BinaryTree.firstFold + UInt32(space.rawValue)
            case .override(let index): override = index
            case .list(let index): set = unionIndex(set, list: index)
            }
            range = range.dropFirst()
        }
        guard !range.isEmpty else {
            if let override { return try leaf(override: override, set: set, outcome) }
            return try descend(record: record, depth: depth, set: set, outcome)
        }
        let middle = firstEntry(in: range, withBit: depth)
        var (left, right) = (record, record)
        // What an override covers, the database does not decide.
        if override != nil {
            (left, right) = (nodeCount, nodeCount)
        } else if record < nodeCount, let tree {
            try visit(depth: depth)
            (left, right) = tree.children(of: record)
        }
        let zero = try descend(
            entries: range.lowerBound..<middle, record: left, depth: depth + 1,
            override: override, set: set, outcome)
        let one = try descend(
            entries: middle..<range.upperBound, record: right, depth: depth + 1,
            override: override, set: set, outcome)
        return try join(zero, one)
    }

    /// The database alone: the part that visits ten million nodes.
    private mutating func descend(
        record: UInt32, depth: Int, set: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        guard record < nodeCount, let tree else {
            return try leaf(record: record, set: set, outcome)
        }
        try visit(depth: depth)
        let (left, right) = tree.children(of: record)
        let zero = try descend(record: left, depth: depth + 1, set: set, outcome)
        let one = try descend(record: right, depth: depth + 1, set: set, outcome)
        return try join(zero, one)
    }

    @inline(__always)
    private mutating func visit(depth: Int) throws(CompileFault) {
        remainingVisits -= 1
        guard depth < Int(family.rawValue), remainingVisits > 0 else { throw .tangledTree }
    }

    @inline(__always)
    private mutating func join(_ zero: UInt32, _ one: UInt32) throws(CompileFault) -> UInt32 {
        // Each folded space occurs once, so leaves that are equal are never those.
        if zero == one, zero & BinaryTree.leafBit != 0 { return zero }
        guard output.nodes.count < BinaryTree.maximumNodes else { throw .tooLarge }
        output.nodes.append(UInt64(zero) << 32 | UInt64(one))
        return UInt32(truncatingIfNeeded: output.nodes.count - 1)
    }

    /// The index of the first entry of a sorted range whose address has a one at that bit.
    private func firstEntry(in range: Range<Int>, withBit bit: Int) -> Int {
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

    // MARK: - Leaves

    private mutating func unionIndex(_ set: Int, list: Int) -> Int {
        guard !sets[set].contains(list) else { return set }
        let union = (sets[set] + [list]).sorted()
        if let known = setIndices[union] { return known }
        sets.append(union)
        setIndices[union] = sets.count - 1
        recordOutcomes.append(OffsetTable())
        return sets.count - 1
    }

    private func leaf(ofOutcome outcome: UInt32) throws(CompileFault) -> UInt32 {
        guard outcome < BinaryTree.firstFold else { throw .tooLarge }
        return BinaryTree.leafBit | outcome
    }

    private mutating func leaf(
        override: Int, set: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        let key = UInt64(override) << 32 | UInt64(set)
        if let known = overrideOutcomes[key] { return known }
        let result = try leaf(ofOutcome: outcome(overrides[override].location, sets[set]))
        overrideOutcomes[key] = result
        return result
    }

    @inline(__always)
    private mutating func leaf(
        record: UInt32, set: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        // Neighbours often share their record.
        if record == lastRecord, set == lastSet { return lastLeaf }
        let result: UInt32
        if let known = recordOutcomes[set][record] {
            result = BinaryTree.leafBit | known
        } else {
            result = try newLeaf(record: record, set: set, outcome)
            recordOutcomes[set][record] = result & ~BinaryTree.leafBit
        }
        (lastRecord, lastSet, lastLeaf) = (record, set, result)
        return result
    }

    @inline(never)
    private mutating func newLeaf(
        record: UInt32, set: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        var location: Location?
        if record != nodeCount, let database {
            let offset = Int(record) - Int(nodeCount) - SearchTree.separatorLength
            guard offset >= 0, offset < database.data.count else { throw .strayRecord }
            do {
                location = try decoder?.location(at: offset)
            } catch {
                throw .corruptRecord
            }
        }
        return try leaf(ofOutcome: outcome(location, sets[set]))
    }
}
