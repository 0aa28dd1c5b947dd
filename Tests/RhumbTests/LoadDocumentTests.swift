// What a load prints for people.

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
            LoadDocument(result, limits: ["\(limit) wanted"]).report == """
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
}
