// What TCP clients may take of the server: total limits and how they end, places and who loses one,
// descriptors. (RFC 7766, section 6.2; RFC 9210, section 4.)

import Authority
import DNSWire
import Glibc
import Testing
import Transport

@Suite(.serialized) struct TCPLimitTests {
    // MARK: Total limits

    @Test("by default neither queries nor the time of a connection are limited")
    func defaults() {
        #expect(TransportLimits().tcpQueries == nil)
        #expect(TransportLimits().tcpLifetime == nil)
    }

    @Test(
        "the last query allowed is answered, then comes a FIN, whatever else was sent",
        arguments: [1, 3, 600], [0, 1, 2_000])
    func queryLimit(limit: Int, more: Int) throws {
        let server = try startServer { $0.tcpQueries = limit }
        defer { server.stop() }
        let client = try connect(to: server)
        client.send((0..<limit + more).flatMap { framed(query(id: UInt16($0))) })
        for id in 0..<limit {
            #expect(isRefusal(try #require(client.receiveMessage()), of: UInt16(id)))
        }
        // In order: a reset would be nil here.
        #expect(client.receive() == [])
        #expect(client.send(framed(query(id: 1))))
        #expect(client.receive() == [])
        #expect(server.counters.tcp.received == UInt64(limit))
        #expect(server.counters.tcp.limited == 1)
        #expect(server.counters.tcp.open == 1)
        client.finishSending()
        #expect(eventually { server.counters.tcp.open == 0 })
    }

    @Test("what comes after the lifetime is answered once more, then comes a FIN")
    func lifetime() throws {
        let server = try startServer { $0.tcpLifetime = .milliseconds(300) }
        defer { server.stop() }
        let client = try connect(to: server)
        let begin = ContinuousClock.now
        var answered: UInt64 = 0
        while ContinuousClock.now - begin < .seconds(2) {
            client.send(framed(query(id: 7)))
            guard let answer = client.receiveMessage() else { break }
            #expect(isRefusal(answer, of: 7))
            answered += 1
            usleep(10_000)
        }
        let age = ContinuousClock.now - begin
        #expect(age >= .milliseconds(300) && age < .seconds(1))
        #expect(client.receive() == [])
        #expect(server.counters.tcp.answered == answered)
        #expect(server.counters.tcp.limited == 1)
    }

    @Test("a connection that comes to both limits at once is counted once")
    func bothLimits() throws {
        let server = try startServer {
            $0.tcpLifetime = .milliseconds(100)
            $0.tcpQueries = 1
        }
        defer { server.stop() }
        let client = try connect(to: server)
        usleep(200_000)
        client.send(framed(query(id: 7)) + framed(query(id: 8)))
        #expect(isRefusal(try #require(client.receiveMessage()), of: 7))
        #expect(client.receive() == [])
        #expect(server.counters.tcp.limited == 1)
    }

    @Test("the last answer asks a client that keeps connections to close (RFC 7828, section 3.2.2)")
    func lastAnswerSaysSo() throws {
        let server = try startServer { $0.tcpQueries = 3 }
        defer { server.stop() }
        let client = try connect(to: server)
        // OPT with an empty edns-tcp-keepalive; it comes back with the timeout of 10 s, then 0.
        var asking = query(id: 1) + [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]
        asking[11] = 1
        for timeout: [UInt8] in [[0, 100], [0, 100], [0, 0]] {
            client.send(framed(asking))
            let answer = try #require(client.receiveMessage())
            #expect(answer.contains([0, 11, 0, 2] + timeout))
        }
        #expect(client.receive() == [])
    }

    @Test("who goes on sending after the last answer is closed after the idle timeout")
    func noEndlessLinger() throws {
        let server = try startServer {
            $0.tcpQueries = 1
            $0.tcpIdleTimeout = .milliseconds(300)
        }
        defer { server.stop() }
        let client = try connect(to: server)
        client.send(framed(query(id: 1)))
        #expect(client.receiveMessage() != nil)
        let begin = ContinuousClock.now
        while client.send([0]), ContinuousClock.now - begin < .seconds(3) { usleep(5_000) }
        #expect(ContinuousClock.now - begin < .seconds(1))
        #expect(server.counters.tcp.received == 1)
        #expect(eventually { server.counters.tcp.open == 0 })
    }

    // MARK: Places

    @Test("who loses his place still gets the answers that were written, then a FIN")
    func evictedGetsAnswers() throws {
        let server = try startServer { $0.tcpConnections = 1 }
        defer { server.stop() }
        let client = try connect(to: server)
        client.send((UInt16(0)..<50).flatMap { framed(query(id: $0)) })
        #expect(eventually { server.counters.tcp.answered == 50 })
        let newcomer = try connect(to: server)
        newcomer.send(framed(query(id: 1)))
        #expect(isRefusal(try #require(newcomer.receiveMessage()), of: 1))
        #expect(server.counters.tcp.evicted == 1)
        for id in UInt16(0)..<50 {
            #expect(isRefusal(try #require(client.receiveMessage()), of: id))
        }
        #expect(client.receive() == [])
    }

    @Test("who loses his place and takes no answers is reset: the kernel keeps nothing for him")
    func evictedStuck() throws {
        let publisher = SnapshotPublisher(try bigAnswerSnapshot())
        let server = try startServer(publisher: publisher) { $0.tcpConnections = 1 }
        defer { server.stop() }
        let client = try TestSocket.connected(
            to: "127.0.0.1", port: server.port, stream: true, receiveBuffer: 4_096)
        client.send((UInt16(0)..<40).flatMap { framed(bigQuery(id: $0)) })
        #expect(eventually { server.counters.tcp.answered >= 3 })
        usleep(50_000)
        let newcomer = try connect(to: server)
        newcomer.send(framed(query(id: 1)))
        #expect(newcomer.receiveMessage() != nil)
        #expect(server.counters.tcp.evicted == 1)
        // The newcomer's and the listener; FIN-WAIT-1 would be the other's, with 200 KiB to send.
        #expect(eventually { socketStates(of: server.port).sorted() == [1, 10] })
    }

    @Test("pipelining gets nobody beyond the limits (lesson L35: CVE-2018-5743, CVE-2019-6477)")
    func limitsHoldUnderPipelining() throws {
        let server = try startServer {
            $0.tcpConnections = 8
            $0.tcpConnectionsPerNetwork = 4
        }
        defer { server.stop() }
        let block = (UInt16(0)..<200).flatMap { framed(query(id: $0)) }
        var clients: [TestSocket] = []
        for number in 0..<60 {
            let client = try connect(to: server, from: "127.0.\(number % 3).1")
            client.send(block)
            clients.append(client)
            for older in clients.suffix(12) { older.send(block) }
        }
        #expect(eventually { server.counters.tcp.accepted == 60 })
        #expect(server.counters.tcp.open <= 8)
        // What the counter says is what the kernel has.
        #expect(eventually { socketStates(of: server.port).count { $0 == 1 } <= 8 })
        let newcomer = try connect(to: server, from: "127.0.9.1")
        newcomer.send(framed(query(id: 1)))
        #expect(isRefusal(try #require(newcomer.receiveMessage()), of: 1))
    }

    @Test("in a full network the one idle for longest goes, also where others are idle for longer")
    func mostIdleOfTheNetwork() throws {
        let server = try startServer { $0.tcpConnectionsPerNetwork = 3 }
        defer { server.stop() }
        func ask(_ client: TestSocket) -> Bool {
            client.send(framed(query(id: 1))) && client.receiveMessage() != nil
        }
        let stranger = try connect(to: server, from: "127.0.5.1")
        #expect(ask(stranger))
        let clients = try (1...3).map { try connect(to: server, from: "127.0.0.\($0)") }
        for number in [0, 1, 2, 0, 2] { #expect(ask(clients[number])) }
        #expect(ask(try connect(to: server, from: "127.0.0.9")))
        #expect(clients[1].endsWithinTimeout())
        for client in [clients[0], clients[2], stranger] { #expect(ask(client)) }
    }

    // MARK: Descriptors

    @Test("without a descriptor for newcomers the server rests, makes room, and goes on")
    func noDescriptors() async {
        await #expect(processExitsWith: .success) {
            var limit = rlimit(rlim_cur: 256, rlim_max: 256)
            try #require(unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            let server = try startServer()
            let idle = try connect(to: server)
            idle.send(framed(query(id: 1)))
            try #require(idle.receiveMessage() != nil)
            let clients = try (0..<2).map { _ in try TestSocket(stream: true) }
            let target = try #require(IPAddress("127.0.0.1"))
            var taken: [Int32] = []
            while true {
                let copy = dup(0)
                guard copy >= 0 else { break }
                taken.append(copy)
            }
            let accepted = server.counters.tcp.accepted
            for client in clients {
                try #require(client.bindOrConnect(target, server.port, connects: true) == 0)
                client.send(framed(query(id: 2)))
            }
            // One of them gets the descriptor of the idle one; nobody is left to go for the other
            // but the first, and so on: all are answered or closed, none waits for ever.
            let isServed = eventually { server.counters.tcp.accepted >= accepted + 2 }
            #expect(isServed)
            #expect(idle.endsWithinTimeout())
            // Take what was freed: now there is nobody to go, and the listener has to wait.
            for client in clients { client.finishSending() }
            try #require(eventually { server.counters.tcp.open == 0 })
            while true {
                let copy = dup(0)
                guard copy >= 0 else { break }
                taken.append(copy)
            }
            guard let last = taken.popLast() else { return }
            close(last)
            let late = try TestSocket(stream: true, timeoutMilliseconds: 1_000)
            try #require(late.bindOrConnect(target, server.port, connects: true) == 0)
            late.send(framed(query(id: 3)))
            let before = clock()
            usleep(500_000)
            // A tenth of the time would already be more than the tests' own threads need.
            #expect(clock() - before < 50_000, "\(clock() - before) us of 500,000")
            #expect(server.counters.tcp.open == 0)
            for copy in taken { close(copy) }
            #expect(isRefusal(try #require(late.receiveMessage()), of: 3))
            server.stop()
        }
    }
}
