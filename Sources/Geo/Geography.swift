// All that is known of where addresses are: a database, or none, with overrides on top.

public import DNSWire
public import Settings

/// Where an address is and whose, and who says so.
public struct LocatedAddress: Hashable, Sendable {
    /// Who knows something, and for which network.
    public enum Source: Hashable, Sendable {
        /// An entry of `geo/overrides.yaml`, with its place there.
        case override(IPNetwork, SourcePosition)
        case database(IPNetwork)
        /// Space that everybody uses for himself, with its use: no database is asked.
        case special(IPNetwork, String)
        /// The default of `geo/overrides.yaml`, with its place there, as nobody knows.
        case fallback(SourcePosition)
        case unknown
    }

    /// Nil if nothing is known.
    public var location: Location?
    /// Who knows the place.
    public var source: Source
    /// The autonomous system that announces the address; its number is in `location`, too.
    public var system: AutonomousSystem?
    public var systemSource: Source
    /// The IPv4 address that an IPv6 address carries, and that was located instead.
    public var foldedIPv4: IPAddress?
}

/// A network that gives its clients a number; of several, the most specific does.
public struct NumberedNetwork: Hashable, Sendable, BitwiseCopyable {
    public var network: IPNetwork
    public var number: Int

    public init(network: IPNetwork, number: Int) {
        self.network = network
        self.number = number
    }
}

/// Databases and the overrides that beat them; immutable.
public final class Geography: Sendable {
    public let database: LocationDatabase?
    /// Says who announces a network.
    public let asnDatabase: LocationDatabase?
    public let overrides: LocationOverrides

    /// - Parameters:
    ///   - database: nil works as well: then only overrides and rule networks tell clients apart.
    ///   - asnDatabase: of the kind `asn`; nil where no rule asks for AS numbers.
    public init(
        database: LocationDatabase?, asnDatabase: LocationDatabase? = nil,
        overrides: LocationOverrides = LocationOverrides()
    ) {
        self.database = database
        self.asnDatabase = asnDatabase
        self.overrides = overrides
    }

    /// Locates one address, by a walk of its own that takes microseconds: to explain, not to serve.
    public func find(_ address: IPAddress) -> LocatedAddress {
        let folded = FoldedSpace.ipv4(in: address)
        let located = folded ?? address
        let special = SpecialSpace.containing(located)
        let unknown = special.map { LocatedAddress.Source.special($0.network, $0.use) } ?? .unknown
        var result = LocatedAddress(
            location: nil, source: unknown, systemSource: unknown, foldedIPv4: folded)
        if let entry = overrides.entry(for: located, where: \.isPlace) {
            result.location = entry.location
            result.source = .override(entry.network, entry.position)
        } else if special == nil, let (location, network) = database?.location(of: located),
            let location
        {
            result.location = location
            result.source = .database(network)
        }
        if let entry = overrides.entry(for: located, where: { $0.asn != nil }) {
            result.system = entry.location.asn.map { AutonomousSystem(number: $0) }
            result.systemSource = .override(entry.network, entry.position)
        } else if special == nil, let (system, network) = asnDatabase?.system(of: located),
            let system
        {
            result.system = system
            result.systemSource = .database(network)
        }
        result.location = (result.location ?? Location()).with(asn: result.system?.number)
        return result
    }

    /// Does the same, and takes the overrides' default for a place that nobody knows, as rules do.
    public func findOrAssume(_ address: IPAddress) -> LocatedAddress {
        var result = find(address)
        guard result.location?.isPlace != true, let fallback = overrides.fallback else {
            return result
        }
        result.location = fallback.location.with(asn: result.system?.number)
        result.source = .fallback(fallback.position)
        return result
    }

    /// Compiles one distinct list of rules; takes about a second with a full City database.
    ///
    /// - Parameters:
    ///   - lists: the networks that rules match, one list for each such rule. A network inside a
    ///     folded space never matches: see `FoldedSpace.objection(to:)`.
    ///   - asns: the AS numbers that rules ask for. All others count as none, so that neighbours
    ///     they would keep apart are one network.
    ///   - withCities: whether locations have their city's name, which takes longer to read.
    ///   - outcome: chooses a number below 2^23 - 8 for a location (nil if unknown; nothing but an
    ///     AS number where only that is known) and the indices of the lists that hold the client,
    ///     ascending. Asked once for each data record or override, AS number and set of lists; equal
    ///     numbers make one network of neighbours.
    public func compile(
        networks lists: [[IPNetwork]], asns: Set<UInt32> = [], withCities: Bool = false,
        outcome: (_ location: Location?, _ matchedLists: [Int]) -> UInt32
    ) throws(GeoError) -> LocationTree {
        try compile(networks: lists, numbered: [], asns: asns, withCities: withCities) {
            location, lists, _ in outcome(location, lists)
        }
    }

    /// Compiles a list of rules that also tells clients apart by very many networks.
    ///
    /// - Parameter numbered: no network twice; `outcome` gets the number of the most specific that
    ///   holds the client, if any does. Unlike `networks`, hundreds of thousands cost no more than
    ///   their leaves.
    public func compile(
        networks lists: [[IPNetwork]], numbered: [NumberedNetwork], asns: Set<UInt32> = [],
        withCities: Bool = false,
        outcome: (_ location: Location?, _ matchedLists: [Int], _ number: Int?) -> UInt32
    ) throws(GeoError) -> LocationTree {
        let spaces =
            FoldedSpace.allCases.map { LayerEntry(network: $0.network, kind: .fold($0)) }
            + SpecialSpace.networks.map { LayerEntry(network: $0.network, kind: .special) }
        var layers = spaces
        for (index, entry) in overrides.entries.enumerated() where entry.location.isPlace {
            layers.append(LayerEntry(network: entry.network, kind: .override(index)))
        }
        for (index, list) in lists.enumerated() {
            layers += list.map { LayerEntry(network: $0, kind: .list(index)) }
        }
        layers += numbered.map { LayerEntry(network: $0.network, kind: .numbered($0.number)) }
        let asnTrees =
            asns.isEmpty ? [ASNTree(), ASNTree()] : try layOut(asns.sorted(), spaces: spaces)
        var compiler = TreeCompiler(
            database: database, withCities ? .placeWithCity : .place,
            overrides: overrides.entries.map { $0.location.with(asn: nil) ?? Location() })
        var packer = TreePacker()
        do throws(CompileFault) {
            for (index, family) in [IPAddress.Family.ipv4, .ipv6].enumerated() {
                let (tree, top) = try compiler.compile(
                    family, layers: layers.filter { $0.network.address.family == family },
                    beside: asnTrees[index], outcome)
                try packer.pack(tree, root: top, at: index * Entry.rootSlots)
            }
        } catch {
            throw Self.explained(error, path: database?.path ?? "")
        }
        return LocationTree(table: packer.table, networkCount: packer.networkCount)
    }

    /// Lays out which network has which of these AS numbers, for IPv4, then for IPv6.
    private func layOut(
        _ asns: [UInt32], spaces: [LayerEntry]
    ) throws(GeoError) -> [ASNTree] {
        let numbers = [nil] + asns.map(Optional.some)
        let indices = Dictionary(
            asns.enumerated().map { ($1, UInt32($0 + 1)) }, uniquingKeysWith: { a, _ in a })
        var layers = spaces
        for (index, entry) in overrides.entries.enumerated() where entry.location.asn != nil {
            layers.append(LayerEntry(network: entry.network, kind: .override(index)))
        }
        var compiler = TreeCompiler(
            database: asnDatabase, .asn, overrides: overrides.entries.map(\.location))
        var result: [ASNTree] = []
        do throws(CompileFault) {
            for family in [IPAddress.Family.ipv4, .ipv6] {
                let (tree, root) = try compiler.compile(
                    family, layers: layers.filter { $0.network.address.family == family }
                ) { location, _, _ in location?.asn.flatMap { indices[$0] } ?? 0 }
                result.append(ASNTree(tree: tree, root: root, asns: numbers))
            }
        } catch {
            throw Self.explained(error, path: asnDatabase?.path ?? "")
        }
        return result
    }

    private static func explained(_ fault: CompileFault, path: String) -> GeoError {
        switch fault {
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
