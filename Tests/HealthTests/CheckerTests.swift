import DNSWire
import Geo
import NIOCore
import Settings
import Steering
import Synchronization
import Testing

@testable import Health

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
private let local = IPAddress(ipv4: 0x7F00_0001)

/// Collects what a checker publishes, with the time it came.
private final class Journal: Sendable {
    private let all = Mutex<[(update: HealthUpdate, time: ContinuousClock.Instant)]>([])

    func add(_ update: HealthUpdate) { all.withLock { $0.append((update, .now)) } }
    var updates: [HealthUpdate] { all.withLock { $0.map(\.update) } }

    /// Waits for an update that fits, and returns when it came; nil after `limit`.
    func wait(
        for limit: Duration = .seconds(8), _ fits: (HealthUpdate) -> Bool
    ) async throws -> ContinuousClock.Instant? {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            if let found = all.withLock({ $0.first { fits($0.update) } }) { return found.time }
            try await Task.sleep(for: .milliseconds(2))
        }
        return nil
    }
}

private func target(
    _ id: Int, _ server: FaultServer, type: String = "http", key: String? = nil,
    settings: String = "interval: 200ms, timeout: 200ms"
) throws -> ProbeTarget {
    var target = ProbeTarget(
        id: id, pool: "pool", origin: "origin-\(id)", address: local,
        monitors: [try monitor("{type: \(type), port: \(server.port), \(settings)}")], needed: 1)
    if let key { target.key = key }
    return target
}

extension Alone {
    struct CheckerTests {
        @Test("the first round is over when every target has its verdict, and it is one probe each")
        func firstRound() async throws {
            let good = try await FaultServer(.answer(ok))
            let bad = try await FaultServer(.answer("HTTP/1.1 503 Busy\r\n\r\n"))
            let stalled = try await FaultServer(.stall)
            let journal = Journal()
            let adopted = Journal()
            let checker = Checker { journal.add($0) }
            let settings = "interval: 1h, timeout: 300ms"
            let start = ContinuousClock.now
            await checker.replace(
                [
                    try target(0, good, settings: settings), try target(1, bad, settings: settings),
                    try target(3, stalled, settings: settings),
                ], base: HealthTable(count: 5), adopt: { adopted.add($0) })
            let elapsed = ContinuousClock.now - start
            // A second round would begin minutes later.
            #expect(elapsed >= .milliseconds(300) && elapsed < .seconds(8))
            #expect(good.connections == 1 && bad.connections == 1 && stalled.connections == 1)

            let update = try #require(adopted.updates.first)
            #expect(update.table.verdicts == [.up, .down, .unknown, .down, .unknown])
            #expect(
                update.transitions.map { "\($0.key) \($0.from) \($0.to) \($0.reason)" }.sorted()
                    == [
                        "pool/origin-0/127.0.0.1 unknown up status 200",
                        "pool/origin-1/127.0.0.1 unknown down status: 503, expected 200-299",
                        "pool/origin-3/127.0.0.1 unknown down status: timeout after 300ms while waiting for the status",
                    ])
            #expect(journal.updates.isEmpty && adopted.updates.count == 1)

            let states = await checker.states()
            #expect(states.map(\.standing.verdict) == [.up, .down, .down])
            #expect(
                states[1].monitors[0].health.decidedBy?.outcome.description
                    == "status: 503, expected 200-299")
            #expect(states[1].standing.reason == "status: 503, expected 200-299")
            #expect(states[1].standing.step == .status && states[0].standing.step == nil)
            #expect(states[1].standing.since == states[1].monitors[0].health.since)
            #expect(states[0].monitors.map(\.monitor.type) == ["http"])
            await checker.stop()
        }

        @Test("no targets at all are a round that is over at once")
        func nothing() async throws {
            let adopted = Journal()
            let checker = Checker { _ in }
            await checker.replace(
                [], base: HealthTable(count: 2, verdict: .up), adopt: { adopted.add($0) })
            #expect(adopted.updates.map(\.table) == [HealthTable(count: 2, verdict: .up)])
            await checker.stop()
        }

        @Test("an origin that dies is down after its count, and up again when it is back")
        func counts() async throws {
            let server = try await FaultServer(.answer(ok))
            let journal = Journal()
            let checker = Checker { journal.add($0) }
            // Fall 3, rise 2 by default.
            await checker.replace(
                [try target(0, server)], base: HealthTable(count: 1), adopt: { _ in })
            let port = server.port
            await server.stop()
            _ = try #require(try await journal.wait { $0.table[0] == .down })
            #expect(
                journal.updates.last?.transitions.first?.reason == "connect: connection refused")

            let back = try await FaultServer(.answer(ok), port: port)
            _ = try #require(try await journal.wait { $0.table[0] == .up })
            #expect(back.connections >= 2, "not sooner than its count allows")
            await checker.stop()
            await back.stop()
        }

        @Test("a stall that begins is seen like a death")
        func stalling() async throws {
            let server = try await FaultServer(.answer(ok))
            let journal = Journal()
            let checker = Checker { journal.add($0) }
            await checker.replace(
                [try target(0, server)], base: HealthTable(count: 1), adopt: { _ in })
            let before = server.connections
            server.behaviour = .stall
            _ = try #require(try await journal.wait { $0.table[0] == .down })
            #expect(server.connections - before >= 3, "not sooner than its count allows")
            await checker.stop()
        }

        @Test("a probe that fails lowers the TTL at once, and one that passes gives it back")
        func timed() async throws {
            let server = try await FaultServer(.answer(ok))
            let text = """
                monitors:
                  m: { type: http, port: \(server.port), interval: 1s, timeout: 500ms, fall: 5 }
                pools: { main: { monitor: m, origins: { one: { addresses: 127.0.0.1 } } } }
                services: { web: { ttl: 1s-1m, rules: [{ pools: main }] } }
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
            @Sendable func ttl(_ update: HealthUpdate) -> UInt32? {
                let state = SteeringState(steering, health: update.table)
                return state.ttl(
                    of: state.decide(service: 0, client: Client(local), random: 0))
            }
            let adopted = Journal()
            let journal = Journal()
            let checker = Checker { journal.add($0) }
            await checker.replace(plan, adopt: { adopted.add($0) })
            #expect(adopted.updates.map(ttl) == [4])
            server.behaviour = .reset
            _ = try #require(try await journal.wait { ttl($0) == 3 })
            server.behaviour = .answer(ok)
            _ = try #require(try await journal.wait { ttl($0) == 4 })
            #expect(journal.updates.allSatisfy { $0.transitions.isEmpty && $0.table[0] == .up })
            await checker.stop()
        }

        @Test(
            "nothing is published while nothing changes, nor of probes that no answer's TTL hangs on"
        )
        func steady() async throws {
            let steady = try await FaultServer(.answer(ok))
            let failing = try await FaultServer(.answer(ok))
            let journal = Journal()
            let checker = Checker { journal.add($0) }
            var timed = try target(0, steady, settings: "interval: 100ms, timeout: 100ms")
            timed.isTimed = true
            let untimed = try target(
                1, failing, settings: "interval: 100ms, timeout: 100ms, fall: 100")
            await checker.replace([timed, untimed], base: HealthTable(count: 2))
            failing.behaviour = .reset
            let start = ContinuousClock.now
            while steady.connections < 6 || failing.connections < 6, .now - start < .seconds(8) {
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(steady.connections >= 6 && failing.connections >= 6)
            #expect(journal.updates.isEmpty)
            await checker.stop()
        }

        @Test("flips of one moment are published together")
        func together() async throws {
            let server = try await FaultServer(.answer(ok))
            let journal = Journal()
            let checker = Checker { journal.add($0) }
            let settings = "interval: 300ms, timeout: 300ms, fall: 1"
            let once = try (0..<20).map { id in
                try target(id, server, key: "once", settings: "interval: 1h, timeout: 5s")
            }
            await checker.replace(once, base: HealthTable(count: 20), adopt: { _ in })
            #expect(server.connections == 1, "one key is one target, however many places it has")
            let targets = try (0..<20).map { id in
                try target(id, server, key: "same", settings: settings)
            }
            await checker.replace(targets, base: HealthTable(count: 20), adopt: { _ in })
            server.behaviour = .reset
            _ = try #require(
                try await journal.wait { $0.table == HealthTable(count: 20, verdict: .down) })
            #expect(journal.updates.count == 1)
            #expect(journal.updates[0].transitions.count == 1)
            await checker.stop()
        }

        @Test("a reload keeps what is unchanged, probes what is new at once, and forgets the rest")
        func replacing() async throws {
            let good = try await FaultServer(.answer(ok))
            let other = try await FaultServer(.answer(ok))
            let journal = Journal()
            let checker = Checker { journal.add($0) }
            let slow = "interval: 1h, timeout: 1s"
            let kept = try target(0, good, settings: slow)
            let changed = try target(1, good, settings: slow)
            let gone = try target(2, other, settings: slow)
            await checker.replace([kept, changed, gone], base: HealthTable(count: 3))
            let before = await checker.states()
            #expect(good.connections == 2 && other.connections == 1)

            // The kept one moves in the table, the changed one gets another path, a new one comes.
            var moved = kept
            moved.id = 3
            var edited = changed
            edited.monitors = [
                try monitor("{type: http, path: /z, port: \(good.port), \(slow)}")
            ]
            let fresh = try target(0, other, key: "new", settings: slow)
            let adopted = Journal()
            await checker.replace(
                [fresh, edited, moved], base: HealthTable(count: 4), adopt: { adopted.add($0) })
            // What is edited is asked at once, and not waited for.
            let start = ContinuousClock.now
            while good.connections < 3, .now - start < .seconds(8) {
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(good.connections == 3 && other.connections == 2)
            #expect(adopted.updates.map(\.table.verdicts) == [[.up, .up, .unknown, .up]])
            let after = await checker.states()
            #expect(after.map(\.key) == ["new", changed.key, kept.key])
            #expect(after[2].monitors[0].health == before[0].monitors[0].health)
            #expect(journal.updates.isEmpty)
            await checker.stop()
        }

        /// A checker's state of a program that logs each run, after its first round.
        private func firstRound(
            of script: String, _ settings: String
        ) async throws -> (health: TargetHealth, runs: Int) {
            let directory = try TemporaryDirectory()
            let log = "\(directory.path)/log"
            let yaml =
                "{type: command, \(settings), command: [/bin/sh, -c, "
                + "'echo x >> \(log); test $(wc -l < \(log)) \(script)']}"
            let checker = Checker { _ in }
            let target = ProbeTarget(
                id: 0, pool: "pool", origin: "a", address: local, monitors: [try monitor(yaml)],
                needed: 1)
            await checker.replace([target], base: HealthTable(count: 1))
            let states = await checker.states()
            await checker.stop()
            return (
                try #require(states.first?.monitors.first?.health),
                try directory.read("log").count { $0 == UInt8(ascii: "x") }
            )
        }

        @Test("a failed probe is tried again at once before it counts, and a pass ends the round")
        func retries() async throws {
            let settings = "interval: 1h, timeout: 20s"
            let failing = try await firstRound(of: "-gt 9", "\(settings), retries: 2")
            #expect(failing.runs == 3 && failing.health.verdict == .down)
            #expect(failing.health.reason == "status: exit status 1")
            let late = try await firstRound(
                of: "-gt 1 && echo load=0.73", "\(settings), retries: 3")
            #expect(late.runs == 2 && late.health.verdict == .up)
            #expect(
                late.health.reason
                    == "exit status 0: load=0.73 (try 2; before: status: exit status 1)")
            #expect(late.health.last?.load == Load(thousandths: 730))
            let none = try await firstRound(of: "-gt 1", settings)
            #expect(none.runs == 1 && none.health.verdict == .down)
            #expect(none.health.last?.load == nil)
        }

        @Test("a file of results tells loads too")
        func loadOfFile() async throws {
            let directory = try TemporaryDirectory()
            try directory.write("127.0.0.1 up busy load=0.5", to: "results")
            let path = "\(directory.path)/results"
            let checker = Checker { _ in }
            let target = ProbeTarget(
                id: 0, pool: "pool", origin: "a", address: local,
                monitors: [try monitor("{type: file, path: \(path), load_above: 0.8}")], needed: 1)
            await checker.replace([target], base: HealthTable(count: 1))
            let last = try #require(await checker.states().first?.monitors.first?.health.last)
            #expect(last.outcome == .passed("marked up: busy load=0.5"))
            #expect(last.load == Load(thousandths: 500))
            await checker.stop()
        }

        @Test("a target whose monitor says how it starts is so before its first result")
        func start() async throws {
            let stalled = try await FaultServer(.stall)
            let settings = "interval: 1h, timeout: 500ms, start: up"
            let adopted = Journal()
            let checker = Checker { _ in }
            await checker.replace(
                [try target(0, stalled, settings: settings)], base: HealthTable(count: 1),
                adopt: { adopted.add($0) })
            let health = try #require(await checker.states().first?.monitors.first?.health)
            #expect(adopted.updates.map(\.table.verdicts) == [[.up]])
            #expect(health.verdict == .up && health.contradictions <= 1)
            await checker.stop()
        }

        @Test("a slow target holds up no other, and probes of one target never overlap")
        func slowest() async throws {
            let good = try await FaultServer(.answer(ok))
            let stalled = try await FaultServer(.stall)
            let checker = Checker { _ in }
            await checker.replace(
                [
                    try target(0, good, settings: "interval: 100ms, timeout: 100ms"),
                    try target(1, stalled, settings: "interval: 300ms, timeout: 200ms"),
                ], base: HealthTable(count: 2))
            let before = (good: good.connections, stalled: stalled.connections)
            let start = ContinuousClock.now
            while good.connections - before.good < 12, .now - start < .seconds(8) {
                try await Task.sleep(for: .milliseconds(2))
            }
            let elapsed = ContinuousClock.now - start
            #expect(elapsed > .milliseconds(11 * 90 - 100), "\(elapsed) is a burst")
            // Its own rhythm, however slow this machine is.
            let rounds = Int(elapsed / .milliseconds(270))
            #expect(stalled.connections - before.stalled <= rounds + 2)
            #expect(stalled.mostOpen == 1)
            await checker.stop()
        }

        @Test("many more targets than are probed at once all get their verdict")
        func many() async throws {
            let good = try await FaultServer(.answer(ok))
            let checker = Checker { _ in }
            let adopted = Journal()
            let count = 1_000
            let targets = try (0..<count).map { id in
                try target(id, good, settings: "interval: 1h, timeout: 10s")
            }
            await checker.replace(
                targets, base: HealthTable(count: count), adopt: { adopted.add($0) })
            #expect(adopted.updates.first?.table == HealthTable(count: count, verdict: .up))
            // A few of the second probes lie early in their hour.
            #expect((count...count + 10).contains(good.connections))
            // 256 at once; the server may see their ends a little late.
            #expect(good.mostOpen <= 2 * 256, "\(good.mostOpen)")
            await checker.stop()
        }

        @Test("thousands of targets without a route end in their reason, at once")
        func noRoute() async throws {
            let checker = Checker { _ in }
            // No TCP connection to the broadcast address leaves the machine: connect itself fails.
            let address = try #require(IPAddress("255.255.255.255"))
            let monitor = try monitor("{type: tcp, port: 9, interval: 1h, timeout: 30s}")
            let targets = (0..<3_000).map { id in
                ProbeTarget(
                    id: id, pool: "p", origin: "\(id)", address: address, monitors: [monitor],
                    needed: 1)
            }
            await checker.replace(targets, base: HealthTable(count: 3_000))
            let states = await checker.states()
            // That there is no way from here says nothing about them: they stay as they were.
            #expect(states.allSatisfy { $0.standing.verdict == .unknown })
            let reasons = Set(states.compactMap { $0.monitors[0].health.last?.outcome.description })
            #expect(reasons == ["not probed: network is unreachable"])
            await checker.stop()
        }

        @Test("nothing is left of probes that ended: descriptors are given back")
        func descriptors() async throws {
            let server = try await FaultServer(.reset)
            let stalled = try await FaultServer(.stall)
            let checker = Checker { _ in }
            let settings = "interval: 100ms, timeout: 50ms"
            let targets = try (0..<40).map {
                try target($0, $0 % 2 == 0 ? server : stalled, settings: settings)
            }
            await checker.replace(targets, base: HealthTable(count: 40))
            let deadline = ContinuousClock.now + .seconds(8)
            var seen = 0
            while server.connections < 100 || seen == 0, .now < deadline {
                seen = max(seen, try openSockets(to: [stalled.port]))
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(server.connections >= 100 && seen > 0)
            await checker.replace([], base: HealthTable(count: 0))
            while try openSockets(to: [server.port, stalled.port]) > 0, .now < deadline {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(try openSockets(to: [server.port, stalled.port]) == 0)
            await checker.stop()
        }

        /// How many sockets to these ports some process has a descriptor of: other tests of this
        /// process open and close descriptors meanwhile.
        private func openSockets(to ports: Set<Int>) throws -> Int {
            let table = try readFile(path: "/proc/net/tcp", limit: 64 << 20)
            return String(decoding: table, as: UTF8.self).split(separator: "\n")
                .dropFirst().count { row in
                    let fields = row.split(separator: " ")
                    guard fields.count > 9, fields[9] != "0",
                        let port = fields[2].split(separator: ":").last
                    else { return false }
                    return ports.contains(Int(port, radix: 16) ?? 0)
                }
        }

        @Test("stop ends everything, also in the middle of probes and of a first round")
        func stopping() async throws {
            let stalled = try await FaultServer(.stall)
            let journal = Journal()
            let adopted = Journal()
            let checker = Checker { journal.add($0) }
            let targets = try (0..<300).map { id in
                try target(id, stalled, settings: "interval: 60s, timeout: 30s")
            }
            async let replaced: Void = checker.replace(
                targets, base: HealthTable(count: 300), adopt: { adopted.add($0) })
            while stalled.openNow == 0 { try await Task.sleep(for: .milliseconds(5)) }
            let start = ContinuousClock.now
            await checker.stop()
            await replaced
            #expect(ContinuousClock.now - start < .seconds(2))
            // The server may be late with connections that the kernel had accepted for it; of the probes
            // that waited for their turn none begins any more.
            let deadline = ContinuousClock.now + .seconds(5)
            var accepted = -1
            while stalled.connections != accepted, .now < deadline {
                accepted = stalled.connections
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(accepted < targets.count)
            #expect(journal.updates.isEmpty && adopted.updates.isEmpty)
            await stalled.stop()
        }
    }
}
