// TTLs where zones and services meet: which one holds, what is warned about, what explanations say.

import Authority
import DNSWire
import Settings
import Steering
import TestSupport
import Testing
import Zones

@Suite("TTLs of steered names")
struct TimeToLiveTests {
    private func pools(_ ttl: String) -> String {
        """
        monitors: { m: { type: tcp, port: 1 } }
        pools:
          main: { monitor: m, origins: { o: { addresses: [192.0.2.1, "2001:db8::1"] } } }
          free: { origins: { o: { addresses: [192.0.2.2, "2001:db8::2"] } } }
        services:
          web: { \(ttl)rules: [{ pools: main }] }
          calm: { rules: [{ pools: free }] }
        """
    }

    private func zone(_ lines: String) -> [(apex: String, text: String)] {
        [("e.", "$TTL 50\n@ SOA n. h. 1 3 2 9 300\n@ NS n.\n@ STEER web\n@ TXT x\n\(lines)\n")]
    }

    /// What loading says.
    private func warnings(_ lines: String, ttl: String = "") throws -> [String] {
        var diagnostics = Diagnostics()
        let source = readMasterFile(
            Array(zone(lines)[0].text.utf8), file: "e.zone", apex: try Name("e."),
            include: { _ throws(FileError) in throw FileError(explanation: "none") },
            diagnostics: &diagnostics)
        let zones = try #require(ZoneSet([source], diagnostics: &diagnostics))
        let test = try TestContent(zones: zone(lines), pools: pools(ttl))
        var link = Diagnostics()
        _ = Content(
            zones: zones, steering: test.content.steering, identity: "", diagnostics: &link)
        return link.sorted.map(\.description).filter { !$0.contains("is not used") }
    }

    @Test(
        "a TTL that a record states beside one of its service, and TTLs of hours, are told",
        arguments: [
            ("", "", nil), ("a 30 STEER web", "", nil), ("a STEER web", "ttl: 10s-60s, ", nil),
            ("a 60 STEER web", "ttl: 60s, ", nil),
            (
                "a 60 STEER web", "ttl: 10s-60s, ",
                "e.zone:6:1: warning: this TTL has no effect, as the service \"web\" states \"ttl: 10s-60s\""
                    + " at pools:6:15; remove one of the two"
            ),
            (
                "a 30 STEER web", "ttl: 60s, ",
                "e.zone:6:1: warning: this TTL has no effect, as the service \"web\" states \"ttl: 60s\""
            ),
            ("a 1h STEER web", "", nil), ("a 2h STEER calm", "", nil),
            (
                "a 3601 STEER web", "",
                "e.zone:6:1: warning: resolvers keep these answers for 3601 seconds, and their clients go on"
            ),
            (
                "$TTL 1d\na STEER web", "",
                "e.zone:7:1: warning: resolvers keep these answers for 86400 seconds"
            ),
        ] as [(String, String, String?)])
    func warned(lines: String, ttl: String, warning: String?) throws {
        let found = try warnings(lines, ttl: ttl)
        #expect(found.count == (warning == nil ? 0 : 1), "\(found)")
        if let warning { #expect(found.first?.hasPrefix(warning) == true, "\(found)") }
    }

    @Test(
        "the longest TTL of a pool is that of any record that leads to it, by whatever services",
        arguments: [
            ("a 30 STEER web\nb 90 STEER web", [90, 90, nil, 90]),
            ("a 30 STEER web\nc 70 STEER outer", [70, 70, nil, 70]),
            ("c 20 STEER outer", [50, 50, nil, 50]),
            ("d 900 STEER stated", [50, 50, 40, 50]),
            ("c 60 STEER outer\nd 900 STEER stated", [60, 60, 40, 60]),
            ("f 10 STEER last", [50, 50, 10, 50]),
        ] as [(String, [UInt32?])])
    func longest(lines: String, longest: [UInt32?]) throws {
        let address = { (last: Int) in "{ origins: { o: { addresses: [192.0.2.\(last)] } } }" }
        let content = try TestContent(
            zones: zone(lines),
            pools: """
                pools: { near: \(address(1)), far: \(address(2)), own: \(address(3)), spare: \(address(4)) }
                services:
                  web: { rules: [{ pools: [near, far] }], fallback: spare }
                  outer: { rules: [{ pools: [{ service: inner }] }], fallback: spare }
                  inner: { ttl: 3600s, rules: [{ pools: [{ service: last }] }] }
                  last: { rules: [{ pools: [near, far] }], fallback: own }
                  stated: { ttl: 10s-40s, rules: [{ pools: own }] }
                """
        ).content
        #expect(
            content.steering.configuration.pools.indices.map { content.longestTTL(ofPool: $0) }
                == longest)
    }

    @Test("records beyond those that diagnostics keep count for the longest TTL, too")
    func manyRecords() throws {
        let lines = (0...SteerReference.maximumUses).map { "a\($0) \($0 + 1) STEER web" }
        let content = try TestContent(zones: zone(lines.joined(separator: "\n")), pools: pools(""))
            .content
        #expect(content.longestTTL(ofPool: 0) == UInt32(SteerReference.maximumUses + 1))
        #expect(content.longestTTL(ofPool: 1) == nil)
    }

    private func lookup(_ type: RecordType, in zones: ZoneSet) -> Lookup {
        var buffer = NameBuffer()
        _ = buffer.load(Name(uncheckedWire: [1, UInt8(ascii: "e"), 0]).wire.span, at: 0)
        return zones.lookup(buffer, type: type)
    }

    @Test(
        "an explanation has the TTL that is answered, and says of which record",
        arguments: [
            (RecordType.a, "", "ttl      50 seconds, as the STEER record has it", nil),
            (.a, "ttl: 99s, ", "ttl      99 seconds, as the service has it", nil),
            (.aaaa, "ttl: 10s-60s, ", "ttl      20 seconds: main/o/192.0.2.1 could be down", nil),
            (.https, "", "ttl      30 seconds, as the HTTPS record has it", "HTTPS"),
            (.https, "ttl: 10s-60s, ", "ttl      20 seconds: main/o/192.0.2.1 could be", "HTTPS"),
        ] as [(RecordType, String, String, String?)])
    func explained(type: RecordType, ttl: String, line: String, binding: String?) throws {
        let zones = zone("@ 30 HTTPS 1 . ipv4hint=auto")
        let snapshot = try TestContent(zones: zones, pools: pools(ttl)).snapshot(
            soon: ["main/o": 20])
        let found = lookup(type, in: snapshot.content.zones)
        let client = Client(IPAddress(ipv4: 0xC633_6401))
        let text = snapshot.explain(found, client: client, random: 0).text
        #expect(text.contains(line), "\(text)")
        let answer =
            "answer   192.0.2.1, 2001:db8::1"
            + (binding.map { ", as those hints of \($0) that are \"auto\"" } ?? "")
        #expect(text.contains(answer + "\n"), "\(text)")
    }

    @Test("what depends on the client is told from what does not")
    func steering() throws {
        let zones = try TestContent(
            zones: zone("@ HTTPS 1 . ipv4hint=auto\n@ SVCB 1 . ipv4hint=192.0.2.9"),
            pools: pools("")
        ).content.zones
        for (type, isSteered) in [
            (RecordType.a, true), (.any, true), (.https, true), (.svcb, false), (.txt, false),
            (.mx, false),
        ] {
            let found = lookup(type, in: zones)
            #expect((zones.steering(of: found) != nil) == isSteered, "\(type)")
        }
    }
}
