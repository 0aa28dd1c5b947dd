// The TCP side's one loop: waits for sockets, accepts, reads, has the answerer answer, writes; closes
// connections that are idle for too long or have to make room. One thread is enough: TCP is the rare way
// (truncated answers), and keeping all connections in one place makes the limits exact without locks.
//
// A connection of one query costs the kernel's calls (accept, receive, send, close, and telling epoll) and
// little else: it is read right after it was accepted, as its query often came by then.

import Authority
import CLinux
import DNSWire
import Glibc

/// What the TCP thread works with.
struct TCPWorker: ~Copyable {
    /// A read takes at most this much: more than a hundred pipelined queries. One read is answered
    /// before any other connection's turn, so that none holds up the others.
    private static let readOctets = 16 << 10
    /// Newcomers that are accepted at a time where much is going on; where they come one by one, to look
    /// for a second is a call in vain.
    private static let acceptLimit = 16
    /// Events at a time from which on much is going on.
    private static let busyEvents = 4
    /// Idle connections are looked for this many times within the idle timeout: none stays longer
    /// than 1.25 times of it.
    private static let sweepsPerTimeout: UInt64 = 4
    /// How long the listeners rest where no descriptor or memory is left for newcomers: long enough to
    /// cost nothing, short enough for clients not to notice.
    private static let restNanoseconds: UInt64 = 100_000_000
    /// What events of listeners and of the stop are told by; connections are told by their numbers.
    static let listenerTag: UInt64 = 1 << 32
    static let stopTag: UInt64 = 1 << 33

    private let poll: SocketPoll
    private let publisher: SnapshotPublisher
    private let counters: TCPCounterCells
    private let idleNanoseconds: UInt64
    private let lifetimeNanoseconds: UInt64?
    private var listeners: [OpenSocket]
    private var connections: TCPConnections
    private var table: ConnectionTable
    private var answerer: TCPAnswerer
    /// What connections without a part of a message read into: memory that none of them has to keep.
    private var spare = OctetQueue()
    private var events = [UInt64](repeating: 0, count: SocketPoll.eventLimit)
    /// When idle connections are looked for next, and when the listeners' rest is over.
    private var nextSweep: UInt64
    private var restEnd: UInt64?
    private var lending = Lending()

    /// Prepares to serve sockets that listen already, and that the poll has.
    init(
        listeners: [OpenSocket], poll: SocketPoll, limits: TransportLimits,
        publisher: SnapshotPublisher, seed: UInt64, counters: TCPCounterCells
    ) {
        self.listeners = listeners
        self.poll = poll
        self.publisher = publisher
        self.counters = counters
        idleNanoseconds = limits.idleNanoseconds
        lifetimeNanoseconds = limits.lifetimeNanoseconds
        connections = TCPConnections(limit: max(1, limits.tcpConnections))
        table = ConnectionTable(
            limit: limits.tcpConnections, limitPerNetwork: limits.tcpConnectionsPerNetwork)
        answerer = TCPAnswerer(
            limits: limits, publisher: publisher, seed: seed, counters: counters)
        nextSweep = monotonicNanoseconds()
    }

    /// Serves until the stop is asked for; then lets connections finish for as long as `patience`.
    consuming func serve(until stop: StopPipe, patience: Duration) {
        while turn(until: nil) {}
        // Who is in a queue has connected, and may have asked: the shutdown would reset them.
        for index in listeners.indices { accept(from: index, atMost: Int(ListeningSocket.backlog)) }
        // No more newcomers, and no events of them, whoever else may have the sockets: without the
        // shutdown the kernel would go on to complete connections that nobody accepts.
        for listener in listeners {
            poll.remove(listener.descriptor)
            shutdown(listener.descriptor, Int32(SHUT_RDWR))
        }
        listeners = []
        restEnd = nil
        poll.remove(stop.reader)
        let end = monotonicNanoseconds() + nanoseconds(patience)
        for number in table.all { finish(number) }
        while table.count > 0, monotonicNanoseconds() < end { _ = turn(until: end) }
        for number in table.all { close(number) }
    }

    /// Waits for events and works on them; false once the stop is asked for.
    private mutating func turn(until end: UInt64?) -> Bool {
        let count = poll.wait(milliseconds: milliseconds(until: end), &events)
        lending.begin(isPreparing: publisher.isPreparing)
        var goesOn = true
        for index in 0..<count {
            let tag = events[index]
            if tag & Self.stopTag != 0 {
                goesOn = false
            } else if tag & Self.listenerTag != 0 {
                accept(
                    from: Int(tag & ~Self.listenerTag),
                    atMost: count < Self.busyEvents ? 1 : Self.acceptLimit)
            } else if connections.contains(Int(tag)) {
                // Of a number that another has by now the event is one without cause, which does no harm.
                work(on: Int(tag))
            }
            lending.pauseIfDue()
        }
        let now = monotonicNanoseconds()
        if now >= nextSweep { sweep(now) }
        if let restEnd, now >= restEnd { endRest() }
        return goesOn
    }

    /// How long to wait for events: to the next sweep, the end of a rest, or the given end.
    private func milliseconds(until end: UInt64?) -> Int32 {
        let next = min(nextSweep, restEnd ?? .max, end ?? .max)
        let now = monotonicNanoseconds()
        // Rounded up, so that it isn't woken before.
        return next <= now ? 0 : Int32(clamping: (next - now) / 1_000_000 + 1)
    }

    // MARK: Newcomers

    private mutating func accept(from index: Int, atMost limit: Int) {
        guard index < listeners.count else { return }
        var left = limit
        var hasMadeRoom = false
        while left > 0 {
            left -= 1
            var storage = sockaddr_storage()
            // Safe: the storage has room for any address and outlives the call.
            let descriptor = unsafe cln_accept(listeners[index].descriptor, &storage)
            switch -descriptor {
            case EAGAIN: return
            // Gone before we looked.
            case EINTR, ECONNABORTED: continue
            case let code
            where [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) && !hasMadeRoom:
                makeRoom()
                hasMadeRoom = true
                left += 1
                continue
            case 1...:
                // Else the kernel would tell of the same newcomer again and again.
                return rest()
            default: break
            }
            // Safe: as above.
            guard let peer = unsafe ListenAddress(kernelForm: &storage)?.address else {
                Glibc.close(descriptor)
                continue
            }
            open(descriptor, from: peer)
        }
    }

    private mutating func open(_ descriptor: Int32, from peer: IPAddress) {
        counters.accepted.add(1)
        if let victim = table.victim(for: peer) {
            counters.evicted.add(1)
            close(victim)
        }
        let now = monotonicNanoseconds()
        let number = connections.open(
            TCPConnection(descriptor: descriptor, peer: peer, opened: now))
        table.insert(number, from: peer, at: now)
        guard poll.add(descriptor, tag: UInt64(number)) else { return close(number) }
        work(on: number)
    }

    /// Closes the connection that is idle for longest, as there is no descriptor for a newcomer.
    private mutating func makeRoom() {
        guard let victim = table.idlest else { return }
        counters.evicted.add(1)
        close(victim)
    }

    private mutating func rest() {
        for listener in listeners { poll.remove(listener.descriptor) }
        restEnd = monotonicNanoseconds() + Self.restNanoseconds
    }

    private mutating func endRest() {
        restEnd = nil
        for (index, listener) in listeners.enumerated() {
            _ = poll.add(listener.descriptor, tag: Self.listenerTag | UInt64(index))
        }
    }

    // MARK: Connections

    /// Closes the connections that are idle for too long; an idle server also lets go of an old
    /// snapshot here.
    private mutating func sweep(_ now: UInt64) {
        answerer.refreshSnapshot()
        nextSweep = now + max(1_000_000, idleNanoseconds / Self.sweepsPerTimeout)
        guard now > idleNanoseconds else { return }
        while let idle = table.idle(since: now - idleNanoseconds) {
            counters.timedOut.add(1)
            close(idle)
        }
    }

    private mutating func close(_ number: Int) {
        counters.closed.add(1)
        takeBack(number)
        table.remove(number)
        connections.close(number)
    }

    /// Answers what has arrived completely, then closes without waiting for the client.
    private mutating func finish(_ number: Int) {
        connections[number].stream.phase = .finishing
        guard connections[number].stream.outbound.isEmpty else { return }
        // What nobody has read yet would make a reset of the close.
        work(on: number)
        if connections.contains(number), connections[number].stream.outbound.isEmpty {
            answer(number)
        }
    }

    /// Writes what waits to be taken, or else reads; and answers.
    private mutating func work(on number: Int) {
        if !connections[number].stream.outbound.isEmpty {
            if write(number) { answer(number) }
        } else {
            if !connections[number].stream.inbound.hasMemory {
                swap(&spare, &connections[number].stream.inbound)
            }
            read(number)
        }
        if connections.contains(number), connections[number].stream.inbound.isEmpty {
            takeBack(number)
        }
    }

    /// Takes the memory that a connection read into: it keeps some for a part of a message alone.
    private mutating func takeBack(_ number: Int) {
        if !spare.hasMemory { swap(&spare, &connections[number].stream.inbound) }
        spare.removeAll()
        connections[number].stream.inbound = OctetQueue()
    }

    /// Reads once, and answers what is complete then.
    private mutating func read(_ number: Int) {
        let result = connections[number].receive(Self.readOctets)
        switch result {
        case 0:
            guard connections[number].stream.phase != .halfClosed else { return close(number) }
            connections[number].stream.phase = .finishing
        case 1...: break
        case -EAGAIN, -EINTR: return
        default: return end(number, after: -result)
        }
        switch connections[number].stream.phase {
        case .halfClosed: connections[number].stream.inbound.removeAll()
        case .open where isAtItsEnd(number):
            connections[number].stream.phase = .finishingInOrder
            answer(number)
        case .finishingInOrder, .open, .finishing: answer(number)
        }
    }

    /// Closes a connection after an error: resets and the like are the client's business. ETIMEDOUT is the
    /// kernel's word for a client that took nothing for twice the idle timeout.
    private mutating func end(_ number: Int, after code: Int32) {
        if code == ETIMEDOUT { counters.timedOut.add(1) }
        close(number)
    }

    /// Whether the connection has been open for as long as one may; counts it if so.
    ///
    /// Asked when something was received, which is thus still answered; who sends nothing is ended
    /// by the idle timeout.
    private func isAtItsEnd(_ number: Int) -> Bool {
        guard let lifetimeNanoseconds,
            monotonicNanoseconds() - connections[number].opened >= lifetimeNanoseconds
        else { return false }
        counters.limited.add(1)
        return true
    }

    /// Answers complete messages as long as the client takes answers, then waits for more or ends.
    private mutating func answer(_ number: Int) {
        var rest = TCPAnswerer.Rest.more
        while rest == .more {
            let before = connections[number].stream.inbound.count
            rest = answerer.answer(&connections[number].stream)
            if connections[number].stream.inbound.count < before {
                table.touch(number, at: monotonicNanoseconds())
            }
            if rest == .last {
                connections[number].stream.inbound.removeAll()
                if connections[number].stream.phase == .open {
                    connections[number].stream.phase = .finishingInOrder
                }
            }
            guard send(number) else { return }
        }
        endAnswered(number)
    }

    /// Ends a connection that is finishing and whose answers the kernel has.
    private mutating func endAnswered(_ number: Int) {
        switch connections[number].stream.phase {
        case .open, .halfClosed: break
        case .finishing: close(number)
        case .finishingInOrder:
            // Clients close theirs when they see that, and the idle timeout ends the wait for others.
            connections[number].stream.phase = .halfClosed
            connections[number].stream.inbound.removeAll()
            shutdown(connections[number].descriptor, Int32(SHUT_WR))
        }
    }

    // MARK: Writing

    /// Hands the gathered answers to the kernel; false if it did not take them all, or not at all.
    private mutating func send(_ number: Int) -> Bool {
        guard !answerer.gathered.isEmpty else { return true }
        let result = answerer.gathered.send(to: connections[number].descriptor)
        guard result >= 0 || result == -EAGAIN || result == -EINTR else {
            end(number, after: -result)
            return false
        }
        if answerer.gathered.isEmpty { return true }
        swap(&connections[number].stream.outbound, &answerer.gathered)
        setWaitsForRoom(number, true)
        return false
    }

    /// Writes what the kernel did not take before; true once it has taken all.
    private mutating func write(_ number: Int) -> Bool {
        let descriptor = connections[number].descriptor
        let result = connections[number].stream.outbound.send(to: descriptor)
        guard result >= 0 || result == -EAGAIN || result == -EINTR else {
            end(number, after: -result)
            return false
        }
        if result > 0 { table.touch(number, at: monotonicNanoseconds()) }
        guard connections[number].stream.outbound.isEmpty else { return false }
        connections[number].stream.outbound = OctetQueue()
        setWaitsForRoom(number, false)
        return true
    }

    private mutating func setWaitsForRoom(_ number: Int, _ waits: Bool) {
        guard connections[number].waitsForRoom != waits else { return }
        connections[number].waitsForRoom = waits
        let descriptor = connections[number].descriptor
        poll.change(descriptor, tag: UInt64(number), toWriting: waits)
    }
}

extension TCPConnection {
    /// Receives once; returns how many octets, 0 at the client's end, or a negative errno.
    fileprivate mutating func receive(_ octets: Int) -> Int32 {
        let descriptor = descriptor
        stream.inbound.reserve(octets)
        var room = stream.inbound.room()
        let got = unsafe room.withUnsafeMutableBufferPointer { room in
            // Safe: into the room, and no more than it has.
            unsafe recv(descriptor, room.baseAddress, min(octets, room.count), 0)
        }
        guard got >= 0 else { return -errno }
        stream.inbound.commit(got)
        return Int32(got)
    }
}

extension OctetQueue {
    /// Has the kernel take what it can; returns how many octets, or a negative errno.
    fileprivate mutating func send(to descriptor: Int32) -> Int32 {
        let sent = offer(to: descriptor)
        guard sent >= 0 else { return -errno }
        removeFirst(sent)
        return Int32(sent)
    }

    private func offer(to descriptor: Int32) -> Int {
        unsafe span.withUnsafeBufferPointer { octets in
            // Safe: from the queue, and no more than it has.
            unsafe Glibc.send(descriptor, octets.baseAddress, octets.count, Int32(MSG_NOSIGNAL))
        }
    }
}

/// Nanoseconds of a clock that only goes forward, as precise as the kernel's tick: for timeouts.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    // Safe: `time` outlives the call.
    unsafe clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
