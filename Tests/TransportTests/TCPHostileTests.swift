// TCP clients that behave badly: what they can cost the server and the other clients. Lessons L35 and
// L36 of other servers' bugs: slots, leaked sockets, clients that never read, unbounded work.

import Authority
import CLinux
import DNSWire
import Glibc
import Testing
import Transport

@Suite(.serialized) struct TCPHostileTests {
    @Test("clients that never read cost no more memory than is stated (lesson L35: CVE-2024-0760)")
    func memoryOfNeverReaders() async {
        // In a process of its own: nothing else grows meanwhile.
        await #expect(processExitsWith: .success) {
            let publisher = SnapshotPublisher(try bigAnswerSnapshot())
            let server = try startServer(publisher: publisher)
            let block = (UInt16(0)..<20_000).flatMap { framed(bigQuery(id: $0)) }
            func stuck(_ number: Int, endsHalf: Bool) throws -> TestSocket {
                let client = try connect(
                    to: server, from: "127.0.\(number % 8).1", timeoutMilliseconds: 20)
                // As much as the server's window holds: at the end of a half it is all read,
                // whether there is room for answers or not.
                client.send(endsHalf ? Array(block.prefix(120_000)) : block)
                if endsHalf { client.finishSending() }
                return client
            }
            // The first ones warm up: code, caches, the allocator.
            var clients = try (0..<16).map { try stuck($0, endsHalf: $0 % 2 == 0) }
            try #require(untilQuiet(server, connections: clients.count))
            for endsHalf in [false, true] {
                let before = residentOctets()
                clients += try (0..<64).map { try stuck($0, endsHalf: endsHalf) }
                try #require(untilQuiet(server, connections: clients.count))
                let each = (residentOctets() - before) / 64
                #expect(each < TransportLimits.worstConnectionOctets, "\(each) octets")
            }
            server.stop()
        }
    }

    @Test("a client that took its answers late, and is idle then, has no memory kept for it")
    func memoryOfLateReaders() async {
        // In a process of its own: nothing else grows meanwhile.
        await #expect(processExitsWith: .success) {
            let publisher = SnapshotPublisher(try bigAnswerSnapshot())
            let server = try startServer(publisher: publisher)
            // More than both sides' buffers hold, so that the server has to wait for room.
            let block = (UInt16(0)..<16).flatMap { framed(bigQuery(id: $0)) }
            func idle(_ number: Int) throws -> TestSocket {
                let client = try TestSocket(stream: true)
                var octets: Int32 = 64 << 10
                // Safe: the value lives through the call.
                unsafe setsockopt(client.descriptor, SOL_SOCKET, SO_RCVBUF, &octets, 4)
                let (source, target) = ("127.0.\(number % 8).1", "127.0.0.1")
                for (text, port, connects) in [(source, 0, false), (target, server.port, true)] {
                    let address = try #require(IPAddress(text))
                    try #require(client.bindOrConnect(address, port, connects: connects) == 0)
                }
                let before = server.counters.tcp.answered
                client.send(block)
                try #require(eventually { server.counters.tcp.answered > before })
                for _ in 0..<16 { try #require(client.receiveMessage()?.count == 65_535) }
                return client
            }
            // The first ones warm up: code, caches, the allocator.
            var clients = try (0..<32).map(idle)
            cln_trim_memory()
            let before = residentOctets()
            clients += try (0..<128).map(idle)
            // Its socket is the kernel's; here it is some hundred octets.
            let isSmall = eventually {
                cln_trim_memory()
                return (residentOctets() - before) / 128 < 4_096
            }
            #expect(isSmall, "\((residentOctets() - before) / 128) octets each")
            #expect(server.counters.tcp.open == clients.count)
            server.stop()
        }
    }

    @Test("sockets of clients that closed their half do not stay (lesson L35: CVE-2022-0396)")
    func closeWait() throws {
        let publisher = SnapshotPublisher(try bigAnswerSnapshot())
        let server = try startServer(publisher: publisher) {
            $0.tcpIdleTimeout = .milliseconds(300)
        }
        defer { server.stop() }
        let endings: [[UInt8]] = [
            [], [0], framed(query(id: 1)), framed(query(id: 1)).dropLast(),
            (UInt16(0)..<100).flatMap { framed(bigQuery(id: $0)) },
            (UInt16(0)..<100).flatMap { framed(bigQuery(id: $0)) } + [0xFF, 0xFF, 0],
            [0, 3, 1, 2, 3],
        ]
        // They keep their sockets open and never read; the first ones end at once.
        let clients = try (0..<70).map { number in
            let client = try connect(to: server)
            client.send(endings[number % endings.count])
            client.finishSending()
            return client
        }
        #expect(eventually { server.counters.tcp.accepted == 70 })
        #expect(eventually { server.counters.tcp.open == 0 })
        #expect(eventually { !socketStates(of: server.port).contains(8) })
        #expect(clients.count == 70)
    }

    @Test("a connection that ends before it is looked at leaves nothing")
    func goneBeforeAccept() throws {
        let server = try startServer()
        defer { server.stop() }
        for number in 0..<300 {
            let client = try connect(to: server)
            if number % 2 == 0 { client.resetOnClose() }
        }
        #expect(eventually { socketStates(of: server.port).allSatisfy { $0 == 10 || $0 == 6 } })
        #expect(server.counters.tcp.open == 0)
    }

    @Test("what one client pipelines does not hold up another (lesson L36: work is bounded)")
    func floodIsFair() throws {
        let server = try startServer(publisher: SnapshotPublisher(try bigAnswerSnapshot()))
        defer { server.stop() }
        let block = (UInt16(0)..<1_000).flatMap { framed(query(id: $0)) }
        let big = (UInt16(0)..<200).flatMap { framed(bigQuery(id: $0)) }
        // Sixteen that send all they can and take nothing, so that all their work waits.
        let stuck = try (0..<16).map { number in
            let client = try connect(to: server, timeoutMilliseconds: 20)
            client.send(number % 2 == 0 ? block + block : big)
            return client
        }
        let client = try connect(to: server, from: "127.0.3.1")
        for id in UInt16(0)..<200 {
            for greedy in stuck { greedy.sendNow(block) }
            client.send(framed(query(id: id)))
            // Within the client's 3 seconds, on a machine however busy.
            try #require(client.receiveMessage()?.prefix(2) == query(id: id).prefix(2))
        }
        // Little of what was sent is worked on: nobody takes the answers.
        #expect(server.counters.tcp.answered < 200 + 16 * 20_000)
    }
}

/// Waits until that many connections are open and nothing more is answered; false after 8 seconds.
private func untilQuiet(_ server: DNSServer, connections: Int) -> Bool {
    var before = server.counters.tcp
    for _ in 0..<40 {
        usleep(200_000)
        let now = server.counters.tcp
        if now.open == connections, now == before { return true }
        before = now
    }
    return false
}

/// The memory of this process that is really there.
private func residentOctets() -> Int {
    var pages = 0
    // Safe: the stream is closed below; the format has one number, which goes into one variable.
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    unsafe fgets(&line, Int32(line.count), file)
    let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let words = text.split(separator: " ")
    if words.count > 1 { pages = Int(words[1]) ?? 0 }
    return pages * sysconf(Int32(_SC_PAGESIZE))
}
