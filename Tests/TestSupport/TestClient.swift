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
        guard let socket = connect(address, port, Int32(SOCK_DGRAM.rawValue), patience) else {
            return nil
        }
        defer { close(socket) }
        guard unsafe send(socket, query, query.count, 0) == query.count else { return nil }
        var buffer = [UInt8](repeating: 0, count: 65_535)
        let count = unsafe recv(socket, &buffer, buffer.count, 0)
        return count < 0 ? nil : Array(buffer.prefix(count))
    }

    /// Sends messages over one connection and returns as many answers, or those that came.
    public static func askOverTCP(
        _ queries: [[UInt8]], address: IPAddress, port: UInt16
    ) -> [[UInt8]] {
        guard let socket = connect(address, port, Int32(SOCK_STREAM.rawValue), patience) else {
            return []
        }
        defer { close(socket) }
        let stream = queries.flatMap { bigEndian(UInt16($0.count)) + $0 }
        guard unsafe send(socket, stream, stream.count, Int32(MSG_NOSIGNAL)) == stream.count
        else { return [] }
        var answers: [[UInt8]] = []
        while answers.count < queries.count, let head = receive(2, socket),
            let message = receive(Int(head[0]) << 8 | Int(head[1]), socket)
        {
            answers.append(message)
        }
        return answers
    }

    private static func receive(_ count: Int, _ socket: Int32) -> [UInt8]? {
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
        let descriptor = socket(isIPv4 ? AF_INET : AF_INET6, type, 0)
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
