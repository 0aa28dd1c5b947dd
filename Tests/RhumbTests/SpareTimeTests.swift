// Work that has only the time that others leave.

import Glibc
import Testing

@testable import rhumb

@Suite struct SpareTimeTests {
    /// SCHED_IDLE of <linux/sched.h>, which Swift does not see.
    private let idleClass: Int32 = 5

    @Test func onlyItsOwnThreadGivesWayToAllOthers() async throws {
        for _ in 0..<2 {
            #expect(try await SpareTime.run { sched_getscheduler(0) } == idleClass)
        }
        #expect(sched_getscheduler(0) != idleClass)
        #expect(await Task.detached { sched_getscheduler(0) }.value != idleClass)
    }

    @Test func errorsComeThrough() async {
        struct Fault: Error {}
        await #expect(throws: Fault.self) { try await SpareTime.run { throw Fault() } }
    }
}
