// TCP over real sockets on loopback: framing, limits, and clients that behave badly.

import Authority
import DNSWire
import Glibc
import Testing

@testable import Transport

@Suite(.serialized) struct TCPTests {
    @Test("a query is answered over IPv4 and IPv6", arguments: ["127.0.0.1", "::1"])
    func roundTrip(address: String) throws {
        let server = try startServer(["127.0.0.1:0", "[::1]:0"])
        defer { server.stop() }
        let client = try TestSocket.connected(to: address, port: server.port, stream: true)
        for id in UInt16(0)..<10 {
            client.send(framed(query(id: id)))
            #expect(isRefusal(try #require(client.receiveMessage()), of: id))
        }
    }

    @Test("a hundred queries in one write are answered in order")
    func pipelining() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        client.send((UInt16(0)..<100).flatMap { framed(query(id: $0)) })
        for id in UInt16(0)..<100 {
            #expect(isRefusal(try #require(client.receiveMessage()), of: id))
        }
        let counters = server.counters.tcp
        #expect(counters.received == 100)
        #expect(counters.answered == 100)
        #expect(counters.accepted == 1)
        #expect(counters.open == 1)
    }

    @Test("the answers to queries that came together leave together (RFC 7766, section 8)")
    func oneGo() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        client.send((UInt16(0)..<100).flatMap { framed(query(id: $0)) })
        for id in UInt16(0)..<100 {
            #expect(isRefusal(try #require(client.receiveMessage()), of: id))
        }
        // One of 3,100 octets fits a segment of loopback; a second if the queries came as two.
        #expect(try #require(client.dataSegmentsReceived) <= 2)
    }

    @Test("an answer does not wait for a later query to be complete (RFC 7766, section 6.2.1.1)")
    func notHeldByLater() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        let next = framed(query(id: 2))
        client.send(framed(query(id: 1)) + next.prefix(20))
        #expect(isRefusal(try #require(client.receiveMessage()), of: 1))
        client.send(Array(next.dropFirst(20)))
        #expect(isRefusal(try #require(client.receiveMessage()), of: 2))
    }

    @Test("a connection takes more queries than there are identifiers")
    func manyQueries() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        for block in 0..<70 {
            let ids = (block * 1_000..<(block + 1) * 1_000).map { UInt16(truncatingIfNeeded: $0) }
            client.send(ids.flatMap { framed(query(id: $0)) })
            for id in ids {
                guard let answer = client.receiveMessage(), isRefusal(answer, of: id) else {
                    Issue.record("no answer to \(id) of block \(block)")
                    return
                }
            }
        }
        #expect(server.counters.tcp.answered == 70_000)
    }

    @Test("queries that come octet by octet are answered")
    func dribble() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        var noDelay: Int32 = 1
        unsafe setsockopt(client.descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, 4)
        for id in UInt16(1)...3 {
            for octet in framed(query(id: id)) { client.send([octet]) }
            #expect(isRefusal(try #require(client.receiveMessage()), of: id))
        }
    }

    @Test("a client that closes its half gets its answers, then the other half closes")
    func halfClose() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        // The last one is not complete: it is dropped with the connection.
        client.send(
            (UInt16(0)..<50).flatMap { framed(query(id: $0)) } + framed(query(id: 99)).dropLast())
        client.finishSending()
        for id in UInt16(0)..<50 {
            #expect(isRefusal(try #require(client.receiveMessage()), of: id))
        }
        #expect(client.receive() == [])
        #expect(eventually { server.counters.tcp.open == 0 })
    }

    @Test("a client that closes its half without a query is closed")
    func emptyHalfClose() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        client.finishSending()
        #expect(client.receive() == [])
    }

    @Test("a length under 12 closes the connection, after the answers due", arguments: [0, 1, 11])
    func shortLength(length: UInt8) throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        client.send(framed(query(id: 1)) + [0, length])
        #expect(isRefusal(try #require(client.receiveMessage()), of: 1))
        #expect(client.endsWithinTimeout())
        #expect(server.counters.tcp.malformed == 1)
    }

    @Test("a message shorter than its length, then the client's end: closed, nothing to answer")
    func shorterThanItsLength() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        client.send([0, 200] + query(id: 1))
        client.finishSending()
        #expect(client.receive() == [])
        #expect(server.counters.tcp.received == 0)
        #expect(eventually { server.counters.tcp.open == 0 })
    }

    @Test("an answer of 65,535 octets comes whole, also to clients that read it slowly")
    func longestAnswer() throws {
        let server = try startServer(publisher: SnapshotPublisher(try bigAnswerSnapshot())) {
            $0.tcpIdleTimeout = .milliseconds(400)
        }
        defer { server.stop() }
        let client = try TestSocket.connected(
            to: "127.0.0.1", port: server.port, stream: true, receiveBuffer: 4_096)
        let count = 30
        client.send((0..<count).flatMap { framed(bigQuery(id: UInt16($0))) })
        var first: [UInt8] = []
        for id in 0..<count {
            let length = try #require(client.receiveExactly(2))
            try #require(length == [0xFF, 0xFF])
            var answer: [UInt8] = []
            // With these pauses all answers take some seconds, many times the idle timeout.
            while answer.count < 65_535 {
                let part = try #require(client.receive(min(9_001, 65_535 - answer.count)))
                try #require(!part.isEmpty)
                answer += part
                usleep(4_000)
            }
            if first.isEmpty { first = answer }
            let isWhole = answer.dropFirst(2) == first.dropFirst(2)
            try #require(answer[1] == UInt8(id) && answer[2] == 0x84 && isWhole)
        }
        #expect(server.counters.tcp.timedOut == 0)
    }

    @Test("a message that is no query gets no answer, and the next one does")
    func noAnswerToAnswers() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        client.send(framed(query(id: 1, response: true)) + framed(query(id: 2)))
        #expect(isRefusal(try #require(client.receiveMessage()), of: 2))
        #expect(server.counters.tcp.unanswered == 1)
    }

    @Test("the longest message there is is taken")
    func longestMessage() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try connect(to: server)
        let base = query(id: 1)
        client.send(framed(base + [UInt8](repeating: 0, count: 65_535 - base.count)))
        client.send(framed(query(id: 2)))
        var last: [UInt8] = []
        while !isRefusal(last, of: 2) { last = try #require(client.receiveMessage()) }
        #expect(server.counters.tcp.received == 2)
    }

    @Test(
        "a connection without a complete message is closed after the idle timeout",
        arguments: [[], [0xFF], [0xFF, 0xFF], [0xFF, 0xFF, 1, 2, 3]])
    func idle(octets: [UInt8]) throws {
        let server = try startServer { $0.tcpIdleTimeout = .milliseconds(200) }
        defer { server.stop() }
        let client = try connect(to: server)
        if !octets.isEmpty { client.send(octets) }
        let begin = ContinuousClock.now
        #expect(client.endsWithinTimeout())
        #expect(ContinuousClock.now - begin > .milliseconds(150))
        #expect(server.counters.tcp.timedOut == 1)
    }

    @Test("octets that complete no message do not keep a connection open")
    func slowDrip() throws {
        let server = try startServer { $0.tcpIdleTimeout = .milliseconds(200) }
        defer { server.stop() }
        let client = try connect(to: server)
        client.send([0xFF, 0xFF])
        let begin = ContinuousClock.now
        while client.send([0]), ContinuousClock.now - begin < .seconds(3) { usleep(5_000) }
        #expect(ContinuousClock.now - begin < .seconds(1))
    }

    @Test("queries keep a connection open beyond the idle timeout")
    func active() throws {
        let server = try startServer { $0.tcpIdleTimeout = .milliseconds(300) }
        defer { server.stop() }
        let client = try connect(to: server)
        let begin = ContinuousClock.now
        while ContinuousClock.now - begin < .milliseconds(900) {
            client.send(framed(query(id: 1)))
            #expect(client.receiveMessage() != nil)
            usleep(20_000)
        }
        #expect(server.counters.tcp.timedOut == 0)
    }

    @Test("beyond the limit a newcomer takes the place of the one idle for longest")
    func eviction() throws {
        let server = try startServer { $0.tcpConnections = 4 }
        defer { server.stop() }
        let clients = try (0..<4).map { try connect(to: server, from: "127.0.\($0).1") }
        for client in clients {
            client.send(framed(query(id: 1)))
            #expect(client.receiveMessage() != nil)
        }
        // The first asks again, so the second is now the one idle for longest.
        clients[0].send(framed(query(id: 2)))
        #expect(clients[0].receiveMessage() != nil)
        let newcomer = try connect(to: server, from: "127.0.9.1")
        newcomer.send(framed(query(id: 3)))
        #expect(newcomer.receiveMessage() != nil)
        #expect(clients[1].endsWithinTimeout())
        for number in [0, 2, 3] {
            clients[number].send(framed(query(id: 4)))
            #expect(clients[number].receiveMessage() != nil)
        }
        #expect(server.counters.tcp.evicted == 1)
        #expect(server.counters.tcp.open == 4)
    }

    @Test("one network cannot take the places of the others")
    func evictionInNetwork() throws {
        let server = try startServer { $0.tcpConnectionsPerNetwork = 3 }
        defer { server.stop() }
        let other = try connect(to: server, from: "127.0.1.1")
        other.send(framed(query(id: 1)))
        #expect(other.receiveMessage() != nil)
        var greedy: [TestSocket] = []
        for host in 1...20 {
            let client = try connect(to: server, from: "127.0.0.\(host)")
            client.send(framed(query(id: 1)))
            #expect(client.receiveMessage() != nil)
            greedy.append(client)
        }
        #expect(server.counters.tcp.evicted == 17)
        #expect(server.counters.tcp.open == 4)
        other.send(framed(query(id: 2)))
        #expect(other.receiveMessage() != nil)
        #expect(greedy[0].endsWithinTimeout())
    }

    @Test("a client that never reads is not read from either, and is closed")
    func neverReads() throws {
        let server = try startServer { $0.tcpIdleTimeout = .milliseconds(500) }
        defer { server.stop() }
        let client = try TestSocket.connected(
            to: "127.0.0.1", port: server.port, stream: true, timeoutMilliseconds: 5_000,
            receiveBuffer: 4_096)
        let block = (UInt16(0)..<1_000).flatMap { framed(query(id: $0)) }
        var sent = 0
        // Ends when the server has closed: until then the send blocks, as nothing is read. What
        // was sent by then filled the client's own buffer (at most 4 MiB) and the server's.
        while sent < 12_000_000, client.send(block) { sent += block.count }
        #expect(sent < 10_000_000)
        #expect(eventually { server.counters.tcp.open == 0 })
        #expect(server.counters.tcp.timedOut == 1)
    }

    @Test("a client that reads late gets every answer in order")
    func readsLate() throws {
        let server = try startServer()
        defer { server.stop() }
        let client = try TestSocket.connected(
            to: "127.0.0.1", port: server.port, stream: true, receiveBuffer: 4_096)
        let count = 20_000
        let writer = Thread {
            client.send((0..<count).flatMap { framed(query(id: UInt16($0))) })
            client.finishSending()
        }
        usleep(100_000)
        for id in 0..<count {
            guard let answer = client.receiveMessage(), isRefusal(answer, of: UInt16(id)) else {
                Issue.record("no answer to \(id)")
                break
            }
        }
        writer.join()
        #expect(client.receive() == [])
    }

    @Test("resets at any moment harm nobody")
    func resets() throws {
        let server = try startServer()
        defer { server.stop() }
        let block = (UInt16(0)..<500).flatMap { framed(query(id: $0)) }
        // The server's own ends alone: other tests of this process open sockets at the same time.
        func socketCount() -> Int { (0..<4_096).count { localPort(of: $0) == server.port } }
        let before = socketCount() + 1
        for round in 0..<200 {
            let client = try connect(to: server)
            client.resetOnClose()
            client.send(Array(block.prefix(round * 61 % block.count + 1)))
            if round % 3 == 1 { _ = client.receive(10) }
        }
        let client = try connect(to: server)
        client.send(framed(query(id: 1)))
        #expect(isRefusal(try #require(client.receiveMessage()), of: 1))
        #expect(eventually { server.counters.tcp.open == 1 })
        // Those that were gone before the server looked are not counted, but closed as well.
        #expect(eventually { socketCount() == before })
    }
}
