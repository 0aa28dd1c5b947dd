// What is wrong in a file, where, and what to do: the one shape of every message about a user's files.

/// A place in a file; lines and columns count from 1, and 0 means "the file as a whole".
public struct SourcePosition: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int

    public init(file: String, line: Int = 0, column: Int = 0) {
        self.file = file
        self.line = line
        self.column = column
    }

    public static func < (a: Self, b: Self) -> Bool {
        (a.file, a.line, a.column) < (b.file, b.line, b.column)
    }

    /// `file:line:column`, or the file alone.
    public var description: String { line == 0 ? file : "\(file):\(line):\(column)" }
}

/// One finding about a file.
public struct Diagnostic: Hashable, Sendable, CustomStringConvertible {
    public enum Severity: String, Sendable { case error, warning }

    public var severity: Severity
    public var position: SourcePosition
    /// What is wrong, and, after a semicolon, what to do about it; no final full stop.
    public var message: String

    public init(_ severity: Severity, at position: SourcePosition, _ message: String) {
        self.severity = severity
        self.position = position
        self.message = message
    }

    /// `file:line:column: error: message`, as compilers print it and editors understand it.
    public var description: String { "\(position): \(severity.rawValue): \(message)" }
}

/// All findings of one load: files are read to their end, so that every error shows at once.
public struct Diagnostics: Sendable {
    /// The most findings kept; a file of garbage must not fill memory.
    public static let limit = 1_000

    public private(set) var all: [Diagnostic] = []
    public private(set) var errorCount = 0
    public private(set) var omittedCount = 0

    public init() {}

    public var hasErrors: Bool { errorCount > 0 }

    public mutating func error(at position: SourcePosition, _ message: String) {
        add(Diagnostic(.error, at: position, message))
    }

    public mutating func warning(at position: SourcePosition, _ message: String) {
        add(Diagnostic(.warning, at: position, message))
    }

    public mutating func add(_ diagnostic: Diagnostic) {
        if diagnostic.severity == .error { errorCount += 1 }
        if all.count < Self.limit { all.append(diagnostic) } else { omittedCount += 1 }
    }

    /// The findings in order of file, line and column.
    public var sorted: [Diagnostic] {
        all.enumerated().sorted {
            ($0.element.position, $0.offset) < ($1.element.position, $1.offset)
        }
        .map(\.element)
    }
}

/// Returns the candidate most like `word`, for "did you mean …"; nil if none is near.
///
/// Near is an edit distance (insert, delete, replace, swap of neighbours) of at most a third of the
/// word's length, and at least one.
public func closestMatch(to word: String, among candidates: some Sequence<String>) -> String? {
    let bound = max(1, word.count / 3)
    return
        candidates
        .map {
            (name: $0, distance: editDistance(Array(word.lowercased()), Array($0.lowercased())))
        }
        .filter { $0.distance <= bound }
        .min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
}

/// The optimal string alignment distance.
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var beforePrevious: [Int] = []
    var previous = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var best = min(previous[j + 1] + 1, row[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                best = min(best, beforePrevious[j - 1] + 1)
            }
            row.append(best)
        }
        beforePrevious = previous
        previous = row
    }
    return previous[b.count]
}
