// A load over UDP, from one thread: a closed loop that keeps so many queries on their way, or an open
// one that sends each when it is due. It never sleeps, so that no answer waits for it; the latencies
// of an open loop count from when a query was due, so that a stall shows in all that it held up.

import CLinux
import DNSWire
import Glibc

/// One run.
struct UDPLoad: ~Copyable {
    /// What is sent so many nanoseconds after it was due is late.
    private static let lateness = UInt64(LoadResult.lateMilliseconds) * 1_000_000

    private let plan: LoadPlan
    private let patience: UInt64
    private let queries: QueryList
    private var flows: [Flow] = []
    private var nextQuery = 0
    /// What the kernel said last instead of taking or giving datagrams; 0 for nothing.
    private var refusal: Int32 = 0
    /// Open loop: when last no socket had a free ID; what was due by then was held up.
    private var crowdedAt = 0.0

    init(_ plan: LoadPlan, _ queries: QueryList) throws(LoadError) {
        self.plan = plan
        self.queries = queries
        patience = UInt64(plan.patienceMilliseconds) * 1_000_000
        for share in plan.shares {
            flows.append(Flow(try LoadSocket(plan, isStream: false), share))
        }
    }

    /// Sends for as long as the plan says, waits for what is still on its way, and returns the counts;
    /// ends at once, with a failure, if nothing listens there and nothing has been answered.
    consuming func run(until isStopped: () -> Bool) -> LoadResult {
        var batch = LoadBatch()
        var result = LoadResult()
        let start = monotonicNanoseconds()
        var end = start + UInt64(plan.seconds * 1e9)
        var schedule = plan.rate.map { Schedule(start: start, rate: $0, seconds: plan.seconds) }
        var turn = 0
        var last = start
        while true {
            let now = monotonicNanoseconds()
            if now < end, isStopped() {
                end = now
                schedule?.end(at: Double(now))
            }
            // An open loop still sends what was due before the end, unless it would be late.
            let isOver =
                schedule.map { $0.left == 0 || now >= end + Self.lateness } ?? true && now >= end
            if isOver, flows.allSatisfy({ $0.outstanding == 0 }) { break }
            let flow = flows[turn]
            turn = turn + 1 == flows.count ? 0 : turn + 1
            let answered = result.answered
            let arrived = flow.outstanding > 0 ? receive(flow, &batch, &result) : 0
            if arrived > 0 { last = monotonicNanoseconds() }
            if result.answered > answered { result.noteAnswer(at: Double(last - start) / 1e9) }
            result.lost += flow.expire(before: now < patience ? 0 : now - patience)
            if !isOver {
                if var current = schedule {
                    sendDue(&current, on: flow, &batch, &result, at: now)
                    schedule = current
                } else {
                    result.turns += 1
                    if arrived == 0, flow.outstanding == flow.share { result.idleTurns += 1 }
                    result.sent += UInt64(
                        send(
                            on: flow, &batch, atMost: flow.share - flow.outstanding,
                            due: Double(now), step: 0, at: now))
                }
            }
            if refusal != 0 {
                guard result.answered > 0 else {
                    result.failure = LoadError("UDP", refusal, plan)
                    end = now
                    schedule = nil
                    break
                }
                result.unreachable += 1
                result.unreachableReason = systemMessage(refusal)
                refusal = 0
            }
        }
        if let schedule {
            result.unsent += UInt64(schedule.left)
            result.held += UInt64(schedule.count(at: crowdedAt))
        }
        for flow in flows {
            result.lost += UInt64(flow.outstanding)
            result.dropped += flow.socket.dropped
        }
        result.seconds = Double(max(last, end) - start) / 1e9
        return result
    }

    /// Open loop: sends what is due, up to a batch.
    private mutating func sendDue(
        _ schedule: inout Schedule, on flow: Flow, _ batch: inout LoadBatch,
        _ result: inout LoadResult, at now: UInt64
    ) {
        if flow.outstanding >= plan.window,
            flows.allSatisfy({ $0.outstanding >= plan.window })
        {
            crowdedAt = Double(now)
        }
        // What waited for longer than answers are waited for is of another rate.
        let heldBefore = schedule.count(at: crowdedAt)
        let givenUp = schedule.giveUp(before: Double(now) - Double(patience))
        result.unsent += UInt64(givenUp)
        result.held += UInt64(min(givenUp, heldBefore))
        let sent = send(
            on: flow, &batch, atMost: schedule.count(at: Double(now)), due: schedule.due,
            step: schedule.step, at: now)
        result.sent += UInt64(sent)
        let late = min(sent, schedule.count(at: Double(now) - Double(Self.lateness)))
        result.late += UInt64(late)
        result.held += UInt64(min(late, schedule.count(at: crowdedAt)))
        schedule.done += sent
    }

    /// Sends up to a batch of queries; returns how many left.
    private mutating func send(
        on flow: Flow, _ batch: inout LoadBatch, atMost wanted: Int, due: Double, step: Double,
        at now: UInt64
    ) -> Int {
        let count = min(wanted, LoadBatch.capacity, plan.window - flow.outstanding)
        guard count > 0 else { return 0 }
        for index in 0..<count {
            let query = (nextQuery + index) % queries.count
            let id = flow.take(query, due: UInt64(due + Double(index) * step), at: now)
            batch.put(queries.message(queries.rows[query]), id: id, at: index)
        }
        let sent = note(batch.send(count, to: flow.socket.descriptor))
        for _ in sent..<count { flow.untake() }
        nextQuery = (nextQuery + sent) % queries.count
        return sent
    }

    /// Takes what a call returned, a count or a negative errno; returns the count, and keeps the errno
    /// unless it is one of a socket that just has nothing, or no room.
    private mutating func note(_ returned: Int) -> Int {
        if returned >= 0 { return returned }
        let passing = [EAGAIN, EINTR, ENOBUFS, ENOMEM]
        if !passing.contains(Int32(-returned)) { refusal = Int32(-returned) }
        return 0
    }

    /// Takes what has arrived on a socket; returns how many datagrams that were.
    private mutating func receive(
        _ flow: Flow, _ batch: inout LoadBatch, _ result: inout LoadResult
    ) -> Int {
        let count = note(batch.receive(from: flow.socket.descriptor))
        guard count > 0 else { return 0 }
        let now = monotonicNanoseconds()
        for index in 0..<count {
            let answer = batch.message(index)
            guard answer.count >= 2, let (query, due) = flow.complete(answer.uint16(at: 0)) else {
                result.stray += 1
                continue
            }
            let row = queries.rows[query]
            result.count(
                answer, to: queries.message(row), row, after: now > due ? now - due : 0)
        }
        return count
    }
}

/// When the queries of an open loop are due, in nanoseconds.
private struct Schedule {
    private let start: Double
    /// The time between two.
    let step: Double
    /// How many are due before the end.
    private var total: Int
    /// How many of those were sent, or given up.
    var done = 0

    init(start: UInt64, rate: Double, seconds: Double) {
        self.start = Double(start)
        step = 1e9 / rate
        // The product of two decimal fractions may be next to the whole number that it is.
        let product = rate * seconds
        let isWhole = abs(product - product.rounded()) < 1e-6
        total = max(1, Int(product.rounded(isWhole ? .toNearestOrEven : .up)))
    }

    /// The next one's moment.
    var due: Double { start + Double(done) * step }

    /// How many are neither sent nor given up.
    var left: Int { total - done }

    /// How many of those are due by a moment.
    func count(at moment: Double) -> Int {
        moment < due ? 0 : min(left, Int((moment - due) / step) + 1)
    }

    /// Gives up what was due before a moment; returns how many queries that are.
    mutating func giveUp(before moment: Double) -> Int {
        guard due < moment else { return 0 }
        let count = min(left, Int(((moment - due) / step).rounded(.up)))
        done += count
        return count
    }

    /// Lets nothing be due after a moment.
    mutating func end(at moment: Double) { total = done + count(at: moment) }
}

/// One socket and the queries on their way over it: in the order sent, so the first of them is always
/// the next to be lost. An ID that comes free is used again after all others that are free.
private final class Flow {
    private static let free = UInt32.max
    private static let count = 65_536

    let socket: LoadSocket
    /// How many queries it may have on their way.
    let share: Int
    private var queries = [UInt32](repeating: free, count: count)
    private var dues = [UInt64](repeating: 0, count: count)
    private var sendings = [UInt64](repeating: 0, count: count)
    /// The free IDs, a ring: the next to use, and the place for the next that comes free.
    private var unused = (0..<count).map { UInt16($0) }
    private var nextUnused: UInt16 = 0
    private var endUnused: UInt16 = 0
    /// A ring of IDs in the order sent, linked by what was sent before and after each; its end is at
    /// `count`.
    private var before = [Int](repeating: count, count: count + 1)
    private var after = [Int](repeating: count, count: count + 1)
    /// Queries without an answer.
    private(set) var outstanding = 0

    init(_ socket: LoadSocket, _ share: Int) {
        self.socket = socket
        self.share = share
    }

    /// Takes the ID that is free for longest; there has to be one.
    func take(_ query: Int, due: UInt64, at now: UInt64) -> UInt16 {
        let id = unused[Int(nextUnused)]
        nextUnused &+= 1
        queries[Int(id)] = UInt32(query)
        dues[Int(id)] = due
        sendings[Int(id)] = now
        let last = before[Self.count]
        (before[Int(id)], after[Int(id)]) = (last, Self.count)
        after[last] = Int(id)
        before[Self.count] = Int(id)
        outstanding += 1
        return id
    }

    /// Takes the last one back: it could not be sent.
    func untake() {
        remove(before[Self.count])
        nextUnused &-= 1
    }

    /// The query that an answer is to; nil if none waits for it.
    func complete(_ id: UInt16) -> (query: Int, due: UInt64)? {
        let query = queries[Int(id)]
        guard query != Self.free else { return nil }
        remove(Int(id))
        release(Int(id))
        return (Int(query), dues[Int(id)])
    }

    /// Gives up what was sent before a moment; returns how many queries that were.
    func expire(before moment: UInt64) -> UInt64 {
        var lost: UInt64 = 0
        while outstanding > 0 {
            let first = after[Self.count]
            guard sendings[first] < moment else { break }
            remove(first)
            release(first)
            lost += 1
        }
        return lost
    }

    private func remove(_ id: Int) {
        queries[id] = Self.free
        after[before[id]] = after[id]
        before[after[id]] = before[id]
        outstanding -= 1
    }

    private func release(_ id: Int) {
        unused[Int(endUnused)] = UInt16(id)
        endUnused &+= 1
    }
}

/// Octets of one round of datagrams, and the kernel's headers for them.
@safe
private struct LoadBatch: ~Copyable {
    static let capacity = 32
    private static let room = 4_096

    private let octets = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity * room)
    private let parts = UnsafeMutablePointer<iovec>.allocate(capacity: capacity)
    private let messages = UnsafeMutablePointer<cln_message>.allocate(capacity: capacity)

    init() {
        // Safe: every slot lies inside the allocations, which are freed in deinit only.
        unsafe octets.initialize(repeating: 0, count: Self.capacity * Self.room)
        for slot in 0..<Self.capacity {
            unsafe (parts + slot).initialize(
                to: iovec(iov_base: octets + slot * Self.room, iov_len: Self.room))
            var header = unsafe cln_message()
            unsafe header.header.msg_iov = parts + slot
            unsafe header.header.msg_iovlen = 1
            unsafe (messages + slot).initialize(to: header)
        }
    }

    deinit {
        // Safe: allocated with the value, used by nobody else.
        unsafe octets.deallocate()
        unsafe parts.deallocate()
        unsafe messages.deallocate()
    }

    /// Copies a message into a slot, with its ID.
    mutating func put(_ message: Span<UInt8>, id: UInt16, at slot: Int) {
        precondition(slot < Self.capacity && (2...Self.room).contains(message.count))
        let start = slot * Self.room
        // Safe: slot and length were checked above.
        for index in 0..<message.count { unsafe octets[start + index] = message[index] }
        unsafe octets[start] = UInt8(id >> 8)
        unsafe octets[start + 1] = UInt8(truncatingIfNeeded: id)
        unsafe parts[slot].iov_len = message.count
    }

    /// Sends the first slots; returns how many the kernel took, or a negative errno.
    func send(_ count: Int, to descriptor: Int32) -> Int {
        // Safe: the headers describe memory of this batch.
        Int(unsafe cln_send(descriptor, messages, UInt32(min(count, Self.capacity))))
    }

    /// Takes what has arrived, without waiting; returns how many datagrams, or a negative errno.
    mutating func receive(from descriptor: Int32) -> Int {
        // Safe: the headers describe memory of this batch.
        for slot in 0..<Self.capacity { unsafe parts[slot].iov_len = Self.room }
        return Int(unsafe cln_receive(descriptor, messages, UInt32(Self.capacity), false))
    }

    /// What was received into a slot.
    @_lifetime(borrow self)
    func message(_ slot: Int) -> Span<UInt8> {
        precondition(slot < Self.capacity)
        // Safe: the kernel filled as many octets of this batch's slot as it says, at most `room`.
        let length = unsafe min(Int(messages[slot].length), Self.room)
        return unsafe _overrideLifetime(
            Span(_unsafeStart: octets + slot * Self.room, count: length), borrowing: self)
    }
}
