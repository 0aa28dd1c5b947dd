// Time that a worker leaves to others. Whoever makes the next snapshot has only what nobody else wants
// (SCHED_IDLE), and where queries never end that is next to nothing.

import Glibc

/// When a worker without rest pauses for the sake of a snapshot that is being made.
///
/// A pause is short, as queries wait meanwhile, and one in some 2 ms of answering, so that the thread
/// that waits has 5 to 10 % of a core: a server under attack can be reloaded.
struct Lending {
    /// Batches between two pauses, of as many queries as a batch holds: 1.5 ms to 2 ms.
    static let batches = 16
    /// The kernel adds its slack, 50 µs (PR_SET_TIMERSLACK).
    private static let pauseMicroseconds: UInt32 = 100

    private var fullBatches = 0

    /// Counts a batch, and says whether a pause is due. A batch that is not full is the last before a
    /// wait, mostly, and then there is time to spare.
    mutating func isDue(afterFullBatch isFull: Bool) -> Bool {
        fullBatches += isFull ? 1 : 0
        guard fullBatches >= Self.batches else { return false }
        fullBatches = 0
        return true
    }

    static func pause() { usleep(pauseMicroseconds) }
}
