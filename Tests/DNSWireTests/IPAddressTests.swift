// Addresses and networks as values: masks, octets, printing, what a network holds. How text is read
// is in IPAddressTextTests.swift.

import DNSWire
import Testing

@Suite("IPAddress")
struct IPAddressTests {
    @Test(
        "addresses print in canonical form (RFC 5952, section 4)",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("::", "::"), ("::1", "::1"),
            ("1::", "1::"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),  // the first of equal runs
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),  // the longest
            ("1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"),  // one group is no run
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("0:0:0:0:0:0:0:0", "::"),
        ])
    func printing(text: String, canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
    }

    @Test("octets are in network order, and 4 or 16")
    func octets() throws {
        let four = try #require(IPAddress("192.0.2.1"))
        #expect(four.octets == [192, 0, 2, 1])
        #expect(four.ipv4Bits == 0xC000_0201)
        #expect(four == IPAddress(ipv4: 0xC000_0201))
        #expect(IPAddress(octets: four.octets) == four)
        let six = try #require(IPAddress("102:304:506:708:90a:b0c:d0e:f10"))
        #expect(six.octets == Array(1...16))
        #expect(IPAddress(octets: six.octets) == six)
        for count in [0, 1, 3, 5, 15, 17] {
            #expect(IPAddress(octets: [UInt8](repeating: 1, count: count)) == nil)
        }
    }

    @Test("a mask keeps the leading bits, and lengths outside the family do no harm")
    func masks() {
        let six = IPAddress(family: .ipv6, high: .max, low: .max)
        for length in 0...128 {
            let masked = six.masked(to: length)
            #expect(masked.high.nonzeroBitCount + masked.low.nonzeroBitCount == length)
            #expect(masked.high.leadingZeroBitCount == (length == 0 ? 64 : 0))
            #expect((~masked.high).leadingZeroBitCount == min(length, 64))
            #expect((~masked.low).leadingZeroBitCount == max(length - 64, 0))
        }
        #expect(six.masked(to: 200) == six)
        #expect(six.masked(to: -1) == IPAddress(family: .ipv6, high: 0, low: 0))
    }

    @Test("equal bits of different families are different addresses")
    func families() {
        #expect(IPAddress("0.0.0.0") != IPAddress("::"))
        #expect(
            IPNetwork("0.0.0.0/0")?.contains(IPAddress(family: .ipv6, high: 0, low: 0)) == false)
    }

    @Test(
        "a network is an address without bits after its length",
        arguments: [
            ("10.0.0.0/8", "10.0.0.0/8"), ("192.0.2.1", "192.0.2.1/32"), ("::1", "::1/128"),
            ("2001:db8::/32", "2001:db8::/32"), ("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"),
            ("10.0.0.1/8", nil), ("10.0.0.0/33", nil), ("::/129", nil), ("10.0.0.0/-1", nil),
            ("10.0.0.0/", nil), ("/8", nil), ("10.0.0.0/8/8", nil), ("10.0.0.0/0008", nil),
            ("10.0.0.0/+8", nil), ("2001:db8::1/64", nil), ("", nil),
        ] as [(String, String?)])
    func networks(text: String, canonical: String?) {
        #expect(IPNetwork(text)?.description == canonical)
    }

    @Test("a network holds its first and last address and none beside them")
    func bounds() throws {
        let network = try #require(IPNetwork("192.0.2.64/26"))
        #expect(network.contains(IPAddress(ipv4: 0xC000_0240)))
        #expect(network.contains(IPAddress(ipv4: 0xC000_027F)))
        #expect(!network.contains(IPAddress(ipv4: 0xC000_023F)))
        #expect(!network.contains(IPAddress(ipv4: 0xC000_0280)))
        #expect(IPNetwork(IPAddress(ipv4: 0xC000_0241), length: 26) == network)
        #expect(IPNetwork(IPAddress(ipv4: 0), length: 33) == nil)
        #expect(IPNetwork(IPAddress(ipv4: 0), length: -1) == nil)
    }
}
