import DNSWire
import Geo
import Settings
import Testing

@testable import Health
@testable import Steering

struct ProbePlanTests {
    private let file = PoolFile(
        name: "app.yaml",
        text: """
            monitors:
              web: { type: http, path: /healthz }
              port: { type: tcp, port: 443 }
            pools:
              frankfurt:
                location: [50.11, 8.68]
                monitor: web
                origins:
                  fra-1: { addresses: [192.0.2.10, "2001:db8::10"] }
                  fra-2: { addresses: [192.0.2.11, "2001:db8::11"] }
              static: { origins: { one: { addresses: [192.0.2.1, "2001:db8::1"] } } }
              virginia:
                monitor: port
                origins:
                  iad-1: { addresses: [192.0.2.10, "2001:db8::10"] }
                  iad-2: { addresses: [192.0.2.12, "2001:db8::12"], check_address: 198.51.100.1 }
            services:
              web: { rules: [{ policy: failover, pools: [frankfurt, static, virginia] }] }
            """)

    @Test("every address of a pool with a monitor is one target, at its place in the table")
    func targets() throws {
        var diagnostics = Diagnostics()
        let configuration = try #require(
            SteeringConfiguration.parse([file], diagnostics: &diagnostics),
            "\(diagnostics.sorted)")
        let monitors = Monitor.read(configuration.monitors, &diagnostics)
        #expect(diagnostics.all.isEmpty, "\(diagnostics.sorted)")
        let addresses = configuration.pools.enumerated().flatMap { pool, settings in
            settings.origins.enumerated().flatMap { origin, entry in
                entry.addresses.map {
                    SteeredAddress(
                        address: $0, pool: pool, origin: origin, monitors: settings.monitors)
                }
            }
        }
        let plan = ProbePlan(configuration, addresses: addresses, monitors: monitors)
        #expect(plan.base == HealthTable(count: 10))
        #expect(
            plan.targets.map {
                "\($0.id) \($0.key) \($0.monitors.map(\.name).joined(separator: "+"))"
            } == [
                "0 frankfurt/fra-1/192.0.2.10 web", "1 frankfurt/fra-1/2001:db8::10 web",
                "2 frankfurt/fra-2/192.0.2.11 web", "3 frankfurt/fra-2/2001:db8::11 web",
                "6 virginia/iad-1/192.0.2.10 port", "7 virginia/iad-1/2001:db8::10 port",
                "8 virginia/iad-2/198.51.100.1 port", "9 virginia/iad-2/198.51.100.1 port",
            ])
        #expect(plan.targets.last?.address == IPAddress("198.51.100.1"))
        #expect(plan.probeCount == 7)
    }

    @Test("a host is probed at its check_address, or by its name, which it is known by")
    func hosts() throws {
        let file = PoolFile(
            name: "app.yaml",
            text: """
                monitors: { web: { type: http } }
                pools:
                  static: { origins: { one: { host: one.lb.example }, two: { host: two.lb.example } } }
                  eu:
                    monitor: web
                    origins:
                      one: { host: eu.lb.vendor.example., check_address: 192.0.2.1 }
                      two: { host: eu2.lb.vendor.example, check_address: 192.0.2.1 }
                      three: { host: eu3.lb.vendor.example }
                services:
                  web: { rules: [{ pools: [eu, static] }] }
                """)
        var diagnostics = Diagnostics()
        let configuration = try #require(
            SteeringConfiguration.parse([file], diagnostics: &diagnostics),
            "\(diagnostics.sorted)")
        let addresses = try configuration.pools.enumerated().flatMap { pool, settings in
            try settings.origins.enumerated().map { origin, entry in
                SteeredAddress(
                    address: try #require(entry.checkAddress ?? IPAddress("0.0.0.0")), pool: pool,
                    origin: origin, monitors: settings.monitors)
            }
        }
        let plan = ProbePlan(
            configuration, addresses: addresses,
            monitors: Monitor.read(configuration.monitors, &diagnostics))
        #expect(plan.base == HealthTable(count: 5))
        #expect(
            plan.targets.map { "\($0.id) \($0.key) \($0.host ?? "")" } == [
                "2 eu/one/192.0.2.1 eu.lb.vendor.example",
                "3 eu/two/192.0.2.1 eu2.lb.vendor.example",
                "4 eu/three/eu3.lb.vendor.example eu3.lb.vendor.example",
            ])
    }

    @Test(
        "targets of pools whose services bound their TTL are timed, and a table is settled by them")
    func timed() throws {
        var timed = file
        timed.text += "\n  free: { ttl: 10s-60s, rules: [{ pools: [virginia] }] }\n"
        var diagnostics = Diagnostics()
        let configuration = try #require(
            SteeringConfiguration.parse([timed], diagnostics: &diagnostics),
            "\(diagnostics.sorted)")
        let steering = try Steering(
            configuration, geography: Geography(database: nil, overrides: LocationOverrides()))
        let plan = ProbePlan(
            configuration, addresses: steering.addresses,
            monitors: Monitor.read(configuration.monitors, &diagnostics))
        #expect(plan.targets.filter(\.isTimed).map(\.id) == [6, 7, 8, 9])
        var table = HealthTable(count: 10, verdict: .up)
        table[7] = .down
        plan.settle(&table)
        let up = Horizon(probes: 3, seconds: 20)
        let never = [Horizon](repeating: .never, count: 6)
        #expect(table.horizons == never + [up, Horizon(probes: 2, seconds: 10), up, up])
    }

    @Test("a monitor with an error is told with its file and path")
    func errors() throws {
        var broken = file
        broken.text = broken.text.replacing("type: tcp,", with: "type: tpc,")
        var diagnostics = Diagnostics()
        let configuration = try #require(
            SteeringConfiguration.parse([broken], diagnostics: &diagnostics))
        #expect(Monitor.read(configuration.monitors, &diagnostics).keys.sorted() == ["web"])
        let types = probeTypes.map { $0.type }.joined(separator: ", ")
        #expect(
            diagnostics.sorted.map(\.description) == [
                "app.yaml:3:17: error: monitors.port.type: expected one of \(types) "
                    + "(did you mean tcp?), found \"tpc\""
            ])
    }
}
