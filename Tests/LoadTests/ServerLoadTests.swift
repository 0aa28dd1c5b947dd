// The load against the server that it is made for, in this process, over both carriers.

import Authority
import DNSWire
import Settings
import TestSupport
import Testing
import Transport

@testable import Load

@Suite(.serialized) struct ServerLoadTests {
    private static let zone = """
        $TTL 60
        @ SOA ns1 hostmaster 1 3600 600 604800 60
        @ NS ns1
        ns1 A 192.0.2.53
        www A 192.0.2.1
        long TXT \((0..<8).map { _ in "\"" + String(repeating: "x", count: 250) + "\"" }
            .joined(separator: " "))
        """

    /// Questions and what they have to be answered with, in lines as a file has them.
    private static let questions = """
        www.example.com A ANSWER
        www.example.com AAAA NODATA
        nobody.example.com A NXDOMAIN
        elsewhere.example.net A REFUSED
        """

    private func run(_ lines: String, change: (inout LoadPlan) -> Void) throws -> (
        LoadResult, TransportCounters
    ) {
        let content = try TestContent(zones: [("example.com.", Self.zone)])
        let address = try #require(IPAddress("::1"))
        let server = DNSServer(
            listen: [ListenAddress(address: address, port: 0)], workers: 2,
            publisher: SnapshotPublisher(content.snapshot()))
        try server.start()
        defer { server.stop() }
        var diagnostics = Diagnostics()
        let questions = Question.read(lines, file: "q", &diagnostics)
        let clients = try ["192.0.2.0/24", "2001:db8::/56"].map { try #require(IPNetwork($0)) }
        var plan = LoadPlan(
            server: address, port: try #require(server.boundAddresses.first).port)
        plan.seconds = 0.3
        plan.patienceMilliseconds = 3_000
        change(&plan)
        let result = runLoad(plan, QueryList(questions, clients: clients))
        server.stop()
        return (result, server.counters)
    }

    @Test(
        "all is answered, and rightly, by closed and open loop, over UDP and TCP", arguments: 0..<3)
    func rightAnswers(way: Int) throws {
        let (load, server) = try run(Self.questions) { plan in
            if way == 1 { plan.rate = 500 }
            plan.overTCP = way == 2
            plan.inFlight = 16
        }
        #expect(load.sent > 0 && load.answered == load.sent)
        #expect(load.lost == 0 && load.wrong == 0 && load.stray == 0 && load.truncated == 0)
        #expect(server.udp.answered + server.tcp.answered == load.sent)
        // Each of the four comes in turn: twice as many NOERROR as of the others.
        let quarter = Double(load.sent) / 4
        for (code, share) in [(0, 2.0), (3, 1), (5, 1)] {
            #expect(abs(Double(load.codes[code]) - share * quarter) <= 2)
        }
    }

    @Test("an answer that is too long for UDP is truncated, and counts as other than expected")
    func truncated() throws {
        let (load, _) = try run("long.example.com TXT ANSWER") { $0.inFlight = 16 }
        #expect(load.truncated == load.answered && load.answered > 0)
        #expect(load.faults[Int(AnswerFault.otherAnswer.rawValue)] == load.answered)
        let (overTCP, _) = try run("long.example.com TXT ANSWER") { $0.overTCP = true }
        #expect(overTCP.truncated == 0 && overTCP.wrong == 0 && overTCP.answered > 0)
    }
}
