// What is said where rules and geography come together: databases that are missing, AS numbers and
// places that nobody has, rules that nobody comes to.

import DNSWire
import Geo
import Settings
import Testing

@testable import Steering

@Suite("rules and geography")
struct PlaceCheckTests {
    /// The findings about a service with a rule of this match, at line 4, before one for everyone.
    private func findings(
        _ match: String, places: String = "", database: LocationDatabase? = nil,
        regions: String = "", earlier: String = ""
    ) throws -> [String] {
        var diagnostics = Diagnostics()
        let text = """
            pools: { a: { origins: { o: { addresses: 192.0.2.1 } } } }
            \(regions)
            services: { s: { rules: [\(earlier)
              { match: { \(match) }, pools: a },
              { pools: a }] } }
            """
        let configuration = SteeringConfiguration.parse(
            [PoolFile(name: "a.yaml", text: text)], diagnostics: &diagnostics)
        let overrides = try geography(places).overrides
        let steering = try Steering(
            try #require(configuration, "\(diagnostics.sorted)"),
            geography: Geography(database: database, overrides: overrides))
        steering.checkPlaces(&diagnostics)
        return diagnostics.sorted.map(\.description)
    }

    private let places = """
        203.0.113.0/24: { country: JP, city: Tokyo, coordinates: [35.69, 139.69] }
        198.51.100.0/24: { country: US, subdivision: CA, asn: 64500 }
        """

    @Test(
        "a rule that no network comes to is told with the reason",
        arguments: [
            ("countries: [XK, AQ]", "(countries AQ XK): no network is in AQ, XK"),
            ("continents: AF", "no network is in AF"),
            ("subdivisions: US-VA", "no network is in US-VA"),
            ("cities: JP/Tokio", "no network is in JP/tokio; did you mean JP/tokyo?"),
            ("cities: DE/Bonn", "no network is in DE/bonn"),
            ("regions: far", "nothing is in the region \"far\""),
            ("any: [{ countries: XK }, { continents: AF }]", "no network is in XK"),
            ("countries: JP, asns: 64500", "earlier rules may take all its clients"),
            ("countries: JP, not: { continents: AS }", "earlier rules may take all its clients"),
        ])
    func idle(match: String, says: String) throws {
        let regions =
            match.contains("far") ? "regions: { far: { countries: XK, continents: AF } }" : ""
        let found = try findings(match, places: places, regions: regions)
            .filter { $0.contains("matches no network") }
        #expect(found.count == 1)
        #expect(
            found.first?.hasPrefix(
                "a.yaml:4:3: warning: this rule matches no network of the overrides (") == true)
        #expect(found.first?.contains(says) == true, "\(found)")
    }

    @Test(
        "a rule that somebody comes to is not",
        arguments: [
            "countries: [XK, JP]", "cities: [JP/tokyo]", "regions: [WNAM]", "asns: 64500",
            "networks: 10.0.0.0/8", "not: { countries: JP }",
            "any: [{ countries: XK }, { asns: 64500 }]",
        ])
    func used(match: String) throws {
        let found = try findings(match, places: places)
        #expect(!found.contains { $0.contains("no network") }, "\(found)")
    }

    @Test("what earlier rules leave nothing of is told, but once")
    func shadowed() throws {
        let found = try findings(
            "subdivisions: US-CA", places: places,
            earlier: "{ match: { continents: NA }, pools: a },")
        #expect(!found.contains { $0.contains("no network") }, "\(found)")
        let asia = try findings(
            "continents: AS", places: places, earlier: "{ match: { countries: JP }, pools: a },")
        #expect(asia.contains { $0.contains("earlier rules may take all its clients") })
    }

    @Test(
        "AS numbers without a database, or that nobody has, are told",
        arguments: [
            (
                "asns: 3356", "10.0.0.0/8: { country: US }",
                "error: this rule matches AS numbers, but"
            ),
            (
                "asns: 64500", "10.0.0.0/8: { asn: 64500 }",
                "ASN database (*.mmdb), only overrides; "
            ),
            (
                "asns: [64500, 64501]", "10.0.0.0/8: { asn: 64500 }",
                "AS64501, for documentation (RFC 5398), and no override states who has that"
            ),
            (
                "regions: private", "10.0.0.0/8: { asn: 64500 }",
                "AS4200000000, for private use (RFC 6996)"
            ),
        ])
    func systems(match: String, places: String, says: String) throws {
        let found = try findings(
            match, places: places,
            regions: match.contains("private") ? "regions: { private: { asns: 4200000000 } }" : "")
        #expect(found.contains { $0.contains(says) }, "\(found)")
    }

    @Test("a database that has names for codes is told, and one cure for its rules")
    func names() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let world = try LocationDatabase(path: "/\(root)/geo/world.mmdb")
        let found = try findings("subdivisions: US-CA", database: world)
        #expect(
            found == [
                "a.yaml:4:3: warning: this rule matches no network of Rhumb-World-City (subdivisions"
                    + " US-CA): it has names in place of codes as US-CA; use MaxMind's data or overrides"
            ])
        #expect(try findings("countries: [DE]", database: world) == [])
    }
}
