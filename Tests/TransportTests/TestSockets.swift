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

/// A snapshot with example.com, where the answer to `big.example.com. TXT` has exactly 65,535 octets.
///
/// No one RRset may be as large, so it comes at the end of four aliases with long names.
func bigAnswerSnapshot() throws -> Snapshot {
    let hops = "abcd".map { letter in
        Array(repeating: String(repeating: letter, count: 60), count: 3).joined(separator: ".")
    }
    let strings = (0..<250).map { "\"\(String(repeating: $0 % 2 == 0 ? "a" : "b", count: 255))\"" }
    let text = """
        @ SOA ns1 hostmaster 1 3600 600 604800 60
        @ NS ns1
        ns1 A 192.0.2.1
        big CNAME \(hops[0])
        \(hops[0]) CNAME \(hops[1])
        \(hops[1]) CNAME \(hops[2])
        \(hops[2]) CNAME \(hops[3])
        \(hops[3]) TXT \(strings.joined(separator: " ")) "\(String(repeating: "f", count: 255))"
        \(hops[3]) TXT "\(String(repeating: "g", count: 200))" "\(String(repeating: "h", count: 232))"
        """
    var diagnostics = Diagnostics()
    let source = readMasterFile(
        Array("$TTL 60\n\(text)\n".utf8), file: "example.com.zone", apex: try Name("example.com."),
        include: { _ throws(FileError) in throw FileError(explanation: "no files here") },
        diagnostics: &diagnostics)
    let steering = try Steering(SteeringConfiguration(), geography: Geography(database: nil))
    let zones = ZoneSet([source], diagnostics: &diagnostics)
    #expect(diagnostics.sorted.map(\.description) == [])
    let content = Content(
        zones: try #require(zones), steering: steering, identity: "", diagnostics: &diagnostics)
    return Snapshot(try #require(content))
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

/// A query for big.example.com TXT.
func bigQuery(id: UInt16) -> [UInt8] {
    let name = Array("\u{3}big\u{7}example\u{3}com\u{0}".utf8)
    return query(id: id).prefix(12) + name + [0, 16, 0, 1]
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

    /// Sends what the kernel takes at once.
    func sendNow(_ octets: [UInt8]) {
        // Safe: pointer and count of the same buffer.
        _ = unsafe octets.withUnsafeBytes {
            unsafe Glibc.send(
                descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
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

    /// How many segments with data have arrived (tcpi_data_segs_in of linux/tcp.h, at octet 152).
    var dataSegmentsReceived: Int? {
        var info = [UInt32](repeating: 0, count: 64)
        var length = socklen_t(info.count * 4)
        // Safe: the length is that of the array.
        let status = unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length)
        return status == 0 && length > 152 ? Int(info[152 / 4]) : nil
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Makes closing this socket a reset.
    func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }
}

/// A TCP connection to the server, from an address of 127/8 if it should be another network's.
func connect(
    to server: DNSServer, from source: String? = nil, timeoutMilliseconds: Int = 3_000
) throws -> TestSocket {
    let client = try TestSocket(stream: true, timeoutMilliseconds: timeoutMilliseconds)
    if let source {
        try #require(client.bindOrConnect(try #require(IPAddress(source)), 0, connects: false) == 0)
    }
    let target = try #require(IPAddress("127.0.0.1"))
    try #require(client.bindOrConnect(target, server.port, connects: true) == 0)
    return client
}

/// Waits until the condition holds; false after two seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<2_000 {
        if condition() { return true }
        usleep(1_000)
    }
    return condition()
}

/// The states of the sockets that are connected or bound to the port on 127/8, as the kernel numbers
/// them: 1 established, 4 FIN-WAIT-1, 8 CLOSE-WAIT, 10 listening.
func socketStates(of port: UInt16) -> [Int] {
    // Safe: the stream is closed below and not used after; the line is as long as said.
    guard let file = unsafe fopen("/proc/net/tcp", "r") else { return [] }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 512)
    var states: [Int] = []
    while unsafe fgets(&line, Int32(line.count), file) != nil {
        let text = String(
            decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let words = text.split(separator: " ")
        guard words.count > 3, let local = words[1].split(separator: ":").last,
            UInt16(local, radix: 16) == port, let state = Int(words[3], radix: 16)
        else { continue }
        states.append(state)
    }
    return states
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

/// A thread for a test that writes and reads at once.
struct Thread {
    private let handle: pthread_t

    init(_ body: @escaping () -> Void) {
        var started: pthread_t = 0
        // Safe: the thread takes over the one reference that is passed along.
        unsafe pthread_create(
            &started, nil,
            { context in
                guard let context = unsafe context else { return nil }
                unsafe Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(Box(body)).toOpaque())
        handle = started
    }

    func join() { pthread_join(handle, nil) }

    private final class Box {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}
