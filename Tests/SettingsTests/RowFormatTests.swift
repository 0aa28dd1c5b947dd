// Files of rows, as all commands that take one read them.

import Glibc
import Settings
import Testing

@Suite("Files of rows") struct RowFormatTests {
    private static let format = RowFormat("pair", form: "ONE TWO [THREE]", example: "a b")

    private static func read(
        _ text: String, atMost limit: Int = RowFormat.maximumCount
    ) -> (rows: [[String]], faults: [String]) {
        var diagnostics = Diagnostics()
        let rows = format.read(text, file: "f", atMost: limit, &diagnostics) { row, diagnostics in
            for (index, word) in row.words.enumerated() where word == "bad" {
                diagnostics.error(at: row.position(of: index), "bad")
                return [String]?.none
            }
            return row.words.map(String.init)
        }
        return (rows, diagnostics.sorted.map(\.description))
    }

    @Test(
        "a row has its words, whatever ends it and whatever is said about it",
        arguments: [
            ("a b", [["a", "b"]]), ("a b\n\n c\td e \n", [["a", "b"], ["c", "d", "e"]]),
            ("a b\r\nc d\r\n", [["a", "b"], ["c", "d"]]), ("a b\rc d", [["a", "b"], ["c", "d"]]),
            ("# all\na b#c\n; all\nc d;e", [["a", "b"], ["c", "d"]]),
            ("\u{FEFF}a b", [["a", "b"]]), ("a b\n\n\n", [["a", "b"]]),
            // A character of its own to Unicode, but an octet that begins a comment.
            ("a b #\u{20E3} c d", [["a", "b"]]), ("a b\\059c", [["a", "b\\059c"]]),
        ])
    func reads(text: String, rows: [[String]]) {
        let read = Self.read(text)
        #expect(read.rows == rows)
        #expect(read.faults == [])
    }

    @Test(
        "a fault has its place and the words that are there, or are not",
        arguments: [
            ("a b\r\n\r\n  a", "f:3:3: error: TWO is missing; a pair is ONE TWO [THREE], as a b"),
            ("a b c dé", "f:1:7: error: \"dé\" is too much; a pair is ONE TWO [THREE], as a b"),
            ("a\té bad", "f:1:6: error: bad"), ("\u{FEFF}bad b", "f:1:1: error: bad"),
            ("", "f: error: no pairs in it; write one a line, as a b"),
            ("# a b\n\n", "f: error: no pairs in it; write one a line, as a b"),
        ])
    func faults(text: String, fault: String) {
        #expect(Self.read(text).faults == [fault])
    }

    @Test("every fault is told, and the rows without one are there")
    func all() {
        let read = Self.read("a b\nbad b\na\nc d\n")
        #expect(read.rows == [["a", "b"], ["c", "d"]])
        #expect(read.faults.map { $0.prefix(6) } == ["f:2:1:", "f:3:1:"])
    }

    @Test("one row more than there may be is a fault, also where the rows have faults")
    func limit() {
        for text in ["a b\nc d\n", "bad b\na b\n"] {
            #expect(!Self.read(text, atMost: 2).faults.joined().contains("more than"))
            let read = Self.read(text + "# none\ne f\ng h\n", atMost: 2)
            #expect(read.faults.last == "f:4:1: error: more than 2 pairs; leave some out")
            #expect(!read.rows.contains(["e", "f"]))
        }
    }
}

@Suite("Input") struct InputTests {
    @Test("what is no file to read is told in the system's words")
    func faults() {
        let missing = #expect(throws: FileError.self) {
            try readInput(path: "/nowhere/at/all", limit: 1)
        }
        #expect(missing?.isMissing == true)
        #expect(throws: FileError(explanation: "is a directory")) {
            try readInput(path: "/", limit: 1)
        }
    }

    @Test("what comes through a pipe is read to its end")
    func pipes() throws {
        var ends: [Int32] = [0, 0]
        // Safe: room for two descriptors.
        try #require(unsafe pipe(&ends) == 0)
        let text = [UInt8]("a b\n".utf8)
        // Safe: the array's octets.
        try #require(unsafe write(ends[1], text, text.count) == text.count)
        close(ends[1])
        defer { close(ends[0]) }
        #expect(try readInput(path: "/dev/fd/\(ends[0])", limit: 100) == text)
    }

    @Test("what is longer than it may be is refused, endless or not")
    func endless() throws {
        #expect(throws: FileError(explanation: "it has more than 100000 octets, the limit")) {
            try readInput(path: "/dev/zero", limit: 100_000)
        }
        #expect(try readInput(path: "/dev/null", limit: 0) == [])
    }
}
