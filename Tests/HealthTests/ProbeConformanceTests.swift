// What every probe has to do, whatever the other side does: to it a row of `ProbeRow`.

import DNSWire
import NIOCore
import Testing

@testable import Health

/// With time for a busy machine, where the deadline is not to be what ends it.
private let patient = "interval: 30s, timeout: 20s"

/// A way to set a type of monitor, without its port.
struct ProbeRow: Sendable, CustomTestStringConvertible {
    /// What the other side has to do for it to pass.
    enum Kind { case accept, answer, speakFirst }

    var settings: String
    var kind: Kind
    /// The step that a stall after connecting is in, and what is said of it.
    var stall = ""

    var testDescription: String { settings }

    /// All types over streams.
    static let streams = [
        ProbeRow(settings: "tcp", kind: .accept),
        ProbeRow(settings: "tcp, send: a", kind: .accept),
        ProbeRow(
            settings: "tcp, send: a, expect: b", kind: .answer,
            stall: "body: timeout after 150ms while waiting for the answer"),
        ProbeRow(
            settings: "tcp, expect: b", kind: .speakFirst,
            stall: "body: timeout after 150ms while waiting for the answer"),
        ProbeRow(
            settings: "tls, insecure: true", kind: .answer,
            stall: "handshake: timeout after 150ms while in the TLS handshake"),
        ProbeRow(
            settings: "http", kind: .answer,
            stall: "status: timeout after 150ms while waiting for the status"),
        ProbeRow(
            settings: "http, method: POST, body: x, expect: {matches: ok}", kind: .answer,
            stall: "status: timeout after 150ms while waiting for the status"),
        ProbeRow(
            settings: "https, insecure: true", kind: .answer,
            stall: "handshake: timeout after 150ms while in the TLS handshake"),
        ProbeRow(
            settings: "websocket", kind: .answer,
            stall: "status: timeout after 150ms while waiting for the upgrade"),
        ProbeRow(
            settings: "websocket, tls: true, insecure: true", kind: .answer,
            stall: "handshake: timeout after 150ms while in the TLS handshake"),
        ProbeRow(
            settings: "dns, transport: tcp, name: a.test", kind: .answer,
            stall: "status: timeout after 150ms while waiting for the answer"),
        ProbeRow(
            settings: "grpc", kind: .answer,
            stall: "status: timeout after 150ms while waiting for the health of the service"),
        ProbeRow(
            settings: "smtp", kind: .speakFirst,
            stall: "status: timeout after 150ms while waiting for the banner"),
    ]

    static let talking = streams.filter { $0.kind != .accept }
    /// Types that ask no stream.
    static let others = ["command", "file", "push", "icmp"]
}

extension Alone {
    struct ProbeConformanceTests {
        @Test("every type of monitor is held to these tests")
        func complete() {
            let types = ProbeRow.streams.map { String($0.settings.prefix { $0 != "," }) }
            #expect(Set(types + ProbeRow.others) == Set(probeTypes.map { $0.type }))
        }

        @Test("a closed port fails at connect, at once", arguments: ProbeRow.streams)
        func refused(row: ProbeRow) async throws {
            let server = try await FaultServer(.stall)
            await server.stop()
            let result = try await probe(
                monitor("{type: \(row.settings), \(patient), port: \(server.port)}"))
            #expect(result.outcome == .failed(.connect, "connection refused"))
        }

        @Test(
            "an address that does not answer times out while connecting",
            arguments: ProbeRow.streams)
        func blackhole(row: ProbeRow) async throws {
            // A listener whose queue is full drops what comes: connecting stalls.
            let full = try FullListener()
            let yaml = "{type: \(row.settings), port: \(full.port), timeout: 200ms}"
            let result = try await probe(monitor(yaml))
            #expect(result.outcome == .failed(.connect, "timeout after 200ms while connecting"))
            #expect(result.whole < .seconds(10))
        }

        @Test("accept and close ends in a reason, at once", arguments: ProbeRow.talking)
        func acceptAndClose(row: ProbeRow) async throws {
            let result = try await outcome("type: \(row.settings), \(patient)", against: .close)
            // Where the request was under way already, closing resets.
            #expect(
                result.text.contains("connection closed by the origin")
                    || result.text.contains("connection reset by peer"), "\(result.text)")
        }

        @Test("a reset ends in a reason, at once", arguments: ProbeRow.talking)
        func reset(row: ProbeRow) async throws {
            for behaviour in [FaultServer.Behaviour.reset, .resetOnRequest] {
                let result = try await outcome(
                    "type: \(row.settings), \(patient)", against: behaviour,
                    speaksFirst: row.kind == .speakFirst)
                // What the kernel tells of a reset depends on whether a read was under way.
                #expect(
                    result.text.contains("connection reset by peer")
                        || result.text.contains("connection closed by the origin"),
                    "\(result.text)")
            }
        }

        @Test(
            "an answer that breaks off anywhere is a failure",
            arguments: [
                (
                    "type: http, expect: {body: ok}",
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\nok"
                ),
                (
                    "type: http, expect: {matches: 'ok$'}",
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                ),
                ("type: smtp", "220-a\r\n220 b\r\n250-c\r\n250 d\r\n"),
                ("type: tcp, expect: 'all of it'", "all of it"),
            ])
        func breaksOff(yaml: String, answer: String) async throws {
            let isGreeting = !yaml.contains("http")
            for count in 1..<answer.utf8.count {
                let result = try await outcome(
                    "\(yaml), \(patient)",
                    against: .answer(String(decoding: answer.utf8.prefix(count), as: UTF8.self)),
                    speaksFirst: isGreeting)
                // A pass has no step.
                #expect(result.text.contains(": "), "\(count): \(result.text)")
                #expect(!result.text.contains("timeout") && !result.text.contains("not probed"))
            }
        }

        @Test("a stall ends at the deadline, in the step it is in", arguments: ProbeRow.talking)
        func stall(row: ProbeRow) async throws {
            let result = try await outcome("type: \(row.settings), timeout: 150ms", against: .stall)
            #expect(result.text == row.stall)
            #expect(result.whole >= .milliseconds(150) && result.whole < .seconds(10))
        }

        @Test("dripping octets do not extend the deadline", arguments: ProbeRow.talking)
        func drip(row: ProbeRow) async throws {
            let text = String(repeating: "HTTP/1.1 200 OK\r\nA: x", count: 100)
            let result = try await outcome(
                "type: \(row.settings), timeout: 150ms",
                against: .drip(text, every: .milliseconds(20)), speaksFirst: row.kind == .speakFirst
            )
            #expect(result.text.contains(": "), "\(result.text)")
            #expect(result.whole < .seconds(10))
        }

        @Test("an answer without an end or a sense ends in a reason", arguments: ProbeRow.talking)
        func endless(row: ProbeRow) async throws {
            for piece in ["x", "\r\n", "HTTP/1.1 200 OK\r\n", "\u{0}", "220-x\r\n"] {
                let result = try await outcome(
                    "type: \(row.settings)",
                    against: .endless("", String(repeating: piece, count: 500)),
                    speaksFirst: row.kind == .speakFirst)
                #expect(result.text.contains(": "), "\(result.text)")
                #expect(result.whole < .seconds(15))
            }
        }

        @Test(
            "an endless HTTP response ends in a reason",
            arguments: zip(
                [
                    ("", "HTTP/1.1 200 OK\r\n"),
                    ("", "HTTP/1.1 100 Continue\r\n\r\n"),
                    (", expect: {body: ok}", "HTTP/1.1 200 OK\r\n\r\n"),
                    (", expect: {matches: '(o*k*)*!'}", "HTTP/1.1 200 OK\r\n\r\n"),
                    (
                        ", expect: {body: ok}",
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    ),
                    ("", "HTTP/1.1 200 "),
                ],
                [
                    ("A: b\r\n", "status: headers of more than 16384 octets"),
                    (
                        "HTTP/1.1 100 Continue\r\n\r\n",
                        "status: more than 1048576 octets and no end"
                    ),
                    ("xxxxxxxxxxxxxxxx", "body: \"ok\" not in the first 65536 octets"),
                    ("okokokokokokoko", "body: /(o*k*)*!/ not in the first 65536 octets"),
                    (
                        "1;\(String(repeating: "e", count: 30))\r\nx\r\n",
                        "body: more than 1048576 octets and no end"
                    ),
                    (
                        String(repeating: "O", count: 64),
                        "status: more than 1048576 octets and no end"
                    ),
                ]))
        func endlessHTTP(setup: (String, String), ending: (String, String)) async throws {
            let piece = String(repeating: ending.0, count: 50)
            // Not by the deadline: there is time for a busy machine and a debug build.
            let result = try await outcome(
                "type: http, interval: 30s, timeout: 20s\(setup.0)",
                against: .endless(setup.1, piece))
            #expect(result.text == ending.1)
        }

        @Test("a probe leaves without a reset, also from what it did not read to the end")
        func noReset() async throws {
            let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            let long = ok + String(repeating: "x", count: 20_000)
            for (yaml, behaviour) in [
                ("type: tcp", FaultServer.Behaviour.stall), ("type: http", .answerAndHold(ok)),
                ("type: tcp, send: a, expect: OK", .answer(long)), ("type: http", .answer(long)),
                ("type: http, expect: {body: o}", .answerAndHold(long)),
            ] {
                let server = try await FaultServer(behaviour)
                let result = try await probe(monitor("{\(yaml), port: \(server.port)}"))
                guard case .passed = result.outcome else {
                    Issue.record("\(result.outcome)")
                    continue
                }
                #expect(server.connections == 1 && server.resets == 0)
                await server.stop()
            }
        }

        @Test("IPv6 addresses are probed as well", arguments: ["tcp", "http"])
        func ipv6(type: String) async throws {
            let server = try await FaultServer(
                .answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), host: "::1")
            let result = try await probe(
                monitor("{type: \(type), port: \(server.port)}"), address: "::1")
            guard case .passed = result.outcome else {
                Issue.record("\(result.outcome)")
                return
            }
            await server.stop()
        }

        @Test("a probe comes from the source address of its family", arguments: ProbeRow.streams)
        func source(row: ProbeRow) async throws {
            let server = try await FaultServer(.close)
            let yaml = "{type: \(row.settings), port: \(server.port), source: [127.0.0.9, '::1']}"
            _ = try await probe(monitor(yaml))
            #expect(server.peers == ["127.0.0.9"])
            await server.stop()
        }

        @Test("a source that this machine does not have is no news about the origin")
        func foreignSource() async throws {
            let server = try await FaultServer(.stall)
            let yaml = "{type: tcp, port: \(server.port), source: 192.0.2.1}"
            #expect(
                try await probe(monitor(yaml)).outcome
                    == .inconclusive("this machine does not have the source 192.0.2.1"))
            await server.stop()
        }

        @Test("an address without a route from here is no news about the origin")
        func noRoute() async throws {
            let loopback = try #require(IPAddress("127.0.0.1"))
            #expect(hasRoute(to: loopback, from: nil))
            // Loopback addresses lead nowhere else: no packet leaves.
            let elsewhere = try #require(IPAddress("192.0.2.1"))
            #expect(!hasRoute(to: elsewhere, from: loopback))
            let result = try await probe(
                monitor("{type: tcp, port: 9, source: 127.0.0.1}"), address: "192.0.2.1")
            guard case .inconclusive = result.outcome else {
                Issue.record("\(result.outcome)")
                return
            }
        }
    }
}
