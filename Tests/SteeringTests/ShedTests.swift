// Pools that leave a share of their clients to others: the same ones always, through services as well.

import DNSWire
import Settings
import Testing

@testable import Steering

@Suite("pools that leave clients to others")
struct ShedTests {
    @Test("a share of the prefixes goes to the next pool, the same ones always, with their scope")
    func shed() throws {
        let text = { (shed: Int) in
            """
            pools:
              a: { shed: \(shed)%, origins: { o: { addresses: 192.0.2.1 } } }
              b: { origins: { o: { addresses: 192.0.2.2 } } }
            services: { s: { rules: [{ pools: [a, b] }] } }
            """
        }
        func gone(_ shed: Int, down: Set<String> = []) throws -> Set<Int> {
            let state = makeState(try makeSteering(text(shed)), down: down)
            var gone: Set<Int> = []
            for number in 0..<4_000 {
                let client = "10.\(number >> 8).\(number & 255).1"
                let decision = try state.decide("s", client)
                #expect(decision.scope == (shed == 0 || down.contains("a") ? 0 : 24))
                if decision.pool == 1 { gone.insert(number) }
            }
            return gone
        }
        #expect(try gone(0).isEmpty)
        let some = try gone(20)
        #expect(abs(some.count - 800) < 110)
        #expect(try gone(50).isSuperset(of: some), "more shed moves more, and none back")
        #expect(try gone(100).count == 4_000)
        #expect(try gone(20, down: ["a"]).count == 4_000)
        #expect(try gone(20, down: ["b"]).isEmpty, "the last one takes all")
    }

    @Test("the explanation says that a pool left this client to others")
    func explained() throws {
        let state = try state(
            makeSteering(
                """
                pools:
                  a: { shed: 100, origins: { o: { addresses: 192.0.2.1 } } }
                  b: { origins: { o: { addresses: 192.0.2.2 } } }
                services: { s: { rules: [{ pools: [a, b] }] } }
                """))
        let explanation = state.explain(
            service: 0, client: Client(address("10.0.0.1")), random: 0)
        #expect(explanation.candidates.map(\.verdict) == [.shed, .chosen])
        #expect(explanation.text.contains("leaves 100 % of clients to others"))
    }
}

@Suite("pools that leave clients to others, and spares")
struct ShedAndSpareTests {
    @Test(
        "a pool that leaves all its clients to others does so from within a service, and as a spare"
    )
    func drained() throws {
        let state = try makeState(
            makeSteering(
                """
                pools:
                  a: { origins: { o: { addresses: 192.0.2.1 } } }
                  b: { shed: 100%, origins: { o: { addresses: 192.0.2.2 } } }
                  c: { origins: { x: { addresses: 192.0.2.3 }, y: { addresses: 192.0.2.4 } } }
                services:
                  nested: { rules: [{ pools: [{ service: inner }, c] }] }
                  inner: { rules: [{ pools: [b] }] }
                  spare: { rules: [{ spare: true, pools: [a, b, c] }] }
                  twin: { rules: [{ spare: true, pools: [a, b, c] }] }
                """))
        #expect(try state.pool("nested", "10.0.0.1") == "c")
        #expect(try state.pool("inner", "10.0.0.1") == "b", "nobody else is there")
        var spares: Set<String> = []
        for random in 0..<64 {
            let answers = try state.answers("spare", "10.0.0.1", random: UInt64(random) << 58)
            #expect(answers.count == 2 && answers[0] == "192.0.2.1")
            spares.insert(answers[1])
        }
        #expect(spares == ["192.0.2.3", "192.0.2.4"], "any address of the spare pool")
        // Services of equal rules share what is compiled, not their places in the file.
        let twin = state.explain(
            service: try #require(state.steering.service(named: "twin")),
            client: Client(address("10.0.0.1")), random: 0)
        #expect(twin.levels[0].service == "twin")
        #expect(twin.rules[0].position.line == twin.servicePosition.line)
    }

    @Test("pools of a rule with a spare have no address in common")
    func commonAddress() {
        let messages = parse(
            """
            pools:
              a: { origins: { o: { addresses: 192.0.2.1 } } }
              b: { origins: { o: { addresses: 192.0.2.1 } } }
            services: { s: { rules: [{ spare: true, pools: [a, b] }] } }
            """
        ).messages
        #expect(messages.count == 1 && messages[0].contains("both have 192.0.2.1"), "\(messages)")
    }

    @Test("a service named as a pool is told how it is named")
    func scalar() {
        let messages = parse(
            """
            pools: { p: { origins: { o: { addresses: 192.0.2.1 } } } }
            services: { a: { rules: [{ pools: p }] }, b: { rules: [{ pools: [a] }] } }
            """
        ).messages
        #expect(messages.count == 1 && messages[0].contains("write { service: a }"), "\(messages)")
    }
}
