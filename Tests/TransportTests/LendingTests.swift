// When a worker without rest pauses for whoever makes the next snapshot.

import Testing

@testable import Transport

@Suite struct LendingTests {
    @Test func aPauseIsDueOnceInSoManyFullBatches() {
        var lending = Lending()
        let due = (1...4 * Lending.batches).filter { _ in lending.isDue(afterFullBatch: true) }
        #expect(due == (1...4).map { $0 * Lending.batches })
    }

    @Test func aWorkerThatHasRestDoesNotPause() {
        var lending = Lending()
        #expect(!(1...1_000).contains { _ in lending.isDue(afterFullBatch: false) })
    }
}
