// Services that answer by host name, against the zones: where a STEER record of one may stand, and what
// its hosts lead to. What is answered is in Scenarios/steering-hosts.scenario.

import Authority
import DNSWire
import Settings
import TestSupport
import Testing

@Suite("aliases by steering")
struct AliasTests {
    private static let zone = """
        $TTL 300
        @ SOA ns1 hostmaster 1 3600 600 604800 60
        @ NS ns1
        ns1 A 192.0.2.53

        """

    /// What is found in a zone with these records, where each service has the one host beside its name.
    private func findings(_ records: String, _ services: [(name: String, host: String)]) -> [String]
    {
        let pools = services.map { "  \($0): { origins: { o: { host: \($1) } } }\n" }.joined()
        let rules = services.map { name, _ in "  \(name): { rules: [{ pools: \(name) }] }\n" }
            .joined()
        do {
            return try TestContent(
                zones: [("example.com.", Self.zone + records + "\n")],
                pools: "pools:\n\(pools)services:\n\(rules)"
            ).findings.map(\.description)
        } catch let fault as TestContent.Fault {
            return fault.findings.map(\.description)
        } catch {
            return ["\(error)"]
        }
    }

    private let cdn = [(name: "cdn", host: "eu.lb.vendor.example")]
    private let alias =
        "the service \"cdn\" answers with host names, as pools:2:21 has it"

    @Test("a name below the apex, and a wildcard, may be an alias")
    func accepted() {
        #expect(findings("www STEER cdn\n*.apps STEER cdn\na.apps TXT x", cdn) == [])
    }

    @Test("an apex may not, whether other data is beside it or not")
    func apex() {
        #expect(
            findings("www STEER cdn\n@ STEER cdn\n@ TXT x", cdn) == [
                "example.com.zone:6:1: error: \(alias), and example.com. is an apex, which can't be an"
                    + " alias (RFC 1034, section 3.6.2); steer a name below it, as www, or give the"
                    + " pools addresses"
            ])
    }

    @Test("nor a name with other data, each told")
    func company() {
        #expect(
            findings(
                "www STEER cdn\nwww MX 10 ns1\nwww TXT x\nwww TXT y\n*.a STEER cdn\n*.a CAA 0 issue x",
                cdn) == [
                    "example.com.zone:5:1: error: \(alias), so www.example.com. is an alias and can have"
                        + " nothing else (RFC 1034, section 3.6.2); remove its MX, TXT, or give the"
                        + " pools addresses",
                    "example.com.zone:9:1: error: \(alias), so *.a.example.com. is an alias and can have"
                        + " nothing else (RFC 1034, section 3.6.2); remove its CAA, or give the pools"
                        + " addresses",
                ])
    }

    @Test("not even behind more uses than are kept for messages")
    func manyUses() {
        let found = findings("$GENERATE 1-3000 a$ STEER cdn\nz STEER cdn\nz TXT x", cdn)
        #expect(found.count == 1 && found.first?.contains("z.example.com. is an alias") == true)
    }

    @Test(
        "a host that leads back to its own service is an error",
        arguments: [
            ("www STEER cdn", "www.example.com", "www.example.com"),
            ("www STEER cdn\nweb STEER cdn", "WEB.example.com.", "web.example.com"),
            ("*.apps STEER cdn", "lb.apps.example.com", "*.apps.example.com"),
            ("www STEER cdn\nlb CNAME lb2\nlb2 CNAME www", "lb.example.com", "www.example.com"),
            (
                "www STEER cdn\nold DNAME new\nx.new CNAME www", "x.old.example.com",
                "www.example.com"
            ),
        ])
    func ownService(records: String, host: String, owner: String) {
        let name = host.lowercased().hasSuffix(".") ? host.lowercased() : host.lowercased() + "."
        #expect(
            findings(records, [("cdn", host)]) == [
                "pools:2:21: error: the service \"cdn\" sends clients to \(name), which leads back to it:"
                    + " the STEER record of \(owner). names the same service; name a host with"
                    + " addresses"
            ])
    }

    @Test("one that may lead in a circle over other services is told once")
    func circle() {
        let records = "a STEER a\nb STEER b\nc STEER c\nd STEER d"
        let found = findings(
            records,
            [
                ("d", "a.example.com"), ("a", "b.example.com"), ("b", "c.example.com"),
                ("c", "a.example.com"),
            ])
        #expect(
            found == [
                "pools:8:3: warning: the hosts of the service \"a\" may lead in a circle, back to it over"
                    + " \"c\"; name a host with addresses in one of them"
            ])
    }

    @Test("a host that its zone, served here, does not have is told")
    func missing() {
        #expect(
            findings("www STEER cdn", [("cdn", "lb.example.com")]) == [
                "pools:2:21: warning: the service \"cdn\" sends clients to lb.example.com., which does"
                    + " not exist in its zone; add it, or check the name"
            ])
        #expect(findings("www STEER cdn\nlb AAAA ::1", [("cdn", "lb.example.com")]) == [])
        #expect(
            findings("www STEER cdn\nlb NS ns.lb\nns.lb A 192.0.2.1", [("cdn", "x.lb.example.com")])
                == [])
    }

    @Test("a mail host or server that is such an alias is told")
    func pointedAt() {
        let records =
            "www STEER cdn\n*.w STEER cdn\n@ MX 10 www\n_sip._tcp SRV 1 2 3 a.w\nx CNAME www"
        let found = findings(records, cdn)
        #expect(
            found == [
                "example.com.zone:7:1: warning: MX points at www.example.com., which is an alias (its"
                    + " service answers with host names); many refuse that, so name a host with addresses"
                    + " (RFC 2181, section 10.3)",
                "example.com.zone:8:1: warning: SRV points at a.w.example.com., which is an alias (its"
                    + " service answers with host names); many refuse that, so name a host with addresses"
                    + " (RFC 2782)",
            ])
    }

    @Test("a circle of hosts is answered to its end, and no further")
    func circleAnswered() throws {
        var fixture = try Fixture(
            zones: [("example.com.", Self.zone + "a 30 STEER a\nb 30 STEER b\n")],
            pools: """
                pools: { a: { origins: { o: { host: b.example.com } } }, b: { origins: { o: { host: a.example.com } } } }
                services: { a: { rules: [{ pools: a }] }, b: { rules: [{ pools: b }] } }
                """)
        let answer = fixture.answer(to: TestQuery("a.example.com.", .a).wire)
        #expect(
            TestAnswer(answer)?.text == """
                ;; NOERROR aa
                ;; ANSWER
                a.example.com. 30 IN CNAME b.example.com.
                b.example.com. 30 IN CNAME a.example.com.
                """)
    }

    @Test("a long host that does not fit truncates the answer, over UDP alone")
    func truncated() throws {
        let label = { (count: Int) in String(repeating: "x", count: count) }
        let host = "\(label(63)).\(label(63)).\(label(63)).\(label(50)).example"
        let owner = "\(label(62)).\(label(62)).\(label(62)).\(label(40))"
        var fixture = try Fixture(
            zones: [("example.com.", Self.zone + "\(owner) 30 STEER a\n")],
            pools: """
                pools: { a: { origins: { o: { host: \(host) } } } }
                services: { a: { rules: [{ pools: a }] } }
                """)
        let query = TestQuery("\(owner).example.com.", .a).wire
        // Header 12, question 247 and 4, and a record of 12 and 249: over 512 octets.
        #expect(TestAnswer(fixture.answer(to: query))?.text.hasPrefix(";; NOERROR aa tc") == true)
        #expect(fixture.answer(to: query, over: .tcp).count > 512)
    }
}
