// Random configurations of everything together: services within services, hash, weights, sheds, spares,
// capacities, ramps, minimums, several answers, hosts in place of addresses, under random verdicts. What
// must hold of any decision holds of each of theirs.

import DNSWire
import Geo
import Testing

@testable import Steering

@Suite("any configuration")
struct SoundnessTests {
    /// Makes configurations by a seed.
    private struct Maker {
        var random: SeededGenerator
        /// Whether all origins are given by host name.
        var byHost = false

        mutating func below(_ count: Int) -> Int { Int(random.next() >> 33) % count }
        mutating func one<Element>(of elements: [Element]) -> Element {
            elements[below(elements.count)]
        }
        mutating func some(of elements: [String], least: Int = 1) -> [String] {
            Array(
                elements.shuffled(using: &random)
                    .prefix(least + below(elements.count - least + 1)))
        }

        mutating func pools() -> String {
            let places = [
                "[50.11, 8.68]", "[39.04, -77.49]", "[35.68, 139.69]", "[-23.55, -46.63]",
                "[-33.87, 151.21]", "[-33.92, 18.42]",
            ]
            var text = "monitors: { m: { type: tcp } }\npools:\n"
            let states = below(2) == 0
            for (index, place) in places.enumerated() {
                let policy = one(of: ["weighted", "hash"] + (byHost ? [] : ["all"]))
                let drawn = policy != "all"
                let count = 1 + below(4)
                let minimums =
                    ["1", "\(count)", "50%", "100%"]
                    + (byHost ? [] : ["{ ipv4: 50%, ipv6: 1 }"])
                let origins = (0..<count).map { origin in
                    "o\(origin): { "
                        + (byHost
                            ? "host: o\(origin).p\(index).test, check_address: 192.0.2.1"
                            : "addresses: [192.0.\(index).\(origin + 1),"
                                + " \"2001:db8:\(index)::\(origin + 1)\"]")
                        + (drawn ? ", weight: \(one(of: [0, 1, 1, 3]))" : "") + " }"
                }
                text +=
                    "  p\(index): { monitor: m, " + (below(5) == 0 ? "" : "location: \(place), ")
                    + "policy: \(policy), "
                    + (below(2) == 0 ? "" : "min_healthy: \(one(of: minimums)), ")
                    + (drawn && !byHost ? "answers: \(1 + below(3)), " : "")
                    + (states ? "load: \(10 * below(6)), " : "")
                    + (states && below(2) == 0 ? "capacity: \(50 + 10 * below(6)), " : "")
                    + "shed: \(one(of: [0, 0, 0, 30, 50, 100]))%, origins: {"
                    + " \(origins.joined(separator: ", ")) } }\n"
            }
            return text
        }

        mutating func rule(naming services: [String], match: String) -> String {
            var policies = ["failover", "proximity", "latency", "weighted", "hash"]
            if services.isEmpty, !byHost { policies.append("all") }
            let policy = one(of: policies)
            let names = some(
                of: (0..<6).map { "pool: p\($0)" } + services.map { "service: \($0)" })
            let entries = names.map { name in
                switch policy {
                case "weighted", "hash": "{ \(name), weight: \(one(of: [0, 1, 2])) }"
                case "proximity": "{ \(name), bias: \(one(of: [0, 30, -40])) }"
                default: "{ \(name) }"
                }
            }
            let isPlain =
                byHost || policy == "weighted" || policy == "all" || below(2) == 0
            return "{ \(match)\(isPlain ? "" : "spare: true, ")policy: \(policy), pools: ["
                + entries.joined(separator: ", ") + "] }"
        }

        /// Round trips of clients by keys of every kind, networks around and within places.
        mutating func latency() -> String {
            let keys = [
                "203.0.113.0/24", "203.0.113.0/25", "203.0.112.0/20", "203.0.113.128/27",
                "198.51.100.0/26", "10.0.0.0/8", "10.2.0.0/17", "8.8.8.8", "2001:db8:a::/50",
                "2001:db8::/32", "2a00::/12", "0.0.0.0/0", "US-CA", "JP", "KE", "region:SEAS",
                "region:corner", "AS64500", "AS64501", "continent:EU", "continent:AF", "*",
            ]
            let rows = some(of: keys).flatMap { key in
                some(of: (0..<6).map { "p\($0)" }).map { "\(key),\($0),\(1 + below(90))" }
            }
            return "key,pool,rtt_ms\n" + rows.joined(separator: "\n")
        }

        mutating func configuration() -> String {
            var text = pools()
            text +=
                "regions: { corner: { networks: [10.9.8.0/22, 203.0.113.64/26], countries: BR } }\n"
            text += "services:\n"
            var below: [String] = []
            for level in 0..<3 {
                var names: [String] = []
                for number in 0..<(level == 2 ? 1 : 2) {
                    var rules: [String] = []
                    let country = one(of: ["JP", "GB", "BR", "US"])
                    if self.below(2) == 0 {
                        rules.append(
                            rule(naming: below, match: "match: { countries: \(country) }, "))
                    }
                    if self.below(3) == 0 {
                        let asns = one(of: ["64500", "[64501, 64502]", "[64500, 4200000000]"])
                        let also = one(of: [
                            "", ", continents: [AS, NA]", ", not: { countries: JP }",
                        ])
                        rules.append(
                            rule(naming: below, match: "match: { asns: \(asns)\(also) }, "))
                    }
                    let network = one(of: ["203.0.112.0/21", "10.0.0.0/9", "\"2001:db8::/33\""])
                    if self.below(3) == 0 {
                        rules.append(
                            rule(naming: below, match: "match: { networks: [\(network)] }, "))
                    }
                    if rules.isEmpty || self.below(4) > 0 {
                        rules.append(rule(naming: below, match: ""))
                    }
                    let down = one(
                        of: WhenAllDown.allCases.filter { !byHost || $0 != .all }.map(\.rawValue))
                    let ttl = one(of: ["", "ttl: 10s-60s, ", "ttl: 10s-60s, ", "ttl: 30s, "])
                    text +=
                        "  s\(level)\(number): { \(ttl)fallback: p\(self.below(6)), when_all_down: \(down),"
                        + " rules: [\(rules.joined(separator: ", "))] }\n"
                    names.append("s\(level)\(number)")
                }
                below += names
            }
            return text
        }
    }

    /// Most origins are up, or down as their pools; some are anything, both addresses alike.
    private func health(
        _ steering: Steering, down: Set<String>, _ maker: inout Maker
    ) -> HealthTable {
        var health = makeState(steering, down: down).health
        let kinds: [Verdict] = [.up, .degraded, .degraded, .drained, .down]
        // In some worlds a pool is healthy at most by chance.
        let spread = maker.one(of: [0, 2, 5])
        var last = (pool: -1, origin: -1)
        var verdict: Verdict?
        var ofPool: Verdict?
        for (index, steered) in steering.addresses.enumerated() {
            if steered.pool != last.pool {
                ofPool = maker.below(6) < spread ? maker.one(of: kinds) : nil
            }
            if (steered.pool, steered.origin) != last {
                verdict = maker.below(6) == 0 ? maker.one(of: kinds) : ofPool
                last = (steered.pool, steered.origin)
            }
            if let verdict { health[index] = verdict }
            health.setHorizon(Horizon(probes: 2, seconds: UInt32(maker.below(80))), of: index)
        }
        return health
    }

    private let clients = [
        "203.0.113.1", "203.0.113.130", "198.51.100.5", "198.51.100.140", "10.1.2.3", "10.2.3.4",
        "10.9.9.9", "8.8.8.8", "2001:db8:a::1", "2001:db8:a:8000::1", "2a00::1",
        "::ffff:203.0.113.9", "2002:cb00:7105::1", "64:ff9b::203.0.113.77", "2001:0:cb00:7105::1",
        "192.168.1.0", "10.255.0.1", "fd00::1", "::ffff:192.168.1.1", "2002:c0a8:101::1",
    ]
    private let resolvers = [
        "203.0.113.53", "198.51.100.153", "10.1.0.53", "8.8.4.4", "192.168.0.53", "2001:db8:a::53",
        "::ffff:203.0.113.53",
    ]
    private let systems = """

        203.0.112.0/22: { asn: 64500 }
        198.51.100.64/26: { asn: 64501 }
        10.0.0.0/10: { asn: 64502 }
        10.1.128.0/17: { asn: 4200000000 }
        192.168.1.128/25: { asn: 64501 }
        "2001:db8::/34": { asn: 64500 }
        """

    @Test("all clients of a scope get one decision, whatever the configuration", arguments: 0..<40)
    func sound(seed: Int) throws {
        var maker = Maker(
            random: SeededGenerator(UInt64(seed * 977 + 13)), byHost: seed.isMultiple(of: 4))
        let latency = maker.latency()
        let text = maker.configuration()
        let (configuration, messages) = parse(text, latency: latency)
        let steering = try Steering(
            try #require(configuration, "\(messages)"),
            geography: geography(
                worldPlaces + systems,
                default: maker.below(2) == 0 ? nil : "{ country: BR, coordinates: [-23, -46] }"))
        for _ in 0..<5 {
            let down =
                maker.below(4) == 0 ? [] : maker.some(of: (0..<6).map { "p\($0)" }, least: 0)
            let ramps = Dictionary(
                uniqueKeysWithValues: (0..<6).filter { _ in maker.below(6) == 0 }
                    .map { ($0, Double(maker.below(4)) / 4) })
            let health = health(steering, down: Set(down), &maker)
            let state = SteeringState(steering, health: health, ramps: RampShares(ramps))
            for service in steering.configuration.services.indices {
                for _ in 0..<8 {
                    let client = address(maker.one(of: clients))
                    let resolver = address(maker.one(of: resolvers))
                    try check(
                        maker.below(2) == 0
                            ? Client(client)
                            : Client(
                                client, knownBits: client.family.rawValue, resolver: resolver),
                        state, service, &maker.random,
                        "\(text)\n\(latency)\ndown: \(down), verdicts: \(health.verdicts), ramps: \(ramps)"
                    )
                }
            }
        }
    }

    private func check(
        _ client: Client, _ state: SteeringState, _ service: Int, _ random: inout SeededGenerator,
        _ context: String
    ) throws {
        let bits = random.next()
        let decision = state.decide(service: service, client: client, random: bits)
        let ipv4 = state.runs(decision, .ipv4).indices.map { state.ipv4Address($0) }
        let ipv6 = state.runs(decision, .ipv6).indices.map { state.ipv6Address($0) }
        let host = state.host(decision)
        #expect(
            decision.reason == .failure || ipv4.isEmpty != (host == nil),
            "no address, no host, or both: \(context)")
        #expect(Set(ipv4).count == ipv4.count, "an address twice: \(context)")
        #expect(
            ipv4.map { [$0 >> 8 & 255, $0 & 255] }
                == ipv6.map { [UInt32($0.high >> 16 & 0xFFFF), UInt32($0.low)] },
            "A and AAAA differ: \(context)")
        #expect(decision.spare < 0 || decision.pool >= 0, "a spare of nothing: \(context)")

        for address in client.address.samples(inFirst: Int(decision.scope), 10, &random) {
            var other = client
            other.address = address
            let same = state.decide(service: service, client: other, random: bits)
            #expect(
                same.scope == decision.scope && same.reason == decision.reason
                    && state.ttl(of: same) == state.ttl(of: decision)
                    && state.addresses(same) == state.addresses(decision)
                    && state.host(same) == host,
                "\(other.address) in /\(decision.scope) of \(client.address): \(context)")
        }
        // Random bits decide what is drawn, not who shares it.
        for _ in 0..<3 {
            let drawn = state.decide(service: service, client: client, random: random.next())
            #expect(drawn.scope == decision.scope, "a drawn scope: \(context)")
            #expect(
                decision.isDrawn || (drawn.pool, drawn.spare) == (decision.pool, decision.spare),
                "drawn in secret: \(context)")
        }
        checkTier(decision, state, context)
        checkTTL(decision, client, state, service, bits, &random, context)

        let explanation = state.explain(service: service, client: client, random: bits)
        #expect(explanation.decision == decision)
        #expect(
            host == nil || explanation.origins.count { $0.isAnswered && $0.host == host } == 1,
            "the explanation names another host: \(context)")
        if decision.pool >= 0, decision.position >= 0, let level = explanation.levels.last {
            let name = state.steering.configuration.pools[Int(decision.pool)].name
            #expect(
                level.candidates.contains { $0.name == name && $0.verdict == .chosen },
                "the explanation ends elsewhere: \(context)")
        }
    }
}

extension SoundnessTests {
    /// What answers is as good as anything that the outcome comes to.
    private func checkTier(
        _ decision: Decision, _ state: SteeringState, _ context: String
    ) {
        let outcome = state.steering.outcomes[Int(decision.outcome)]
        let members = state.steering.sets[Int(outcome.set)].pools
        let tiers = { (pools: [Int]) in pools.map { state.summarise($0).tier } }
        let best = ["healthy", "degraded"].first { tiers(members).contains($0) }
        guard let best else { return }
        if decision.pool >= 0 {
            #expect(tiers([Int(decision.pool)]) == [best], "a worse pool: \(context)")
        }
        let spare = decision.spare < 0 ? [] : tiers([Int(decision.spare)])
        #expect(!spare.contains("down"), "a dead spare: \(context)")
    }

    /// What can flip within the TTL that bounds leave free makes no difference to the decision.
    private func checkTTL(
        _ decision: Decision, _ client: Client, _ state: SteeringState, _ service: Int,
        _ bits: UInt64, _ random: inout SeededGenerator, _ context: String
    ) {
        let soonest = state.soonestFlip(of: decision).seconds
        let stated = state.steering.configuration.services[service].ttl?.bounds
        #expect(
            state.ttl(of: decision)
                == stated.map { $0.isFixed ? $0.upper : min(max(soonest, $0.lower), $0.upper) })
        // An error has no TTL.
        guard decision.reason != .failure else { return }
        let kinds: [Verdict] = [.up, .degraded, .drained, .down]
        var health = state.health
        for index in health.horizons.indices where health.horizons[index].seconds < soonest {
            guard random.next() >> 63 == 0 else { continue }
            health[index] = kinds[Int(random.next() >> 62)]
        }
        let flipped = SteeringState(state.steering, health: health, ramps: state.ramps)
        let later = flipped.decide(service: service, client: client, random: bits)
        #expect(
            flipped.addresses(later) == state.addresses(decision)
                && flipped.host(later) == state.host(decision),
            "flips before \(soonest) s move \(client.address) from \(decision): \(context)")
    }
}
