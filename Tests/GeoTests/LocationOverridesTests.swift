// `geo/overrides.yaml`: what it may say, and what is said about mistakes in it.

import DNSWire
import Geo
import Settings
import Testing

@Suite("location overrides")
struct LocationOverridesTests {
    private func parse(_ text: String) -> (overrides: LocationOverrides, errors: [String]) {
        var diagnostics = Diagnostics()
        var result = LocationOverrides()
        if let root = parseSettings(text, file: "o.yaml", diagnostics: &diagnostics) {
            result = LocationOverrides.parse(root, &diagnostics)
        }
        return (result, diagnostics.sorted.map(\.description))
    }

    @Test("networks of both families are read with all that they say")
    func good() {
        let (overrides, errors) = parse(
            """
            networks:
              198.51.100.0/24: { country: de, city: Frankfurt, coordinates: [50.11, 8.68] }
              "2001:db8:100::/40": { country: US, subdivision: US-VA, continent: NA }
              10.0.0.0/8: { continent: EU }
              10.1.0.1: { country: XK, subdivision: [A, bee] }
              192.0.2.0/24: { country: NO, coordinates: [-90, 180] }
            """)
        #expect(errors == [])
        #expect(
            overrides.entries.map(\.location) == [
                Location(
                    continent: "EU", country: "DE", city: "Frankfurt",
                    coordinates: Coordinates(latitude: 50.11, longitude: 8.68)),
                Location(continent: "NA", country: "US", subdivisions: ["VA"]),
                Location(continent: "EU"),
                Location(continent: "EU", country: "XK", subdivisions: ["A", "BEE"]),
                Location(
                    continent: "EU", country: "NO",
                    coordinates: Coordinates(latitude: -90, longitude: 180)),
            ])
        #expect(overrides.entries[1].position == SourcePosition(file: "o.yaml", line: 3, column: 3))
        #expect(overrides.entry(for: ip("10.1.0.1"))?.network == net("10.1.0.1/32"))
        #expect(overrides.entry(for: ip("10.1.0.2"))?.network == net("10.0.0.0/8"))
        #expect(overrides.entry(for: ip("192.0.3.1")) == nil)
    }

    @Test("an empty file states nothing", arguments: ["", "networks:\n", "# none\n"])
    func empty(text: String) {
        #expect(parse(text).errors == [])
        #expect(parse(text).overrides.entries.isEmpty)
    }

    @Test(
        "mistakes are told with place, fault and cure",
        arguments: [
            ("nets: {}", "o.yaml:1:1: error: unknown key \"nets\""),
            ("networks: 5", "o.yaml:1:11: error: networks: expected a mapping"),
            (
                "networks:\n  10.0.0.1/8: { country: DE }",
                "o.yaml:2:3: error: \"10.0.0.1/8\" has bits set after its length; did you mean 10.0.0.0/8?"
            ),
            ("networks:\n  10.0.0.0/33: { country: DE }", "is not a network; write ADDRESS/LENGTH"),
            ("networks:\n  example: { country: DE }", "\"example\" is not a network"),
            ("networks:\n  10.0.0.0/8: { country: UK }", "(did you mean GB?)"),
            (
                "networks:\n  10.0.0.0/8: { country: XX }",
                "networks.10.0.0.0/8.country: expected a two-letter country code"
            ),
            (
                "networks:\n  10.0.0.0/8: { continent: Europe }",
                "expected one of AF, AN, AS, EU, NA, OC, SA, found \"Europe\""
            ),
            (
                "networks:\n  10.0.0.0/8: { county: DE }",
                "unknown key \"county\"; did you mean \"country\"?"
            ),
            (
                "networks:\n  10.0.0.0/8: { coordinates: [139.69, 35.68] }",
                "latitude 139.69 must be from -90 to 90, longitude 35.68 from -180 to 180; did you swap latitude and longitude?"
            ),
            (
                "networks:\n  10.0.0.0/8: { coordinates: [10, 190] }",
                "longitude 190.0 from -180 to 180"
            ),
            (
                "networks:\n  10.0.0.0/8: { coordinates: [10] }",
                "expected [latitude, longitude] in degrees"
            ),
            ("networks:\n  10.0.0.0/8: { coordinates: [nan, 1] }", "must be from -90 to 90"),
            (
                "networks:\n  10.0.0.0/8: { coordinates: 10 }",
                "expected [latitude, longitude] in degrees"
            ),
            ("networks:\n  10.0.0.0/8: {}", "says nothing; give at least a country or coordinates"),
            ("networks:\n  10.0.0.0/8:", "says nothing"),
            (
                "networks:\n  10.0.0.0/8: { country: US, subdivision: Virginia }",
                "subdivision: expected the code of a part of US, as in ISO 3166-2 (US-XX or XX), found \"Virginia\""
            ),
            (
                "networks:\n  10.0.0.0/8: { country: US, subdivision: DE-HE }",
                "expected the code of a part of US"
            ),
            (
                "networks:\n  10.0.0.0/8: { continent: NA, subdivision: US-VA }",
                "subdivision: names a part of a country; state the country too"
            ),
            ("networks:\n  10.0.0.0/8: { city: [a] }", "networks.10.0.0.0/8.city: expected a text"),
            ("networks:\n  \"::ffff:10.0.0.0/104\": { country: DE }", "write 10.0.0.0/8"),
            ("networks:\n  \"2002:a00::/24\": { country: DE }", "write 10.0.0.0/8"),
            ("networks:\n  \"2001:0:1::/48\": { country: DE }", "write that IPv4 network"),
            ("networks:\n  \"::/96\": { country: DE }", "write 0.0.0.0/0"),
            (
                "networks:\n  \"2001:db8::/32\": { country: DE }\n  \"2001:0db8::/32\": { country: FR }",
                "o.yaml:3:3: error: the network 2001:db8::/32 is already stated at o.yaml:2:3"
            ),
        ])
    func bad(text: String, message: String) {
        let errors = parse(text).errors
        #expect(errors.count == 1)
        #expect(errors.first?.contains(message) == true, "\(errors)")
    }

    @Test("all mistakes of a file are told, and the sound entries still read")
    func several() {
        let (overrides, errors) = parse(
            """
            networks:
              10.0.0.0/8: { country: ZZ, coordinates: [1000, 1] }
              11.0.0.0/8: { country: DE }
              12.0.0.0/7.5: { country: FR }
            """)
        #expect(errors.count == 3)
        #expect(overrides.entries.map(\.network) == [net("11.0.0.0/8")])
    }

    @Test("an override replaces the database's record whole, and says where it stands")
    func replaces() throws {
        let file = TemporaryFile(
            DatabaseWriter().octets([
                (net("192.0.2.0/24"), placeRecord("DE", latitude: 50, longitude: 8)),
                (net("192.0.2.128/25"), placeRecord("AT", latitude: 48, longitude: 16)),
            ]))
        let overrides = parse(
            "networks:\n  192.0.2.64/26: { country: JP }\n  192.0.2.0/25: { country: FR }"
        ).overrides
        let geography = Geography(
            database: try LocationDatabase(path: file.path), overrides: overrides)
        let located = geography.find(ip("192.0.2.65"))
        #expect(located.location == Location(continent: "AS", country: "JP"))
        #expect(
            located.source
                == .override(
                    net("192.0.2.64/26"), SourcePosition(file: "o.yaml", line: 2, column: 3)))
        #expect(geography.find(ip("::ffff:192.0.2.1")).location?.country == "FR")
        #expect(geography.find(ip("192.0.2.129")).source == .database(net("192.0.2.128/25")))
        var seen: [String?] = []
        let tree = try geography.compile(networks: []) { location, _ in
            seen.append(location?.country)
            return UInt32(seen.count - 1)
        }
        // DE is nowhere left, so nobody asks for it.
        #expect(Set(seen) == [nil, "AT", "FR", "JP"])
        #expect(seen[Int(tree.lookup(ip("192.0.2.65")).outcome)] == "JP")
        #expect(tree.lookup(ip("192.0.2.1")).scope == 26)
        #expect(tree.lookup(ip("192.0.2.200")).scope == 25)
    }

    @Test("an override of one kind leaves the other to whoever else knows it")
    func kinds() throws {
        let places = TemporaryFile(
            DatabaseWriter().octets([
                (net("192.0.2.0/24"), placeRecord("DE")), (net("10.0.0.0/8"), placeRecord("US")),
            ]))
        let systems = TemporaryFile(
            DatabaseWriter(type: "Test-ASN").octets([
                (net("192.0.2.0/24"), systemRecord(64_500)), (net("10.0.0.0/8"), systemRecord(3)),
            ]))
        let overrides = parse(
            """
            networks:
              192.0.2.0/26: { asn: AS64501 }
              192.0.2.32/27: { country: FR }
              192.0.2.64/26: { country: JP, asn: 64502 }
              10.1.0.0/16: { asn: 64503 }
            """
        ).overrides
        let geography = Geography(
            database: try LocationDatabase(path: places.path),
            asnDatabase: try LocationDatabase(path: systems.path, [.asn]), overrides: overrides)
        let tree = try geography.compile(networks: [], asns: [64_501, 64_502, 64_503, 3]) {
            location, _ in
            ["DE": 1, "FR": 2, "JP": 3, "US": 4][location?.country ?? "", default: 0] * 10
                + (location?.asn.map { $0 % 64_500 } ?? 0)
        }
        for (text, country, asn, outcome) in [
            ("192.0.2.1", "DE", 64_501, 11), ("192.0.2.33", "FR", 64_501, 21),
            ("192.0.2.65", "JP", 64_502, 32),
            // A number that no rule asks for.
            ("192.0.2.129", "DE", 64_500, 10),
            // What databases say of private space does not count.
            ("10.0.0.1", nil, nil, 0), ("10.1.0.1", nil, 64_503, 3),
        ] as [(String, String?, UInt32?, UInt32)] {
            let located = geography.find(ip(text))
            #expect(located.location?.country == country && located.location?.asn == asn, "\(text)")
            #expect(located.system?.number == asn)
            #expect(tree.lookup(ip(text)).outcome == outcome, "\(text)")
        }
        #expect(
            geography.find(ip("10.1.0.1")).source
                == .special(net("10.0.0.0/8"), "private space, RFC 1918"))
        #expect(geography.find(ip("192.0.2.1")).source == .database(net("192.0.2.0/24")))
    }

    @Test("the default is a place, and has no AS number")
    func fallback() {
        let (overrides, errors) = parse("default: { country: DE, coordinates: [50.11, 8.68] }")
        #expect(errors == [])
        #expect(overrides.fallback?.location.country == "DE")
        #expect(overrides.fallback?.position.line == 1)
        #expect(parse("default: { asn: 64500 }").errors.first?.contains("unknown key") == true)
        #expect(parse("default: {}").errors.first?.contains("says nothing") == true)
    }

    @Test(
        "AS numbers that nobody has are told",
        arguments: [
            ("0", "AS 0 is nobody's"), ("23456", "give the real one"),
            ("4294967296", "go up to 4294967295"), ("AS4294967295", "is nobody's"),
            ("65535", "is nobody's"), ("-1", "expected an AS number, as 64496 or AS64496"),
            ("AS", "expected an AS number"), ("1.10", "expected an AS number"),
            ("[1]", "expected an AS number"),
        ])
    func badNumbers(text: String, message: String) {
        let errors = parse("networks:\n  10.0.0.0/8: { asn: \(text) }").errors
        #expect(errors.count == 1)
        #expect(errors.first?.contains(message) == true, "\(errors)")
    }

    @Test("all countries of ISO 3166-1 are known, and Kosovo")
    func countryList() {
        #expect(countries.count == 250)
        #expect(Set(countries).count == 250)
        #expect(countries.allSatisfy { continents.contains(continent(ofCountry: $0) ?? "") })
        #expect(continent(ofCountry: "UK") == nil)
    }
}
