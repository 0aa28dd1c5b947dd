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
