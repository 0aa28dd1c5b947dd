// The open TCP connections by their numbers: sockets and what is on its way over them.

import DNSWire
import Glibc

/// One connection: a socket, and its octets.
struct TCPConnection: ~Copyable {
    let descriptor: Int32
    var stream: TCPStream
    /// Nanoseconds of the monotonic clock.
    let opened: UInt64
    /// Whether the poll waits for the client to take answers, in place of what it sends.
    var waitsForRoom = false

    init(descriptor: Int32, peer: IPAddress, opened: UInt64) {
        self.descriptor = descriptor
        self.opened = opened
        stream = TCPStream(peer: peer)
    }

    /// Closes the socket.
    ///
    /// Answers that the kernel has are still delivered, and a FIN follows them. Where it does not
    /// take more, as the client does not, the connection is reset: or else it would keep what it
    /// has for as long as the client answers its probes.
    deinit {
        if !stream.outbound.isEmpty {
            var abrupt = linger(l_onoff: 1, l_linger: 0)
            // Safe: the value lives through the call.
            unsafe setsockopt(
                descriptor, SOL_SOCKET, SO_LINGER, &abrupt, socklen_t(MemoryLayout<linger>.size))
        }
        close(descriptor)
    }
}

/// Room for as many connections as there may be; each has a number below the limit while it is open.
@safe
struct TCPConnections: ~Copyable {
    private let base: UnsafeMutablePointer<TCPConnection>
    private let limit: Int
    private var isOpen: [Bool]
    /// Numbers that were in use and are free; those from `unused` on never were.
    private var free: [Int32] = []
    private var unused = 0

    init(limit: Int) {
        self.limit = limit
        // Safe: places are initialized when opened, and freed in deinit alone. The system makes
        // memory of a page when it is first touched, so a high limit costs nothing by itself.
        unsafe base = .allocate(capacity: limit)
        isOpen = Array(repeating: false, count: limit)
    }

    deinit {
        // Safe: what is open is initialized.
        for number in 0..<limit where isOpen[number] {
            unsafe (base + number).deinitialize(count: 1)
        }
        unsafe base.deallocate()
    }

    /// Takes in a connection and returns its number.
    ///
    /// - Precondition: fewer than the limit are open.
    mutating func open(_ connection: consuming TCPConnection) -> Int {
        var number = unused
        if let used = free.popLast() { number = Int(used) } else { unused += 1 }
        precondition(number < limit && !isOpen[number], "no more connections than there may be")
        isOpen[number] = true
        // Safe: the place is inside the memory and not initialized.
        unsafe (base + number).initialize(to: connection)
        return number
    }

    /// Closes a connection.
    mutating func close(_ number: Int) {
        precondition(isOpen[number], "only what is open is closed")
        isOpen[number] = false
        // Safe: what is open is initialized.
        unsafe (base + number).deinitialize(count: 1)
        free.append(Int32(number))
    }

    /// Whether there is a connection of that number.
    func contains(_ number: Int) -> Bool { isOpen[number] }

    subscript(number: Int) -> TCPConnection {
        // Safe: what is open is initialized.
        _read {
            precondition(isOpen[number], "the connection is open")
            yield unsafe base[number]
        }
        _modify {
            precondition(isOpen[number], "the connection is open")
            yield unsafe &base[number]
        }
    }
}
