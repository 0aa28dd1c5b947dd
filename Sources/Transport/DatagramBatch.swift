// The memory of one UDP worker: what recvmmsg fills and sendmmsg empties, allocated once.
//
// A batch is received into query slots; answers are packed from answer slot 0 on, each pointing
// back at its query's sender (and control message), so that one sendmmsg sends them all.

import Authority
import CLinux
import DNSWire
import Glibc

/// Room for one round of datagrams: queries, answers, and the kernel's headers for both.
@safe
struct DatagramBatch: ~Copyable {
    /// Most of what batching gains is there at 16; more only delays the first answer.
    static let capacity = 32
    /// Longer queries are dropped. No EDNS option list in use comes near it, and it is what
    /// resolvers allow for answers (RFC 6891, section 6.2.5).
    static let queryRoom = 4_096
    /// The longest answer over UDP.
    static let answerRoom = AnswerSettings.datagramLengths.upperBound
    /// Slots lie a cache line off the power of two, else their first lines would share one set of
    /// the cache.
    private static let stride = 4_096 + 64
    /// Room for one control message, aligned as one.
    private static let controlStride = 64

    private let queries: UnsafeMutablePointer<UInt8>
    private let answers: UnsafeMutablePointer<UInt8>
    private let peers: UnsafeMutablePointer<sockaddr_storage>
    private let controls: UnsafeMutableRawPointer
    private let queryParts: UnsafeMutablePointer<iovec>
    private let answerParts: UnsafeMutablePointer<iovec>
    private let received: UnsafeMutablePointer<cln_message>
    private let outgoing: UnsafeMutablePointer<cln_message>
    /// Whether the socket tells which address was asked.
    private let wantsControl: Bool
    /// How many received headers were used and must be made ready again.
    private var used = 0
    /// How many answers wait to be sent.
    private(set) var answerCount = 0

    init(wantsControl: Bool) {
        precondition(Int(cln_control_room) <= Self.controlStride, "control room too small")
        self.wantsControl = wantsControl
        let count = Self.capacity
        // Safe: all are freed in deinit only, and every index below is under `capacity`.
        unsafe queries = .allocate(capacity: count * Self.stride)
        unsafe answers = .allocate(capacity: count * Self.stride)
        unsafe peers = .allocate(capacity: count)
        unsafe controls = .allocate(byteCount: count * Self.controlStride, alignment: 16)
        unsafe queryParts = .allocate(capacity: count)
        unsafe answerParts = .allocate(capacity: count)
        unsafe received = .allocate(capacity: count)
        unsafe outgoing = .allocate(capacity: count)
        unsafe queries.initialize(repeating: 0, count: count * Self.stride)
        unsafe answers.initialize(repeating: 0, count: count * Self.stride)
        unsafe peers.initialize(repeating: sockaddr_storage(), count: count)
        unsafe controls.initializeMemory(
            as: UInt8.self, repeating: 0, count: count * Self.controlStride)
        for slot in 0..<count {
            let offset = slot * Self.stride
            // Safe: each part lies inside its slot, the slots inside the allocations above.
            unsafe (queryParts + slot).initialize(
                to: iovec(iov_base: queries + offset, iov_len: Self.queryRoom))
            unsafe (answerParts + slot).initialize(
                to: iovec(iov_base: answers + offset, iov_len: 0))
            var header = unsafe cln_message()
            unsafe header.header.msg_iovlen = 1
            unsafe header.header.msg_iov = answerParts + slot
            unsafe (outgoing + slot).initialize(to: header)
            unsafe header.header.msg_iov = queryParts + slot
            unsafe header.header.msg_name = UnsafeMutableRawPointer(peers + slot)
            unsafe (received + slot).initialize(to: header)
        }
        used = count
    }

    deinit {
        // Safe: allocated in init, used by nobody but this value.
        unsafe queries.deallocate()
        unsafe answers.deallocate()
        unsafe peers.deallocate()
        unsafe controls.deallocate()
        unsafe queryParts.deallocate()
        unsafe answerParts.deallocate()
        unsafe received.deallocate()
        unsafe outgoing.deallocate()
    }
}

// MARK: - Receiving

extension DatagramBatch {
    /// Receives up to `capacity` datagrams; returns how many, or a negative errno.
    ///
    /// - Parameter waits: whether to wait for the first one, as long as the socket's timeout.
    mutating func receive(from descriptor: Int32, waits: Bool) -> Int {
        for slot in 0..<used {
            // Safe: `used` is at most `capacity`.
            unsafe received[slot].header.msg_namelen = socklen_t(
                MemoryLayout<sockaddr_storage>.size)
            unsafe received[slot].header.msg_control =
                wantsControl ? controls + slot * Self.controlStride : nil
            unsafe received[slot].header.msg_controllen = wantsControl ? Self.controlStride : 0
        }
        used = 0
        answerCount = 0
        // Safe: the headers describe memory of this batch.
        let count =
            unsafe cln_receive(descriptor, received, UInt32(Self.capacity), waits)
        used = count > 0 ? Int(count) : 0
        return Int(count)
    }

    /// Answers the datagram in `slot` into the next answer slot.
    ///
    /// - Parameter time: seconds since 1970, read once for the batch.
    mutating func answer(
        _ slot: Int, by responder: inout Responder, with snapshot: Snapshot, at time: UInt32
    ) -> DatagramOutcome {
        precondition(slot < used && answerCount < Self.capacity, "slot not received")
        // Safe: the slot is one that the kernel filled, checked above.
        let message = unsafe received[slot]
        guard unsafe message.header.msg_flags & truncated == 0 else { return .oversized }
        // Port 0 is nobody: sending there only makes errors (and is how loops are forged).
        guard let peer = unsafe ListenAddress(kernelForm: peers + slot), peer.port != 0
        else { return .silent }
        let length = unsafe min(Int(message.length), Self.queryRoom)
        // Safe: both slots are `stride` octets long and belong to this batch; they never overlap.
        let query = unsafe UnsafeBufferPointer(
            start: queries + slot * Self.stride, count: length)
        let room = unsafe UnsafeMutableBufferPointer(
            start: answers + answerCount * Self.stride, count: Self.answerRoom)
        var answer = unsafe room.mutableSpan
        let answerLength = unsafe responder.respond(
            to: query.span, Arrival(from: peer.address, over: .udp, at: time), with: snapshot,
            into: &answer)
        guard answerLength > 0 else { return .silent }
        precondition(answerLength <= Self.answerRoom, "an answer longer than its room")
        // Safe: indices under `capacity`, checked above; the peer's memory is this batch's too.
        unsafe answerParts[answerCount].iov_len = answerLength
        unsafe outgoing[answerCount].header.msg_name = message.header.msg_name
        unsafe outgoing[answerCount].header.msg_namelen = message.header.msg_namelen
        if wantsControl {
            unsafe cln_reply_from_asked_address(
                &received[slot].header, &outgoing[answerCount].header)
        }
        answerCount += 1
        return .answered
    }
}

/// What became of one datagram.
enum DatagramOutcome {
    case answered
    /// Longer than the room for queries: its end is lost, so it was not looked at.
    case oversized
    /// No answer is due: not a query, or nobody to answer to.
    case silent
}

// MARK: - Sending

extension DatagramBatch {
    /// Sends the batch's answers and returns how many the kernel took.
    ///
    /// An answer that cannot be sent (no route, forbidden by the firewall) is left out and the
    /// rest goes on. A send buffer that stays full for the socket's timeout ends the batch: it is
    /// full for the rest as well, and queries are waiting.
    borrowing func send(to descriptor: Int32) -> Int {
        var next = 0
        var sent = 0
        while next < answerCount {
            // Safe: the headers from `next` on are those of answers, they describe our memory.
            let result = unsafe cln_send(
                descriptor, outgoing + next, UInt32(answerCount - next))
            switch result {
            case 1...:
                next += Int(result)
                sent += Int(result)
            case -EINTR:
                continue
            case -EAGAIN:
                return sent
            default:
                next += 1
            }
        }
        return sent
    }
}

/// The flag of a message that was longer than its room.
private let truncated = Int32(MSG_TRUNC)
