// Every network of the database with its place, overrides laid on top: to go through all clients there
// could be, not to serve. It is a location tree whose outcomes are places.

public import DNSWire

/// Where each address is, network by network.
public final class PlaceMap: Sendable {
    private let tree: LocationTree
    /// By outcome; nil for what nobody knows.
    private let places: [Location?]

    /// Compiles; takes as long as compiling one list of rules.
    public init(_ geography: Geography) throws(GeoError) {
        var places: [Location?] = []
        tree = try TreeMaker(geography).compile(networks: [], numbered: []) { location, _, _ in
            var known: [Coordinates?: UInt32] = [:]
            return { coordinates in
                if let number = known[coordinates] { return number }
                var place = location
                place?.coordinates = coordinates
                let number = UInt32(places.count)
                places.append(place)
                known[coordinates] = number
                return number
            }
        }
        self.places = places
    }

    /// Goes through the space of one family in order of addresses: each network that has one place.
    ///
    /// IPv6 is gone through down to /64, and parts that are located by an IPv4 address inside them are
    /// left out: their clients are IPv4's.
    ///
    /// - Parameter body: gets a network, and its place if anybody knows one; false ends it.
    public func forEachNetwork(
        _ family: IPAddress.Family, _ body: (IPNetwork, Location?) -> Bool
    ) {
        let bits = family == .ipv4 ? 32 : 64
        // The first bits of an address stand highest in `high`, in both families.
        var high: UInt64 = 0
        while true {
            let address = IPAddress(family: family, high: high, low: 0)
            let space = FoldedSpace.containing(address)
            let match = tree.lookup(address)
            let length = min(bits, space?.length ?? Int(match.scope))
            guard let network = IPNetwork(address, length: length) else { return }
            if space == nil, !body(network, places[Int(match.outcome)]) { return }
            // The next network's first address; past the last one it wraps to zero.
            high &+= length == 0 ? 0 : 1 << UInt64(64 - length)
            if high == 0 || length == 0 { return }
        }
    }
}
