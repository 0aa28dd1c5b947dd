// The text of listen addresses, and what start-up errors say.

import Authority
import DNSWire
import Glibc
import Testing
import Transport

@Suite struct ListenAddressTests {
    @Test(
        "an address to listen on is an address with an optional port",
        arguments: [
            ("127.0.0.1:5300", "127.0.0.1:5300"), ("127.0.0.1", "127.0.0.1:53"),
            ("0.0.0.0", "0.0.0.0:53"), ("[::1]:53", "[::1]:53"), ("[::1]", "[::1]:53"),
            ("::1", "[::1]:53"), ("::", "[::]:53"), ("[2001:DB8::5]:65535", "[2001:db8::5]:65535"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ])
    func reads(text: String, canonical: String) {
        #expect(ListenAddress(text)?.description == canonical)
    }

    @Test(
        "what is not an address with an optional port is no address to listen on",
        arguments: [
            "", ":53", "localhost", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+53",
            "127.0.0.1:5 3", "127.0.0.1:000053", "[::1", "[::1]53", "[::1]:", "[127.0.0.1]:53",
            "::1]:53", "127.0.0.1:53:53", "[]:53", "[::1]:-1",
        ])
    func refuses(text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test("only the unspecified addresses are wildcards")
    func wildcards() throws {
        for text in ["0.0.0.0", "::"] { #expect(try #require(ListenAddress(text)).isWildcard) }
        for text in ["0.0.0.1", "::1"] { #expect(!(try #require(ListenAddress(text)).isWildcard)) }
    }

    @Test("a start-up error names the place, the fault and the cure")
    func errorText() throws {
        let address = try #require(ListenAddress("127.0.0.1"))
        let forbidden = TransportError.cannotListen(address, .udp, call: "bind", code: EACCES)
        #expect(
            forbidden.description == "cannot listen on 127.0.0.1:53/udp: permission denied; "
                + "ports under 1024 need CAP_NET_BIND_SERVICE")
        let used = TransportError.cannotListen(address, .tcp, call: "bind", code: EADDRINUSE)
        #expect(
            used.description == "cannot listen on 127.0.0.1:53/tcp: address in use; "
                + "is another DNS server running?")
    }

    @Test("a second server on the same address is told so")
    func secondServer() throws {
        let first = try startServer()
        defer { first.stop() }
        let address = first.boundAddresses[0]
        let error = #expect(throws: TransportError.self) {
            try startServer(["\(address)"])
        }
        #expect(error == .cannotListen(address, .tcp, call: "bind", code: EADDRINUSE))
    }

    @Test("a UDP port that another program holds is told so")
    func udpTaken() throws {
        let first = try startServer()
        let address = first.boundAddresses[0]
        first.stop()
        let holder = try TestSocket(stream: false)
        try #require(holder.bindOrConnect(address.address, address.port, connects: false) == 0)
        let error = #expect(throws: TransportError.self) { try startServer(["\(address)"]) }
        #expect(error == .cannotListen(address, .udp, call: "bind", code: EADDRINUSE))
    }

    @Test("an address of no interface, one listed twice, and none at all are refused")
    func badLists() throws {
        let foreign = try #require(ListenAddress("192.0.2.1:0"))
        #expect(
            throws: TransportError.cannotListen(foreign, .tcp, call: "bind", code: EADDRNOTAVAIL)
        ) {
            try startServer(["192.0.2.1:0"])
        }
        let twice = try #require(ListenAddress("127.0.0.1:0"))
        #expect(throws: TransportError.listedTwice(twice)) {
            try startServer(["127.0.0.1:0", "127.0.0.1:0"])
        }
        #expect(throws: TransportError.noAddress) { try startServer([]) }
    }
}
