// Deliveries to real receivers on loopback: Python's HTTP server, openssl's TLS, programs, and servers that
// fail in every way.

import DNSWire
import Foundation
import NIOCore
import Settings
import Steering
import Synchronization
import Testing

@testable import Health

/// A receiver that writes down what it gets, and answers with the statuses of a file, one after the other.
private final class Receiver {
    let directory: TemporaryDirectory
    let server: ServerProgram

    init(statuses: [String] = []) throws {
        directory = try TemporaryDirectory()
        try directory.write(statuses.joined(separator: "\n"), to: "statuses")
        try directory.write(
            """
            import http.server, json, sys
            statuses = open("statuses").read().split()
            class Handler(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def do_POST(self):
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                    with open("log", "ab") as log:
                        log.write(json.dumps({"path": self.path, "headers": dict(self.headers),
                                              "body": json.loads(body)}).encode() + b"\\n")
                    status = int(statuses.pop(0)) if statuses else 204
                    self.send_response(status)
                    if status == 301: self.send_header("Location", "http://127.0.0.1/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                def log_message(self, *arguments): pass
            server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
            print("PORT", server.server_port, "", flush=True)
            server.serve_forever()
            """, to: "receiver.py")
        server = try ServerProgram(
            ["python3", "receiver.py"], in: directory.path, portAfter: "PORT ")
    }

    struct Request: Decodable {
        struct Body: Decodable {
            var id: String
            var event: String
            var pool: String?
            var server: String
            var dropped: Int?
        }
        var path: String
        var headers: [String: String]
        var body: Body
    }

    /// What it got so far.
    var requests: [Request] {
        let lines = (try? directory.read("log")) ?? []
        return lines.split(separator: 10).compactMap {
            try? JSONDecoder().decode(Request.self, from: Data($0))
        }
    }

    func requests(_ count: Int) async throws -> [Request] {
        try await eventually { requests.count >= count ? requests : nil }
    }
}

/// Waits until there is something; the machine may be busy.
private func eventually<Value>(_ look: () -> Value?) async throws -> Value {
    for _ in 0..<3_000 {
        if let value = look() { return value }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw ProgramError(description: "not within 30 s")
}

/// A center with one sink, and what it said.
private final class Told: Sendable {
    let center: EventCenter
    private let said = Mutex<[String]>([])

    init(
        _ sink: String, lookUp: @escaping HostResolver.LookUp = HostResolver.ofOperators
    ) throws {
        let (sinks, findings) = EventSettingsTests.read("[{\(sink)}]")
        guard sinks.count == 1 else { throw ProgramError(description: findings) }
        let box = Mutex<Told?>(nil)
        let relay = Relay(box)
        center = EventCenter(server: "dns-1", lookUp: lookUp) { relay.tell($0) }
        relay.box.withLock { $0 = self }
        center.replace(sinks) { _ in true }
    }

    private final class Relay: Sendable {
        let box: Mutex<Told?>
        init(_ box: consuming Mutex<Told?>) { self.box = box }
        func tell(_ line: String) { box.withLock { $0 }?.said.withLock { $0.append(line) } }
        func end() { box.withLock { $0 = nil } }
    }

    var warnings: [String] { said.withLock { $0 } }

    func post(_ pool: String, _ to: Verdict = .down) {
        center.post([
            Event(
                to == .up ? .poolUp : .poolDown, .pool(pool), from: to == .up ? .down : .up, to: to,
                reason: "0 of 1 origin up")
        ])
    }

    func warning(_ text: String) async throws {
        _ = try await eventually { warnings.first { $0.contains(text) } }
    }
}

extension Alone {
    @Suite("Deliveries of events")
    struct EventDeliveryTests {
        @Test("a webhook gets each event in order, as JSON, with the fields that are wanted")
        func webhook() async throws {
            let receiver = try Receiver()
            let told = try Told(
                "webhook: \"http://127.0.0.1:\(receiver.server.port)/hook?k=v\", headers: {X-Key: secret}"
            )
            for number in 0..<20 { told.post("p\(number)") }
            let requests = try await receiver.requests(20)
            #expect(requests.map(\.body.pool) == (0..<20).map { "p\($0)" })
            let first = try #require(requests.first)
            #expect(first.path == "/hook?k=v")
            #expect(first.headers["Content-Type"] == "application/json")
            #expect(first.headers["X-Key"] == "secret")
            #expect(first.headers["Host"] == "127.0.0.1:\(receiver.server.port)")
            #expect(first.body.event == "pool_down")
            #expect(first.body.server == "dns-1")
            #expect(Set(requests.map(\.body.id)).count == 20)
            #expect(told.warnings == [])
            await told.center.stop()
            receiver.server.stop()
        }

        @Test("a host is looked up")
        func host() async throws {
            let receiver = try Receiver()
            let told = try Told("webhook: \"http://localhost:\(receiver.server.port)/\"")
            told.post("a")
            told.post("b")
            let requests = try await receiver.requests(2)
            #expect(requests.first?.headers["Host"] == "localhost:\(receiver.server.port)")
            await told.center.stop()
            receiver.server.stop()
        }

        @Test("a host is tried at all of its addresses, one after the other, within one delivery")
        func addresses() async throws {
            let receiver = try Receiver()
            let told = try Told("webhook: \"http://hook.test:\(receiver.server.port)/\"") { _ in
                .success(["127.0.0.99", "127.0.0.1"].compactMap { IPAddress($0) })
            }
            told.post("a")
            let requests = try await receiver.requests(1)
            #expect(requests.first?.headers["Host"] == "hook.test:\(receiver.server.port)")
            #expect(told.warnings == [])
            await told.center.stop()
            receiver.server.stop()
        }

        @Test("a host that cannot be looked up is tried again later, also where the resolver hangs")
        func lookUpFails() async throws {
            let sink = "webhook: \"http://hook.test/\", timeout: 200ms"
            let unknown = try Told(sink) {
                .failure(ResolverFault(description: "\($0) has no address"))
            }
            unknown.post("a")
            try await unknown.warning("tried again: resolve: hook.test has no address")
            await unknown.center.stop()
            let hanging = try Told(sink) { _ in
                sleep(2)
                return .success([])
            }
            hanging.post("a")
            try await hanging.warning("resolve: timeout after 200ms while resolving the host")
            await hanging.center.stop()
        }

        @Test(
            "500, 408 and 429 are tried again with the same id; then what waited follows in order")
        func retried() async throws {
            let receiver = try Receiver(statuses: ["500", "429"])
            let told = try Told("webhook: \"http://127.0.0.1:\(receiver.server.port)/\"")
            told.post("a")
            told.post("b")
            let requests = try await receiver.requests(4)
            #expect(requests.map(\.body.pool) == ["a", "a", "a", "b"])
            #expect(Set(requests.prefix(3).map(\.body.id)).count == 1)
            try await told.warning("not delivered, and will be tried again: status: 500")
            try await told.warning("delivered again, after 2 failures")
            await told.center.stop()
            receiver.server.stop()
        }

        @Test(
            "4xx and redirects are given up, and the next event is told",
            arguments: ["403", "410", "301"])
        func refused(status: String) async throws {
            let receiver = try Receiver(statuses: [status])
            let told = try Told("webhook: \"http://127.0.0.1:\(receiver.server.port)/\"")
            told.post("a")
            told.post("b")
            let requests = try await receiver.requests(2)
            #expect(requests.map(\.body.pool) == ["a", "b"])
            try await told.warning("gave up on pool_down of pool a: status: \(status)")
            if status == "301" {
                try await told.warning("to \"http://127.0.0.1/elsewhere\"; write that URL")
            }
            await told.center.stop()
            receiver.server.stop()
        }

        @Test(
            "a receiver that fails in whatever way costs a try, and no more",
            arguments: [
                (.close, "will be tried again: status: "),
                // Seen while connecting, writing or reading, each in words of its own.
                (.reset, "will be tried again: "),
                (.resetOnRequest, "reset"),
                (.stall, "timeout after 200ms while waiting for the status"),
                (.answer("garbage\r\n\r\n"), "not HTTP/1"),
                (.drip("HTTP/1.1 200 OK\r\n\r\n", every: .milliseconds(50)), "timeout after 200ms"),
                (.endless("HTTP/1.1 500 No\r\n", "X: y\r\n"), "headers of more than"),
                (.endless("HTTP/1.1 503 No\r\n\r\n", "endless body"), "status: 503"),
            ] as [(FaultServer.Behaviour, String)])
        func faults(behaviour: FaultServer.Behaviour, words: String) async throws {
            let server = try await FaultServer(behaviour)
            let told = try Told("webhook: \"http://127.0.0.1:\(server.port)/\", timeout: 200ms")
            told.post("a")
            told.post("b")
            try await told.warning(words)
            // It recovers, and nothing was lost.
            server.behaviour = .answer("HTTP/1.1 204 No Content\r\n\r\n")
            try await told.warning("delivered again")
            await told.center.stop()
            await server.stop()
        }

        @Test("an endless body behind a good status is a delivery")
        func endless() async throws {
            let server = try await FaultServer(.endless("HTTP/1.1 200 OK\r\n\r\n", "more"))
            let told = try Told("webhook: \"http://127.0.0.1:\(server.port)/\"")
            told.post("a")
            told.post("b")
            _ = try await eventually { server.connections >= 2 ? true : nil }
            #expect(told.warnings == [])
            await told.center.stop()
            await server.stop()
        }

        @Test("TLS is verified, for the host of the URL, unless that is switched off")
        func tls() async throws {
            let certificates = try Certificates()
            let server = try certificates.server("good")
            let url = "webhook: \"https://127.0.0.1:\(server.port)/\""
            // It answers 200 to GET alone, and closes upon a POST: what matters is how far it gets.
            for (keys, words) in [
                ("", "handshake: "),
                (", ca_file: \(certificates.directory.path)/other-ca.pem", "handshake: "),
                (", ca_file: \(certificates.directory.path)/ca.pem", "status: "),
                (", insecure: true", "status: "),
            ] {
                let told = try Told(url + keys + ", timeout: 5s")
                told.post("a")
                try await told.warning("tried again: \(words)")
                await told.center.stop()
            }
            server.stop()
        }

        @Test("a program gets the JSON on its standard input and the gist in its environment")
        func command() async throws {
            let directory = try TemporaryDirectory()
            let file = "\(directory.path)/got"
            let told = try Told(
                "command: [/bin/sh, -c, 'cat > \(file).part; env | grep ^RHUMB >> \(file).part; mv \(file).part \(file)']"
            )
            told.post("a")
            let text = try await eventually {
                (try? directory.read("got")).map { String(decoding: $0, as: UTF8.self) }
            }
            #expect(text.contains("\"event\":\"pool_down\",\"pool\":\"a\""))
            #expect(text.contains("RHUMB_EVENT=pool_down\n"))
            #expect(text.contains("RHUMB_SUBJECT=pool a\n"))
            #expect(text.contains("RHUMB_TEXT=pool a up -> down: 0 of 1 origin up\n"))
            await told.center.stop()
        }

        @Test(
            "a program may ask for another try by 75; other ends are given up; its time is limited")
        func commandEnds() async throws {
            let directory = try TemporaryDirectory()
            let mark = "\(directory.path)/mark"
            for (script, words) in [
                ("exit 1", "gave up on pool_down of pool a: status: exit status 1"),
                ("echo sorry; exit 3", "exit status 3: sorry"),
                (
                    "test -e \(mark) || { touch \(mark); exit 75; }",
                    "delivered again, after 1 failure"
                ),
                ("sleep 60", "tried again: status: timeout after 200ms while running /bin/sh"),
                ("kill -9 $$", "tried again: status: killed by signal 9"),
            ] {
                let told = try Told("command: [/bin/sh, -c, '\(script)'], timeout: 200ms")
                told.post("a")
                try await told.warning(words)
                await told.center.stop()
            }
        }

        @Test("a delay, and its end, are kept by the clock")
        func delay() async throws {
            let receiver = try Receiver()
            let told = try Told(
                "webhook: \"http://127.0.0.1:\(receiver.server.port)/\", delay: 300ms")
            told.post("short")
            told.post("long")
            told.post("short", .up)
            let requests = try await receiver.requests(1)
            #expect(requests.map(\.body.pool) == ["long"])
            await told.center.stop()
            receiver.server.stop()
        }

        @Test(
            "a sink that is as before keeps what waits for it over a reload; another's is lost, and counted"
        )
        func reloaded() async throws {
            let server = try await FaultServer(.close)
            let sink = "webhook: \"http://127.0.0.1:\(server.port)/\""
            let told = try Told(sink)
            told.post("a")
            try await told.warning("tried again")
            told.center.replace(EventSettingsTests.read("[{\(sink)}]").sinks) { _ in true }
            server.behaviour = .answer("HTTP/1.1 204 No Content\r\n\r\n")
            try await told.warning("delivered again, after")
            server.behaviour = .close
            told.post("b")
            try await told.warning("tried again")
            told.center.replace([]) { _ in true }
            try await told.warning("webhook 127.0.0.1: 1 not delivered")
            await told.center.stop()
            await server.stop()
        }
    }
}
