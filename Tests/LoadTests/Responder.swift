// A server for loads that answers as a test says: rightly, wrongly, late, twice or not at all. Counts
// what it got and what it sent, for the load's counts to be held against.

import DNSWire
import Glibc
import Synchronization
import Testing

@testable import Load

/// Answers queries on a port of 127.0.0.1, on a thread of its own, until it goes.
final class Responder: Sendable {
    /// A message to send, and when.
    struct Reply {
        var message: [UInt8]
        var afterMilliseconds = 0
    }

    /// What a query gets, by its number from 0 on.
    typealias Behaviour = @Sendable (_ number: Int, _ query: [UInt8]) -> [Reply]

    struct Counts {
        var received = 0
        var sent = 0
        var connections = 0
    }

    let port: UInt16
    private let listener: Int32
    private let isStream: Bool
    private let behaviour: Behaviour
    private let counted = Mutex(Counts())
    private let isStopped = Atomic(false)
    private let handle = Mutex<pthread_t?>(nil)

    /// How long it waits for a query before it looks for a stop or for what is due.
    private static let tick = timeval(tv_sec: 0, tv_usec: 5_000)

    init(stream: Bool = false, _ behaviour: @escaping Behaviour) throws {
        isStream = stream
        self.behaviour = behaviour
        listener = socket(AF_INET, Int32((stream ? SOCK_STREAM : SOCK_DGRAM).rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(bigEndian: 0x7F00_0001)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (listener, wanted) = (listener, length)
        // Safe: an IPv4 address with its length, in both calls.
        let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> Int32 in
                let bound = unsafe bind(listener, address, wanted)
                return unsafe bound | getsockname(listener, address, &length)
            }
        }
        try #require(status == 0)
        port = UInt16(bigEndian: address.sin_port)
        var tick = Self.tick
        // Safe: the value lives through the call.
        unsafe setsockopt(
            listener, SOL_SOCKET, SO_RCVTIMEO, &tick, socklen_t(MemoryLayout<timeval>.size))
        if stream { try #require(listen(listener, 16) == 0) }
    }

    /// The thread does not keep the responder: `stop` before letting it go.
    func start() {
        var started: pthread_t = 0
        // Safe: `stop` waits for the thread, which uses the responder no longer then.
        unsafe pthread_create(
            &started, nil,
            { context in
                if let context = unsafe context {
                    let responder = unsafe Unmanaged<Responder>.fromOpaque(context)
                    unsafe responder.takeUnretainedValue().serve()
                }
                return nil
            }, Unmanaged.passUnretained(self).toOpaque())
        handle.withLock { $0 = started }
    }

    /// Ends the thread; returns what there was.
    @discardableResult
    func stop() -> Counts {
        isStopped.store(true, ordering: .relaxed)
        if let thread = handle.withLock({ $0.take() }) { pthread_join(thread, nil) }
        return counts
    }

    var counts: Counts { counted.withLock { $0 } }

    deinit {
        stop()
        close(listener)
    }

    private func serve() {
        if isStream { serveConnections() } else { serveDatagrams() }
    }

    // MARK: - Datagrams

    private func serveDatagrams() {
        var waiting: [(due: UInt64, message: [UInt8], client: sockaddr_in)] = []
        var room = [UInt8](repeating: 0, count: 65_536)
        while !isStopped.load(ordering: .relaxed) {
            var client = sockaddr_in()
            if let query = receive(&room, from: &client) {
                for reply in behaviour(number(), query) {
                    let due = monotonicNanoseconds() + UInt64(reply.afterMilliseconds) * 1_000_000
                    waiting.append((due, reply.message, client))
                }
            }
            let now = monotonicNanoseconds()
            for entry in waiting where entry.due <= now { send(entry.message, to: entry.client) }
            waiting.removeAll { $0.due <= now }
        }
    }

    private func receive(_ room: inout [UInt8], from client: inout sockaddr_in) -> [UInt8]? {
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = room.count
        // Safe: the array's octets, and an address of the length given.
        let got = unsafe withUnsafeMutablePointer(to: &client) { client in
            unsafe client.withMemoryRebound(to: sockaddr.self, capacity: 1) { client in
                unsafe recvfrom(listener, &room, count, 0, client, &length)
            }
        }
        return got < 0 ? nil : Array(room.prefix(got))
    }

    private func send(_ message: [UInt8], to client: sockaddr_in) {
        var client = client
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // Safe: the array's octets, and an address of the length given.
        let sent = unsafe withUnsafePointer(to: &client) { client in
            unsafe client.withMemoryRebound(to: sockaddr.self, capacity: 1) { client in
                unsafe sendto(listener, message, message.count, 0, client, length)
            }
        }
        if sent >= 0 { counted.withLock { $0.sent += 1 } }
    }

    // MARK: - Connections, one after the other

    private func serveConnections() {
        while !isStopped.load(ordering: .relaxed) {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { continue }
            counted.withLock { $0.connections += 1 }
            serve(connection)
            close(connection)
        }
    }

    /// Answers until the client's end, the stop, or an empty message, which closes the connection.
    private func serve(_ connection: Int32) {
        var tick = Self.tick
        // Safe: the value lives through the call.
        unsafe setsockopt(
            connection, SOL_SOCKET, SO_RCVTIMEO, &tick, socklen_t(MemoryLayout<timeval>.size))
        var octets: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 65_536)
        while !isStopped.load(ordering: .relaxed) {
            let count = room.count
            // Safe: the array's octets.
            let got = unsafe recv(connection, &room, count, 0)
            if got == 0 || got < 0 && errno != EAGAIN { return }
            octets += room.prefix(max(0, got))
            while octets.count >= 2 {
                let length = Int(octets[0]) << 8 | Int(octets[1])
                guard octets.count >= 2 + length else { break }
                let query = Array(octets[2..<2 + length])
                octets.removeFirst(2 + length)
                for reply in behaviour(number(), query) {
                    usleep(UInt32(reply.afterMilliseconds) * 1_000)
                    guard !reply.message.isEmpty, write(framed(reply.message), to: connection)
                    else { return }
                }
            }
        }
    }

    private func write(_ octets: [UInt8], to connection: Int32) -> Bool {
        var rest = octets[...]
        while !rest.isEmpty {
            // Safe: pointer and count of the same buffer.
            let sent = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            rest = rest.dropFirst(sent)
        }
        counted.withLock { $0.sent += 1 }
        return true
    }

    private func framed(_ message: [UInt8]) -> [UInt8] {
        [UInt8(message.count >> 8), UInt8(message.count & 255)] + message
    }

    private func number() -> Int {
        counted.withLock { counts in
            defer { counts.received += 1 }
            return counts.received
        }
    }
}

/// An answer of NOERROR without records to a query, its OPT left out.
func plainAnswer(_ query: [UInt8]) -> [UInt8] {
    var end = 12
    while query[end] != 0 { end += Int(query[end]) + 1 }
    var answer = Array(query[..<(end + 5)])
    answer[2] = 0x84
    answer[11] = 0
    return answer
}
