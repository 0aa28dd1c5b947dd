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

    /// Whether compiling gives the same as with another: the same databases, and overrides that say the same.
    public func isSame(as other: Geography) -> Bool {
        let places = { (entry: LocationOverrides.Entry) in (entry.network, entry.location) }
        return database === other.database && asnDatabase === other.asnDatabase
            && overrides.fallback?.location == other.overrides.fallback?.location
            && overrides.entries.elementsEqual(other.overrides.entries) { places($0) == places($1) }
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
}
