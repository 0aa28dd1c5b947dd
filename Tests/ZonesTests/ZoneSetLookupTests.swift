// The walk on zones that can be checked by eye: the examples of the RFCs, and each rule alone.

import DNSWire
import Settings
import Testing

@testable import Zones

@Suite("ZoneSet lookups")
struct ZoneSetLookupTests {
    /// The root zone and EDU as C.ISI.EDU serves them (RFC 1034, section 6.1).
    static func arpanet() throws -> ZoneSet {
        try zoneSet(
            zone(
                ".",
                """
                . 86400 SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870611 1800 300 604800 86400
                . 86400 NS A.ISI.EDU.
                . 86400 NS C.ISI.EDU.
                . 86400 NS SRI-NIC.ARPA.
                MIL. 86400 NS SRI-NIC.ARPA.
                MIL. 86400 NS A.ISI.EDU.
                EDU. 86400 NS SRI-NIC.ARPA.
                EDU. 86400 NS C.ISI.EDU.
                SRI-NIC.ARPA. 86400 A 26.0.0.73
                SRI-NIC.ARPA. 86400 A 10.0.0.51
                SRI-NIC.ARPA. 86400 MX 0 SRI-NIC.ARPA.
                SRI-NIC.ARPA. 86400 HINFO DEC-2060 TOPS20
                ACC.ARPA. 86400 A 26.6.0.65
                ACC.ARPA. 86400 HINFO PDP-11/70 UNIX
                ACC.ARPA. 86400 MX 10 ACC.ARPA.
                USC-ISIC.ARPA. 86400 CNAME C.ISI.EDU.
                73.0.0.26.IN-ADDR.ARPA. 86400 PTR SRI-NIC.ARPA.
                65.0.6.26.IN-ADDR.ARPA. 86400 PTR ACC.ARPA.
                A.ISI.EDU. 86400 A 26.3.0.103
                C.ISI.EDU. 86400 A 10.0.0.52
                """, soa: false),
            zone(
                "edu.",
                """
                @ 86400 SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870729 1800 300 604800 86400
                @ 86400 NS SRI-NIC.ARPA.
                @ 86400 NS C.ISI.EDU.
                UCI 172800 NS ICS.UCI
                UCI 172800 NS ROME.UCI
                ICS.UCI 172800 A 192.5.19.1
                ROME.UCI 172800 A 192.5.19.31
                ISI 172800 NS VAXA.ISI
                ISI 172800 NS A.ISI
                ISI 172800 NS VENERA.ISI.EDU.
                VAXA.ISI 172800 A 10.2.0.27
                VAXA.ISI 172800 A 128.9.0.33
                VENERA.ISI.EDU. 172800 A 10.1.0.52
                VENERA.ISI.EDU. 172800 A 128.9.0.32
                A.ISI 172800 A 26.3.0.103
                """, soa: false))
    }

    @Test(
        "the queries of RFC 1034, section 6.2, are answered as C.ISI.EDU answers them",
        arguments: [
            ("SRI-NIC.ARPA.", "A", "answer sri-nic.arpa. A in ."),  // 6.2.1
            ("SRI-NIC.ARPA.", "ANY", "answer sri-nic.arpa. A in ."),  // 6.2.2, by RFC 8482
            ("SRI-NIC.ARPA.", "MX", "answer sri-nic.arpa. MX in ."),  // 6.2.3
            ("SRI-NIC.ARPA.", "NS", "nodata in ."),  // 6.2.4
            ("SIR-NIC.ARPA.", "A", "nxdomain in ."),  // 6.2.5
            ("BRL.MIL.", "A", "referral mil. NS in ."),  // 6.2.6
            ("USC-ISIC.ARPA.", "A", "cname usc-isic.arpa. CNAME in ."),  // 6.2.7
            ("C.ISI.EDU.", "A", "referral isi.edu. NS in edu."),  // 6.2.7, the chain's next step
            ("USC-ISIC.ARPA.", "CNAME", "answer usc-isic.arpa. CNAME in ."),  // 6.2.8
            ("0.26.IN-ADDR.ARPA.", "PTR", "nodata in ."),
            ("EDU.", "DS", "nodata in ."),
            ("EDU.", "NS", "answer edu. NS in edu."),
            (".", "NS", "answer . NS in ."),
        ])
    func rfc1034(name: String, type: String, expected: String) throws {
        let set = try Self.arpanet()
        #expect(try set.told(name, type) == expected)
    }

    @Test("negative answers have the SOA with the lower of its TTL and its MINIMUM")
    func negativeTTL() throws {
        let set = try zoneSet(
            zone("a.", "@ 100 SOA n. h. 7 2 3 4 300\n@ NS n.", soa: false),
            zone("b.", "@ 500 SOA n. h. 8 2 3 4 300\n@ NS n.", soa: false))
        let a = try set.find("x.a.", "A")
        let b = try set.find("b.", "A")
        #expect(set.rrset(a.soa).ttl == 100)
        #expect(set.rrset(b.soa).ttl == 300)
        #expect(set.data(b.soa) == set.data(try set.find("b.", "SOA").rrset))
        #expect(set.rrset(try set.find("b.", "SOA").rrset).ttl == 500)
        #expect(set.zones.map(\.serial) == [7, 8])
    }

    static func wildcards() throws -> ZoneSet {
        try zoneSet(
            zone(
                "example.",
                """
                @ 3600 SOA ns.example.com. host 1 2 3 4 300
                @ NS ns.example.com.
                @ NS ns.example.net.
                * TXT wildcard
                * MX 10 host1
                sub.* TXT not-a-wildcard
                host1 A 192.0.2.1
                _ssh._tcp.host1 SRV 0 0 22 host1
                _ssh._tcp.host2 SRV 0 0 22 host2
                subdel NS ns.example.com.
                subdel NS ns.example.net.
                """, soa: false))
    }

    @Test(
        "the queries of RFC 4592, section 2.2.1, get what it says",
        arguments: [
            ("host3.example.", "MX", "answer host3.example. MX synthesised in example."),
            ("host3.example.", "A", "nodata synthesised in example."),
            ("foo.bar.example.", "TXT", "answer foo.bar.example. TXT synthesised in example."),
            ("host1.example.", "MX", "nodata in example."),
            ("sub.*.example.", "MX", "nodata in example."),
            ("_telnet._tcp.host1.example.", "SRV", "nxdomain in example."),
            ("host.subdel.example.", "A", "referral subdel.example. NS in example."),
            ("ghost.*.example.", "MX", "nxdomain in example."),
            ("*.example.", "MX", "answer *.example. MX in example."),
            ("*.example.", "A", "nodata in example."),
            ("_tcp.host2.example.", "A", "nodata in example."),
            ("host2.example.", "MX", "nodata in example."),
            ("x.host2.example.", "MX", "nxdomain in example."),
        ])
    func rfc4592(name: String, type: String, expected: String) throws {
        #expect(try Self.wildcards().told(name, type) == expected)
    }

    static func mixed() throws -> ZoneSet {
        try zoneSet(
            zone(
                "e.",
                """
                @ STEER web
                @ TXT apex
                chat 30 STEER sockets
                chat TXT static
                *.eu 20 STEER web
                *.c CNAME target
                target A 192.0.2.1
                d DNAME other.
                d A 192.0.2.2
                *.ent.ent A 192.0.2.3
                a.*.w TXT below-wildcard
                cut NS ns.cut
                cut NS ns.sister
                cut NS target
                cut DS 1 8 2 00
                cut A 192.0.2.4
                ns.cut A 192.0.2.5
                ns.cut AAAA 2001:db8::5
                sister NS ns.sister
                ns.sister A 192.0.2.6
                child NS ns.child
                child DS 2 8 2 00
                ns.child A 192.0.2.7
                """),
            zone("child.e.", "www A 192.0.2.8"),
            zone("x.y.path.e.", "@ A 192.0.2.9"),
            zone("up.cut.e.", "@ A 192.0.2.10"))
    }

    @Test(
        "each rule of the walk, alone",
        arguments: [
            ("e.", "A", "steered web in e."), ("e.", "AAAA", "steered web in e."),
            ("e.", "ANY", "steered web in e."), ("e.", "TXT", "answer e. TXT in e."),
            ("e.", "MX", "nodata in e."), ("chat.e.", "A", "steered sockets in e."),
            ("chat.e.", "TXT", "answer chat.e. TXT in e."),
            ("a.b.eu.e.", "AAAA", "steered web synthesised in e."),
            ("a.eu.e.", "TXT", "nodata synthesised in e."), ("eu.e.", "A", "nodata in e."),
            ("q.c.e.", "A", "cname q.c.e. CNAME synthesised in e."),
            ("q.c.e.", "CNAME", "answer q.c.e. CNAME synthesised in e."),
            ("q.c.e.", "ANY", "answer q.c.e. CNAME synthesised in e."),
            ("d.e.", "A", "answer d.e. A in e."), ("d.e.", "DNAME", "answer d.e. DNAME in e."),
            ("x.d.e.", "A", "dname d.e. DNAME in e."),
            ("x.y.d.e.", "DNAME", "dname d.e. DNAME in e."),
            ("ent.e.", "A", "nodata in e."), ("x.ent.e.", "A", "nxdomain in e."),
            ("q.w.e.", "TXT", "nodata synthesised in e."), ("*.w.e.", "A", "nodata in e."),
            ("cut.e.", "A", "referral cut.e. NS in e."),
            ("cut.e.", "NS", "referral cut.e. NS in e."),
            ("cut.e.", "ANY", "referral cut.e. NS in e."),
            ("cut.e.", "DS", "answer cut.e. DS in e."),
            ("sister.e.", "DS", "nodata in e."),
            ("ns.cut.e.", "A", "referral cut.e. NS in e."),
            ("ns.cut.e.", "DS", "referral cut.e. NS in e."),
            ("child.e.", "DS", "answer child.e. DS in e."),
            ("child.e.", "NS", "answer child.e. NS in child.e."),
            ("child.e.", "ANY", "answer child.e. NS in child.e."),
            ("ns.child.e.", "A", "nxdomain in child.e."),
            ("www.child.e.", "A", "answer www.child.e. A in child.e."),
            ("x.y.path.e.", "A", "answer x.y.path.e. A in x.y.path.e."),
            ("x.y.path.e.", "DS", "nodata in x.y.path.e."),
            ("y.path.e.", "A", "nxdomain in e."), ("path.e.", "A", "nxdomain in e."),
            ("z.y.path.e.", "A", "nxdomain in e."),
            ("up.cut.e.", "A", "answer up.cut.e. A in up.cut.e."),
            ("up.cut.e.", "DS", "nodata in up.cut.e."),
            (".", "NS", "notAuthoritative"), ("f.", "A", "notAuthoritative"),
            ("x.f.", "A", "notAuthoritative"), ("a.b.c.d.f.g.h.i.", "A", "notAuthoritative"),
        ])
    func rules(name: String, type: String, expected: String) throws {
        #expect(try Self.mixed().told(name, type) == expected)
    }

    /// A zone, its child, and a grandchild two levels further down whose parent level nobody serves.
    static func family() throws -> ZoneSet {
        try zoneSet(
            zone(
                "e.",
                """
                @ NS ns
                ns A 192.0.2.1
                * TXT any
                child NS ns.child
                child DS 1 8 2 00
                ns.child A 192.0.2.2
                b.c.child TXT occluded-and-served
                gone NS ns.gone
                ns.gone A 192.0.2.3
                *.gone TXT below-cut
                deep.er.gone TXT below-cut
                leaf A 192.0.2.4
                x.ent A 192.0.2.5
                *.star.ent2 A 192.0.2.6
                s.ent3 STEER web
                cut.ent4 NS ns
                *.beside TXT any
                cut.beside NS ns
                a.cut.beside TXT occluded
                old DNAME new
                new TXT target
                """),
            zone("child.e.", "@ NS ns.child.e.\nns.child.e. A 192.0.2.2\nb TXT b\nd.b.a TXT x"),
            zone("g.m.child.e.", "@ TXT grandchild\nx.y TXT x"))
    }

    @Test(
        "parent and child, both served: who answers (RFC 1034, section 4.2; RFC 4035, section 3.1.4.1)",
        arguments: [
            ("child.e.", "DS", "answer child.e. DS in e."),
            ("child.e.", "NS", "answer child.e. NS in child.e."),
            ("child.e.", "SOA", "answer child.e. SOA in child.e."),
            ("child.e.", "A", "nodata in child.e."),
            ("ns.child.e.", "A", "answer ns.child.e. A in child.e."),
            ("b.c.child.e.", "TXT", "nxdomain in child.e."),
            ("q.child.e.", "TXT", "nxdomain in child.e."),
            ("q.child.e.", "DS", "nxdomain in child.e."),
            ("gone.e.", "DS", "nodata in e."), ("gone.e.", "NS", "referral gone.e. NS in e."),
            ("gone.e.", "SOA", "referral gone.e. NS in e."),
            // Two levels down; nothing delegates to it, and between them is no zone.
            ("g.m.child.e.", "TXT", "answer g.m.child.e. TXT in g.m.child.e."),
            ("g.m.child.e.", "DS", "nodata in g.m.child.e."),
            ("y.g.m.child.e.", "TXT", "nodata in g.m.child.e."),
            ("z.g.m.child.e.", "TXT", "nxdomain in g.m.child.e."),
            ("m.child.e.", "TXT", "nxdomain in child.e."),
            ("h.m.child.e.", "TXT", "nxdomain in child.e."),
        ])
    func parentAndChild(name: String, type: String, expected: String) throws {
        #expect(try Self.family().told(name, type) == expected)
    }

    @Test(
        "what exists, what is hidden, and how far wildcards reach",
        arguments: [
            // RFC 8020: what is below a name that does not exist does not exist either.
            ("q.child.e.", "A", "nxdomain in child.e."),
            ("r.q.child.e.", "A", "nxdomain in child.e."),
            ("q.leaf.e.", "A", "nxdomain in e."), ("r.q.leaf.e.", "TXT", "nxdomain in e."),
            // Empty non-terminals exist (RFC 4592, section 2.2.2), above whatever stands below.
            ("ent.e.", "A", "nodata in e."), ("q.ent.e.", "TXT", "nxdomain in e."),
            ("ent2.e.", "TXT", "nodata in e."), ("star.ent2.e.", "A", "nodata in e."),
            ("q.star.ent2.e.", "A", "answer q.star.ent2.e. A synthesised in e."),
            ("ent3.e.", "A", "nodata in e."), ("ent4.e.", "TXT", "nodata in e."),
            ("a.b.child.e.", "TXT", "nxdomain in child.e."),
            ("a.child.e.", "TXT", "nodata in child.e."),
            ("b.a.child.e.", "A", "nodata in child.e."),
            // Occluded: below a cut there is only the referral (RFC 1034, section 4.3.2, step 3b).
            ("deep.er.gone.e.", "TXT", "referral gone.e. NS in e."),
            ("er.gone.e.", "TXT", "referral gone.e. NS in e."),
            ("*.gone.e.", "TXT", "referral gone.e. NS in e."),
            ("ns.gone.e.", "A", "referral gone.e. NS in e."),
            // A wildcard beside a cut ends where the cut begins (RFC 4592, section 2.2.1).
            ("q.beside.e.", "TXT", "answer q.beside.e. TXT synthesised in e."),
            ("cut.beside.e.", "TXT", "referral cut.beside.e. NS in e."),
            ("q.cut.beside.e.", "TXT", "referral cut.beside.e. NS in e."),
            ("a.cut.beside.e.", "TXT", "referral cut.beside.e. NS in e."),
            ("q.q.beside.e.", "TXT", "answer q.q.beside.e. TXT synthesised in e."),
            // That of the apex reaches what no other name stands above.
            ("q.e.", "TXT", "answer q.e. TXT synthesised in e."),
            ("q.q.e.", "DS", "nodata synthesised in e."),
            ("beside.e.", "TXT", "nodata in e."),
            ("q.old.e.", "TXT", "dname old.e. DNAME in e."),
        ])
    func existence(name: String, type: String, expected: String) throws {
        #expect(try Self.family().told(name, type) == expected)
    }

    @Test("a wildcard covers the level that nobody serves between two zones")
    func unservedLevel() throws {
        let set = try zoneSet(zone("e.", "* TXT any"), zone("g.m.e.", "@ TXT g"))
        #expect(try set.told("m.e.", "TXT") == "answer m.e. TXT synthesised in e.")
        #expect(try set.told("h.m.e.", "TXT") == "answer h.m.e. TXT synthesised in e.")
        #expect(try set.told("g.m.e.", "TXT") == "answer g.m.e. TXT in g.m.e.")
        #expect(try set.told("q.g.m.e.", "TXT") == "nxdomain in g.m.e.")
    }

    @Test("a steered answer carries its service, its TTL and the record's place")
    func steerReferences() throws {
        let set = try Self.mixed()
        #expect(set.steerReferences.map(\.service) == ["web", "sockets"])
        #expect(set.steerReferences[0].uses.map(\.owner.description) == ["e.", "*.eu.e."])
        #expect(set.steerReferences[0].uses.map(\.position.line) == [3, 7])
        #expect(try set.find("a.eu.e.", "A").steerTTL == 20)
    }

    @Test("a referral brings its servers' addresses, the required ones first")
    func glue() throws {
        let set = try Self.mixed()
        let referral = try set.find("www.cut.e.", "A")
        let rows = set.glue(of: referral).map { set.glue(at: $0) }
        let names = rows.map { glue in
            Name.presentation(
                ofWire: (0..<Int(glue.targetLength)).map {
                    set.octets[Int(glue.targetStart) + $0]
                })
        }
        #expect(names == ["ns.cut.e.", "ns.sister.e.", "target.e."])
        #expect(rows.map(\.isRequired) == [true, false, false])
        #expect(
            rows.map { set.data($0.a) } == [
                [[192, 0, 2, 5]], [[192, 0, 2, 6]], [[192, 0, 2, 1]],
            ])
        #expect(rows.map { $0.aaaa >= 0 } == [true, false, false])
        let block = set.rrset(referral.rrset)
        for row in rows {
            #expect(
                (block.blockStart..<block.blockStart + block.blockLength)
                    .contains(Int(row.targetStart)))
        }
        #expect(set.glue(of: try set.find("e.", "TXT")).isEmpty)
    }

    @Test("the deepest and the longest names are found, and names near them are not")
    func deepNames() throws {
        let deepest = String(repeating: "a.", count: 127)
        let longest =
            (0..<3).map { _ in String(repeating: "x", count: 63) + "." }.joined()
            + String(repeating: "y", count: 61) + "."
        let set = try zoneSet(zone("a.", "\(deepest) A 192.0.2.1"), zone("y.", "", soa: true))
        #expect(try set.told(deepest, "A") == "answer \(deepest) A in a.")
        #expect(try set.told(String(repeating: "a.", count: 126), "A") == "nodata in a.")
        #expect(try set.told("b." + String(repeating: "a.", count: 100), "A") == "nxdomain in a.")
        for labels in 1...60 {
            let name = String(repeating: "b.", count: labels) + String(repeating: "a.", count: 61)
            #expect(try set.find(name, "A").ownerLabels == 61)
        }
        #expect(try set.told(longest, "A") == "notAuthoritative")
    }

    @Test("no zones at all know no name")
    func empty() throws {
        let set = try zoneSet()
        #expect(try set.told(".", "A") == "notAuthoritative")
        #expect(try set.told("a.b.c.", "A") == "notAuthoritative")
    }
}
