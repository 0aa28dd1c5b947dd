// What a load prints for people.

import Foundation
import Load
import Testing

@testable import rhumb

@Suite struct LoadDocumentTests {
    @Test("a report has what there is to say, in 80 columns, each time with its unit")
    func report() {
        var result = LoadResult()
        result.seconds = 10
        result.sent = 1_000
        result.answered = 900
        result.late = 400
        result.unsent = 1_000
        result.lost = 100
        result.octets = 900 * 75
        result.codes[0] = 890
        result.codes[3] = 10
        result.faults[2] = 10
        for _ in 0..<800 { result.latencies.add(nanoseconds: 25_000) }
        for _ in 0..<100 { result.latencies.add(nanoseconds: 1_500_000_000) }
        let limit =
            "the server, or the way to it: it answered 90 of the 200 queries a second that were"
        #expect(
            LoadDocument(result, limits: [LoadLimit(.server, "\(limit) wanted")]).report == """
                sent      1000 queries in 10.0 seconds, 400 of them late, 1000 could not be sent
                          in time
                answered  900: 90 a second, 75.0 octets in the mean
                codes     890 NOERROR, 10 NXDOMAIN
                lost      100
                wrong     10: 10 other than expected
                latency   50 % 25.0 µs, 90 % 1.5 s, 99 % 1.5 s, 99.9 % 1.5 s, longest 1.5 s
                limit     the server, or the way to it: it answered 90 of the 200 queries a
                          second that were wanted

                """)
    }

    @Test("what was unreachable is told in the system's words, and what was dropped as such")
    func unreachable() {
        var result = LoadResult()
        (result.unreachable, result.unreachableReason) = (3, "No route to host")
        result.dropped = 2
        #expect(
            LoadDocument(result, limits: []).report.hasSuffix(
                """
                dropped   2 answers found no room in the sockets here
                no way    3 times: No route to host

                """))
    }

    @Test("without an answer there are no codes and no latencies")
    func nothing() {
        #expect(
            LoadDocument(LoadResult(), limits: []).report == """
                sent      0 queries in 0.0 seconds
                answered  0: 0 a second, 0.0 octets in the mean
                lost      0
                wrong     0

                """)
    }

    @Test("of one there is one")
    func one() {
        var result = LoadResult()
        (result.sent, result.stray, result.connections, result.dropped) = (1, 1, 1, 1)
        (result.unreachable, result.unreachableReason) = (1, "No route to host")
        #expect(
            LoadDocument(result, limits: []).report == """
                sent      1 query in 0.0 seconds
                answered  0: 0 a second, 0.0 octets in the mean
                lost      0
                wrong     0
                stray     1 answer that nobody waited for
                tcp       1 connection, 0 failed
                dropped   1 answer found no room in the sockets here
                no way    1 time: No route to host

                """)
    }

    @Test("for programs the same keys are always there, null where nothing was answered")
    func json() throws {
        let nothing = try keys(LoadDocument(LoadResult(), limits: []))
        let none = ["p50", "p90", "p99", "p999", "max"].allSatisfy { key in
            (nothing["latency_microseconds"] as? [String: Any])?[key] is NSNull
        }
        #expect(none && nothing["last_answer_seconds"] is NSNull && nothing["failure"] is NSNull)
        var result = LoadResult()
        (result.sent, result.answered) = (2, 1)
        result.latencies.add(nanoseconds: 25_000)
        let limits = [LoadLimit(.client, "here"), LoadLimit(.server, "there")]
        let found = try keys(LoadDocument(result, limits: limits))
        #expect(Set(found.keys) == Set(nothing.keys))
        #expect((found["latency_microseconds"] as? [String: Double])?["p50"] == 25)
        #expect(
            found["limits"] as? [[String: String]] == [
                ["side": "client", "text": "here"], ["side": "server", "text": "there"],
            ])
    }

    private func keys(_ document: LoadDocument) throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(document))
        return try #require(object as? [String: Any])
    }
}

@Suite struct LoadServerTests {
    @Test(
        "what is no server's address is told what is wrong with it",
        arguments: [
            ("127.0.0.1:99999", "\"99999\" is not a port; one is from 1 to 65535"),
            ("127.0.0.1:", "\"\" is not a port"), ("[::1]:x", "\"x\" is not a port"),
            ("127.0.0.1:0", "no server has port 0"), ("[::1", "the bracket is not closed"),
            ("[::1]53", "\"53\" is neither nothing nor a port; write [::1] or [::1]:53"),
            ("[127.0.0.1]:53", "\"127.0.0.1\" is not an IPv6 address, which brackets are for"),
            ("[]", "\"\" is not an IPv6 address"), ("::1]:53", "\"::1]:53\" is not an address"),
            ("256.0.0.1", "\"256.0.0.1\" is not an address"),
            ("1:2:3", "\"1:2:3\" is not an address"),
            ("ns1.example", "a server is an address, not a name"),
            ("localhost:53", "a server is an address, not a name"), ("", "\"\" is not an address"),
            ("0.0.0.0", "this stands for all addresses"),
        ])
    func refuses(text: String, fault: String) {
        let error = #expect(throws: (any Error).self) { _ = try serverAddress(text) }
        #expect(error.map { "\($0)".hasPrefix(fault) } == true, "\(error.map { "\($0)" } ?? "")")
    }
}
