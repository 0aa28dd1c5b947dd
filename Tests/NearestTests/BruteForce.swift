// What the sample has to answer, worked out by brute force from its words: where the sites are, what
// the two services say. Nothing of Sources/Geo or Sources/Steering is used, and zones/example.yaml is
// not read: who changes it changes the tables here.

import DNSWire
import Glibc

/// A site of zones/example.yaml.
struct Site: Sendable {
    var name: String
    var latitude: Double
    var longitude: Double
    var origins: [Origin]

    struct Origin: Sendable {
        var ipv4: String
        var ipv6: String
    }

    /// In the file's order, which is the order for clients without coordinates.
    static let all: [Site] = [
        Site(
            name: "virginia", latitude: 39.04, longitude: -77.49,
            origins: [
                Origin(ipv4: "127.0.1.1", ipv6: "2001:db8:1::1"),
                Origin(ipv4: "127.0.1.2", ipv6: "2001:db8:1::2"),
            ]),
        Site(
            name: "california", latitude: 37.37, longitude: -121.92,
            origins: [Origin(ipv4: "127.0.1.3", ipv6: "2001:db8:2::1")]),
        Site(
            name: "sao-paulo", latitude: -23.55, longitude: -46.63,
            origins: [Origin(ipv4: "127.0.1.4", ipv6: "2001:db8:3::1")]),
        Site(
            name: "frankfurt", latitude: 50.11, longitude: 8.68,
            origins: [
                Origin(ipv4: "127.0.1.5", ipv6: "2001:db8:4::1"),
                Origin(ipv4: "127.0.1.6", ipv6: "2001:db8:4::2"),
            ]),
        Site(
            name: "singapore", latitude: 1.35, longitude: 103.82,
            origins: [Origin(ipv4: "127.0.1.7", ipv6: "2001:db8:5::1")]),
        Site(
            name: "tokyo", latitude: 35.69, longitude: 139.69,
            origins: [Origin(ipv4: "127.0.1.8", ipv6: "2001:db8:6::1")]),
    ]

    static let virginia = 0
    static let california = 1
    static let saoPaulo = 2
    static let frankfurt = 3
    static let singapore = 4
    static let tokyo = 5
    /// Both services fall back on it.
    static let fallback = virginia

    /// The haversine formula, on a sphere with the Earth's mean radius.
    func kilometres(latitude: Double, longitude: Double) -> Double {
        let radians = Double.pi / 180
        let halfHeight = sin((latitude - self.latitude) / 2 * radians)
        let halfWidth = sin((longitude - self.longitude) / 2 * radians)
        let share =
            halfHeight * halfHeight
            + cos(latitude * radians) * cos(self.latitude * radians) * halfWidth * halfWidth
        return 2 * 6371.0088 * asin(min(1, share.squareRoot()))
    }
}

/// What a database says of a client, as libmaxminddb reads it.
struct ClientPlace: Equatable {
    var continent: String?
    var country: String?
    /// Codes without the country's, or names where the database has no codes; the largest first.
    var subdivisions: [String] = []
    /// By its English name.
    var city: String?
    var latitude: Double?
    var longitude: Double?
    /// The number of the autonomous system, by a database of its own.
    var asn: Int?
    /// How many of the address's bits the database looked at.
    var length = 0

    /// Whether anything is known of where it is.
    var isKnown: Bool {
        continent != nil || country != nil || city != nil || latitude != nil
            || !subdivisions.isEmpty
    }
}

/// Which sites may answer a client, and in which order.
struct Choice {
    /// The rule that decides, counted from 0.
    var rule: Int
    /// What each site costs this client, the least is the best; infinite for sites that the rule
    /// leaves out. Kilometres where the rule goes by distance, else the place in the rule's list.
    var costs: [Double]
    /// Whether any of the sites may answer: one is drawn.
    var isDrawn = false

    /// Two distances that differ by less than a millimetre are equal: either site is the nearest.
    static let tolerance = 1e-6

    /// The candidates, best first.
    var order: [Int] {
        costs.indices.filter { costs[$0].isFinite }.sorted { (costs[$0], $0) < (costs[$1], $1) }
    }

    /// The sites that may answer while only some can be used.
    func allowed(isUsable: (Int) -> Bool) -> [Int] {
        let usable = order.filter(isUsable)
        guard let best = usable.first else { return [Site.fallback] }
        if isDrawn { return usable }
        return usable.filter { costs[$0] <= costs[best] + Self.tolerance }
    }

    /// Whether another client's order, of the same rule, is right for this one as well.
    func agrees(with other: Choice) -> Bool {
        guard rule == other.rule, isDrawn == other.isDrawn else { return false }
        let order = other.order
        return zip(order, order.dropFirst()).allSatisfy {
            costs[$0] <= costs[$1] + Self.tolerance
        }
    }
}

// MARK: - The services

/// The two services of zones/example.yaml, each with a name that it is steered by.
enum SampleService: String, CaseIterable {
    case web = "www.example.com"
    case chat = "chat.example.com"

    /// - Parameter address: the client's, or the IPv4 address that it carries.
    func choice(for place: ClientPlace, at address: IPAddress) -> Choice {
        switch self {
        case .web:
            return Choice(rule: 0, costs: distances(place, Site.all.indices.map { ($0, 1) }))
        case .chat:
            let octets = address.octets
            if octets.count == 4, octets[0] == 10 || octets[0] == 192 && octets[1] == 168 {
                return Choice(rule: 0, costs: listed([Site.frankfurt]))
            }
            if place.country == "US" || place.country == "CA" {
                return Choice(rule: 1, costs: listed([Site.virginia, Site.california]))
            }
            if place.continent == "EU" || place.continent == "AF" {
                let sites = listed([Site.frankfurt, Site.virginia])
                return Choice(rule: 2, costs: sites, isDrawn: true)
            }
            // A bias of 20 takes 20 % off the way to Tokyo.
            let sites = [
                (Site.saoPaulo, 1), (Site.singapore, 1), (Site.tokyo, 0.8), (Site.california, 1),
            ]
            return Choice(rule: 3, costs: distances(place, sites))
        }
    }

    private func listed(_ sites: [Int]) -> [Double] {
        var costs: [Double] = Array(repeating: .infinity, count: Site.all.count)
        for (position, site) in sites.enumerated() { costs[site] = Double(position) }
        return costs
    }

    private func distances(_ place: ClientPlace, _ sites: [(Int, Double)]) -> [Double] {
        guard let latitude = place.latitude, let longitude = place.longitude else {
            return listed(sites.map(\.0))
        }
        var costs: [Double] = Array(repeating: .infinity, count: Site.all.count)
        for (site, factor) in sites {
            costs[site] =
                Site.all[site].kilometres(latitude: latitude, longitude: longitude) * factor
        }
        return costs
    }
}
