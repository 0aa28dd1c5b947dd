// When a worker pauses for whoever makes the next snapshot.

import Testing

@testable import Transport

@Suite struct LendingTests {
    /// Pieces of work, each with a wait as long before it; returns after which of them a pause is due.
    private func due(_ count: Int, of nanoseconds: UInt64, _ lending: inout Lending) -> [Int] {
        (1...count).filter { index in
            let end = UInt64(index) * nanoseconds * 2
            lending.begin(at: end - nanoseconds)
            return lending.isDue(at: end)
        }
    }

    @Test(
        "a pause is due after so much work, whatever the waits between",
        arguments: [(1, 4), (2, 2), (3, 2), (4, 1), (9, 1)])
    func afterWork(quarters: UInt64, pieces: Int) {
        var lending = Lending()
        let due = due(4 * pieces, of: Lending.workNanoseconds / 4 * quarters, &lending)
        #expect(due == (1...4).map { $0 * pieces })
    }

    @Test("nobody pauses while no snapshot is being made")
    func nobodyWaits() {
        var lending = Lending()
        lending.begin(at: nil)
        var isDue = lending.isDue(at: 100 * Lending.workNanoseconds)
        #expect(!isDue)
        // Nor does what was done meanwhile count later.
        lending.begin(at: 200 * Lending.workNanoseconds)
        isDue = lending.isDue(at: 200 * Lending.workNanoseconds + 1)
        #expect(!isDue)
    }
}
