// The whole server under 100,000 mutated packets over UDP, and as many over TCP. What must hold of
// each answer is in TestSupport/AnswerFault.swift.

import Authority
import DNSWire
import Glibc
import TestSupport
import Testing
import Transport

@Suite(.serialized) struct MutatedServerTests {
    static let packets = 100_000
    /// Packets that may be unanswered at a time: far fewer than a socket's buffer holds.
    static let inFlight = 64

    /// Packets in windows, their IDs in order, so that an answer tells which it is for.
    private func windows(seed: UInt64, shortest: Int) throws -> [[[UInt8]]] {
        let queries = try scenarioFiles.flatMap { file in
            try Scenario(scenarioText(file)).queries.map(\.packet).filter { $0.count >= 12 }
        }
        #expect(queries.count > 200)
        var mutator = PacketMutator(queries, seed: seed)
        var windows: [[[UInt8]]] = []
        var packets: [[UInt8]] = []
        var number = 0
        while number < Self.packets {
            var packet = mutator.next()
            guard packet.count >= shortest else { continue }
            if packet.count >= 2 {
                packet[0] = UInt8(number >> 8 & 255)
                packet[1] = UInt8(number & 255)
            }
            packets.append(packet)
            number += 1
            if packets.count == Self.inFlight || number == Self.packets {
                windows.append(packets)
                packets = []
            }
        }
        return windows
    }

    /// A server with a scenario that has something of everything.
    private func withServer(
        _ scenario: String, _ body: (IPAddress, UInt16) throws -> Void
    ) throws {
        let file = try #require(scenarioFiles.first { $0.hasSuffix("/\(scenario).scenario") })
        let publisher = SnapshotPublisher(try LoadedScenario(file).test.snapshot(down: []))
        let loopback = try #require(IPAddress("127.0.0.1"))
        let server = DNSServer(
            listen: [ListenAddress(address: loopback, port: 0)], workers: 1,
            limits: TransportLimits(), publisher: publisher)
        try server.start()
        defer { server.stop() }
        try body(loopback, try #require(server.boundAddresses.first).port)
    }

    /// Checks a window: each query answered once, nothing else sent. False after a fault.
    private func check(
        _ window: [[UInt8]], _ answers: [[UInt8]], overTCP: Bool
    ) -> Bool {
        var byID: [[UInt8]: [UInt8]] = [:]
        for answer in answers {
            if byID.updateValue(answer, forKey: Array(answer.prefix(2))) != nil {
                Issue.record("two answers to one query: \(answer)")
                return false
            }
        }
        for packet in window {
            let answer = byID.removeValue(forKey: Array(packet.prefix(2))) ?? []
            if let fault = answerFault(answer, to: packet, overTCP: overTCP) {
                Issue.record("\(fault): \(packet)")
                return false
            }
        }
        if let stray = byID.values.first {
            Issue.record("an answer to nothing that was asked: \(stray)")
            return false
        }
        return true
    }

    @Test(
        "a server answers 100,000 mutated messages by the rules, each query once",
        .timeLimit(.minutes(2)), arguments: [false, true])
    func mutated(overTCP: Bool) throws {
        // Less than a header ends a connection of TCP, so there it is no message.
        let windows = try windows(seed: overTCP ? 6 : 5, shortest: overTCP ? 12 : 1)
        try withServer(overTCP ? "steering-hosts" : "steering") { address, port in
            let connection = try #require(
                TestConnection(overTCP: overTCP, address: address, port: port))
            for window in windows {
                #expect(connection.send(window))
                let answers = connection.receive(window.count { isAnswered($0) })
                guard check(window, answers, overTCP: overTCP) else { return }
            }
            // An answer too many would come before this one.
            #expect(connection.send([TestQuery("www.example.com.", .a).wire]))
            #expect(connection.receive(1).first?.prefix(2) == [0x2A, 0x2A])
        }
    }

    private func isAnswered(_ packet: [UInt8]) -> Bool {
        packet.count >= 12 && packet[2] & 0x80 == 0
    }
}
