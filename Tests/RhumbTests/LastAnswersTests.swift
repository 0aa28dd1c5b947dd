import Authority
import Steering
import TestSupport
import Testing

@testable import Health
@testable import rhumb

/// When it is safe to stop what operators took out, from what was answered: seconds after the beginning.
struct LastAnswersTests {
    /// Pools `a` and `b` behind one name, with a TTL.
    private func content(ttl: Int, pools: [String] = ["a", "b"]) throws -> Content {
        let origins = zip(pools, 1...).map { pool, number in
            "\(pool): { origins: { o: { addresses: [192.0.2.\(number)] } } }"
        }
        return try TestContent(
            zones: [
                (
                    "example.",
                    "@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.53\nwww \(ttl) STEER web\n"
                )
            ],
            pools: """
                pools: { \(origins.joined(separator: ", ")) }
                services: { web: { rules: [{ pools: [\(pools.joined(separator: ", "))] }] } }
                """
        ).content
    }

    /// What happens at a moment: content, and which of the origins in order are drained.
    private func note(
        _ answers: inout LastAnswers, _ content: Content, drained: [Int] = [], at second: Int
    ) {
        var health = HealthTable(count: content.steering.addresses.count, verdict: .up)
        for index in drained { health.override(index, with: .drained) }
        answers.note(Snapshot(content: content, health: health), at: time(second))
    }

    private func time(_ second: Int) -> Timestamp {
        Timestamp(nanoseconds: Int64(second) * 1_000_000_000)
    }

    private let first = "a/o/192.0.2.1"
    private let second = "b/o/192.0.2.2"

    private func end(_ second: Int, ttl: UInt32) -> LastAnswers.End {
        LastAnswers.End(ttl: ttl, at: time(second - Int(ttl) - 1))
    }

    @Test("what is drained is safe a TTL after, and stays so while words on it are repeated")
    func plain() throws {
        let content = try content(ttl: 60)
        var answers = LastAnswers()
        note(&answers, content, at: 0)
        #expect(answers.end(of: first) == nil)
        note(&answers, content, drained: [0], at: 100)
        #expect(answers.end(of: first) == end(161, ttl: 60))
        let version = answers.version
        note(&answers, content, drained: [0], at: 150)
        #expect(answers.end(of: first) == end(161, ttl: 60) && answers.version == version)
        note(&answers, content, at: 200)
        #expect(answers.end(of: first) == nil && answers.version > version)
    }

    @Test("what had to answer although it was drained is safe a TTL after its last answer")
    func forced() throws {
        let content = try content(ttl: 60)
        var answers = LastAnswers()
        note(&answers, content, at: 0)
        note(&answers, content, drained: [0], at: 10)
        note(&answers, content, drained: [0, 1], at: 100)
        #expect(answers.end(of: first) == nil, "it answers again")
        note(&answers, content, drained: [0], at: 200)
        #expect(answers.end(of: first) == end(261, ttl: 60))
    }

    @Test(
        "a reload that made the TTL shorter leaves the older answers their time",
        arguments: [["a", "b"], ["renamed", "b"]])
    func shorter(pools: [String]) throws {
        let new = try content(ttl: 5, pools: pools)
        var answers = LastAnswers()
        note(&answers, try content(ttl: 60), at: 0)
        note(&answers, new, at: 100)
        note(&answers, new, drained: [0], at: 110)
        #expect(answers.end(of: "\(pools[0])/o/192.0.2.1") == end(161, ttl: 60))
        note(&answers, new, at: 170)
        note(&answers, new, drained: [0], at: 180)
        #expect(answers.end(of: "\(pools[0])/o/192.0.2.1") == end(186, ttl: 5))
    }

    @Test("a restart forgets neither what was safe nor longer TTLs nor what had to answer")
    func restart() throws {
        let old = try content(ttl: 60)
        var before = LastAnswers()
        note(&before, old, at: 0)
        note(&before, old, drained: [0], at: 10)
        let kept = try decodeFile(LastAnswers.Kept.self, encodeFile(before.forLater))

        let new = try content(ttl: 5)
        var after = LastAnswers()
        after.restore(kept, at: time(1_000))
        note(&after, new, drained: [0], at: 1_001)
        #expect(after.end(of: first) == end(71, ttl: 60), "drained long before")
        note(&after, new, drained: [0, 1], at: 1_010)
        note(&after, new, drained: [1], at: 1_020)
        #expect(after.end(of: second) == end(1_061, ttl: 60), "answered before, for longer")

        // It had to answer when the server ended, and need not any more.
        note(&before, old, drained: [0, 1], at: 20)
        var later = LastAnswers()
        later.restore(before.forLater, at: time(1_000))
        note(&later, new, drained: [0], at: 1_001)
        #expect(later.end(of: first) == end(1_061, ttl: 60))
    }

    @Test("two restarts in a row keep the longest of what may still be known")
    func restarts() throws {
        var first = LastAnswers()
        note(&first, try content(ttl: 600), at: 0)
        var second = LastAnswers()
        second.restore(first.forLater, at: time(10))
        note(&second, try content(ttl: 5), at: 11)
        var third = LastAnswers()
        third.restore(second.forLater, at: time(20))
        let content = try content(ttl: 5)
        note(&third, content, at: 21)
        note(&third, content, drained: [0], at: 30)
        #expect(third.end(of: self.first) == end(611, ttl: 600))
    }
}
