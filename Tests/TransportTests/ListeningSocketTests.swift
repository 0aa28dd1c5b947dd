// What the kernel grants the sockets that the server opens.

import DNSWire
import Glibc
import Testing

@testable import Transport

@Suite struct ListeningSocketTests {
    /// What keeps queries from being lost while a worker is off its processor.
    private static let neededOctets: Int32 = 2 << 20

    @Test(
        "a UDP socket has room for 2 MiB, or for what the system lets it have",
        arguments: ["127.0.0.1", "::1"])
    func receiveBuffer(address: String) throws {
        let address = try #require(IPAddress(address))
        let socket = try ListeningSocket.udp(ListenAddress(address: address, port: 0))
        var octets: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        // Safe: both live through the call.
        let result = unsafe getsockopt(
            socket.descriptor, SOL_SOCKET, SO_RCVBUF, &octets, &length)
        try #require(result == 0)
        // The kernel tells twice what may be asked for, its own bookkeeping included.
        #expect(octets / 2 >= min(Self.neededOctets, try systemLimit()))
    }

    /// What a process without privileges may ask for.
    private func systemLimit() throws -> Int32 {
        // Safe: a constant text.
        let file = unsafe open("/proc/sys/net/core/rmem_max", O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 32)
        // Safe: into the array, and no more than it has.
        let count = unsafe text.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, 32) }
        let digits = text.prefix(max(0, count)).filter { (0x30...0x39).contains($0) }
        return try #require(Int32(String(decoding: digits, as: UTF8.self)))
    }
}
