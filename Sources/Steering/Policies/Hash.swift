// hash: every client prefix, IPv4's /24 or IPv6's /56, keeps its pool for as long as that can be used.
//
// Weighted rendezvous hashing (Thaler and Ravishankar 1998; the logarithm for weights as in
// draft-ietf-bess-weighted-hrw): each pool draws a number for each prefix, from its own name, and the
// best draw wins. A pool that goes takes its own clients with it and moves no others; one that comes
// takes its share from all. Every server of the same names and weights decides alike.
//
// ```yaml
// services:
//   web:
//     rules:
//       - policy: hash
//         pools: [{ pool: main, weight: 3 }, spare]
// ```

internal import DNSWire
internal import Geo
internal import Glibc

extension Policy {
    static let hash = Policy(
        name: "hash", entryKeys: ["weight"], dependsOnPlace: false, pick: .byHash,
        order: { _, _ in [] })
}

/// The prefix by which clients are told apart where a decision hashes them.
struct ClientPrefix: BitwiseCopyable {
    /// IPv4's: the networks that operators are given and that ECS discloses (RFC 7871, section 11.1).
    static let ipv4Length: UInt8 = 24
    /// IPv6's: the least that one customer is given (RFC 6177, section 2).
    static let ipv6Length: UInt8 = 56

    /// How many leading bits of the address it depends on.
    let length: UInt8
    /// The prefix mixed into 64 bits.
    let key: UInt64

    @inline(__always)
    init(_ address: IPAddress) {
        length = address.family == .ipv4 ? Self.ipv4Length : Self.ipv6Length
        // The families start at different numbers, so that no IPv4 prefix draws like an IPv6 one.
        key = mixed(address.high >> UInt64(64 - length) &+ UInt64(length) << 56)
    }
}

/// What a name draws with: the same on every server (FNV-1a, then mixed), other for each purpose.
func seed(ofName name: String, for purpose: Purpose) -> UInt64 {
    let hash = name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    return mixed(hash ^ purpose.rawValue)
}

/// Mixes 64 bits so that each depends on all others (the finaliser of SplitMix64).
@inline(__always)
func mixed(_ bits: UInt64) -> UInt64 {
    var z = bits &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
}

/// Logarithms of fractions in fixed point, so that every server computes the same ones.
struct LogarithmTable: Sendable {
    static let fractionBits: UInt64 = 24
    /// log2(1 + n/256) for 0...256.
    private let table: ContiguousArray<UInt32>

    init() {
        table = ContiguousArray(
            (0...256).map { n in
                UInt32((log2(1 + Double(n) / 256) * Double(1 << Self.fractionBits)).rounded())
            })
    }

    /// Returns -log2(bits / 2^64) with 24 bits of fraction: at most 64 whole.
    ///
    /// Of evenly spread bits it is distributed exponentially: the least of several, each divided by
    /// its weight, is each one's in proportion to the weights.
    @inline(__always)
    func negativeLogarithm(_ bits: UInt64) -> UInt64 {
        let bits = bits | 1
        let zeros = UInt64(bits.leadingZeroBitCount)
        let fraction = (bits << zeros) << 1
        let index = Int(fraction >> 56)
        let low = UInt64(table[index])
        let rest = (fraction << 8) >> 48
        let between = ((UInt64(table[index + 1]) - low) * rest) >> 16
        return (zeros + 1) << Self.fractionBits - (low + between)
    }
}

/// A draw to compare with others: the least logarithm for its weight is best.
struct DrawRank: BitwiseCopyable {
    private let logarithm: UInt64
    private let weight: UInt64
    let item: Int32

    /// - Parameter weight: 1 to 2^32.
    @inline(__always)
    init(_ logarithm: UInt64, weight: UInt64, item: Int32) {
        self.logarithm = logarithm
        self.weight = weight
        self.item = item
    }

    /// a / v < b / w, without dividing: at most 2^30 times 2^32. Of equal ones the first wins.
    @inline(__always)
    func precedes(_ other: DrawRank) -> Bool {
        let (left, right) = (logarithm * other.weight, other.logarithm * weight)
        return left == right ? item < other.item : left < right
    }
}
