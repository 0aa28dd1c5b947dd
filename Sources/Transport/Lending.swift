// Time that a worker leaves to others. Whoever makes the next snapshot has only what nobody else wants
// (SCHED_IDLE), and where queries never end that is next to nothing.

import Glibc

/// When a worker pauses for the sake of a snapshot that is being made.
///
/// A pause is short, as queries wait meanwhile, and one in some 2 ms of work, so that the thread that
/// waits has 5 to 10 % of a core: a server under attack can be reloaded. Who has little to do pauses
/// rarely, and after its work, when mostly nobody asks.
///
/// Every worker does so, though there is one thread that waits: it waits on the core of one of them, and a
/// rest this short is often not worth to the kernel what it costs to fetch a thread from another core.
/// A worker can't know on which it is. What a pause leaves goes to whoever else is ready before it:
/// beside another flooded worker, or another program, on the same core it is no help.
struct Lending {
    /// Work between two pauses.
    static let workNanoseconds: UInt64 = 2_000_000
    /// The kernel adds its slack, 50 µs (PR_SET_TIMERSLACK).
    private static let pauseMicroseconds: UInt32 = 100

    private var work: UInt64 = 0
    /// Since when there is work that is not counted yet; nil while nobody waits for time.
    private var start: UInt64?

    /// Work begins, after a wait. The clock is asked only while a snapshot is being made.
    mutating func begin(isPreparing: Bool) {
        begin(at: isPreparing ? preciseNanoseconds() : nil)
    }

    mutating func begin(at time: UInt64?) { start = time }

    /// After a piece of work.
    mutating func pauseIfDue() {
        guard start != nil, isDue(at: preciseNanoseconds()) else { return }
        usleep(Self.pauseMicroseconds)
        start = preciseNanoseconds()
    }

    /// Counts the work done until then, and says whether a pause is due.
    mutating func isDue(at time: UInt64) -> Bool {
        guard let start else { return false }
        work += time - start
        self.start = time
        guard work >= Self.workNanoseconds else { return false }
        work = 0
        return true
    }
}

/// Nanoseconds of a clock that only goes forward.
private func preciseNanoseconds() -> UInt64 {
    var time = timespec()
    // Safe: `time` outlives the call.
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
