// What the kernel grants the sockets that the server opens, and what is said where that is too little.

import DNSWire
import Glibc
import Testing

@testable import Transport

@Suite struct ListeningSocketTests {
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
        let needed = ReceiveBufferShortage.neededOctets
        #expect(Int(octets) / 2 >= min(needed, try systemLimit()))
        #expect(socket.receiveBufferOctets == Int(octets) / 2)
    }

    @Test("a server tells which of its sockets lack room: none where it may ask for all it wants")
    func shortageOfServer() throws {
        let server = try startServer(["127.0.0.1:0", "[::1]:0"], workers: 3)
        defer { server.stop() }
        let granted = try grantedOctets()
        guard granted < ReceiveBufferShortage.neededOctets else {
            #expect(server.receiveBufferShortage == nil)
            return
        }
        let shortage = try #require(server.receiveBufferShortage)
        #expect(shortage.addresses == server.boundAddresses)
        #expect(shortage.octets == granted)
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let sockets: [(address: String, octets: Int?)]
        let short: [String]
        let octets: Int
        var testDescription: String { "\(sockets)" }
    }

    @Test(
        "what has less than 2 MiB is short, and each address is told once",
        arguments: [
            Row(sockets: [], short: [], octets: 0),
            Row(sockets: [("0.0.0.0:53", 2 << 20), ("[::]:53", nil)], short: [], octets: 0),
            Row(sockets: [("0.0.0.0:53", (2 << 20) - 1)], short: ["0.0.0.0:53"], octets: 2_097_151),
            Row(
                sockets: [
                    ("0.0.0.0:53", 212_992), ("0.0.0.0:53", 212_992), ("[::]:53", 4 << 20),
                    ("192.0.2.1:53", 4_608),
                ], short: ["0.0.0.0:53", "192.0.2.1:53"], octets: 4_608),
        ])
    func decides(row: Row) throws {
        let shortage = ReceiveBufferShortage(
            try row.sockets.map { (try #require(ListenAddress($0.address)), $0.octets) })
        #expect((shortage?.addresses ?? []).map(\.description) == row.short)
        #expect((shortage?.octets ?? 0) == row.octets)
    }

    @Test("what is short is said with addresses, octets, risk and cure")
    func saysSo() throws {
        let addresses = ["0.0.0.0:53", "[::]:53"].compactMap(ListenAddress.init)
        let shortage = try #require(ReceiveBufferShortage(addresses.map { ($0, 212_992) }))
        #expect(
            shortage.description
                == "UDP sockets have receive buffers of 212992 octets (0.0.0.0:53, [::]:53), 2097152 are "
                + "wanted: under load queries are lost while a worker waits for a processor; raise the "
                + "limit (net.core.rmem_max = 4194304 in /etc/sysctl.d, then sysctl --system) or give the "
                + "server CAP_NET_ADMIN, then restart it")
    }

    /// What this process gets if it asks for 4 MiB, privileges or not, by a socket of the test's own.
    private func grantedOctets() throws -> Int {
        let socket = try TestSocket(stream: false)
        var octets: Int32 = 4 << 20
        var length = socklen_t(MemoryLayout<Int32>.size)
        // Safe: the value and its length live through the calls.
        if unsafe setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &octets, length) != 0 {
            unsafe setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVBUF, &octets, length)
        }
        let result = unsafe getsockopt(
            socket.descriptor, SOL_SOCKET, SO_RCVBUF, &octets, &length)
        try #require(result == 0)
        return Int(octets) / 2
    }

    /// What a process without privileges may ask for.
    private func systemLimit() throws -> Int {
        // Safe: a constant text.
        let file = unsafe open("/proc/sys/net/core/rmem_max", O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 32)
        // Safe: into the array, and no more than it has.
        let count = unsafe text.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, 32) }
        let digits = text.prefix(max(0, count)).filter { (0x30...0x39).contains($0) }
        return try #require(Int(String(decoding: digits, as: UTF8.self)))
    }
}
