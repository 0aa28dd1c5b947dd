// Opens and configures the sockets the server listens on; both carriers get their bind errors here.

import Authority
import DNSWire
import Glibc

/// An open, bound socket that threads may share; closed when the last of them lets go.
final class OpenSocket: Sendable {
    private let socket: ListeningSocket

    init(_ socket: consuming ListeningSocket) { self.socket = socket }

    var descriptor: Int32 { socket.descriptor }
    /// Where it is bound; the port is the real one.
    var bound: ListenAddress { socket.bound }
    /// As `ListeningSocket` has it.
    var receiveBufferOctets: Int? { socket.receiveBufferOctets }

    /// As `ListeningSocket` does.
    func listen() throws(TransportError) { try socket.listen() }
}

/// An open, bound socket; closed when it goes.
struct ListeningSocket: ~Copyable, Sendable {
    /// Room for about 10 ms of queries at a million a second (the kernel doubles this, and counts
    /// some 800 octets a query): a worker may lose the processor for that long and lose nothing.
    /// With less than half of it operators are warned (`ReceiveBufferShortage`).
    static let wantedBufferOctets: Int32 = 4 << 20
    /// How long a worker sleeps without queries until it looks for a new snapshot or a stop.
    static let receiveTimeoutMilliseconds = 250
    /// How long a full send buffer may hold up a worker before it drops the batch.
    static let sendTimeoutMilliseconds = 20
    /// The kernel's buffers of one TCP connection: they hold the largest answer, and bound what a
    /// client that never reads can tie up.
    static let connectionBufferOctets: Int32 = 128 << 10
    /// Connections that may wait for being accepted.
    static let backlog: Int32 = 128

    /// Connections whose first query came with the SYN (RFC 7413) and that wait for the handshake's end.
    static let fastOpenBacklog: Int32 = 256

    let descriptor: Int32
    /// Where it is bound; the port is the real one.
    private(set) var bound: ListenAddress
    private let carrier: Carrier

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    private init(open address: ListenAddress, _ carrier: Carrier) throws(TransportError) {
        let family = address.address.family == .ipv4 ? AF_INET : AF_INET6
        let kind = carrier == .tcp ? SOCK_STREAM : SOCK_DGRAM
        bound = address
        self.carrier = carrier
        descriptor = socket(family, Int32(kind.rawValue | SOCK_CLOEXEC.rawValue), 0)
        try check(descriptor, "socket")
        if family == AF_INET6 {
            // Each family has its own socket, so that an IPv4 client never shows up as mapped.
            try require(SOL_IPV6, IPV6_V6ONLY, 1)
        }
    }

    /// Throws what errno says if the call just made failed.
    private func check(_ result: Int32, _ call: String) throws(TransportError) {
        guard result < 0 else { return }
        throw .cannotListen(bound, carrier, call: call, code: errno)
    }

    /// Sets an option; false if the kernel refuses.
    @discardableResult
    private func set(_ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
        var value = value
        // Safe: the value lives through the call.
        return unsafe setsockopt(
            descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    /// Sets an option that the server cannot do without.
    private func require(
        _ level: Int32, _ option: Int32, _ value: Int32
    ) throws(TransportError) {
        try check(set(level, option, value) ? 0 : -1, "setsockopt")
    }

    private func requireTimeout(_ option: Int32, milliseconds: Int) throws(TransportError) {
        var time = timeval(tv_sec: milliseconds / 1_000, tv_usec: milliseconds % 1_000 * 1_000)
        // Safe: the value lives through the call.
        try check(
            unsafe setsockopt(
                descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size)),
            "setsockopt")
    }

    private mutating func bindToAddress() throws(TransportError) {
        var (storage, length) = bound.kernelForm
        // Safe: the kernel reads and writes a sockaddr_storage, within its length, in these calls.
        let descriptor = descriptor
        let bindResult = unsafe withUnsafePointer(to: &storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, length)
            }
        }
        try check(bindResult, "bind")
        length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let nameResult = unsafe withUnsafeMutablePointer(to: &storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &length)
            }
        }
        try check(nameResult, "getsockname")
        bound =
            unsafe withUnsafePointer(to: &storage) { unsafe ListenAddress(kernelForm: $0) } ?? bound
    }
}

// MARK: - The two kinds

extension ListeningSocket {
    /// Opens one worker's UDP socket; the kernel spreads clients over all that share an address.
    static func udp(_ address: ListenAddress) throws(TransportError) -> ListeningSocket {
        var socket = try ListeningSocket(open: address, .udp)
        let isIPv4 = address.address.family == .ipv4
        try socket.require(SOL_SOCKET, SO_REUSEPORT, 1)
        socket.setBuffer(SO_RCVBUF, forced: SO_RCVBUFFORCE)
        socket.setBuffer(SO_SNDBUF, forced: SO_SNDBUFFORCE)
        // Ignore what the path is said to take: a forged "fragmentation needed" would make us send
        // fragments, which can be replaced on the way. Answers fit the minimum of IPv6 anyway.
        if isIPv4 {
            socket.set(SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT)
        } else {
            socket.set(SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT)
        }
        if address.isWildcard {
            // Answers must leave from the address that was asked (RFC 2181, section 4.1).
            try socket.require(
                isIPv4 ? SOL_IP : SOL_IPV6, isIPv4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1)
        }
        try socket.requireTimeout(SO_RCVTIMEO, milliseconds: receiveTimeoutMilliseconds)
        try socket.requireTimeout(SO_SNDTIMEO, milliseconds: sendTimeoutMilliseconds)
        try socket.bindToAddress()
        return socket
    }

    /// Makes sure that nobody has a UDP port: other servers share theirs, as workers do, and those that
    /// only begin don't listen over TCP yet.
    static func requireFree(_ address: ListenAddress) throws(TransportError) {
        var socket = try ListeningSocket(open: address, .udp)
        try socket.bindToAddress()
    }

    /// Opens a TCP socket that has its port, and refuses clients until it is to `listen`. It does not share
    /// the port, so a server that runs already is noticed here.
    ///
    /// - Parameter timeoutMilliseconds: how long the kernel keeps data that a client does not
    ///   take, also after the connection was closed on our side.
    static func tcp(
        _ address: ListenAddress, timeoutMilliseconds: Int32
    ) throws(TransportError) -> ListeningSocket {
        var socket = try ListeningSocket(open: address, .tcp)
        // Lets a restarted server bind while old connections linger in TIME-WAIT.
        try socket.require(SOL_SOCKET, SO_REUSEADDR, 1)
        // Accepted connections inherit these; without them the connection still works.
        socket.set(SOL_SOCKET, SO_RCVBUF, connectionBufferOctets)
        socket.set(SOL_SOCKET, SO_SNDBUF, connectionBufferOctets)
        socket.set(SOL_TCP, TCP_USER_TIMEOUT, timeoutMilliseconds)
        // Answers leave when they are written, not when the client has acknowledged those before.
        socket.set(SOL_TCP, TCP_NODELAY, 1)
        // RFC 9210, section 4.1; works where net.ipv4.tcp_fastopen allows it to servers.
        socket.set(SOL_TCP, TCP_FASTOPEN, fastOpenBacklog)
        try socket.bindToAddress()
        return socket
    }

    /// Lets clients connect. A server that was started at the same moment is noticed here.
    func listen() throws(TransportError) {
        try check(Glibc.listen(descriptor, Self.backlog), "listen")
    }

    /// The room for what was received and not read, counted as it is asked for; nil if the kernel does
    /// not tell.
    ///
    /// The kernel doubles what it is asked for, for bookkeeping of its own, and tells that (socket(7)).
    var receiveBufferOctets: Int? {
        var octets: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        // Safe: both live through the call.
        let result = unsafe getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &octets, &length)
        return result == 0 ? Int(octets) / 2 : nil
    }

    /// Sets a buffer size as far as the system lets us: beyond its maximum with CAP_NET_ADMIN,
    /// else up to net.core.rmem_max or wmem_max.
    private func setBuffer(_ option: Int32, forced: Int32) {
        if !set(SOL_SOCKET, forced, Self.wantedBufferOctets) {
            set(SOL_SOCKET, option, Self.wantedBufferOctets)
        }
    }
}
