// What a rule's match may say beyond a list of places: regions, cities, any and not.

import DNSWire
import Geo
import Settings
import Testing

@testable import Steering

@Suite("matches")
struct MatchTests {
    /// A service of one rule with this match, and everyone else's.
    private func text(_ match: String, regions: String = "") -> String {
        """
        pools:
          in: { origins: { o: { addresses: 192.0.2.1 } } }
          out: { origins: { o: { addresses: 192.0.2.2 } } }
        \(regions)
        services: { s: { rules: [{ match: { \(match) }, pools: in }, { pools: out }] } }
        """
    }

    private let places = """
        198.51.100.0/25: { country: GB, city: London, coordinates: [51.51, -0.13] }
        198.51.100.128/26: { country: BR, coordinates: [-22.9, -43.2] }
        203.0.113.0/24: { country: JP, coordinates: [34.69, 135.5] }
        10.1.0.0/16: { country: US, subdivision: US-CA, coordinates: [37.77, -122.42] }
        10.2.0.0/16: { country: US, subdivision: US-VA, coordinates: [39, -77] }
        10.8.0.0/13: { country: CA }
        "2001:db8:a::/48": { country: DE, city: Berlin, coordinates: [52.52, 13.4] }
        198.51.100.0/24: { asn: 64500 }
        172.30.0.0/16: { asn: 64501 }
        """
    private let clients: [(name: String, address: String)] = [
        ("London", "198.51.100.1"), ("Rio", "198.51.100.130"), ("Osaka", "203.0.113.9"),
        ("California", "10.1.2.3"), ("Virginia", "10.2.2.3"), ("Canada", "10.8.0.1"),
        ("Berlin", "2001:db8:a::1"), ("nowhere", "192.0.2.9"), ("campus", "172.30.1.1"),
    ]

    private let own = "regions: { home: { networks: [192.0.2.0/24], cities: [de/BERLIN] } }"

    @Test(
        "hold for whom they say",
        arguments: [
            ("cities: [GB/London]", ["London"]),
            ("cities: [DE/London]", []),
            ("regions: [home]", ["Berlin", "nowhere"]),
            ("regions: [home], countries: [DE]", ["Berlin"]),
            ("regions: [WNAM]", ["California"]),
            ("regions: [enam]", ["Virginia", "Canada"]),
            ("regions: [WEU, NEAS]", ["London", "Osaka", "Berlin"]),
            (
                "not: { countries: [US, GB] }",
                ["Rio", "Osaka", "Canada", "Berlin", "nowhere", "campus"]
            ),
            (
                "not: [{ countries: US }, { regions: WEU }]",
                ["Rio", "Osaka", "Canada", "nowhere", "campus"]
            ),
            (
                "any: [{ countries: JP }, { networks: 10.0.0.0/8, not: { countries: CA } }]",
                ["Osaka", "California", "Virginia"]
            ),
            ("continents: NA, not: { subdivisions: US-CA }", ["Virginia", "Canada"]),
            ("not: { not: { countries: BR } }", ["Rio"]),
            ("networks: 192.0.2.0/24, any: [{ networks: 192.0.2.8/29 }]", ["nowhere"]),
            ("asns: AS64501", ["campus"]),
            ("asns: [64500, as64501]", ["London", "Rio", "campus"]),
            ("asns: 64500, countries: GB", ["London"]),
            ("asns: 64500, not: { countries: GB }", ["Rio"]),
            ("asns: 64502", []),
            ("not: { asns: 64500 }, continents: EU", ["Berlin"]),
            ("any: [{ asns: 64501 }, { countries: JP }]", ["Osaka", "campus"]),
            ("regions: [edge]", ["Rio", "Canada", "campus"]),
        ] as [(String, [String])])
    func matches(match: String, names: [String]) throws {
        let regions =
            match.contains("home")
            ? own
            : match.contains("edge")
                ? "regions: { edge: { asns: [64501], countries: [BR, CA] } }" : ""
        let steering = try makeSteering(text(match, regions: regions), places: places)
        let state = makeState(steering)
        let found = try clients.filter { try state.pool("s", $0.address) == "in" }.map(\.name)
        #expect(found == names)
        // The explanation asks the rules by a way of its own.
        for (name, client) in clients {
            let explanation = state.explain(
                service: 0, client: Client(address(client)), random: 0)
            #expect((explanation.rules[0].mismatch == nil) == names.contains(name))
        }
    }

    @Test("a rule covered by an earlier one is told, and none that is not")
    func covered() {
        func messages(_ first: String, _ second: String) -> [String] {
            parse(
                """
                pools: { a: { origins: { o: { addresses: 192.0.2.1 } } } }
                services:
                  s:
                    fallback: a
                    rules: [{ match: { \(first) }, pools: a }, { match: { \(second) }, pools: a }]
                """
            ).messages
        }
        #expect(messages("regions: WEU", "regions: WEU, countries: DE").count == 1)
        #expect(messages("cities: [DE/Berlin, DE/Bonn]", "cities: DE/Bonn").count == 1)
        #expect(messages("not: { countries: DE }", "not: { countries: DE }").count == 1)
        #expect(messages("not: { countries: DE }", "countries: FR") == [])
        #expect(messages("any: [{ countries: DE }]", "countries: FR") == [])
        #expect(messages("regions: WEU", "countries: US") == [])
        #expect(messages("asns: [64500, 64501]", "asns: AS64501, countries: DE").count == 1)
        #expect(messages("asns: 64500", "asns: [64500, 64501]") == [])
        #expect(messages("asns: 64500", "countries: DE") == [])
        #expect(messages("countries: DE", "asns: 64500") == [])
        #expect(messages("countries: DE", "not: { countries: DE }") == [])
    }

    @Test(
        "mistakes are told with place and cure",
        arguments: [
            ("regions: [WEUR]", "", "there is no region \"WEUR\"; no regions are defined"),
            ("regions: [hom]", "regions: { home: { countries: DE } }", "did you mean \"home\"?"),
            ("cities: [Berlin]", "", "expected a city with its country, as DE/Berlin"),
            ("not: []", "", "not: give 1 to 256 matches"),
            ("asns: [64500, 0]", "", "asns[1]: AS 0 is nobody's (RFC 7607)"),
            ("asns: [23456]", "", "old routers can't tell"),
            ("asns: [4294967296]", "", "up to 4294967295"),
            ("asns: [ASx]", "", "expected an AS number, as 64496 or AS64496, found \"ASx\""),
            ("asns: []", "", "give 1 to 10000 entries"),
            ("any: [{}]", "", "any[0]: a match states at least one of networks"),
            ("countries: DE", "regions: { WEU: { countries: DE } }", "comes with Rhumb"),
            ("countries: DE", "regions: { x: {} }", "a region names at least one of networks"),
            ("countries: DE", "regions: { x: { country: DE } }", "unknown key \"country\""),
        ])
    func faults(match: String, regions: String, says: String) {
        let (configuration, messages) = parse(text(match, regions: regions))
        #expect(configuration == nil)
        #expect(messages.contains { $0.contains(says) }, "\(messages)")
    }

    @Test("what nests too deep or has too many parts is refused, and an idle region told")
    func limits() {
        let deep =
            String(repeating: "not: { ", count: 9) + "countries: DE"
            + String(repeating: " }", count: 9)
        #expect(parse(text(deep)).messages.contains { $0.contains("deeper than 8 levels") })
        let wide =
            "any: [" + (0..<256).map { "{ networks: 10.0.\($0).0/24 }" }.joined(separator: ", ")
            + "]"
        #expect(parse(text(wide)).messages.contains { $0.contains("more than 256 parts") })
        #expect(
            parse(text("countries: DE", regions: "regions: { x: { countries: FR } }")).messages
                == ["a.yaml:4:12: warning: no rule uses the region \"x\""])
    }
}
