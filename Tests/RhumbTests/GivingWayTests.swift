// Work that takes long beside threads that want its core.

import Foundation
import Synchronization
import Testing

@testable import rhumb

@Suite struct GivingWayTests {
    @Test func workIsDoneInShortTurnsWhereCoresAreWanted() throws {
        // Two for each core, so that somebody waits wherever this thread is.
        let ended = Flag()
        for _ in 0..<2 * ProcessInfo.processInfo.activeProcessorCount {
            Thread.detachNewThread { while !ended.isSet {} }
        }
        defer { ended.set() }
        let (turns, seconds) = try givingWay {
            Result {
                let (switches, began) = (try switchesOfThisThread(), cpuSeconds())
                while cpuSeconds() < began + 0.1 {}
                return (try switchesOfThisThread() - switches, cpuSeconds() - began)
            }
        }.get()
        // Without giving way it is a tick of the scheduler, 1 ms to 10 ms, or some of them.
        #expect(seconds / Double(max(1, turns)) < 0.001, "\(turns) turns in \(seconds) s")
    }

    /// How often this thread left a core to another one that wanted it.
    private func switchesOfThisThread() throws -> Int {
        let status = try String(contentsOfFile: "/proc/thread-self/status", encoding: .utf8)
        let key = "nonvoluntary_ctxt_switches:"
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix(key) })
        return try #require(
            Int(line.dropFirst(key.count).trimmingCharacters(in: .whitespaces)))
    }

    private func cpuSeconds() -> Double {
        var time = timespec()
        // Safe: the kernel writes one structure.
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
