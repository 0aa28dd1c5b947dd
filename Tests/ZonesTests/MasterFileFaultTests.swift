import DNSWire
import Settings
import Testing
import Zones

#if canImport(Glibc)
    import Glibc
#endif

struct MasterFileFaultTests {
    /// One faulty text with all its findings, without the file's name.
    struct Fault: Sendable, CustomTestStringConvertible {
        var text: String
        var findings: [String]
        init(_ text: String, _ findings: String...) {
            self.text = text
            self.findings = findings
        }
        var testDescription: String { text }
    }

    @Test(
        "a fault is reported with line, column and cure",
        arguments: [
            Fault("a 1 AAAAA ::1", #"1:5: error: unknown record type "AAAAA"; did you mean AAAA?"#),
            Fault("a 1 STER web", #"1:5: error: unknown record type "STER"; did you mean STEER?"#),
            Fault("a 1 HTPS 1 .", #"1:5: error: unknown record type "HTPS"; did you mean HTTPS?"#),
            Fault(
                "a 1 192.0.2.1",
                #"1:5: error: "192.0.2.1" stands where the type belongs; write one TTL, as 300 or "#
                    + "1h30m, then the type, then its data"),
            Fault(
                "a 1 IN",
                #"1:7: error: the record has no type; write "[owner] [ttl] type data""#),
            Fault(
                "a 1 FOO x",
                #"1:5: error: unknown record type "FOO"; a type without a name here is written "#
                    + "TYPEnnn \\# length hex"),
            Fault(
                "a 1 20 A 192.0.2.1",
                #"1:5: error: "20" stands where the type belongs; write one TTL, as 300 or "#
                    + "1h30m, then the type, then its data"),
            Fault(
                "a 1 -5 A 192.0.2.1",
                #"1:5: error: "-5" stands where the type belongs; write one TTL, as 300 or "#
                    + "1h30m, then the type, then its data"),
            Fault(
                "a IN 1 IN A 192.0.2.1",
                "1:8: error: a second class; a record has one, so remove it"),
            // What one writes who knows other files.
            Fault(
                "a 1 A 192.0.2.1 # x",
                #"1:17: error: a comment starts with ";"; write that before it"#),
            Fault("# x", #"1:1: error: a comment starts with ";"; write that before it"#),
            Fault("#", #"1:1: error: a comment starts with ";"; write that before it"#),
            Fault("// x y", #"1:1: error: a comment starts with ";"; write that before it"#),
            Fault(
                "#a 1 A x", #"1:8: error: "x" is not an IPv4 address; write one like 192.0.2.1"#),
            Fault(
                "a 1 TYPE65280 # 1 00",
                ##"1:15: error: the format of TYPE65280 data is not known; write it as "\# length hex""##
            ),
            Fault(
                "a 1 A 192.0.2.1\n www 1 A 192.0.2.1",
                #"2:2: error: "www" is no record type, and a line that starts with a blank goes on "#
                    + #"with the owner before; remove the blank if "www" is the owner"#),
            Fault(
                "a 1 A 192.0.2.1\n a IN A 192.0.2.1",
                #"2:4: error: "IN" is not an IPv4 address; write one like 192.0.2.1; if "a" is the "#
                    + "owner, remove the blank before it"),
            Fault(
                "a 1 A 192.0.2.1\n mx MX 10 a",
                #"2:5: error: "MX" is not a number from 0 to 65535; write "MX preference name"; if "#
                    + #""mx" is the owner, remove the blank before it"#),
            Fault("a 1 CH TXT x", "1:5: error: only class IN is served; write IN or nothing"),
            Fault("a 1 CLASS3 TXT x", "1:5: error: only class IN is served; write IN or nothing"),
            Fault(
                "a 1 OPT x", "1:5: error: OPT is for messages; no zone can hold it, so remove it"),
            Fault(
                "a 1 ANY x", "1:5: error: ANY is for messages; no zone can hold it, so remove it"),
            Fault(
                " 1 A 192.0.2.1\n 1 A 192.0.2.1",
                "1:2: error: a line that starts with a blank goes on with the owner before, and there is "
                    + "none; write an owner, or @ for the origin"),
            Fault(
                "a..b 1 A 192.0.2.1\n 1 A x\n",
                "1:1: error: the owner is not a domain name: two dots in a row, or a leading dot: a "
                    + "label is empty; remove a dot",
                #"2:6: error: "x" is not an IPv4 address; write one like 192.0.2.1"#),
            Fault(
                #"a"b" 1 A 192.0.2.1"#,
                "1:1: error: quotes inside a name; write \\\" for a quote in it"),
            Fault(
                "a A 192.0.2.1\nb A 192.0.2.1",
                "1:1: error: no TTL for this record and those after it; write $TTL at the top"),
            Fault(
                "a 2147483648 A 192.0.2.1",
                "1:3: error: the TTL is over 2147483647 seconds, the limit (RFC 2181, section 8); "
                    + "write less, as in 1d"),
            Fault(
                "$TTL 3551w",
                "1:6: error: the TTL is over 2147483647 seconds, the limit (RFC 2181, section 8); "
                    + "write less, as in 1d"),
            Fault(
                "$TTL soon", #"1:6: error: not a time; write seconds, or units as in "1h30m""#),
            Fault("$TTL", #"1:5: error: write "$TTL seconds""#),
            Fault("$ORIGIN a b", #"1:11: error: write "$ORIGIN name""#),
            Fault(
                "$ORIGIN a..b",
                "1:9: error: not a domain name: two dots in a row, or a leading dot: a label is "
                    + "empty; remove a dot"),
            Fault("$ORIGN a", #"1:1: error: unknown directive "$ORIGN"; did you mean $ORIGIN?"#),
            Fault(
                "$dollar A 192.0.2.1",
                #"1:1: error: unknown directive "$dollar"; write \$ if it is a name that starts with "#
                    + "a dollar"),
            Fault(
                "$GENERATE 1-2 a A",
                #"1:18: error: write "$GENERATE start-stop[/step] owner [ttl] type data""#),
            Fault(
                "$GENERATE 2-1 a A 192.0.2.1",
                "1:11: error: not a range; write start-stop or start-stop/step, as in 1-254"),
            Fault(
                "$GENERATE 0-1048576 a A 192.0.2.1",
                "1:11: error: more than 1048576 records generated in this zone; write a shorter "
                    + "range"),
            Fault(
                "$GENERATE 1-2 a 1 A 192.0.2.${0,1,q}",
                "1:21: error: not a use of $ that is known; write $, \\$ or ${offset,width,base} with "
                    + "base d, o, x, X, n or N, and a sum that is not negative"),
            Fault(
                "$TTL 1\n$GENERATE 255-300 a$ A 192.0.2.$\n",
                #"2:24: error: "192.0.2.256" is not an IPv4 address; write one like 192.0.2.1"#),
            Fault(
                "$INCLUDE none",
                "1:10: error: cannot read zones/none: no such file; a relative path starts at the "
                    + "folder of the file that it stands in"),
            Fault(
                "a 1 A ( 192.0.2.1\nb", #"1:7: error: "(" without ")" up to the end; close it"#),
            Fault(
                "a 1 A 192.0.2.1 )\nb 1 A x", #"1:17: error: ")" without "("; remove it"#,
                #"2:7: error: "x" is not an IPv4 address; write one like 192.0.2.1"#),
            Fault(
                "a 1 TXT \"x\nb 1 TXT y=\"x\nc 1 TXT \"",
                "1:9: error: a quote that is not closed on its line; close it",
                "2:11: error: a quote that is not closed on its line; close it",
                "3:9: error: a quote that is not closed on its line; close it"),
            Fault(
                "a 1 TXT x\"y\"",
                "1:9: error: quotes inside a word; quote all of it, or write \\\" "
                    + "for a quote in it"),
            Fault(
                "a 1 MX (\n\n  10 )",
                #"3:5: error: MX data ends too early; write "MX preference name""#),
            Fault(
                "a 1 MX (10\n mail\n extra)",
                #"3:2: error: MX data is too long here; write "MX preference name""#),
            Fault(
                "a 1 TXT \"ok\" \"\\300\"",
                "1:14: error: a backslash wants three decimal digits up to 255, or one character; "
                    + "write \\\\ for the backslash itself"),
            Fault(
                "a 1 STEER",
                #"1:10: error: STEER takes the name of one service; write "STEER service""#),
            Fault(
                "a 1 STEER a b",
                #"1:13: error: STEER takes the name of one service; write "STEER service""#),
            Fault(
                "a 1 STEER a/b",
                #"1:11: error: a service's name has letters, digits, ".", "_" and "-" only"#),
            Fault(
                "a 1 DS 1 8 2 AB CD",
                "1:17: warning: a digest of 2 octets where type 2 has 32; is it cut off?"),
            Fault(
                "a 1 HTTPS 0 b. alpn=h2",
                "1:16: warning: parameters of an alias (priority 0) are ignored by all clients; "
                    + "remove them"),
            Fault(
                "m\u{FC}nchen 1 A 192.0.2.1",
                "1:1: warning: a name with octets outside ASCII; write an international name as "
                    + "xn--..."),
        ])
    func fault(_ fault: Fault) throws {
        let reading = try MasterFileTests.read(Array(fault.text.utf8))
        #expect(reading.findings == fault.findings.map { "zones/example.com.zone:" + $0 })
    }

    @Test("reading goes on behind a fault: all show, and what is good is kept")
    func goesOn() throws {
        let reading = try MasterFileTests.read(
            Array("$TTL 1\na A x\nb A 192.0.2.1\nc FOO\nd A 192.0.2.2\n".utf8))
        #expect(reading.findings.count == 2)
        #expect(
            reading.records == ["b.example.com. 1 A 192.0.2.1", "d.example.com. 1 A 192.0.2.2"])
    }

    @Test("a file in UTF-16 is one error")
    func utf16() throws {
        let reading = try MasterFileTests.read([0xFF, 0xFE, 0x61, 0, 0x20, 0])
        #expect(
            reading.findings == [
                "zones/example.com.zone: error: the file is UTF-16; save it as ASCII or UTF-8"
            ])
    }

    @Test("an entry of more words than any record has is refused, not collected")
    func tooManyWords() throws {
        let text = "$TTL 1\na TXT (" + String(repeating: " x", count: 200_000) + ")\nb A 192.0.2.1"
        let reading = try MasterFileTests.read(Array(text.utf8))
        #expect(reading.findings.count == 1)
        #expect(reading.findings[0].contains("2:7: error: a record of more than 90000 words"))
        #expect(reading.records == ["b.example.com. 1 A 192.0.2.1"])
    }

    @Test("no mutation of a zone file makes the reader trap or lose a place")
    func mutations() throws {
        let seed = Array(
            """
            $TTL 1h
            @ SOA ns1 host\\.master ( 1 ; serial
                2h 30m 1w 60 )
            \t NS ns1
            *.ns1 60 IN A 192.0.2.1
            $ORIGIN sub
            a IN 60 TXT "x\\"y" z\\065 "" ; c
            b HTTPS 1 . alpn="h2,h\\\\,3" ipv4hint=192.0.2.1 key9=a mandatory=alpn
            c LOC 42 21 54 N 71 06 18 W -24m 30m
            d APL 1:192.168.32.0/21 !2:ff00::/8
            e NSEC3 1 1 12 aabb 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG
            f RRSIG A 8 2 60 20240101000000 20240102000000 1 . AQIDBA==
            g TYPE65280 \\# 2 AB CD
            h STEER web
            $INCLUDE part.inc @
            $GENERATE 1-9/2 i${1,2,x} 60 A 192.0.2.$
            """.utf8)
        let alphabet = Array("\"();\\$@ \t\n\r\0\u{80}.-#=,:!/0123456789aZ".utf8)
        var random = MutationRandom(state: 7)
        for _ in 0..<4_000 {
            var octets = seed
            for _ in 0...random.below(6) {
                let place = random.below(octets.count)
                switch random.below(4) {
                case 0: octets[place] = alphabet[random.below(alphabet.count)]
                case 1: octets.insert(alphabet[random.below(alphabet.count)], at: place)
                case 2:
                    octets.removeSubrange(place..<min(octets.count, place + 1 + random.below(9)))
                default:
                    octets.insert(
                        contentsOf: octets[place...].prefix(20), at: random.below(place + 1))
                }
                if octets.isEmpty { octets = seed }
            }
            let reading = try MasterFileTests.read(
                octets, files: ["zones/part.inc": "x A 192.0.2.1"])
            for record in reading.source.records {
                #expect(record.position.line >= 1 && record.position.column >= 1)
                guard case .data(let type, let rdata) = record.content else { continue }
                #expect(type.isValid(rdata: rdata[...]))
            }
        }
    }

    // MARK: - Files

    /// Makes a folder for one test and removes it afterwards.
    private func withFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/rhumb-zones-XXXXXX".utf8CString)
        // Safe: the template is terminated and outlives the call.
        let isMade = unsafe mkdtemp(&template) != nil
        try #require(isMade)
        let folder = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { removeAll(folder) }
        try body(folder)
    }

    private func removeAll(_ folder: String) {
        for name in ["example.org.zone", "part.inc", "@.zone", "a..b.zone", "x.txt"] {
            // Safe: strings are passed terminated.
            _ = unsafe unlink(folder + "/" + name)
            _ = unsafe rmdir(folder + "/" + name)
        }
        // Safe: the string is passed terminated.
        _ = unsafe rmdir(folder)
    }

    private func write(_ text: String, to path: String) throws {
        // Safe: strings are passed terminated, the file is open until the end of the function.
        let file = unsafe fopen(path, "w")
        defer { if let file = unsafe file { _ = unsafe fclose(file) } }
        let isWritten = if let file = unsafe file { unsafe fputs(text, file) >= 0 } else { false }
        try #require(isWritten)
    }

    @Test("a zone file's name is its apex, and includes are found beside it")
    func load() throws {
        try withFolder { folder in
            let path = folder + "/example.org.zone"
            try write("$TTL 1\n@ NS a\n$INCLUDE part.inc\n", to: path)
            try write("b A 192.0.2.1\n", to: folder + "/part.inc")
            try write("com 1 NS a.example.\n", to: folder + "/@.zone")
            var diagnostics = Diagnostics()
            let zone = try #require(loadZoneFile(path: path, diagnostics: &diagnostics))
            #expect(zone.apex.description == "example.org.")
            #expect(zone.file == path)
            #expect(zone.records.map(\.owner.description) == ["example.org.", "b.example.org."])
            let root = try #require(
                loadZoneFile(path: folder + "/@.zone", diagnostics: &diagnostics))
            #expect(root.apex == .root)
            #expect(root.records.map(\.owner.description) == ["com."])
            #expect(diagnostics.all == [])
        }
    }

    @Test("a zone file that is missing, no file or wrongly named is an error that says so")
    func loadFaults() throws {
        try withFolder { folder in
            // Safe: the string is passed terminated.
            let isMade = unsafe mkdir(folder + "/example.org.zone", 0o700) == 0
            #expect(isMade)
            for (name, message) in [
                ("missing.zone", "cannot read it: no such file or directory"),
                ("example.org.zone", "cannot read it: it is not a regular file"),
                ("x.txt", "the name of a zone file is the zone's name and \".zone\""),
                (".zone", "the name of a zone file is the zone's name and \".zone\""),
                (
                    "a..b.zone",
                    "the file's name, without .zone, is no domain name: two dots in a row"
                ),
            ] {
                var diagnostics = Diagnostics()
                let path = folder + "/" + name
                #expect(loadZoneFile(path: path, diagnostics: &diagnostics) == nil)
                #expect(diagnostics.all.count == 1)
                #expect(
                    diagnostics.all.first?.description.hasPrefix("\(path): error: \(message)")
                        == true)
            }
        }
    }

    @Test("a file over the limit is refused")
    func limit() throws {
        try withFolder { folder in
            let path = folder + "/part.inc"
            try write("12345", to: path)
            #expect(try readFile(path: path, limit: 5) == Array("12345".utf8))
            #expect(throws: FileError(explanation: "it has more than 4 octets, the limit")) {
                try readFile(path: path, limit: 4)
            }
        }
    }
}

/// Repeatable random numbers.
private struct MutationRandom {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(bound))
    }
}
