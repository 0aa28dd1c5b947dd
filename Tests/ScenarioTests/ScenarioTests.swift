// Every scenario file, in process and over real sockets: one truth.

import Authority
import Cryptography
import DNSWire
import Settings
import Synchronization
import TestSupport
import Testing
import Transport

/// A scenario with its content.
struct LoadedScenario {
    let scenario: Scenario
    let test: TestContent

    init(_ file: String) throws {
        scenario = try Scenario(scenarioText(file))
        var answers = AnswerSettings(identity: "scenario")
        answers.cookies = CookieSecrets(current: SipHashKey(0..<16))
        test = try TestContent(scenario, answers: answers)
    }
}

let scenarioFiles: [String] = {
    let directory = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    return listFiles("/\(directory)/Scenarios").filter { $0.hasSuffix(".scenario") }.sorted()
}()

func scenarioText(_ file: String) throws -> String {
    String(decoding: try readFile(path: file, limit: 1 << 20), as: UTF8.self)
}

@Suite struct ScenarioTests {
    @Test("there are scenarios")
    func scenariosExist() {
        let names = scenarioFiles.compactMap { $0.split(separator: "/").last.map(String.init) }
        for name in ["rfc1034-6.2", "rfc4592-2.2.1", "rfc8906-8", "steering"] {
            #expect(names.contains(name + ".scenario"))
        }
    }

    @Test(
        "each query of a scenario gets exactly the message that is written",
        arguments: scenarioFiles)
    func inProcess(_ file: String) throws {
        let loaded = try LoadedScenario(file)
        var responder = Responder(seed: 1)
        var space = [UInt8](repeating: 0, count: Responder.maximumAnswerLength)
        for query in loaded.scenario.queries {
            let snapshot = loaded.test.snapshot(down: query.down, soon: query.soon)
            for carrier in query.carriers {
                var answer = space.mutableSpan
                let length = responder.respond(
                    to: query.packet.span,
                    Arrival(from: query.source, over: carrier, at: 0, idleTimeout: 100),
                    with: snapshot, into: &answer)
                expect(Array(space.prefix(length)), for: query, over: carrier, in: file)
            }
        }
    }

    @Test("each query gets the same message over real UDP and TCP", arguments: scenarioFiles)
    func overTheWire(_ file: String) throws {
        let loaded = try LoadedScenario(file)
        let publisher = SnapshotPublisher(Snapshot(loaded.test.content))
        let loopback = try #require(IPAddress("127.0.0.1"))
        let server = DNSServer(
            listen: [ListenAddress(address: loopback, port: 0)], workers: 1,
            limits: TransportLimits(), publisher: publisher)
        try server.start()
        defer { server.stop() }
        let port = try #require(server.boundAddresses.first).port
        for carrier in [Carrier.udp, .tcp] {
            let connection = try #require(
                TestConnection(overTCP: carrier == .tcp, address: loopback, port: port))
            for query in loaded.scenario.queries
            where query.source == loopback && query.carriers.contains(carrier) {
                publisher.publish(
                    loaded.test.snapshot(down: query.down, soon: query.soon))
                // What gets no answer is followed by what does, which then comes first.
                #expect(
                    connection.send(query.isSilent ? [query.packet, Self.last] : [query.packet]))
                let answer = connection.receive(1).first ?? []
                let isLast = answer.prefix(2) == Self.last.prefix(2)
                expect(
                    query.isSilent && isLast ? [] : answer, for: query, over: carrier, in: file)
            }
        }
    }

    /// A query with an ID of its own.
    private static let last: [UInt8] = {
        var query = TestQuery("example.com.", .soa)
        query.id = 0x0DDB
        return query.wire
    }()

    private func expect(
        _ octets: [UInt8], for query: Scenario.Query, over carrier: Carrier, in file: String
    ) {
        let place = "\(file.split(separator: "/").last ?? ""):\(query.line) over \(carrier)"
        #expect(text(of: octets, for: query) == normalised(query.expected), "\(place)")
        let fault = answerFault(octets, to: query.packet, overTCP: carrier == .tcp)
        #expect(fault == nil, "\(place)")
    }

    private func text(of octets: [UInt8], for query: Scenario.Query) -> String {
        if octets.isEmpty { return Scenario.nothing }
        guard let answer = TestAnswer(octets) else {
            return "no readable answer of \(octets.count) octets"
        }
        // The length is compared where the scenario states one.
        let length = query.expected.hasSuffix(" octets") ? "\n;; \(octets.count) octets" : ""
        return normalised(answer.text + length)
    }

    /// Runs of blanks count as one, as in master files.
    private func normalised(_ text: String) -> String {
        text.split(separator: "\n").map {
            $0.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
        }.joined(separator: "\n")
    }
}

extension Scenario.Query {
    var carriers: [Carrier] { (overUDP ? [.udp] : []) + (overTCP ? [.tcp] : []) }
}
