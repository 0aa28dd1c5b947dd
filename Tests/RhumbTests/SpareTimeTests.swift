// Work that has only the time that others leave.

import Glibc
import Testing

@testable import rhumb

@Suite struct SpareTimeTests {
    /// SCHED_IDLE of <linux/sched.h>, which Swift does not see.
    private let idleClass: Int32 = 5

    @Test func onlyItsOwnThreadGivesWayToAllOthers() async throws {
        for _ in 0..<2 {
            #expect(try await SpareTime.run { classOfThisThread() } == idleClass)
        }
        #expect(classOfThisThread() != idleClass)
        #expect(await Task.detached { classOfThisThread() }.value != idleClass)
    }

    /// Threads that tasks run on end after some seconds without tasks, and are made anew by whoever
    /// resumes one.
    @Test(.timeLimit(.minutes(2))) func whatGoesOnAfterwardsIsAnEqualAgain() async throws {
        _ = try await SpareTime.run { usleep(6_000_000) }
        #expect(classOfThisThread() != idleClass)
        let others = await withTaskGroup(of: Int32.self) { group in
            for _ in 0..<16 { group.addTask { classOfThisThread() } }
            return await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(!others.contains(idleClass))
    }

    @Test func errorsComeThrough() async {
        struct Fault: Error {}
        await #expect(throws: Fault.self) { try await SpareTime.run { throw Fault() } }
    }
}

private func classOfThisThread() -> Int32 { sched_getscheduler(0) }
