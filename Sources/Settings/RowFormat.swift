// Files of rows: words with blanks between them, one row a line. Whatever reads such a file (questions
// and clients of a load, expectations of a test, clients of a simulation) reads it here, so that
// comments, ends of lines, limits and the faults that all rows can have are the same everywhere.

/// One row: its words, and where each of them stands.
public struct TextRow {
    /// At least one.
    public let words: [Substring]
    private let line: Substring.UTF8View
    private let file: String
    private let number: Int

    fileprivate init(
        _ words: [Substring], line: Substring.UTF8View, file: String, number: Int
    ) {
        self.words = words
        self.line = line
        self.file = file
        self.number = number
    }

    /// Where one of the words begins.
    public func position(of index: Int) -> SourcePosition {
        SourcePosition(
            file: file, line: number,
            column: line.distance(from: line.startIndex, to: words[index].startIndex) + 1)
    }
}

/// What the rows of a file look like.
///
/// A line ends with LF, CR LF or CR. What follows a `#` or, as dnsperf has it, a `;` is a comment; a
/// name with either in it writes it as `\035` or `\059` (RFC 1035, section 5.1). A line without words
/// is no row.
public struct RowFormat: Sendable {
    /// The most rows of a file: some 100 octets each are kept of them.
    public static let maximumCount = 2_000_000

    /// What a row is, in the singular.
    private let noun: String
    /// The words of a row, those in brackets optional.
    private let form: String
    private let example: String
    private let counts: ClosedRange<Int>

    /// - Parameters:
    ///   - noun: what a row is, as `question`.
    ///   - form: its words, as `NAME TYPE [EXPECTATION]`; those in brackets may be left out.
    public init(_ noun: String, form: String, example: String) {
        self.noun = noun
        self.form = form
        self.example = example
        let words = form.split(separator: " ")
        counts = words.prefix { !$0.hasPrefix("[") }.count...words.count
    }

    /// Reads all rows of a text, and reports every fault; a text without a row is one.
    ///
    /// - Parameters:
    ///   - file: what the text is called in messages.
    ///   - limit: the most rows; what comes after them is not read.
    ///   - read: makes something of a row, whose words are as many as there may be; or reports what is
    ///     wrong with which of them, and returns nil.
    public func read<Row>(
        _ text: String, file: String, atMost limit: Int = maximumCount,
        _ diagnostics: inout Diagnostics, _ read: (TextRow, inout Diagnostics) -> Row?
    ) -> [Row] {
        var rows: [Row] = []
        var count = 0
        var lines = Lines(text)
        while let line = lines.next() {
            let words = words(of: line)
            guard !words.isEmpty else { continue }
            let row = TextRow(words, line: line, file: file, number: lines.number)
            guard count < limit else {
                diagnostics.error(
                    at: row.position(of: 0), "more than \(limit) \(noun)s; leave some out")
                return rows
            }
            count += 1
            if words.count < counts.lowerBound {
                let missing = form.split(separator: " ")[words.count]
                diagnostics.error(at: row.position(of: 0), "\(missing) is missing; \(looks)")
            } else if words.count > counts.upperBound {
                let place = counts.upperBound
                diagnostics.error(
                    at: row.position(of: place), "\"\(words[place])\" is too much; \(looks)")
            } else if let row = read(row, &diagnostics) {
                rows.append(row)
            }
        }
        if count == 0 {
            diagnostics.error(
                at: SourcePosition(file: file), "no \(noun)s in it; write one a line, as \(example)"
            )
        }
        return rows
    }

    private var looks: String { "a \(noun) is \(form), as \(example)" }

    private func words(of line: Substring.UTF8View) -> [Substring] {
        let code = line.prefix { $0 != UInt8(ascii: "#") && $0 != UInt8(ascii: ";") }
        return code.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.map {
            Substring($0)
        }
    }
}

/// The lines of a text, by octets: a character may be CR LF together, or a `#` with what modifies it.
private struct Lines {
    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    private var rest: Substring.UTF8View
    /// Of the line that came last, from 1 on.
    private(set) var number = 0

    init(_ text: String) {
        rest = Substring(text).utf8
        // The byte order mark that some editors begin a file with.
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        if rest.starts(with: mark) { rest = rest.dropFirst(mark.count) }
    }

    mutating func next() -> Substring.UTF8View? {
        guard !rest.isEmpty else { return nil }
        number += 1
        let line = rest.prefix { $0 != Self.lineFeed && $0 != Self.carriageReturn }
        rest = rest[line.endIndex...]
        // CR LF is one end, and so is either alone.
        if rest.first == Self.carriageReturn {
            rest = rest.dropFirst()
            if rest.first == Self.lineFeed { rest = rest.dropFirst() }
        } else {
            rest = rest.dropFirst()
        }
        return line
    }
}
