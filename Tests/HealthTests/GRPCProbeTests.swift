import NIOCore
import Testing

@testable import Health

extension Alone {
    struct GRPCProbeTests {
        @Test("messages are as Protocol Buffers and gRPC frame them, whatever comes")
        func messages() {
            #expect(GRPCProbe.message(service: "") == [0, 0, 0, 0, 0])
            #expect(GRPCProbe.message(service: "ab") == [0, 0, 0, 0, 4, 0x0A, 2, 0x61, 0x62])
            let long = String(repeating: "x", count: 200)
            #expect(GRPCProbe.message(service: long).prefix(8) == [0, 0, 0, 0, 203, 0x0A, 0xC8, 1])
            for (message, status) in [
                ([0, 0, 0, 0, 2, 8, 1], 1), ([0, 0, 0, 0, 0], 0),
                ([0, 0, 0, 0, 3, 8, 0x82, 1], 130),
                ([0, 0, 0, 0, 6, 0x12, 2, 1, 2, 8, 1], 1),
                ([0, 0, 0, 0, 7, 0x1D, 1, 2, 3, 4, 8, 2], 2),
                ([1, 0, 0, 0, 2, 8, 1], nil), ([0, 0, 0, 0, 3, 8, 1], nil), ([0, 0, 0, 0], nil),
                ([0, 0, 0, 0, 1, 8], nil), ([0, 0, 0, 0, 2, 0x12, 9], nil),
                ([0, 0, 0, 0, 1, 0x0B], nil),
                ([0, 255, 255, 255, 255], nil),
                ([0, 0, 0, 0, 11, 8] + [UInt8](repeating: 255, count: 10), nil),
                (
                    [0, 0, 0, 0, 11, 0x12] + [UInt8](repeating: 255, count: 9) + [1], nil
                ),
            ] as [([UInt8], UInt64?)] {
                #expect(GRPCProbe.status(in: message) == status, "\(message)")
            }
        }

        @Test("a real server passes, grpcio, over TCP and TLS")
        func real() async throws {
            let certificates = try Certificates()
            let directory = certificates.directory
            try directory.write(script, to: "server.py")
            for isSecure in [false, true] {
                let server = try ServerProgram(
                    ["/usr/bin/python3", "-u", "server.py"] + (isSecure ? ["tls"] : []),
                    in: directory.path, portAfter: "port ")
                defer { server.stop() }
                let tls = isSecure ? ", tls: true, host: good.test, ca_file: ca.pem" : ""
                for (keys, expected) in [
                    ("", "SERVING"), (", service: good.Service", "SERVING"),
                    (", service: bad.Service", "body: NOT_SERVING, expected SERVING"),
                    (", service: none", "status: grpc-status 5: no such service, expected 0"),
                    (", service: garbage", "body: malformed health message"),
                ] {
                    let yaml = "{type: grpc, timeout: 5s\(tls)\(keys), port: \(server.port)}"
                    let result = try await probe(monitor(yaml, file: "\(directory.path)/f.yaml"))
                    #expect(result.outcome.description == expected, "\(yaml)")
                }
            }
        }

        @Test(
            "what HTTP/2 servers may and must not do ends in a reason",
            arguments: [
                ("goodbye", "SERVING"),
                ("goodbye-before", "status: connection closed by the origin (0x0 No Error)"),
                ("error", "status: connection closed by the origin (0xb Enhance Your Calm)"),
                ("bomb", "status: the server does not speak HTTP/2 rightly"),
                ("continuations", "status: the server does not speak HTTP/2 rightly"),
                ("pings", "status: the server does not speak HTTP/2 rightly"),
                ("settings", "status: the server does not speak HTTP/2 rightly"),
                ("silent", "status: timeout after 300ms while waiting for the health"),
                ("half", "status: timeout after 300ms while waiting for the health"),
            ])
        func frames(mode: String, expected: String) async throws {
            let directory = try TemporaryDirectory()
            try directory.write(frameServer, to: "server.py")
            let server = try ServerProgram(
                ["python3", "-u", "server.py", mode], in: directory.path, portAfter: "port ")
            defer { server.stop() }
            let timeout = expected.contains("timeout") ? "300ms" : "10s"
            let yaml = "{type: grpc, timeout: \(timeout), port: \(server.port)}"
            let found = try await probe(monitor(yaml)).outcome.description
            #expect(found.hasPrefix(expected), "\(found)")
        }

        /// Speaks HTTP/2 by hand: it reads the preface and a request, and sends frames of its own mind.
        private let frameServer = """
            import socket, struct, sys, time
            def frame(kind, flags, stream, payload=b""):
                return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
            listener = socket.create_server(("127.0.0.1", 0))
            print("port", listener.getsockname()[1], flush=True)
            client, _ = listener.accept()
            client.settimeout(1)
            heard = b""
            try:
                while b"grpc.health" not in heard and len(heard) < 150: heard += client.recv(4096)
            except OSError: pass
            client.settimeout(None)
            settings = frame(4, 0, 0) + frame(4, 1, 0)
            answer = frame(1, 4, 1, b"\\x88") + frame(0, 0, 1, b"\\0\\0\\0\\0\\2\\x08\\1")
            answer += frame(1, 5, 1, b"\\0\\x0bgrpc-status\\x010")
            bye = lambda last, code: frame(7, 0, 0, struct.pack(">II", last, code))
            big = b"\\x40\\x01a\\x7f\\xa1\\x1e" + b"x" * 4000  # one entry of the table, of 4,000 octets
            said = {
                "goodbye": bye(1, 0) + answer, "goodbye-before": bye(0, 0), "error": bye(1, 11),
                "bomb": frame(1, 4, 1, b"\\x88" + big + b"\\xbe" * 8000),
                "continuations": frame(1, 0, 1, b"\\x88") + frame(9, 0, 1) * 500,
                "pings": frame(6, 0, 0, b"12345678") * 5000, "settings": frame(4, 0, 0) * 5000,
                "silent": b"", "half": answer[:20],
            }[sys.argv[1]]
            try:
                client.sendall((b"" if sys.argv[1] == "silent" else settings) + said)
                while client.recv(4096): pass
            except OSError: pass
            """

        @Test("what is no HTTP/2 fails in words")
        func foreign() async throws {
            let result = try await outcome(
                "type: grpc", against: .answer("HTTP/1.1 400 Bad Request\r\n\r\n"))
            #expect(
                result.text.hasPrefix("status: the server does not speak HTTP/2"), "\(result.text)")
        }

        private let script = """
            import sys, time, grpc
            from concurrent import futures
            answers = {b"": b"\\x08\\x01", b"good.Service": b"\\x08\\x01", b"bad.Service": b"\\x08\\x02",
                       b"garbage": b"\\x08"}
            def check(request, context):
                name = request[2:]
                if name not in answers: context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
                return answers[name]
            class Health(grpc.GenericRpcHandler):
                def service(self, call):
                    if call.method == "/grpc.health.v1.Health/Check":
                        return grpc.unary_unary_rpc_method_handler(check)
            server = grpc.server(futures.ThreadPoolExecutor(2))
            server.add_generic_rpc_handlers((Health(),))
            if "tls" in sys.argv:
                pair = (open("good.key", "rb").read(), open("good.pem", "rb").read())
                port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
            else:
                port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            print("port", port, flush=True)
            server.wait_for_termination()
            """
    }
}
