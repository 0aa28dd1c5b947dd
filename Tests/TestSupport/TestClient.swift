// Asks a server over real sockets, blocking, with a time limit.

public import DNSWire
import Glibc

/// One exchange with a server on loopback.
public enum TestClient {
    /// How long to wait for an answer, in seconds; loopback needs far less, a busy machine may not.
    public static let patience = 5

    /// Sends a datagram and returns the answer; nil if none comes.
    public static func askOverUDP(
        _ query: [UInt8], address: IPAddress, port: UInt16, patience: Int = patience
    ) -> [UInt8]? {
        let connection = TestConnection(
            overTCP: false, address: address, port: port, patience: patience)
        guard let connection, connection.send([query]) else { return nil }
        return connection.receive(1).first
    }

    /// Sends messages over one connection and returns as many answers, or those that came.
    public static func askOverTCP(
        _ queries: [[UInt8]], address: IPAddress, port: UInt16
    ) -> [[UInt8]] {
        let connection = TestConnection(overTCP: true, address: address, port: port)
        guard let connection, connection.send(queries) else { return [] }
        return connection.receive(queries.count)
    }
}

/// A socket that talks to one server, closed at its end.
public final class TestConnection {
    private let socket: Int32
    private let overTCP: Bool

    /// - Parameter patience: how long to wait for each answer, in seconds.
    public init?(
        overTCP: Bool, address: IPAddress, port: UInt16, patience: Int = TestClient.patience
    ) {
        let type = Int32(overTCP ? SOCK_STREAM.rawValue : SOCK_DGRAM.rawValue)
        guard let socket = Self.connect(address, port, type, patience) else { return nil }
        self.socket = socket
        self.overTCP = overTCP
    }

    deinit { close(socket) }

    /// Sends messages, each in a datagram or after its length; false if the system won't.
    public func send(_ messages: [[UInt8]]) -> Bool {
        if overTCP { return sendAll(messages.flatMap { bigEndian(UInt16($0.count)) + $0 }) }
        for message in messages where !sendAll(message) { return false }
        return true
    }

    private func sendAll(_ octets: [UInt8]) -> Bool {
        unsafe Glibc.send(socket, octets, octets.count, Int32(MSG_NOSIGNAL)) == octets.count
    }

    /// Returns the next messages: as many, or those that came in time.
    public func receive(_ count: Int) -> [[UInt8]] {
        var messages: [[UInt8]] = []
        while messages.count < count {
            guard overTCP else {
                var buffer = [UInt8](repeating: 0, count: 65_535)
                let length = unsafe recv(socket, &buffer, buffer.count, 0)
                guard length >= 0 else { break }
                messages.append(Array(buffer.prefix(length)))
                continue
            }
            guard let head = receiveOctets(2),
                let message = receiveOctets(Int(head[0]) << 8 | Int(head[1]))
            else { break }
            messages.append(message)
        }
        return messages
    }

    private func receiveOctets(_ count: Int) -> [UInt8]? {
        var octets = [UInt8]()
        while octets.count < count {
            var chunk = [UInt8](repeating: 0, count: count - octets.count)
            let received = unsafe recv(socket, &chunk, chunk.count, 0)
            guard received > 0 else { return nil }
            octets += chunk.prefix(received)
        }
        return octets
    }

    private static func connect(
        _ address: IPAddress, _ port: UInt16, _ type: Int32, _ patience: Int
    ) -> Int32? {
        let isIPv4 = address.family == .ipv4
        let descriptor = Glibc.socket(isIPv4 ? AF_INET : AF_INET6, type, 0)
        guard descriptor >= 0 else { return nil }
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        // sockaddr_in and sockaddr_in6 octet by octet: family, port, then the address.
        var octets: [UInt8] = Array(repeating: 0, count: isIPv4 ? 16 : 28)
        let family = UInt16(isIPv4 ? AF_INET : AF_INET6)
        octets[0] = UInt8(family & 255)
        octets[1] = UInt8(family >> 8)
        octets[2] = UInt8(port >> 8)
        octets[3] = UInt8(port & 255)
        let start = isIPv4 ? 4 : 8
        octets.replaceSubrange(start..<start + address.octets.count, with: address.octets)
        let result = unsafe octets.withUnsafeBytes { bytes in
            unsafe Glibc.connect(
                descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self),
                socklen_t(bytes.count))
        }
        guard result == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }
}
