// What answers TCP clients: takes complete messages from a connection's octets (RFC 1035, section
// 4.2.2) and gathers their answers. Belongs to the one thread that has all connections.

import Authority
import DNSWire

/// The responder of all connections, with its snapshot and the space that answers are gathered in.
struct TCPAnswerer: ~Copyable {
    /// The shortest message: a header (RFC 1035, section 4.1.1).
    private static let shortestMessage = 12
    /// Answers are gathered up to this before they are handed to the kernel: some hundred plain
    /// ones in one call, and not much more than one large one in memory.
    private static let gatherOctets = 16 << 10

    private let counters: TCPCounterCells
    /// The idle timeout as clients are told it, in units of 100 milliseconds (RFC 7828, section 3.1).
    private let announcedTimeout: UInt16
    private let queryLimit: Int
    private let publisher: SnapshotPublisher
    private var responder: Responder
    private var snapshot: Snapshot
    private var generation: UInt64
    /// The answers of the last `answer`, each after its length; the caller takes them out.
    var gathered = OctetQueue()

    init(
        limits: TransportLimits, publisher: SnapshotPublisher, seed: UInt64,
        counters: TCPCounterCells
    ) {
        self.counters = counters
        self.publisher = publisher
        announcedTimeout = UInt16(clamping: limits.idleNanoseconds / 100_000_000)
        queryLimit = limits.tcpQueries.map { max(1, $0) } ?? .max
        responder = Responder(seed: seed)
        (snapshot, generation) = publisher.current
    }

    /// Takes over a newer snapshot, if there is one.
    mutating func refreshSnapshot() {
        if publisher.generation != generation {
            (snapshot, generation) = publisher.current
        }
    }

    /// What is left of a connection's octets after some of them were answered.
    enum Rest {
        /// No complete message.
        case incomplete
        /// Perhaps complete messages: the gathered answers are to be written first.
        case more
        /// Nothing that counts: a length that no message has came, or the last query allowed.
        case last
    }

    /// Takes complete messages out of `stream.inbound` and gathers their answers, until enough is
    /// gathered.
    ///
    /// The answers of a connection that is ending, and the last that it may have, tell clients that
    /// keep connections to close theirs (a timeout of zero: RFC 7828, section 3.2.2).
    mutating func answer(_ stream: inout TCPStream) -> Rest {
        refreshSnapshot()
        let time = currentTime()
        gathered.removeAll()
        gathered.reserve(Self.gatherOctets + 2 + Responder.maximumAnswerLength)
        while gathered.count < Self.gatherOctets {
            guard stream.inbound.count >= 2 else { return .incomplete }
            let length = Int(stream.inbound.span.uint16(at: 0))
            guard length >= Self.shortestMessage else {
                counters.malformed.add(1)
                return .last
            }
            guard stream.inbound.count >= 2 + length else { return .incomplete }
            counters.received.add(1)
            stream.received += 1
            let isLast = stream.received >= queryLimit
            let isEnding = stream.phase != .open
            let arrival = Arrival(
                from: stream.peer, over: .tcp, at: time,
                idleTimeout: isEnding || isLast ? 0 : announcedTimeout)
            let isAnswered = responder.respond(
                to: stream.inbound.span.extracting(2..<2 + length), arrival, with: snapshot,
                into: &gathered)
            counters.answered.add(isAnswered ? 1 : 0)
            counters.unanswered.add(isAnswered ? 0 : 1)
            stream.inbound.removeFirst(2 + length)
            if isLast {
                // Of one that is ending the end is counted already.
                if !isEnding { counters.limited.add(1) }
                return .last
            }
        }
        return .more
    }

}

extension Responder {
    /// Adds the answer to one message, after its length; false if it gets none.
    fileprivate mutating func respond(
        to query: Span<UInt8>, _ arrival: Arrival, with snapshot: Snapshot,
        into gathered: inout OctetQueue
    ) -> Bool {
        var room = gathered.room(after: 2)
        let length = respond(to: query, arrival, with: snapshot, into: &room)
        precondition(length <= Self.maximumAnswerLength, "an answer longer than its room")
        guard length > 0 else { return false }
        gathered.append(UInt16(length))
        gathered.commit(length)
        return true
    }
}
