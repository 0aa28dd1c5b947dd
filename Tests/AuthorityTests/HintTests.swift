// Hints of HTTPS records beside A and AAAA: for any configuration and client they are the same addresses,
// with the same scope and TTL.

import Authority
import DNSWire
import TestSupport
import Testing

@Suite("hints of steered names")
struct HintTests {
    /// Random pools and rules, by a seed.
    private struct Maker {
        var state: UInt64

        mutating func below(_ count: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % count
        }
        mutating func one<Element>(of elements: [Element]) -> Element {
            elements[below(elements.count)]
        }

        /// Four pools, of `families` each.
        mutating func pools(_ families: [String], _ policies: [String]) -> String {
            var text = "monitors: { m: { type: tcp, port: 1 } }\npools:\n"
            for pool in 0..<4 {
                let policy = one(of: policies)
                let origins = (1...1 + below(3)).map { origin in
                    let addresses = families.map {
                        $0 == "A" ? "192.0.\(pool).\(origin)" : "\"2001:db8:\(pool)::\(origin)\""
                    }
                    return "o\(origin): { addresses: [\(addresses.joined(separator: ", "))] }"
                }
                let answers = policy == "all" ? "" : "answers: \(1 + below(2)), "
                text +=
                    "  p\(pool): { monitor: m, policy: \(policy), \(answers)shed: \(one(of: [0, 0, 40]))%,"
                    + " origins: { \(origins.joined(separator: ", ")) } }\n"
            }
            return text
        }

        mutating func service(drawn: Bool, mayHaveSpare: Bool = false) -> String {
            let policy = one(of: drawn ? ["weighted"] : ["failover", "hash", "all"])
            let spare = mayHaveSpare && policy == "failover" ? "spare: true, " : ""
            let match =
                below(2) == 0
                ? "{ match: { networks: 203.0.113.0/25 }, pools: [p\(below(4))] }, " : ""
            return "services: { web: { \(one(of: ["", "ttl: 10s-60s, "]))when_all_down:"
                + " \(one(of: ["fallback", "first", "all"])), rules: [\(match){ \(spare)policy: \(policy),"
                + " pools: [p\(below(2)), p\(2 + below(2))] }], fallback: p0 } }\n"
        }
    }

    private static let zone = """
        $TTL 300
        @ SOA ns1 hostmaster 1 3600 600 604800 60
        @ NS ns1.example.net.
        @ 30 STEER web
        @ HTTPS 1 . alpn=h2 ipv4hint=auto ipv6hint=auto
        """

    @Test("hints are the addresses that A and AAAA have", arguments: 0..<24 as Range<UInt64>)
    func agree(seed: UInt64) throws {
        var maker = Maker(state: seed &* 977 &+ 5)
        let families = maker.one(of: [["A"], ["AAAA"], ["A", "AAAA"], ["A", "AAAA"]])
        // Of the addresses that a pool answers together one is drawn for a spare.
        let policies = maker.one(of: [["hash"], ["hash", "all"]])
        let text =
            maker.pools(families, policies)
            + maker.service(drawn: false, mayHaveSpare: policies == ["hash"])
        let test = try TestContent(zones: [("example.com.", Self.zone)], pools: text)
        for _ in 0..<3 {
            let down = Set((0..<4).filter { _ in maker.below(3) == 0 }.map { "p\($0)" })
            let soon = Dictionary(
                uniqueKeysWithValues: (0..<4).map { ("p\($0)/o1", UInt32(maker.below(90))) })
            let snapshot = test.snapshot(soon: soon) { pool, origin, address in
                down.contains(pool) || origin == "o2" && address.family == .ipv6 && down.isEmpty
            }
            var responder = Responder(seed: seed)
            for client in [
                "203.0.113.0/24", "203.0.113.128/25", "198.51.100.7/32", "2001:db8::/48",
            ] {
                let a = try ask(.a, client, &responder, snapshot)
                let aaaa = try ask(.aaaa, client, &responder, snapshot)
                let https = try ask(.https, client, &responder, snapshot)
                let context = "\(client), down \(down.sorted()), \(text)"
                #expect(!a.addresses.isEmpty || !aaaa.addresses.isEmpty)
                #expect(https.hints("ipv4hint") == a.addresses, "\(context)")
                #expect(https.hints("ipv6hint") == aaaa.addresses, "\(context)")
                for addresses in [a, aaaa] where !addresses.addresses.isEmpty {
                    #expect(
                        https.scope == addresses.scope && https.ttl == addresses.ttl, "\(context)")
                }
            }
        }
    }

    @Test(
        "where addresses are drawn, both hints are of one draw", arguments: 0..<8 as Range<UInt64>)
    func drawn(seed: UInt64) throws {
        var maker = Maker(state: seed &* 31 &+ 7)
        let text = maker.pools(["A", "AAAA"], ["weighted"]) + maker.service(drawn: true)
        let snapshot = try TestContent(zones: [("example.com.", Self.zone)], pools: text).snapshot()
        var responder = Responder(seed: seed)
        var seen: Set<[String]> = []
        for _ in 0..<100 {
            let https = try ask(.https, "198.51.100.0/24", &responder, snapshot)
            let ipv4 = https.hints("ipv4hint").map {
                $0.split(separator: ".").suffix(2).joined(separator: "-")
            }
            let ipv6 = https.hints("ipv6hint").map {
                $0.replacing("2001:db8::", with: "2001:db8:0::").split(separator: ":").suffix(2)
                    .joined(separator: "-")
            }
            #expect(!ipv4.isEmpty && ipv4 == ipv6, "\(text)")
            seen.insert(ipv4)
        }
        #expect(seen.count > 1, "nothing is drawn: \(text)")
    }

    /// The parts of an answer that matter here.
    private struct Answer {
        var addresses: [String]
        var parameters: [String]
        var ttl: String?
        var scope: Int?

        func hints(_ key: String) -> [String] {
            let value = parameters.first { $0.hasPrefix(key + "=") }?.dropFirst(key.count + 1)
            return value?.split(separator: ",").map(String.init) ?? []
        }
    }

    private func ask(
        _ type: RecordType, _ client: String, _ responder: inout Responder, _ snapshot: Snapshot
    ) throws -> Answer {
        var query = TestQuery("example.com.", type)
        query.setSubnet(try #require(IPNetwork(client)))
        let packet = query.wire
        var space = [UInt8](repeating: 0xAA, count: 4_096)
        var slot = space.mutableSpan
        let length = responder.respond(
            to: packet.span, Arrival(from: IPAddress(ipv4: 0x7F00_0001), over: .udp, at: 0),
            with: snapshot,
            into: &slot)
        let octets = Array(space.prefix(length))
        let answer = try #require(TestAnswer(octets))
        #expect(answer.code == 0 && answerFault(octets, to: packet, overTCP: false) == nil)
        let records = answer.answer.map {
            $0.split(whereSeparator: \.isWhitespace).map(String.init)
        }
        return Answer(
            addresses: records.compactMap { $0[3] == "HTTPS" ? nil : $0[4] },
            parameters: records.flatMap { $0[3] == "HTTPS" ? Array($0[6...]) : [] },
            ttl: records.first?[1], scope: answer.scope)
    }
}
