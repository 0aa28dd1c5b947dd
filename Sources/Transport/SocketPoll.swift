// What tells the TCP thread which of its sockets has something to do: epoll, and the pipe that asks
// it to stop.

import CLinux
import Glibc
import Synchronization

/// The sockets that a thread waits for, each told by a tag.
final class SocketPoll: Sendable {
    /// Events taken from the kernel at a time.
    static let eventLimit = Int(CLN_POLL_LIMIT)

    private let descriptor: Int32

    /// Nil if the system refuses, with the reason in errno.
    init?() {
        descriptor = cln_poll_create()
        guard descriptor >= 0 else { return nil }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Waits for a socket to be readable or at its end; false if the system refuses.
    func add(_ socket: Int32, tag: UInt64) -> Bool { cln_poll_add(descriptor, socket, tag) == 0 }

    /// Waits for it to take octets, or to be readable again.
    func change(_ socket: Int32, tag: UInt64, toWriting: Bool) {
        cln_poll_change(descriptor, socket, tag, toWriting)
    }

    func remove(_ socket: Int32) { cln_poll_remove(descriptor, socket) }

    /// Waits for events, no longer than that; returns how many tags there are.
    func wait(milliseconds: Int32, _ tags: inout [UInt64]) -> Int {
        // Safe: the kernel writes no more tags than the array has.
        max(0, Int(unsafe cln_poll_wait(descriptor, &tags, UInt32(tags.count), milliseconds)))
    }
}

/// Asks a thread that waits for sockets to end: its reading end is at its end then.
final class StopPipe: Sendable {
    let reader: Int32
    private let writer: Mutex<Int32>

    init() throws(TransportError) {
        var ends: [Int32] = [-1, -1]
        // Safe: the array has room for both.
        guard unsafe pipe(&ends) == 0 else { throw .cannotStartThread(code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        reader = ends[0]
        writer = Mutex(ends[1])
    }

    deinit {
        signal()
        close(reader)
    }

    func signal() {
        writer.withLock { writer in
            if writer >= 0 { close(writer) }
            writer = -1
        }
    }
}
