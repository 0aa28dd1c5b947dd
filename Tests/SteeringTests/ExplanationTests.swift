// What `explain` says: the same decision, with every reason, readable.

import DNSWire
import Settings
import Testing

@testable import Steering

@Suite("explanations")
struct ExplanationTests {
    private let text =
        worldPools + """
            services:
              web:
                rules:
                  - { match: { networks: 10.99.0.0/16 }, pools: sydney }
                  - { match: { countries: [BR, CA] }, policy: weighted, pools: [{ pool: virginia, weight: 3 }, saopaulo] }
                  - { policy: proximity, pools: [frankfurt, { pool: virginia, bias: 20 }, tokyo] }
                fallback: capetown
            """

    private func explain(_ client: Client, down: Set<String> = []) throws -> Explanation {
        let state = state(try steering(text, places: worldPlaces), down: down)
        let explanation = state.explain(service: 0, client: client, random: 9)
        #expect(explanation.decision == state.decide(service: 0, client: client, random: 9))
        return explanation
    }

    @Test("a ranked decision shows distances, health and scope")
    func ranked() throws {
        let subnet = try #require(IPNetwork("198.51.100.0/24"))
        let lines = try explain(Client(subnet), down: ["frankfurt"]).text.split(separator: "\n")
        let expected = """
            service  web (a.yaml:18:3)
            client   198.51.100.0/24
            place    London, GB, EU, at 51.51, -0.13 (198.51.100.0/25, overrides.yaml:2:3)
            rule 1   no match: networks (networks 10.99.0.0/16; a.yaml:20:9)
            rule 2   no match: countries (countries BR CA; a.yaml:21:9)
            rule 3   proximity: everyone (a.yaml:22:9)
            pools    frankfurt    638 km                                  0/2 up  down: 0 of 2 origins up, min_healthy wants 1
                     virginia   5,917 km  counts as 4,734 km by its bias  1/1 up  chosen
                     tokyo      9,559 km                                  2/2 up
            chosen   virginia (number 2 in order; those before are down)
            answer   192.0.2.20, 2001:db8::20
            scope    /25: the same for every client in 198.51.100.0/25
            """
        #expect(lines == expected.split(separator: "\n"))
    }

    @Test("a weighted decision shows the shares of what can be drawn")
    func weighted() throws {
        let explanation = try explain(Client(address("10.8.0.1")))
        #expect(explanation.candidates.map(\.share) == [0.75, 0.25])
        #expect(explanation.rules.map(\.mismatch) == ["networks", nil])
        #expect(explanation.text.contains("place    CA, NA, without coordinates (10.8.0.0/13"))
        #expect(explanation.text.contains("75 % of draws"))
        #expect(explanation.text.contains("(drawn by weight)"))
    }

    @Test("several monitors of a pool are told with how many of them are needed")
    func monitors() throws {
        let text = """
            monitors: { web: {}, ping: {}, dns: {} }
            pools:
              one: { monitor: [web, ping], origins: { o: { addresses: 192.0.2.1 } } }
              two: { monitor: [web, ping], monitors_needed: any, origins: { o: { addresses: 192.0.2.2 } } }
              three: { monitor: [web, ping, dns], monitors_needed: 2, origins: { o: { addresses: 192.0.2.3 } } }
            services: { web: { rules: [{ pools: [one, two, three] }] } }
            """
        let state = state(try steering(text), down: ["one"])
        let explanation = state.explain(
            service: 0, client: Client(address("192.0.2.1")), random: 9)
        for words in [
            "one    0/1 up by all of web, ping", "two    1/1 up by any of web, ping",
            "three  1/1 up by 2 of web, ping, dns",
        ] {
            #expect(explanation.text.contains(words), "\(explanation.text)")
        }
        let pool = explanation.document.levels.first?.candidates.last
        #expect(pool?.monitors == ["web", "ping", "dns"] && pool?.monitorsNeeded == 2)
    }

    @Test("everything down says so")
    func everythingDown() throws {
        let explanation = try explain(
            Client(address("192.0.2.1")), down: ["frankfurt", "virginia", "tokyo", "capetown"])
        #expect(explanation.candidates.map(\.verdict) == [.down, .down, .down])
        #expect(explanation.text.contains("place    unknown"))
        #expect(
            explanation.text.contains(
                "chosen   capetown (all pools and the fallback are down; it answers all the same)"))
    }

    @Test("where no rule matched and the fallback is down, other pools are not said to be")
    func fallbackDown() throws {
        let rules = "services: { s: { rules: [{ match: { countries: BR }, pools: saopaulo }],"
        let text = worldPools + rules + " fallback: capetown } }"
        let state = state(try steering(text, places: worldPlaces), down: ["capetown"])
        let explanation = state.explain(
            service: 0, client: Client(address("192.0.2.1")), random: 9)
        #expect(
            explanation.text.contains(
                "capetown (no rule matched and the fallback is down; it answers all the same)"))
    }

    @Test("a drawn origin is named, and a folded client's IPv4 address")
    func drawnOrigin() throws {
        let explanation = try explain(Client(address("::ffff:203.0.113.1")))
        #expect(explanation.origins.count(where: \.isAnswered) == 1)
        #expect(explanation.origins.map(\.share) == [0.75, 0.25])
        #expect(explanation.text.contains("::ffff:203.0.113.1, located as 203.0.113.1"))
        #expect(explanation.text.contains("chosen   tokyo, origin nrt"))
    }
}
