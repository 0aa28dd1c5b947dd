// A load over TCP (RFC 7766): one connection at a time, so many queries written at once and their
// answers read, in whatever order they come (section 7); closed in order after as many as the plan says.

import DNSWire
import Glibc

/// One run.
struct TCPLoad: ~Copyable {
    /// As many failures as this in a row end the run: the server is gone.
    private static let failureLimit = 100

    private let plan: LoadPlan
    private let queries: QueryList
    /// When the first query was due.
    private let start = monotonicNanoseconds()
    private var nextQuery = 0
    private var result = LoadResult()
    /// The queries of a round, and how much of them was written.
    private var outgoing: [UInt8] = []
    private var written = 0
    /// What has arrived, and how much of it was looked at.
    private var incoming = [UInt8](repeating: 0, count: 1 << 17)
    private var filled = 0
    /// The queries of the round on its way, by ID; -1 for those answered.
    private var waiting: [Int] = []
    /// Whether the last connection brought all answers to a round of queries.
    private var answeredLast = false

    init(_ plan: LoadPlan, _ queries: QueryList) {
        self.plan = plan
        self.queries = queries
    }

    /// Asks for as long as the plan says and returns the counts; ends with a failure if connections
    /// fail one after the other, or the first can't be had.
    consuming func run(until isStopped: () -> Bool) -> LoadResult {
        let end = start + UInt64(plan.seconds * 1e9)
        var failures = 0
        while monotonicNanoseconds() < end, !isStopped() {
            do {
                try ask(until: { monotonicNanoseconds() >= end || isStopped() })
                failures = 0
            } catch {
                result.failedConnections += 1
                failures = answeredLast ? 0 : failures + 1
                if result.connections > 0, failures < Self.failureLimit { continue }
                result.failure = error
                break
            }
        }
        result.seconds = Double(monotonicNanoseconds() - start) / 1e9
        return result
    }

    /// Asks over one connection until it has had its queries.
    private mutating func ask(until isOver: () -> Bool) throws(LoadError) {
        answeredLast = false
        let began = monotonicNanoseconds()
        let socket = try LoadSocket(plan, isStream: true, after: result.connections)
        result.waited += Double(monotonicNanoseconds() - began) / 1e9
        result.connections += 1
        filled = 0
        var left = plan.queriesPerConnection ?? .max
        while left > 0, !isOver() {
            let count = min(left, plan.inFlight)
            try exchange(count, socket)
            answeredLast = true
            left -= count
        }
    }

    /// Writes so many queries and reads their answers, both as far as they go: a server whose answers
    /// nobody takes reads no more queries, so writing all of them first could wait for ever.
    ///
    /// - Throws: if the connection ends before they are there, or their time is up.
    private mutating func exchange(_ count: Int, _ socket: LoadSocket) throws(LoadError) {
        lay(count)
        let began = monotonicNanoseconds()
        let end = began + UInt64(plan.patienceMilliseconds) * 1_000_000
        result.sent += UInt64(count)
        var left = count
        var fault: Int32?
        while fault == nil, left > 0 {
            fault = write(socket.descriptor)
            if fault == nil { fault = read(socket, until: end) }
            // What comes after its time is not looked at, nor waited for, however much it is.
            if fault == nil, monotonicNanoseconds() >= end { fault = EAGAIN }
            if fault == nil { left -= take(since: began) }
        }
        result.lost += UInt64(left)
        if let fault { throw LoadError("TCP", fault, plan) }
    }

    /// Lays out the next queries, each with its length before it (RFC 1035, section 4.2.2).
    private mutating func lay(_ count: Int) {
        outgoing.removeAll(keepingCapacity: true)
        waiting.removeAll(keepingCapacity: true)
        written = 0
        for id in 0..<count {
            let queries = queries
            let row = queries.rows[nextQuery]
            let message = queries.message(row)
            outgoing.append(UInt8(row.length >> 8))
            outgoing.append(UInt8(truncatingIfNeeded: row.length))
            outgoing.append(UInt8(truncatingIfNeeded: id >> 8))
            outgoing.append(UInt8(truncatingIfNeeded: id))
            for index in 2..<message.count { outgoing.append(message[index]) }
            waiting.append(nextQuery)
            nextQuery = (nextQuery + 1) % queries.count
        }
    }

    /// Writes what the connection takes of the queries; returns the errno if it takes none any more.
    private mutating func write(_ descriptor: Int32) -> Int32? {
        while written < outgoing.count {
            let start = written
            let done = unsafe outgoing.withUnsafeBytes { octets in
                // Safe: from inside the array to its end.
                unsafe Glibc.send(
                    descriptor, octets.baseAddress.map { unsafe $0 + start },
                    octets.count - start, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if done < 0, errno == EAGAIN { return nil }
            guard done > 0 || errno == EINTR else { return errno }
            written += max(0, done)
        }
        return nil
    }

    /// Waits until there is something to read, or room for what is left to write, and reads once;
    /// returns the errno if it can't, 0 at the server's end.
    private mutating func read(_ socket: LoadSocket, until end: UInt64) -> Int32? {
        socket.acknowledgeAtOnce()
        let now = monotonicNanoseconds()
        let milliseconds = end > now ? Int32(clamping: (end - now) / 1_000_000 + 1) : 0
        let events = written < outgoing.count ? POLLIN | POLLOUT : POLLIN
        var wanted = pollfd(fd: socket.descriptor, events: Int16(events), revents: 0)
        // Safe: one descriptor, which lives through the call.
        let ready = unsafe poll(&wanted, 1, milliseconds)
        result.waited += Double(monotonicNanoseconds() - now) / 1e9
        if ready < 0 { return errno == EINTR ? nil : errno }
        // Its time is up, or there is room only.
        guard ready > 0, Int32(wanted.revents) & ~POLLOUT != 0 else { return nil }
        let start = filled
        let got = unsafe incoming.withUnsafeMutableBytes { octets in
            // Safe: from inside the array to its end.
            unsafe recv(
                socket.descriptor, octets.baseAddress.map { unsafe $0 + start },
                octets.count - start, Int32(MSG_DONTWAIT))
        }
        if got > 0 { filled += got }
        if got == 0 { return 0 }
        return got > 0 || errno == EINTR || errno == EAGAIN ? nil : errno
    }

    /// Counts the whole answers that have arrived; returns how many queries they answer.
    private mutating func take(since began: UInt64) -> Int {
        let now = monotonicNanoseconds()
        // Taken out, so that looking at it is no access to the rest of the load.
        var received: [UInt8] = []
        swap(&received, &incoming)
        let queries = queries
        var position = 0
        var completed = 0
        while position + 2 <= filled {
            let length = Int(received.span.uint16(at: position))
            guard position + 2 + length <= filled else { break }
            let answer = received.span.extracting(position + 2..<position + 2 + length)
            position += 2 + length
            let id = length >= 2 ? Int(answer.uint16(at: 0)) : waiting.count
            guard id < waiting.count, waiting[id] >= 0 else {
                result.stray += 1
                continue
            }
            let row = queries.rows[waiting[id]]
            waiting[id] = -1
            completed += 1
            result.count(answer, to: queries.message(row), row, after: now - began)
        }
        if completed > 0 { result.noteAnswer(at: Double(now - start) / 1e9) }
        // What is left is less than one message, which always has room.
        for index in position..<filled { received[index - position] = received[index] }
        filled -= position
        swap(&received, &incoming)
        return completed
    }
}

/// Runs a load; takes as long as the plan says, and as answers to the last queries do.
///
/// Blocks the calling thread, which it keeps busy over UDP. If the server can't be reached, the result
/// says why (`LoadResult.failure`).
///
/// - Parameter isStopped: asked all the time; true ends it before.
public func runLoad(
    _ plan: LoadPlan, _ queries: QueryList, until isStopped: () -> Bool = { false }
) -> LoadResult {
    if plan.overTCP { return TCPLoad(plan, queries).run(until: isStopped) }
    do {
        return try UDPLoad(plan, queries).run(until: isStopped)
    } catch {
        var result = LoadResult()
        result.failure = error
        return result
    }
}
