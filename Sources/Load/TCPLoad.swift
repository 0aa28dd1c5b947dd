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
    private var nextQuery = 0
    private var result = LoadResult()
    private var outgoing: [UInt8] = []
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

    /// Asks for as long as the plan says and returns the counts.
    ///
    /// - Throws: if connections fail one after the other, while nothing has been answered.
    consuming func run(until isStopped: () -> Bool) throws(LoadError) -> LoadResult {
        let start = monotonicNanoseconds()
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
                guard result.answered > 0 else { throw error }
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
        let socket = try LoadSocket(plan, isStream: true, after: result.connections)
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

    /// Writes so many queries and reads their answers.
    ///
    /// - Throws: if the connection ends before they are there, or their time is up.
    private mutating func exchange(_ count: Int, _ socket: LoadSocket) throws(LoadError) {
        outgoing.removeAll(keepingCapacity: true)
        waiting.removeAll(keepingCapacity: true)
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
        let start = monotonicNanoseconds()
        let end = start + UInt64(plan.patienceMilliseconds) * 1_000_000
        result.sent += UInt64(count)
        var left = count
        // What comes after its time is not looked at, nor waited for, however much it is.
        var fault = write(socket.descriptor)
        while fault == nil, left > 0 {
            fault = read(socket)
            if fault == nil, monotonicNanoseconds() >= end { fault = EAGAIN }
            if fault == nil { left -= take(since: start) }
        }
        result.lost += UInt64(left)
        if let fault { throw LoadError("TCP", fault, plan) }
    }

    /// Writes all queries; returns the errno if it can't.
    private func write(_ descriptor: Int32) -> Int32? {
        var written = 0
        while written < outgoing.count {
            let done = unsafe outgoing.withUnsafeBytes { octets in
                // Safe: from inside the array to its end.
                unsafe Glibc.send(
                    descriptor, octets.baseAddress.map { unsafe $0 + written },
                    octets.count - written, Int32(MSG_NOSIGNAL))
            }
            guard done > 0 || errno == EINTR else { return errno }
            written += max(0, done)
        }
        return nil
    }

    /// Reads once; returns the errno if it can't, 0 at the server's end.
    private mutating func read(_ socket: LoadSocket) -> Int32? {
        socket.acknowledgeAtOnce()
        let start = filled
        let got = unsafe incoming.withUnsafeMutableBytes { octets in
            // Safe: from inside the array to its end.
            unsafe recv(
                socket.descriptor, octets.baseAddress.map { unsafe $0 + start },
                octets.count - start, 0)
        }
        if got > 0 { filled += got }
        if got == 0 { return 0 }
        return got > 0 || errno == EINTR ? nil : errno
    }

    /// Counts the whole answers that have arrived; returns how many queries they answer.
    private mutating func take(since start: UInt64) -> Int {
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
            result.count(answer, to: queries.message(row), row, after: now - start)
        }
        // What is left is less than one message, which always has room.
        for index in position..<filled { received[index - position] = received[index] }
        filled -= position
        swap(&received, &incoming)
        return completed
    }
}

/// Runs a load; takes as long as the plan says, and as answers to the last queries do.
///
/// Blocks the calling thread, which it keeps busy over UDP.
///
/// - Parameter isStopped: asked all the time; true ends it before.
/// - Throws: if the server can't be reached.
public func runLoad(
    _ plan: LoadPlan, _ queries: QueryList, until isStopped: () -> Bool = { false }
) throws(LoadError) -> LoadResult {
    if plan.overTCP { return try TCPLoad(plan, queries).run(until: isStopped) }
    return try UDPLoad(plan, queries).run(until: isStopped)
}
