// Events as text: lines of the log, JSON, and what origins say in them.

import DNSWire
import Foundation
import Steering
import Testing

@testable import Health

@Suite("Events")
struct EventTests {
    static let time = Timestamp(nanoseconds: 1_795_352_602_000_000_000)

    private static let lines: [(Event, String)] = [
        (
            Event(
                .originDown, .address(pool: "frankfurt", origin: "fra-1", address: "192.0.2.1"),
                from: .up, to: .down, step: .connect, reason: "connect: connection refused",
                duration: .milliseconds(2_001), time: time),
            """
            frankfurt/fra-1/192.0.2.1 up -> down: connect: connection refused event=origin_down \
            pool=frankfurt origin=fra-1 address=192.0.2.1 from=up to=down step=connect \
            reason="connection refused" duration=2.001s
            """
        ),
        (
            Event(
                .poolDown, .pool("tokyo"), from: .degraded, to: .down,
                reason: "0 of 1 origin up, min_healthy 1", time: time),
            """
            pool tokyo degraded -> down: 0 of 1 origin up, min_healthy 1 event=pool_down pool=tokyo \
            from=degraded to=down reason="0 of 1 origin up, min_healthy 1"
            """
        ),
        (
            Event(
                .serviceUp, .rule(service: "web", 2), from: .down, to: .up, reason: "ok", time: time
            ),
            """
            service web, rule 2 down -> up: ok event=service_up service=web rule=2 from=down to=up \
            reason=ok
            """
        ),
        (
            Event(.isolationEntered, .checker, reason: "", time: time),
            #"checker:  event=isolation_entered reason="""#
        ),
        (
            Event(.overrideSet, .override("a/*"), to: .drained, reason: #"k="v" \"#, time: time),
            #"override a/* -> drained: k="v" \ event=override_set pattern=a/* to=drained "#
                + #"reason="k=\"v\" \\""#
        ),
    ]

    @Test(
        "a line of the log has a sentence and fields in a fixed order, quoted where they have to be",
        arguments: lines)
    func line(event: Event, line: String) {
        #expect(event.logLine == line)
    }

    private struct Document: Decodable, Equatable {
        var version: Int
        var id: String
        var time: String
        var server: String
        var event: String
        var pool: String?
        var origin: String?
        var address: String?
        var service: String?
        var rule: Int?
        var from: String?
        var to: String?
        var step: String?
        var reason: String
        var duration: Double?
        var text: String
        var `repeat`: Int?
        var dropped: Int?
    }

    @Test("JSON says the same, with numbers as numbers")
    func json() throws {
        var event = Event(
            .originDown, .address(pool: "p", origin: "o", address: "::1"), from: .up, to: .down,
            step: .body, reason: "body: \"ok\" not in it", duration: .milliseconds(45),
            time: Self.time)
        event.id = "x-1"
        let octets = event.json(server: "a\"b", repetition: 2, dropped: 3)
        #expect(octets.last == 10)
        let document = try JSONDecoder().decode(Document.self, from: Data(octets))
        #expect(
            document
                == Document(
                    version: 1, id: "x-1", time: "2026-11-22T13:03:22Z", server: "a\"b",
                    event: "origin_down", pool: "p", origin: "o", address: "::1", from: "up",
                    to: "down", step: "body", reason: "\"ok\" not in it", duration: 0.045,
                    text: "p/o/::1 up -> down: body: \"ok\" not in it", repeat: 2, dropped: 3))
        let rule = Event(.serviceDown, .rule(service: "s", 7), reason: "r", time: Self.time)
        let second = try JSONDecoder().decode(Document.self, from: Data(rule.json(server: "")))
        #expect(second.rule == 7)
        #expect(second.repeat == nil && second.dropped == nil && second.duration == nil)
    }

    @Test("whatever an origin says stays in one line of text that JSON and a terminal can bear")
    func hostile() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let scalars = (0..<Int.random(in: 0...600)).compactMap { _ in
                Unicode.Scalar(
                    UInt32.random(in: Bool.random() ? 0...0x9F : 0x2000...0x2070, using: &random))
            }
            let reason = String(String.UnicodeScalarView(scalars))
            let event = Event(
                .originDown, .address(pool: "p", origin: "o", address: "a"), from: .up, to: .down,
                step: .status, reason: reason, time: Self.time)
            let bad = { (scalar: Unicode.Scalar) in
                scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
                    || (0x2028...0x202E).contains(scalar.value)
            }
            #expect(!event.logLine.unicodeScalars.contains(where: bad))
            #expect(event.logLine.unicodeScalars.count < 2_000)
            _ = try JSONDecoder().decode(Document.self, from: Data(event.json(server: "s")))
        }
    }
}
