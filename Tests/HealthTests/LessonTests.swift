// What went wrong in the checkers of other servers (docs/lessons.md, L19 to L25), one test for each,
// named by its number.

import DNSWire
import Geo
import Settings
import Steering
import Synchronization
import Testing

@testable import Health

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
private let loopback = IPAddress(ipv4: 0x7F00_0001)

private func target(_ id: Int, _ server: FaultServer, settings: String) throws -> ProbeTarget {
    ProbeTarget(
        id: id, pool: "pool", origin: "origin-\(id)", address: loopback,
        monitors: [try monitor("{type: http, port: \(server.port), \(settings)}")], needed: 1)
}

/// Waits until something holds; false after a time that only a broken program takes.
private func wait(until holds: () async throws -> Bool) async throws -> Bool {
    let end = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < end {
        if try await holds() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}

extension Alone {
    struct LessonTests {
        /// gdnsd waited for 13 octets of a status line, and took the end of the connection for "not yet".
        @Test(
            "L19: a connection that ends within the answer is a result, and not waited on",
            arguments: ProbeRow.talking, ["H", "HTTP/1.1 200", "HTTP/1.1 200 ", "22", "\u{0}"])
        func earlyEnd(row: ProbeRow, beginning: String) async throws {
            let result = try await outcome(
                "type: \(row.settings), interval: 1m, timeout: 30s", against: .answer(beginning),
                speaksFirst: row.kind == .speakFirst)
            #expect(result.text.contains(": "), "\(result.text)")
            #expect(!result.text.contains("timeout"), "\(result.text)")
            #expect(result.whole < .seconds(10))
        }

        /// PowerDNS begins to probe with the first query, which it answers without knowing.
        @Test("L20: a restart begins with what was known, of its age, and waits for no probe of it")
        func seeding() throws {
            func targets(_ checker: ScriptedChecker) throws -> [ProbeTarget] {
                let monitor = try checker.monitor("web", "interval: 10s, timeout: 2s, fall: 1")
                return (1...4).map { scriptedTarget($0, pool: "p\($0)", [monitor]) }
            }
            let before = ScriptedChecker()
            before.script["192.0.2.2"] = .fail
            before.replace(try targets(before))
            let kept = before.state.states().flatMap(\.monitors)
            let after = ScriptedChecker()
            for number in 1...4 { after.script["192.0.2.\(number)"] = .stall }
            after.state.memory = Dictionary(
                uniqueKeysWithValues: kept.map { ($0.memoryKey, $0.health) })
            after.replace(try targets(after))
            // In force though not one probe has ended, and each of them has begun.
            #expect(after.updates.map(\.table.verdicts) == [[.up, .down, .up, .up]])
            #expect(after.script.asked("192.0.2.2 web") == 1)
            #expect(
                after.state.states().map(\.standing.since)
                    == before.state.states().map(\.standing.since))
            #expect(after.state.states()[1].standing.reason == "connect: connection refused")
        }

        /// PowerDNS begins a round when the last probe of the one before has ended.
        @Test("L21: hundreds that stall to their timeouts do not slow down one that answers")
        func pace() async throws {
            let good = try await FaultServer(.answer(ok))
            let stalled = try await FaultServer(.stall)
            let checker = Checker { _ in }
            let targets = try (0..<300).map {
                try target($0, stalled, settings: "interval: 4s, timeout: 4s")
            }
            let fast = try target(300, good, settings: "interval: 200ms, timeout: 200ms")
            await checker.replace(targets + [fast], base: HealthTable(count: 301))
            let (before, start) = (good.connections, ContinuousClock.now)
            #expect(try await wait { good.connections >= before + 10 })
            // At the pace of the others ten would take forty seconds.
            #expect(ContinuousClock.now - start < .seconds(12))
            #expect(stalled.mostOpen > 256, "they did stall, more than there are places at least")
            await checker.stop()
        }

        /// gdnsd's states said DOWN and no more.
        @Test(
            "L23: no verdict without a reason that names the step, and the time it took",
            arguments: [
                (FaultServer.Behaviour.close, "status: connection "),
                (.answer("HTTP/1.1 503 Busy\r\n\r\n"), "status: 503, expected 200-299"),
                (.stall, "status: timeout after 300ms while waiting for the status"),
                (.answer("220 mail.example ESMTP\r\n"), "status: "),
            ])
        func reason(behaviour: FaultServer.Behaviour, expected: String) async throws {
            let server = try await FaultServer(.answer(ok))
            let seen = Mutex<[Transition]>([])
            let checker = Checker { update in seen.withLock { $0 += update.transitions } }
            let settings = "interval: 300ms, timeout: 300ms, fall: 1"
            await checker.replace(
                [try target(0, server, settings: settings)], base: HealthTable(count: 1))
            server.behaviour = behaviour
            #expect(try await wait { seen.withLock { $0.contains { $0.to == .down } } })
            let transition = try #require(seen.withLock { $0.first { $0.to == .down } })
            #expect(transition.reason.hasPrefix(expected), "\(transition.reason)")
            let state = try #require(await checker.states().first)
            let decision = try #require(state.monitors[0].health.decidedBy)
            #expect(decision.outcome.description == transition.reason)
            #expect(state.standing.reason == transition.reason && transition.step == .status)
            #expect(state.standing.since == transition.time && decision.duration > .zero)
            await checker.stop()
        }

        /// PowerDNS asks by https and takes whatever certificate there is. (Of `smtp` SMTPProbeTests has
        /// it: openssl does not speak STARTTLS as a server.)
        @Test(
            "L24: certificates are verified unless that is told not to be, which is warned of",
            arguments: ["https", "tls", "websocket, tls: true", "grpc, tls: true"])
        func verification(type: String) async throws {
            let certificates = try Certificates()
            let file = "\(certificates.directory.path)/app.yaml"
            for (leaf, authority, fault) in [
                ("good", "", "unable to get local issuer certificate"),
                ("expired", ", ca_file: ca.pem", "certificate has expired"),
            ] {
                let server = try certificates.server(leaf, ["-www", "-alpn", "h2,http/1.1"])
                defer { server.stop() }
                let base = "type: \(type), port: \(server.port), host: good.test, interval: 1m"
                let found = try await probe(
                    monitor("{\(base), timeout: 30s\(authority)}", file: file))
                #expect(found.outcome == .failed(.handshake, fault))
                let insecure = "{\(base), timeout: 3s, insecure: true}"
                // Whether the server speaks what is asked for is another matter.
                let taken = try await probe(monitor(insecure)).outcome.description
                #expect(!taken.contains("certificate") || type == "tls", "\(taken)")
                #expect(findings(insecure).contains("warning: insecure: "))
            }
        }

        /// A checker that has lost its own network saw everything down, and took it all out of the answers.
        @Test(
            "L25: who sees nearly everything fail at once doubts himself, says so, and answers as before"
        )
        func singleView() async throws {
            let server = try await FaultServer(.answer(ok), host: "0.0.0.0")
            let names = (0..<5).map { "p\($0)" }
            let pools = names.enumerated().map { index, name in
                let origins = (1...2).map { "o\($0): { addresses: 127.0.\(index + 20).\($0) }" }
                return
                    "  \(name): { monitor: m, origins: { \(origins.joined(separator: ", ")) } }\n"
            }
            let text = """
                monitors:
                  m: { type: http, port: \(server.port), interval: 500ms, timeout: 500ms }
                pools:
                \(pools.joined())
                services: { web: { rules: [{ pools: [\(names.joined(separator: ", "))] }] } }
                """
            var diagnostics = Diagnostics()
            let configuration = try #require(
                SteeringConfiguration.parse(
                    [PoolFile(name: "f", text: text)], diagnostics: &diagnostics))
            let steering = try Steering(
                configuration, geography: Geography(database: nil, overrides: LocationOverrides()))
            let plan = ProbePlan(
                configuration, addresses: steering.addresses,
                monitors: Monitor.read(configuration.monitors, &diagnostics))
            @Sendable func explanation(_ update: HealthUpdate) -> String {
                SteeringState(steering, health: update.table)
                    .explain(service: 0, client: Client(loopback), random: 0).text
            }
            let updates = Mutex<[HealthUpdate]>([])
            let checker = Checker { update in updates.withLock { $0.append(update) } }
            await checker.replace(plan, adopt: { update in updates.withLock { $0.append(update) } })
            server.behaviour = .reset
            #expect(try await wait { updates.withLock { $0.last?.table.isIsolated ?? false } })
            let isolated = try #require(updates.withLock { $0.last })
            #expect(isolated.isolationNotices.contains { "\($0)".hasPrefix("isolated: ") })
            #expect(explanation(isolated).hasPrefix("ISOLATED"))
            #expect(explanation(isolated).contains("chosen    p0 (first in order)"))
            #expect(isolated.table.verdicts == Array(repeating: .up, count: 10))
            // Nothing else comes of it, for as long as it takes to bring an origin down.
            let failed = server.connections
            #expect(try await wait { server.connections > failed + 10 * 4 })
            #expect(
                updates.withLock { $0.allSatisfy { $0.table.verdicts == isolated.table.verdicts } })
            server.behaviour = .answer(ok)
            #expect(try await wait { updates.withLock { $0.last?.table.isIsolated == false } })
            #expect(updates.withLock { $0.last?.table.verdicts } == isolated.table.verdicts)
            await checker.stop()
            await server.stop()
        }
    }
}
