// Record data in text and in octets, a row or more for each type. The octets come from the RFCs'
// examples or from an independent implementation.

import DNSWire
import Testing

/// The origin that rows' relative names are completed with.
func exampleOrigin() throws -> Name { try Name("example.com.") }

/// Cuts text into words like a master file's line, quotes included; no comments or parentheses.
func tokens(of text: String) -> [RDataToken] {
    var tokens: [RDataToken] = []
    var word: [UInt8] = []
    var isOpen = false
    var isQuoted = false
    var quoteCount = 0
    var isEscaped = false
    func close() {
        if isOpen {
            let isWhole = quoteCount == 2 && isQuoted
            let octets = isWhole ? Array(word.dropFirst().dropLast()) : word
            tokens.append(
                RDataToken(
                    octets[...], isQuoted: isWhole, hasInnerQuotes: !isWhole && quoteCount > 0))
        }
        (word, isOpen, isQuoted, quoteCount) = ([], false, false, 0)
    }
    for octet in text.utf8 {
        if octet == 0x20, quoteCount % 2 == 0, !isEscaped {
            close()
            continue
        }
        if octet == 0x22, !isEscaped {
            if !isOpen { isQuoted = true }
            quoteCount += 1
        }
        isOpen = true
        word.append(octet)
        isEscaped = octet == 0x5C && !isEscaped
    }
    close()
    return tokens
}

func octets(hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue).map(UInt8.init)
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

func hex(_ octets: some Sequence<UInt8>) -> String {
    octets.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}

struct RDataRow: Sendable, CustomTestStringConvertible {
    var type: String
    var text: String
    var wire: String
    /// What the octets are written as; nil if as in `text`.
    var canonical: String?

    init(_ type: String, _ text: String, _ wire: String, _ canonical: String? = nil) {
        self.type = type
        self.text = text
        self.wire = wire
        self.canonical = canonical
    }

    var testDescription: String { "\(type) \(text)" }
}

let rdataRows: [RDataRow] = [
    .init("A", "192.0.2.1", "c0000201"),
    .init("NS", "ns1", "036e7331076578616d706c6503636f6d00", "ns1.example.com."),
    .init("NS", "NS1.Example.NET.", "034e5331074578616d706c65034e455400"),
    .init("CNAME", "@", "076578616d706c6503636f6d00", "example.com."),
    .init(
        "SOA", #"ns1 host\.master 2024010101 3600 600 604800 60"#,
        "036e7331076578616d706c6503636f6d000b686f73742e6d6173746572076578616d706c6503636f"
            + "6d0078a3f17500000e100000025800093a800000003c",
        #"ns1.example.com. host\.master.example.com. 2024010101 3600 600 604800 60"#),
    .init("PTR", #"a\.b.example.org."#, "03612e62076578616d706c65036f726700"),
    .init(
        "HINFO", #""INTEL 386" Linux"#,
        "09494e54454c20333836054c696e7578",
        #""INTEL 386" "Linux""#),
    .init("MX", "10 mail", "000a046d61696c076578616d706c6503636f6d00", "10 mail.example.com."),
    .init("MX", "0 .", "000000"),
    .init(
        "TXT", #"v=spf1 "a b" "q\"uote\\" \065\;"#,
        "06763d7370663103612062077122756f74655c02413b",
        #""v=spf1" "a b" "q\"uote\\" "A;""#),
    .init("TXT", #""""#, "00"),
    .init(
        "RP", "admin.example.com. txt",
        "0561646d696e076578616d706c6503636f6d0003747874076578616d706c6503636f6d00",
        "admin.example.com. txt.example.com."),
    .init("AFSDB", "1 afs", "000103616673076578616d706c6503636f6d00", "1 afs.example.com."),
    .init("KEY", "512 3 8 AQIDBA==", "0200030801020304"),
    .init("AAAA", "2001:DB8::1", "20010db8000000000000000000000001", "2001:db8::1"),
    .init("AAAA", "::ffff:192.0.2.1", "00000000000000000000ffffc0000201"),
    .init(
        "LOC", "42 21 54 N 71 06 18 W -24m 30m",
        "0033161389172dd070be15f000988d20",
        "42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m"),
    .init(
        "LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
        "000016138b3cf018810cbce0009895b8",
        "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m"),
    .init(
        "LOC", "0 N 0 E 0",
        "00121613800000008000000000989680",
        "0 0 0.000 N 0 0 0.000 E 0.00m 1.00m 10000.00m 10.00m"),
    .init(
        "SRV", "0 5 5060 sip",
        "0000000513c403736970076578616d706c6503636f6d00",
        "0 5 5060 sip.example.com."),
    .init("MB", "a.", "016100"), .init("MG", "a.", "016100"), .init("MR", "a.", "016100"),
    .init("MINFO", "a. b.", "016100016200"),
    .init("X25", #""311061700956""#, "0c333131303631373030393536"),
    .init("RT", "10 a.", "000a016100"), .init("PX", "10 a. b.", "000a016100016200"),
    .init(
        "GPOS", #""-32.6882" "116.8652" "10.0""#,
        "082d33322e36383832083131362e383635320431302e30"),
    .init("NID", "10 14:4fff:ff20:ee64", "000a00144fffff20ee64", "10 0014:4fff:ff20:ee64"),
    .init("L32", "10 10.1.2.0", "000a0a010200"),
    .init("L64", "10 2001:0DB8:1140:1000", "000a20010db811401000", "10 2001:0db8:1140:1000"),
    .init("LP", "10 l64.", "000a036c363400"), .init("AVC", #""a" "b""#, "01610162"),
    .init(
        "RESINFO", "qnamemin exterr=15-17", "08716e616d656d696e0c6578746572723d31352d3137",
        #""qnamemin" "exterr=15-17""#),
    .init(
        "NAPTR", #"100 50 "s" "http+I2L+I2C+I2R" "" _http._tcp.gatech.edu."#,
        "00640032017310687474702b49324c2b4932432b49325200055f68747470045f7463700667617465"
            + "63680365647500"),
    .init("KX", "10 kx", "000a026b78076578616d706c6503636f6d00", "10 kx.example.com."),
    .init("CERT", "PKIX 1 RSASHA256 AQIDBAU=", "00010001080102030405", "1 1 8 AQIDBAU="),
    .init("DNAME", "example.net.", "076578616d706c65036e657400"),
    .init(
        "APL", "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8",
        "00011503c0a82000011c83c0a82600020801ff"),
    .init(
        "DS", "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
        "ec4505012bb183af5f22588179a53b0a98631fad1a292118"),
    .init(
        "SSHFP", "2 1 123456789abcdef67890123456789abcdef67890",
        "0201123456789abcdef67890123456789abcdef67890",
        "2 1 123456789ABCDEF67890123456789ABCDEF67890"),
    .init(
        "RRSIG",
        "A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1W6WNGv+ldvQ3WDG0"
            + "MQkg5IEhjRip8WTrPYGv07h108dUKGMeDPKijVCHX3DDKdfb+v6o",
        "00010503000151803e7c9dd73e5510d70a52076578616d706c6503636f6d00a090755ba58d1affa5"
            + "76f4375831b4310920e481218d18a9f164eb3d81afd3b875d3c75428631e0cf2a28d50875f70c329"
            + "d7dbfafea8"),
    .init(
        "NSEC", "host.example.com. A MX RRSIG NSEC TYPE1234",
        "04686f7374076578616d706c6503636f6d000006400100000003041b000000000000000000000000"
            + "000000000000000000000000000020"),
    .init(
        "DNSKEY", "256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3",
        "010003050103d22a6ca77f35b893206fd35e4c506d83788437"),
    .init(
        "DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
        "000201636fc0b8271c82825bb1ac5c41cf5351aa69b4febd94e8f17cdb95000da48c40"),
    .init(
        "NSEC3", "1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG",
        "0101000c04aabbccdd1417f3df17b2b2adaef615257de4d2020b80ac6c7c0006400000000002",
        "1 1 12 AABBCCDD 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A RRSIG"),
    .init("NSEC3PARAM", "1 0 0 -", "0100000000"),
    .init(
        "TLSA", "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
        "030101d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
        "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971"),
    .init("SMIMEA", "3 0 0 0102", "0300000102"),
    .init("CDS", "0 0 0 00", "0000000000"),
    .init("CDNSKEY", "0 3 0 AA==", "0000030000"),
    .init("OPENPGPKEY", "AQIDBAUG", "010203040506"),
    .init("CSYNC", "66 3 A NS AAAA", "000000420003000460000008"),
    .init(
        "ZONEMD",
        "2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE7EB1A7B641A47BA7F"
            + "ED2DD5B97AE499FAFA4F22C6BD647DE",
        "7848b78c0101febe3d4ce2ec2ffa4ba99d46cd69d6d29711e55217057bee7eb1a7b641a47ba7fed2"
            + "dd5b97ae499fafa4f22c6bd647de"),
    .init(
        "SVCB", "1 . alpn=h2 port=8443",
        "000100000100030268320003000220fb",
        #"1 . alpn="h2" port=8443"#),
    .init("HTTPS", "0 foo.example.com.", "000003666f6f076578616d706c6503636f6d00"),
    .init("SPF", #""v=spf1 -all""#, "0b763d73706631202d616c6c"),
    .init("EUI48", "00-00-5e-00-53-2a", "00005e00532a", "00-00-5E-00-53-2A"),
    .init("EUI64", "00-00-5e-ef-10-00-00-2a", "00005eef1000002a", "00-00-5E-EF-10-00-00-2A"),
    .init(
        "URI", #"10 1 "ftp://ftp1.example.com/public""#,
        "000a00016674703a2f2f667470312e6578616d706c652e636f6d2f7075626c6963"),
    .init(
        "CAA", #"0 issue "ca.example.net; policy=ev""#,
        "0005697373756563612e6578616d706c652e6e65743b20706f6c6963793d6576"),
    .init("CAA", #"128 tbs """#, "8003746273"),
    .init("TYPE65280", ##"\# 3 abcdef"##, "abcdef", ##"\# 3 ABCDEF"##),
    .init("TYPE65280", ##"\# 0"##, ""),
    .init("A", ##"\# 4 0A000001"##, "0a000001", "10.0.0.1"),
]
