// YAML as users' files need it: text stays text, every value knows its place, hostile files end in
// a finding.

import Settings
import Testing

/// The root of a file, and all findings about it.
private func parse(_ text: String) -> (root: SettingsValue?, findings: [String]) {
    var diagnostics = Diagnostics()
    let root = parseSettings(text, file: "f", diagnostics: &diagnostics)
    return (root, diagnostics.sorted.map(\.description))
}

@Suite("settings values")
struct SettingsValueTests {
    @Test("scalars stay the text they are; only plain emptiness is null")
    func scalars() throws {
        let (root, findings) = parse(
            "a: NO\nb: 010\nc: 1_000\nd: ~\ne: null\nf: \"null\"\ng:\nh: ''\n")
        #expect(findings == [])
        var diagnostics = Diagnostics()
        let entries = try #require(root?.namedEntries(&diagnostics))
        #expect(
            entries.map { $0.value.text } == ["NO", "010", "1_000", nil, nil, "null", nil, ""])
        #expect(entries[1].key == SourcePosition(file: "f", line: 2, column: 1))
        #expect(entries[1].value.position == SourcePosition(file: "f", line: 2, column: 4))
    }

    @Test(
        "an empty file has a null root",
        arguments: ["", "\n", "# nothing\n", "---\n", "\u{FEFF}\n"])
    func empty(text: String) {
        let (root, findings) = parse(text)
        #expect(findings == [] && root?.isNull == true)
    }

    @Test(
        "what is no YAML is one finding of one line, with its place",
        arguments: [
            ("a: [1\n", "f:2:1: error: not YAML: "),
            ("a: 1\na: 2\n", "f:1:1: error: the key a occurs twice in one mapping"),
            ("a: 1\n---\nb: 1\n", "f:2:1: error: not YAML: "),
            (
                "a:\n\tb: 1\n",
                "f:2:1: error: not YAML: found character that cannot start any token (a tab); "
                    + "indent with spaces"
            ),
            (
                "a: `b`\n",
                "f:1:4: error: not YAML: found character that cannot start any token; "
                    + "quote the value"
            ),
            (
                "a: [1, ::1]\n",
                "f:1:8: error: not YAML: did not find expected node content; "
                    + "quote a value that starts so, as \"::1\""
            ),
            (
                "a:\n   b: 1\n  c: 2\n",
                "f:3:3: error: not YAML: did not find expected key; check the indentation"
            ),
            ("a: *nobody\n", "f:1:4: error: not YAML: found undefined alias"),
            ("a: 1\nb\u{0}c: 2\n", "f:2:2: error: not YAML: control characters are not allowed"),
            ("\u{e9}b: \u{1}\n", "f:1:5: error: not YAML: control characters are not allowed"),
        ])
    func broken(text: String, expected: String) throws {
        let (root, findings) = parse(text)
        #expect(root == nil && findings.count == 1)
        let finding = try #require(findings.first)
        #expect(finding.hasPrefix(expected) && !finding.contains("\n"), "\(finding)")
    }

    @Test("nesting and aliases cost no more than a finding")
    func bombs() {
        for depth in [100, 100_000] {
            let deep = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            #expect(parse("a: " + deep).findings.count == 1)
        }
        let deep = String(repeating: "[", count: 50) + String(repeating: "]", count: 50)
        #expect(
            parse("a: " + deep).findings
                == ["f:1:43: error: nested more than 40 levels deep; is an alias inside itself?"])
        let doubling = (1...60).map { "a\($0): &a\($0) [*a\($0 - 1), *a\($0 - 1)]\n" }.joined()
        let (root, findings) = parse("a0: &a0 x\n" + doubling)
        #expect(root == nil)
        #expect(findings == ["f: error: more than 32 aliases (*name); write the values out"])
        let wide = Array(repeating: "*a", count: 31).joined(separator: ", ")
        let few = parse("a: &a [x, x]\nb: [\(wide)]\nc: \"*.apps\" # *\n")
        #expect(few.root != nil && few.findings == [])
        let long = Array(repeating: "x", count: 33_000).joined(separator: ", ")
        let many = parse("a: &a [\(long)]\nb: [\(wide)]\n").findings
        #expect(many.count == 1 && many[0].contains("more than 1000000 values, those of aliases"))
    }

    @Test("keys made of aliases cost no more than a finding")
    func keyBombs() {
        let doubling = (1...15).map { "a\($0): &a\($0) [*a\($0 - 1), *a\($0 - 1)]\n" }.joined()
        var (root, findings) = parse("a0: &a0 x\n" + doubling + "? *a15\n: 1\n")
        #expect(root != nil && findings == [])
        (root, findings) = parse("a0: &a0 x\n" + doubling + "? *a15\n: 1\nb: [*a1, *a2]\n")
        #expect(root == nil && findings.count == 1)
    }

    @Test("an unknown key is an error with what was probably meant, null is absent")
    func keys() throws {
        var diagnostics = Diagnostics()
        let root = try #require(
            parseSettings("wieght: 1\nzzz: 2\nweight:\n", file: "f", diagnostics: &diagnostics))
        let map = try #require(root.mapping(["weight", "addresses"], &diagnostics))
        #expect(map["weight"] == nil)
        #expect(map.required("addresses", &diagnostics) == nil)
        #expect(
            diagnostics.sorted.map(\.description) == [
                "f:1:1: error: unknown key \"wieght\"; did you mean \"weight\"?",
                "f:1:1: error: the key \"addresses\" is missing",
                "f:2:1: error: unknown key \"zzz\"; known here: weight, addresses",
            ])
    }

    @Test("findings are kept up to a limit and counted beyond it")
    func limit() {
        var diagnostics = Diagnostics()
        for line in 0..<Diagnostics.limit + 5 {
            diagnostics.error(at: SourcePosition(file: "f", line: line), "x")
        }
        #expect(diagnostics.all.count == Diagnostics.limit)
        #expect(diagnostics.errorCount == Diagnostics.limit + 5 && diagnostics.omittedCount == 5)
    }
}

@Suite("durations")
struct DurationTests {
    @Test(
        "a duration has units, and its text reads back",
        arguments: [
            ("500ms", Duration.milliseconds(500), "500ms"), ("10s", .seconds(10), "10s"),
            ("1m30s", .seconds(90), "1m30s"), ("90s", .seconds(90), "1m30s"),
            ("2h", .seconds(7_200), "2h"), ("1d1ms", .milliseconds(86_400_001), "1d1ms"),
            ("0s", .zero, "0s"),
        ])
    func good(text: String, duration: Duration, written: String) {
        #expect(parseDuration(text) == duration)
        #expect(durationText(duration) == written)
        #expect(parseDuration(written) == duration)
    }

    @Test(
        "what is no duration is none, also where the sum would overflow",
        arguments: [
            "", "10", "s", "-1s", "1.5s", "1 s", "1S", "1w", "\u{661}s", "1000000000s",
            String(repeating: "999999999d", count: 200),
        ])
    func bad(text: String) {
        #expect(parseDuration(text) == nil)
    }
}
