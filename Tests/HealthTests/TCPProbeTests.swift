import NIOCore
import Testing

@testable import Health

extension Alone {
    struct TCPProbeTests {
        @Test(
            "a tcp probe says what it heard",
            arguments: [
                ("expect: '220 '", "220 mail.test\r\n", "answer has \"220 \""),
                ("expect: '\\x00\\xC3\\xBC\\n'", "a\0ü\nb", "answer has \" ü \""),
                (
                    "expect: '250'", "220 mail.test\r\n",
                    "body: timeout after 300ms while waiting for the answer"
                ),
                ("send: 'PING\\r\\n', expect: PONG", "+PONG\r\n", "answer has \"PONG\""),
                ("send: 'PING\\r\\n'", "", "connected and sent"),
                (
                    "expect: x", String(repeating: "y", count: 4_096) + "x",
                    "body: \"x\" not in the first 4096 octets"
                ),
                ("expect: x", String(repeating: "y", count: 4_095) + "x", "answer has \"x\""),
            ])
        func answers(keys: String, answer: String, expected: String) async throws {
            let timeout = expected.contains("timeout") ? "300ms" : "5s"
            let result = try await outcome(
                "type: tcp, timeout: \(timeout), \(keys)", against: .answerAndHold(answer),
                speaksFirst: !keys.contains("send"))
            #expect(result.text == expected)
        }

        @Test("an end before the answer says how much there was")
        func early() async throws {
            let result = try await outcome(
                "type: tcp, expect: OK", against: .answer("NO"), speaksFirst: true)
            #expect(
                result.text
                    == "body: connection closed by the origin, \"OK\" not in its 2 octets")
        }

        @Test("a text that overlaps itself is found in any pieces")
        func overlaps() {
            for (text, haystack) in [("aab", "aaab"), ("abab", "abaabab"), ("aa", "baa")] {
                var search = ContentSearch(ContentExpectation(text: Array(text.utf8), limit: 99))
                let isFound = search.feed(Array(haystack.utf8))
                #expect(isFound, "\(text)")
                var none = ContentSearch(ContentExpectation(text: Array(text.utf8), limit: 99))
                let isFoundTooSoon = none.feed(Array(haystack.utf8.dropLast()))
                #expect(!isFoundTooSoon)
            }
        }
    }

    struct TLSProbeTests {
        @Test("a tls probe verifies the certificate and tells how long it lasts")
        func certificates() async throws {
            let certificates = try Certificates()
            for (leaf, keys, expected) in [
                ("good", "host: good.test, ca_file: ca.pem", "certificate ends in 1 day"),
                (
                    "good", "host: good.test, ca_file: ca.pem, min_days: 1",
                    "certificate ends in 1 day"
                ),
                (
                    "good", "host: good.test, ca_file: ca.pem, min_days: 2",
                    "handshake: certificate ends in 1 day, expected at least 2"
                ),
                ("good", "host: other.test, ca_file: ca.pem", "handshake: hostname mismatch"),
                ("good", "host: good.test, ca_file: other-ca.pem", "handshake: "),
                (
                    "expired", "host: good.test, ca_file: ca.pem",
                    "handshake: certificate has expired"
                ),
                ("expired", "insecure: true", "certificate has expired"),
                (
                    "expired", "insecure: true, min_days: 0",
                    "handshake: certificate has expired, expected at least 0"
                ),
            ] {
                let server = try certificates.server(leaf)
                defer { server.stop() }
                let yaml = "{type: tls, port: \(server.port), \(keys)}"
                let file = "\(certificates.directory.path)/f.yaml"
                let found = try await probe(monitor(yaml, file: file)).outcome.description
                #expect(found.hasPrefix(expected), "\(leaf), \(keys): \(found)")
                #expect(found == expected || expected.hasSuffix(": "))
            }
        }

        @Test(
            "an authority that ends before its certificates counts, except where nothing is verified"
        )
        func authorityEnds() async throws {
            let certificates = try Certificates()
            let folder = certificates.directory.path
            for (name, days) in [("short", "5"), ("long", "30")] {
                let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
                let isAuthority = name == "short"
                try run(
                    ["openssl", "req"] + key + ["-keyout", "\(name).key", "-subj", "/CN=\(name)"]
                        + (isAuthority
                            ? ["-x509", "-days", days, "-out", "\(name).pem"]
                            : ["-out", "\(name).csr"]),
                    in: folder)
            }
            try run(
                ["openssl", "x509", "-req", "-in", "long.csr", "-CA", "short.pem", "-CAkey"]
                    + ["short.key", "-days", "30", "-extfile", "names", "-out", "long.pem"],
                in: folder)
            let server = try certificates.server("long")
            defer { server.stop() }
            for (keys, expected) in [
                (
                    "type: tls, host: good.test, ca_file: short.pem",
                    "certificate of the authority \"short\" ends in 4 days"
                ),
                (
                    "type: https, host: good.test, ca_file: short.pem, min_days: 5",
                    "handshake: certificate of the authority \"short\" ends in 4 days, "
                        + "expected at least 5"
                ),
                ("type: https, host: good.test, ca_file: short.pem, min_days: 4", "status 200"),
                ("type: https, insecure: true, min_days: 29", "status 200"),
                (
                    "type: https, insecure: true, min_days: 30",
                    "handshake: certificate ends in 29 days, expected at least 30"
                ),
            ] {
                let yaml = "{\(keys), port: \(server.port)}"
                let found = try await probe(monitor(yaml, file: "\(folder)/f.yaml"))
                #expect(found.outcome.description == expected)
            }
        }

        @Test(
            "days are whole ones, and negative after the end",
            arguments: [
                (86_400, 0, 1), (86_399, 0, 0), (0, 0, 0), (-1, 0, -1), (172_800, 1, 1),
            ])
        func days(end: Int64, now: Int64, expected: Int) {
            let time = Timestamp(nanoseconds: now * 1_000_000_000)
            #expect(TLSClientHandler.days(until: end, now: time) == expected)
        }
    }
}
