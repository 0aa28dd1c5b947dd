// How TCP stops: who has asked is answered, nobody is waited for without end, newcomers are refused.

import Authority
import DNSWire
import Glibc
import Testing

@testable import Transport

@Suite(.serialized) struct TCPStopTests {
    @Test("stop does not wait for a client that takes no answers")
    func stopWithStuckClient() throws {
        let server = try startServer()
        let client = try TestSocket.connected(
            to: "127.0.0.1", port: server.port, stream: true, timeoutMilliseconds: 200,
            receiveBuffer: 4_096)
        let block = (UInt16(0)..<1_000).flatMap { framed(query(id: $0)) }
        while client.send(block) {}
        let begin = ContinuousClock.now
        server.stop()
        #expect(ContinuousClock.now - begin < .seconds(1))
        #expect(server.counters.tcp.open == 0)
    }

    @Test("stop lets a client take its answers, closes idle ones, and ends within a second")
    func stop() throws {
        let server = try startServer()
        let idle = try connect(to: server)
        let busy = try connect(to: server)
        busy.send((UInt16(0)..<100).flatMap { framed(query(id: $0)) })
        #expect(eventually { server.counters.tcp.received == 100 })
        let begin = ContinuousClock.now
        server.stop()
        #expect(ContinuousClock.now - begin < .seconds(1))
        for id in UInt16(0)..<100 {
            #expect(isRefusal(try #require(busy.receiveMessage()), of: id))
        }
        #expect(busy.receive() == [])
        #expect(idle.receive() == [])
        #expect(server.counters.tcp.open == 0)
    }

    @Test("while it stops, a server refuses newcomers, and answers the queries that it has")
    func stopRefusesNewcomers() throws {
        let counters = TCPCounterCells()
        // With a patience that no machine is too slow for.
        let (server, port) = try tcpServer(patience: .seconds(60), counters)
        let client = try TestSocket.connected(
            to: "127.0.0.1", port: port, stream: true, timeoutMilliseconds: 10_000,
            receiveBuffer: 4_096)
        // Too much for the buffers: the server waits for the client to take answers.
        let count = 12
        client.send((0..<count).flatMap { framed(bigQuery(id: UInt16($0))) })
        #expect(eventually { counters.current.answered >= 2 })
        let address = try #require(IPAddress("127.0.0.1"))
        let isRefused = {
            guard let newcomer = try? TestSocket(stream: true) else { return false }
            return newcomer.bindOrConnect(address, port, connects: true) != 0
                && errno == ECONNREFUSED
        }
        #expect(!isRefused())
        #expect(eventually { counters.current.accepted == 2 && counters.current.open == 1 })
        let stopping = Thread { server.stop() }
        #expect(eventually(isRefused))
        // It is not over: the client has its place, and what it asked is not all answered.
        #expect(eventually { counters.current.open == 1 } && counters.current.answered < count)
        for id in 0..<count {
            let answer = try #require(client.receiveMessage())
            #expect(answer.count == 65_535 && answer[1] == UInt8(id))
        }
        #expect(client.receive() == [])
        stopping.join()
        #expect(counters.current.open == 0 && counters.current.answered == count)
    }

    @Test("who has connected and asked before the stop is answered, accepted by then or not")
    func stopAnswersQueue() throws {
        let counters = TCPCounterCells()
        var clients: [TestSocket] = []
        // More than a turn accepts, and all of them there before the first one.
        let (server, _) = try tcpServer(patience: .seconds(60), counters) { port in
            for id in UInt16(0)..<40 {
                let client = try TestSocket.connected(to: "127.0.0.1", port: port, stream: true)
                client.send(framed(query(id: id)))
                clients.append(client)
            }
        }
        server.stop()
        for (id, client) in clients.enumerated() {
            let answer = try #require(client.receiveMessage())
            #expect(answer.prefix(2) == [0, UInt8(id)])
            #expect(client.receive() == [])
        }
        #expect(counters.current.accepted == 40 && counters.current.open == 0)
    }

    /// A TCP server alone, and its port; nobody else has its listener.
    private func tcpServer(
        patience: Duration, _ counters: TCPCounterCells,
        connectFirst: (UInt16) throws -> Void = { _ in }
    ) throws -> (TCPServer, UInt16) {
        let any = ListenAddress(address: try #require(IPAddress("127.0.0.1")), port: 0)
        let listener = OpenSocket(try .tcp(any, timeoutMilliseconds: 60_000))
        let port = listener.bound.port
        try listener.listen()
        try connectFirst(port)
        let server = try TCPServer(
            sockets: [listener], limits: TransportLimits(),
            publisher: SnapshotPublisher(try bigAnswerSnapshot()), seed: 1, patience: patience,
            counters: counters)
        return (server, port)
    }
}
