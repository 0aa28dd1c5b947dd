// TTLs of services: what files may say, and which verdicts an answer's TTL follows from.

import DNSWire
import Settings
import Testing

@testable import Steering

@Suite("TTLs of services")
struct TimeToLiveTests {
    private func service(_ ttl: String) -> String {
        "pools: { main: { origins: { o: { addresses: 192.0.2.1 } } } }\n"
            + "services: { web: { ttl: \(ttl), rules: [{ pools: main }] } }"
    }

    @Test(
        "a TTL is one duration or two of whole seconds, within its limits",
        arguments: [
            ("30s", 30, 30), ("1s", 1, 1), ("10s-60s", 10, 60), ("1m-1h", 60, 3_600),
            ("7d", 604_800, 604_800),
        ] as [(String, UInt32, UInt32)])
    func read(text: String, lower: UInt32, upper: UInt32) throws {
        let service = try #require(parse(service(text)).configuration?.services.first)
        #expect(service.ttl?.bounds == TTLBounds(lower: lower, upper: upper))
        #expect(service.ttl?.text == text)
    }

    @Test(
        "another is refused",
        arguments: [
            ("30", "expected a duration with its unit, as 30s, or two as 10s-60s, found \"30\""),
            ("0s", "expected durations from 1s to 7d, found \"0s\""),
            ("10s-8d", "expected durations from 1s to 7d, found \"10s-8d\""),
            ("60s-10s", "expected the shorter duration first, as 10s-60s, found \"60s-10s\""),
            ("1500ms", "expected whole seconds, as 30s or 10s-60s, found \"1500ms\""),
        ])
    func refused(text: String, message: String) {
        let (configuration, messages) = parse(service(text))
        #expect(configuration == nil)
        #expect(messages == ["a.yaml:2:25: error: services.web.ttl: \(message)"])
    }

    @Test("a TTL of hours is warned about where pools are probed")
    func long() {
        let monitored = worldPools + "services: { web: { ttl: 10s-2h, rules: [{ pools: tokyo }] } }"
        func told(_ text: String) -> [String] {
            parse(text).messages.filter { !$0.contains("no service uses") }
        }
        let messages = told(monitored)
        #expect(messages.count == 1)
        #expect(messages[0].contains("keep answers of the service \"web\" for up to 2h"))
        #expect(told(service("2h")).isEmpty)
        #expect(told(monitored.replacing("2h", with: "1h")).isEmpty)
    }

    @Test("only pools of services with bounds have their probes told")
    func timed() throws {
        let text =
            worldPools + """
                services:
                  a: { ttl: 10s-60s, rules: [{ pools: [tokyo, { service: b }] }], fallback: sydney }
                  b: { rules: [{ pools: virginia }] }
                  c: { ttl: 60s, rules: [{ pools: frankfurt }] }
                """
        let configuration = try #require(parse(text).configuration)
        let timed = configuration.timedPools.map { configuration.pools[$0].name }
        #expect(timed.sorted() == ["sydney", "tokyo", "virginia"])
    }

    // MARK: - Explained

    private func explain(
        down: Set<String> = [], horizons: [String: Horizon], ttl: String = "10s-60s"
    ) throws -> Explanation {
        let steering = try steering(
            worldPools + "services: { web: { ttl: \(ttl), rules: [{ pools: [tokyo, sydney] }] } }")
        var health = state(steering, down: down).health
        for (index, steered) in steering.addresses.enumerated() {
            let pool = steering.configuration.pools[steered.pool]
            let horizon = horizons[pool.origins[steered.origin].name]
            if let horizon { health.setHorizon(horizon, of: index) }
        }
        return SteeringState(steering, health: health).explain(
            service: 0, client: Client(address("192.0.2.1")), random: 0)
    }

    @Test("the explanation names the verdict that could flip the soonest")
    func explained() throws {
        let settled = Horizon(probes: 3, seconds: 20)
        let rows: [(Set<String>, [String: Horizon], String, String)] = [
            (
                [], ["nrt1": settled, "nrt2": Horizon(probes: 2, seconds: 11), "syd1": settled],
                "10s-60s",
                "ttl      11 seconds: tokyo/nrt2/192.0.2.31 could be down after 2 more failed probes,"
                    + " in 11 seconds at the soonest; within 10s-60s (a.yaml:17:25)"
            ),
            (
                [], ["nrt1": Horizon(probes: 1, seconds: 0), "nrt2": settled], "10s-60s",
                "ttl      10 seconds, the least: tokyo/nrt1/192.0.2.30 could be down after 1 more failed"
                    + " probe, in 0 seconds at the soonest; within 10s-60s (a.yaml:17:25)"
            ),
            (
                [], ["nrt1": Horizon(probes: 3, seconds: 15, isDegrading: true), "nrt2": settled],
                "10s-60s",
                "ttl      15 seconds: tokyo/nrt1/192.0.2.30 could be degraded after 3 more probes,"
                    + " in 15 seconds at the soonest; within 10s-60s (a.yaml:17:25)"
            ),
            (
                ["nrt1"], ["nrt1": Horizon(probes: 2, seconds: 90)], "10s-60s",
                "ttl      60 seconds, the most: tokyo/nrt1/192.0.2.30 could be up after 2 more passed"
                    + " probes, in 90 seconds at the soonest; within 10s-60s (a.yaml:17:25)"
            ),
            (
                [], ["syd1": settled], "10s-60s",
                "ttl      60 seconds, the most: nothing that it depends on is probed; within 10s-60s"
                    + " (a.yaml:17:25)"
            ),
            ([], ["nrt1": settled], "45s", "ttl      45 seconds, as the service has it"),
        ]
        for (down, horizons, ttl, line) in rows {
            let text = try explain(down: down, horizons: horizons, ttl: ttl).text
            #expect(text.split(separator: "\n").contains(line[...]), "\(text)")
        }
    }

    @Test("a decision without a TTL of its service leaves it to the STEER record")
    func steer() throws {
        let steering = try steering(worldPools + "services: { web: { rules: [{ pools: tokyo }] } }")
        let state = state(steering)
        #expect(state.ttl(of: try state.decide("web", "192.0.2.1")) == nil)
    }
}
