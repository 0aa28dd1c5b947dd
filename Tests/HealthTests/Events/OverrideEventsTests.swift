// What operators do, as events.

import Geo
import Settings
import Steering
import Testing

@testable import Health

@Suite("Events of overrides")
struct OverrideEventsTests {
    /// What a step tells, as `set tokyo nil drained`.
    private func told(_ old: OperatorOverrides, _ new: OperatorOverrides, by name: String?)
        -> [String]
    {
        new.events(since: old, by: name, at: EventTests.time).map { event in
            let kind = event.kind.rawValue.dropFirst("override_".count)
            let ends = [event.from, event.to].map { $0.map { "\($0)" } ?? "-" }
            return
                "\(kind) \(event.subject.description.dropFirst("override ".count)) \(ends[0]) \(ends[1])"
                + " \(event.reason)"
        }
    }

    @Test("what is said, said otherwise, cleared, cleared in part, and over is told, once")
    func words() throws {
        let text = """
            pools:
              tokyo: { origins: { nrt-1: { addresses: 192.0.2.1 }, nrt-2: { addresses: 192.0.2.2 } } }
            services: { web: { rules: [{ pools: [tokyo] }] } }
            """
        var diagnostics = Diagnostics()
        let configuration = try #require(
            SteeringConfiguration.parse(
                [PoolFile(name: "a", text: text)], diagnostics: &diagnostics))
        let addresses = try Steering(
            configuration, geography: Geography(database: nil, overrides: LocationOverrides())
        ).addresses
        var overrides = OperatorOverrides()
        func say(
            _ word: OperatorOverride.Word, _ pattern: String, until: Timestamp? = nil,
            reason: String? = nil
        ) throws -> [String] {
            let before = overrides
            try overrides.add(
                OperatorOverride(
                    word, AddressPattern(pattern), by: "alice", at: EventTests.time, until: until,
                    reason: reason),
                in: configuration, addresses: addresses)
            return told(before, overrides, by: "alice (uid 1)")
        }
        let soon = EventTests.time.advanced(by: .seconds(10))
        #expect(
            try say(.drain, "tokyo", until: soon, reason: "kernel")
                == ["set tokyo - drained by alice (uid 1), until 2026-11-22T13:03:32Z: kernel"])
        #expect(try say(.drain, "tokyo", until: soon, reason: "kernel") == [])
        #expect(
            try say(.down, "tokyo", until: soon) == [
                "set tokyo drained down by alice (uid 1), until 2026-11-22T13:03:32Z"
            ])
        #expect(
            try say(.clear, "tokyo/nrt-1") == ["cleared tokyo/nrt-1 - - cleared by alice (uid 1)"])
        #expect(try say(.up, "tokyo/nrt-2") == ["set tokyo/nrt-2 - up by alice (uid 1)"])
        let before = overrides
        #expect(!overrides.expire(at: soon).isEmpty)
        #expect(
            told(before, overrides, by: nil)
                == ["expired tokyo down - the time of what alice said is over"])
        #expect(try say(.clear, "tokyo") == ["cleared tokyo/nrt-2 up - cleared by alice (uid 1)"])
        #expect(overrides.all.isEmpty)
    }
}
