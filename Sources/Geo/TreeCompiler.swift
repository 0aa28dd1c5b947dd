// Makes the tree of one list of rules: one descent through the places of all networks, the networks that
// the rules name, and the AS numbers that count, from the root to where none of them says anything more.
//
// On the way back, two halves with the same outcome become one leaf. So a leaf is the largest
// network around its addresses in which nothing decides otherwise, and its depth is the scope that
// an answer may carry (RFC 7871, section 7.2.1). Spaces that carry IPv4 are a leaf of their own
// kind, equal to nothing: no IPv6 scope can cover one.

import DNSWire

/// What a database and the overrides say, laid out once for all lists of rules.
struct PlaceLayout {
    /// Its leaves are indices of `places`.
    var tree = BinaryTree()
    var places = PlaceTable()
}

/// The AS numbers that count, laid out the same way.
struct ASNLayout {
    /// Its leaves are indices of `asns`.
    var tree = BinaryTree()
    /// 0 stands for none.
    var asns: [UInt32?] = [nil]
}

/// Compiles one rule list; made for that, used once, and gone.
struct TreeCompiler {
    enum Kind: BitwiseCopyable {
        case list(Int)
        case numbered(Int)
    }

    /// Chooses the outcome of a location, the lists that matched, and the number of the most specific
    /// numbered network; asked once for each of these together.
    typealias Outcome = (_ location: Location?, _ matchedLists: [Int], _ number: Int?) -> UInt32

    /// The layers that hold a client.
    private struct LayerSet: Hashable {
        var lists: [Int] = []
        var number: Int?
    }

    private let layout: PlaceLayout
    private let asnLayout: ASNLayout
    /// The entries of the family that is being compiled.
    private var entries: [LayerEntry<Kind>] = []
    private var output = TreeBuilder()

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

    /// What each place came out as in the first context, or `unknown`.
    private var placeResults: [UInt32]
    /// What came out of halves whose other half is not done yet; empty between calls.
    private var halves: [UInt32] = []
    /// The same as `placeResults` for the other contexts, by context and place.
    private var otherResults = PairTable()
    private static let unknown = UInt32.max

    init(_ layout: PlaceLayout, beside asnLayout: ASNLayout) {
        self.layout = layout
        self.asnLayout = asnLayout
        placeResults = Array(repeating: Self.unknown, count: layout.places.count)
    }

    /// Compiles both families.
    mutating func compile(
        _ layers: [LayerEntry<Kind>], _ outcome: Outcome
    ) throws(CompileFault) -> BinaryTree {
        var roots: [UInt32] = []
        for (index, family) in [IPAddress.Family.ipv4, .ipv6].enumerated() {
            entries = layers.filter { $0.network.address.family == family }
                .sorted(by: LayerEntry.precedes)
            roots.append(
                try descend(
                    entries: 0..<entries.count, place: layout.tree.roots[index],
                    asn: asnLayout.tree.roots[index], depth: 0, set: 0, outcome))
        }
        var result = output.tree
        result.roots = roots
        return result
    }

    // MARK: - The descent

    /// All of it, while networks of rules lie in this part of the space.
    private mutating func descend(
        entries range: Range<Int>, place: UInt32, asn: UInt32, depth: Int, set: Int,
        _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        guard !BinaryTree.isFold(place) else { return place }
        var range = range
        var set = set
        // Those that are this very part come first, being sorted.
        while let first = range.first, entries[first].network.length == depth {
            switch entries[first].kind {
            case .list(let index): set = unionIndex(set, list: index)
            case .numbered(let number):
                set = setIndex(LayerSet(lists: sets[set].lists, number: number))
            }
            range = range.dropFirst()
        }
        guard !range.isEmpty else { return try descend(place: place, asn: asn, set: set, outcome) }
        let middle = LayerEntry.first(of: entries, in: range, withBit: depth)
        let (left, right) = layout.tree.children(of: place)
        let (leftASN, rightASN) = asnLayout.tree.children(of: asn)
        let zero = try descend(
            entries: range.lowerBound..<middle, place: left, asn: leftASN, depth: depth + 1,
            set: set, outcome)
        let one = try descend(
            entries: middle..<range.upperBound, place: right, asn: rightASN, depth: depth + 1,
            set: set, outcome)
        return try output.join(zero, one)
    }

    /// The places and the AS numbers, as long as those have something to say.
    private mutating func descend(
        place: UInt32, asn: UInt32, set: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        guard !BinaryTree.isFold(place) else { return place }
        guard asn & BinaryTree.leafBit == 0 else {
            let number = asnLayout.asns[Int(asn & ~BinaryTree.leafBit)]
            let context = contextIndex(Context(set: set, asn: number))
            return context == 0
                ? try result(of: place, outcome) : try result(of: place, in: context, outcome)
        }
        let (left, right) = layout.tree.children(of: place)
        let (leftASN, rightASN) = asnLayout.tree.children(of: asn)
        let zero = try descend(place: left, asn: leftASN, set: set, outcome)
        let one = try descend(place: right, asn: rightASN, set: set, outcome)
        return try output.join(zero, one)
    }

    // MARK: - What a part of the layout comes out as

    /// In the first context, which is nearly everywhere: the part that visits millions of nodes.
    ///
    /// They lie in the order in which they are needed, halves before what they make: one pass, with what
    /// came out of halves whose other half is not done yet on a stack.
    private mutating func result(
        of reference: UInt32, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        guard reference & BinaryTree.leafBit == 0 else {
            return try result(ofLeaf: reference, outcome)
        }
        for index in layout.tree.firstNode(under: reference)...reference {
            let (left, right) = layout.tree.children(of: index)
            // The right half was done last.
            let one =
                right & BinaryTree.leafBit == 0
                ? halves.removeLast() : try result(ofLeaf: right, outcome)
            let zero =
                left & BinaryTree.leafBit == 0
                ? halves.removeLast() : try result(ofLeaf: left, outcome)
            halves.append(try output.join(zero, one))
        }
        return halves.removeLast()
    }

    @inline(__always)
    private mutating func result(
        ofLeaf leaf: UInt32, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        guard !BinaryTree.isFold(leaf) else { return leaf }
        let place = Int(leaf & ~BinaryTree.leafBit)
        if placeResults[place] == Self.unknown {
            placeResults[place] = try self.leaf(place, context: 0, outcome)
        }
        return placeResults[place]
    }

    private mutating func result(
        of reference: UInt32, in context: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        guard reference & BinaryTree.leafBit == 0 else {
            guard !BinaryTree.isFold(reference) else { return reference }
            let place = reference & ~BinaryTree.leafBit
            let key = UInt64(context) << 32 | UInt64(place)
            if let known = otherResults[key] { return known }
            let new = try leaf(Int(place), context: context, outcome)
            otherResults[key] = new
            return new
        }
        let (left, right) = layout.tree.children(of: reference)
        let zero = try result(of: left, in: context, outcome)
        let one = try result(of: right, in: context, outcome)
        return try output.join(zero, one)
    }

    private func leaf(
        _ place: Int, context: Int, _ outcome: Outcome
    ) throws(CompileFault) -> UInt32 {
        let context = contexts[context]
        var location = layout.places.location(place)
        if let asn = context.asn { location = (location ?? Location()).with(asn: asn) }
        let set = sets[context.set]
        return try BinaryTree.leaf(outcome(location, set.lists, set.number))
    }

    // MARK: - Sets and contexts

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
        return contexts.count - 1
    }
}
