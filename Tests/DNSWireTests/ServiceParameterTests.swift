import DNSWire
import Testing

/// RFC 9460, appendix D, and the rules around it.
struct ServiceParameterTests {
    static let vectors: [RDataRow] = [
        // D.1
        .init("HTTPS", "0 foo.example.com.", "000003666f6f076578616d706c6503636f6d00"),
        // D.2
        .init("SVCB", "1 .", "000100"),
        .init(
            "SVCB", "16 foo.example.com. port=53",
            "001003666f6f076578616d706c6503636f6d00000300020035"),
        .init(
            "SVCB", "1 foo.example.com. key667=hello",
            "000103666f6f076578616d706c6503636f6d00029b000568656c6c6f",
            #"1 foo.example.com. key667="hello""#),
        .init(
            "SVCB", #"1 foo.example.com. key667="hello\210qoo""#,
            "000103666f6f076578616d706c6503636f6d00029b000968656c6c6fd2716f6f"),
        .init(
            "SVCB", #"1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1""#,
            "000103666f6f076578616d706c6503636f6d000006002020010db800000000000000000000000120010db8"
                + "000000000000000000530001",
            "1 foo.example.com. ipv6hint=2001:db8::1,2001:db8::53:1"),
        .init(
            "SVCB", #"1 example.com. ipv6hint="2001:db8:122:344::192.0.2.33""#,
            "0001076578616d706c6503636f6d000006001020010db80122034400000000c0000221",
            "1 example.com. ipv6hint=2001:db8:122:344::c000:221"),
        .init(
            "SVCB", "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
            "001003666f6f076578616d706c65036f7267000000000400010004000100090268320568332d3139000400"
                + "04c0000201",
            #"16 foo.example.org. mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1"#),
        .init(
            "SVCB", #"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#,
            "001003666f6f076578616d706c65036f7267000001000c08665c6f6f2c626172026832"),
        .init(
            "SVCB", #"16 foo.example.org. alpn=f\\\092oo\092,bar,h2"#,
            "001003666f6f076578616d706c65036f7267000001000c08665c6f6f2c626172026832",
            #"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#),
        // Beyond the appendix: other keys, the generic form of known ones, empty values.
        .init(
            "HTTPS", #"1 . no-default-alpn="" alpn=h3 port="65535""#,
            "000100000100030268330002000000030002ffff", #"1 . alpn="h3" no-default-alpn port=65535"#
        ),
        .init("HTTPS", #"1 . key3=\000\053"#, "000100000300020035", "1 . port=53"),
        .init("HTTPS", "1 . key667", "000100029b0000"),
        .init("HTTPS", "1 . key667=", "000100029b0000", "1 . key667"),
        .init(
            "HTTPS", "1 . mandatory=key1 alpn=h2", "0001000000000200010001000302" + "6832",
            #"1 . mandatory=alpn alpn="h2""#),
        .init("HTTPS", "1 . ech=AEj+DQ==", "0001000005000400" + "48fe0d"),
        .init("HTTPS", "1 . ipv4hint=192.0.2.1,192.0.2.2", "00010000040008c0000201c0000202"),
        .init(
            "SVCB", #"1 . alpn=h2 dohpath=/q{?dns}"#,
            "00010000010003026832000700082f717b3f646e737d",
            #"1 . alpn="h2" dohpath="/q{?dns}""#),
        .init(
            "SVCB", #"1 . alpn=h2 dohpath=/{?dns*}"#,
            "0001000001000302683200070008" + "2f7b3f646e732a7d",
            #"1 . alpn="h2" dohpath="/{?dns*}""#),
        .init(
            "SVCB", #"1 . alpn=h2 dohpath="/{a}/q{?x,dns}""#,
            "000100000100030268320007000e2f7b617d2f717b3f782c646e737d",
            #"1 . alpn="h2" dohpath="/{a}/q{?x,dns}""#),
        .init("HTTPS", "1 . ohttp", "00010000080000"),
    ]

    @Test("the vectors of RFC 9460, appendix D, and more like them", arguments: vectors)
    func vector(_ row: RDataRow) throws {
        let type = try #require(RecordType(mnemonic: row.type))
        let wire = try type.rdata(from: tokens(of: row.text)[...], origin: nil)
        #expect(hex(wire) == row.wire)
        #expect(type.isValid(rdata: wire[...]))
        let text = type.presentation(of: wire[...])
        #expect(text == row.canonical ?? row.text)
        #expect(try type.rdata(from: tokens(of: text)[...], origin: nil) == wire)
    }

    @Test(
        "the failure cases of RFC 9460, appendix D.3, and more like them",
        arguments: [
            ("key123=abc key123=def", 3, "given twice"),
            ("mandatory", 2, "mandatory needs a value"),
            ("alpn", 2, "alpn needs a value"),
            ("port", 2, "port needs a value"),
            ("ipv4hint", 2, "ipv4hint needs a value"),
            ("ipv6hint", 2, "ipv6hint needs a value"),
            ("no-default-alpn=abc", 2, "takes no value"),
            ("mandatory=key123", 2, "key123 is mandatory but not given"),
            ("mandatory=mandatory", 2, "must not list itself"),
            ("mandatory=key123,key123 key123=abc", 2, "lists key123 twice"),
            // Beyond the appendix.
            ("alpn=h2 no-default-alpn key0=abc", 4, "no well-formed value of mandatory"),
            ("no-default-alpn", 2, "add alpn"),
            ("alpn=h2,,h3", 2, "empty name"),
            (#"alpn=a\\b"#, 2, "are escapes"),
            ("alpn=" + String(repeating: "x", count: 256), 2, "the limit is 255"),
            (#"port=\0535"#, 2, "no backslash"),
            ("port=65536", 2, "is not a port"),
            ("ipv4hint=192.0.2.1,2001:db8::1", 2, "is not an IPv4 address"),
            ("ipv6hint=192.0.2.1", 2, "is not an IPv6 address"),
            ("ech=A", 2, "base64"),
            // RFC 9461, section 5.
            ("dohpath=/q", 2, "dns variable"), ("dohpath=q{?dns}", 2, "dns variable"),
            ("dohpath=/q{?dns", 2, "dns variable"), ("dohpath=/q{?dnsx}", 2, "dns variable"),
            ("key7=x", 2, "no well-formed value of dohpath"),
            // RFC 9540, section 4.
            ("ohttp=x", 2, "takes no value"),
            ("key65535=x", 2, "reserved"),
            ("key01=x", 2, "is not a parameter key"),
            ("key65536=x", 2, "is not a parameter key"),
            ("alpm=h2", 2, "known are mandatory, alpn,"),
            ("ALPN=h2", 2, "is not a parameter key"),
            (#""alpn=h2""#, 2, "key outside"),
            (#"alpn="h2"x"#, 2, "quotes inside a value"),
            ("=x", 2, "is not a parameter key"),
        ])
    func failure(_ parameters: String, _ token: Int, _ message: String) throws {
        let words = tokens(of: "1 foo.example.com. " + parameters)
        for type in [RecordType.svcb, .https] {
            let error = #expect(throws: RDataError.self) {
                try type.rdata(from: words[...], origin: nil)
            }
            #expect(error?.tokenIndex == token)
            let explanation = try #require(error?.explanation)
            #expect(explanation.contains(message), "\(explanation)")
        }
    }

    /// Presentation, as it is written again, and what is on the wire of it.
    @Test(
        "hints that say auto are read for zones, and written again as such",
        arguments: [
            ("1 . alpn=h2 ipv4hint=auto", "00010000010003026832" + "00040000"),
            (
                "1 . ipv6hint=auto ipv4hint=auto port=53",
                "000100" + "000300020035" + "00040000" + "00060000"
            ),
            ("1 . ipv4hint=192.0.2.1 ipv6hint=auto", "000100" + "00040004c0000201" + "00060000"),
        ])
    func automaticHints(_ text: String, _ wire: String) throws {
        for type in [RecordType.svcb, .https] {
            let words = tokens(of: text)[...]
            let data = try type.rdata(from: words, origin: nil, allowingAutomaticHints: true)
            #expect(hex(data) == wire)
            #expect(type.hasAutomaticHints(in: data[...]))
            #expect(type.isValid(rdata: data[...], allowingAutomaticHints: true))
            let again = tokens(of: type.presentation(of: data[...]))[...]
            #expect(
                try type.rdata(from: again, origin: nil, allowingAutomaticHints: true) == data)
            // No message has them.
            #expect(!type.isValid(rdata: data[...]))
            #expect(throws: RDataError.self) { try type.rdata(from: words, origin: nil) }
        }
        #expect(!RecordType.txt.hasAutomaticHints(in: octets(hex: wire)[...]))
    }

    @Test(
        "what auto can't be is refused",
        arguments: [
            ("mandatory=ipv4hint ipv4hint=auto", "take it off the list"),
            ("ipv4hint=auto,192.0.2.1", "\"auto\" is not an IPv4 address"),
            ("ipv4hint=Auto", "is not an IPv4 address"),
            ("ipv4hint=", "ipv4hint needs a value"),
            ("key4=\"\"", "no well-formed value of ipv4hint"),
            ("alpn=h2 port=auto", "is not a port"),
        ])
    func automaticFaults(_ parameters: String, _ message: String) throws {
        let words = tokens(of: "1 . " + parameters)
        let error = #expect(throws: RDataError.self) {
            try RecordType.https.rdata(from: words[...], origin: nil, allowingAutomaticHints: true)
        }
        #expect(error?.explanation.contains(message) == true, "\(error?.explanation ?? "")")
    }

    @Test(
        "malformed octets are told from well-formed ones",
        arguments: [
            "0001", "000100 0003 0002 01", "000100 0003 0001 01", "000100 0001 0000",
            "000100 0001 0003 0368 32", "000100 0001 0001 00", "000100 0002 0000",
            "000100 0003 0002 0035 0003 0002 0035", "000100 0004 0004 c0000201 0003 0002 0035",
            "000100 0000 0002 0003", "000100 0000 0002 0000", "000100 0000 0000",
            "000100 ffff 0000",
            "000100 0006 000f 000000000000000000000000000000", "0001c00c",
        ])
    func malformed(_ text: String) {
        #expect(!RecordType.svcb.isValid(rdata: octets(hex: text)[...]))
    }
}
