// Makes the tree of one list of rules: one descent through the databases' own trees and all
// networks that count, from the root to where none of them says anything more.
//
// On the way back, two halves with the same outcome become one leaf. So a leaf is the largest
// network around its addresses in which nothing decides otherwise, and its depth is the scope that
// an answer may carry (RFC 7871, section 7.2.1). Spaces that carry IPv4 are a leaf of their own
// kind, equal to nothing: no IPv6 scope can cover one.
//
// The trees are not to be trusted: that they end is counted, and what they lead to is looked up
// checked.

import DNSWire

/// What a database and the overrides say of places, the same for all lists of rules.
struct PlaceLayout {
    var records: RecordIndex
    /// By the number of a record: the number of its place.
    var numbers: [UInt32]
    /// By the index of an override: the same.
    var overrides: [UInt32]
    var places: PlaceTable
}

/// Whose networks are, of the AS numbers that count.
struct SystemLayout {
    var records: RecordIndex
    /// What each of its records says; 0, which is nobody's, for none that counts.
    var asns: [UInt32] = [0]
}

/// Compiles one rule list; made for that, used once, and gone.
struct TreeCompiler {
    /// Chooses the outcome of coordinates.
    typealias Outcome = (Coordinates?) -> UInt32

    /// Chooses how outcomes are chosen for what is said of a location in words (its coordinates are
    /// those of one of many), the lists that matched, and the number of the most specific numbered
    /// network; may be asked again of some (`recentLimit`).
    typealias Choice = (_ location: Location?, _ matchedLists: [Int], _ number: Int?) -> Outcome

    /// The layers that hold a client: the index of the lists that do, and one more than the number.
    private struct LayerSet: BitwiseCopyable {
        var lists: UInt32 = 0
        var number: UInt32 = 0

        var key: UInt64 { UInt64(lists) << 32 | UInt64(number) }
    }

    /// What is known of a part of the space.
    private struct Part {
        var place: Finding
        var system: Finding
        /// The index of the set of layers.
        var set = 0
    }

    private let layout: PlaceLayout
    private let systems: SystemLayout
    private let choice: Choice
    /// The entries of both families, sorted.
    private var entries: [LayerEntry] = []
    private var family: IPAddress.Family = .ipv4
    /// What either tree may take, so that one that is tangled is not blamed on the other.
    private var placeVisits = 0
    private var systemVisits = 0
    private var output: TreeBuilder

    /// The sets that occur, by index; the first is the empty one.
    private var sets = [LayerSet()]
    private var setIndices = PairTable()
    /// The lists of those sets, by index; the first is that of none.
    private var lists: [[Int]] = [[]]
    private var listIndices: [[Int]: UInt32] = [[]: 0]
    /// What counts beside the place: a set of layers, and an AS number.
    private struct Context: BitwiseCopyable {
        var set: UInt32 = 0
        /// 0 for none that counts.
        var asn: UInt32 = 0

        var key: UInt64 { UInt64(set) << 32 | UInt64(asn) }
    }
    /// Those that occur, by index; the first is that of no list and no number.
    private var contexts = [Context()]
    private var contextIndices = PairTable()

    /// What each record came out as in the first context, or `unknown`.
    private var recordResults: [UInt32]
    /// The same for places, of which there are fewer.
    private var placeResults: [UInt32]
    /// The same for the other contexts, by context and place.
    private var otherResults = PairTable()
    /// How outcomes are chosen, by context and what is said of a place in words: in the first context.
    private var outcomes = KnownOutcomes()
    /// The same in the others, of which there may be as many as numbered networks: most lie in one part
    /// of the space and are soon done with.
    private var recentOutcomes = KnownOutcomes()
    private struct Chosen {
        let outcome: Outcome
    }
    private struct KnownOutcomes {
        private(set) var all: [Chosen] = []
        private var indices = PairTable()

        subscript(key: UInt64) -> Chosen? { indices[key].map { all[Int($0)] } }

        mutating func insert(_ chosen: Chosen, _ key: UInt64) {
            indices[key] = UInt32(all.count)
            all.append(chosen)
        }
    }
    /// So many are kept, some hundred octets each; what is needed again after is chosen again.
    private static let recentLimit = 1 << 14
    private static let unknown = UInt32.max
    /// A tree of a few outcomes has one node for so many of its database, or less.
    private static let usualShare = 4

    init(_ layout: PlaceLayout, _ systems: SystemLayout, _ choice: @escaping Choice) {
        self.layout = layout
        self.systems = systems
        self.choice = choice
        output = TreeBuilder(reserving: Int(layout.records.nodeCount) / Self.usualShare)
        recordResults = Array(repeating: Self.unknown, count: layout.numbers.count)
        placeResults = Array(repeating: Self.unknown, count: layout.places.count)
    }

    /// Compiles both families.
    mutating func compile(_ layers: consuming [LayerEntry]) throws(CompileFault) -> BinaryTree {
        layers.sort(by: LayerEntry.precedes)
        entries = layers
        let end = entries.firstIndex { $0.network.address.family == .ipv6 } ?? entries.count
        var roots: [UInt32] = []
        for family in [IPAddress.Family.ipv4, .ipv6] {
            self.family = family
            // A sound tree has one way to each node, apart from aliases of IPv4, most of which are
            // folded and not walked. A tangled one has up to 2^128.
            placeVisits = Self.visits(of: layout.records)
            systemVisits = Self.visits(of: systems.records)
            let all = Part(
                place: layout.records.root(family), system: systems.records.root(family))
            roots.append(
                TreeBuilder.settled(
                    try descend(
                        entries: family == .ipv4 ? 0..<end : end..<entries.count, all, depth: 0)))
        }
        var result = output.tree
        result.roots = roots
        return result
    }

    // MARK: - The descent

    /// All of it, while networks lie in this part of the space.
    private mutating func descend(
        entries range: Range<Int>, _ part: Part, depth: Int
    ) throws(CompileFault) -> UInt32 {
        var range = range
        var part = part
        // Those that are this very part come first, being sorted.
        while let first = range.first, entries[first].network.length == depth {
            switch entries[first].layer {
            case .fold(let space): return BinaryTree.fold(space)
            case .special:
                // What is stated holds here, too.
                if case .record = part.place { part.place = .number(0) }
                if case .record = part.system { part.system = .number(0) }
            case .place(let number): part.place = .number(number)
            case .system(let number): part.system = .number(number)
            case .list(let index): part.set = unionIndex(part.set, list: index)
            case .numbered(let number):
                part.set = setIndex(
                    LayerSet(lists: sets[part.set].lists, number: UInt32(number) + 1))
            }
            range = range.dropFirst()
        }
        guard !range.isEmpty else { return try descend(part, depth: depth) }
        let middle = LayerEntry.first(of: entries, in: range, withBit: depth)
        let (left, right) = try halves(of: part, depth: depth)
        let zero = try descend(entries: range.lowerBound..<middle, left, depth: depth + 1)
        let one = try descend(entries: middle..<range.upperBound, right, depth: depth + 1)
        return try output.join(zero, one)
    }

    /// The databases alone, as long as there are AS numbers to tell apart.
    private mutating func descend(_ part: Part, depth: Int) throws(CompileFault) -> UInt32 {
        guard systems.records.halves(of: part.system) == nil else {
            let (left, right) = try halves(of: part, depth: depth)
            let zero = try descend(left, depth: depth + 1)
            let one = try descend(right, depth: depth + 1)
            return try output.join(zero, one)
        }
        let asn: UInt32
        switch part.system {
        case .number(let number): asn = number
        case .record(let record):
            do { asn = try systems.asns[Int(systems.records.number(of: record))] } catch {
                throw .straySystem
            }
        }
        let context = contextIndex(Context(set: UInt32(part.set), asn: asn))
        switch part.place {
        case .number(let place): return try result(ofPlace: place, context)
        case .record(let record): return try walk(record, context, depth: depth)
        }
    }

    private mutating func halves(
        of part: Part, depth: Int
    ) throws(CompileFault) -> (left: Part, right: Part) {
        var (left, right) = (part, part)
        if let halves = layout.records.halves(of: part.place) {
            try countVisit(depth: depth)
            (left.place, right.place) = halves
        }
        if let halves = systems.records.halves(of: part.system) {
            systemVisits -= 1
            guard depth < Int(family.rawValue), systemVisits > 0 else { throw .tangledSystems }
            (left.system, right.system) = halves
        }
        return (left, right)
    }

    @inline(__always)
    private mutating func countVisit(depth: Int) throws(CompileFault) {
        placeVisits -= 1
        guard depth < Int(family.rawValue), placeVisits > 0 else { throw .tangledTree }
    }

    private static func visits(of records: RecordIndex) -> Int {
        4 * Int(records.nodeCount) + 1_000_000
    }

    /// The places alone: the part that visits ten million nodes.
    ///
    /// Vendors number nodes in this order, so that it goes through the file from its start to its
    /// end.
    private mutating func walk(
        _ record: UInt32, _ context: Int, depth: Int
    ) throws(CompileFault) -> UInt32 {
        let nodeCount = layout.records.nodeCount
        var record = record
        // The nodes above, each as its right record or, with the bit below, as what its left one
        // came out as.
        var above = InlineArray<128, UInt64>(repeating: 0)
        let isResult: UInt64 = 1 << 63
        var count = 0
        while true {
            while record < nodeCount, let tree = layout.records.tree {
                try countVisit(depth: depth + count)
                let (left, right) = tree.children(of: record)
                above[count] = UInt64(right)
                count += 1
                record = left
            }
            var result = try result(ofRecord: layout.records.number(of: record), context)
            while count > 0, above[count - 1] & isResult != 0 {
                result = try output.join(
                    UInt32(truncatingIfNeeded: above[count - 1]), result)
                count -= 1
            }
            guard count > 0 else { return result }
            record = UInt32(truncatingIfNeeded: above[count - 1])
            above[count - 1] = isResult | UInt64(result)
        }
    }

    // MARK: - Outcomes

    @inline(__always)
    private mutating func result(
        ofRecord number: UInt32, _ context: Int
    ) throws(CompileFault) -> UInt32 {
        if context == 0, recordResults[Int(number)] != Self.unknown {
            return recordResults[Int(number)]
        }
        let result = try result(ofPlace: layout.numbers[Int(number)], context)
        if context == 0 { recordResults[Int(number)] = result }
        return result
    }

    @inline(never)
    private mutating func result(
        ofPlace place: UInt32, _ context: Int
    ) throws(CompileFault) -> UInt32 {
        guard context > 0 else {
            if placeResults[Int(place)] == Self.unknown {
                placeResults[Int(place)] = try newResult(ofPlace: place, context)
            }
            return placeResults[Int(place)]
        }
        let key = UInt64(context) << 32 | UInt64(place)
        if let known = otherResults[key] { return known }
        let new = try newResult(ofPlace: place, context)
        otherResults[key] = new
        return new
    }

    private mutating func newResult(
        ofPlace place: UInt32, _ context: Int
    ) throws(CompileFault) -> UInt32 {
        let key = UInt64(context) << 32 | UInt64(layout.places.wording(place))
        let chosen: Chosen
        if let known = context == 0 ? outcomes[key] : recentOutcomes[key] {
            chosen = known
        } else {
            chosen = Chosen(outcome: newOutcome(ofPlace: place, contexts[context]))
            if context == 0 {
                outcomes.insert(chosen, key)
            } else {
                if recentOutcomes.all.count == Self.recentLimit { recentOutcomes = KnownOutcomes() }
                recentOutcomes.insert(chosen, key)
            }
        }
        return try BinaryTree.leaf(chosen.outcome(layout.places.coordinates(place)))
    }

    private func newOutcome(ofPlace place: UInt32, _ context: Context) -> Outcome {
        var location = layout.places.location(place)
        if context.asn > 0 { location = (location ?? Location()).with(asn: context.asn) }
        let set = sets[Int(context.set)]
        return choice(
            location, lists[Int(set.lists)], set.number == 0 ? nil : Int(set.number) - 1)
    }

    // MARK: - Sets and contexts

    private mutating func unionIndex(_ set: Int, list: Int) -> Int {
        var union = sets[set]
        var lists = lists[Int(union.lists)]
        guard !lists.contains(list) else { return set }
        lists = (lists + [list]).sorted()
        if let known = listIndices[lists] {
            union.lists = known
        } else {
            union.lists = UInt32(self.lists.count)
            listIndices[lists] = union.lists
            self.lists.append(lists)
        }
        return setIndex(union)
    }

    private mutating func setIndex(_ set: LayerSet) -> Int {
        if set.key == 0 { return 0 }
        if let known = setIndices[set.key] { return Int(known) }
        sets.append(set)
        setIndices[set.key] = UInt32(sets.count - 1)
        return sets.count - 1
    }

    private mutating func contextIndex(_ context: Context) -> Int {
        // Where no number counts and no list, which is nearly everywhere, this is not asked.
        if context.key == 0 { return 0 }
        if let known = contextIndices[context.key] { return Int(known) }
        contexts.append(context)
        contextIndices[context.key] = UInt32(contexts.count - 1)
        return contexts.count - 1
    }
}
