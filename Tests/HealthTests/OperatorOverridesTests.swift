import Geo
import Settings
import Steering
import Testing

@testable import Health

@Suite("operators' words")
struct OperatorOverridesTests {
    private static let steering: Steering? = {
        let text = """
            pools:
              tokyo: { origins: { nrt-1: { addresses: [192.0.2.1, "2001:db8::1"] } } }
              frankfurt:
                origins:
                  fra-1: { addresses: [192.0.2.2] }
                  fra-2: { addresses: [192.0.2.3] }
              vendor: { origins: { eu-1: { host: eu.lb.vendor.example } } }
            services:
              web: { rules: [{ pools: [tokyo] }] }
              eu: { rules: [{ pools: [frankfurt] }] }
              cdn: { rules: [{ pools: [vendor] }] }
            """
        var diagnostics = Diagnostics()
        let file = PoolFile(name: "a.yaml", text: text)
        return SteeringConfiguration.parse([file], diagnostics: &diagnostics).flatMap {
            try? Steering($0, geography: Geography(database: nil, overrides: LocationOverrides()))
        }
    }()

    private let steering: Steering

    init() throws { steering = try #require(Self.steering) }

    private func at(_ seconds: Int64) -> Timestamp {
        Timestamp(nanoseconds: seconds * 1_000_000_000)
    }

    /// What words come to, a sign for each address: d(rain), - for down, + for up, . for the probes'.
    private func table(_ overrides: OperatorOverrides) -> String {
        let verdicts = overrides.verdicts(
            in: steering.configuration, addresses: steering.addresses)
        let signs = steering.addresses.indices.map { index in
            switch verdicts[index] {
            case .drained: "d"
            case .down: "-"
            case .up: "+"
            default: "."
            }
        }
        return signs.joined()
    }

    /// Words in their order, as `drain tokyo`, or `drain tokyo 5` to end at second 5.
    private func overrides(_ words: [String]) throws -> OperatorOverrides {
        var overrides = OperatorOverrides()
        for (second, text) in words.enumerated() {
            let parts = text.split(separator: " ").map(String.init)
            let word = try #require(OperatorOverride.Word(rawValue: parts[0]))
            let until = parts.count > 2 ? Int64(parts[2]).map { at($0) } : nil
            try overrides.add(
                try OperatorOverride(
                    word, try AddressPattern(parts[1]), by: "ada", at: at(Int64(second)),
                    until: until),
                in: steering.configuration, addresses: steering.addresses)
        }
        return overrides
    }

    @Test(
        "a drain that a word with a time had suspended is safe only when the answers since are forgotten",
        arguments: [
            ("up tokyo/nrt-1 100", 100), ("up */nrt-* 100", 100), ("up * 100", 100),
            ("up frankfurt/fra-1 100", 0), ("up */*/192.0.2.3 100", 100),
            ("down tokyo/nrt-1 100", 0),
        ] as [(String, Int64)])
    func suspended(_ row: (word: String, time: Int64)) throws {
        var overrides = try overrides(["drain tokyo", row.word])
        overrides.expire(at: at(100))
        #expect(overrides.all.map(\.time) == [at(row.time)])
    }

    @Test(
        "a pattern means pools, origins or addresses, with * and ? in each part",
        arguments: [
            ("tokyo", "dd..."), ("tokyo/nrt-1", "dd..."), ("*", "ddddd"), ("*/fra-*", "..dd."),
            ("*/fra-?", "..dd."), ("f*t/*2", "...d."), ("*/*/192.0.2.?", "d.dd."),
            ("tokyo/*/2001:DB8:0::1", ".d..."), ("tokyo/nrt-1/2001:db8::*", ".d..."),
            ("vendor/eu-1/eu.lb.*", "....d"), ("*/*/*.example", "....d"), ("?????", "dd..."),
            ("**k**", "dddd."), ("fran*furt/fra-1", "..d.."),
        ])
    func patterns(_ row: (pattern: String, table: String)) throws {
        #expect(try table(overrides(["drain \(row.pattern)"])) == row.table)
    }

    @Test(
        "a pattern that means nothing is refused, with what may be meant",
        arguments: [
            ("tokio", "did you mean \"tokyo\"?"), ("nrt-1", "did you mean \"tokyo/nrt-1\"?"),
            ("192.0.2.3", "did you mean \"frankfurt/fra-2/192.0.2.3\"?"),
            ("tokyo/nrt-2", "did you mean \"tokyo/nrt-1\"?"),
            ("eu.lb.vendor.example", "did you mean \"vendor/eu-1/eu.lb.vendor.example\"?"),
            ("x*", "the pools are tokyo, frankfurt, vendor"), ("", "is no pattern"),
            ("tokyo/", "is no pattern"), ("a/b/c/d", "is no pattern"),
            ("to\u{1B}kyo", "is no pattern"),
            (String(repeating: "*", count: 600), "more than 512 octets"),
        ])
    func nothing(_ row: (pattern: String, words: String)) throws {
        var overrides = OperatorOverrides()
        let error = #expect(throws: OperatorError.self) {
            let word = try OperatorOverride(
                .drain, try AddressPattern(row.pattern), by: "ada", at: at(0))
            try overrides.add(word, in: steering.configuration, addresses: steering.addresses)
        }
        #expect(error?.description.contains(row.words) == true, "\(error?.description ?? "")")
        #expect(overrides.all.isEmpty)
    }

    @Test("a pattern of many stars is held against a long name in no time")
    func stars() {
        let pattern = Glob(String(repeating: "*a", count: 200) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 255)))
        #expect(pattern.matches(String(repeating: "a", count: 255) + "b"))
    }

    @Test(
        "the last word on an address counts, and clear gives back what it means and no more",
        arguments: [
            (["drain tokyo", "up tokyo/nrt-1/192.0.2.1"], "+d...", 2),
            (["up tokyo/nrt-1/192.0.2.1", "drain tokyo"], "dd...", 2),
            (["drain tokyo", "down tokyo"], "--...", 1),
            (["drain tokyo", "clear tokyo"], ".....", 0),
            (["drain tokyo", "down frankfurt", "clear *"], ".....", 0),
            (["drain tokyo/nrt-1", "down frankfurt", "clear tokyo"], "..--.", 1),
            (["drain frankfurt", "clear */fra-1"], "...d.", 2),
            (["drain frankfurt", "clear */fra-1", "down */fra-1"], "..-d.", 2),
            (["drain frankfurt", "clear */fra-1", "drain frankfurt"], "..dd.", 1),
            (["drain frankfurt", "clear */fra-1", "clear frankfurt"], ".....", 0),
            (["clear tokyo"], ".....", 0),
        ])
    func precedence(_ row: (words: [String], table: String, count: Int)) throws {
        let overrides = try overrides(row.words)
        #expect(table(overrides) == row.table)
        #expect(overrides.all.count == row.count, "\(overrides.all.map(\.pattern))")
    }

    @Test("a word ends at its time, and what it hid counts again")
    func expiry() throws {
        var overrides = try overrides(["drain tokyo", "up tokyo 100", "down frankfurt 50"])
        #expect(table(overrides) == "++--.")
        #expect(overrides.nextExpiry == at(50))
        #expect(overrides.expire(at: at(49)).isEmpty)
        #expect(overrides.expire(at: at(50)).map(\.pattern.description) == ["frankfurt"])
        #expect(table(overrides) == "++...")
    }

    @Test("a part that was cleared is no longer kept when the word before it has ended")
    func idleClear() throws {
        var overrides = try overrides(["drain frankfurt 10", "clear */fra-1"])
        #expect(overrides.all.count == 2)
        overrides.expire(at: at(10))
        #expect(overrides.all.isEmpty)
    }

    @Test("two words on one pattern are one, the new one")
    func replaced() throws {
        let overrides = try overrides(["drain tokyo 10", "drain tokyo 20"])
        #expect(overrides.all.map(\.until) == [at(20)])
    }

    @Test("a word about nothing in new files is kept, told of, and cleared by what stands for it")
    func unmatched() throws {
        var overrides = OperatorOverrides()
        overrides.restore(
            [try OperatorOverride(.drain, try AddressPattern("gone/a-1"), by: "ada", at: at(0))],
        )
        let (configuration, addresses) = (steering.configuration, steering.addresses)
        #expect(overrides.unmatched(in: configuration, addresses: addresses).count == 1)
        let clear = try OperatorOverride(.clear, try AddressPattern("gone"), by: "ada", at: at(2))
        try overrides.add(clear, in: configuration, addresses: addresses)
        #expect(overrides.all.isEmpty)
    }

    @Test("what is restored is what has not ended meanwhile")
    func restored() throws {
        let kept = try overrides(["drain tokyo 10", "down frankfurt"]).all
        var overrides = OperatorOverrides()
        overrides.restore(kept)
        #expect(overrides.expire(at: at(11)).map(\.pattern.description) == ["tokyo"])
        #expect(table(overrides) == "..--.")
    }

    @Test(
        "there are a thousand words at the most, and one on a pattern that has one is always taken")
    func limit() throws {
        var overrides = OperatorOverrides()
        let words = try (0..<OperatorOverrides.limit).map {
            try OperatorOverride(
                .down,
                try AddressPattern(
                    "tokyo\(String(repeating: "*", count: $0 % 400))/n\(String(repeating: "*", count: 1 + $0 / 400))"
                ), by: "ada", at: at(0))
        }
        overrides.restore(words)
        #expect(overrides.all.count == OperatorOverrides.limit)
        let more = try OperatorOverride(
            .down, try AddressPattern("frankfurt"), by: "ada", at: at(1))
        #expect(throws: OperatorError.self) {
            try overrides.add(more, in: steering.configuration, addresses: steering.addresses)
        }
        try overrides.add(words[3], in: steering.configuration, addresses: steering.addresses)
        #expect(overrides.all.count == OperatorOverrides.limit)
    }

    @Test("a reason that would spoil a log line is refused")
    func reason() throws {
        for reason in ["two\nlines", "\u{1B}[2J", "\u{202E}b", String(repeating: "x", count: 201)] {
            #expect(throws: OperatorError.self) {
                try OperatorOverride(
                    .drain, try AddressPattern("tokyo"), by: "ada", at: at(0), reason: reason)
            }
        }
    }
}
