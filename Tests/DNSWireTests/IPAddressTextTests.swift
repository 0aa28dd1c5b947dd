import DNSWire
import Glibc
import Testing

struct IPAddressTextTests {
    /// What the C library makes of a text.
    private func reference(_ text: String) -> [UInt8]? {
        for (family, length) in [(AF_INET, 4), (AF_INET6, 16)] {
            var octets = [UInt8](repeating: 0, count: length)
            // Safe: the array has as many octets as the family's address.
            if unsafe inet_pton(family, text, &octets) == 1 { return octets }
        }
        return nil
    }

    @Test("addresses are read as inet_pton reads them, mutated ones too")
    func reading() {
        let seeds = [
            "192.0.2.1", "0.0.0.0", "255.255.255.255", "::", "::1", "1::", "2001:db8::1",
            "1:2:3:4:5:6:7:8", "1::8", "::ffff:192.0.2.1", "1:2:3:4:5:6:192.0.2.1",
            "2001:db8:122:344::192.0.2.33", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "fe80::A:b",
        ]
        let alphabet = Array("0123456789abF:.:g -%".utf8)
        var random = TestRandom(seed: 3)
        var accepted = 0
        for turn in 0..<40_000 {
            var text = Array(seeds[random.below(seeds.count)].utf8)
            for _ in 0..<(turn < 100 ? 0 : random.below(4)) {
                let place = random.below(text.count)
                switch random.below(3) {
                case 0: text[place] = alphabet[random.below(alphabet.count)]
                case 1: text.insert(alphabet[random.below(alphabet.count)], at: place)
                default: if text.count > 1 { text.remove(at: place) }
                }
            }
            let string = String(decoding: text, as: UTF8.self)
            let address = IPAddress(text: text[...])
            #expect(address?.octets == reference(string), "\(string)")
            guard let address else { continue }
            accepted += 1
            #expect(IPAddress(address.description) == address)
        }
        #expect(accepted > 5_000)
    }
}
