import DNSWire
import Settings
import Testing

@testable import Zones

/// Reads text as the zone example.com.; records come back as `owner ttl type data` lines.
struct MasterFileTests {
    struct Reading {
        var records: [String]
        var findings: [String]
        var source: ZoneSource
    }

    static func read(
        _ octets: [UInt8], file: String = "zones/example.com.zone", files: [String: String] = [:]
    ) throws -> Reading {
        var diagnostics = Diagnostics()
        let source = readMasterFile(
            octets, file: file, apex: try Name("example.com."),
            include: { (path) throws(FileError) in
                guard let text = files[path] else { throw FileError(explanation: "no such file") }
                return Array(text.utf8)
            }, diagnostics: &diagnostics)
        let records = source.records.map { record in
            switch record.content {
            case .data(let type, let rdata):
                "\(record.owner) \(record.ttl) \(type) \(type.presentation(of: rdata[...]))"
            case .steer(let service): "\(record.owner) \(record.ttl) STEER \(service)"
            }
        }
        return Reading(
            records: records, findings: diagnostics.sorted.map(\.description), source: source)
    }

    /// The records of text without findings.
    func records(_ text: String, files: [String: String] = [:]) throws -> [String] {
        let reading = try Self.read(Array(text.utf8), files: files)
        #expect(reading.findings == [])
        return reading.records
    }

    @Test("owner, TTL, class and type are read in every order that RFC 1035 allows")
    func fields() throws {
        let text = """
            $TTL 1h
            @ SOA ns1 host ( 1 ; serial
                2h 30m 1w 60 )
            \t NS ns1
            ns1 A 192.0.2.1
            a 60 A 192.0.2.2
            b 60 IN A 192.0.2.3
            c IN 60 A 192.0.2.4
            d in a 192.0.2.5
             CLASS1 1m30s AAAA 2001:db8::1
            Abs.Example.COM. TXT one "two words" three\\ four
            *.w MX 10 @
            10 A 192.0.2.6
            in IN A 192.0.2.7
            "quoted" A 192.0.2.8
            e\\.f A 192.0.2.9
            \\103 A 192.0.2.10
            """
        #expect(
            try records(text) == [
                "example.com. 3600 SOA ns1.example.com. host.example.com. 1 7200 1800 604800 60",
                "example.com. 3600 NS ns1.example.com.",
                "ns1.example.com. 3600 A 192.0.2.1",
                "a.example.com. 60 A 192.0.2.2",
                "b.example.com. 60 A 192.0.2.3",
                "c.example.com. 60 A 192.0.2.4",
                "d.example.com. 3600 A 192.0.2.5",
                "d.example.com. 90 AAAA 2001:db8::1",
                #"abs.example.com. 3600 TXT "one" "two words" "three four""#,
                "*.w.example.com. 3600 MX 10 example.com.",
                "10.example.com. 3600 A 192.0.2.6",
                "in.example.com. 3600 A 192.0.2.7",
                "quoted.example.com. 3600 A 192.0.2.8",
                #"e\.f.example.com. 3600 A 192.0.2.9"#,
                "g.example.com. 3600 A 192.0.2.10",
            ])
    }

    @Test("the example of RFC 1035, section 5.3, is read")
    func rfc1035Example() throws {
        let text = """
            @   IN  SOA     VENERA      Action\\.domains (
                                             20     ; SERIAL
                                             7200   ; REFRESH
                                             600    ; RETRY
                                             3600000; EXPIRE
                                             60)    ; MINIMUM

                    NS      A.ISI.EDU.
                    NS      VENERA
                    NS      VAXA
                    MX      10      VENERA
                    MX      20      VAXA

            A       A       26.3.0.103

            VENERA  A       10.1.0.52
                    A       128.9.0.32

            $INCLUDE <SUBSYS>ISI-MAILBOXES.TXT
            """
        let included = "MOE CNAME A.ISI.EDU."
        let reading = try Self.read(
            Array(text.utf8), files: ["zones/<SUBSYS>ISI-MAILBOXES.TXT": included])
        #expect(
            reading.findings == [
                "zones/example.com.zone:1:1: warning: no TTL; the SOA's minimum is taken, write $TTL "
                    + "before the SOA"
            ])
        #expect(reading.records.count == 10)
        #expect(
            reading.records.first
                == #"example.com. 60 SOA VENERA.example.com. Action\.domains.example.com. 20 7200 "#
                + "600 3600000 60")
        #expect(reading.records[8] == "venera.example.com. 60 A 128.9.0.32")
        #expect(reading.records.last == "moe.example.com. 60 CNAME A.ISI.EDU.")
    }

    @Test("a TTL is its own, else $TTL, else the last one written")
    func ttl() throws {
        let before = "a 5 A 192.0.2.1\nb A 192.0.2.2\n"
        #expect(
            try records(before + "$TTL 9\nc A 192.0.2.3\nd 7 A 192.0.2.4\ne A 192.0.2.5") == [
                "a.example.com. 5 A 192.0.2.1", "b.example.com. 5 A 192.0.2.2",
                "c.example.com. 9 A 192.0.2.3", "d.example.com. 7 A 192.0.2.4",
                "e.example.com. 9 A 192.0.2.5",
            ])
        #expect(
            try records("a 2147483647 A 192.0.2.1") == ["a.example.com. 2147483647 A 192.0.2.1"])
    }

    @Test("line ends, a byte order mark, comments and blank lines do not matter")
    func lines() throws {
        let expected = ["a.example.com. 1 A 192.0.2.1", "a.example.com. 1 A 192.0.2.2"]
        for text in [
            "a 1 A 192.0.2.1\n 1 A 192.0.2.2", "\u{FEFF}a 1 A 192.0.2.1\r\n\t1\tA\t192.0.2.2\r\n",
            "\n \t\n; x ( \" \n  ; y\na 1 A 192.0.2.1;x\n 1 A (192.0.2.2);y\n\n",
            "a 1 (\n; \"\n) A (\n192.0.2.1\n)\n 1 ((A) 192.0.2.2)\n",
        ] {
            #expect(try records(text) == expected)
        }
        #expect(try records("") == [])
        let long = String(repeating: " ", count: 100_000)
        #expect(try records("a\(long)1\(long)A\(long)192.0.2.1\(long);\(long)").count == 1)
    }

    @Test("$ORIGIN completes names from then on, also the same text again")
    func origin() throws {
        let text = """
            $TTL 1
            a A 192.0.2.1
            $ORIGIN sub
            a A 192.0.2.2
            @ NS a
            $ORIGIN other.example.
             NS b
            a CNAME @
            """
        #expect(
            try records(text) == [
                "a.example.com. 1 A 192.0.2.1", "a.sub.example.com. 1 A 192.0.2.2",
                "sub.example.com. 1 NS a.sub.example.com.",
                "sub.example.com. 1 NS b.other.example.", "a.other.example. 1 CNAME other.example.",
            ])
    }

    @Test("$INCLUDE reads from the including file's folder and restores origin and owner")
    func include() throws {
        let text = """
            $TTL 1
            a A 192.0.2.1
            $INCLUDE parts/one.inc sub
             A 192.0.2.4
            b A 192.0.2.5
            $INCLUDE /abs.inc
            """
        let files = [
            "zones/parts/one.inc": "$ORIGIN deep.sub.example.com.\nx A 192.0.2.2\n$INCLUDE two.inc",
            "zones/parts/two.inc": "y A 192.0.2.3",
            "/abs.inc": " A 192.0.2.6\nz A 192.0.2.7",
        ]
        #expect(
            try records(text, files: files) == [
                "a.example.com. 1 A 192.0.2.1", "x.deep.sub.example.com. 1 A 192.0.2.2",
                "y.deep.sub.example.com. 1 A 192.0.2.3", "a.example.com. 1 A 192.0.2.4",
                "b.example.com. 1 A 192.0.2.5", "b.example.com. 1 A 192.0.2.6",
                "z.example.com. 1 A 192.0.2.7",
            ])
    }

    @Test("records and findings of an included file have its places")
    func includePlaces() throws {
        let reading = try Self.read(
            Array("$TTL 1\n\n$INCLUDE one.inc\n".utf8),
            files: ["zones/one.inc": "a A 192.0.2.1\nb A nonsense\n"])
        #expect(reading.source.records.map(\.position.description) == ["zones/one.inc:1:1"])
        #expect(
            reading.findings == [
                #"zones/one.inc:2:5: error: "nonsense" is not an IPv4 address; write one like 192.0.2.1"#
            ])
    }

    @Test("files that include each other, or one too many, end in an error")
    func includeLimits() throws {
        let loop = try Self.read(
            Array("$INCLUDE a.inc".utf8),
            files: ["zones/a.inc": "$INCLUDE b.inc", "zones/b.inc": "\n$INCLUDE a.inc"])
        #expect(
            loop.findings == [
                "zones/b.inc:2:10: error: zones/a.inc includes itself; remove this $INCLUDE"
            ])
        var deep: [String: String] = [:]
        var wide: [String: String] = [:]
        for level in 0..<30 {
            deep["zones/\(level)"] = "$INCLUDE \(level + 1)"
            wide["zones/\(level)"] = String(repeating: "$INCLUDE \(level + 1)\n", count: 9)
        }
        let deepReading = try Self.read(Array("$INCLUDE 0".utf8), files: deep)
        #expect(deepReading.findings.count == 1)
        #expect(deepReading.findings[0].contains("too many files"))
        let wideReading = try Self.read(Array("$INCLUDE 0".utf8), files: wide)
        #expect(wideReading.findings.allSatisfy { $0.contains("too many files") })
    }

    @Test("short names behind a long origin end at the limit of what records come to, told once")
    func recordsLimit() throws {
        var reader = MasterFileReader(
            apex: try Name("example.com."), diagnostics: Diagnostics())
        // An owner of 76 octets and data of 4, times ten.
        reader.recordsLimit = 800
        let text =
            "$TTL 1\n$ORIGIN \(String(repeating: "a", count: 59)).example.com.\n"
            + (10...29).map { "\($0) A 192.0.2.1\n" }.joined()
        reader.read(Array("$INCLUDE a\n$INCLUDE a".utf8), file: "z") { (_, _) in Array(text.utf8) }
        #expect(reader.records.count == 10)
        #expect(reader.diagnostics.sorted.count == 1)
        #expect(
            reader.diagnostics.sorted.first?.description.hasPrefix(
                "a:13:1: error: the records up to here come to over 800 octets") == true)
    }

    @Test("STEER names a service, at any owner, with its TTL")
    func steer() throws {
        #expect(
            try records("$TTL 60\n@ STEER web\n*.eu 30 IN steer Web_2.x-y") == [
                "example.com. 60 STEER web", "*.eu.example.com. 30 STEER Web_2.x-y",
            ])
    }

    @Test("an unknown type is read in the generic format, a known one in both")
    func generic() throws {
        #expect(
            try records("a 1 TYPE65280 \\# 2 (AB\n CD)\nb 1 TYPE1 192.0.2.1\nc 1 A \\# 4 c0000201")
                == [
                    "a.example.com. 1 TYPE65280 \\# 2 ABCD", "b.example.com. 1 A 192.0.2.1",
                    "c.example.com. 1 A 192.0.2.1",
                ])
    }

    @Test("parameters of HTTPS may have quotes after the key")
    func serviceParameters() throws {
        #expect(
            try records(#"@ 1 HTTPS 1 . alpn="h2,h3" key667="a b;(c)" port=8443"#)
                == [#"example.com. 1 HTTPS 1 . alpn="h2,h3" port=8443 key667="a b;(c)""#])
    }

    @Test("the size of a generated file does not matter to what is read from it")
    func manyRecords() throws {
        let text =
            "$TTL 1\n" + (0..<5_000).map { "h\($0) A 10.0.\($0 >> 8).\($0 & 255)\n" }.joined()
        let all = try records(text)
        #expect(all.count == 5_000)
        #expect(all.last == "h4999.example.com. 1 A 10.0.19.135")
    }

    @Test("$GENERATE makes a record for each number of its range")
    func generate() throws {
        let text = """
            $TTL 1
            o A 192.0.2.8
            $GENERATE 1-3 host-$ A 192.0.2.$
            $GENERATE 8-16/4 p${100,5,d} IN 60 CNAME q$.example.
            $generate 10-10 ${0,2,x}-${0,4,X}-${-3}-${0,0,o} TXT "$ \\$ $$"
            $GENERATE 10-10 t TXT "\\"a $\\" b"
            $GENERATE 10-10 t TXT "a $" b
            $GENERATE 3-4 m 60 MX "$ mail-$ ; comment"
             A 192.0.2.9
            $GENERATE 18-18 ${0,7,n}.ip6 STEER web
            $GENERATE 18-18 ${0,8,n}ip6 STEER web
            $GENERATE 7-7 @ MX $ mail
            """
        #expect(
            try records(text) == [
                "o.example.com. 1 A 192.0.2.8", "host-1.example.com. 1 A 192.0.2.1",
                "host-2.example.com. 1 A 192.0.2.2",
                "host-3.example.com. 1 A 192.0.2.3",
                "p00108.example.com. 60 CNAME q8.example.",
                "p00112.example.com. 60 CNAME q12.example.",
                "p00116.example.com. 60 CNAME q16.example.",
                #"0a-000a-7-12.example.com. 1 TXT "10" "$" "$""#,
                #"t.example.com. 1 TXT "a 10" "b""#, #"t.example.com. 1 TXT "a 10" "b""#,
                "m.example.com. 60 MX 3 mail-3.example.com.",
                "m.example.com. 60 MX 4 mail-4.example.com.", "o.example.com. 1 A 192.0.2.9",
                "2.1.0.0.ip6.example.com. 1 STEER web", "2.1.0.0.ip6.example.com. 1 STEER web",
                "example.com. 1 MX 7 mail.example.com.",
            ])
    }

    @Test("RFC 1035, 5.1: behind a backslash in quotes a line end is an octet")
    func escapedLineEnd() throws {
        #expect(
            try records("a 1 TXT \"one\\\ntwo\"\nb 1 A 192.0.2.1") == [
                #"a.example.com. 1 TXT "one\010two""#, "b.example.com. 1 A 192.0.2.1",
            ])
        // Places count it.
        let reading = try Self.read(Array("a 1 TXT \"one\\\ntwo\"\nb 1 A x".utf8))
        #expect(
            reading.findings == [
                "zones/example.com.zone:3:7: error: \"x\" is not an IPv4 address; write one like "
                    + "192.0.2.1"
            ])
    }

    @Test("RFC 2308, section 4: $TTL of an included file stays in force, its origin does not")
    func includedTTL() throws {
        let files = ["zones/ttl.inc": "$TTL 5\n$ORIGIN deep\na A 192.0.2.1"]
        #expect(
            try records("$TTL 9\n$INCLUDE ttl.inc\nb A 192.0.2.2", files: files) == [
                "a.deep.example.com. 5 A 192.0.2.1", "b.example.com. 5 A 192.0.2.2",
            ])
    }

    @Test("an error in the text makes a zone incomplete, a warning does not")
    func completeness() throws {
        #expect(try Self.read(Array("a 1 A 192.0.2.1".utf8)).source.isComplete)
        #expect(try Self.read(Array("m\u{FC} 1 A 192.0.2.1".utf8)).source.isComplete)
        #expect(try !Self.read(Array("a 1 A x\nb 1 A 192.0.2.1".utf8)).source.isComplete)
    }

    @Test("$GENERATE does not go through its line again for each record", .timeLimit(.minutes(1)))
    func generateFromLongLine() throws {
        let blank = String(repeating: "\n", count: 500_000)
        let all = try records("$TTL 1\n$GENERATE 1-10000 (\(blank)h$ A 192.0.2.1)")
        #expect(all.count == 10_000)
    }

    @Test("$GENERATE counts empty words to the size of a zone as well")
    func generateOfEmptyWords() {
        var reader = MasterFileReader(apex: .root, diagnostics: Diagnostics())
        reader.octetCount = maximumZoneFileLength - 1_000
        let text = "$TTL 1\n$GENERATE 1-1000 a TXT" + String(repeating: " \"\"", count: 100)
        reader.read(Array(text.utf8), file: "zone") { (_, _) throws(FileError) in [] }
        #expect(reader.records.count < 10)
        #expect(reader.diagnostics.all.map(\.message).joined().contains("grows over"))
    }
}
