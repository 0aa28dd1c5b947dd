// UDP over real sockets on loopback.

import Authority
import DNSWire
import Glibc
import Testing
import Transport

@Suite(.serialized) struct UDPTests {
    @Test(
        "a query is answered over IPv4 and IPv6 on one port",
        arguments: ["127.0.0.1", "::1"])
    func roundTrip(address: String) throws {
        let server = try startServer(["127.0.0.1:0", "[::1]:0"])
        defer { server.stop() }
        #expect(Set(server.boundAddresses.map(\.port)).count == 1)
        let client = try TestSocket.connected(to: address, port: server.port, stream: false)
        client.send(query(id: 0x1234))
        #expect(isRefusal(try #require(client.receive()), of: 0x1234))
    }

    @Test(
        "on a wildcard address the answer leaves from the address that was asked",
        arguments: [("0.0.0.0:0", "127.0.0.5"), ("0.0.0.0:0", "127.9.8.7"), ("[::]:0", "::1")])
    func askedAddress(listen: String, asked: String) throws {
        let server = try startServer([listen])
        defer { server.stop() }
        // Connected: an answer from any other address would not arrive here.
        let client = try TestSocket.connected(to: asked, port: server.port, stream: false)
        for id in UInt16(0)..<40 {
            client.send(query(id: id))
            #expect(isRefusal(try #require(client.receive()), of: id))
        }
    }

    @Test("an IPv4 wildcard and an IPv6 wildcard live side by side")
    func bothWildcards() throws {
        let server = try startServer(["0.0.0.0:0", "[::]:0"])
        defer { server.stop() }
        for asked in ["127.0.0.1", "::1"] {
            let client = try TestSocket.connected(to: asked, port: server.port, stream: false)
            client.send(query(id: 7))
            #expect(isRefusal(try #require(client.receive()), of: 7))
        }
    }

    @Test("ten thousand queries, 64 in flight over 8 sockets, are all answered, each once")
    func noLoss() throws {
        let server = try startServer(["127.0.0.1:0"])
        defer { server.stop() }
        let clients = try (0..<8).map { _ in
            try TestSocket.connected(to: "127.0.0.1", port: server.port, stream: false)
        }
        var answered = 0
        for round in 0..<157 {
            for (number, client) in clients.enumerated() {
                for slot in 0..<8 { client.send(query(id: UInt16(round * 64 + number * 8 + slot))) }
            }
            for (number, client) in clients.enumerated() {
                var missing = Set((0..<8).map { UInt16(round * 64 + number * 8 + $0) })
                while let id = missing.first, let answer = client.receive(512) {
                    let got = UInt16(answer[0]) << 8 | UInt16(answer[1])
                    #expect(isRefusal(answer, of: got))
                    #expect(missing.remove(got) != nil, "\(got) while waiting for \(id)")
                    answered += 1
                }
            }
        }
        #expect(answered == 157 * 64)
        #expect(eventually { server.counters.udp.answered == UInt64(answered) })
        #expect(server.counters.udp.sendErrors == 0)
        #expect(server.counters.udp.unanswered == 0)
    }

    @Test("answers, empty, short and oversized datagrams get no answer and harm nobody")
    func junk() throws {
        let server = try startServer(["127.0.0.1:0"], workers: 1)
        defer { server.stop() }
        let client = try TestSocket.connected(to: "127.0.0.1", port: server.port, stream: false)
        client.send(query(id: 1, response: true))
        client.send([])
        client.send([0xAB])
        client.send(Array(query(id: 2).prefix(11)))
        client.send(query(id: 3) + [UInt8](repeating: 0, count: 4_096))
        client.send([UInt8](repeating: 0, count: 60_000))
        client.send(query(id: 4))
        // One worker, one socket: whatever was answered before would come before.
        #expect(isRefusal(try #require(client.receive()), of: 4))
        #expect(eventually { server.counters.udp.received == 7 })
        let counters = server.counters.udp
        #expect(counters.answered == 1)
        #expect(counters.unanswered == 4)
        #expect(counters.oversized == 2)
    }

    @Test("a query of exactly 4,096 octets is looked at")
    func longestQuery() throws {
        let server = try startServer(["127.0.0.1:0"], workers: 1)
        defer { server.stop() }
        let client = try TestSocket.connected(to: "127.0.0.1", port: server.port, stream: false)
        let base = query(id: 5)
        client.send(base + [UInt8](repeating: 0, count: 4_096 - base.count))
        client.send(query(id: 6))
        var answers: [[UInt8]] = []
        while answers.last.map({ $0[1] }) != 6 { answers.append(try #require(client.receive())) }
        #expect(server.counters.udp.oversized == 0)
    }

    @Test("clients that are gone do not cost the others their answers")
    func goneClients() throws {
        let server = try startServer(["127.0.0.1:0"], workers: 1)
        defer { server.stop() }
        let client = try TestSocket.connected(to: "127.0.0.1", port: server.port, stream: false)
        for id in UInt16(0)..<100 {
            let gone = try TestSocket.connected(to: "127.0.0.1", port: server.port, stream: false)
            gone.send(query(id: id))
            client.send(query(id: id))
        }
        for id in UInt16(0)..<100 {
            #expect(isRefusal(try #require(client.receive()), of: id))
        }
    }

    @Test("a published snapshot is in use with the next query, and the old one is let go")
    func snapshotSwitch() throws {
        let publisher = SnapshotPublisher(emptySnapshot())
        let server = try startServer(["127.0.0.1:0"], workers: 1, publisher: publisher)
        defer { server.stop() }
        let client = try TestSocket.connected(to: "127.0.0.1", port: server.port, stream: false)
        client.send(query(id: 0))
        _ = try #require(client.receive())
        for id in UInt16(1)...20 {
            weak let old = publisher.current.snapshot
            publisher.publish(emptySnapshot())
            client.send(query(id: id))
            #expect(isRefusal(try #require(client.receive()), of: id))
            // The TCP loop looks only when it has something to do, at the latest in its sweep.
            let stream = try TestSocket.connected(to: "127.0.0.1", port: server.port, stream: true)
            stream.send(framed(query(id: id)))
            _ = try #require(stream.receiveMessage())
            #expect(old == nil)
        }
    }

    @Test("an idle server lets go of an old snapshot too")
    func idleSnapshotSwitch() throws {
        let publisher = SnapshotPublisher(emptySnapshot())
        let server = try startServer(["127.0.0.1:0"], publisher: publisher) {
            $0.tcpIdleTimeout = .seconds(1)
        }
        defer { server.stop() }
        weak let old = publisher.current.snapshot
        publisher.publish(emptySnapshot())
        #expect(eventually { old == nil })
    }

    @Test("stop answers what has arrived, ends all threads and frees the port within a second")
    func stop() throws {
        let server = try startServer(["127.0.0.1:0", "[::1]:0"])
        let client = try TestSocket.connected(
            to: "127.0.0.1", port: server.port, stream: false)
        // As many answers as the client's receive buffer surely holds.
        let sent = UInt16(200)
        for id in 0..<sent { client.send(query(id: id)) }
        let begin = ContinuousClock.now
        server.stop()
        #expect(ContinuousClock.now - begin < .seconds(1))
        for id in 0..<sent { #expect(isRefusal(try #require(client.receive()), of: id)) }
        // All sockets are closed: the same port can be taken without SO_REUSEPORT.
        let address = server.boundAddresses[0]
        let next = try TestSocket(stream: false)
        #expect(next.bindOrConnect(address.address, address.port, connects: false) == 0)
        server.stop()
        #expect(throws: TransportError.startedBefore) { try server.start() }
        #expect(throws: TransportError.startedBefore) { try server.open() }
    }

    @Test("from open to start queries wait, TCP clients are refused, and the port is taken")
    func opened() throws {
        let address = try #require(ListenAddress("127.0.0.1:0"))
        let publisher = SnapshotPublisher(emptySnapshot())
        let server = DNSServer(listen: [address], workers: 2, publisher: publisher)
        try server.open()
        defer { server.stop() }
        let client = try TestSocket.connected(
            to: "127.0.0.1", port: server.port, stream: false)
        client.send(query(id: 7))
        let early = try TestSocket(stream: true)
        #expect(early.bindOrConnect(address.address, server.port, connects: true) != 0)
        try server.start()
        #expect(isRefusal(try #require(client.receive()), of: 7))
        _ = try connect(to: server)
        let second = DNSServer(listen: server.boundAddresses, workers: 1, publisher: publisher)
        #expect(
            throws: TransportError.cannotListen(
                server.boundAddresses[0], .tcp, call: "bind", code: EADDRINUSE)
        ) { try second.open() }
    }

    @Test("a server that is only open is noticed by the next, and its stop frees its port")
    func openedTwice() throws {
        let address = try #require(ListenAddress("127.0.0.1:0"))
        let publisher = SnapshotPublisher(emptySnapshot())
        let first = DNSServer(listen: [address], workers: 1, publisher: publisher)
        try first.open()
        let bound = first.boundAddresses
        let second = DNSServer(listen: bound, workers: 1, publisher: publisher)
        #expect(
            throws: TransportError.cannotListen(bound[0], .udp, call: "bind", code: EADDRINUSE)
        ) { try second.open() }
        try first.start()
        first.stop()
        let third = DNSServer(listen: bound, workers: 1, publisher: publisher)
        try third.open()
        third.stop()
        let free = try TestSocket(stream: false)
        #expect(free.bindOrConnect(bound[0].address, bound[0].port, connects: false) == 0)
    }
}
