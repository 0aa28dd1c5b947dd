import Foundation
import Settings
import Testing

@testable import rhumb

@Suite("the state directory")
struct StateDirectoryTests {
    private let place = NSTemporaryDirectory() + "rhumb-state-\(UUID().uuidString)"

    private func withPlace(_ body: (String) throws -> Void) throws {
        defer { try? FileManager.default.removeItem(atPath: place) }
        try body(place)
    }

    private func failure(_ path: String) -> StateDirectory.Failure? {
        do throws(StateDirectory.Failure) {
            _ = try StateDirectory(path)
            return nil
        } catch {
            return error
        }
    }

    @Test("what is written is read, the last one counts, and nothing else is left there")
    func writing() throws {
        try withPlace { place in
            let state = try StateDirectory(place)
            #expect(try state.read("x.json", limit: 10) == nil)
            try state.write(Array("one".utf8), to: "x.json")
            try state.write(Array("two".utf8), to: "x.json")
            #expect(try state.read("x.json", limit: 10) == Array("two".utf8))
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: place).sorted() == [
                    "lock", "x.json",
                ])
            #expect(throws: StateError.self) { try state.read("x.json", limit: 2) }
            state.setAside("x.json")
            #expect(try state.read("x.json.bad", limit: 10) == Array("two".utf8))
        }
    }

    @Test("one server has it, and the next one when that has gone")
    func locked() throws {
        try withPlace { place in
            do {
                let state = try StateDirectory(place)
                guard case .inUse(let words) = failure(place) else {
                    Issue.record("two servers have it")
                    return
                }
                #expect(words.contains("in use by another server (process \(processNumber()))"))
                withExtendedLifetime(state) {}
            }
            #expect(failure(place) == nil)
        }
    }

    @Test("a place that can't be made or written is told of, with the system's words")
    func unusable() throws {
        try withPlace { place in
            guard case .unusable(let words) = failure(place + "/no/such") else {
                Issue.record("it was made")
                return
            }
            #expect(words.contains("cannot be made: No such file or directory"))
            try Data().write(to: URL(fileURLWithPath: place))
            guard case .unusable(let words) = failure(place) else {
                Issue.record("a file is no directory")
                return
            }
            #expect(words.contains("Not a directory"))
        }
    }
}
