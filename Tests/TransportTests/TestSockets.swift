// Plain blocking sockets on loopback for the tests: a client that shares nothing with the server.

import Authority
import DNSWire
import Geo
import Glibc
import Settings
import Steering
import Testing
import Transport
import Zones

/// A snapshot without any content: every name is refused.
func emptySnapshot() -> Snapshot {
    var diagnostics = Diagnostics()
    let steering = try! Steering(SteeringConfiguration(), geography: Geography(database: nil))
    let content = Content(
        zones: ZoneSet([], diagnostics: &diagnostics)!, steering: steering, identity: "",
        diagnostics: &diagnostics)
    return Snapshot(content!)
}

/// Starts a server on `addresses`; port 0 unless they say more.
func startServer(
    _ addresses: [String] = ["127.0.0.1:0"], workers: Int = 2,
    publisher: SnapshotPublisher = SnapshotPublisher(emptySnapshot()),
    limits: (inout TransportLimits) -> Void = { _ in }
) throws -> DNSServer {
    var changed = TransportLimits()
    limits(&changed)
    let listen = try addresses.map { try #require(ListenAddress($0)) }
    let server = DNSServer(listen: listen, workers: workers, limits: changed, publisher: publisher)
    try server.start()
    return server
}

extension DNSServer {
    var port: UInt16 { boundAddresses.first?.port ?? 0 }
}

/// A query for example.com A.
func query(id: UInt16, response: Bool = false) -> [UInt8] {
    [UInt8(id >> 8), UInt8(id & 255), response ? 0x80 : 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        + [7] + "example".utf8 + [3] + "com".utf8 + [0, 0, 1, 0, 1]
}

/// A message after its length, as TCP carries it.
func framed(_ message: [UInt8]) -> [UInt8] {
    [UInt8(message.count >> 8), UInt8(message.count & 255)] + message
}

func isRefusal(_ answer: [UInt8], of id: UInt16) -> Bool {
    answer.count >= 12 && answer[0] == UInt8(id >> 8) && answer[1] == UInt8(id & 255)
        && answer[2] & 0x80 != 0 && answer[3] & 0x0F == 5
}

/// A blocking socket with a receive timeout; closed when it goes.
final class TestSocket {
    let descriptor: Int32

    init(stream: Bool, ipv6: Bool = false, timeoutMilliseconds: Int = 3_000) throws {
        descriptor = socket(
            ipv6 ? AF_INET6 : AF_INET, Int32((stream ? SOCK_STREAM : SOCK_DGRAM).rawValue), 0)
        try #require(descriptor >= 0)
        var time = timeval(
            tv_sec: timeoutMilliseconds / 1_000, tv_usec: timeoutMilliseconds % 1_000 * 1_000)
        // Safe: the value lives through the calls.
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// A connected socket. For UDP that means: only answers from just there are received.
    static func connected(
        to address: String, port: UInt16, stream: Bool, timeoutMilliseconds: Int = 3_000,
        receiveBuffer: Int32? = nil
    ) throws -> TestSocket {
        let target = try #require(IPAddress(address))
        let made = try TestSocket(
            stream: stream, ipv6: target.family == .ipv6, timeoutMilliseconds: timeoutMilliseconds)
        if var receiveBuffer {
            unsafe setsockopt(made.descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, 4)
        }
        try #require(made.bindOrConnect(target, port, connects: true) == 0)
        return made
    }

    func bindOrConnect(_ address: IPAddress, _ port: UInt16, connects: Bool) -> Int32 {
        // sockaddr_in and sockaddr_in6, octet by octet.
        let family = address.family == .ipv4 ? AF_INET : AF_INET6
        var octets = [UInt8(family), 0, UInt8(port >> 8), UInt8(port & 255)]
        if address.family == .ipv6 { octets += [0, 0, 0, 0] }
        octets += address.octets
        octets += [UInt8](repeating: 0, count: address.family == .ipv4 ? 8 : 4)
        // Safe: the octets live through the call, their count is passed along.
        return unsafe octets.withUnsafeBytes { raw in
            let pointer = unsafe raw.assumingMemoryBound(to: sockaddr.self).baseAddress
            let length = socklen_t(raw.count)
            return connects
                ? unsafe connect(descriptor, pointer, length)
                : unsafe bind(descriptor, pointer, length)
        }
    }

    /// Sends all octets; false if the other side is gone or takes none for the timeout.
    @discardableResult
    func send(_ octets: [UInt8]) -> Bool {
        var rest = octets[...]
        repeat {
            // Safe: pointer and count of the same buffer.
            let sent = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent >= 0 else { return false }
            rest = rest.dropFirst(sent)
        } while !rest.isEmpty
        return true
    }

    /// What arrives next, at most `limit` octets; nil on timeout, reset or any error.
    func receive(_ limit: Int = 65_535) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: limit)
        // Safe: pointer and count of the same buffer.
        let count = unsafe room.withUnsafeMutableBytes {
            unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
        }
        return count < 0 ? nil : Array(room.prefix(count))
    }

    /// Exactly `count` octets; nil if the stream ends or stalls before.
    func receiveExactly(_ count: Int) -> [UInt8]? {
        var all: [UInt8] = []
        while all.count < count {
            guard let part = receive(count - all.count), !part.isEmpty else { return nil }
            all += part
        }
        return all
    }

    /// The next framed message of a stream.
    func receiveMessage() -> [UInt8]? {
        guard let length = receiveExactly(2) else { return nil }
        return receiveExactly(Int(length[0]) << 8 | Int(length[1]))
    }

    /// Whether the stream ends (orderly or by a reset) before the timeout, whatever comes before.
    func endsWithinTimeout() -> Bool {
        while true {
            guard let part = receive() else { return errno == ECONNRESET || errno == EPIPE }
            if part.isEmpty { return true }
        }
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Makes closing this socket a reset.
    func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }
}

/// Waits until the condition holds; false after two seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<2_000 {
        if condition() { return true }
        usleep(1_000)
    }
    return condition()
}

/// The port that a descriptor is bound to, if it is an IPv4 socket.
func localPort(of descriptor: Int32) -> UInt16? {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe getsockname(descriptor, $0, &length)
        }
    }
    guard status == 0, address.sin_family == sa_family_t(AF_INET) else { return nil }
    return UInt16(bigEndian: address.sin_port)
}
