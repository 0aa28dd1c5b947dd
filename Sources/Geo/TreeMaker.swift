// From geography to location trees: what all lists of rules have in common is laid out once.

public import DNSWire
internal import Synchronization

/// A network that gives its clients a number; of several, the most specific does.
public struct NumberedNetwork: Hashable, Sendable, BitwiseCopyable {
    public var network: IPNetwork
    public var number: Int

    public init(network: IPNetwork, number: Int) {
        self.network = network
        self.number = number
    }
}

extension Geography {
    /// Compiles one list of rules; see `TreeMaker`, which is for several.
    public func compile(
        networks lists: [[IPNetwork]], asns: Set<UInt32> = [], withCities: Bool = false,
        outcome: (_ location: Location?, _ matchedLists: [Int]) -> UInt32
    ) throws(GeoError) -> LocationTree {
        try TreeMaker(self).compile(
            networks: lists, numbered: [], asns: asns, withCities: withCities
        ) { location, lists, _ in outcome(location, lists) }
    }
}

/// Compiles location trees of one geography, several at once if need be.
///
/// The databases are walked once, at the first tree: some two seconds for a full City database. Each tree
/// then takes some tenths. What they share, up to 300 MB, is gone with the maker.
public final class TreeMaker: Sendable {
    public let geography: Geography
    /// With and without the names of cities.
    private let layouts = Mutex<[Bool: PlaceLayout]>([:])

    public init(_ geography: Geography) {
        self.geography = geography
    }

    /// Compiles one distinct list of rules.
    ///
    /// - Parameters:
    ///   - lists: the networks that rules match, one list for each such rule. A network inside a
    ///     folded space never matches: see `FoldedSpace.objection(to:)`.
    ///   - numbered: no network twice; `outcome` gets the number of the most specific that holds the
    ///     client, if any does. Unlike `lists`, hundreds of thousands cost no more than their leaves.
    ///   - asns: the AS numbers that rules ask for. All others count as none, so that neighbours
    ///     they would keep apart are one network.
    ///   - withCities: whether locations have their city's name, which keeps more networks apart.
    ///   - outcome: chooses a number below 2^23 - 8 for a location (nil if unknown; nothing but an
    ///     AS number where only that is known) and the indices of the lists that hold the client,
    ///     ascending. Asked once for each of these together; equal numbers make one network of
    ///     neighbours.
    public func compile(
        networks lists: [[IPNetwork]], numbered: [NumberedNetwork], asns: Set<UInt32> = [],
        withCities: Bool = false,
        outcome: (_ location: Location?, _ matchedLists: [Int], _ number: Int?) -> UInt32
    ) throws(GeoError) -> LocationTree {
        var layers: [LayerEntry<TreeCompiler.Kind>] = []
        for (index, list) in lists.enumerated() {
            layers += list.map { LayerEntry(network: $0, kind: .list(index)) }
        }
        layers += numbered.map { LayerEntry(network: $0.network, kind: .numbered($0.number)) }
        let places = try layout(withCities: withCities)
        let systems = asns.isEmpty ? ASNLayout() : try layout(ofSystems: asns.sorted())
        do throws(CompileFault) {
            let tree = try Self.compile(layers, places, systems, outcome)
            return LocationTree(table: try TreePacker.pack(tree))
        } catch {
            throw explained(error, geography.database)
        }
    }

    /// On its own, so that what it took is freed before the tree is packed.
    @inline(never)
    private static func compile(
        _ layers: [LayerEntry<TreeCompiler.Kind>], _ places: PlaceLayout, _ systems: ASNLayout,
        _ outcome: TreeCompiler.Outcome
    ) throws(CompileFault) -> BinaryTree {
        var compiler = TreeCompiler(places, beside: systems)
        return try compiler.compile(layers, outcome)
    }

    // MARK: - Layouts

    private func layout(withCities: Bool) throws(GeoError) -> PlaceLayout {
        // Whoever comes second waits, as there is nothing to do without it.
        let result: Result<PlaceLayout, GeoError> = layouts.withLock { layouts in
            if let known = layouts[withCities] { return .success(known) }
            let new = Result { () throws(GeoError) in try layOutPlaces(withCities: withCities) }
            layouts[withCities] = try? new.get()
            return new
        }
        return try result.get()
    }

    private func layOutPlaces(withCities: Bool) throws(GeoError) -> PlaceLayout {
        let overrides = geography.overrides.entries
        let numbering = PlaceNumbering(
            geography.database, withCities: withCities, overrides: overrides.map(\.location))
        let (tree, filled) = try layOut(geography.database, numbering) {
            overrides[$0].location.isPlace
        }
        return PlaceLayout(tree: tree, places: filled.table)
    }

    private func layout(ofSystems asns: [UInt32]) throws(GeoError) -> ASNLayout {
        let overrides = geography.overrides.entries
        let numbering = SystemNumbering(
            geography.asnDatabase, asns, overrides: overrides.map(\.location))
        let (tree, _) = try layOut(geography.asnDatabase, numbering) {
            overrides[$0].location.asn != nil
        }
        return ASNLayout(tree: tree, asns: [nil] + asns.map(Optional.some))
    }

    private func layOut<Numbering: RecordNumbering>(
        _ database: LocationDatabase?, _ numbering: Numbering,
        whereOverride counts: (Int) -> Bool
    ) throws(GeoError) -> (BinaryTree, Numbering) {
        if let database, !database.isIntact {
            throw GeoError(
                path: database.path,
                "was cut off while it was in use; replace databases by renaming, never in place")
        }
        var layers: [LayerEntry<DatabaseLayer>] = FoldedSpace.allCases.map {
            LayerEntry(network: $0.network, kind: .fold($0))
        }
        layers += SpecialSpace.networks.map { LayerEntry(network: $0.network, kind: .special) }
        for (index, entry) in geography.overrides.entries.enumerated() where counts(index) {
            layers.append(LayerEntry(network: entry.network, kind: .override(index)))
        }
        var compiler = DatabaseCompiler(database, numbering)
        do throws(CompileFault) {
            let tree = try compiler.compile(layers)
            return (tree, compiler.numbering)
        } catch {
            throw explained(error, database)
        }
    }

    private func explained(_ fault: CompileFault, _ database: LocationDatabase?) -> GeoError {
        let path = database?.path ?? ""
        return switch fault {
        case .strayRecord: LocationDatabase.damaged(path, "its search tree points outside its data")
        case .tangledTree: LocationDatabase.damaged(path, "its search tree runs in circles")
        case .corruptRecord: LocationDatabase.damaged(path, "one of its records can't be decoded")
        case .tooLarge:
            GeoError(
                path: path,
                "gives these rules more than \(BinaryTree.firstFold) different outcomes, or "
                    + "more networks than the location tree can hold; use fewer pools or networks")
        }
    }
}

/// Numbers places.
private struct PlaceNumbering: RecordNumbering {
    private var decoder: RecordDecoder
    private let overrides: [Location]
    private var places = PlaceTable()

    init(_ database: LocationDatabase?, withCities: Bool, overrides: [Location]) {
        decoder = RecordDecoder(
            database?.data ?? .empty, withCities ? .placeWithCity : .place)
        self.overrides = overrides
    }

    /// What the numbers stand for.
    var table: PlaceTable {
        var table = places
        table.texts = decoder.texts
        return table
    }

    mutating func number(ofRecordAt offset: Int) throws(DataFault) -> UInt32 {
        try decoder.place(at: offset).map { places.number(of: $0) } ?? 0
    }

    mutating func number(ofOverride index: Int) -> UInt32 {
        places.number(of: decoder.texts.record(of: overrides[index]))
    }
}

/// Numbers the AS numbers that count, in their order; all others are 0.
private struct SystemNumbering: RecordNumbering {
    private var decoder: RecordDecoder
    private let overrides: [Location]
    private let numbers: [UInt32: UInt32]

    init(_ database: LocationDatabase?, _ asns: [UInt32], overrides: [Location]) {
        decoder = RecordDecoder(database?.data ?? .empty, .asn)
        self.overrides = overrides
        numbers = Dictionary(
            asns.enumerated().map { ($1, UInt32($0 + 1)) }, uniquingKeysWith: { a, _ in a })
    }

    mutating func number(ofRecordAt offset: Int) throws(DataFault) -> UInt32 {
        try decoder.systemNumber(at: offset).flatMap { numbers[$0] } ?? 0
    }

    mutating func number(ofOverride index: Int) -> UInt32 {
        overrides[index].asn.flatMap { numbers[$0] } ?? 0
    }
}
