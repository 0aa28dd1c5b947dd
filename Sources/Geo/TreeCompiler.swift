// Makes one location tree of a database, overrides and the networks of a rule list: one descent
// through all of them at once, from the root to where none of them says anything more. Where AS
// numbers count, a tree of those that do, made the same way before, is descended beside it.
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
        case numbered(Int)
        /// What the database says in here does not count.
        case special
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

    /// Where a reference's next bit leads: a leaf holds on both sides.
    @inline(__always)
    func children(of reference: UInt32) -> (left: UInt32, right: UInt32) {
        guard reference & Self.leafBit == 0 else { return (reference, reference) }
        let node = nodes[Int(reference)]
        return (UInt32(truncatingIfNeeded: node >> 32), UInt32(truncatingIfNeeded: node))
    }
}

/// The AS numbers that count, laid out over one family: a tree whose outcomes are indices of `asns`.
struct ASNTree {
    var tree = BinaryTree()
    /// The reference that the tree starts with; a leaf of 0 where no number counts.
    var root = BinaryTree.leafBit
    /// By outcome; 0 stands for none.
    var asns: [UInt32?] = [nil]
}

/// Compiles one rule list; made for that, used once, and gone.
struct TreeCompiler {
    /// Chooses the outcome of a location, the lists that matched, and the number of the most specific
    /// numbered network; asked once for each of these together.
    typealias Outcome = (_ location: Location?, _ matchedLists: [Int], _ number: Int?) -> UInt32

    /// The layers that hold a client, apart from overrides.
    private struct LayerSet: Hashable {
        var lists: [Int] = []
        var number: Int?
    }

    private let database: LocationDatabase?
    /// What each override says, by its index.
    private let overrides: [Location]
    private var asnTree = ASNTree()
    /// The entries of the family that is being compiled.
    private var entries: [LayerEntry] = []
    private var family: IPAddress.Family = .ipv4
    private var output = BinaryTree()

    /// The sets that occur, by index; the first is the empty one.
    private var sets = [LayerSet()]
    private var setIndices = [LayerSet(): 0]
    /// What counts beside the place: a set of layers, and an AS number.
    private struct Context: Hashable {
        var set = 0
        var asn: UInt32?
    }
    /// Those that occur, by index; the first is that of no list and no number.
    private var contexts = [Context()]
    private var contextIndices = [Context(): 0]
    /// One for each context: what each data record came out as. Their entries are as many as there
    /// are networks that differ, however many numbers count.
    private var recordOutcomes = [OffsetTable()]
    private var overrideOutcomes: [UInt64: UInt32] = [:]
    private var lastRecord: UInt32 = 0
    private var lastContext = -1
    private var lastLeaf: UInt32 = 0
    /// What records say that contexts other than the first asked for.
    private var placeIndices = OffsetTable()
    private var places: [Location?] = []

    private var tree: SearchTree?
    private var decoder: RecordDecoder?
    private var nodeCount: UInt32 = 0
    private var remainingVisits = 0

    /// - Parameter overrides: what `LayerEntry.Kind.override` means, by index.
    init(
        database: LocationDatabase?, _ content: RecordDecoder.Content, overrides: [Location]
    ) {
        self.database = database
        self.overrides = overrides
        tree = database?.tree
        decoder = database.map { RecordDecoder($0.data, content) }
        nodeCount = database?.tree.nodeCount ?? 0
    }

    /// Compiles one family.
    ///
    /// - Parameters:
    ///   - layers: overrides, networks of rules, special and folded spaces of this family.
    ///   - asnTree: of this family as well, made with the same folded spaces.
    mutating func compile(
        _ family: IPAddress.Family, layers: [LayerEntry], beside asnTree: ASNTree = ASNTree(),
        _ outcome: Outcome
    ) throws(CompileFault) -> (tree: BinaryTree, root: UInt32) {
        entries = layers.sorted(by: LayerEntry.precedes)
        self.family = family
        self.asnTree = asnTree
        output = BinaryTree()
        // A sound tree has one way to each node, apart from aliases of IPv4, most of which are
        // folded and not walked. A tangled one has up to 2^128.
        remainingVisits = 4 * (Int(nodeCount) + asnTree.tree.nodes.count) + 1_000_000
        // A record that means "nothing known", for what the database does not cover.
        let root = (family == .ipv4 ? tree?.ipv4Root : tree?.ipv6Root) ?? nodeCount
        let top = try descend(
            entries: 0..<entries.count, record: root, asn: asnTree.root, depth: 0, override: nil,
            set: 0, outcome)
        defer {
            output = BinaryTree()
            self.asnTree = ASNTree()
        }
        return (output, top)
    }

    // MARK: - The descent

    /// All layers, while overrides or rule networks lie in this part of the space.
    private mutating func descend(
        entries range: Range<Int>, record: UInt32, asn: UInt32, depth: Int, override: Int?,
        set: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        var range = range
        var record = record
        var override = override
        var set = set
        // Those that are this very part come first, being sorted.
        while let first = range.first, entries[first].network.length == depth {
            switch entries[first].kind {
            case .fold(let space):
                return BinaryTree.leafBit | BinaryTree.firstFold + UInt32(space.rawValue)
            case .special: record = nodeCount
            case .override(let index): override = index
            case .list(let index): set = unionIndex(set, list: index)
            case .numbered(let number):
                set = setIndex(LayerSet(lists: sets[set].lists, number: number))
            }
            range = range.dropFirst()
        }
        // What an override covers, the database does not decide.
        if override != nil { record = nodeCount }
        guard !range.isEmpty else {
            return try descend(
                record: record, asn: asn, depth: depth, override: override, set: set, outcome)
        }
        let middle = firstEntry(in: range, withBit: depth)
        let (left, right) = try children(of: record, depth: depth)
        let (leftASN, rightASN) = asnTree.tree.children(of: asn)
        let zero = try descend(
            entries: range.lowerBound..<middle, record: left, asn: leftASN, depth: depth + 1,
            override: override, set: set, outcome)
        let one = try descend(
            entries: middle..<range.upperBound, record: right, asn: rightASN, depth: depth + 1,
            override: override, set: set, outcome)
        return try join(zero, one)
    }

    /// The database and the tree of AS numbers, as long as that has something to say.
    private mutating func descend(
        record: UInt32, asn: UInt32, depth: Int, override: Int?, set: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        guard asn & BinaryTree.leafBit == 0 else {
            let number = asnTree.asns[Int(asn & ~BinaryTree.leafBit)]
            let context = contextIndex(Context(set: set, asn: number))
            if let override {
                return try leaf(override: override, context: context, outcome)
            }
            return try descend(record: record, depth: depth, context: context, outcome)
        }
        let (left, right) = try children(of: record, depth: depth)
        let (leftASN, rightASN) = asnTree.tree.children(of: asn)
        let zero = try descend(
            record: left, asn: leftASN, depth: depth + 1, override: override, set: set, outcome)
        let one = try descend(
            record: right, asn: rightASN, depth: depth + 1, override: override, set: set, outcome)
        return try join(zero, one)
    }

    /// The database alone: the part that visits ten million nodes.
    private mutating func descend(
        record: UInt32, depth: Int, context: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        guard record < nodeCount, let tree else {
            return try leaf(record: record, context: context, outcome)
        }
        try visit(depth: depth)
        let (left, right) = tree.children(of: record)
        let zero = try descend(record: left, depth: depth + 1, context: context, outcome)
        let one = try descend(record: right, depth: depth + 1, context: context, outcome)
        return try join(zero, one)
    }

    /// Where a record's next bit leads: one that is no node holds on both sides.
    private mutating func children(
        of record: UInt32, depth: Int
    ) throws(CompileFault) -> (left: UInt32, right: UInt32) {
        guard record < nodeCount, let tree else { return (record, record) }
        try visit(depth: depth)
        return tree.children(of: record)
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
        var union = sets[set]
        guard !union.lists.contains(list) else { return set }
        union.lists = (union.lists + [list]).sorted()
        return setIndex(union)
    }

    private mutating func setIndex(_ set: LayerSet) -> Int {
        if let known = setIndices[set] { return known }
        sets.append(set)
        setIndices[set] = sets.count - 1
        return sets.count - 1
    }

    private mutating func contextIndex(_ context: Context) -> Int {
        // Where no number counts and no list, which is nearly everywhere, this is not asked.
        if context.set == 0, context.asn == nil { return 0 }
        if let known = contextIndices[context] { return known }
        contexts.append(context)
        contextIndices[context] = contexts.count - 1
        recordOutcomes.append(OffsetTable())
        return contexts.count - 1
    }

    private func leaf(ofOutcome outcome: UInt32) throws(CompileFault) -> UInt32 {
        guard outcome < BinaryTree.firstFold else { throw .tooLarge }
        return BinaryTree.leafBit | outcome
    }

    private func leaf(
        _ location: Location?, context: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        let context = contexts[context]
        var location = location
        if let asn = context.asn { location = (location ?? Location()).with(asn: asn) }
        let set = sets[context.set]
        return try leaf(ofOutcome: outcome(location, set.lists, set.number))
    }

    private mutating func leaf(
        override: Int, context: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        let key = UInt64(override) << 32 | UInt64(context)
        if let known = overrideOutcomes[key] { return known }
        let result = try leaf(overrides[override], context: context, outcome)
        overrideOutcomes[key] = result
        return result
    }

    @inline(__always)
    private mutating func leaf(
        record: UInt32, context: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        // Neighbours often share their record.
        if record == lastRecord, context == lastContext { return lastLeaf }
        let result: UInt32
        if let known = recordOutcomes[context][record] {
            result = BinaryTree.leafBit | known
        } else {
            // First of all, as nothing may hold a copy of the compiler while its arrays grow.
            let location = try location(of: record, context: context)
            result = try leaf(location, context: context, outcome)
            recordOutcomes[context][record] = result & ~BinaryTree.leafBit
        }
        (lastRecord, lastContext, lastLeaf) = (record, context, result)
        return result
    }

    /// What a record says; decoded twice at most, however many contexts ask for it.
    @inline(never)
    private mutating func location(
        of record: UInt32, context: Int
    ) throws(CompileFault) -> Location? {
        guard record != nodeCount, let database else { return nil }
        // The first context asks for each record once, and where there is no other, for all of them.
        if context > 0, let known = placeIndices[record] { return places[Int(known)] }
        let offset = Int(record) - Int(nodeCount) - SearchTree.separatorLength
        guard offset >= 0, offset < database.data.count else { throw .strayRecord }
        let location: Location?
        do {
            location = try decoder?.location(at: offset)
        } catch {
            throw .corruptRecord
        }
        if context > 0 {
            placeIndices[record] = UInt32(places.count)
            places.append(location)
        }
        return location
    }
}
