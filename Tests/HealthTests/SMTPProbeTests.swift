import NIOCore
import Testing

@testable import Health

extension Alone {
    struct SMTPProbeTests {
        @Test(
            "what is no mail server fails in words",
            arguments: [
                ("554 no\r\n", "status: \"554 no\" to the connection, expected 220"),
                ("220-a\r\n554 b\r\n", "status: \"554 b\" to the connection, expected 220"),
                ("220 a\r\n500 b\r\n", "status: \"500 b\" to EHLO, expected 250"),
                ("220 a\r\n250-b\r\n250\r\n", "250 to EHLO"), ("220\n250\n", "250 to EHLO"),
                ("HTTP/1.1 200 OK\r\n", "status: what came is not SMTP: \"HTTP/1.1 200 OK\""),
                ("22\r\n", "status: what came is not SMTP: \"22\""),
                ("220a\r\n", "status: what came is not SMTP: \"220a\""),
                ("+20 a\r\n", "status: what came is not SMTP: \"+20 a\""),
                ("220\u{301}a\r\n", "status: what came is not SMTP: \"220\u{301}a\""),
                ("999 a\r\n", "status: what came is not SMTP: \"999 a\""),
                (
                    String(repeating: "220-a\r\n", count: 101),
                    "status: a reply of more than 100 lines"
                ),
                (String(repeating: "2", count: 1_025), "status: a line of more than 1024 octets"),
                ("220 a", "status: timeout after 300ms while waiting for the banner"),
                ("220 a\r\n", "status: timeout after 300ms while waiting for the answer to EHLO"),
            ])
        func dialogues(text: String, expected: String) async throws {
            let timeout = expected.contains("timeout") ? "300ms" : "5s"
            let result = try await outcome(
                "type: smtp, timeout: \(timeout)", against: .answerAndHold(text), speaksFirst: true)
            #expect(result.text == expected)
        }

        @Test("STARTTLS has to be offered, answered, and followed by nothing")
        func startTLS() async throws {
            let yaml = "type: smtp, starttls: true, insecure: true"
            for (text, expected) in [
                ("220 a\r\n250 b\r\n", "status: STARTTLS is not offered"),
                (
                    "220 a\r\n250 STARTTLS\r\n454 no\r\n",
                    "status: \"454 no\" to STARTTLS, expected 220"
                ),
                (
                    "220 a\r\n250 starttls\r\n220 c\r\nQ",
                    "handshake: plaintext after the answer to STARTTLS"
                ),
                (
                    "220 a\r\n250 STARTTLS\r\n",
                    "handshake: timeout after 300ms while waiting for the answer to STARTTLS"
                ),
                (
                    "220 a\r\n250 STARTTLS\r\n220 c\r\n",
                    "handshake: timeout after 300ms while in the TLS handshake"
                ),
            ] {
                let timeout = expected.contains("timeout") ? "300ms" : "5s"
                let result = try await outcome(
                    yaml + ", timeout: \(timeout)", against: .answerAndHold(text), speaksFirst: true
                )
                #expect(result.text == expected)
            }
        }

        @Test("a real server passes, aiosmtpd, with STARTTLS and without")
        func real() async throws {
            let certificates = try Certificates()
            let directory = certificates.directory
            try directory.write(script, to: "server.py")
            let server = try ServerProgram(
                ["/usr/bin/python3", "-u", "server.py"], in: directory.path, portAfter: "port ")
            defer { server.stop() }
            for (keys, expected) in [
                ("", "250 to EHLO"), (", ehlo: probe.test", "250 to EHLO"),
                (", starttls: true, host: good.test, ca_file: ca.pem", "STARTTLS done"),
                (
                    ", starttls: true, host: other.test, ca_file: ca.pem",
                    "handshake: hostname mismatch"
                ),
            ] {
                let yaml = "{type: smtp\(keys), port: \(server.port)}"
                let result = try await probe(monitor(yaml, file: "\(directory.path)/f.yaml"))
                #expect(result.outcome.description == expected, "\(keys)")
            }
        }

        private let script = """
            import asyncio, ssl
            from aiosmtpd.smtp import SMTP
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("good.pem", "good.key")
            async def main():
                loop = asyncio.get_running_loop()
                make = lambda: SMTP(None, hostname="mail.test", tls_context=context, loop=loop)
                server = await loop.create_server(make, "127.0.0.1", 0)
                print("port", server.sockets[0].getsockname()[1], flush=True)
                await asyncio.Future()
            asyncio.run(main())
            """
    }
}
