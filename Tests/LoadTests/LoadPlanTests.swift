// How a plan is shared by sockets, and what a load says of who was at the limit.

import DNSWire
import Glibc
import Testing

@testable import Load

@Suite("Plans")
struct LoadPlanTests {
    @Test(
        "sockets share the queries on their way, and none is opened without any",
        arguments: [
            (7, 4, [2, 2, 2, 1]), (7, 3, [3, 2, 2]), (128, 4, [32, 32, 32, 32]), (2, 4, [1, 1]),
            (1, 256, [1]), (5, 1, [5]),
        ])
    func shares(inFlight: Int, sockets: Int, shares: [Int]) throws {
        var plan = LoadPlan(server: try #require(IPAddress("::1")), port: 53)
        plan.inFlight = inFlight
        plan.sockets = sockets
        #expect(plan.shares == shares)
        plan.rate = 1
        #expect(plan.shares.count == sockets)
    }
}

@Suite("Errors")
struct LoadErrorTests {
    @Test("an address that can't be had is a port only where connections have used those up")
    func noAddress() throws {
        var plan = LoadPlan(server: try #require(IPAddress("::1")), port: 53)
        plan.overTCP = true
        let first = LoadError("connect", EADDRNOTAVAIL, plan)
        #expect(first.description.contains("has this machine an IPv6 address?"))
        let later = LoadError("connect", EADDRNOTAVAIL, plan, connections: 1)
        #expect(later.description.contains("no port is left here"))
    }
}

@Suite("Limits")
struct LimitTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let what: String
        var rate: Double? = 1_000
        var isTCP = false
        let result: @Sendable (inout LoadResult) -> Void
        /// What each begins with.
        let limits: [String]
        var testDescription: String { what }
    }

    static let rows: [Row] = [
        Row(what: "nothing", result: { _ in }, limits: []),
        Row(
            what: "accidents", result: { ($0.late, $0.unsent, $0.lost) = (50, 40, 90) }, limits: []),
        Row(
            what: "sent late", result: { $0.late = 4_300 },
            limits: [
                "this side, not the server: 43 % of the queries were sent more than 10 ms after"
            ]),
        Row(
            what: "not sent", result: { ($0.unsent, $0.sent) = (9_900, 100) },
            limits: ["this side, not the server: 99 % of the queries"]),
        Row(
            what: "lost", result: { ($0.lost, $0.answered) = (2_000, 8_000) },
            limits: [
                "the server, or the way to it: it answered 800 of the 1000 queries a second that were"
            ]),
        Row(
            what: "lost, and those hold up others",
            result: {
                ($0.lost, $0.answered, $0.late, $0.held) = (2_000, 8_000, 5_000, 5_000)
            },
            limits: ["the server, or the way to it: it answered 800 of the 1000"]),
        Row(
            what: "held up for a moment, and late all the time",
            result: { ($0.late, $0.held) = (5_000, 300) },
            limits: ["this side, not the server: 47 %"]),
        Row(
            what: "late as others were without an answer, few of which were lost",
            result: { ($0.late, $0.held) = (500, 450) },
            limits: ["the server, or the way to it: so many queries were without an answer"]),
        Row(
            what: "both", result: { ($0.lost, $0.answered, $0.late) = (5_000, 5_000, 5_000) },
            limits: ["the server, or the way", "this side, not the server: 50 %"]),
        Row(
            what: "dropped here",
            result: { ($0.lost, $0.answered, $0.dropped) = (2_000, 8_000, 2_001) },
            limits: ["this side, not the server: 2001 answers came and found no room"]),
        Row(
            what: "an accident dropped here", result: { ($0.lost, $0.dropped) = (1, 1) }, limits: []
        ),
        Row(
            what: "all dropped here",
            result: { ($0.lost, $0.answered, $0.dropped) = (10_000, 0, 10_000) },
            limits: ["this side, not the server: 10000 answers came and found no room"]),
        Row(
            what: "a closed loop without a moment to wait", rate: nil,
            result: { ($0.turns, $0.idleTurns) = (10_000, 90) },
            limits: ["this side, not the server: it hardly ever had to wait"]),
        Row(
            what: "a closed loop that waits", rate: nil,
            result: { ($0.turns, $0.idleTurns) = (10_000, 5_000) }, limits: []),
        Row(
            what: "lost by a closed loop", rate: nil,
            result: { ($0.lost, $0.answered) = (2_000, 8_000) }, limits: []),
        Row(
            what: "none answered", rate: nil, result: { ($0.lost, $0.answered) = (10_000, 0) },
            limits: [
                "no answer came from [::1]:53: is it a DNS server, and does the network let UDP through?"
            ]),
        Row(
            what: "silent from a moment on", rate: nil,
            result: {
                ($0.answered, $0.lost, $0.lostByLastAnswer) = (6_000, 140, 2)
                $0.lastAnswer = 3.21
            },
            limits: [
                "no answer since 3.2 s: the server has ended or hangs, or the way to it is cut. It "
                    + "answered 1869 queries a second until then, and none of 138 after; the "
                    + "load's rate counts all 10.0 seconds"
            ]),
        Row(
            what: "silent at a rate",
            result: {
                ($0.answered, $0.lost, $0.lastAnswer) = (6_000, 4_000, 6)
            }, limits: ["no answer since 6.0 s"]),
        Row(
            what: "silent for less than answers are waited for", rate: nil,
            result: { ($0.answered, $0.lost, $0.lastAnswer) = (9_000, 100, 9.1) }, limits: []),
        Row(
            what: "two lost one after the other", rate: nil,
            result: {
                ($0.answered, $0.lost, $0.lostByLastAnswer, $0.lastAnswer) = (9_000, 12, 10, 7.5)
            }, limits: []),
        Row(
            what: "nothing asked for long, so nothing answered",
            result: { ($0.answered, $0.sent, $0.lastAnswer) = (2, 2, 5) }, limits: []),
        Row(
            what: "TCP, mostly at work itself", rate: nil, isTCP: true,
            result: { $0.waited = 4.9 },
            limits: ["this side, it seems: it waited for answers for 49 % of the time"]),
        Row(
            what: "TCP, mostly waiting", rate: nil, isTCP: true, result: { $0.waited = 5.1 },
            limits: []),
        Row(
            what: "refused", rate: nil,
            result: {
                ($0.sent, $0.answered, $0.seconds) = (3, 0, 0)
                $0.failure = LoadError(
                    "UDP", ECONNREFUSED, LoadPlan(server: IPAddress("::1")!, port: 1))
            }, limits: []),
    ]

    @Test("what kept a load from its rate is told in plain words", arguments: rows)
    func limits(row: Row) throws {
        var plan = LoadPlan(server: try #require(IPAddress("::1")), port: 53)
        plan.rate = row.rate
        plan.overTCP = row.isTCP
        var result = LoadResult()
        (result.sent, result.answered, result.seconds) = (10_000, 10_000, 10)
        row.result(&result)
        let limits = result.limits(of: plan)
        #expect(limits.count == row.limits.count, "\(limits)")
        for (limit, start) in zip(limits, row.limits) {
            #expect(limit.text.hasPrefix(start))
            #expect((limit.side == .client) == start.hasPrefix("this side"))
        }
    }
}
