// What a zone set refuses or warns about: one row each, with the line it is reported at.

import DNSWire
import Settings
import Testing

@testable import Zones

/// A faulty zone `e.` and what has to be said about it; line 1 is the SOA, line 2 the apex NS.
struct RuleCase: Sendable, CustomTestStringConvertible {
    let rule: String
    let text: String
    let line: Int
    /// Words of the message.
    let says: String

    /// Whether the test puts an SOA before it.
    let soa: Bool
    /// How often it is told, each time of another line.
    var times = 1

    init(_ rule: String, _ text: String, _ line: Int, _ says: String, soa: Bool = true) {
        (self.rule, self.text, self.line, self.says) = (rule, text, line, says)
        self.soa = soa
    }

    func told(_ times: Int) -> RuleCase {
        var copy = self
        copy.times = times
        return copy
    }

    var testDescription: String { rule }
}

@Suite("ZoneSet rules")
struct ZoneSetRulesTests {
    private func findings(_ sources: [ZoneSource]) -> (set: ZoneSet?, all: [Diagnostic]) {
        var diagnostics = Diagnostics()
        let set = ZoneSet(sources, diagnostics: &diagnostics)
        return (set, diagnostics.sorted)
    }

    static let errors: [RuleCase] = [
        RuleCase("several SOA", "@ SOA n. h. 9 9 9 9 9", 3, "more than one SOA"),
        RuleCase("SOA below the apex", "a SOA n. h. 9 9 9 9 9", 3, "apex is e."),
        RuleCase("outside the zone", "www.f. A 192.0.2.1", 3, "www.f. is outside the zone e."),
        RuleCase("a name that only ends alike", "bye.e.f. A 192.0.2.1", 3, "outside"),
        RuleCase(
            "CNAME beside data", "a A 192.0.2.1\na CNAME b", 4, "CNAME beside A; "),
        RuleCase("CNAME at the apex", "@ CNAME b", 3, "CNAME beside NS, SOA"),
        RuleCase("CNAME beside STEER", "a STEER web\na CNAME b", 4, "CNAME beside STEER"),
        RuleCase("CNAME beside DNAME", "a DNAME c\na CNAME b", 4, "CNAME beside DNAME"),
        RuleCase("several CNAMEs", "a CNAME b\na CNAME c", 4, "more than one CNAME"),
        RuleCase("several DNAMEs", "a DNAME b\na DNAME c", 4, "more than one DNAME"),
        RuleCase("several STEERs", "a STEER b\na STEER c", 4, "more than one STEER"),
        RuleCase("A beside STEER", "a STEER b\na A 192.0.2.1", 4, "A beside STEER"),
        RuleCase("AAAA beside STEER", "a AAAA ::1\na STEER b", 3, "AAAA beside STEER"),
        RuleCase("STEER at a cut", "a NS n.\na STEER b", 4, "STEER at or below a.e."),
        RuleCase("STEER below a cut", "a NS n.\nx.y.a STEER b", 4, "STEER at or below a.e."),
        RuleCase("data below a DNAME", "a DNAME n.\nx.a A 192.0.2.1", 4, "below the DNAME of a.e."),
        RuleCase("STEER below a DNAME", "@ DNAME n.\nx.y STEER b", 4, "below the DNAME of e."),
        RuleCase("DNAME at a cut", "a DNAME n.\na NS n.", 3, "DNAME beside NS"),
        RuleCase(
            "hints without STEER", "a HTTPS 1 . ipv4hint=auto\na A 192.0.2.1", 3,
            "\"auto\" takes the addresses of a.e., which has no STEER record here; add one, or"),
        RuleCase(
            "hints of another's target", "a HTTPS 1 b ipv4hint=auto\na STEER web", 3,
            "the addresses of b.e., which has no STEER"),
        RuleCase(
            "hints of an alias's target", "a HTTPS 1 b ipv4hint=auto\nb CNAME c\nc STEER web", 3,
            "the addresses of b.e., which has no STEER"),
        RuleCase(
            "hints of a target elsewhere", "a HTTPS 1 b.f. ipv4hint=auto", 3,
            "the addresses of b.f., which has no STEER"),
        RuleCase(
            "hints of a delegated target", "a HTTPS 1 x.b ipv4hint=auto\nb NS n.", 3,
            "the addresses of x.b.e., which has no STEER"),
        RuleCase(
            "hints of an alias", "a SVCB 0 b ipv6hint=auto\nb STEER web", 3,
            "an alias (priority 0) has no hints; remove \"auto\""),
        RuleCase(
            "hints of two services",
            "a HTTPS 1 . ipv4hint=auto\na STEER web\na HTTPS 2 b ipv4hint=auto\nb STEER chat", 5,
            "take hints from two services, \"web\" and \"chat\", and an answer has one decision"),
        RuleCase("a metatype", "a TYPE255 \\# 0", 3, "ANY is a type of messages"),
        RuleCase(
            "an RRset too large for a message",
            (0..<1_000).map { "a TXT \($0)" + String(repeating: "x", count: 60) }
                .joined(separator: "\n"), 3, "more than the"),
        RuleCase(
            "too many types",
            (0..<101).map { "a TYPE\(1_000 + $0) \\# 0" }.joined(separator: "\n"), 103,
            "more than 100 types"),
    ]

    @Test("is refused, with its place", arguments: errors)
    func refused(_ rule: RuleCase) throws {
        let (set, all) = findings([try zone("e.", rule.text)])
        #expect(set == nil)
        let found = all.first { $0.position.line == rule.line && $0.message.contains(rule.says) }
        #expect(found?.severity == .error, "\(all)")
    }

    static let warnings: [RuleCase] = [
        RuleCase(
            "a name server whose address differs by client", "a NS b\nb STEER web", 3,
            "NS points at b.e., whose addresses differ by client (STEER)"),
        RuleCase(
            "DNAME to below itself", "a DNAME x.a", 3, "the DNAME of a.e. leads back to itself"),
        RuleCase("DNAME to itself", "a DNAME a", 3, "the DNAME of a.e. leads back to itself"),
        RuleCase("a DNAME loop", "a DNAME b\nb DNAME c\nc DNAME a", 3, "itself over 2 others"),
        RuleCase(
            "a loop of DNAME and CNAME", "a CNAME x.b\nb DNAME c\nx.c CNAME a", 3,
            "itself over 2 others"),
        RuleCase("DNAME to nothing", "a DNAME b", 3, "points at b.e., which does not exist"),
        RuleCase("CNAME to nothing", "a CNAME b", 3, "points at b.e., which does not exist"),
        RuleCase("a duplicate", "a A 192.0.2.1\na A 192.0.2.1", 4, "the same as line 3"),
        RuleCase("a duplicate in other case", "a MX 1 B.f.\na MX 1 b.F.", 4, "the same as line 3"),
        RuleCase(
            "TTLs that differ", "a 60 A 192.0.2.1\na 30 A 192.0.2.2", 4,
            "TTL 30 here and 60 in line 3"),
        RuleCase(
            "TTLs that differ, told once an RRset",
            "a 60 A 192.0.2.1\na 30 A 192.0.2.2\na 60 A 192.0.2.3\na 10 A 192.0.2.4", 4, "TTL 30"),
        RuleCase("TTL 2", "a 30 TXT x\na 30 TXT y\na 60 TXT z", 5, "TTL 60 here and 30 in line 3"),
        RuleCase("data below a cut", "a NS n.\nb.a TXT x", 4, "TXT of b.a.e. is never answered"),
        RuleCase("data at a cut", "a NS n.\na MX 1 n.", 4, "MX of a.e. is never answered"),
        RuleCase("missing glue", "a NS n.a", 3, "n.a.e. serves a.e. from inside it"),
        RuleCase("NS that is an alias", "@ NS n\nn CNAME m.", 3, "is an alias"),
        RuleCase("NS below a DNAME", "@ NS n.d\nd DNAME x.", 3, "alias (below a DNAME)"),
        RuleCase("MX that is an alias", "@ MX 1 n\nn CNAME m.", 3, "is an alias"),
        RuleCase("MX that does not exist", "@ MX 1 n", 3, "n.e., which does not exist"),
        RuleCase("NS without address", "@ NS n\nn TXT x", 3, "has no A or AAAA"),
        RuleCase("SRV that is an alias", "_s SRV 0 0 1 n\nn CNAME m.", 3, "(RFC 2782)"),
        RuleCase("SRV that does not exist", "_s SRV 0 0 1 n", 3, "n.e., which does not exist"),
        RuleCase("HTTPS that does not exist", "a HTTPS 1 n", 3, "n.e., which does not exist"),
        RuleCase("HTTPS alias to nothing", "a HTTPS 0 n", 3, "n.e., which does not exist"),
        RuleCase("HTTPS without address", "a HTTPS 1 n\nn TXT x", 3, "has no A or AAAA"),
        RuleCase(
            "more records than BIND takes",
            (1...101).map { "a A 192.0.2.\($0)" }.joined(separator: "\n"), 3,
            "a.e. has 101 A records"),
        RuleCase("null MX beside others", "@ MX 1 f.\n@ MX 0 .", 4, "RFC 7505, section 3"),
        RuleCase("DS without NS", "a DS 1 8 2 00", 3, "RFC 4034, section 5"),
        RuleCase("glue for nobody", "a NS n.a\nn.a A 192.0.2.1\nb.a A 192.0.2.2", 5, "as glue"),
        RuleCase("an inner asterisk", "a.*.b A 192.0.2.1\nc.*.b A 192.0.2.1", 3, "not leftmost")
            .told(2),
        RuleCase("a host's characters", "a!b A 192.0.2.1", 3, "a!b.e. has addresses, but no host"),
        RuleCase("a steered host's characters", "a/b STEER web", 3, "no host can have that name"),
        RuleCase("characters of MX", "@ MX 1 a!b.f.", 3, "no host can have that name"),
        RuleCase("retry over refresh", "@ SOA n. h. 1 2 3 9 9", 3, "retry (3)", soa: false),
        RuleCase("expire too short", "@ SOA n. h. 1 3 2 4 9", 3, "expire (4)", soa: false),
        RuleCase(
            "negative answers for long", "@ 86401 SOA n. h. 1 3 2 9 86401", 3, "for 86401 seconds",
            soa: false),
        RuleCase("an @ in the mailbox", "@ SOA n. h@f. 1 3 2 9 9", 3, "mailbox", soa: false),
        RuleCase("a wildcard delegation", "*.a NS n.", 3, "does not delegate"),
        RuleCase("a wildcard DNAME", "*.a DNAME n.", 3, "does not rewrite"),
        RuleCase("a CNAME to itself", "a CNAME a", 3, "leads back to itself"),
        RuleCase("a CNAME loop", "a CNAME b\nb CNAME c\nc CNAME a", 3, "itself over 2 others"),
        RuleCase("a loop over a wildcard", "*.w CNAME x.w", 3, "leads back to itself"),
        RuleCase(
            "a long chain, at the alias that is too far from its end",
            (0..<16).map { "c\($0) CNAME c\($0 + 1)\n" }.joined() + "c16 TXT x", 10,
            "c7.e. begins a chain of more than 8 aliases"),
        RuleCase("DS at the apex", "@ DS 1 8 2 00", 3, "belongs into the parent"),
    ]

    @Test("is warned about, with its place, and once", arguments: warnings)
    func warned(_ rule: RuleCase) throws {
        // Without its own, the rule's SOA is in the third line all the same.
        let text = rule.soa ? rule.text : "@ NS ns.invalid.\n@ TXT x\n" + rule.text
        let (set, all) = findings([try zone("e.", text, soa: rule.soa)])
        #expect(set != nil, "\(all)")
        let found = all.filter { $0.position.line == rule.line && $0.message.contains(rule.says) }
        #expect(found.count == 1 && all.count == rule.times, "\(all)")
        #expect(all.allSatisfy { $0.severity == .warning && $0.message.contains(rule.says) })
    }

    @Test("a zone with all that may stand together has no findings")
    func clean() throws {
        let text = """
            @ STEER web
            @ TXT x
            @ MX 10 mail
            none MX 0 .
            @ HTTPS 1 . alpn=h2
            @ HTTPS 2 mail
            none HTTPS 0 www
            _sip._tcp SRV 0 0 5060 mail
            _sips._tcp SRV 0 0 0 .
            _acme-challenge CNAME made-on-demand
            1.2.3.4 A 192.0.2.1
            many MX 1 1.2.3.4
            d2 DNAME mail
            under_score A 192.0.2.1
            \\200 A 192.0.2.1
            *.wild A 192.0.2.1
            wild MX 1 anything.wild
            more CNAME any.wild
            w3 CNAME below.cut
            mail A 192.0.2.1
            www CNAME @
            w2 CNAME outside.
            cut NS ns.cut
            cut DS 1 8 2 00
            ns.cut A 192.0.2.2
            d DNAME elsewhere.
            d A 192.0.2.3
            s MX 10 steered
            steered STEER web
            a RRSIG A 8 2 60 20300101000000 20200101000000 1 e. AA==
            a CNAME b.f.
            """
        let (set, all) = findings([try zone("e.", text)])
        #expect(set != nil)
        #expect(all.isEmpty, "\(all)")
    }

    @Test("a zone without SOA and without NS gets both told, at the file")
    func apex() throws {
        let (set, all) = findings([try zone("e.", "a A 192.0.2.1", soa: false)])
        #expect(set == nil)
        #expect(all.map(\.position) == Array(repeating: SourcePosition(file: "e.zone"), count: 2))
        #expect(all.contains { $0.message.contains("no SOA") })
        #expect(all.contains { $0.message.contains("no NS") })
    }

    @Test("a file whose faults took the SOA with them is not told that, and stops no other zone")
    func faultTookTheSOA() throws {
        // As a reader leaves `x TXT a` alone in a file: no TTL is known, so there is no record.
        let faulty = ZoneSource(
            apex: try Name("e."), records: [], file: "e.zone", isComplete: false)
        let (set, all) = findings([faulty, try zone("f.", "a A 192.0.2.1")])
        #expect(all.isEmpty)
        #expect(try #require(set).zones.map(\.apex.description) == ["f."])
    }

    @Test("the same zone twice names both files")
    func sameZone() throws {
        var second = try zone("E.", "")
        second.file = "other.zone"
        let (set, all) = findings([try zone("e.", ""), second])
        #expect(set == nil)
        #expect(
            all.map(\.description) == [
                "other.zone: error: the zone e. is here and in e.zone; keep one of them"
            ])
    }

    @Test("all faults are told, not only the first; earlier errors of others don't count")
    func allFaults() throws {
        let text = "a CNAME b\na CNAME c\nx.f. A 192.0.2.1\ns STEER a\ns A 192.0.2.1"
        #expect(findings([try zone("e.", text)]).all.count == 3)
        var diagnostics = Diagnostics()
        diagnostics.error(at: SourcePosition(file: "pools.yaml"), "something else")
        #expect(ZoneSet([try zone("e.", "")], diagnostics: &diagnostics) != nil)
    }

    @Test("malformed data is refused, never trapped on")
    func malformedData() throws {
        let malformed: [(RecordType, [UInt8])] = [
            (.a, [1]), (.aaaa, []), (.ns, [3, 1]), (.mx, [0]), (.soa, []), (.cname, [0xC0, 0]),
            (.soa, [0, 0, 1]), (.dname, [0, 0]),
            (RecordType(99), .init(repeating: 0, count: 65_536)),
        ]
        for (type, data) in malformed {
            var source = try zone("e.", "")
            source.records.append(
                ZoneRecord(
                    owner: source.apex, ttl: 1, content: .data(type, data),
                    position: SourcePosition(file: "e.zone", line: 9, column: 1)))
            let (set, all) = findings([source])
            #expect(set == nil)
            #expect(all.contains { $0.position.line == 9 && $0.severity == .error })
        }
    }

    @Test("records that are the same are kept once, with the lowest TTL")
    func merged() throws {
        let set = try zoneSet(zone("e.", "a 60 A 192.0.2.1\na 30 A 192.0.2.2\na 60 A 192.0.2.1"))
        let found = try set.find("a.e.", "A")
        #expect(set.data(found.rrset) == [[192, 0, 2, 1], [192, 0, 2, 2]])
        #expect(set.rrset(found.rrset).ttl == 30)
        #expect(set.zones[0].recordCount == 4)
    }

    @Test("the largest RRset that fits is kept whole")
    func largest() throws {
        let count = ZoneTree.maximumBlock / 16
        let text = (0..<count).map { "a A 10.0.\($0 / 256).\($0 % 256)" }.joined(separator: "\n")
        let set = try zoneSet(zone("e.", text))
        #expect(set.rrset(try set.find("a.e.", "A").rrset).recordCount == UInt16(count))
        #expect(findings([try zone("e.", text + "\na A 11.0.0.1")]).set == nil)
    }

    @Test("parent and child, both served: what the parent lacks or hides is told")
    func servedChildren() throws {
        let child = try zone("c.e.", "x A 192.0.2.1")
        let undelegated = findings([try zone("e.", ""), child])
        #expect(undelegated.all.map(\.message).contains { $0.contains("no NS records for c.e.") })
        let delegated = findings([try zone("e.", "c NS ns.invalid."), child])
        #expect(delegated.all.isEmpty, "\(delegated.all)")
        let hidden = findings([try zone("e.", "c NS ns.invalid.\nx.c A 192.0.2.2"), child])
        #expect(hidden.all.map(\.position.line) == [4], "\(hidden.all)")
        let occluded = findings([try zone("e.", "x.c TXT x"), child])
        #expect(occluded.all.contains { $0.position.line == 3 && $0.message.contains("c.e.") })
        let far = findings([try zone("e.", "b NS n."), try zone("c.b.e.", "")])
        #expect(far.all.isEmpty, "\(far.all)")
    }

    @Test("a loop of any length is told")
    func longLoops() throws {
        for count in [2, 15, 16, 17, 40] {
            let loop = (0..<count).map { "c\($0) CNAME c\(($0 + 1) % count)\n" }.joined()
            let (set, all) = findings([try zone("e.", loop + "in CNAME c0")])
            #expect(set != nil && all.first?.position.line == 3, "\(count): \(all)")
            #expect(count > 15 || all.count == 1, "\(count): \(all)")
        }
    }

    static let families: [(String, parent: String, child: String, line: Int?, String)] = [
        (
            "other NS records", "c NS n.\nc NS ns.invalid.", "", 3,
            "differ from its own in c.e.zone: only here n.; make"
        ),
        (
            "NS records short of one", "c NS ns.invalid.", "@ NS n.", 3,
            "differ from its own in c.e.zone: only there n.; make"
        ),
        (
            "many other NS records", (1...9).map { "c NS n\($0)." }.joined(separator: "\n"), "", 3,
            "only here n1., n2., n3. and 6 more; only there ns.invalid.; make"
        ),
        (
            "other glue", "c NS ns.invalid.\nc NS ns.c\nns.c A 192.0.2.1",
            "@ NS ns\nns A 192.0.2.2", 5,
            "the glue A of ns.c.e. differs from the records at c.e.zone:4:1"
        ),
        (
            "the same glue, in part", "c NS ns.invalid.\nc NS ns.c\nns.c A 192.0.2.1",
            "@ NS ns\nns A 192.0.2.1\nns AAAA ::1", nil, ""
        ),
        ("DS of an unsigned zone", "c NS ns.invalid.\nc DS 1 8 2 00", "", 4, "has no DNSKEY"),
        (
            "DS of a signed zone", "c NS ns.invalid.\nc DS 1 8 2 00", "@ DNSKEY 257 3 8 AA==", nil,
            ""
        ),
    ]

    @Test("what parent and child say of each other is compared", arguments: families)
    func family(
        _ name: String, parent: String, child: String, line: Int?, says: String
    ) throws {
        let (set, all) = findings([try zone("e.", parent), try zone("c.e.", child)])
        #expect(set != nil)
        #expect(all.map(\.position.line) == (line.map { [$0] } ?? []), "\(all)")
        #expect(
            all.allSatisfy { $0.message.contains(says) && $0.position.file == "e.zone" }, "\(all)")
    }

    @Test("a final dot that is missing shows in the zone's name, twice")
    func finalDots() throws {
        let text = """
            www.c.e A 192.0.2.1
            www.c.e AAAA ::1
            c.e MX 1 mail.c.e
            x CNAME Y.C.E
            @ TXT x
            deeper.www.c.e TXT x
            """
        let (set, all) = findings([try zone("c.e.", text)])
        #expect(set != nil)
        #expect(all.map(\.position.line) == [3, 5, 5, 6, 8], "\(all)")
        #expect(all.allSatisfy { $0.message.contains("zone's name twice; end") })
        // A name of one label may stand there twice.
        #expect(findings([try zone("e.", "www.e A 192.0.2.1\nx CNAME www.e")]).all.isEmpty)
        let mailbox = "@ SOA ns.c.e h.c.e 1 3 2 9 9\n@ NS n."
        let soa = findings([try zone("c.e.", mailbox, soa: false)]).all
        #expect(soa.count == 1 && soa[0].message.contains("twice"), "\(soa)")
        let pointers = "1 PTR www.example.com\n2 PTR www.example.com.\n_dns-sd PTR a.b."
        let reverse = findings([try zone("2.0.192.in-addr.arpa.", pointers)]).all
        #expect(reverse.map(\.position.line) == [3], "\(reverse)")
        #expect(
            findings([try zone("e.", "_http._tcp PTR one._http._tcp\none._http._tcp TXT x")])
                .all.isEmpty)
    }

    @Test(
        "an address where a name belongs is an error",
        arguments: [
            "@ NS 192.0.2.1", "@ MX 1 192.0.2.1", "@ MX 1 192.0.2.1.", "_s SRV 0 0 1 192.0.2.1",
            "a CNAME 192.0.2.1", "@ MX 1 2001:db8::1", "a NS fe80::1.",
            "* A 192.0.2.1\n@ MX 1 192.0.2.1",
        ])
    func addresses(text: String) throws {
        let (set, all) = findings([try zone("e.", text)])
        #expect(set == nil)
        let line = text.contains("\n") ? 4 : 3
        #expect(all.map(\.position.line) == [line], "\(all)")
        #expect(all.allSatisfy { $0.message.contains("looks like an address") })
    }

    @Test(
        "a name that only resembles an address is none",
        arguments: [
            "192.0.2 A 192.0.2.1\n@ MX 1 192.0.2", "@ MX 1 192.0.2.256.f.",
            "@ MX 1 192.0.2.1.f.", "@ MX 1 192.0.2.1\n192.0.2.1 A 192.0.2.1",
            "* A 192.0.2.1\na CNAME 192.0.2.1", "@ MX 1 abcd.f.",
        ])
    func almostAddresses(text: String) throws {
        let (set, all) = findings([try zone("e.", text)])
        #expect(set != nil && all.isEmpty, "\(all)")
    }

    @Test("an error hides no finding of another zone, and makes up none")
    func errorsBesideOthers() throws {
        // In the first zone the host's line is wrong; the second one's findings are its own.
        var first = try zone("a.", "x A 192.0.2.1\n@ MX 1 mail")
        first.isComplete = false
        let second = try zone("b.", "@ MX 1 mail.a.\n@ MX 2 mail\nw CNAME x\nw TXT x")
        let third = try zone("c.", "@ NS ns", soa: false)
        let all = findings([first, second, third]).all
        #expect(
            all.map { "\($0.position.file):\($0.position.line)" } == [
                "b.zone:4", "b.zone:5", "b.zone:5", "c.zone:0",
            ]
        )
        // Where one more zone hangs below, and where much is wrong at one name.
        var parent = try zone(
            "e.", "c NS ns.invalid.\nx STEER a\nx NS n.\nx A 192.0.2.1\nx DNAME f.")
        parent.isComplete = false
        let child = try zone("c.e.", "y MX 1 nothing\ny MX 2 z.f.e.")
        let family = findings([parent, child]).all
        #expect(family.contains { $0.position == child.records[2].position })
        #expect(!family.contains { $0.position == child.records[3].position }, "\(family)")
    }

    @Test("all services are named where the zones can't be compiled")
    func referencesOfFaultyZones() throws {
        let sources = [
            try zone("e.", "a STEER x\na A 192.0.2.1\nb STEER y"), try zone("f.", "c STEER x"),
        ]
        #expect(findings(sources).set == nil)
        let references = SteerReference.all(in: sources)
        #expect(references.map(\.service) == ["x", "y"])
        #expect(references[0].uses.map(\.owner.description) == ["a.e.", "c.f."])
    }

    @Test("names beyond the limit are an error, and end the load; what was not looked at is told")
    func tooManyNames() throws {
        let text = (0..<100).map { "a\($0).b.c A 192.0.2.1" }.joined(separator: "\n")
        var diagnostics = Diagnostics()
        let names = NameIndex(octetLimit: 1_000)
        let sources = try [zone("e.", text), zone("f.", text)]
        #expect(ZoneSetBuilder.build(sources, names: names, &diagnostics) == nil)
        let errors = diagnostics.all.filter { $0.severity == .error }
        #expect(errors.map(\.position.file) == ["e.zone", "f.zone"])
        #expect(errors.first?.message.contains("too much room") == true)
        #expect(errors.last?.message.contains("the zone f. were not looked at") == true)
    }
}
