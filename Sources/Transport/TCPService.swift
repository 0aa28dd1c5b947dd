// The TCP side's one event loop: its responder, its snapshot, its connections. Everything here runs
// on that loop, so it needs no locks; connections come to it for answers and to be counted.

import Authority
import DNSWire
import NIOCore

/// What all connections of one event loop share.
final class TCPService {
    /// The shortest message: a header (RFC 1035, section 4.1.1).
    private static let shortestMessage = 12
    /// Answers are gathered up to this before they are handed to the kernel: some hundred plain
    /// ones in one call, and not much more than one large one in memory.
    private static let gatherOctets = 16 << 10

    let counters: TCPCounterCells
    private let loop: any EventLoop
    private let idleTimeout: TimeAmount
    /// The same as clients are told it, in units of 100 milliseconds (RFC 7828, section 3.1).
    private let announcedTimeout: UInt16
    private let lifetime: TimeAmount?
    private let queryLimit: Int
    private let publisher: SnapshotPublisher
    private var responder: Responder
    private var snapshot: Snapshot
    private var generation: UInt64
    private var table: ConnectionTable
    private var scratch = [UInt8](repeating: 0, count: Responder.maximumAnswerLength)
    /// Set while stopping: completed when the last connection has closed.
    private var emptied: EventLoopPromise<Void>?

    init(
        loop: any EventLoop, limits: TransportLimits, publisher: SnapshotPublisher, seed: UInt64,
        counters: TCPCounterCells
    ) {
        self.loop = loop
        self.counters = counters
        self.publisher = publisher
        idleTimeout = limits.idleTime
        announcedTimeout = UInt16(clamping: limits.idleTime.nanoseconds / 100_000_000)
        lifetime = limits.lifetime
        queryLimit = limits.tcpQueries.map { max(1, $0) } ?? .max
        responder = Responder(seed: seed)
        (snapshot, generation) = publisher.current
        table = ConnectionTable(
            limit: limits.tcpConnections, limitPerNetwork: limits.tcpConnectionsPerNetwork)
    }

    // MARK: Connections

    func opened(_ connection: TCPConnection) {
        counters.accepted.add(1)
        guard emptied == nil else { return connection.close() }
        connection.opened = .now()
        if let victim = table.insert(connection, at: connection.opened) {
            counters.evicted.add(1)
            victim.close()
        }
    }

    /// Closes the connection that is idle for longest, as there is no descriptor for a newcomer.
    func makeRoom() {
        guard let victim = table.removeIdlest() else { return }
        counters.evicted.add(1)
        victim.close()
    }

    func closed(_ connection: TCPConnection) {
        counters.closed.add(1)
        table.remove(connection)
        if table.count == 0 { emptied?.succeed() }
    }

    /// Notes that the connection did something useful: completed a query or took some answers.
    func touch(_ connection: TCPConnection) {
        table.touch(connection, at: .now())
    }

    /// Whether the connection has been open for as long as one may; counts it if so.
    ///
    /// Asked when something was received, which is thus still answered; who sends nothing is ended
    /// by the idle timeout.
    func isAtItsEnd(_ connection: TCPConnection) -> Bool {
        guard let lifetime, .now() - connection.opened >= lifetime else { return false }
        counters.limited.add(1)
        return true
    }

    /// Closes the connections that are idle for too long; an idle service also lets go of an old
    /// snapshot here.
    func sweep() {
        refreshSnapshot()
        let moment = NIODeadline.now() - idleTimeout
        while let connection = table.removeIdle(since: moment) {
            counters.timedOut.add(1)
            connection.close()
        }
    }

    /// Has every connection finish what it has; the future completes when all are closed.
    func finishAll() -> EventLoopFuture<Void> {
        let promise = emptied ?? loop.makePromise(of: Void.self)
        emptied = promise
        for connection in table.all { connection.finish() }
        if table.count == 0 { promise.succeed() }
        return promise.futureResult
    }

    // MARK: Answers

    /// What is left in a connection's buffer after some of it was answered.
    enum Rest {
        /// No complete message.
        case incomplete
        /// Perhaps complete messages: the gathered answers should be written first.
        case more
        /// Nothing that counts: a length that no message has came, or the last query allowed.
        case last
    }

    /// Takes complete messages out of `inbound` and appends their answers, each after its length
    /// in two octets (RFC 1035, section 4.2.2), until enough is gathered.
    ///
    /// The answers of a connection that `isEnding`, and the last that it may have, tell clients that
    /// keep connections to close theirs (a timeout of zero: RFC 7828, section 3.2.2).
    func answer(
        _ inbound: inout ByteBuffer, from connection: TCPConnection, isEnding: Bool,
        into answers: inout ByteBuffer
    ) -> Rest {
        refreshSnapshot()
        let time = currentTime()
        var hadMessage = false
        defer { if hadMessage { touch(connection) } }
        while answers.readableBytes < Self.gatherOctets {
            let start = inbound.readerIndex
            guard let length = inbound.getInteger(at: start, as: UInt16.self) else {
                return .incomplete
            }
            guard length >= Self.shortestMessage else {
                counters.malformed.add(1)
                return .last
            }
            guard inbound.readableBytes >= 2 + Int(length) else { return .incomplete }
            inbound.moveReaderIndex(forwardBy: 2)
            hadMessage = true
            counters.received.add(1)
            connection.received += 1
            let isLast = connection.received >= queryLimit
            let answerLength = respond(
                to: inbound.readableBytesUInt8Span.extracting(first: Int(length)),
                Arrival(
                    from: connection.peer, over: .tcp, at: time,
                    idleTimeout: isEnding || isLast ? 0 : announcedTimeout))
            inbound.moveReaderIndex(forwardBy: Int(length))
            if answerLength == 0 {
                counters.unanswered.add(1)
            } else {
                counters.answered.add(1)
                answers.writeInteger(UInt16(answerLength))
                // Safe: octets are plain data.
                answers.writeBytes(unsafe scratch.span.extracting(first: answerLength).bytes)
            }
            if isLast {
                // Of one that is ending the end is counted already.
                if !isEnding { counters.limited.add(1) }
                return .last
            }
        }
        return .more
    }

    private func respond(to query: Span<UInt8>, _ arrival: Arrival) -> Int {
        var room = scratch.mutableSpan
        let length = responder.respond(to: query, arrival, with: snapshot, into: &room)
        precondition(length <= Responder.maximumAnswerLength, "an answer longer than its room")
        return length
    }

    private func refreshSnapshot() {
        if publisher.generation != generation {
            (snapshot, generation) = publisher.current
        }
    }
}
