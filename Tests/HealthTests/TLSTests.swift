import Cryptography
import DNSWire
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Health

extension Alone {
    /// Against servers of OpenSSL and Python, with certificates made here.
    struct HTTPSProbeTests {
        private let certificates: Certificates

        init() throws { certificates = try Certificates() }

        private func text(_ settings: String, port: Int) async throws -> String {
            let yaml = "{type: https, \(settings), port: \(port)}"
            let file = "\(certificates.directory.path)/app.yaml"
            return try await probe(monitor(yaml, file: file)).outcome.description
        }

        @Test("a good certificate passes for its name and its address, and for no other")
        func names() async throws {
            let server = try certificates.server("good")
            defer { server.stop() }
            for (host, expected) in [
                ("good.test", "status 200"), ("127.0.0.1", "status 200"),
                ("GOOD.TEST", "status 200"),
                ("other.test", "handshake: hostname mismatch"),
                ("good.test.evil.test", "handshake: hostname mismatch"),
                ("127.0.0.2", "handshake: IP address mismatch"),
            ] {
                let found = try await text("host: \(host), ca_file: ca.pem", port: server.port)
                #expect(found == expected, "\(host)")
            }
        }

        @Test(
            "an expired, a self-signed and a foreign certificate fail in words; insecure takes them"
        )
        func failures() async throws {
            for (leaf, settings, expected) in [
                (
                    "expired", "host: good.test, ca_file: ca.pem",
                    "handshake: certificate has expired"
                ),
                (
                    "self-signed", "host: good.test, ca_file: ca.pem",
                    "handshake: self-signed certificate"
                ),
                (
                    "nameless", "host: good.test, ca_file: ca.pem", "handshake: hostname mismatch"
                ),
                ("good", "host: good.test", "handshake: unable to get local issuer certificate"),
                ("good", "host: good.test, ca_file: other-ca.pem", "certificate"),
            ] {
                let server = try certificates.server(leaf)
                defer { server.stop() }
                let found = try await text(settings, port: server.port)
                #expect(found.contains(expected), "\(leaf): \(found)")
                #expect(found.hasPrefix("handshake: "))
                #expect(try await text("insecure: true", port: server.port) == "status 200")
            }
        }

        @Test("the server hears the name, and the host header has it too")
        func serverName() async throws {
            // Two certificates: the server chooses by SNI and complains to the client if it is wrong.
            let server = try certificates.server(
                "expired",
                ["-www", "-servername", "good.test", "-servername_fatal"]
                    + ["-cert2", "good.pem", "-key2", "good.key"])
            defer { server.stop() }
            #expect(
                try await text("host: good.test, ca_file: ca.pem", port: server.port)
                    == "status 200")
            let wrong = try await text("host: bad.test, ca_file: ca.pem", port: server.port)
            #expect(wrong == "handshake: tlsv1 unrecognized name", "\(wrong)")
        }

        @Test("TLS 1.2 will do, 1.1 will not, and plain HTTP is told as such")
        func protocols() async throws {
            for (options, expected) in [
                (["-www", "-tls1_2"], "status 200"), (["-www", "-tls1_3"], "status 200"),
            ] {
                let server = try certificates.server("good", options)
                defer { server.stop() }
                let found = try await text("host: good.test, ca_file: ca.pem", port: server.port)
                #expect(found == expected, "\(options)")
            }
            let old = try certificates.server(
                "good", ["-www", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])
            defer { old.stop() }
            let refused = try await text("host: good.test, ca_file: ca.pem", port: old.port)
            #expect(refused == "handshake: tlsv1 alert protocol version", "\(refused)")
            let plain = try await FaultServer(.answer("HTTP/1.1 400 Bad Request\r\n\r\n"))
            let foreign = try await text("host: good.test, ca_file: ca.pem", port: plain.port)
            #expect(foreign.hasPrefix("handshake: the server does not speak TLS"), "\(foreign)")
            await plain.stop()
        }

        @Test("a body over TLS is read to what is expected, a stall within it ends")
        func body() async throws {
            try certificates.directory.write(
                String(repeating: "x", count: 50_000) + "well", to: "page")
            try certificates.directory.write(python, to: "server.py")
            let server = try ServerProgram(
                ["python3", "-u", "server.py"], in: certificates.directory.path, portAfter: "port ")
            defer { server.stop() }
            let base = "host: good.test, ca_file: ca.pem"
            #expect(
                try await text("\(base), path: /page, expect: {body: well}", port: server.port)
                    == "status 200, body has \"well\"")
            #expect(
                try await text("\(base), path: /page, expect: {body: ill}", port: server.port)
                    == "body: \"ill\" not in the 50004 octets of it")
            #expect(
                try await text("\(base), path: /none", port: server.port)
                    == "status: 404, expected 200-299")
        }

        private let python = """
            import http.server, ssl
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("good.pem", "good.key")
            server = http.server.ThreadingHTTPServer(
                ("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            print("port", server.server_address[1], flush=True)
            server.serve_forever()
            """
    }
}

extension Alone {
    struct TLSClientTests {
        @Test("random octets in place of a server's handshake end in an error, never in a trap")
        func hostileServer() throws {
            let context = try TLSContext(trust: .unverified)
            var random = Random(seed: 7)
            var failures = 0
            for round in 0..<2_000 {
                var client = try TLSClient(context, peer: nil)
                #expect(try client.handshake() == false)
                #expect(client.takeCiphertext().first == 22)
                // Half of them begin like a handshake record, to get past the first check.
                var octets = (0..<Int.random(in: 1...600, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                if round % 2 == 0 { octets = [22, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3] + octets }
                do {
                    client.feed(octets)
                    _ = try client.handshake()
                } catch {
                    failures += 1
                    #expect(!"\(error)".isEmpty)
                }
                client.close()
            }
            #expect(failures > 1_000)
        }

        @Test("a name that no certificate can be for is an error")
        func badNames() throws {
            let context = try TLSContext(trust: .system)
            let long = String(repeating: "a", count: 300)
            #expect(throws: TLSError.self) { _ = try TLSClient(context, peer: .host(long)) }
            #expect(throws: TLSError.self) {
                _ = try TLSClient(context, peer: .address([1, 2, 3]))
            }
        }

        @Test("authorities that are none are an error in words")
        func authorities() {
            for (pem, words) in [("", "no certificate"), ("garbage\n", "no certificate")] {
                let error = #expect(throws: TLSError.self) {
                    _ = try TLSContext(trust: .authorities(pem: Array(pem.utf8)))
                }
                #expect(error?.description.contains(words) == true)
            }
        }
    }
}

extension Alone {
    struct HTTPFuzzTests {
        private static let seeds = [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;a=b\r\nk\r\n0\r\nT: x\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 302 Found\r\nLocation: /\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\u{1}",
            "HTTP/1.1 200\r\nConnection: close\r\n\r\nnothing",
        ]

        @Test("any octets in any pieces end in a decision, and in one only", arguments: 0..<5)
        func mutations(seed: Int) throws {
            var random = Random(seed: UInt64(seed))
            let probe = try monitor("{type: http, expect: {body: ok}}").probe
            let exchange = try #require(probe as? HTTPProbe).exchange
            var passes = 0
            for _ in 0..<1_000 {
                var octets = Array(Self.seeds[seed].utf8)
                for _ in 0..<Int.random(in: 0...3, using: &random) {
                    let index = octets.indices.randomElement(using: &random) ?? 0
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: octets[index] = UInt8.random(in: 0...255, using: &random)
                    case 1: octets.remove(at: index)
                    case 2: octets.insert(contentsOf: octets[index...].prefix(9), at: index)
                    default: octets.removeSubrange(index...)
                    }
                    if octets.isEmpty { octets = [0] }
                }
                var decisions: [ProbeResult.Outcome] = []
                let channel = EmbeddedChannel()
                let attempt = ProbeAttempt(
                    IPAddress(ipv4: 0x7F00_0001), timeout: .seconds(2),
                    loop: channel.embeddedEventLoop, trust: TrustCache(),
                    decide: { outcome, _ in decisions.append(outcome) }, end: {})
                try channel.pipeline.syncOperations.addHandlers(
                    exchange.handlers(HTTPJudge(exchange, attempt, scheme: "http") { _ in }))
                channel.pipeline.fireChannelActive()
                var rest = octets[...]
                while !rest.isEmpty {
                    let piece = rest.prefix(Int.random(in: 1...20, using: &random))
                    rest = rest.dropFirst(piece.count)
                    channel.pipeline.fireChannelRead(ByteBuffer(bytes: piece))
                }
                channel.pipeline.fireChannelInactive()
                #expect(decisions.count == 1, "\(String(decoding: octets, as: UTF8.self))")
                if case .passed? = decisions.first { passes += 1 }
                _ = try? channel.finish(acceptAlreadyClosed: true)
            }
            #expect(seed > 1 || passes > 30)
        }
    }
}
