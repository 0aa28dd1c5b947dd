// The compiled tree against a reference that evaluates each address from the definitions.

import DNSWire
import Geo
import Settings
import Testing

/// Random small layers with the same questions answered the slow and plain way.
private struct Layers {
    var database: [(network: IPNetwork, country: String)] = []
    /// A second database; empty where there is none.
    var systems: [(network: IPNetwork, asn: UInt32)] = []
    var overrides: [(network: IPNetwork, country: String?, asn: UInt32?)] = []
    /// The AS numbers that rules ask for.
    var asked: Set<UInt32> = []
    var lists: [[IPNetwork]] = []
    /// Few outcomes, so that neighbours often merge.
    var outcomeCount: UInt32

    /// Where random networks lie: dense corners, so that they nest, touch and overlap.
    static let corners = [
        "10.0.0.0/24", "0.0.0.0/2", "203.0.113.128/25", "2001:db8::/120", "2001:db8:8000::/33",
        "2000::/3", "::/0", "2001::/24", "2003::/16", "64:ff9a::/31", "172.15.255.0/24", "fe00::/8",
    ].map(net)

    static let asns: [UInt32] = [64_500, 4_200_000_001, 64_501, 1]

    init(seed: UInt64) {
        var random = Randomness(seed: seed)
        outcomeCount = UInt32.random(in: 1...4, using: &random)
        let countries = ["DE", "FR", "JP", "US", "BR"]
        for _ in 0..<Int.random(in: 0...25, using: &random) {
            let network = Self.network(&random, allowFolded: true)
            database.append((network, countries.randomElement(using: &random)!))
        }
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let network = Self.network(&random, allowFolded: false)
            guard !overrides.contains(where: { $0.network == network }) else { continue }
            let says = Int.random(in: 1...3, using: &random)
            overrides.append(
                (
                    network, says & 1 > 0 ? countries.randomElement(using: &random) : nil,
                    says & 2 > 0 ? Self.asns.randomElement(using: &random) : nil
                ))
        }
        if seed % 5 > 0 {
            for _ in 0..<Int.random(in: 1...25, using: &random) {
                systems.append(
                    (
                        Self.network(&random, allowFolded: true),
                        Self.asns.randomElement(using: &random)!
                    ))
            }
        }
        asked = Set(Self.asns.prefix(Int.random(in: 0...Self.asns.count, using: &random)))
        lists = (0..<Int.random(in: 0...3, using: &random)).map { _ in
            (0..<Int.random(in: 0...5, using: &random)).map { _ in
                Self.network(&random, allowFolded: true)
            }
        }
    }

    private static func network(_ random: inout Randomness, allowFolded: Bool) -> IPNetwork {
        while true {
            let corner = corners.randomElement(using: &random)!
            let address = randomAddress(in: corner, &random)
            let bits = Int(corner.address.family.rawValue)
            let length = Int.random(
                in: max(1, corner.length)...min(bits, corner.length + 10), using: &random)
            let network = IPNetwork(address, length: length)!
            if allowFolded || FoldedSpace.objection(to: network) == nil { return network }
        }
    }

    /// What the definitions say of an address, in as many words.
    func outcome(of address: IPAddress) -> UInt32 {
        let located = FoldedSpace.ipv4(in: address) ?? address
        let overriding = overrides.filter { $0.network.contains(located) }
            .sorted { $0.network.length > $1.network.length }
        // What databases say of space that everybody uses does not count.
        let isSpecial = SpecialSpace.containing(located) != nil
        let country =
            overriding.lazy.compactMap(\.country).first
            ?? (isSpecial
                ? nil : recorded(located, database.map(\.network)).map { database[$0].country })
        let asn =
            overriding.lazy.compactMap(\.asn).first
            ?? (isSpecial
                ? nil : recorded(located, systems.map(\.network)).map { systems[$0].asn })
        let matched = lists.indices.filter { lists[$0].contains { $0.contains(located) } }
        return choose(country, asn.flatMap { asked.contains($0) ? $0 : nil }, matched)
    }

    /// The index of the network that a database of these has for an address.
    private func recorded(_ located: IPAddress, _ database: [IPNetwork]) -> Int? {
        // A database keeps IPv4 in ::/96, where wide networks of IPv6 hold for it too; of equal
        // networks the last was written.
        let path = IPAddress(
            family: .ipv6, high: located.family == .ipv4 ? 0 : located.high,
            low: located.family == .ipv4 ? UInt64(located.ipv4Bits) : located.low)
        let pathLength = { (index: Int) in
            database[index].length + (database[index].address.family == .ipv4 ? 96 : 0)
        }
        return database.indices
            .filter { database[$0].contains(located) || database[$0].contains(path) }
            .max { (pathLength($0), $0) < (pathLength($1), $1) }
    }

    func choose(_ country: String?, _ asn: UInt32?, _ matched: [Int]) -> UInt32 {
        var mixer = Randomness(
            seed: country.map { UInt64($0.utf8.reduce(1) { $0 * 31 + Int($1) }) } ?? 0)
        var value = mixer.next() ^ UInt64(asn ?? 0) &* 0x9E37_79B9_7F4A_7C15
        for index in matched { value = value &* 31 &+ UInt64(index) + 7 }
        return UInt32(value >> 33) % outcomeCount
    }

    func compile() throws -> LocationTree {
        var text = ""
        for (network, country, asn) in overrides {
            let says = [country.map { "country: \($0)" }, asn.map { "asn: \($0)" }]
            text +=
                "  \"\(network)\": { \(says.compactMap(\.self).joined(separator: ", ")) }\n"
        }
        var diagnostics = Diagnostics()
        let root = parseSettings(
            overrides.isEmpty ? "" : "networks:\n" + text, file: "o.yaml", diagnostics: &diagnostics
        )
        let parsed = LocationOverrides.parse(try #require(root), &diagnostics)
        #expect(diagnostics.all.isEmpty)
        let file = TemporaryFile(
            DatabaseWriter(recordBits: [24, 28, 32][database.count % 3]).octets(
                database.map { ($0.network, placeRecord($0.country)) }))
        var writer = DatabaseWriter(recordBits: [32, 24, 28][systems.count % 3])
        writer.type = "Test-ASN"
        let asnFile = TemporaryFile(
            writer.octets(systems.map { ($0.network, systemRecord($0.asn)) }))
        let geography = Geography(
            database: try LocationDatabase(path: file.path),
            asnDatabase: systems.isEmpty ? nil : try LocationDatabase(path: asnFile.path, [.asn]),
            overrides: parsed)
        return try geography.compile(networks: lists, asns: asked) {
            choose($0?.country, $0?.asn, $1)
        }
    }

    /// Where anything can change: the start of each network, and what follows its end.
    var boundaries: [IPAddress] {
        let networks =
            database.map(\.network) + systems.map(\.network) + overrides.map(\.network)
            + lists.flatMap(\.self) + SpecialSpace.networks.map(\.network)
        return networks.flatMap { network in
            let last = lastAddress(of: network)
            let (low, carry) = last.low.addingReportingOverflow(1)
            let next =
                network.address.family == .ipv4
                ? IPAddress(ipv4: last.ipv4Bits &+ 1)
                : IPAddress(family: .ipv6, high: last.high &+ (carry ? 1 : 0), low: low)
            return [network.address, last, next]
        }
    }
}

private func lastAddress(of network: IPNetwork) -> IPAddress {
    let bits = Int(network.address.family.rawValue)
    var address = network.address
    for bit in network.length..<bits {
        if bit < 64 {
            address.high |= 1 << UInt64(63 - bit)
        } else {
            address.low |= 1 << UInt64(127 - bit)
        }
    }
    return address
}

func randomAddress(in network: IPNetwork, _ random: inout some RandomNumberGenerator) -> IPAddress {
    let last = lastAddress(of: network)
    var address = network.address
    address.high |= UInt64.random(in: .min ... .max, using: &random) & (last.high ^ address.high)
    address.low |= UInt64.random(in: .min ... .max, using: &random) & (last.low ^ address.low)
    return address
}

@Suite("location tree")
struct LocationTreeTests {
    @Test("the tree says what the definitions say", arguments: UInt64(0)..<150)
    func outcomes(seed: UInt64) throws {
        let layers = Layers(seed: seed)
        let tree = try layers.compile()
        var random = Randomness(seed: seed &+ 1_000)
        let addresses =
            layers.boundaries
            + Layers.corners.flatMap { corner in
                (0..<30).map { _ in randomAddress(in: corner, &random) }
            }
            + FoldedSpace.allCases.flatMap { space in
                (0..<10).map { _ in randomAddress(in: space.network, &random) }
            }
        for address in addresses {
            #expect(tree.lookup(address).outcome == layers.outcome(of: address), "\(address)")
        }
    }

    @Test("all addresses in a scope have one outcome", arguments: UInt64(0)..<100)
    func soundness(seed: UInt64) throws {
        let layers = Layers(seed: seed)
        let tree = try layers.compile()
        var random = Randomness(seed: seed &+ 2_000)
        let folded = FoldedSpace.allCases.map { randomAddress(in: $0.network, &random) }
        for address in layers.boundaries + folded {
            let match = tree.lookup(address)
            let network = try #require(IPNetwork(address, length: Int(match.scope)))
            var inside = [network.address, lastAddress(of: network)]
            inside += (0..<10).map { _ in randomAddress(in: network, &random) }
            inside += layers.boundaries.filter(network.contains)
            inside += FoldedSpace.allCases.map(\.network.address).filter(network.contains)
            for other in inside {
                #expect(layers.outcome(of: other) == match.outcome, "\(other) in \(network)")
                #expect(tree.lookup(other) == match)
            }
        }
    }

    @Test("a network one bit wider than a scope has several outcomes", arguments: UInt64(0)..<100)
    func maximality(seed: UInt64) throws {
        let layers = Layers(seed: seed)
        let tree = try layers.compile()
        for address in layers.boundaries where FoldedSpace.containing(address) == nil {
            let match = tree.lookup(address)
            guard match.scope > 0 else { continue }
            let wider = try #require(IPNetwork(address, length: Int(match.scope) - 1))
            // Outcomes are constant between boundaries, and folded spaces must not be covered.
            let other =
                layers.boundaries.filter(wider.contains) + [
                    wider.address, lastAddress(of: wider),
                ]
            let differs = other.contains { layers.outcome(of: $0) != match.outcome }
            let hasFold = FoldedSpace.allCases.contains { wider.contains($0.network.address) }
            #expect(differs || hasFold, "\(wider) around \(address)")
        }
    }

    @Test(
        "IPv6 that carries IPv4 is located by it, with the scope moved",
        arguments: [
            ("::198.51.100.7", 96), ("::ffff:198.51.100.7", 96), ("::ffff:0:198.51.100.7", 96),
            ("64:ff9b::198.51.100.7", 96), ("2002:c633:6407::1", 16), ("2002:c633:6407:ffff::", 16),
            ("2001::39cc:9bf8", 96), ("2001:0:1234:5678:8000:ffff:39cc:9bf8", 96),
        ])
    func folding(text: String, offset: UInt8) throws {
        let file = TemporaryFile(
            DatabaseWriter().octets([
                (net("198.51.100.0/25"), placeRecord("DE")),
                // What a database says of these spaces itself does not count.
                (net("2002::/16"), placeRecord("US")), (net("2001::/32"), placeRecord("US")),
                (net("64:ff9b::/96"), placeRecord("US")), (net("2001:db8::/32"), placeRecord("FR")),
            ]))
        let geography = Geography(database: try LocationDatabase(path: file.path))
        let tree = try geography.compile(networks: [[net("198.51.100.4/30")]]) { location, lists in
            (location == nil ? 0 : location?.country == "DE" ? 1 : 2) + 10 * UInt32(lists.count)
        }
        let plain = tree.lookup(ip("198.51.100.7"))
        #expect(plain == LocationMatch(outcome: 11, scope: 30))
        #expect(
            tree.lookup(ip(text)) == LocationMatch(outcome: 11, scope: offset + plain.scope))
        let located = geography.find(ip(text))
        #expect(located.foldedIPv4 == ip("198.51.100.7"))
        #expect(located.source == .database(net("198.51.100.0/25")))
        #expect(tree.lookup(ip("2001:db8::1")) == LocationMatch(outcome: 2, scope: 32))
    }

    @Test("neighbours of folded spaces have scopes that end before them")
    func neighbours() throws {
        let tree = try Geography(database: nil).compile(networks: []) { _, _ in 5 }
        for space in FoldedSpace.allCases {
            for bit in 0..<space.length {
                var neighbour = space.network.address
                if bit < 64 {
                    neighbour.high ^= 1 << UInt64(63 - bit)
                } else {
                    neighbour.low ^= 1 << UInt64(127 - bit)
                }
                guard FoldedSpace.containing(neighbour) == nil else { continue }
                let match = tree.lookup(neighbour)
                #expect(match.outcome == 5)
                let scope = try #require(IPNetwork(neighbour, length: Int(match.scope)))
                for other in FoldedSpace.allCases {
                    #expect(!scope.contains(other.network.address), "\(scope) covers \(other)")
                }
            }
        }
    }

    @Test("without database, networks and overrides, all of IPv4 is one network")
    func nothing() throws {
        var calls = 0
        let tree = try Geography(database: nil).compile(networks: [[], []], asns: [64_500]) {
            location, lists in
            calls += 1
            #expect(location == nil && lists == [])
            return 3
        }
        #expect(calls == 1)
        #expect(tree.lookup(ip("192.0.2.1")) == LocationMatch(outcome: 3, scope: 0))
        #expect(tree.lookup(ip("255.255.255.255")) == LocationMatch(outcome: 3, scope: 0))
        #expect(tree.lookup(ip("2001:db8::")).outcome == 3)
        #expect(tree.lookup(ip("::ffff:192.0.2.1")) == LocationMatch(outcome: 3, scope: 96))
    }

    @Test("networks of full length have full scope, in both families")
    func hostRoutes() throws {
        let lists = [[net("192.0.2.255/32")], [net("2001:db8::ffff/128")]]
        let tree = try Geography(database: nil).compile(networks: lists) { _, lists in
            UInt32((lists.first ?? -1) + 1)
        }
        #expect(tree.lookup(ip("192.0.2.255")) == LocationMatch(outcome: 1, scope: 32))
        #expect(tree.lookup(ip("192.0.2.254")) == LocationMatch(outcome: 0, scope: 32))
        #expect(tree.lookup(ip("192.0.2.253")) == LocationMatch(outcome: 0, scope: 31))
        #expect(tree.lookup(ip("2001:db8::ffff")) == LocationMatch(outcome: 2, scope: 128))
        #expect(tree.lookup(ip("2001:db8::fffe")) == LocationMatch(outcome: 0, scope: 128))
    }

    @Test("lists match by any of their networks, and all that match are told")
    func lists() throws {
        let lists = [
            [net("10.0.0.0/8"), net("10.1.0.0/16")], [net("10.1.2.0/24")], [net("0.0.0.0/0")],
        ]
        var told: Set<[Int]> = []
        let tree = try Geography(database: nil).compile(networks: lists) { _, lists in
            told.insert(lists)
            return UInt32(lists.reduce(0) { $0 | 1 << $1 })
        }
        #expect(told == [[], [2], [0, 2], [0, 1, 2]])
        #expect(tree.lookup(ip("10.1.2.3")) == LocationMatch(outcome: 7, scope: 24))
        #expect(tree.lookup(ip("10.1.3.3")) == LocationMatch(outcome: 5, scope: 24))
        #expect(tree.lookup(ip("10.2.0.0")) == LocationMatch(outcome: 5, scope: 15))
        #expect(tree.lookup(ip("11.0.0.0")) == LocationMatch(outcome: 4, scope: 8))
    }

    @Test("each record is asked for once, however many networks share it")
    func sharing() throws {
        let record = placeRecord("DE")
        let octets = DatabaseWriter().octets([
            (net("192.0.2.0/24"), record), (net("198.51.100.0/24"), placeRecord("FR")),
        ])
        let file = TemporaryFile(octets)
        let geography = Geography(database: try LocationDatabase(path: file.path))
        var asked: [String?: Int] = [:]
        for _ in 0..<2 {
            _ = try geography.compile(networks: []) { location, _ in
                asked[location?.country, default: 0] += 1
                return 0
            }
        }
        #expect(asked == ["DE": 2, "FR": 2, nil: 2])
    }

    @Test("an outcome too large for a leaf is an error, not a trap")
    func tooManyOutcomes() throws {
        let geography = Geography(database: nil)
        let largest = (UInt32(1) << 23) - 9
        let tree = try geography.compile(networks: []) { _, _ in largest }
        #expect(tree.lookup(ip("192.0.2.1")).outcome == largest)
        #expect(throws: GeoError.self) {
            try geography.compile(networks: []) { _, _ in largest + 1 }
        }
    }
}
