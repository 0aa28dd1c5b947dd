// Clients to ask for: networks that a geo database knows, or those of a file.

public import DNSWire
public import Geo

/// Draws client prefixes as resolvers disclose them: /24 for IPv4, /56 for IPv6 (RFC 7871, section
/// 11.1).
public struct RandomClients {
    /// Draws until a database of which nothing was found is taken for empty: some tenths of a second.
    static let drawsAtLeast = 1_000_000
    /// Draws more for each prefix found: City databases know four of five public addresses, and one
    /// that knows one in thousands is still good for as many clients as are wanted.
    static let drawsPerClient = 2_000

    private var random: SeededGenerator

    /// - Parameter seed: the same seed draws the same clients.
    public init(seed: UInt64) { random = SeededGenerator(state: seed) }

    /// IPv4 prefixes of /24 drawn from all public addresses of which the database knows the place;
    /// fewer than wanted if it hardly knows any.
    public mutating func ipv4(_ count: Int, from database: LocationDatabase) -> [IPNetwork] {
        ipv4(count) { database.location(of: $0).location != nil }
    }

    /// The same of addresses that somebody knows.
    mutating func ipv4(_ count: Int, where isKnown: (IPAddress) -> Bool) -> [IPNetwork] {
        var clients: [IPNetwork] = []
        var draws = 0
        while clients.count < count,
            draws < Self.drawsAtLeast + Self.drawsPerClient * clients.count
        {
            draws += 1
            // 1.0.0.0 to 223.255.255.255 is where unicast is.
            let address = IPAddress(ipv4: UInt32.random(in: 1 << 24..<224 << 24, using: &random))
            guard isKnown(address), let network = IPNetwork(address.masked(to: 24), length: 24)
            else { continue }
            clients.append(network)
        }
        return clients
    }

    /// IPv6 prefixes of /56 (of less where the network is smaller), each in a network drawn from all
    /// that the database has: most of the address space is empty.
    public mutating func ipv6(_ count: Int, from geography: Geography) throws(GeoError)
        -> [IPNetwork]
    {
        var drawn: [IPNetwork] = []
        var seen = 0
        // Reservoir sampling (Vitter, 1985, algorithm R): one pass over networks of unknown number.
        try PlaceMap(geography).forEachNetwork(.ipv6) { network, place in
            guard place != nil else { return true }
            seen += 1
            if drawn.count < count {
                drawn.append(network)
            } else {
                let index = Int.random(in: 0..<seen, using: &random)
                if index < count { drawn[index] = network }
            }
            return true
        }
        return drawn.compactMap { network in
            let bits = UInt64.random(in: .min ... .max, using: &random)
            // Nothing of the first 64 is left for longer networks.
            let inside = bits >> UInt64(network.length)
            let address = IPAddress(
                family: .ipv6, high: network.address.high | inside, low: network.address.low)
            let length = max(56, network.length)
            return IPNetwork(address.masked(to: length), length: length)
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): repeatable, one state.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
