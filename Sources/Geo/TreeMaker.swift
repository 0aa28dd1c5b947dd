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
        outcome: @escaping (_ location: Location?, _ matchedLists: [Int]) -> UInt32
    ) throws(GeoError) -> LocationTree {
        try TreeMaker(self).compile(
            networks: lists, numbered: [], asns: asns, withCities: withCities
        ) { location, lists, _ in
            { coordinates in
                var location = location
                location?.coordinates = coordinates
                return outcome(location, lists)
            }
        }
    }
}

/// Compiles location trees of one geography, several at once if need be.
///
/// The databases' records are read once, at the first tree, some tenths of a second for a full City
/// database; each tree is a walk of its own, some tenths. What they share, some 30 MB, is gone with
/// the maker.
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
    ///   - outcome: chooses in two steps, as hundreds of thousands of places differ in their
    ///     coordinates alone. The first gets a location (nil if unknown; nothing but an AS number
    ///     where only that is known) with the coordinates of one of those places, and the indices of
    ///     the lists that hold the client, ascending; it may be asked again of those where a list, a
    ///     number or an AS number is among them, and has to say the same again. The function that it
    ///     returns gets the coordinates of each of the places, and returns a number below 2^23 - 8:
    ///     equal numbers make one network of neighbours.
    public func compile(
        networks lists: [[IPNetwork]], numbered: [NumberedNetwork], asns: Set<UInt32> = [],
        withCities: Bool = false,
        outcome:
            @escaping (_ location: Location?, _ matchedLists: [Int], _ number: Int?) ->
            (_ coordinates: Coordinates?) -> UInt32
    ) throws(GeoError) -> LocationTree {
        try checkFiles(asns)
        let result = Result { () throws(GeoError) in
            try compileTree(lists, numbered, asns, withCities, outcome)
        }
        // What was written into meanwhile is not to be believed, whatever came of it.
        try checkFiles(asns)
        return try result.get()
    }

    private func checkFiles(_ asns: Set<UInt32>) throws(GeoError) {
        try geography.database?.checkFile()
        if !asns.isEmpty { try geography.asnDatabase?.checkFile() }
    }

    private func compileTree(
        _ lists: [[IPNetwork]], _ numbered: [NumberedNetwork], _ asns: Set<UInt32>,
        _ withCities: Bool, _ outcome: @escaping TreeCompiler.Choice
    ) throws(GeoError) -> LocationTree {
        let places = try layout(withCities: withCities)
        let systems = try layout(ofSystems: asns)
        var layers = layers(places, asns)
        for (index, list) in lists.enumerated() {
            layers += list.map { LayerEntry(network: $0, layer: .list(index)) }
        }
        // There may be a million.
        layers.reserveCapacity(layers.count + numbered.count)
        for entry in numbered {
            layers.append(LayerEntry(network: entry.network, layer: .numbered(entry.number)))
        }
        do throws(CompileFault) {
            let tree = try Self.compile(consume layers, places, systems, outcome)
            return LocationTree(table: try TreePacker.pack(tree))
        } catch {
            switch error {
            case .straySystem, .tangledSystems: throw explained(error, geography.asnDatabase)
            default: throw explained(error, geography.database)
            }
        }
    }

    /// On its own, so that what it took is freed before the tree is packed.
    @inline(never)
    private static func compile(
        _ layers: consuming [LayerEntry], _ places: PlaceLayout, _ systems: SystemLayout,
        _ choice: @escaping TreeCompiler.Choice
    ) throws(CompileFault) -> BinaryTree {
        var compiler = TreeCompiler(places, systems, choice)
        return try compiler.compile(consume layers)
    }

    // MARK: - What all lists of rules have in common

    /// What takes the place of databases.
    private func layers(_ places: PlaceLayout, _ asns: Set<UInt32>) -> [LayerEntry] {
        var layers = FoldedSpace.allCases.map {
            LayerEntry(network: $0.network, layer: .fold($0))
        }
        layers += SpecialSpace.networks.map { LayerEntry(network: $0.network, layer: .special) }
        for (index, entry) in geography.overrides.entries.enumerated() {
            if entry.location.isPlace {
                let place = places.overrides[index]
                layers.append(LayerEntry(network: entry.network, layer: .place(place)))
            }
            if !asns.isEmpty, let asn = entry.location.asn {
                let counted = asns.contains(asn) ? asn : 0
                layers.append(LayerEntry(network: entry.network, layer: .system(counted)))
            }
        }
        return layers
    }

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

    /// The places of the database's records, then those of the overrides.
    private func layOutPlaces(withCities: Bool) throws(GeoError) -> PlaceLayout {
        let database = geography.database
        var decoder = RecordDecoder(
            database?.data ?? .empty, withCities ? .placeWithCity : .place)
        do throws(CompileFault) {
            let records = try RecordIndex(database)
            var places = PlaceTable(capacity: records.count)
            var numbers: [UInt32] = [0]
            numbers.reserveCapacity(records.count + 1)
            try records.forEachOffset { offset throws(CompileFault) in
                let place = try readSoundly { () throws(DataFault) in try decoder.place(at: offset)
                }
                numbers.append(place.map { places.number(of: $0) } ?? 0)
            }
            let overrides = geography.overrides.entries.map {
                places.number(of: decoder.texts.record(of: $0.location))
            }
            places.texts = decoder.texts
            return PlaceLayout(
                records: records, numbers: numbers, overrides: overrides, places: places)
        } catch {
            throw explained(error, database)
        }
    }

    private func layout(ofSystems asns: Set<UInt32>) throws(GeoError) -> SystemLayout {
        let database = asns.isEmpty ? nil : geography.asnDatabase
        var decoder = RecordDecoder(database?.data ?? .empty, .asn)
        do throws(CompileFault) {
            var layout = SystemLayout(records: try RecordIndex(database))
            try layout.records.forEachOffset { offset throws(CompileFault) in
                let asn =
                    try readSoundly { () throws(DataFault) in try decoder.systemNumber(at: offset) }
                    ?? 0
                layout.asns.append(asns.contains(asn) ? asn : 0)
            }
            return layout
        } catch {
            throw explained(error, database)
        }
    }

    private func explained(_ fault: CompileFault, _ database: LocationDatabase?) -> GeoError {
        let path = database?.path ?? ""
        return switch fault {
        case .strayRecord, .straySystem:
            LocationDatabase.damaged(path, "its search tree points outside its data")
        case .tangledTree, .tangledSystems:
            LocationDatabase.damaged(path, "its search tree runs in circles")
        case .corruptRecord: LocationDatabase.damaged(path, "one of its records can't be decoded")
        case .tooLarge:
            GeoError(
                path: path,
                "gives these rules more than \(BinaryTree.firstFold) different outcomes, or "
                    + "more networks than the location tree can hold; use fewer pools or networks")
        }
    }
}
