// What takes seconds of CPU beside threads that answer: a reload reads and compiles what is new. As an
// equal it would have the core for a tick of the scheduler, 4 ms, whenever it is its turn.

import CLinux
import NIOPosix

/// A thread for work that has only what others leave.
///
/// Whoever wakes up has the core at once. Where there is nearly nothing left because all cores answer, workers
/// leave it some of their time (`SnapshotPublisher.isPreparing`).
enum SpareTime {
    /// What to tell operators where the system lets its thread have no class of its own; nil where it does.
    static func refusal() async -> String? {
        guard let result = try? await run({ cln_use_spare_time() }), result < 0 else { return nil }
        return
            "reloads will compete with answering for the processors, as the system refuses their thread "
            + "the idle class (sched_setscheduler: \(systemMessage(-result))); allow that call where calls "
            + "are filtered (SystemCallFilter= of the systemd unit, seccomp profile of the container), "
            + "then restart"
    }

    /// Does work that may block and take long, on a thread of its own.
    ///
    /// That ends with it: a thread of this kind stays of this kind, one that waited for more work would need
    /// time to end, and a process ends with its last thread.
    ///
    /// Threads are of the class of the one that makes them (sched(7)), and whoever resumes a task may make one: so
    /// that is left to a thread that is there.
    ///
    /// - Throws: what the work throws.
    static func run<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let other = NIOThreadPool.singleton
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        return try await withCheckedThrowingContinuation { continuation in
            pool.submit { _ in
                _ = cln_use_spare_time()
                let result = Result { try work() }
                other.submit { _ in
                    pool.shutdownGracefully { _ in }
                    continuation.resume(with: result)
                }
            }
        }
    }
}
