import DNSWire
import Testing

struct RDataTests {
    @Test("text becomes the type's octets, and octets the canonical text", arguments: rdataRows)
    func row(_ row: RDataRow) throws {
        let type = try #require(RecordType(mnemonic: row.type))
        let words = tokens(of: row.text)
        let wire = try type.rdata(from: words[...], origin: exampleOrigin())
        #expect(hex(wire) == row.wire)
        #expect(type.isValid(rdata: wire[...]))
        #expect(type.presentation(of: wire[...]) == row.canonical ?? row.text)
    }

    @Test("what is written is read back to equal octets", arguments: rdataRows)
    func roundTrip(_ row: RDataRow) throws {
        let type = try #require(RecordType(mnemonic: row.type))
        let wire = octets(hex: row.wire)
        let text = type.presentation(of: wire[...])
        #expect(try type.rdata(from: tokens(of: text)[...], origin: nil) == wire)
        let generic = "\\# \(wire.count) \(row.wire)"
        #expect(try type.rdata(from: tokens(of: generic)[...], origin: nil) == wire)
    }

    @Test("data that is cut short, or too long by one octet, is what the check says it is")
    func lengths() throws {
        for row in rdataRows {
            let type = try #require(RecordType(mnemonic: row.type))
            let wire = octets(hex: row.wire)
            for length in 0...wire.count {
                expectRoundTrip(of: Array(wire.prefix(length)), type)
            }
            expectRoundTrip(of: wire + [0], type)
        }
    }

    @Test("any octets of any type are written and read back, valid or not")
    func mutatedOctets() throws {
        var random = TestRandom(seed: 1)
        for _ in 0..<20_000 {
            let row = rdataRows[random.below(rdataRows.count)]
            let type = try #require(RecordType(mnemonic: row.type))
            var wire = octets(hex: row.wire)
            for _ in 0...random.below(3) where !wire.isEmpty {
                wire[random.below(wire.count)] = UInt8(random.below(256))
            }
            if random.below(4) == 0 {
                wire += [UInt8(random.below(256)), UInt8(random.below(256))]
            }
            expectRoundTrip(of: wire, type)
        }
    }

    /// Reading what is written gives equal octets if they are valid, an error if not.
    private func expectRoundTrip(of wire: [UInt8], _ type: RecordType) {
        let text = type.presentation(of: wire[...])
        let again = try? type.rdata(from: tokens(of: text)[...], origin: nil)
        #expect(
            again == (type.isValid(rdata: wire[...]) ? wire : nil), "\(type) \(hex(wire)) \(text)")
        for name in type.embeddedNames(in: wire[...]) {
            #expect(name.offset + name.length <= wire.count)
        }
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        var type: String
        var text: String
        var token: Int
        var message: String
        init(_ type: String, _ text: String, _ token: Int, _ message: String) {
            self.type = type
            self.text = text
            self.token = token
            self.message = message
        }
        var testDescription: String { "\(type) \(text)" }
    }

    @Test(
        "bad data is refused with the faulty word and its cure",
        arguments: [
            Fault("A", "192.0.2.256", 0, "is not an IPv4 address"),
            Fault("A", "192.0.2", 0, "is not an IPv4 address"),
            Fault("A", "192.0.02.1", 0, "is not an IPv4 address"),
            Fault("A", "2001:db8::1", 0, "use AAAA"),
            Fault("A", "", 0, #"ends too early; write "A address""#),
            Fault("A", "192.0.2.1 192.0.2.2", 1, "too long here"),
            Fault("AAAA", "192.0.2.1", 0, "use A for it"),
            Fault("AAAA", "2001:db8:::1", 0, "is not an IPv6 address"),
            Fault("AAAA", "1:2:3:4:5:6:7:8:9", 0, "is not an IPv6 address"),
            Fault("MX", "mail 10", 0, "is not a number from 0 to 65535"),
            Fault("MX", "65536 mail", 0, "is not a number from 0 to 65535"),
            Fault("MX", "10", 1, #"write "MX preference name""#),
            Fault("NS", "a..b", 0, "a label is empty"),
            Fault("NS", #"a"b"#, 0, "quotes inside a word"),
            Fault("SOA", "ns1 host 1 3600 1x 1 1", 4, "is not a time"),
            Fault("TXT", String(repeating: "x", count: 256), 0, "split it into several"),
            Fault("TXT", #""\256""#, 0, "three decimal digits"),
            Fault("CAA", "0 is_sue x", 1, "is not a tag"),
            Fault("CAA", "256 issue x", 0, "from 0 to 255"),
            Fault("URI", #"1 1 """#, 2, "must not be empty"),
            Fault("L64", "1 2001:db8::1", 1, "four groups"),
            Fault("NID", "1 1:2:3:+4", 1, "four groups"),
            Fault("DS", "1 8 2 ABC", 3, "write an even number"),
            Fault("DS", "1 8 2 AB XY AB", 4, "is not a hexadecimal digit"),
            Fault("DS", "1 FOO 2 AB", 1, "is not an algorithm"),
            Fault("DNSKEY", "256 3 8 AQI", 3, "cut off"),
            Fault("DNSKEY", "256 3 8 AQ*=", 3, "is not a base64 digit"),
            Fault("RRSIG", "A 8 2 60 20240230000000 0 1 . AA==", 4, "is not a time"),
            Fault("NSEC", "a A FOO", 2, "is not a record type"),
            Fault("NSEC3", "1 0 0 - 2vptu5w A", 4, "base32hex"),
            Fault("EUI48", "00-00-5e-00-53", 0, "6 pairs of hex digits"),
            Fault("LOC", "91 N 0 E 0", 0, "does not fit in a latitude"),
            Fault("LOC", "90 1 N 0 E 0", 2, "more than 90 degrees"),
            Fault("LOC", "9 60 N 0 E 0", 1, "does not fit in a latitude"),
            Fault("LOC", "9 N 0 E 42849673", 4, "is not an altitude"),
            Fault("APL", "1:192.0.2.0/33", 0, "is not an address prefix"),
            Fault("APL", "2:192.0.2.0/24", 0, "is not an address prefix"),
            Fault("TYPE65280", "abc", 0, "not known"),
            Fault("TYPE65280", "\\# 2 AB", 1, "says 2 octets, but 1 follow"),
            Fault("TYPE65280", "\\#", 0, "without a length"),
            Fault("TYPE65280", "\\# 65536 AB", 1, "from 0 to 65535"),
            Fault("A", "\\# 3 ABCDEF", 0, "not well-formed A data"),
        ])
    func fault(_ fault: Fault) throws {
        let type = try #require(RecordType(mnemonic: fault.type))
        let words = tokens(of: fault.text)
        let error = #expect(throws: RDataError.self) {
            try type.rdata(from: words[...], origin: exampleOrigin())
        }
        #expect(error?.tokenIndex == fault.token)
        let explanation = try #require(error?.explanation)
        #expect(explanation.contains(fault.message), "\(explanation)")
    }

    @Test(
        "a digest is as long as its type says",
        arguments: [
            ("DS", "1 8 2 ABCD", "a digest of 2 octets where type 2 has 32"),
            ("CDS", "1 8 4 ABCD", "a digest of 2 octets where type 4 has 48"),
            ("SSHFP", "1 1 AB", "a digest of 1 octet where type 1 has 20"),
            ("SSHFP", "1 1 AB CD", "a digest of 2 octets where type 1 has 20"),
            ("TLSA", "3 1 1 ABCD", "a digest of 2 octets where type 1 has 32"),
            ("SMIMEA", "3 1 2 ABCD", "a digest of 2 octets where type 2 has 64"),
            ("ZONEMD", "1 1 2 ABCD", "a digest of 2 octets where type 2 has 64"),
            ("ZONEMD", "1 1 240 ABCD", "a digest of 2 octets where the least is 12"),
            ("DS", "1 8 99 ABCD", nil), ("CDS", "0 0 0 00", nil), ("TLSA", "1 1 0 AB", nil),
            ("DS", "1 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118", nil),
        ] as [(String, String, String?)])
    func digest(_ mnemonic: String, _ text: String, _ message: String?) throws {
        let type = try #require(RecordType(mnemonic: mnemonic))
        let rdata = try type.rdata(from: tokens(of: text)[...], origin: nil)
        #expect(type.digestFault(in: rdata) == message.map { $0 + "; is it cut off?" })
    }

    @Test("names in data are found where they stand")
    func embeddedNames() throws {
        func names(_ mnemonic: String, _ text: String) throws -> [String] {
            let type = try #require(RecordType(mnemonic: mnemonic))
            let wire = try type.rdata(from: tokens(of: text)[...], origin: nil)
            return type.embeddedNames(in: wire[...]).map {
                Name.presentation(ofWire: wire[$0.offset..<$0.offset + $0.length])
            }
        }
        #expect(try names("SOA", "A. b.C. 1 2 3 4 5") == ["A.", "b.C."])
        #expect(try names("MX", "1 mail.example.") == ["mail.example."])
        #expect(try names("SRV", "1 2 3 .") == ["."])
        #expect(try names("NAPTR", #"1 2 "a" "b" "c" d."#) == ["d."])
        #expect(try names("HTTPS", "1 svc.example. port=1") == ["svc.example."])
        #expect(try names("RRSIG", "A 8 2 60 1 1 1 example. AA==") == ["example."])
        #expect(try names("TXT", "a.b.") == [])
    }

    @Test("only the types of RFC 1035 have names that may be compressed")
    func nameLayouts() {
        for type in (0...400).map({ RecordType($0) }) {
            let layout: NameLayout =
                switch type.description {
                case "NS", "CNAME", "PTR": .name
                case "MX": .preferenceThenName
                case "SOA": .twoNamesThenFixed
                default: .none
                }
            #expect(type.nameLayout == layout)
        }
    }

    @Test("every type is read from what it is written as, in any case")
    func mnemonics() throws {
        for code in 0...UInt16.max {
            let type = RecordType(code)
            #expect(RecordType(mnemonic: type.description) == type)
        }
        #expect(RecordType(mnemonic: "aaaa") == .aaaa)
        #expect(RecordType(mnemonic: "type1") == .a)
        #expect(RecordType(mnemonic: "OpenPGPkey")?.code == 61)
        for word in ["", "TYPE", "TYPE65536", "TYPE-1", "TYPE1x", "AAAAA", "TYPE123456789012345"] {
            #expect(RecordType(mnemonic: word) == nil)
        }
        #expect(RecordType.opt.isMeta && RecordType.any.isMeta && RecordType(0).isMeta)
        #expect(!RecordType.a.isMeta && !RecordType(256).isMeta && !RecordType(127).isMeta)
    }

    @Test(
        "times take units",
        arguments: [
            ("0", 0), ("3600", 3600), ("1h30m", 5400), ("1W2D3H4M5S", 788_645), ("2d", 172_800),
            ("", nil), ("h", nil), ("1h30", nil), ("1x", nil), ("-1", nil), ("1 h", nil),
        ] as [(String, UInt64?)])
    func seconds(_ text: String, _ value: UInt64?) {
        #expect(parseSeconds(Array(text.utf8)[...]) == value)
    }

    @Test("times past 32 bits stay past 32 bits")
    func hugeSeconds() throws {
        for text in ["4294967296", "99999999999w", "9999999999999999999s", "4294967295w1w"] {
            let value = try #require(parseSeconds(Array(text.utf8)[...]))
            #expect(value > UInt64(UInt32.max))
        }
    }
}

/// Repeatable random numbers.
struct TestRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ mixed >> 31) % UInt64(bound))
    }
}
