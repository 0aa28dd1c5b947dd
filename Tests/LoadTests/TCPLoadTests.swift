// The load over TCP against a responder that answers as a row says.

import DNSWire
import Testing

@testable import Load

@Suite(.serialized) struct TCPLoadTests {
    private static func plan(_ port: UInt16, seconds: Double = 0.3) -> LoadPlan {
        var plan = LoadPlan(server: IPAddress("127.0.0.1")!, port: port)
        plan.overTCP = true
        plan.inFlight = 7
        plan.seconds = seconds
        return plan
    }

    private static func run(
        _ plan: (UInt16) -> LoadPlan, names: [String] = ["a.example.", "b.example.", "c.example."],
        until isStopped: () -> Bool = { false },
        _ behaviour: @escaping Responder.Behaviour
    ) throws -> (load: LoadResult, responder: Responder.Counts) {
        let responder = try Responder(stream: true, behaviour)
        responder.start()
        defer { responder.stop() }
        let questions = try names.map { Question(try Name($0), .a) }
        let result = runLoad(plan(responder.port), QueryList(questions), until: isStopped)
        return (result, responder.stop())
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let what: String
        /// Every tenth query gets this in place of a plain answer.
        let tenth: @Sendable ([UInt8]) -> [Responder.Reply]
        var stray = 0
        var fault: AnswerFault?
        var truncated = 0
        var testDescription: String { what }
    }

    static let rows: [Row] = [
        Row(what: "all are answered", tenth: { [.init(message: plainAnswer($0))] }),
        Row(
            what: "some have an ID that is not on its way",
            tenth: { query in
                var unknown = plainAnswer(query)
                unknown[0] = 0xFF
                return [.init(message: unknown), .init(message: plainAnswer(query))]
            }, stray: 1),
        Row(
            what: "some are too short to have one",
            tenth: { [.init(message: [7]), .init(message: plainAnswer($0))] }, stray: 1),
        Row(
            what: "some are to another question",
            tenth: { query in
                var answer = plainAnswer(query)
                answer[13] = 0x7A
                return [.init(message: answer)]
            }, fault: .otherQuestion),
        Row(
            what: "some are truncated",
            tenth: { query in
                var answer = plainAnswer(query)
                answer[2] = 0x86
                return [.init(message: answer)]
            }, truncated: 1),
    ]

    @Test("what comes back is counted", arguments: rows, [nil, 1, 20])
    func counts(row: Row, each: Int?) throws {
        let (load, responder) = try Self.run({ port in
            var plan = Self.plan(port)
            plan.queriesPerConnection = each
            return plan
        }) { number, query in
            number % 10 == 9 ? row.tenth(query) : [.init(message: plainAnswer(query))]
        }
        let tenths = responder.received / 10
        try #require(tenths > 0)
        #expect(load.sent == UInt64(responder.received))
        #expect(load.answered == load.sent && load.lost == 0)
        #expect(load.stray == UInt64(tenths * row.stray))
        #expect(load.wrong == UInt64(row.fault == nil ? 0 : tenths))
        #expect(load.truncated == UInt64(tenths * row.truncated))
        // The time may have ended with the last one just opened, and not yet accepted.
        let opened = UInt64(responder.connections)
        #expect((opened...opened + 1).contains(load.connections))
        #expect(load.failedConnections == 0 && load.failure == nil)
        if let each {
            let full = (load.connections - 1) * UInt64(each)
            #expect(load.sent >= full && load.sent <= full + UInt64(each))
        } else {
            #expect(load.connections == 1)
        }
    }

    @Test("what does not come in time is lost, and its connection has failed")
    func losesOne() throws {
        var asked = 0
        // Asked before the connection, before each of two rounds, and once it has failed.
        let isThird = {
            asked += 1
            return asked > 3
        }
        let (load, responder) = try Self.run(
            { Self.plan($0, seconds: 30) }, until: isThird
        ) { number, query in
            number == 9 ? [] : [.init(message: plainAnswer(query))]
        }
        #expect(load.sent == 14 && responder.received == 14)
        #expect(load.answered == 13 && load.lost == 1)
        #expect(load.connections == 1 && load.failedConnections == 1 && load.failure == nil)
    }

    @Test("what comes after its time is lost")
    func late() throws {
        var asked = 0
        let isThird = {
            asked += 1
            return asked > 3
        }
        let plan = { (port: UInt16) in
            var plan = Self.plan(port, seconds: 30)
            plan.patienceMilliseconds = 300
            return plan
        }
        let (load, responder) = try Self.run(plan, until: isThird) { number, query in
            [.init(message: plainAnswer(query), afterMilliseconds: number == 8 ? 1_000 : 0)]
        }
        #expect(load.sent == 14)
        // The one before it was answered; those after it came behind it.
        #expect(load.answered == 8 && load.lost == 6)
        #expect(responder.received >= 9)
    }

    @Test("what comes after its time is lost also where an answer before it came in time")
    func lateInParts() throws {
        let (load, _) = try Self.run({ port in
            var plan = Self.plan(port, seconds: 0.1)
            plan.patienceMilliseconds = 300
            return plan
        }) { _, query in [.init(message: plainAnswer(query), afterMilliseconds: 200)] }
        #expect(load.sent == 7 && load.answered <= 1)
        #expect(load.lost == load.sent - load.answered)
    }

    @Test("answers to nothing, without end, do not keep a load from ending")
    func strayForEver() throws {
        let (load, _) = try Self.run({ port in
            var plan = Self.plan(port, seconds: 0.1)
            plan.patienceMilliseconds = 300
            return plan
        }) { _, query in
            var unknown = plainAnswer(query)
            unknown[0] = 0xFF
            return (0..<200).map { _ in .init(message: unknown, afterMilliseconds: 10) }
        }
        #expect(load.sent == 7 && load.lost == 7 && load.answered == 0)
        #expect(load.stray > 0)
        #expect(load.seconds < 10)
    }

    @Test("a server that closes each connection ends a load, which tells what there was")
    func serverGoes() throws {
        let (load, responder) = try Self.run({ Self.plan($0, seconds: 30) }) { number, query in
            [.init(message: number < 70 ? plainAnswer(query) : [])]
        }
        #expect(load.answered == 70)
        #expect(load.lost == load.sent - 70)
        // The one that brought answers before it ended, and a hundred that brought none.
        #expect(load.failedConnections == 101)
        #expect(load.connections >= 100 && responder.received > 70)
        let failure = try #require(load.failure)
        #expect(failure.description.contains(": TCP: it closed the connection before it had"))
        #expect(failure.description.hasSuffix("try --per-connection"))
    }

    @Test("a load that is stopped ends with the queries on their way answered")
    func stopped() throws {
        var asked = 0
        let (load, responder) = try Self.run(
            { Self.plan($0, seconds: 30) },
            until: {
                asked += 1
                return asked > 20
            }
        ) { _, query in [.init(message: plainAnswer(query))] }
        #expect(load.sent == UInt64(responder.received) && load.sent > 0)
        #expect(load.answered == load.sent && load.lost == 0)
        #expect(load.seconds < 20)
    }

    @Test("where nothing listens it ends at once and says so")
    func nobodyThere() throws {
        let port = try Responder { _, _ in [] }.port
        let list = QueryList([Question(.root, .ns)])
        let load = runLoad(Self.plan(port, seconds: 30), list)
        #expect(
            load.failure?.description.hasPrefix("127.0.0.1:\(port): connect: Connection refused")
                == true)
        #expect(load.answered == 0 && load.sent == 0 && load.seconds < 20)
    }

    @Test("as many queries as there may be are written while their answers are read")
    func manyInFlight() throws {
        let long = String(repeating: String(repeating: "x", count: 49) + ".", count: 5)
        var asked = 0
        // Asked before the connection, before the round, and after it.
        let isThird = {
            asked += 1
            return asked > 2
        }
        let (load, responder) = try Self.run(
            { port in
                var plan = Self.plan(port, seconds: 60)
                plan.inFlight = LoadPlan.inFlight.upperBound
                plan.patienceMilliseconds = 60_000
                return plan
            }, names: [long], until: isThird
        ) { _, query in
            // Longer than the buffers between the two hold of so many.
            [.init(message: plainAnswer(query) + [UInt8](repeating: 0, count: 1_000))]
        }
        #expect(load.sent == UInt64(LoadPlan.inFlight.upperBound))
        #expect(load.answered == load.sent && load.lost == 0 && load.failedConnections == 0)
        #expect(responder.received == LoadPlan.inFlight.upperBound)
    }

    @Test("a loop that waits says so, and one whose server ceases to answer when that was")
    func sides() throws {
        let (slow, _) = try Self.run({ Self.plan($0) }) { _, query in
            [.init(message: plainAnswer(query), afterMilliseconds: 2)]
        }
        #expect(slow.waited > 0 && slow.waited <= slow.seconds && slow.lastAnswer != nil)
        #expect(slow.limits(of: Self.plan(1)) == [])
        let plan = { (port: UInt16) in
            var plan = Self.plan(port, seconds: 1.5)
            plan.patienceMilliseconds = 300
            return plan
        }
        let (ceased, _) = try Self.run(plan) { number, query in
            number < 70
                ? [.init(message: plainAnswer(query))]
                : []
        }
        #expect(ceased.wentSilent(plan(1)))
        let limits = ceased.limits(of: plan(1))
        #expect(limits.count == 1 && limits[0].text.hasPrefix("no answer since "))
    }
}
