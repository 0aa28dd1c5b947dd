import DNSWire
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Health

/// A UDP server that sends what a closure makes of each datagram.
final class DatagramServer: Sendable {
    let port: Int
    private let channel: any Channel

    init(_ answers: @escaping @Sendable ([UInt8]) -> [[UInt8]]) async throws {
        channel = try await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(answers))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    func stop() async { try? await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        typealias OutboundOut = AddressedEnvelope<ByteBuffer>

        private let answers: @Sendable ([UInt8]) -> [[UInt8]]

        init(_ answers: @escaping @Sendable ([UInt8]) -> [[UInt8]]) { self.answers = answers }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let asked = unwrapInboundIn(data)
            for answer in answers(Array(asked.data.readableBytesView)) {
                let envelope = AddressedEnvelope(
                    remoteAddress: asked.remoteAddress, data: ByteBuffer(bytes: answer))
                context.writeAndFlush(wrapOutboundOut(envelope), promise: nil)
            }
        }
    }
}

/// The answer to a query: its question, and records after it.
private func answer(
    _ query: [UInt8], flags: [UInt8] = [0x84, 0], records: [[UInt8]] = [], additional: UInt8 = 0
) -> [UInt8] {
    let question = query[12..<query.count - 11]
    return query.prefix(2) + flags + [0, 1, 0, UInt8(records.count), 0, 0, 0, additional]
        + question + records.joined()
}

private func record(_ type: UInt8, _ data: [UInt8]) -> [UInt8] {
    [0xC0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, UInt8(data.count)] + data
}

extension Alone {
    struct DNSProbeTests {
        private func found(
            _ keys: String, timeout: String = "5s",
            _ answers: @escaping @Sendable ([UInt8]) -> [[UInt8]]
        ) async throws -> String {
            let server = try await DatagramServer(answers)
            let yaml = "{type: dns, name: a.test, timeout: \(timeout), port: \(server.port)\(keys)}"
            let result = try await probe(monitor(yaml))
            await server.stop()
            return result.outcome.description
        }

        private func expect(
            _ text: String, of found: String, location: SourceLocation = #_sourceLocation
        ) {
            #expect(found == text, sourceLocation: location)
        }

        @Test("a dns probe says what it saw")
        func answers() async throws {
            let a = record(1, [192, 0, 2, 1])
            try await expect("NOERROR, A 192.0.2.1", of: found("") { [answer($0, records: [a])] })
            let other = record(1, [192, 0, 2, 9])
            try await expect(
                "NOERROR, A 192.0.2.1",
                of: found(", expect: {answer: 192.0.2.1}") {
                    [answer($0, records: [other, a])]
                })
            try await expect(
                "body: A 192.0.2.9, expected 192.0.2.1",
                of: found(", expect: {answer: 192.0.2.1}") { [answer($0, records: [other])] })
            try await expect("body: NOERROR, but no A record", of: found("") { [answer($0)] })
            try await expect(
                "status: NXDOMAIN, expected NOERROR",
                of: found("") { [answer($0, flags: [0x84, 3])] })
            try await expect(
                "REFUSED",
                of: found(", expect: {rcode: [REFUSED, NXDOMAIN]}") {
                    [answer($0, flags: [0x80, 5])]
                })
            try await expect(
                "status: RCODE15, expected NOERROR",
                of: found("") { [answer($0, flags: [0x80, 15])] })
            // Names in data are compressed against the question.
            let mail = record(15, [0, 10, 2, 0x6D, 0x78, 0xC0, 12])
            try await expect(
                "NOERROR, MX 10 MX.a.test.",
                of: found(", record: MX, expect: {answer: 10 MX.a.test}") {
                    [answer($0, records: [mail])]
                })
        }

        @Test("a datagram that is lost is sent a second time, and not a third")
        func lost() async throws {
            let asked = Mutex(0)
            let a = record(1, [192, 0, 2, 1])
            try await expect(
                "NOERROR, A 192.0.2.1",
                of: found("", timeout: "2s") { query in
                    let count = asked.withLock { count in
                        count += 1
                        return count
                    }
                    return count == 2 ? [answer(query, records: [a])] : []
                })
            #expect(asked.withLock { $0 } == 2)
            try await expect(
                "status: timeout after 300ms while waiting for the answer",
                of: found("", timeout: "300ms") { _ in
                    asked.withLock { $0 += 1 }
                    return []
                })
            #expect(asked.withLock { $0 } == 4)
        }

        @Test("a record of another class is none of the type")
        func otherClass() async throws {
            let a = record(1, [192, 0, 2, 1])
            let chaos = a[..<5] + [3] + a[6...]
            try await expect(
                "body: NOERROR, but no A record",
                of: found("") { [answer($0, records: [Array(chaos)])] })
        }

        @Test("datagrams that do not answer the question are not looked at")
        func strangers() async throws {
            let a = record(1, [192, 0, 2, 1])
            let text = try await found("") { query in
                var otherID = answer(query, flags: [0x84, 5])
                otherID[0] ^= 1
                var otherName = answer(query, flags: [0x84, 5])
                otherName[13] ^= 1
                return [[], [1, 2, 3], query, otherID, otherName, answer(query, records: [a])]
            }
            #expect(text == "NOERROR, A 192.0.2.1")
            try await expect(
                "status: timeout after 300ms while waiting for the answer",
                of: found("", timeout: "300ms") { _ in [] })
        }

        @Test("a closed port and a malformed answer end in a reason, at once")
        func faults() async throws {
            let server = try await DatagramServer { _ in [] }
            await server.stop()
            let yaml = "{type: dns, name: a.test, port: \(server.port)}"
            let result = try await probe(monitor(yaml))
            #expect(result.outcome.description == "status: connection refused")
            #expect(result.duration < .seconds(1))
            for data in [
                [0xC0], [0xC0, 12], [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 5, 1],
                record(1, [1, 2, 3]),
                [0xC0, 24], [0x40], [63],
            ] as [[UInt8]] {
                try await expect(
                    "status: malformed answer", of: found("") { [answer($0, records: [data])] })
            }
        }

        @Test("random answers are read or refused, and end")
        func random() throws {
            let name = try Name("a.test.")
            let question = DNSQuestion(name: name, type: .mx, wantsRecursion: false)
            let good = answer(
                question.query(id: 7), records: [record(15, [0, 10, 2, 0x6D, 0x78, 0xC0, 12])])
            #expect(DNSAnswer(good, to: question)?.data == ["10 mx.a.test."])
            var random = Random(seed: 5)
            for _ in 0..<20_000 {
                var octets = good
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    octets[Int.random(in: 0..<octets.count, using: &random)] =
                        UInt8.random(in: 0...255, using: &random)
                }
                octets.removeLast(Int.random(in: 0...3, using: &random))
                _ = question.isAnswered(by: octets, id: 7)
                _ = DNSAnswer(octets, to: question)
            }
        }

        @Test("NSD passes over UDP and TCP, and answers that are cut short are asked for again")
        func nsd() async throws {
            let directory = try TemporaryDirectory()
            try directory.write(start, to: "start.py")
            let server = try ServerProgram(
                ["python3", "-u", "start.py"], in: directory.path, portAfter: "port ")
            defer { server.stop() }
            try server.waitUntilItListens()
            for (keys, expected) in [
                ("name: www.a.test", "NOERROR, A 192.0.2.1"),
                ("name: www.a.test, transport: tcp", "NOERROR, A 192.0.2.1"),
                ("name: www.a.test, record: AAAA", "body: NOERROR, but no AAAA record"),
                ("name: none.a.test", "status: NXDOMAIN, expected NOERROR"),
                ("name: none.a.test, expect: {rcode: NXDOMAIN}", "NXDOMAIN"),
                ("name: b.test, expect: {rcode: REFUSED}", "REFUSED"),
                (
                    "name: a.test, record: NS, expect: {answer: NS.a.test.}",
                    "NOERROR, NS NS.a.test."
                ),
                (
                    "name: long.a.test, record: TXT, expect: {answer: '\"19\" \"\(filler)\"'}",
                    "NOERROR, TXT \"19\" \"\(filler.prefix(34))…"
                ),
            ] {
                let yaml = "{type: dns, port: \(server.port), \(keys)}"
                let found = try await probe(monitor(yaml)).outcome.description
                #expect(found == expected, "\(keys)")
            }
        }

        private let filler = String(repeating: "x", count: 100)

        private let start = """
            import os, socket
            s = socket.socket(); s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]; s.close()
            here = os.getcwd()
            with open("a.zone", "w") as zone:
                zone.write("$ORIGIN a.test.\\n@ 60 SOA ns h 1 2 3 4 5\\n@ 60 NS ns\\nns 60 A 127.0.0.1\\n")
                zone.write("www 60 A 192.0.2.1\\n")
                for n in range(20): zone.write(f'long 60 TXT "{n}" "{"x" * 100}"\\n')
            with open("nsd.conf", "w") as conf:
                conf.write(f'''
            server:
              ip-address: 127.0.0.1@{port}
              username: ""
              chroot: ""
              zonesdir: "{here}"
              database: ""
              pidfile: "{here}/pid"
              xfrdfile: "{here}/xfrd"
              zonelistfile: "{here}/list"
              xfrdir: "{here}"
              server-count: 1
            remote-control:
              control-enable: no
            zone:
              name: a.test
              zonefile: a.zone
            ''')
            # NSD is several processes, none of which is to hold what the test waits for.
            os.set_inheritable(1, True)
            print("port", port, flush=True)
            os.closerange(3, 256)
            os.execvp("/usr/sbin/nsd", ["nsd", "-d", "-c", here + "/nsd.conf"])
            """
    }
}
