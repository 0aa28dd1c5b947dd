// All that is known of where addresses are: a database, or none, with overrides on top.

public import DNSWire
public import Settings

/// Where an address is, and who says so.
public struct LocatedAddress: Hashable, Sendable {
    /// Who knows the location, and for which network.
    public enum Source: Hashable, Sendable {
        /// An entry of `geo/overrides.yaml`, with its place there.
        case override(IPNetwork, SourcePosition)
        case database(IPNetwork)
        case unknown
    }

    /// Nil if nothing is known.
    public var location: Location?
    public var source: Source
    /// The IPv4 address that an IPv6 address carries, and that was located instead.
    public var foldedIPv4: IPAddress?
}

/// A database and the overrides that beat it; immutable.
public final class Geography: Sendable {
    public let database: LocationDatabase?
    public let overrides: LocationOverrides

    /// - Parameter database: nil works as well: then only overrides and rule networks tell clients
    ///   apart.
    public init(database: LocationDatabase?, overrides: LocationOverrides = LocationOverrides()) {
        self.database = database
        self.overrides = overrides
    }

    /// Locates one address, by a walk of its own that takes microseconds: to explain, not to serve.
    public func find(_ address: IPAddress) -> LocatedAddress {
        let folded = FoldedSpace.ipv4(in: address)
        let located = folded ?? address
        if let entry = overrides.entry(for: located) {
            return LocatedAddress(
                location: entry.location, source: .override(entry.network, entry.position),
                foldedIPv4: folded)
        }
        guard let (location, network) = database?.location(of: located), let location else {
            return LocatedAddress(location: nil, source: .unknown, foldedIPv4: folded)
        }
        return LocatedAddress(
            location: location, source: .database(network), foldedIPv4: folded)
    }

    /// Compiles one distinct list of rules; takes about a second with a full City database.
    ///
    /// - Parameters:
    ///   - lists: the networks that rules match, one list for each such rule. A network inside a
    ///     folded space never matches: see `FoldedSpace.objection(to:)`.
    ///   - withCities: whether locations have their city's name, which takes longer to read.
    ///   - outcome: chooses a number below 2^23 - 8 for a location (nil if unknown) and the indices
    ///     of the lists that hold the client, ascending. Asked once for each data record or
    ///     override and set of lists; equal numbers make one network of neighbours.
    public func compile(
        networks lists: [[IPNetwork]], withCities: Bool = false,
        outcome: (_ location: Location?, _ matchedLists: [Int]) -> UInt32
    ) throws(GeoError) -> LocationTree {
        var layers: [LayerEntry] = []
        for (index, entry) in overrides.entries.enumerated() {
            layers.append(LayerEntry(network: entry.network, kind: .override(index)))
        }
        for (index, list) in lists.enumerated() {
            layers += list.map { LayerEntry(network: $0, kind: .list(index)) }
        }
        for space in FoldedSpace.allCases {
            layers.append(LayerEntry(network: space.network, kind: .fold(space)))
        }
        do throws(CompileFault) {
            let packed = try pack(layers, withCities, outcome)
            return LocationTree(table: packed.table, networkCount: packed.networkCount)
        } catch {
            throw Self.explained(error, path: database?.path ?? "")
        }
    }

    /// Compiles and packs; what that took is freed when it returns.
    private func pack(
        _ layers: [LayerEntry], _ withCities: Bool, _ outcome: TreeCompiler.Outcome
    ) throws(CompileFault) -> (table: [UInt32], networkCount: Int) {
        var compiler = TreeCompiler(
            database: database, overrides: overrides.entries, withCities: withCities)
        var packer = TreePacker()
        for (family, root) in [(IPAddress.Family.ipv4, 0), (.ipv6, Entry.rootSlots)] {
            let (tree, top) = try compiler.compile(
                family, layers: layers.filter { $0.network.address.family == family }, outcome)
            try packer.pack(tree, root: top, at: root)
        }
        return (packer.table, packer.networkCount)
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
