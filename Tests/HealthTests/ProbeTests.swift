import DNSWire
import NIOCore
import NIOHTTP1
import Testing

@testable import Health

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/// Which outcome, as the texts that status and logs show.
private func outcome(
    _ yaml: String, against behaviour: FaultServer.Behaviour
) async throws -> (text: String, duration: Duration, whole: Duration) {
    let server = try await FaultServer(behaviour)
    let keys = yaml.contains("timeout") ? yaml : yaml + ", timeout: 2s"
    let result = try await probe(monitor("{\(keys), port: \(server.port)}"))
    await server.stop()
    return (result.outcome.description, result.duration, result.whole)
}

extension Alone {
    struct HTTPProbeTests {
        @Test(
            "an http probe says what it saw",
            arguments: [
                ("", ok, "status 200"),
                ("", "HTTP/1.0 204 No Content\r\n\r\n", "status 204"),
                ("", "HTTP/1.1 503 Busy\r\n\r\n", "status: 503, expected 200-299"),
                ("", "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "status: 301, expected 200-299"),
                (
                    "expect: {status: [200, 301]}",
                    "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
                    "status 301"
                ),
                (
                    "expect: {status: [200, 300-399]}", "HTTP/1.1 404 No\r\n\r\n",
                    "status: 404, expected 200, 300-399"
                ),
                // Interim responses come before the answer.
                ("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok, "status 200"),
                ("expect: {body: ok}", ok, "status 200, body has \"ok\""),
                (
                    "expect: {body: ok}", "HTTP/1.1 200 OK\r\n\r\nall is ok",
                    "status 200, body has \"ok\""
                ),
                (
                    "expect: {body: ok}",
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
                    "status 200, body has \"ok\""
                ),
                ("expect: {body: fine}", ok, "body: \"fine\" not in the 2 octets of it"),
                // Digits before the text are text, and no weight or status.
                (
                    "expect: {body: ok}", "HTTP/1.1 200 OK\r\n\r\n0 busy, ok",
                    "status 200, body has \"ok\""
                ),
                (
                    "expect: {body: ok}", "HTTP/1.1 200 OK\r\n\r\n200",
                    "body: \"ok\" not in the 3 octets of it"
                ),
                (
                    "expect: {body: ok}", "HTTP/1.1 204 No Content\r\n\r\n",
                    "body: \"ok\" not in the 0 octets of it"
                ),
                (
                    "expect: {body: ok}", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno",
                    "body: connection closed by the origin before a whole response"
                ),
                (
                    "expect: {body: ok}",
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    "body: malformed HTTP response, a bad chunk size"
                ),
                (
                    "expect: {body: \"all\\nis well and so is everything else that matters\"}", ok,
                    "body: \"all is well and so is everything else th…\" not in the 2 octets of it"
                ),
                ("method: HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "status 200"),
                (
                    "", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                    "status: malformed HTTP response, a bad Content-Length"
                ),
                ("", "220 mail.test ESMTP\r\n", "status: the response is not HTTP/1"),
                ("", "HTTP/3.1 200 OK\r\n\r\n", "status: the response is not HTTP/1"),
                (
                    "", "HTTP/1.1 200 OK\r\nA: \(String(repeating: "x", count: 20_000))\r\n\r\n",
                    "status: headers of more than 16384 octets"
                ),
                (
                    "", "HTTP/1.1 200 OK\r\nA",
                    "status: connection closed by the origin before a whole response"
                ),
            ])
        func responses(keys: String, response: String, expected: String) async throws {
            let yaml = keys.isEmpty ? "type: http" : "type: http, \(keys)"
            #expect(try await outcome(yaml, against: .answer(response)).text == expected)
        }

        @Test(
            "the request is what a server needs: Host with the port, and the end of the connection")
        func request() throws {
            let named = try monitor("{type: http, host: a.test, path: /z?q=1, port: 8080}").probe
            let head = try #require(named as? HTTPProbe).exchange.request(for: "192.0.2.1")
            #expect(head.uri == "/z?q=1" && head.method == .GET && head.version == .http1_1)
            #expect(head.headers["Host"] == ["a.test:8080"])
            #expect(head.headers["Connection"] == ["close"])
            let plain = try #require(try monitor("{type: http}").probe as? HTTPProbe).exchange
            #expect(plain.authority(for: "127.0.0.1") == "127.0.0.1")
            #expect(plain.authority(for: "2001:db8::1") == "[2001:db8::1]")
            #expect(plain.authority(for: "eu.lb.test") == "eu.lb.test")
        }

        @Test("text over the border of two pieces is found, text after 64 KiB is not")
        func bodyBounds() async throws {
            let head = "HTTP/1.1 200 OK\r\n\r\n"
            let split = try await outcome(
                "type: http, expect: {body: needle}",
                against: .drip(head + "xxneedle", every: .microseconds(200)))
            #expect(split.text == "status 200, body has \"needle\"")
            let filler = String(repeating: "x", count: 65_536)
            let late = try await outcome(
                "type: http, expect: {body: needle}", against: .answer(head + filler + "needle"))
            #expect(late.text == "body: \"needle\" not in the first 65536 octets")
            let last = try await outcome(
                "type: http, expect: {body: needle}",
                against: .answer(head + filler.dropLast(6) + "needle" + filler))
            #expect(last.text == "status 200, body has \"needle\"")
        }

        @Test("real servers pass: Python's http.server")
        func python() async throws {
            let directory = try TemporaryDirectory()
            try directory.write("all is well", to: "healthz")
            let server = try ServerProgram(
                ["python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
                in: directory.path,
                portAfter: "port ")
            defer { server.stop() }
            let good = "{type: http, path: /healthz, port: \(server.port), expect: {body: well}}"
            #expect(
                try await probe(monitor(good)).outcome.description
                    == "status 200, body has \"well\"")
            let bad = "{type: http, path: /nothing, port: \(server.port)}"
            #expect(
                try await probe(monitor(bad)).outcome.description == "status: 404, expected 200-299"
            )
        }
    }
}

extension Alone {
    /// What every probe that makes a connection has to do, whatever the other side does.
    struct ProbeConformanceTests {
        private static let all = ["tcp", "http", "https, insecure: true"]
        private static let talking = ["http", "https, insecure: true"]

        @Test("a closed port fails at connect, at once", arguments: all)
        func refused(type: String) async throws {
            let server = try await FaultServer(.stall)
            await server.stop()
            let result = try await probe(monitor("{type: \(type), port: \(server.port)}"))
            #expect(result.outcome == .failed(.connect, "connection refused"))
            #expect(result.duration < .seconds(1))
        }

        @Test("an address that does not answer times out while connecting", arguments: all)
        func blackhole(type: String) async throws {
            // A listener whose queue is full drops what comes: connecting stalls.
            let full = try FullListener()
            let yaml = "{type: \(type), port: \(full.port), timeout: 200ms}"
            let result = try await probe(monitor(yaml))
            #expect(result.outcome == .failed(.connect, "timeout after 200ms while connecting"))
            #expect(result.whole < .milliseconds(1_200))
        }

        @Test("accept and close ends in a reason, at once", arguments: talking)
        func acceptAndClose(type: String) async throws {
            let result = try await outcome("type: \(type)", against: .close)
            // Where the request was under way already, closing resets.
            #expect(
                result.text.contains("connection closed by the origin")
                    || result.text.contains("connection reset by peer"), "\(result.text)")
            #expect(result.duration < .seconds(1))
        }

        @Test("a reset ends in a reason, at once", arguments: talking)
        func reset(type: String) async throws {
            for behaviour in [FaultServer.Behaviour.reset, .resetOnRequest] {
                let result = try await outcome("type: \(type)", against: behaviour)
                // What the kernel tells of a reset depends on whether a read was under way.
                #expect(
                    result.text.contains("connection reset by peer")
                        || result.text.contains("connection closed by the origin"),
                    "\(result.text)")
                #expect(result.duration < .seconds(1))
            }
        }

        @Test(
            "a stall ends at the deadline, in the step it is in",
            arguments: zip(
                talking,
                [
                    "status: timeout after 150ms while waiting for the status",
                    "handshake: timeout after 150ms while in the TLS handshake",
                ]))
        func stall(type: String, expected: String) async throws {
            let result = try await outcome("type: \(type), timeout: 150ms", against: .stall)
            #expect(result.text == expected)
            #expect(result.whole >= .milliseconds(150) && result.whole < .milliseconds(1_000))
        }

        @Test("dripping octets do not extend the deadline", arguments: talking)
        func drip(type: String) async throws {
            let text = String(repeating: "HTTP/1.1 200 OK\r\nA: b", count: 100)
            let result = try await outcome(
                "type: \(type), timeout: 150ms", against: .drip(text, every: .milliseconds(20)))
            #expect(!result.text.hasPrefix("status 200"))
            #expect(result.whole < .milliseconds(1_000))
        }

        @Test(
            "an endless response ends in a reason",
            arguments: zip(
                [
                    ("", "HTTP/1.1 200 OK\r\n"),
                    ("", "HTTP/1.1 100 Continue\r\n\r\n"),
                    (", expect: {body: ok}", "HTTP/1.1 200 OK\r\n\r\n"),
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
                    (
                        "1;\(String(repeating: "e", count: 30))\r\nx\r\n",
                        "body: more than 1048576 octets and no end"
                    ),
                    (
                        String(repeating: "O", count: 64),
                        "status: more than 1048576 octets and no end"
                    ),
                ]))
        func endless(setup: (String, String), ending: (String, String)) async throws {
            let piece = String(repeating: ending.0, count: 50)
            let result = try await outcome(
                "type: http\(setup.0)", against: .endless(setup.1, piece))
            #expect(result.text == ending.1)
            #expect(result.whole < .milliseconds(2_500))
        }

        @Test("a probe leaves without a reset, also from what it did not read to the end")
        func noReset() async throws {
            let long = ok + String(repeating: "x", count: 20_000)
            for (yaml, behaviour) in [
                ("type: tcp", FaultServer.Behaviour.stall), ("type: http", .answerAndHold(ok)),
                ("type: http", .answer(long)),
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
            let server = try await FaultServer(.answer(ok), host: "::1")
            let result = try await probe(
                monitor("{type: \(type), port: \(server.port)}"), address: "::1")
            guard case .passed = result.outcome else {
                Issue.record("\(result.outcome)")
                return
            }
            await server.stop()
        }
    }
}
