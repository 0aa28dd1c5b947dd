import DNSWire
import Settings
import Testing
import Zones

/// `rhumb check --print`: a zone's text that reads back as the same zone.
struct CanonicalTextTests {
    /// Reads text as example.com. and returns its canonical text.
    private func canonical(_ text: String, files: [String: String] = [:]) throws -> String {
        let reading = try MasterFileTests.read(Array(text.utf8), files: files)
        return reading.source.canonicalText
    }

    @Test("RFC 4034, section 6: the SOA first, then owners, types and data in canonical order")
    func order() throws {
        // The names of section 6.1, shuffled.
        let text = """
            $TTL 1h
            zABC.a 60 IN TXT "one"
            @ NS ns1
            yljkjljk.a STEER web
            *.z A 192.0.2.1
            z TXT b
            z TXT a
            z A 192.0.2.10
            z A 192.0.2.9
            z STEER web
            \\200.z A 192.0.2.1
            \\001.z A 192.0.2.1
            @ SOA ns1 host 1 2 3 4 5
            Z.a MX 10 Mail
            $GENERATE 2-1 x A 192.0.2.$
            $GENERATE 1-2 gen$ A 192.0.2.$
            """
        #expect(
            try canonical(text) == """
                example.com.\t3600\tIN\tSOA\tns1.example.com. host.example.com. 1 2 3 4 5
                example.com.\t3600\tIN\tNS\tns1.example.com.
                yljkjljk.a.example.com.\t3600\tIN\tSTEER\tweb
                z.a.example.com.\t3600\tIN\tMX\t10 Mail.example.com.
                zabc.a.example.com.\t60\tIN\tTXT\t"one"
                gen1.example.com.\t3600\tIN\tA\t192.0.2.1
                gen2.example.com.\t3600\tIN\tA\t192.0.2.2
                z.example.com.\t3600\tIN\tA\t192.0.2.9
                z.example.com.\t3600\tIN\tA\t192.0.2.10
                z.example.com.\t3600\tIN\tTXT\t"a"
                z.example.com.\t3600\tIN\tTXT\t"b"
                z.example.com.\t3600\tIN\tSTEER\tweb
                \\001.z.example.com.\t3600\tIN\tA\t192.0.2.1
                *.z.example.com.\t3600\tIN\tA\t192.0.2.1
                \\200.z.example.com.\t3600\tIN\tA\t192.0.2.1

                """)
    }

    @Test("each record comes once, whatever its letters, and a set has one TTL, the lowest")
    func sets() throws {
        let text = """
            a 60 NS b
            A 50 NS B
            a 70 NS c
            a 10 RRSIG NS 8 3 70 20380101000000 20240101000000 1 @ AQID
            a 20 RRSIG DS 8 3 70 20380101000000 20240101000000 1 @ AQID
            """
        let lines = try canonical(text).split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0] == "a.example.com.\t50\tIN\tNS\tb.example.com.")
        #expect(lines[1] == "a.example.com.\t50\tIN\tNS\tc.example.com.")
        #expect(lines[2].hasPrefix("a.example.com.\t10\tIN\tRRSIG\tNS"))
        #expect(lines[3].hasPrefix("a.example.com.\t20\tIN\tRRSIG\tDS"))
    }

    @Test("hints that say auto are written as such, and read back")
    func automaticHints() throws {
        let text = "a 60 HTTPS 1 . ipv6hint=auto alpn=h2 ipv4hint=\"auto\"\na 60 STEER web\n"
        let written = """
            a.example.com.\t60\tIN\tHTTPS\t1 . alpn="h2" ipv4hint=auto ipv6hint=auto
            a.example.com.\t60\tIN\tSTEER\tweb

            """
        #expect(try canonical(text) == written)
        #expect(try canonical(written) == written)
    }

    @Test("the order of text is the order of names")
    func ownerOrder() {
        var random = ZoneRandom(state: 3)
        var owners: [Name] = []
        for _ in 0..<400 { owners.append(random.owner()) }
        let source = ZoneSource(
            apex: .root,
            records: owners.map { owner in
                ZoneRecord(
                    owner: owner, ttl: 1, content: .steer(service: "s"),
                    position: SourcePosition(file: "f"))
            }, file: "f")
        let printed = source.canonicalText.split(separator: "\n").map {
            String($0.prefix { $0 != "\t" })
        }
        #expect(printed == Set(owners).sorted().map(\.description))
    }

    @Test("a zone with every type and any octets reads back as itself", arguments: 0..<20)
    func roundTrip(_ seed: Int) {
        var random = ZoneRandom(state: UInt64(seed))
        var records: [ZoneRecord] = []
        let position = SourcePosition(file: "f")
        for code in (1...300).map({ UInt16($0) }) + [65_280] where !RecordType(code).isMeta {
            for _ in 0..<3 {
                let type = RecordType(code)
                // An owner of its own: a set has one TTL.
                let name = random.owner()
                let owner = name.prepending(label: Array("\(records.count)".utf8)) ?? name
                let ttl = UInt32(random.below(1 << 31))
                var data = random.data(of: type)
                if !type.isValid(rdata: data[...]) { data = [] }
                guard type.isValid(rdata: data[...]) else { continue }
                records.append(
                    ZoneRecord(
                        owner: owner, ttl: ttl, content: .data(type, data), position: position))
            }
        }
        records.append(
            ZoneRecord(
                owner: .root, ttl: 0, content: .steer(service: "a-b_c.1"), position: position))
        let source = ZoneSource(apex: .root, records: records, file: "f")
        let text = source.canonicalText
        var diagnostics = Diagnostics()
        let again = readMasterFile(
            Array(text.utf8), file: "f", apex: .root,
            include: { (_) throws(FileError) in throw FileError(explanation: "none") },
            diagnostics: &diagnostics)
        #expect(!diagnostics.hasErrors, "\(diagnostics.all.first?.description ?? "")")
        #expect(again.canonicalText == text)
        #expect(contents(of: again) == contents(of: source))
    }

    /// What a zone holds, without places and order.
    private func contents(of source: ZoneSource) -> Set<Content> {
        Set(source.records.map { Content(owner: $0.owner, ttl: $0.ttl, content: $0.content) })
    }

    private struct Content: Hashable {
        var owner: Name
        var ttl: UInt32
        var content: ZoneRecord.Content
    }
}

/// Repeatable random owners and data.
private struct ZoneRandom {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(bound))
    }

    mutating func octets(_ count: Int) -> [UInt8] {
        var octets: [UInt8] = []
        for _ in 0..<count { octets.append(UInt8(below(256))) }
        return octets
    }

    mutating func name() -> [UInt8] {
        var name: [UInt8] = []
        for _ in 0..<below(4) {
            let length = 1 + below(5)
            name += [UInt8(length)] + octets(length)
        }
        return name + [0]
    }

    mutating func owner() -> Name { Name(wire: name()) ?? .root }

    /// Octets that may be this type's data: random ones, or built where random ones never are.
    mutating func data(of type: RecordType) -> [UInt8] {
        switch type.code {
        case 1, 105: octets(type.code == 1 ? 4 : 6)
        case 2, 5, 7, 8, 9, 12, 39: name()
        case 6: name() + name() + octets(20)
        case 14, 17: name() + name()
        case 13: string() + string()
        case 15, 18, 21, 36, 107: octets(2) + name()
        case 16, 99, 258, 261: string() + (below(2) == 0 ? string() : [])
        case 19: string()
        case 26: octets(2) + name() + name()
        case 27: string() + string() + string()
        case 25, 48, 60: octets(5 + below(40))
        case 28: octets(16)
        case 29:
            [0, 0x12, 0x16, 0x13] + [0x80] + octets(3) + [0x7F] + octets(3) + octets(4)
        case 33: octets(6) + name()
        case 35: octets(4) + string() + string() + string() + name()
        case 37: octets(6 + below(30))
        case 42: [0, 1, 24, 3, 192, 0, 2, 0, 2, 8, 0x81, 0xFF] + [0, 9, 200, 2, 1, 1]
        case 43, 59: octets(3) + [1] + octets(20)
        case 44: [4, 2] + octets(32)
        case 46: octets(18) + name() + octets(1 + below(40))
        case 47: name() + bitmap()
        case 50: [1, 1, 0, 12] + string() + [20] + octets(20) + bitmap()
        case 51: [1, 0, 0, 0] + string()
        case 62: octets(6) + bitmap()
        case 63: octets(4) + [1, 1] + octets(48)
        case 64, 65:
            octets(2).map { $0 | 1 } + name() + [0, 1, 0, 6, 5, 0x2C, 0x5C, 0x22, 0x20, 0xFF]
                + [0, 3, 0, 2] + octets(2) + [0, 4, 0, 4] + octets(4) + [0, 5, 0, 3] + octets(3)
                + [0, 6, 0, 16] + octets(16) + [2, 0x9B, 0, 9] + octets(9)
        case 104, 106: octets(10)
        case 108: octets(6)
        case 109: octets(8)
        case 256: octets(5 + below(30))
        case 257: [UInt8(below(256)), 5] + Array("issue".utf8) + octets(below(30))
        default: octets(1 + below(30))
        }
    }

    private mutating func string() -> [UInt8] {
        let length = below(20)
        return [UInt8(length)] + octets(length)
    }

    private mutating func bitmap() -> [UInt8] { [0, 2, UInt8(1 + below(255)), 0x40, 4, 1, 1] }
}
