// The load over UDP against a responder that answers as a row says: whatever becomes of queries, each
// is counted once, and rightly.

import DNSWire
import Testing

@testable import Load

@Suite(.serialized) struct UDPLoadTests {
    private static let inFlight = 7

    /// A closed loop for a short while; nothing is late within its patience but what the row makes late.
    private static func plan(_ port: UInt16, seconds: Double = 0.3) -> LoadPlan {
        var plan = LoadPlan(server: IPAddress("127.0.0.1")!, port: port)
        plan.inFlight = inFlight
        plan.sockets = 3
        plan.seconds = seconds
        plan.patienceMilliseconds = 1_000
        return plan
    }

    private static func run(
        _ plan: (UInt16) -> LoadPlan, _ expectation: ExpectedAnswer = .known,
        until isStopped: () -> Bool = { false }, _ behaviour: @escaping Responder.Behaviour
    ) throws -> (load: LoadResult, responder: Responder.Counts) {
        let responder = try Responder(behaviour)
        responder.start()
        defer { responder.stop() }
        let questions = try ["a.example.", "b.example.", "c.example."].map {
            Question(try Name($0), .a, expectation)
        }
        let result = runLoad(
            plan(responder.port), QueryList(questions), until: isStopped)
        return (result, responder.stop())
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let what: String
        /// Every tenth query gets this in place of a plain answer.
        let tenth: @Sendable ([UInt8]) -> [Responder.Reply]
        /// What a tenth query counts as.
        var answered = 1
        var lost = 0
        var stray = 0
        /// Whether what is stray comes after the answer: after the last one nobody looks for it.
        var isStrayAfter = false
        var fault: AnswerFault?
        var truncated = 0
        var code: Int?
        var testDescription: String { what }
    }

    /// A plain answer with octets changed.
    private static func changed(_ changes: [Int: UInt8])
        -> @Sendable ([UInt8])
        -> [Responder.Reply]
    {
        { query in
            var answer = plainAnswer(query)
            for (place, octet) in changes { answer[place] = octet }
            return [Responder.Reply(message: answer)]
        }
    }

    static let rows: [Row] = [
        Row(what: "all are answered", tenth: changed([:])),
        Row(what: "some are lost", tenth: { _ in [] }, answered: 0, lost: 1),
        Row(
            what: "some come twice",
            tenth: { [.init(message: plainAnswer($0)), .init(message: plainAnswer($0))] },
            stray: 1, isStrayAfter: true),
        Row(
            what: "some have an ID that is not on its way",
            tenth: { query in
                var unknown = plainAnswer(query)
                // Far from the IDs that are on their way.
                unknown[0] ^= 0x80
                return [.init(message: unknown), .init(message: plainAnswer(query))]
            }, stray: 1),
        Row(
            what: "some are too short to have an ID",
            tenth: { [.init(message: [7]), .init(message: plainAnswer($0))] }, stray: 1),
        Row(
            what: "some are to another question", tenth: changed([13: 0x7A]), fault: .otherQuestion),
        Row(what: "some are SERVFAIL", tenth: changed([3: 2]), fault: .otherAnswer, code: 2),
        Row(what: "some are queries", tenth: changed([2: 0]), fault: .malformed),
        Row(what: "some are truncated", tenth: changed([2: 0x86]), truncated: 1),
    ]

    @Test("a closed loop counts what comes back, and what does not", arguments: rows)
    func closedLoop(row: Row) throws {
        let (load, responder) = try Self.run({ Self.plan($0) }) { number, query in
            number % 10 == 9
                ? row.tenth(query) : [Responder.Reply(message: plainAnswer(query))]
        }
        let tenths = responder.received / 10
        try #require(tenths > 0)
        #expect(load.sent == UInt64(responder.received))
        #expect(load.answered == UInt64(responder.received - tenths * (1 - row.answered)))
        #expect(load.lost == UInt64(tenths * row.lost))
        let strays = tenths * row.stray
        #expect((strays - (row.isStrayAfter ? 1 : 0)...strays).contains(Int(load.stray)))
        #expect(load.wrong == UInt64(row.fault == nil ? 0 : tenths))
        if let fault = row.fault { #expect(load.faults[Int(fault.rawValue)] == UInt64(tenths)) }
        if let code = row.code { #expect(load.codes[code] == UInt64(tenths)) }
        #expect(load.truncated == UInt64(tenths * row.truncated))
        #expect(load.latencies.count == load.answered)
        #expect(load.unsent == 0 && load.dropped == 0 && load.unreachable == 0)
        #expect(load.seconds >= 0.3)
        #expect(load.limits(of: Self.plan(1)) == [])
    }

    @Test("what comes after its time is lost, and stray when it comes")
    func lateAnswers() throws {
        var seconds = 0.0
        let (load, responder) = try Self.run({ port in
            var plan = Self.plan(port, seconds: 2.4)
            plan.patienceMilliseconds = 600
            seconds = plan.seconds
            return plan
        }) { number, query in
            // Of two queries that wait together, both are lost long before the load ends.
            [.init(message: plainAnswer(query), afterMilliseconds: number < 2 ? 1_200 : 0)]
        }
        // However busy the machine is: each query is answered or lost, each answer counted or stray.
        #expect(load.sent == load.answered + load.lost)
        #expect(load.lost >= 2 && load.stray >= 2)
        #expect(load.answered + load.stray == UInt64(responder.sent))
        #expect(load.seconds >= seconds)
    }

    @Test(
        "just as many queries are on their way as the plan says, however sockets divide them",
        arguments: [(7, 4), (7, 3), (2, 4), (1, 256), (130, 4), (5, 1)])
    func inFlight(inFlight: Int, sockets: Int) throws {
        let (load, responder) = try Self.run({ port in
            var plan = Self.plan(port, seconds: 0.1)
            plan.inFlight = inFlight
            plan.sockets = sockets
            plan.patienceMilliseconds = 400
            return plan
        }) { _, _ in [] }
        #expect(load.sent == UInt64(inFlight))
        #expect(load.lost == load.sent && load.answered == 0)
        #expect(responder.received == inFlight)
        #expect(load.seconds >= 0.1 && load.latencies.count == 0)
        let words = load.limits(of: Self.plan(1))
        #expect(words.count == 1 && words[0].text.hasPrefix("no answer came from 127.0.0.1:"))
    }

    @Test("an open loop sends what is due, answered or not", arguments: [true, false])
    func openLoop(isAnswered: Bool) throws {
        let (load, responder) = try Self.run({ port in
            var plan = Self.plan(port, seconds: 0.5)
            plan.rate = 400
            plan.patienceMilliseconds = 1_500
            return plan
        }) { _, query in isAnswered ? [.init(message: plainAnswer(query))] : [] }
        #expect(load.sent + load.unsent == 200)
        #expect(load.sent == UInt64(responder.received))
        #expect(load.answered == (isAnswered ? load.sent : 0))
        #expect(load.lost == (isAnswered ? 0 : load.sent))
        #expect(load.wrong == 0 && load.stray == 0)
    }

    @Test("of a rate that no machine sends, what is late or not sent at all is counted")
    func beyondEveryRate() throws {
        let (load, _) = try Self.run({ port in
            var plan = Self.plan(port, seconds: 0.2)
            plan.rate = 1e8
            plan.patienceMilliseconds = 100
            return plan
        }) { _, query in [.init(message: plainAnswer(query))] }
        #expect(load.sent + load.unsent == 20_000_000)
        #expect(load.sent == load.answered + load.lost)
        #expect(load.unsent > 0 && load.late > 0)
    }

    @Test("where nobody answers, what can't be sent for want of IDs is not this side's fault")
    func crowded() throws {
        var wanted = LoadPlan(server: try #require(IPAddress("127.0.0.1")), port: 0)
        wanted.rate = 10_000
        let (load, _) = try Self.run({ port in
            var plan = wanted
            plan.port = port
            plan.sockets = 1
            plan.window = 100
            plan.seconds = 0.5
            return plan
        }) { number, query in number == 0 ? [.init(message: plainAnswer(query))] : [] }
        #expect(load.answered == 1 && load.lost == load.sent - 1 && load.sent <= 101)
        let limits = load.limits(of: wanted)
        #expect(limits.count == 1 && limits.first?.text.hasPrefix("the server, or the way") == true)
    }

    @Test("a lost query holds back none of those after it")
    func oneLost() throws {
        let (load, _) = try Self.run(
            { port in
                var plan = LoadPlan(server: IPAddress("127.0.0.1")!, port: port)
                plan.rate = 2_000
                plan.sockets = 1
                plan.window = 500
                plan.seconds = 1
                plan.patienceMilliseconds = 2_000
                return plan
            }
        ) { number, query in
            number == 3 ? [] : [.init(message: plainAnswer(query))]
        }
        // IDs given out in order would end 500 after the lost one, until it is given up.
        #expect(load.sent > 600)
    }

    @Test("a load that is stopped ends then, and waits for its answers")
    func stopped() throws {
        var asked = 0
        let (load, responder) = try Self.run(
            { Self.plan($0, seconds: 30) },
            until: {
                asked += 1
                return asked > 1_000
            }
        ) { _, query in [.init(message: plainAnswer(query), afterMilliseconds: 50)] }
        #expect(load.sent == UInt64(responder.received) && load.sent > 0)
        #expect(load.answered == load.sent && load.lost == 0)
        #expect(load.seconds < 20)
    }

    @Test(
        "an open loop has as many queries as rate and time come to, whatever fractions they are",
        arguments: [
            (3_000, 0.3, 900), (900, 0.07, 63), (3, 0.1, 1), (100, 0.07, 7), (700, 0.11, 77),
            (25, 0.1, 3),
        ])
    func count(rate: Double, seconds: Double, count: UInt64) throws {
        let (load, _) = try Self.run({ port in
            var plan = Self.plan(port, seconds: seconds)
            plan.rate = rate
            return plan
        }) { _, query in [.init(message: plainAnswer(query))] }
        #expect(load.sent + load.unsent == count)
    }

    @Test("an open loop that is stopped has what was due by then")
    func stoppedOpenLoop() throws {
        var asked = 0
        let (load, responder) = try Self.run(
            { port in
                var plan = Self.plan(port, seconds: 30)
                plan.rate = 10
                return plan
            },
            until: {
                asked += 1
                return asked > 1_000
            }
        ) { _, query in [.init(message: plainAnswer(query))] }
        // The first is due at once, and none after the stop.
        #expect((1...UInt64(load.seconds * 10) + 1).contains(load.sent + load.unsent))
        #expect(load.sent == UInt64(responder.received) && load.seconds < 20)
    }

    @Test("of a server that ceases to answer a closed loop says when, and how much it had answered")
    func ceases() throws {
        let plan = { (port: UInt16) in
            var plan = Self.plan(port, seconds: 3)
            plan.patienceMilliseconds = 300
            return plan
        }
        let (load, _) = try Self.run(plan) { number, query in
            number < 100 ? [.init(message: plainAnswer(query))] : []
        }
        // However slow the machine is, of a hundred answers the first came in time.
        let last = try #require(load.lastAnswer)
        #expect(last > 0 && last <= load.seconds && load.answered <= 100)
        try #require(load.seconds - last >= 0.3, "a machine too slow to tell anything")
        #expect(load.wentSilent(plan(1)))
        let limits = load.limits(of: plan(1))
        #expect(limits.count == 1 && limits[0].side == .server)
        #expect(limits[0].text.hasPrefix("no answer since "))
        #expect(limits[0].text.contains(" and none of \(load.lost - load.lostByLastAnswer) after"))
    }

    @Test("where nothing listens it ends at once and says so")
    func nobodyThere() throws {
        let port = try Responder { _, _ in [] }.port
        let list = QueryList([Question(.root, .ns)])
        let plan = Self.plan(port, seconds: 30)
        let load = runLoad(plan, list)
        #expect(
            load.failure?.description
                == "127.0.0.1:\(port): UDP: Connection refused; nothing listens there: is the server "
                + "running, on that port?")
        #expect(load.answered == 0 && load.lost == load.sent && load.seconds < 20)
        #expect(load.limits(of: plan) == [])
    }
}
