import Testing

@testable import rhumb

@Suite("status as text")
struct StatusTextTests {
    private func address(
        _ address: String, _ verdict: String, probes: String? = "up", reason: String = "status 200",
        change: (inout StatusDocument.Address) -> Void = { _ in }
    ) -> StatusDocument.Address {
        var entry = StatusDocument.Address(
            address: address, verdict: verdict, probes: probes, since: "2026-11-22T14:00:00Z",
            sinceSeconds: 93_784, reason: reason,
            monitors: [
                StatusDocument.Monitor(
                    monitor: "web", verdict: probes ?? "up", reason: reason,
                    last: .init(time: "2026-11-22T14:00:00Z", milliseconds: 12.34, outcome: reason),
                    responseMilliseconds: 123.4, history: [])
            ], stillAnswered: false)
        change(&entry)
        return entry
    }

    private func status(
        _ addresses: [StatusDocument.Address], frozen: Bool = false
    ) -> StatusDocument {
        let pools = [
            StatusDocument.Pool(
                pool: "tokyo", state: "down", reason: "0 of 1 origin up, min_healthy wants 1",
                sharePercent: 100,
                origins: [StatusDocument.Origin(origin: "nrt-1", addresses: addresses)])
        ]
        return StatusDocument(
            version: "0.1.0", process: 42, started: "2026-11-22T13:00:00Z", uptimeSeconds: 3_661,
            zones: [.init(zone: "example.com.", serial: 7)],
            isolation: .init(frozen: frozen, isolated: frozen, failing: 7, origins: 8),
            state: "state", totals: StatusReport.totals(of: pools), pools: pools,
            forced: [.init(service: "web", rule: 1, pools: ["tokyo"])], overrides: [])
    }

    @Test("columns are aligned, and what is wrong stands below its address")
    func table() {
        let text = StatusText(isColoured: false).text(
            status([
                address("192.0.2.1", "down", probes: "down", reason: "connect: connection refused"),
                address("2001:db8::1", "up"),
            ]))
        #expect(
            text == """
                rhumb 0.1.0, process 42, up 1h1m since 2026-11-22T13:00:00Z
                1 pool, 0 usable; 2 addresses: 1 up, 1 down
                zones example.com. 7

                tokyo  down  0 of 1 origin up, min_healthy wants 1
                  nrt-1 192.0.2.1   down     1d2h   12.3 ms, mean 123 ms
                    connect: connection refused
                  nrt-1 2001:db8::1 up       1d2h   12.3 ms, mean 123 ms

                service web, rule 1: nothing usable is left; tokyo answers all the same
                """)
    }

    @Test(
        "the predicted failover stands in the pool's line where it fits, or below",
        arguments: [
            (
                "0 of 1 origin up", "tokyo  down  0 of 1 origin up; failover 47s at the most"
            ),
            (
                "1 of 3 origins of IPv4 up, min_healthy wants 2",
                "tokyo  down  1 of 3 origins of IPv4 up, min_healthy wants 2\n"
                    + "  failover 47s at the most"
            ),
        ])
    func failover(reason: String, lines: String) {
        var status = status([address("192.0.2.1", "up")])
        status.pools[0].failoverSeconds = 46.2
        status.pools[0].reason = reason
        let text = StatusText(isColoured: false).text(status)
        #expect(text.contains("\n\(lines)\n"), "\(text)")
    }

    @Test("a reload that is under way is told, within 80 columns")
    func reload() {
        var status = status([])
        #expect(!StatusText(isColoured: false).text(status).contains("reloading"))
        status.reload = .init(since: "2026-11-22T13:00:00Z", seconds: 273_600)
        let lines = StatusText(isColoured: false).text(status).split(separator: "\n")
        #expect(lines[3] == "reloading for 3d4h; what was in force before answers meanwhile")
        #expect(lines[3].count <= 80)
    }

    @Test("an operator's word is told once for the addresses of an origin, within 80 columns")
    func folded() {
        let word: (inout StatusDocument.Address) -> Void = {
            $0.override = .init(
                word: "drain", pattern: "tokyo", by: "ada", time: "2026-11-22T14:00:00Z",
                until: "2026-11-22T16:00:00Z",
                reason: "a new kernel, which takes a while as all of its disks are slow")
            $0.safe = SafeDocument(time: "2026-11-22T14:01:01Z", seconds: 30, ttl: 60)
        }
        let text = StatusText(isColoured: false).text(
            status(
                [
                    address("192.0.2.1", "drained", change: word),
                    address("2001:db8::1", "drained", change: word),
                ], frozen: true))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(text)")
        #expect(text.contains("ISOLATED: 7 of 8 origins"))
        #expect(text.split(separator: "\n").filter { $0.contains("by ada") }.count == 1)
        #expect(text.contains("safe to stop at 14:01:01 UTC (TTL 60s)"))
        #expect(!text.contains("\u{1B}"))
        #expect(StatusText(isColoured: true).text(status([])).contains("\u{1B}[31mdown\u{1B}[0m"))
    }
}
