// A datagram from port 0 can't be answered, and is how two servers are set on each other
// (docs/lessons.md, L30). Only a raw socket sends one.

import Authority
import DNSWire
import Glibc
import Testing
import Transport

@Suite struct SourcePortTests {
    /// A raw socket for UDP, or -1 where the system won't.
    private static func rawSocket() -> Int32 { socket(AF_INET, Int32(SOCK_RAW.rawValue), 17) }

    private static let isPermitted: Bool = {
        let descriptor = rawSocket()
        guard descriptor >= 0 else { return false }
        close(descriptor)
        return true
    }()

    @Test(
        "a query from source port 0 is dropped",
        .enabled(if: isPermitted, "raw sockets want privileges"))
    func portZero() throws {
        let server = try startServer(["127.0.0.1:0"], workers: 1)
        defer { server.stop() }
        let raw = Self.rawSocket()
        defer { close(raw) }
        let payload = query(id: 1)
        let length = UInt16(8 + payload.count)
        // Source, destination, length, no checksum.
        let datagram =
            [0, 0, UInt8(server.port >> 8), UInt8(server.port & 255)]
            + [UInt8(length >> 8), UInt8(length & 255), 0, 0] + payload
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        // Safe: the address is read only during the call, with its own size.
        let sent = unsafe withUnsafePointer(to: &target) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe sendto(
                    raw, datagram, datagram.count, 0, $0,
                    socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        #expect(sent == datagram.count)
        let client = try TestSocket.connected(to: "127.0.0.1", port: server.port, stream: false)
        client.send(query(id: 2))
        #expect(isRefusal(try #require(client.receive()), of: 2))
        #expect(eventually { server.counters.udp.received == 2 })
        #expect(server.counters.udp.answered == 1)
        #expect(server.counters.udp.unanswered == 1)
    }
}
