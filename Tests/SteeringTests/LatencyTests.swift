// Policy `latency`: which row counts for whom, estimates where none does, and what a reload changes;
// against an independent computation, address by address.

import DNSWire
import Foundation
import Geo
import Settings
import Testing

@testable import Steering

private let service = """
    services: { web: { rules: [{ policy: latency, pools: [frankfurt, virginia, tokyo, saopaulo] }] } }
    """

@Suite("latency")
struct LatencyTests {
    private static let rows = """
        key,pool,rtt_ms,samples
        10.1.2.0/24,frankfurt,10,5
        10.1.0.0/16,frankfurt,200,5
        AS64500,frankfurt,17,5
        AS64500,virginia,3,5
        AS64500,saopaulo,18,5
        10.1.0.0/16,virginia,20,5
        US-CA,tokyo,15,5
        US,saopaulo,12,5
        US,tokyo,300,5
        region:west,tokyo,1,5
        region:west,sydney,5,5
        continent:NA,frankfurt,1,5
        KE,virginia,40,5
        region:SAF,virginia,3,5
        region:SAF,tokyo,30,5
        continent:AF,tokyo,1,5
        continent:AF,frankfurt,45,5
        region:west,virginia,33,5
        region:late,virginia,1,5
        *,saopaulo,50,5
        2001:db8:a::/48,tokyo,2,5
        """
    private static let regions =
        "regions: { west: { countries: [US, CA] }, late: { countries: CA } }\n"

    /// The order of pools for a client, with their round trips.
    private func order(_ client: String, _ steering: Steering) -> [String] {
        makeState(steering).explain(service: 0, client: Client(address(client)), random: 0)
            .candidates.map { candidate in
                let source = candidate.roundTrip.map { $0.row?.key ?? "km" } ?? "none"
                return
                    "\(candidate.name) \(candidate.roundTrip?.milliseconds.rounded() ?? 0) \(source)"
            }
    }

    @Test(
        "the most specific row counts, for each pool by itself",
        arguments: [
            (
                "10.1.2.3",
                [
                    "frankfurt 10.0 10.1.2.0/24", "saopaulo 12.0 US", "tokyo 15.0 US-CA",
                    "virginia 20.0 10.1.0.0/16",
                ]
            ),
            (
                "10.1.200.3",
                [
                    "saopaulo 12.0 US", "tokyo 15.0 US-CA", "virginia 20.0 10.1.0.0/16",
                    "frankfurt 200.0 10.1.0.0/16",
                ]
            ),
            // In an autonomous system of its own within that network.
            (
                "10.1.64.3",
                [
                    "tokyo 15.0 US-CA", "saopaulo 18.0 AS64500", "virginia 20.0 10.1.0.0/16",
                    "frankfurt 200.0 10.1.0.0/16",
                ]
            ),
            // Nobody knows more of it than that.
            (
                "192.0.2.130",
                [
                    "virginia 3.0 AS64500", "frankfurt 17.0 AS64500", "saopaulo 18.0 AS64500",
                    "tokyo 0.0 none",
                ]
            ),
            // Kenya: country, region, continent, everyone.
            (
                "10.2.0.1",
                [
                    "tokyo 30.0 region:SAF", "virginia 40.0 KE", "frankfurt 45.0 continent:AF",
                    "saopaulo 50.0 *",
                ]
            ),
            // Canada, without coordinates: of two regions the one that is defined first.
            (
                "10.8.0.1",
                [
                    "frankfurt 1.0 continent:NA", "tokyo 1.0 region:west",
                    "virginia 33.0 region:west",
                    "saopaulo 50.0 *",
                ]
            ),
            // By distance, where no row is.
            (
                "2001:db8:a::1",
                [
                    "tokyo 2.0 2001:db8:a::/48", "frankfurt 6.0 km", "saopaulo 50.0 *",
                    "virginia 101.0 km",
                ]
            ),
            // Neither row nor distance: last, in the order of the file.
            (
                "192.0.2.1",
                ["saopaulo 50.0 *", "frankfurt 0.0 none", "virginia 0.0 none", "tokyo 0.0 none"]
            ),
            // Located by the IPv4 address that it carries.
            (
                "64:ff9b::10.1.2.3",
                [
                    "frankfurt 10.0 10.1.2.0/24", "saopaulo 12.0 US", "tokyo 15.0 US-CA",
                    "virginia 20.0 10.1.0.0/16",
                ]
            ),
        ])
    func specificity(client: String, expected: [String]) throws {
        let systems = "\n10.1.64.0/18: { asn: 64500 }\n192.0.2.128/25: { asn: 64500 }"
        let steering = try makeSteering(
            worldPools + Self.regions + service, places: worldPlaces + systems,
            latency: Self.rows)
        #expect(order(client, steering) == expected)
        let first = String(expected[0].prefix { $0 != " " })
        #expect(try makeState(steering).pool("web", client) == first)
    }

    @Test("rows of fewer samples than the least don't count")
    func minimumSamples() throws {
        let rows = """
            key,pool,rtt_ms,samples
            10.8.0.0/16,tokyo,1,9
            10.8.0.0/16,virginia,2,10
            10.8.0.0/16,saopaulo,3,0
            """
        for (settings, expected) in [
            ("", ["tokyo", "virginia"]), ("latency: { min_samples: 10 }\n", ["virginia"]),
            ("latency: { min_samples: 0 }\n", ["tokyo", "virginia", "saopaulo"]),
        ] {
            let steering = try makeSteering(
                worldPools + settings + service, places: worldPlaces, latency: rows)
            let state = makeState(steering)
            let told = state.explain(service: 0, client: Client(address("10.8.0.1")), random: 0)
            #expect(told.candidates.filter { $0.roundTrip != nil }.map(\.name) == expected)
        }
    }

    @Test("a service counts as the best of its pools")
    func nested() throws {
        let text =
            worldPools + """
                services:
                  web: { rules: [{ policy: latency, pools: [{ service: far }, frankfurt, { service: near }] }] }
                  far: { rules: [{ policy: latency, pools: [tokyo, sydney] }] }
                  near: { rules: [{ policy: failover, pools: [virginia, saopaulo] }] }
                """
        let steering = try makeSteering(
            text, places: worldPlaces,
            latency: """
                key,pool,rtt_ms
                10.8.0.0/13,tokyo,30
                10.8.0.0/13,sydney,20
                10.8.0.0/13,frankfurt,25
                10.8.0.0/13,saopaulo,5
                """)
        #expect(
            order("10.8.0.1", steering) == [
                "near 5.0 10.8.0.0/13", "far 20.0 10.8.0.0/13", "frankfurt 25.0 10.8.0.0/13",
            ])
        // What that service's own rule chooses answers.
        #expect(try makeState(steering).pool("web", "10.8.0.1") == "virginia")
        let down: Set = ["virginia", "saopaulo"]
        #expect(try makeState(steering, down: down).pool("web", "10.8.0.1") == "sydney")
    }

    @Test("pools at one place share a tree only while their rows agree")
    func sharing() throws {
        let pools = """
            pools:
              web-east: { location: [39, -77], origins: { o: { addresses: 192.0.2.1 } } }
              web-west: { location: [37, -122], origins: { o: { addresses: 192.0.2.2 } } }
              chat-east: { location: [39, -77], origins: { o: { addresses: 192.0.2.3 } } }
              chat-west: { location: [37, -122], origins: { o: { addresses: 192.0.2.4 } } }
            services:
              web: { rules: [{ policy: latency, pools: [web-east, web-west] }] }
              chat: { rules: [{ policy: latency, pools: [chat-east, chat-west] }] }
            """
        let same = "key,pool,rtt_ms\nUS,web-east,50\nUS,chat-east,50\n"
        #expect(try makeSteering(pools, places: worldPlaces, latency: same).treeCount == 1)
        #expect(try makeSteering(pools, places: worldPlaces).treeCount == 1)
        let other = try makeSteering(
            pools, places: worldPlaces, latency: "key,pool,rtt_ms\nUS,web-east,1\nUS,chat-east,99\n"
        )
        #expect(other.treeCount == 2)
        #expect(try makeState(other).pool("web", "10.1.0.1") == "web-east")
        #expect(try makeState(other).pool("chat", "10.1.0.1") == "chat-west")
    }

    @Test("rows for autonomous systems that nobody can tell are warned of")
    func idleSystems() throws {
        let rows = "key,pool,rtt_ms\nDE,tokyo,1\nAS64501,tokyo,1\nAS64500,frankfurt,1\n"
        for (place, expected) in [
            (
                "10.0.0.0/8: { country: DE }",
                [
                    "l.csv:3:1: warning: AS64501 and rows like it never count, as there is no ASN database"
                        + " (*.mmdb) to tell which clients are in it; scripts/fetch-geo gets one"
                ]
            ), ("10.0.0.0/8: { asn: 64500 }", []),
        ] {
            var diagnostics = Diagnostics()
            try makeSteering(worldPools + service, places: place, latency: rows)
                .checkPlaces(&diagnostics)
            let findings = diagnostics.sorted.filter { $0.position.file == "l.csv" }
            #expect(findings.map(\.description) == expected)
        }
    }

    @Test("a table of networks and everyone needs no database, distances do")
    func withoutDatabase() throws {
        for (latency, expected) in [
            ("key,pool,rtt_ms\n*,tokyo,3\n", []),
            (
                "",
                [
                    "a.yaml:17:28: error: this rule steers by place, but there is no geo database"
                        + " (*.mmdb); scripts/fetch-geo gets one, and geo/world.mmdb comes with Rhumb"
                ]
            ),
        ] {
            var diagnostics = Diagnostics()
            try makeSteering(worldPools + service, latency: latency).checkPlaces(&diagnostics)
            let errors = diagnostics.sorted.filter { $0.severity == .error }
            #expect(errors.map(\.description) == expected)
        }
    }

    // MARK: - Reloads

    /// One reload after the other, each with the round trip of tokyo for everyone; what is in force.
    private func reload(_ values: [Double?], margin: Int, samples: Int = 1) throws -> [Double?] {
        var inForce: LatencyTable?
        return try values.map { value in
            var configuration = try #require(
                parse(
                    worldPools + "latency: { margin: \(margin)% }\n" + service,
                    latency: "key,pool,rtt_ms\n*,virginia,100\n"
                        + (value.map { "*,tokyo,\($0)\n" } ?? "")
                ).configuration)
            if let inForce { configuration.settleLatency(after: inForce) }
            inForce = configuration.latency
            return inForce?.columns["tokyo"]?.rows.first?.milliseconds
        }
    }

    @Test(
        "a value in force stays until the measured one differs by more than the margin",
        arguments: [
            // Jitter around it, and slow drift: what counts is the distance to the value in force.
            ([100, 109, 91, 110, 90, 100], 10, [100, 100, 100, 100, 100, 100]),
            (
                [100, 105, 110, 110.1, 100, 99.1, 99.0], 10,
                [100, 100, 100, 110.1, 110.1, 110.1, 99.0]
            ),
            // Two milliseconds at least.
            ([10, 12, 8, 12.1, 10.2, 10], 10, [10, 10, 10, 12.1, 12.1, 10]),
            ([10, 10.1], 0, [10, 10.1]),
            // A row that was gone comes back as new.
            ([100, nil, 105], 10, [100, nil, 105]),
        ] as [([Double?], Int, [Double?])])
    func deadBand(values: [Double?], margin: Int, expected: [Double?]) throws {
        #expect(try reload(values, margin: margin) == expected)
    }

    @Test("near ties do not flap over reloads, and a real change moves clients")
    func nearTies() throws {
        var inForce: LatencyTable?
        var chosen: [String] = []
        for (tokyo, virginia) in [(50.0, 51.0), (52, 50), (49, 53), (53, 48), (60, 50), (51, 50)] {
            var configuration = try #require(
                parse(
                    worldPools + service,
                    latency:
                        "key,pool,rtt_ms\n10.0.0.0/8,tokyo,\(tokyo)\n10.0.0.0/8,virginia,\(virginia)\n"
                ).configuration)
            if let inForce { configuration.settleLatency(after: inForce) }
            inForce = configuration.latency
            let steering = try Steering(configuration, geography: geography())
            chosen.append(try makeState(steering).pool("web", "10.1.1.1"))
            let text = makeState(steering).explain(
                service: 0, client: Client(address("10.1.1.1")), random: 0
            ).text
            if tokyo == 52 {
                #expect(
                    text.contains("50.0 ms  10.0.0.0/8 (l.csv:2:1 has 52.0, within the margin)"))
            }
        }
        #expect(chosen == ["tokyo", "tokyo", "tokyo", "tokyo", "virginia", "virginia"])
    }

    // MARK: - Brute force

    /// A row and a client as they are written, compared the slow and plain way.
    private struct Row {
        var key: String
        var pool: Int
        var milliseconds: Double

        /// How specific it is of a client: larger is more; nil if it is not for it.
        func rank(_ address: IPAddress, _ location: Location?) -> Int? {
            if let network = IPNetwork(key) {
                return network.contains(address) ? 1_000 + network.length : nil
            }
            if key == location?.asn.map({ "AS\($0)" }) { return 700 }
            let parts = location?.subdivisions.map { "\(location?.country ?? "")-\($0)" } ?? []
            if parts.contains(key) { return 600 }
            if key == location?.country { return 500 }
            if key == "region:near" {
                return ["DE", "GB"].contains(location?.country) || address.octets[0] == 77
                    ? 400 : nil
            }
            if key == "continent:" + (location?.continent ?? "?") { return 200 }
            return key == "*" ? 0 : nil
        }
    }

    @Test("random tables give each address what brute force finds", arguments: 0..<12)
    func bruteForce(seed: Int) throws {
        var random = SeededGenerator(UInt64(seed) &* 0x9E37_79B9 + 5)
        let names = ["frankfurt", "virginia", "tokyo", "saopaulo", "sydney"]
        var rows: [String: Row] = [:]
        let places =
            ["DE", "GB", "BR", "JP", "US", "US-CA", "GB-ENG", "region:near"]
            + ["continent:EU", "continent:AS", "*", "AS64500", "AS64501", "AS64502"]
        for _ in 0..<Int.random(in: 1...60, using: &random) {
            var key = places.randomElement(using: &random)!
            if Int.random(in: 0..<3, using: &random) > 0 {
                // Deep and shallow, close together, so that they nest.
                let bits = UInt32.random(in: 0..<64, using: &random) << 22 | 0x0A00_0000
                let length = Int.random(in: 5...30, using: &random)
                key = IPNetwork(IPAddress(ipv4: bits), length: length)!.description
            }
            let pool = Int.random(in: 0..<names.count, using: &random)
            // Some alike, so that ties and equal networks occur.
            let milliseconds = Double(Int.random(in: 1...12, using: &random)) * 7.5
            rows["\(key) \(pool)"] = Row(key: key, pool: pool, milliseconds: milliseconds)
        }
        let table =
            "key,pool,rtt_ms\n"
            + rows.values.map { "\($0.key),\(names[$0.pool]),\($0.milliseconds)\n" }.joined()
        let steering = try makeSteering(
            worldPools + """
                regions: { near: { countries: [DE, GB], networks: 77.0.0.0/8 } }
                services: { web: { rules: [{ policy: latency, pools: [\(names.joined(separator: ", "))] }] } }
                """,
            places: """
                10.0.0.0/14: { country: US, subdivision: CA, coordinates: [37, -122] }
                10.4.0.0/15: { country: DE, coordinates: [50, 9] }
                10.6.0.0/16: { country: GB, subdivision: [ENG, LND], coordinates: [51, 0] }
                10.7.0.0/17: { country: BR }
                10.8.0.0/13: { continent: AS }
                77.0.0.0/9: { country: JP, coordinates: [35, 139] }
                77.64.0.0/10: { asn: 64501 }
                10.3.0.0/16: { asn: 64500 }
                10.5.64.0/18: { country: JP, asn: 64502 }
                10.9.0.0/20: { asn: 64502 }
                """, latency: table)
        let state = makeState(steering)
        for _ in 0..<400 {
            let high: UInt32 = Int.random(in: 0..<8, using: &random) == 0 ? 77 << 24 : 10 << 24
            let client = IPAddress(
                ipv4: high | UInt32.random(in: 0..<1 << 20, using: &random) << 4)
            let location = steering.geography.find(client).location
            var best: (milliseconds: Double, pool: Int) = (.infinity, 0)
            for (pool, name) in names.enumerated() {
                let told = rows.values.filter { $0.pool == pool }
                    .compactMap { row in row.rank(client, location).map { ($0, row.milliseconds) } }
                    .max { $0.0 < $1.0 }?.1
                let place = steering.configuration.pools.first { $0.name == name }?.location
                var milliseconds = told ?? .infinity
                if told == nil, let place, let here = location?.coordinates {
                    // 200 km a millisecond there and back, of 1.5 times the great circle.
                    milliseconds = distanceKilometres(here, place) * 3 / 199.861_638_67
                }
                if milliseconds < best.milliseconds { best = (milliseconds, pool) }
            }
            let got = try state.pool("web", client.description)
            #expect(got == names[best.pool], "\(client): \(table)")
        }
    }

    @Test("tens of thousands of networks with rows of their own get the order of their rows")
    func manyNetworks() throws {
        var random = SeededGenerator(7)
        // More than the compiler remembers at once, the first told of again at the end, in a network
        // apart.
        let count = 20_000
        var values = (0..<count).map { _ in
            (0..<2).map { _ in Double(Int.random(in: 1...300_000, using: &random)) / 1_000 }
        }
        values += values.prefix(50)
        let rows = values.enumerated().map { index, values in
            let network = IPNetwork(IPAddress(ipv4: 0x0B00_0000 + UInt32(index) << 8), length: 24)!
            return "\(network),frankfurt,\(values[0])\n\(network),virginia,\(values[1])\n"
        }
        let steering = try makeSteering(
            worldPools + service, places: worldPlaces,
            latency: "key,pool,rtt_ms\n" + rows.joined())
        let state = makeState(steering)
        var wrong = 0
        for (index, values) in values.enumerated() {
            let client = IPAddress(ipv4: 0x0B00_0001 + UInt32(index) << 8)
            let expected = values[0] <= values[1] ? "frankfurt" : "virginia"
            if try state.pool("web", client.description) != expected { wrong += 1 }
        }
        #expect(wrong == 0)
        #expect(steering.outcomes.count < 50)
    }

    @Test("many networks with the same rows cost one number")
    func groups() throws {
        var lists = NetworkLists()
        let networks = (0..<1_000).map { IPNetwork(IPAddress(ipv4: $0 << 8), length: 24)! }
        let column = LatencyColumn(
            networks.enumerated().map { index, network in
                LatencyRow(
                    key: .network(network), milliseconds: Double(1 + index % 3), measured: 0,
                    line: 1)
            })
        let measurements = Measurements([column, column], regions: [], &lists)
        #expect(measurements.networks.count == 1_000)
        #expect(Set(measurements.networks.map(\.number)).count == 3)
        #expect(measurements.roundTrips(nil, [], number: measurements.networks[4].number) == [2])
    }
}
