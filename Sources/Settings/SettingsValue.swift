// YAML as users' files need it: every value knows its place, scalars stay text until somebody asks
// for a number or a duration (NO is Norway, not false), and unknown keys are errors.

internal import Yams

/// One value of a YAML file, with its place.
public struct SettingsValue: Sendable {
    public enum Content: Sendable {
        case null
        /// The text of a scalar, whatever YAML would make of it.
        case scalar(String)
        case list([SettingsValue])
        /// Keys in file order; a key occurs once.
        case mapping([(key: SettingsValue, value: SettingsValue)])
    }

    public let content: Content
    public let position: SourcePosition
    /// Where the value is in words, as `pools.frankfurt.location`.
    public let path: String

    /// The text of a scalar; nil for all else.
    public var text: String? {
        if case .scalar(let text) = content { text } else { nil }
    }

    public var isNull: Bool {
        if case .null = content { true } else { false }
    }

    private var kindInWords: String {
        switch content {
        case .null: "nothing"
        case .scalar(let text): "\"\(text)\""
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }

    /// Reports "PATH: wanted WHAT, found …" at this value's place.
    public func expected(_ what: String, _ diagnostics: inout Diagnostics) {
        let subject = path.isEmpty ? "" : "\(path): "
        diagnostics.error(at: position, "\(subject)expected \(what), found \(kindInWords)")
    }
}

// MARK: - Reading a file

/// Limits that keep a hostile or mistaken file from costing more than its size.
private enum Limit {
    /// Deep enough for any settings, shallow enough for the stack.
    static let depth = 40
    /// Values after aliases are expanded: some hundred thousand origins fit.
    static let values = 1_000_000
    /// What a file may have of `*name`. Yams hashes keys with their aliases expanded, in which a few
    /// dozen can double each other past any machine; 32 make at most some hundred thousand values.
    static let aliases = 32
}

/// Returns the root of a YAML file's only document, or nil after reporting why there is none.
///
/// An empty file has a null root.
public func parseSettings(
    _ text: String, file: String, diagnostics: inout Diagnostics
) -> SettingsValue? {
    guard aliasCount(text) <= Limit.aliases else {
        diagnostics.error(
            at: SourcePosition(file: file),
            "more than \(Limit.aliases) aliases (*name); write the values out")
        return nil
    }
    // Some editors start a file with a byte order mark, which libyaml takes for content.
    let text =
        text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    do {
        guard let root = try Yams.compose(yaml: text) else {
            return SettingsValue(
                content: .null, position: SourcePosition(file: file, line: 1, column: 1), path: "")
        }
        var converter = Converter(file: file, remaining: Limit.values)
        let value = converter.convert(root, path: "", depth: 0, &diagnostics)
        return converter.failed ? nil : value
    } catch let error as YamlError {
        report(error, file: file, &diagnostics)
    } catch {
        diagnostics.error(at: SourcePosition(file: file), "not readable as YAML: \(error)")
    }
    return nil
}

/// The aliases of a text, at the most: asterisks before a word that a value or key can begin at.
///
/// Counted in comments and quoted texts as well, for telling these apart takes the parser itself.
private func aliasCount(_ text: String) -> Int {
    var count = 0
    var before: UInt8 = 10
    var isAsterisk = false
    for octet in text.utf8 {
        // An alias's name may begin with nearly anything; "*." and "* " are other things.
        if isAsterisk, octet > 0x20, octet != UInt8(ascii: "."), octet != UInt8(ascii: "*") {
            count += 1
        }
        isAsterisk = octet == UInt8(ascii: "*") && " \t\r\n[{,?:-".utf8.contains(before)
        before = octet
    }
    return count
}

private func report(_ error: YamlError, file: String, _ diagnostics: inout Diagnostics) {
    switch error {
    case .scanner(_, let problem, let mark, let text), .parser(_, let problem, let mark, let text),
        .composer(_, let problem, let mark, let text):
        diagnostics.error(
            at: SourcePosition(file: file, line: mark.line, column: mark.column),
            "not YAML: \(problem)\(cure(problem, line: mark.line, column: mark.column, of: text))")
    case .reader(let problem, let offset, _, let text):
        let before = text.prefix(offset ?? 0)
        let lineStart = before.lastIndex(where: \.isNewline).map(before.index(after:))
        diagnostics.error(
            at: SourcePosition(
                file: file, line: before.count(where: \.isNewline) + 1,
                column: before[(lineStart ?? before.startIndex)...].count + 1),
            "not YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
        diagnostics.error(
            at: SourcePosition(file: file, line: context.mark.line, column: context.mark.column),
            "the key \(duplicates.joined(separator: ", ")) occurs twice in one mapping; "
                + "rename or remove one")
    default:
        diagnostics.error(at: SourcePosition(file: file), "not YAML: \(error)")
    }
}

/// What mostly helps against a problem that libyaml has with a place, or nothing.
private func cure(_ problem: String, line: Int, column: Int, of text: String) -> String {
    if problem.hasPrefix("found character that cannot start any token") {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard lines.indices.contains(line - 1) else { return "" }
        let isTab = lines[line - 1].dropFirst(column - 1).first == "\t"
        return isTab ? " (a tab); indent with spaces" : "; quote the value"
    }
    let cures = [
        ("did not find expected node content", "; quote a value that starts so, as \"::1\""),
        (
            "did not find expected",
            "; check the indentation and brackets here and in the lines before"
        ),
        ("mapping values are not allowed", "; check the indentation, or quote the value"),
        ("could not find expected ':'", "; the line before lacks one, or is indented wrongly"),
        ("but found another document", "; a file holds one: remove the line ---"),
    ]
    return cures.first { problem.hasPrefix($0.0) }?.1 ?? ""
}

private struct Converter {
    let file: String
    var remaining: Int
    var failed = false

    mutating func convert(
        _ node: Yams.Node, path: String, depth: Int, _ diagnostics: inout Diagnostics
    ) -> SettingsValue {
        let position = SourcePosition(
            file: file, line: node.mark?.line ?? 0, column: node.mark?.column ?? 0)
        let value = { SettingsValue(content: $0, position: position, path: path) }
        remaining -= 1
        guard remaining > 0, depth < Limit.depth else {
            if !failed {
                diagnostics.error(
                    at: position,
                    depth < Limit.depth
                        ? "more than \(Limit.values) values, those of aliases (*name) counted each time; "
                            + "spread them over several files"
                        : "nested more than \(Limit.depth) levels deep; is an alias inside itself?")
            }
            failed = true
            return value(.null)
        }
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain || scalar.style == .any
            let isNull = isPlain && ["", "~", "null"].contains(scalar.string)
            return value(isNull ? .null : .scalar(scalar.string))
        case .sequence(let sequence):
            return value(
                .list(
                    sequence.enumerated().map { index, element in
                        convert(element, path: "\(path)[\(index)]", depth: depth + 1, &diagnostics)
                    }))
        case .mapping(let mapping):
            return value(
                .mapping(
                    mapping.map { key, element in
                        let name = key.string ?? "?"
                        let below = path.isEmpty ? name : "\(path).\(name)"
                        return (
                            convert(key, path: below, depth: depth + 1, &diagnostics),
                            convert(element, path: below, depth: depth + 1, &diagnostics)
                        )
                    }))
        case .alias:
            diagnostics.error(at: position, "an alias that points at nothing")
            failed = true
            return value(.null)
        }
    }
}

// MARK: - Typed access

/// A mapping whose keys were checked against those that are known.
public struct SettingsMapping: Sendable {
    public let position: SourcePosition
    public let path: String
    private let entries: [String: SettingsValue]

    fileprivate init(position: SourcePosition, path: String, entries: [String: SettingsValue]) {
        self.position = position
        self.path = path
        self.entries = entries
    }

    /// The value of a key; nil if it is absent or null.
    public subscript(key: String) -> SettingsValue? {
        guard let value = entries[key], !value.isNull else { return nil }
        return value
    }

    /// Reports keys without a value, for mappings where nothing would quietly mean something else.
    public func refuseEmpty(_ diagnostics: inout Diagnostics) {
        for value in entries.values where value.isNull {
            diagnostics.error(
                at: value.position, "\(value.path): has no value; give it one, or remove the key")
        }
    }

    /// The value of a key that has to be there; reports its absence.
    public func required(_ key: String, _ diagnostics: inout Diagnostics) -> SettingsValue? {
        if let value = self[key] { return value }
        let subject = path.isEmpty ? "" : "\(path): "
        diagnostics.error(at: position, "\(subject)the key \"\(key)\" is missing")
        return nil
    }
}

extension SettingsValue {
    /// The value as a mapping with keys among `known`; others are errors, each with a suggestion.
    public func mapping(
        _ known: [String], _ diagnostics: inout Diagnostics
    ) -> SettingsMapping? {
        guard let entries = namedEntries(&diagnostics) else { return nil }
        for (name, key, _) in entries where !known.contains(name) {
            let hint =
                closestMatch(to: name, among: known).map { "; did you mean \"\($0)\"?" }
                ?? "; known here: \(known.joined(separator: ", "))"
            let subject = path.isEmpty ? "" : "\(path): "
            diagnostics.error(at: key, "\(subject)unknown key \"\(name)\"\(hint)")
        }
        return SettingsMapping(
            position: position, path: path,
            entries: Dictionary(entries.map { ($0.name, $0.value) }) { first, _ in first })
    }

    /// The entries of a mapping whose keys the user chose, in file order.
    public func namedEntries(
        _ diagnostics: inout Diagnostics
    ) -> [(name: String, key: SourcePosition, value: SettingsValue)]? {
        switch content {
        case .null: return []
        case .mapping(let entries):
            return entries.compactMap { key, value in
                guard let name = key.text else {
                    key.expected("a name as key", &diagnostics)
                    return nil
                }
                return (name, key.position, value)
            }
        default:
            expected("a mapping (key: value)", &diagnostics)
            return nil
        }
    }

    /// The elements of a list; a lone scalar or mapping counts as a list of one.
    public func elements(_ diagnostics: inout Diagnostics) -> [SettingsValue] {
        switch content {
        case .null: []
        case .list(let elements): elements
        case .scalar, .mapping: [self]
        }
    }

    public func string(_ diagnostics: inout Diagnostics) -> String? {
        if let text { return text }
        expected("a text", &diagnostics)
        return nil
    }

    public func integer(in range: ClosedRange<Int>, _ diagnostics: inout Diagnostics) -> Int? {
        if let text, let value = Int(text), range.contains(value) { return value }
        let one = "\(range.lowerBound)"
        expected(
            range.count == 1 ? one : "a whole number from \(one) to \(range.upperBound)",
            &diagnostics)
        return nil
    }

    public func number(in range: ClosedRange<Double>, _ diagnostics: inout Diagnostics) -> Double? {
        if let text, let value = Double(text), range.contains(value) { return value }
        expected("a number from \(range.lowerBound) to \(range.upperBound)", &diagnostics)
        return nil
    }

    public func boolean(_ diagnostics: inout Diagnostics) -> Bool? {
        switch text {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default:
            expected("true or false", &diagnostics)
            return nil
        }
    }

    /// A length of time with its unit: `500ms`, `10s`, `5m`, `2h`, `1d`, or several as `1m30s`.
    public func duration(
        in range: ClosedRange<Duration>, _ diagnostics: inout Diagnostics
    ) -> Duration? {
        guard let text, let value = parseDuration(text) else {
            expected("a duration with its unit, as 500ms, 10s, 5m or 1m30s", &diagnostics)
            return nil
        }
        guard range.contains(value) else {
            expected(
                "a duration from \(durationText(range.lowerBound)) to \(durationText(range.upperBound))",
                &diagnostics)
            return nil
        }
        return value
    }

    /// One duration, or two with "-" between: `30s`, `10s-1m`. One stands for both ends.
    public func durationRange(
        in range: ClosedRange<Duration>, _ diagnostics: inout Diagnostics
    ) -> ClosedRange<Duration>? {
        let words = text?.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let ends = (words ?? []).compactMap { parseDuration(String($0)) }
        guard let lower = ends.first, let upper = ends.last, ends.count == words?.count else {
            expected("a duration with its unit, as 30s, or two as 10s-60s", &diagnostics)
            return nil
        }
        guard range.contains(lower), range.contains(upper) else {
            expected(
                "durations from \(durationText(range.lowerBound)) to \(durationText(range.upperBound))",
                &diagnostics)
            return nil
        }
        guard lower <= upper else {
            expected("the shorter duration first, as 10s-60s", &diagnostics)
            return nil
        }
        return lower...upper
    }

    /// One of an enum's words; others are errors with a suggestion.
    public func choice<Choice: RawRepresentable & CaseIterable>(
        _ type: Choice.Type, _ diagnostics: inout Diagnostics
    ) -> Choice? where Choice.RawValue == String {
        if let text, let value = Choice(rawValue: text) { return value }
        let words = Choice.allCases.map(\.rawValue)
        let hint = text.flatMap { closestMatch(to: $0, among: words) }
        expected(
            "one of \(words.joined(separator: ", "))"
                + (hint.map { " (did you mean \($0)?)" } ?? ""),
            &diagnostics)
        return nil
    }
}

// MARK: - Durations

/// Returns the duration that a text such as `1m30s` states; nil without a unit, or out of range.
public func parseDuration(_ text: String) -> Duration? {
    let milliseconds = ["ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
    var rest = text[...]
    var total = 0
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        rest = rest.dropFirst(digits.count)
        let unit = rest.prefix { $0.isLetter }
        rest = rest.dropFirst(unit.count)
        guard digits.count <= 9, let count = Int(digits), let scale = milliseconds[String(unit)]
        else { return nil }
        // One count fits whatever its unit; many may not.
        let (sum, overflow) = total.addingReportingOverflow(count * scale)
        guard !overflow else { return nil }
        total = sum
    }
    return .milliseconds(total)
}

/// Returns a duration as `parseDuration` reads it, with the largest units first: `1m30s`.
public func durationText(_ duration: Duration) -> String {
    var rest =
        duration.components.seconds * 1_000
        + duration.components.attoseconds / 1_000_000_000_000_000
    guard rest > 0 else { return "0s" }
    var text = ""
    for (unit, scale) in [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1),
    ]
        as [(String, Int64)]
    where rest >= scale {
        text += "\(rest / scale)\(unit)"
        rest %= scale
    }
    return text
}
