// What takes seconds of CPU beside threads that answer: a reload reads and compiles what is new. As an
// equal it would have the core for a tick of the scheduler, 4 ms, whenever it is its turn.

import CLinux
import NIOPosix

/// A thread for work that has only what others leave.
///
/// Whoever wakes up has the core at once. Where there is nothing left because all cores answer, workers
/// leave it some of their time (`SnapshotPublisher.isPreparing`).
enum SpareTime {
    /// One thread, as a thread of this kind stays of this kind.
    private static let pool: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        return pool
    }()

    /// Does work that may block and take long.
    ///
    /// - Throws: what the work throws; `CancellationError`.
    static func run<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await pool.runIfActive {
            cln_use_spare_time()
            return try work()
        }
    }
}
