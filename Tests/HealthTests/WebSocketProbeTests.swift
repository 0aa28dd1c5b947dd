import NIOCore
import Testing

@testable import Health

/// An upgrade as it has to be for any key: what servers would have to compute is left to a script.
private let head =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

extension Alone {
    struct WebSocketProbeTests {
        @Test("the answer to a key is that of RFC 6455, section 1.3")
        func acceptKey() {
            #expect(
                WebSocketProbe.accept(forKey: "dGhlIHNhbXBsZSBub25jZQ==")
                    == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        }

        @Test(
            "what is no upgrade fails in words",
            arguments: [
                ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "status: 200, expected 101"),
                ("HTTP/1.1 426 Upgrade\r\n\r\n", "status: 426, expected 101"),
                (
                    head + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                    "status: 101, but the header Sec-WebSocket-Accept is not for the key that was sent"
                ),
                (
                    head + "\r\n",
                    "status: 101, but the header Sec-WebSocket-Accept is not for the key that was sent"
                ),
                (
                    "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
                    "status: 101, but no upgrade to websocket"
                ),
                (
                    "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
                    "status: 101, but the header Connection has no \"upgrade\""
                ),
                ("SSH-2.0-x\r\n", "status: the response is not HTTP/1"),
            ])
        func faults(response: String, expected: String) async throws {
            #expect(
                try await outcome("type: websocket", against: .answerAndHold(response)).text
                    == expected)
        }

        @Test(
            "servers that answer a ping with all but a pong end in a reason",
            arguments: [
                ("close", "body: the origin closed the websocket before the pong"),
                ("masked", "body: a masked frame, which servers must not send"),
                ("wrong", "body: timeout after 500ms while waiting for the pong"),
                ("endless", "body: more than 1048576 octets and no end"),
                ("huge", "body: a frame whose length is not written as it must be"),
                ("long", "body: timeout after 500ms while waiting for the pong"),
                ("pinged", "upgraded, ping answered"),
                ("chatty", "upgraded, ping answered"),
                ("joined", "upgraded, ping answered"),
            ])
        func pings(mode: String, expected: String) async throws {
            let directory = try TemporaryDirectory()
            try directory.write(frameServer, to: "server.py")
            let server = try ServerProgram(
                ["python3", "-u", "server.py", mode], in: directory.path, portAfter: "port ")
            defer { server.stop() }
            // Where it ends before, there is time for a busy machine.
            let timeout = expected.contains("timeout") ? "500ms" : "5s"
            let yaml = "{type: websocket, ping: true, timeout: \(timeout), port: \(server.port)}"
            #expect(try await probe(monitor(yaml)).outcome.description == expected)
        }

        /// Upgrades rightly, and then sends frames of its own mind.
        private let frameServer = """
            import base64, hashlib, socket, sys
            listener = socket.create_server(("127.0.0.1", 0))
            print("port", listener.getsockname()[1], flush=True)
            client, _ = listener.accept()
            request = b""
            while b"\\r\\n\\r\\n" not in request: request += client.recv(4096)
            key = [l.split(b": ")[1] for l in request.split(b"\\r\\n") if l.startswith(b"Sec-WebSocket-Key")][0]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            head = b"HTTP/1.1 101 Go\\r\\nUpgrade: WebSocket\\r\\nConnection: keep-alive, Upgrade\\r\\n"
            head += b"Sec-WebSocket-Accept: " + accept + b"\\r\\n\\r\\n"
            pong = b"\\x8a\\x05rhumb"
            frames = {
                "close": b"\\x88\\x02\\x03\\xe9", "masked": b"\\x81\\x81\\0\\0\\0\\0x", "wrong": b"\\x8a\\x05other",
                "huge": b"\\x82\\x7f" + b"\\xff" * 8, "chatty": b"\\x81\\x7e\\x01\\x00" + b"x" * 256 + pong,
                "long": b"\\x82\\x7f\\x7f" + b"\\xff" * 7, "pinged": b"\\x89\\x02hi",
                "joined": b"", "endless": b"",
            }[sys.argv[1]]
            client.sendall(head + (pong if sys.argv[1] == "joined" else b"") + frames)
            try:
                if sys.argv[1] == "pinged":
                    heard = b""
                    while len(heard) < 19: heard += client.recv(4096)
                    mask, said = heard[13:17], heard[17:19]
                    if heard[11:13] == b"\\x8a\\x82" and bytes(a ^ b for a, b in zip(said, mask)) == b"hi":
                        client.sendall(pong)
                while sys.argv[1] == "endless": client.sendall(b"\\x81\\x05hello" * 1000)
                while client.recv(4096): pass
            except OSError: pass
            """

        @Test(
            "frames are read as RFC 6455, section 5.2 has them, whatever comes",
            arguments: [
                ([0x8A, 1, 7], [WebSocketReader.Frame(opcode: 10, payload: [7])], nil),
                ([0x81, 2, 7], [WebSocketReader.Frame(opcode: 1, payload: [])], nil),
                (
                    [1, 126, 0, 126] + [UInt8](repeating: 9, count: 126) + [0x80, 0, 0x88, 0],
                    [1, 0, 8].map { WebSocketReader.Frame(opcode: $0, payload: []) }, nil
                ),
                ([0x81], [], nil), ([0x8A, 2, 7], [], nil), ([0x82, 127, 0, 0, 0, 0], [], nil),
                ([0x81, 126, 0, 125], [], "a frame whose length is not written as it must be"),
                (
                    [0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255], [],
                    "a frame whose length is not written as it must be"
                ),
                ([0xC1, 0], [], "a frame with bits that no extension was agreed on for"),
                ([0x83, 0], [], "a frame with bits that no extension was agreed on for"),
                ([0x09, 0], [], "a control frame that is too long, or in parts"),
                ([0x89, 126, 0, 200], [], "a control frame that is too long, or in parts"),
                ([0x81, 0x80], [], "a masked frame, which servers must not send"),
            ] as [([UInt8], [WebSocketReader.Frame], String?)])
        func frames(octets: [UInt8], expected: [WebSocketReader.Frame], fault: String?) {
            for step in [1, octets.count] {
                var reader = WebSocketReader()
                var frames: [WebSocketReader.Frame] = []
                var found: String?
                for start in stride(from: 0, to: octets.count, by: step) where found == nil {
                    reader.feed(octets[start..<min(start + step, octets.count)])
                    do throws(WebSocketReader.Fault) {
                        while let frame = try reader.next() { frames.append(frame) }
                    } catch { found = error.description }
                }
                #expect(frames == expected && found == fault, "in steps of \(step)")
            }
        }

        @Test("a real server passes, over TCP and TLS, and is left by a normal closure")
        func real() async throws {
            let certificates = try Certificates()
            let directory = certificates.directory
            try directory.write(realServer, to: "server.py")
            for isSecure in [false, true] {
                let server = try ServerProgram(
                    ["/usr/bin/python3", "-u", "server.py"] + (isSecure ? ["tls"] : []),
                    in: directory.path,
                    portAfter: "port ")
                defer { server.stop() }
                let tls = isSecure ? ", tls: true, host: good.test, ca_file: ca.pem" : ""
                for (keys, expected) in [
                    ("origin: https://example.com", "upgraded"),
                    ("origin: https://example.com, ping: true", "upgraded, ping answered"),
                    ("origin: https://example.com, subprotocol: chat", "upgraded"),
                    ("origin: https://evil.test", "status: 403, expected 101"),
                    (
                        "origin: https://example.com, subprotocol: other",
                        "status: 101, with the subprotocol \"\", not other"
                    ),
                    ("", "status: 403, expected 101"),
                ] {
                    let more = keys.isEmpty ? "" : ", " + keys
                    let yaml = "{type: websocket\(tls)\(more), port: \(server.port)}"
                    let result = try await probe(monitor(yaml, file: "\(directory.path)/f.yaml"))
                    #expect(result.outcome.description == expected, "\(yaml)")
                }
                let codes = try String(decoding: directory.read("codes"), as: UTF8.self)
                #expect(codes.hasPrefix("1000 1000 "), "\(codes)")
            }
        }

        private let realServer = """
            import asyncio, ssl, sys, websockets
            context = None
            if "tls" in sys.argv:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain("good.pem", "good.key")
            codes = []
            async def handle(socket, path=None):
                await socket.wait_closed()
                codes.append(str(socket.close_code))
                open("codes", "w").write(" ".join(codes) + " ")
            async def main():
                server = await websockets.serve(
                    handle, "127.0.0.1", 0, ssl=context, subprotocols=["chat"],
                    origins=["https://example.com"])
                print("port", server.sockets[0].getsockname()[1], flush=True)
                await asyncio.Future()
            asyncio.run(main())
            """
    }
}
