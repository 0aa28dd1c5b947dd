// Looks for what an answer has to contain, in the pieces it comes in: one step for each octet, and
// memory that does not grow with what is read, whatever a hostile origin sends.

internal import NIOCore
internal import Settings

/// What has to be within the first octets of an answer.
struct ContentExpectation: Sendable, Hashable {
    /// The text in words, for reasons: `"ok"`.
    let words: String
    let limit: Int
    fileprivate let kind: Kind

    fileprivate enum Kind: Sendable, Hashable { case text(SearchedText), pattern(Pattern) }

    /// Octets that occur in a row; not none.
    init(text: [UInt8], limit: Int) {
        words = String(decoding: text, as: UTF8.self).quoted
        self.limit = limit
        kind = .text(SearchedText(text))
    }

    /// A match of a pattern.
    init(pattern: Pattern, limit: Int) {
        words = "/\(pattern.text.cut)/"
        self.limit = limit
        kind = .pattern(pattern)
    }
}

/// One search through one answer.
struct ContentSearch {
    private(set) var count = 0
    private(set) var isFound = false
    /// Whether there was more than is looked at.
    private var isCut = false
    private let limit: Int
    private var text: TextSearch?
    private let pattern: PatternSearch?

    init(_ expectation: ContentExpectation) {
        limit = expectation.limit
        switch expectation.kind {
        case .text(let searched): (text, pattern) = (TextSearch(searched), nil)
        case .pattern(let pattern): (text, self.pattern) = (nil, PatternSearch(pattern))
        }
    }

    /// Whether no more is looked at.
    var isExhausted: Bool { isCut || isTooCostly }

    /// Whether the pattern has cost so much that it looks no further.
    var isTooCostly: Bool { pattern?.isExhausted == true }

    /// Looks at the next octets, and returns whether it is found by now.
    mutating func feed(_ octets: some Sequence<UInt8>) -> Bool {
        for octet in octets {
            guard !isFound, !isExhausted else { break }
            guard count < limit else {
                isCut = true
                break
            }
            count += 1
            isFound = text?.take(octet) ?? pattern?.take(octet) ?? false
        }
        return isFound
    }

    /// Says that nothing follows; a pattern may end in `$`.
    mutating func finish() -> Bool {
        if !isFound { isFound = pattern?.isFoundAtEnd ?? false }
        return isFound
    }
}

/// A text made ready for Knuth, Morris and Pratt's search ("Fast pattern matching in strings", 1977).
private struct SearchedText: Sendable, Hashable {
    let text: [UInt8]
    /// For each number of octets that match, how many still do after the next one does not.
    private(set) var borders: [Int]

    init(_ text: [UInt8]) {
        self.text = text
        borders = Array(repeating: 0, count: text.count)
        var border = 0
        for index in text.indices.dropFirst() {
            while border > 0, text[index] != text[border] { border = borders[border - 1] }
            if text[index] == text[border] { border += 1 }
            borders[index] = border
        }
    }

    static func == (a: Self, b: Self) -> Bool { a.text == b.text }

    func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// One search for a text.
private struct TextSearch {
    private let searched: SearchedText
    private var matched = 0

    init(_ searched: SearchedText) { self.searched = searched }

    mutating func take(_ octet: UInt8) -> Bool {
        while matched > 0, searched.text[matched] != octet {
            matched = searched.borders[matched - 1]
        }
        if searched.text[matched] == octet { matched += 1 }
        return matched == searched.text.count
    }
}

// MARK: - Texts

extension String {
    /// In quotes for one line of a log: cut after 40 characters, controls as spaces.
    var quoted: String { "\"" + cut + "\"" }

    /// For one line of a log: cut after 40 characters, controls as spaces.
    var cut: String {
        String(unicodeScalars.prefix(40)).inOneLine + (unicodeScalars.count > 40 ? "…" : "")
    }

    /// Without what breaks a line or reorders it: such characters become spaces.
    public var inOneLine: String {
        String(unicodeScalars.map { $0.misleads ? " " : Character($0) })
    }
}

extension Unicode.Scalar {
    /// Whether it has no place in a log or on a terminal: controls, Unicode's line separators, and what
    /// turns the direction of the text that follows (Unicode Technical Report 36, section 3.4).
    var misleads: Bool {
        switch value {
        case ..<0x20, 0x7F...0x9F, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

extension SettingsValue {
    /// The octets of a text in which `\r`, `\n`, `\t`, `\\` and `\x00` to `\xFF` stand for others; nil
    /// after reporting what is wrong with it.
    func octets(limit: Int, _ diagnostics: inout Diagnostics) -> [UInt8]? {
        guard let text = string(&diagnostics) else { return nil }
        var octets: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let octet = rest.popFirst() {
            guard octet == UInt8(ascii: "\\") else {
                octets.append(octet)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "r"): octets.append(13)
            case UInt8(ascii: "n"): octets.append(10)
            case UInt8(ascii: "t"): octets.append(9)
            case UInt8(ascii: "\\"): octets.append(octet)
            case UInt8(ascii: "x"):
                let digits = rest.prefix(2)
                rest = rest.dropFirst(2)
                guard digits.count == 2, !digits.contains(UInt8(ascii: "+")),
                    let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
                else {
                    expected("two hexadecimal digits after \\x", &diagnostics)
                    return nil
                }
                octets.append(value)
            default:
                expected("\\r, \\n, \\t, \\\\ or \\x00 to \\xFF after a backslash", &diagnostics)
                return nil
            }
        }
        guard (1...limit).contains(octets.count) else {
            expected("a text of 1 to \(limit) octets", &diagnostics)
            return nil
        }
        return octets
    }
}
