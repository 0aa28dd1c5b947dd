// What went wrong in the checkers of other servers (docs/lessons.md, L19 to L25), one test for each,
// named by its number.

import DNSWire
import Steering
import Synchronization
import Testing

@testable import Health

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
private let loopback = IPAddress(ipv4: 0x7F00_0001)

private func target(
    _ id: Int, _ server: FaultServer, type: String = "http", settings: String
) throws -> ProbeTarget {
    ProbeTarget(
        id: id, key: "pool/origin-\(id)/127.0.0.1", address: loopback,
        monitor: try monitor("{type: \(type), port: \(server.port), \(settings)}"))
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
                (FaultServer.Behaviour.close, "status: connection closed by the origin"),
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
            let decision = try #require(state.health.decidedBy)
            #expect(decision.outcome.description == transition.reason)
            #expect(state.health.since == transition.time && decision.duration > .zero)
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
    }
}
