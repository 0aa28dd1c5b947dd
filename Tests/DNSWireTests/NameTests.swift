// Names: text and wire format, their limits, and the buffer that queries are looked up with.

import DNSWire
import Testing

@Suite("Name")
struct NameTests {
    @Test(
        "text becomes lower-case wire octets",
        arguments: [
            (".", [0]),
            ("a.", [1, 0x61, 0]),
            ("WWW.Ex.", [3, 0x77, 0x77, 0x77, 2, 0x65, 0x78, 0]),
            ("a\\.b.", [3, 0x61, 0x2E, 0x62, 0]),
            ("\\065.", [1, 0x61, 0]),
            ("\\000\\255.", [2, 0, 255, 0]),
            ("*.x.", [1, 0x2A, 1, 0x78, 0]),
        ] as [(String, [UInt8])])
    func parsesText(text: String, wire: [UInt8]) throws {
        #expect(try Name(text).wire == wire)
    }

    @Test(
        "text that is no name says why",
        arguments: [
            ("", .empty), ("a..b.", .emptyLabel), (".a.", .emptyLabel), ("..", .emptyLabel),
            ("a", .relativeWithoutOrigin), ("\\256.", .badEscape), ("\\25", .badEscape),
            ("a\\", .badEscape),
            (String(repeating: "a", count: 64) + ".", .labelTooLong(length: 64)),
            (String(repeating: "a", count: 2_000) + ".", .nameTooLong),
            (String(repeating: "ab.", count: 85) + "a.", .nameTooLong),
        ] as [(String, NameError)])
    func refusesText(text: String, fault: NameError) {
        #expect(throws: fault) { try Name(text) }
        #expect(!fault.explanation.isEmpty)
    }

    @Test("labels of 63 and names of 255 octets are the longest")
    func limits() throws {
        #expect(try Name(String(repeating: "a", count: 63) + ".").labelCount == 1)
        let longest = try Name(String(repeating: "a.", count: 127))
        #expect(longest.wire.count == 255)
        #expect(longest.labelCount == 127)
        #expect(longest.prepending(label: [0x61]) == nil)
        #expect(Name.root.prepending(label: [UInt8](repeating: 1, count: 64)) == nil)
        #expect(Name.root.prepending(label: []) == nil)
    }

    @Test("text after parsing and printing is the same name")
    func roundTrip() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            var name = Name.root
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                let label = (0..<Int.random(in: 1...9, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                name = try #require(name.prepending(label: label))
            }
            #expect(try Name(name.description) == name)
        }
    }

    @Test("a relative name is completed by the origin")
    func origin() throws {
        let origin = try Name("example.")
        #expect(try Name("www", origin: origin) == Name("www.example."))
        #expect(try Name("@", origin: origin) == origin)
        #expect(try Name("www.", origin: origin) == Name("www."))
    }

    @Test("a subdomain is told from a name that only ends alike")
    func subdomains() throws {
        let apex = try Name("b.c.")
        #expect(try Name("a.b.c.").isSubdomain(of: apex))
        #expect(apex.isSubdomain(of: apex))
        #expect(apex.isSubdomain(of: .root))
        #expect(try !Name("ab.c.").isSubdomain(of: apex))
        #expect(try !Name("c.").isSubdomain(of: apex))
        // "b" and "c" here are octets inside one label: 3 "x" 1 "b"…
        #expect(try !Name("x\\001b\\001c.").isSubdomain(of: Name("b.c.")))
    }

    @Test("names sort in canonical order (RFC 4034, section 6.1)")
    func order() throws {
        let sorted = try [
            "example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.",
            "z.example.", "\\001.z.example.", "*.z.example.", "\\200.z.example.",
        ].map { try Name($0) }
        #expect(sorted.shuffled().sorted() == sorted)
    }

    @Test(
        "wire octets that are no name are refused",
        arguments: [
            [], [1], [1, 0x61], [0, 0], [64] + [UInt8](repeating: 0x61, count: 64) + [0],
            [0xC0, 0x0C], [3, 0x61, 0],
            (0..<128).flatMap { _ in [1, 0x61] as [UInt8] } + [0],
        ] as [[UInt8]])
    func refusesWire(wire: [UInt8]) {
        #expect(Name(wire: wire) == nil)
        let buffer = Loaded()
        if wire != [0, 0] { #expect(buffer.load(wire, at: 0) == nil) }
    }
}

@Suite("NameBuffer")
struct NameBufferTests {
    @Test("a loaded name has its length, labels and suffixes, in lower case")
    func load() throws {
        let message: [UInt8] = [9, 9, 3, 0x57, 0x77, 0x57, 2, 0x45, 0x58, 0, 7, 7]
        let buffer = Loaded()
        #expect(buffer.load(message, at: 2) == 8)
        #expect(buffer.lengths == [8, 2])
        #expect(buffer.starts == [7, 4, 0])
        let name = try Name("www.ex.")
        #expect(buffer.matches(from: 0, name.wire, at: 0))
        #expect(buffer.matches(from: 4, name.wire, at: 4))
        #expect(!buffer.matches(from: 0, name.wire, at: 1))
        #expect(!buffer.matches(from: 0, [3, 0x77], at: 0))
    }

    @Test("a new buffer, and one whose loading failed, hold the root")
    func failedLoad() throws {
        let buffer = Loaded()
        #expect(buffer.lengths == [1, 0])
        let long = try Name("a.b.c.d.e.")
        #expect(buffer.load(long.wire, at: 0) == 11)
        #expect(buffer.load([1, 0x61, 9], at: 0) == nil)
        #expect(buffer.lengths == [1, 0])
        #expect(buffer.hash(from: 0) == hash([0], from: 0, to: 1))
        #expect(buffer.matches(from: 0, [0], at: 0))
    }

    @Test("starts outside the message are refused")
    func outside() {
        let buffer = Loaded()
        for start in [2, 3, 1_000, -1] { #expect(buffer.load([0, 0], at: start) == nil) }
    }

    @Test("random octets are read as `Name` reads them, and never trap")
    func hostile() {
        var random = SystemRandomNumberGenerator()
        let buffer = Loaded()
        var accepted = 0
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...(Bool.random(using: &random) ? 12 : 300), using: &random)
            let high = UInt8([2, 8, 64, 255].randomElement(using: &random) ?? 2)
            let octets = (0..<count).map { _ in UInt8.random(in: 0...high, using: &random) }
            let start = Int.random(in: 0...4, using: &random)
            guard let length = buffer.load(octets, at: start) else {
                // Where no prefix is a name, there is none for `Name` either.
                if count > start, count < 20 {
                    let limit = min(count, start + 255)
                    #expect(
                        (start + 1...limit).allSatisfy { Name(wire: octets[start..<$0]) == nil })
                }
                continue
            }
            accepted += 1
            let name = Name(wire: octets[start..<start + length])
            #expect(buffer.lengths == [length, name?.labelCount ?? -1])
            #expect(buffer.matches(from: 0, name?.wire ?? [], at: 0))
        }
        #expect(accepted > 500)
    }

    @Test("a suffix is replaced as a DNAME demands, and refused past the limits (RFC 6672, 2.2)")
    func replaceSuffix() throws {
        let buffer = Loaded()
        let source = try Name("x.y.old.").wire
        #expect(buffer.load(source, at: 0) == source.count)
        let target = try Name("New.Apex.Z.").wire
        #expect(buffer.replaceSuffix(keeping: 2, with: [9, 9] + target, at: 2))
        let result = try Name("x.y.new.apex.z.").wire
        #expect(buffer.lengths == [result.count, 5])
        #expect(buffer.matches(from: 0, result, at: 0))
        let other = Loaded()
        #expect(other.load(result, at: 0) == result.count)
        #expect(buffer.starts == other.starts)
        #expect(buffer.hash(from: 2) == other.hash(from: 2))

        let long = try Name(String(repeating: "a.", count: 122)).wire
        #expect(!buffer.replaceSuffix(keeping: 5, with: long, at: 0))
        for malformed in [[1], [64], [0xC0, 0], [], [3, 1, 0]] as [[UInt8]] {
            #expect(!buffer.replaceSuffix(keeping: 1, with: malformed, at: 0))
        }
        #expect(buffer.matches(from: 0, result, at: 0) && buffer.starts == other.starts)
        // "x.y.new.apex." are 13 octets, 120 labels and the root 241: one octet below the limit.
        let fitting = try Name(String(repeating: "a.", count: 120)).wire
        #expect(!buffer.replaceSuffix(keeping: 4, with: [1, 0x61] + fitting, at: 0))
        #expect(buffer.replaceSuffix(keeping: 4, with: fitting, at: 0))
        #expect(buffer.lengths == [254, 124])
        #expect(buffer.replaceSuffix(keeping: 0, with: [0], at: 0))
        #expect(buffer.lengths == [1, 0])
        buffer.copy(other)
        #expect(buffer.matches(from: 0, result, at: 0) && buffer.starts == other.starts)
    }

    @Test("every suffix has the hash that its octets have anywhere, in any case")
    func hashes() throws {
        let buffer = Loaded()
        for text in ["a.", "Www.Example.COM.", "one.two.three.four.five.six.seven.eight."] {
            let wire = Array(try Name(text).wire)
            #expect(buffer.load(Name.wireOf(text), at: 0) == wire.count)
            for labels in 0...buffer.lengths[1] {
                let start = buffer.start(ofSuffixWithLabels: labels)
                let moved = [1, 2, 3] + wire[start...] + [4]
                #expect(
                    buffer.hash(from: start)
                        == hash(moved, from: 3, to: moved.count - 1))
            }
        }
    }

    @Test("hashes of similar names spread")
    func spread() throws {
        var buckets = [Int](repeating: 0, count: 1_024)
        for index in 0..<102_400 {
            let wire = try Name("host\(index).example.com.").wire
            buckets[Int(hash(wire, from: 0, to: wire.count) & 1_023)] += 1
        }
        // 100 each on average; a Poisson count of 200 has a chance below 1e-17.
        #expect((buckets.max() ?? 0) < 200)
        #expect((buckets.min() ?? 0) > 40)
    }
}

extension Name {
    /// The wire format with the text's case.
    fileprivate static func wireOf(_ text: String) -> [UInt8] {
        (try? Name.wire(of: text.utf8, origin: nil)) ?? []
    }
}

/// A buffer that `#expect` can be asked about: it copies what it is given.
private final class Loaded {
    private var buffer = NameBuffer()

    func load(_ octets: [UInt8], at start: Int) -> Int? {
        buffer.load(octets.span, at: start)
    }

    func matches(from start: Int, _ octets: [UInt8], at offset: Int) -> Bool {
        buffer.suffix(from: start, equals: octets.span, at: offset)
    }

    func replaceSuffix(keeping kept: Int, with octets: [UInt8], at start: Int) -> Bool {
        buffer.replaceSuffix(keeping: kept, with: octets.span, at: start)
    }

    func copy(_ other: Loaded) { buffer.copy(other.buffer) }

    func hash(from start: Int) -> UInt32 { buffer.hash(from: start) }

    func start(ofSuffixWithLabels count: Int) -> Int { buffer.start(ofSuffixWithLabels: count) }

    /// The length and the number of labels.
    var lengths: [Int] { [buffer.length, buffer.labelCount] }

    var starts: [Int] { (0...buffer.labelCount).map { start(ofSuffixWithLabels: $0) } }
}

private func hash(_ octets: [UInt8], from start: Int, to end: Int) -> UInt32 {
    wireHash(octets.span, from: start, to: end)
}
