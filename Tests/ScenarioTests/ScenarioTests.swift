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
        for name in ["rfc1034-6.2", "rfc4592-2.2.1", "delegations", "ecs", "edns", "steering"] {
            #expect(names.contains(name + ".scenario"))
        }
    }

    @Test(
        "each query of a scenario gets exactly the message that is written",
        arguments: scenarioFiles)
    func inProcess(_ file: String) throws {
        let loaded = try LoadedScenario(file)
        var responder = Responder(seed: 1)
        for query in loaded.scenario.queries {
            let snapshot = loaded.test.snapshot(down: query.down)
            var space = [UInt8](repeating: 0, count: Responder.maximumAnswerLength)
            var answer = space.mutableSpan
            let wire = query.query.wire
            let length = responder.respond(
                to: wire.span,
                Arrival(
                    from: query.source, over: query.overTCP ? .tcp : .udp, at: 0, idleTimeout: 100),
                with: snapshot, into: &answer)
            expect(Array(space.prefix(length)), for: query, in: file)
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
        for query in loaded.scenario.queries where query.source == loopback {
            publisher.publish(loaded.test.snapshot(down: query.down))
            let answer =
                query.overTCP
                ? TestClient.askOverTCP([query.query.wire], address: loopback, port: port).first
                : TestClient.askOverUDP(query.query.wire, address: loopback, port: port)
            expect(answer ?? [], for: query, in: file)
        }
    }

    private func expect(_ octets: [UInt8], for query: Scenario.Query, in file: String) {
        let name = file.split(separator: "/").last ?? ""
        let answer = TestAnswer(octets)
        #expect(
            normalised(answer?.text ?? "no readable answer of \(octets.count) octets")
                == normalised(query.expected), "\(name):\(query.line)")
        #expect(answer?.id == query.query.id, "\(name):\(query.line)")
    }

    /// Runs of blanks count as one, as in master files.
    private func normalised(_ text: String) -> String {
        text.split(separator: "\n").map {
            $0.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
        }.joined(separator: "\n")
    }
}
