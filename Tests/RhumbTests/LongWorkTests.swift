// That it is said of work that takes long, and of no other.

import Synchronization
import Testing

@testable import rhumb

@Suite struct LongWorkTests {
    @Test("work that takes long is told of, each time after twice as long", .timeLimit(.minutes(1)))
    func doubling() async {
        let (told, tell) = AsyncStream.makeStream(of: Duration.self)
        let words = await withWord(after: .milliseconds(1)) {
            tell.yield($0)
        } _: {
            var words: [Duration] = []
            for await word in told {
                words.append(word)
                if words.count == 4 { break }
            }
            return words
        }
        #expect(words == [1, 2, 4, 8].map { .milliseconds($0) })
    }

    @Test("nothing is told of work that is done before, nor after its end")
    func short() async {
        let count = Mutex(0)
        let value = await withWord(after: .seconds(3_600)) { _ in
            count.withLock { $0 += 1 }
        } _: {
            7
        }
        #expect(value == 7 && count.withLock { $0 } == 0)
    }
}
