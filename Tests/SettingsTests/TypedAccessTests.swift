// Values as numbers, words and lists, and what is said of those that aren't.

import Settings
import Testing

/// Reads a text and returns what `read` makes of its root, with every message.
private func read<Result>(
    _ text: String, _ read: (SettingsValue, inout Diagnostics) -> Result
) -> (result: Result?, messages: [String]) {
    var diagnostics = Diagnostics()
    let root = parseSettings(text, file: "f", diagnostics: &diagnostics)
    let result = root.map { read($0, &diagnostics) }
    return (result, diagnostics.sorted.map(\.description))
}

@Suite struct TypedAccessTests {
    @Test("a lone value counts as a list of one, nothing as an empty list")
    func lists() {
        #expect(read("a: x") { $0.mapping(["a"], &$1)?["a"]?.elements(&$1).count }.result == 1)
        #expect(read("") { $0.elements(&$1).count }.result == 0)
    }

    @Test(
        "a mistake is told with its place and its cure",
        arguments: [
            ("colour: 1", "f:1:1: error: unknown key \"colour\"; did you mean \"color\"?"),
            ("zzz: 1", "f:1:1: error: unknown key \"zzz\"; known here: color, count, wait, flag"),
            ("[1]", "f:1:1: error: expected a mapping (key: value), found a list"),
            (
                "color: blue",
                "f:1:8: error: color: expected one of red, green, found \"blue\""
            ),
            (
                "color: gren",
                "f:1:8: error: color: expected one of red, green (did you mean green?), found \"gren\""
            ),
            (
                "count: 11",
                "f:1:8: error: count: expected a whole number from 1 to 10, found \"11\""
            ),
            (
                "count: [1]",
                "f:1:8: error: count: expected a whole number from 1 to 10, found a list"
            ),
            (
                "\n  wait: 5",
                "f:2:9: error: wait: expected a duration with its unit, as 500ms, 10s, 5m or 1m30s, found \"5\""
            ),
            (
                "wait: 2m",
                "f:1:7: error: wait: expected a duration from 1s to 1m, found \"2m\""
            ),
            ("flag: perhaps", "f:1:7: error: flag: expected true or false, found \"perhaps\""),
            (
                "count: 1\ncount: 2",
                "f:1:1: error: the key count occurs twice in one mapping; rename or remove one"
            ),
        ])
    func mistakes(_ text: String, _ message: String) {
        enum Color: String, CaseIterable { case red, green }
        let (_, messages) = read(text) { root, diagnostics in
            guard let map = root.mapping(["color", "count", "wait", "flag"], &diagnostics) else {
                return
            }
            _ = map["color"]?.choice(Color.self, &diagnostics)
            _ = map["count"]?.integer(in: 1...10, &diagnostics)
            _ = map["wait"]?.duration(in: .seconds(1)...(.seconds(60)), &diagnostics)
            _ = map["flag"]?.boolean(&diagnostics)
        }
        #expect(messages == [message])
    }

    @Test(
        "a range of durations has one end or two",
        arguments: [
            ("30s", 30, 30, nil), ("10s-60s", 10, 60, nil), ("1m30s-2m", 90, 120, nil),
            ("10s-10s", 10, 10, nil),
            ("60s-10s", 0, 0, "expected the shorter duration first, as 10s-60s"),
            ("30", 0, 0, "expected a duration with its unit, as 30s, or two as 10s-60s"),
            ("10-60s", 0, 0, "expected a duration with its unit"),
            ("10s-", 0, 0, "expected a duration with its unit"),
            ("10s-20s-30s", 0, 0, "expected a duration with its unit"),
            ("[10s, 60s]", 0, 0, "expected a duration with its unit"),
            ("10s-2h", 0, 0, "expected durations from 1s to 1h"),
            ("100ms", 0, 0, "expected durations from 1s to 1h"),
        ] as [(String, Int, Int, String?)])
    func ranges(_ text: String, _ lower: Int, _ upper: Int, _ message: String?) {
        let (range, messages) = read("ttl: \(text)") {
            $0.mapping(["ttl"], &$1)?["ttl"]?.durationRange(
                in: .seconds(1)...(.seconds(3_600)), &$1)
        }
        if let message {
            #expect(messages.count == 1 && messages[0].hasPrefix("f:1:6: error: ttl: \(message)"))
        } else {
            #expect(range == .seconds(lower)...(.seconds(upper)) && messages.isEmpty)
        }
    }

    @Test("all mistakes of a file are told, in the order of their places")
    func allMistakes() {
        let (_, messages) = read("b: 1\na: x\nc: 3") { root, diagnostics in
            let map = root.mapping(["a"], &diagnostics)
            _ = map?["a"]?.integer(in: 0...9, &diagnostics)
        }
        #expect(messages.map { $0.prefix(5) } == ["f:1:1", "f:2:4", "f:3:1"])
    }

    @Test("garbage is read to an end, whatever it is")
    func garbage() {
        var state: UInt64 = 7
        let alphabet = Array("ab:-[]{},&*!|>'\"%@`#? \n\t0~é".unicodeScalars)
        for _ in 0..<2_000 {
            var text = String.UnicodeScalarView()
            for _ in 0..<40 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text.append(alphabet[Int(state >> 33) % alphabet.count])
            }
            let (value, messages) = read(String(text)) { root, _ in root.path }
            #expect(value != nil || !messages.isEmpty)
        }
    }
}

@Suite struct SuggestionTests {
    @Test(
        "the nearest candidate is suggested, if it is near",
        arguments: [
            ("wbe", "web"), ("Tokio", "tokyo"), ("frankfrut", "frankfurt"), ("xyz", nil),
            ("we", "web"), ("", nil),
        ] as [(String, String?)])
    func nearest(_ word: String, _ suggestion: String?) {
        #expect(closestMatch(to: word, among: ["web", "tokyo", "frankfurt"]) == suggestion)
    }
}
