import Testing

@testable import Health

struct PatternTests {
    private func matches(_ text: String, _ pattern: String) throws -> Bool {
        let expectation = ContentExpectation(pattern: try Pattern(pattern), limit: 1 << 20)
        // In pieces of one octet, and at once.
        var search = ContentSearch(expectation)
        var whole = ContentSearch(expectation)
        _ = whole.feed(Array(text.utf8))
        for octet in text.utf8 { _ = search.feed([octet]) }
        let found = search.finish()
        let foundAtOnce = whole.finish()
        #expect(foundAtOnce == found)
        return found
    }

    @Test(
        "patterns match what they say",
        arguments: [
            ("abc", ["abc", "xxabcxx"], ["ab", "acb", ""]),
            ("a.c", ["abc", "a.c"], ["ac", "a\nc", "aüc"]), ("a..c", ["aüc"], []),
            ("^ab", ["abc"], ["xab", ""]), ("ab$", ["xab"], ["abc", ""]),
            ("^$", [""], ["a"]), ("^a|b$", ["ax", "xb"], ["xax", "bx"]),
            ("a|bc|", ["", "x"], []), ("(a|b)c", ["ac", "bc"], ["c", "ab"]),
            ("ab*c", ["ac", "abc", "abbbc"], ["adc"]), ("ab+c", ["abc", "abbc"], ["ac"]),
            ("ab?c", ["ac", "abc"], ["abbc"]), ("^a{2}$", ["aa"], ["a", "aaa"]),
            ("^a{2,}$", ["aa", "aaaaa"], ["a"]),
            ("^(ab){1,3}$", ["ab", "ababab"], ["", "abababab"]),
            ("^a{0,2}b$", ["b", "ab", "aab"], ["aaab"]), ("^a{0}b$", ["b"], ["ab"]),
            ("[a-c]x", ["ax", "cx"], ["dx", "-x"]), ("^[^a]$", ["b", "\n"], ["a", ""]),
            ("^[]a]$", ["]", "a"], ["b"]), ("^[a-]$", ["a", "-"], ["b"]), ("^[-a]$", ["-"], ["b"]),
            ("^[\\]\\d]+$", ["]1"], ["a"]), ("^[\\w.]+$", ["a_1."], ["a-"]),
            ("\\d+\\s\\w", ["12 a"], ["12a"]), ("^\\D\\S\\W$", ["ab-"], ["1b-", "a -", "abc"]),
            ("\\.\\*\\\\", [".*\\"], ["a*\\"]), ("\\r\\n\\t", ["\r\n\t"], ["rnt"]),
            ("(?i)oK", ["ok", "OK", "xOkx"], ["o"]), ("(?i)^[a-c]$", ["B"], ["D"]),
            ("ü+$", ["üü"], ["u"]), ("(?:ä|ö)b", ["äb", "öb"], ["üb"]),
            ("\"status\": *\"(ok|warn)\"", ["{\"status\":   \"warn\"}"], ["{\"status\": \"bad\"}"]),
            ("(a*)*b", ["aaab"], ["aaac"]), ("((a?){3}b){2}", ["aabb"], ["aab"]),
            ("a**", [""], []), ("x*?y", ["xy"], ["x"]),
        ])
    func language(pattern: String, good: [String], bad: [String]) throws {
        for text in good { #expect(try matches(text, pattern), "\(pattern) in \(text)") }
        for text in bad { #expect(try !matches(text, pattern), "\(pattern) not in \(text)") }
    }

    @Test(
        "what is no pattern is told in words",
        arguments: [
            ("(", "a ( without its )"), (")", "a ) without its ("), ("[a", "a [ without its ]"),
            ("[", "a [ without its ]"), ("*a", "nothing to repeat before *"),
            ("a|+", "nothing to repeat before +"), ("a{", "{ has to begin a count"),
            ("a{3,2}", "{ has to begin a count"), ("a{9999}", "{ has to begin a count"),
            ("{2}", "nothing to repeat before {"), ("a\\", "ends in a backslash"),
            ("\\1", "\\1 means nothing here"), ("\\b", "\\b means nothing here"),
            ("(?=a)", "only (?:…)"), ("(?<a>b)", "only (?:…)"), ("[z-a]", "does not rise"),
            ("[a-\\d]", "does not rise"), ("[[:digit:]]", "classes as [:digit:]"),
            ("[ä]", "only ASCII in [ ]"),
            ("a{301}", "more than 300 steps"), ("((a{9}){9}){9}", "more than 300 steps"),
            (String(repeating: "(", count: 21), "more than 20 groups"),
        ])
    func mistakes(pattern: String, words: String) {
        let error = #expect(throws: PatternError.self) { _ = try Pattern(pattern) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("random texts are read, or refused in words, and searched for")
    func random() {
        var random = Random(seed: 3)
        let pieces = Array("ab(|)*+?{2,3}[^-]\\d\\.$^?:ü").map(String.init)
        var good = 0
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                pieces.randomElement(using: &random) ?? ""
            }.joined()
            do throws(PatternError) {
                var search = ContentSearch(
                    ContentExpectation(pattern: try Pattern(text), limit: 100))
                _ = search.feed(Array("abba.2ü-b".utf8))
                _ = search.finish()
                good += 1
            } catch {
                #expect(!error.description.isEmpty)
            }
        }
        #expect(good > 1_000)
    }
}

extension Alone {
    struct PatternSearchTests {
        @Test("no text makes a search take long, not with what makes others go back for ever")
        func bounded() throws {
            // A state for each text is not to be had; a look at each octet is.
            for pattern in ["(a*)*b", "(a|a)*b", "(a|aa)+$x", "a.*a.*a.*a.*b", "[ab]*a[ab]{12}c"] {
                let search = PatternSearch(try Pattern(pattern))
                var random = Random(seed: 1)
                for _ in 0..<4_096 { _ = search.take(UInt8.random(in: 97...98, using: &random)) }
                #expect(search.isFound == pattern.hasSuffix("b") && !search.isExhausted)
            }
            let search = PatternSearch(try Pattern("(a.{0,60}){2}c"))
            var count = 0
            while !search.isExhausted, count < 65_536 {
                var state = UInt64(count) &* 0x9E37_79B9_7F4A_7C15
                state ^= state >> 29
                _ = search.take(97 + UInt8(state & 1))
                count += 1
            }
            #expect(search.isExhausted && !search.isFound && count > 4_096)
        }
    }
}
