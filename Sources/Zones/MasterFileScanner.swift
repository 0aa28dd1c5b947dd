// The lexical half of the master-file reader: octets become entries, an entry becomes words
// (RFC 1035, section 5.1). Comments, quotes, parentheses and line ends end here; what words mean is
// MasterFile.swift's.

internal import DNSWire
internal import Settings

/// Cuts one file into entries: lines, or what parentheses make one line.
struct MasterFileScanner {
    /// The most words of one entry: the longest data, 65,535 octets, with each base64 digit apart,
    /// and the words before it. It bounds what an unclosed parenthesis can take up.
    static let maximumWords = 90_000

    let file: String
    private let octets: [UInt8]
    private var position: Int
    private var line = 1
    private var lineStart = 0

    /// The words of the entry that `readEntry` read last.
    private(set) var words: [RDataToken] = []
    /// Whether that entry began with a blank: its owner is the one before.
    private(set) var startsWithBlank = false
    /// Where the words stood before $GENERATE made others of them, with the first one's place,
    /// which every record asks for.
    private var generatedFrom: (starts: [Int], place: SourcePosition)?
    private var entryLine = 1
    private var entryLineStart = 0

    init(_ octets: [UInt8], file: String) {
        self.octets = octets
        self.file = file
        // A byte order mark that some editors put before UTF-8.
        position = octets.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        lineStart = position
    }

    // MARK: - Places

    /// The place of an octet of the entry read last.
    func place(of index: Int) -> SourcePosition {
        var line = entryLine
        var start = entryLineStart
        var position = start
        while position < min(index, octets.count) {
            if octets[position] == UInt8(ascii: "\n") {
                line += 1
                start = position + 1
            }
            position += 1
        }
        return SourcePosition(file: file, line: line, column: index - start + 1)
    }

    /// The place of a word; of the end of the last word where the index is past it.
    func place(ofWord index: Int) -> SourcePosition {
        if let generatedFrom, let last = generatedFrom.starts.last {
            let starts = generatedFrom.starts
            return index == 0
                ? generatedFrom.place : place(of: index < starts.count ? starts[index] : last)
        }
        guard index < words.count else { return place(of: words.last?.octets.endIndex ?? position) }
        // A quoted word begins at its quote.
        return place(of: words[index].octets.startIndex - (words[index].isQuoted ? 1 : 0))
    }

    /// The entry read last, to be given other words for those from the third on, at their places.
    func generating() -> MasterFileScanner {
        var copy = self
        copy.generatedFrom = (words.dropFirst(2).map(\.octets.startIndex), place(ofWord: 2))
        copy.startsWithBlank = false
        return copy
    }

    mutating func generate(_ words: [RDataToken]) {
        self.words = words
    }

    // MARK: - Entries

    /// Reads the next entry that has words; returns false at the end of the file.
    ///
    /// An entry with a lexical fault is reported and skipped.
    mutating func readEntry(_ diagnostics: inout Diagnostics) -> Bool {
        while position < octets.count {
            words.removeAll(keepingCapacity: true)
            entryLine = line
            entryLineStart = lineStart
            startsWithBlank = octets[position] == 0x20 || octets[position] == 0x09
            let fault = scanEntry()
            if let fault { diagnostics.error(at: place(of: fault.position), fault.message) }
            if fault == nil, !words.isEmpty { return true }
        }
        return false
    }

    private struct Fault {
        var position: Int
        var message: String
    }

    /// Collects words up to the line end that ends the entry, and past it.
    private mutating func scanEntry() -> Fault? {
        var fault: Fault?
        var parentheses: [Int] = []
        while position < octets.count {
            switch octets[position] {
            case UInt8(ascii: "\n"):
                position += 1
                line += 1
                lineStart = position
                if parentheses.isEmpty { return fault }
            case 0x20, 0x09, 0x0D, 0x0B, 0x0C:
                position += 1
            case UInt8(ascii: ";"):
                skipComment()
            case UInt8(ascii: "("):
                // Nesting means nothing, but many readers allow it; deep nesting is garbage.
                if parentheses.count < 100 { parentheses.append(position) }
                position += 1
            case UInt8(ascii: ")"):
                if parentheses.popLast() == nil {
                    fault =
                        fault
                        ?? Fault(
                            position: position, message: "\")\" without \"(\"; remove it")
                }
                position += 1
            case UInt8(ascii: "\""):
                if let new = scanQuoted() { fault = fault ?? new }
            default:
                if let new = scanWord() { fault = fault ?? new }
            }
            if words.count > Self.maximumWords {
                words.removeAll(keepingCapacity: true)
                fault =
                    fault
                    ?? Fault(
                        position: parentheses.first ?? position,
                        message:
                            "a record of more than \(Self.maximumWords) words; is a \")\" missing?")
            }
        }
        if let open = parentheses.first {
            fault =
                fault
                ?? Fault(position: open, message: "\"(\" without \")\" up to the end; close it")
        }
        return fault
    }

    private mutating func skipComment() {
        while position < octets.count, octets[position] != UInt8(ascii: "\n") { position += 1 }
    }

    private mutating func scanWord() -> Fault? {
        let start = position
        while position < octets.count {
            switch octets[position] {
            case UInt8(ascii: "\n"), 0x20, 0x09, 0x0D, 0x0B, 0x0C, UInt8(ascii: ";"),
                UInt8(ascii: "("), UInt8(ascii: ")"):
                words.append(RDataToken(octets[start..<position]))
                return nil
            case UInt8(ascii: "\\"):
                skipEscaped()
            case UInt8(ascii: "\""):
                return scanMixedWord(from: start)
            default:
                position += 1
            }
        }
        words.append(RDataToken(octets[start..<position]))
        return nil
    }

    /// Goes on with a word in which a quote appeared: `key="a b"` is one word.
    private mutating func scanMixedWord(from start: Int) -> Fault? {
        var isInQuotes = false
        var openQuote = position
        while position < octets.count {
            switch octets[position] {
            case UInt8(ascii: "\n"):
                return finishMixedWord(from: start, openQuote: isInQuotes ? openQuote : nil)
            case 0x20, 0x09, 0x0D, 0x0B, 0x0C, UInt8(ascii: ";"), UInt8(ascii: "("),
                UInt8(ascii: ")"):
                if !isInQuotes { return finishMixedWord(from: start, openQuote: nil) }
                position += 1
            case UInt8(ascii: "\\"):
                skipEscaped()
            case UInt8(ascii: "\""):
                isInQuotes.toggle()
                openQuote = position
                position += 1
            default:
                position += 1
            }
        }
        return finishMixedWord(from: start, openQuote: isInQuotes ? openQuote : nil)
    }

    private mutating func finishMixedWord(from start: Int, openQuote: Int?) -> Fault? {
        if let openQuote { return Fault(position: openQuote, message: Self.unclosedQuote) }
        words.append(RDataToken(octets[start..<position], hasInnerQuotes: true))
        return nil
    }

    private mutating func scanQuoted() -> Fault? {
        let start = position + 1
        position = start
        while position < octets.count {
            switch octets[position] {
            case UInt8(ascii: "\""):
                words.append(RDataToken(octets[start..<position], isQuoted: true))
                position += 1
                return nil
            case UInt8(ascii: "\n"):
                return Fault(position: start - 1, message: Self.unclosedQuote)
            case UInt8(ascii: "\\"):
                // Escaped, a line end is an octet like any other (RFC 1035, section 5.1).
                if position + 1 < octets.count, octets[position + 1] == UInt8(ascii: "\n") {
                    position += 2
                    line += 1
                    lineStart = position
                } else {
                    skipEscaped()
                }
            default:
                position += 1
            }
        }
        return Fault(position: start - 1, message: Self.unclosedQuote)
    }

    private static let unclosedQuote = "a quote that is not closed on its line; close it"

    /// Passes a backslash and the octet it takes the meaning from, but no line end.
    private mutating func skipEscaped() {
        position += 1
        if position < octets.count, octets[position] != UInt8(ascii: "\n") { position += 1 }
    }
}
