// docs/lessons.md and docs/protocol.md name what holds them; these tests hold the names.

import Settings
import TestSupport
import Testing

/// The repository's files by their names, with their text.
private let sources: [String: String] = {
    var texts: [String: String] = [:]
    for directory in listFiles("\(root)/Tests") + ["\(root)/scripts"] {
        for path in listFiles(directory) {
            guard let name = path.split(separator: "/").last.map(String.init) else { continue }
            guard let text = try? scenarioText(path) else { continue }
            texts[
                name.hasSuffix(".swift") || name.hasSuffix(".scenario") ? name : "scripts/\(name)"] =
                text
        }
    }
    return texts
}()

private let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

/// A row of a table of lessons.
struct LessonRow: Sendable {
    let number: String
    /// The last cell.
    let held: Substring

    /// `FILE`: "text", "text"; …
    var references: [(file: String, text: String)] {
        var references: [(String, String)] = []
        var file = ""
        for (index, part) in held.split(separator: "`", omittingEmptySubsequences: false)
            .enumerated()
        {
            if index.isMultiple(of: 2) {
                let quoted = part.split(separator: "\"", omittingEmptySubsequences: false)
                for (index, text) in quoted.enumerated() where !index.isMultiple(of: 2) {
                    references.append((file, String(text)))
                }
            } else {
                file = String(part)
            }
        }
        return references
    }

    static let all: [LessonRow] = {
        let text = (try? scenarioText("\(root)/docs/lessons.md")) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|").filter { $0 != " " }
            guard line.hasPrefix("| L"), cells.count == 4 else { return nil }
            return LessonRow(number: cells[0].filter { $0 != " " }, held: cells[3])
        }
    }()
}

@Suite struct LessonsTests {
    @Test("there are 44 lessons, each once and in order")
    func complete() {
        #expect(LessonRow.all.map(\.number) == (1...44).map { "L\($0)" })
    }

    @Test("every test that a lesson names exists, and no lesson is without one or a reason")
    func named() {
        for row in LessonRow.all {
            let references = row.references
            let reasons = ["does not apply", "waits for"]
            #expect(
                !references.isEmpty || reasons.contains { row.held.contains($0) }, "\(row.number)")
            for (file, text) in references {
                let source = sources[file]
                #expect(source != nil, "\(row.number): there is no \(file)")
                // A quoted text is a test's name or a row's, so quoted there, too; or a comment, which
                // begins with the lesson's number where it has one: L1 is not L17.
                let isThere =
                    file.hasSuffix(".swift")
                    ? "\"\(text)\"" : file == "lessons.scenario" ? "; \(text):" : text
                #expect(
                    source?.contains(isThere) ?? true, "\(row.number): \(file) has no \(isThere)")
            }
        }
    }

    @Test("every scenario of a lesson is in the table")
    func scenarios() throws {
        let text = try #require(sources["lessons.scenario"])
        let numbers = text.split(separator: "\n").filter { $0.hasPrefix("; L") }
            .compactMap { $0.dropFirst(2).split(separator: ":").first.map(String.init) }
        #expect(numbers.count > 5)
        for number in numbers {
            let row = LessonRow.all.first { $0.number == number }
            #expect(
                row?.references.contains { $0 == ("lessons.scenario", number) } == true, "\(number)"
            )
        }
    }
}
