import DNSWire
import NIOCore
import NIOPosix
import Steering
import Synchronization
import Testing

@testable import Health

extension Alone {
    struct PushTests {
        /// All updates, in their order.
        private final class Journal: Sendable {
            private let all = Mutex<[HealthUpdate]>([])

            func add(_ update: HealthUpdate) { all.withLock { $0.append(update) } }

            /// Waits until there are so many transitions.
            func reasons(_ count: Int) async throws -> [String] {
                for _ in 0..<1_000 {
                    let flips = all.withLock { $0.flatMap(\.transitions) }
                    if flips.count >= count {
                        return flips.map { "\($0.key) \($0.from) \($0.to) \($0.reason)" }
                    }
                    try await Task.sleep(for: .milliseconds(10))
                }
                return ["not \(count) of them"]
            }
        }

        private func targets(_ yaml: String) throws -> [ProbeTarget] {
            try ["192.0.2.1", "2001:db8::1"].enumerated().map { id, text in
                ProbeTarget(
                    id: id, pool: "pool", origin: "origin", address: try #require(IPAddress(text)),
                    monitors: [try monitor(yaml).bound(toOrigin: "pool/origin")], needed: 1)
            }
        }

        @Test("a report flips the verdicts it is about at once, an address before its origin")
        func atOnce() async throws {
            let journal = Journal()
            let checker = Checker { journal.add($0) }
            // Long intervals: what comes does not come by them.
            await checker.replace(
                try targets("{type: push, interval: 1h}"), base: HealthTable(count: 2),
                adopt: { journal.add($0) })
            #expect(await checker.report("pool/origin", isUp: true, reason: "") == 2)
            #expect(
                try await journal.reasons(2) == [
                    "pool/origin/192.0.2.1 unknown up reported up",
                    "pool/origin/2001:db8::1 unknown up reported up",
                ])
            let address = "pool/origin/2001:DB8:0::1"
            #expect(await checker.report(address, isUp: false, reason: "disk\nfull") == 1)
            #expect(
                try await journal.reasons(3).last
                    == "pool/origin/2001:db8::1 up down status: reported down: disk full")
            #expect(await checker.report("pool/origin", isUp: false, reason: "") == 2)
            #expect(
                try await journal.reasons(4).last
                    == "pool/origin/192.0.2.1 up down status: reported down")
            #expect(await checker.report("pool/origin", isUp: true, reason: "") == 2)
            #expect(
                try await journal.reasons(5).last == "pool/origin/192.0.2.1 down up reported up")
            for name in ["", "pool", "pool/other", "pool/origin/192.0.2.9", "pool/origin/x"] {
                #expect(await checker.report(name, isUp: true, reason: "") == 0, "\(name)")
            }
            await checker.stop()
            #expect(await checker.report("pool/origin", isUp: true, reason: "") == 0)
        }

        @Test("a report counts at every interval, as rise and fall say, until it is old")
        func counts() async throws {
            let journal = Journal()
            let checker = Checker { journal.add($0) }
            let yaml = "{type: push, interval: 100ms, max_age: 1s, stale: down, rise: 2, fall: 2}"
            await checker.replace(try targets(yaml), base: HealthTable(count: 2))
            let first = "pool/origin/192.0.2.1"
            #expect(await checker.report(first, isUp: true, reason: "ok") == 1)
            let reasons = try await journal.reasons(2).filter { $0.hasPrefix(first) }
            #expect(reasons.first == "\(first) down up reported up: ok")
            #expect(
                reasons.last?.hasPrefix("\(first) up down status: last reported 1s ago") == true,
                "\(reasons)")
            await checker.stop()
        }

        @Test("reports at a high rate do not put the next look off")
        func rhythm() async throws {
            let journal = Journal()
            let checker = Checker { journal.add($0) }
            let yaml = "{type: push, interval: 200ms, max_age: 1s, stale: down}"
            await checker.replace(try targets(yaml), base: HealthTable(count: 2))
            for _ in 0..<200 { _ = await checker.report("pool/origin", isUp: true, reason: "") }
            // After the last one, age makes them down within a second and two intervals; with a
            // look put off by each, it would take 40 seconds.
            #expect(try await journal.reasons(4).count == 4)
            await checker.stop()
        }

        @Test("without a report nothing is said, and a reload forgets what nobody asks for")
        func none() async throws {
            let checker = Checker { _ in }
            await checker.replace(
                try targets("{type: push, interval: 1h}"), base: HealthTable(count: 2))
            let states = await checker.states()
            #expect(
                states.map { $0.monitors[0].health.last?.outcome.description } == [
                    "not probed: nothing is reported", "not probed: nothing is reported",
                ])
            await checker.replace([], base: HealthTable(count: 0))
            #expect(await checker.report("pool/origin", isUp: true, reason: "") == 0)
            await checker.stop()
            let store = ReportStore()
            for number in 0..<1_000 {
                store.take("p/\(number)", isUp: true, reason: "") { $0 == "p/0" }
            }
            #expect((0..<1_000).count { store["p/\($0)"] != nil } <= 64)
        }

        @Test("what a monitor of type push leaves out has the documented default")
        func defaults() throws {
            let push = try monitor("{type: push}")
            #expect(push.rules.rise == 1 && push.rules.fall == 1 && push.port == nil)
            let probe = try #require(push.probe as? PushProbe)
            #expect(probe.staleness.maximumAge == .seconds(300) && !probe.staleness.isFailure)
        }
    }
}
