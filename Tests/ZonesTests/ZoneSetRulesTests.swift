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

    init(_ rule: String, _ text: String, _ line: Int, _ says: String) {
        (self.rule, self.text, self.line, self.says) = (rule, text, line, says)
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
        RuleCase("DNAME to below itself", "a DNAME x.a", 3, "the DNAME of a.e. points at or below"),
        RuleCase("DNAME to itself", "a DNAME a", 3, "the DNAME of a.e. points at or below"),
        RuleCase("a duplicate", "a A 192.0.2.1\na A 192.0.2.1", 4, "twice"),
        RuleCase("a duplicate in other case", "a MX 1 B.f.\na MX 1 b.F.", 4, "twice"),
        RuleCase("TTLs that differ", "a 60 A 192.0.2.1\na 30 A 192.0.2.2", 4, "TTL 30 and 60"),
        RuleCase("data below a cut", "a NS n.\nb.a TXT x", 4, "TXT of b.a.e. is never answered"),
        RuleCase("data at a cut", "a NS n.\na MX 1 n.", 4, "MX of a.e. is never answered"),
        RuleCase("missing glue", "a NS n.a", 3, "n.a.e. serves a.e. from inside it"),
        RuleCase("NS that is an alias", "@ NS n\nn CNAME m.", 3, "is an alias"),
        RuleCase("MX that is an alias", "@ MX 1 n\nn CNAME m.", 3, "is an alias"),
        RuleCase("MX that does not exist", "@ MX 1 n", 3, "n.e., which does not exist"),
        RuleCase("NS without address", "@ NS n\nn TXT x", 3, "has no A or AAAA"),
        RuleCase("a wildcard delegation", "*.a NS n.", 3, "does not delegate"),
        RuleCase("a wildcard DNAME", "*.a DNAME n.", 3, "does not rewrite"),
        RuleCase("a CNAME to itself", "a CNAME a", 3, "leads back to itself"),
        RuleCase("a CNAME loop", "a CNAME b\nb CNAME c\nc CNAME a", 3, "itself over 2 others"),
        RuleCase("a loop over a wildcard", "*.w CNAME x.w", 3, "leads back to itself"),
        RuleCase(
            "a long chain", (0..<9).map { "c\($0) CNAME c\($0 + 1)" }.joined(separator: "\n"), 3,
            "a chain of more than 8"),
        RuleCase("DS at the apex", "@ DS 1 8 2 00", 3, "belongs into the parent"),
    ]

    @Test("is warned about, with its place, and once", arguments: warnings)
    func warned(_ rule: RuleCase) throws {
        let (set, all) = findings([try zone("e.", rule.text)])
        #expect(set != nil, "\(all)")
        let found = all.filter { $0.position.line == rule.line && $0.message.contains(rule.says) }
        #expect(found.count == 1 && all.count == 1, "\(all)")
        #expect(found.allSatisfy { $0.severity == .warning })
    }

    @Test("a zone with all that may stand together has no findings")
    func clean() throws {
        let text = """
            @ STEER web
            @ TXT x
            @ MX 0 .
            @ MX 10 mail
            mail A 192.0.2.1
            www CNAME @
            w2 CNAME outside.
            cut NS ns.cut
            cut DS 1 8 2 00
            ns.cut A 192.0.2.2
            unused.cut AAAA ::1
            d DNAME elsewhere.
            d A 192.0.2.3
            s NS steered
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
        let hidden = findings([try zone("e.", "c NS n.\nx.c A 192.0.2.2"), child])
        #expect(hidden.all.isEmpty, "\(hidden.all)")
        let occluded = findings([try zone("e.", "x.c TXT x"), child])
        #expect(occluded.all.contains { $0.position.line == 3 && $0.message.contains("c.e.") })
        let far = findings([try zone("e.", "b NS n."), try zone("c.b.e.", "")])
        #expect(far.all.isEmpty, "\(far.all)")
    }

    @Test("names beyond the limit are an error, and end the load")
    func tooManyNames() throws {
        let text = (0..<100).map { "a\($0).b.c A 192.0.2.1" }.joined(separator: "\n")
        var diagnostics = Diagnostics()
        let names = NameIndex(octetLimit: 1_000)
        let sources = try [zone("e.", text), zone("f.", text)]
        #expect(ZoneSetBuilder.build(sources, names: names, &diagnostics) == nil)
        let errors = diagnostics.all.filter { $0.severity == .error }
        #expect(errors.count == 1)
        #expect(errors.first?.position.file == "e.zone")
        #expect(errors.first?.message.contains("too much room") == true)
    }
}
