// What draws are made of: prefixes and names hashed, logarithms of hashes, weights. All in whole numbers,
// so that every server comes to the same.

internal import DNSWire
internal import Glibc

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

/// What bits are for. Draws for one purpose must not depend on those for another.
enum Purpose: UInt64 {
    case nested = 0x5851_F42D_4C95_7F2D
    case origin = 0xDA94_2042_E4DD_58B5
    case admission = 0x1405_7B7E_F767_814F
    case overflow = 0xA076_1D64_78BD_642F
    case overCapacity = 0xE703_7ED1_A0B4_28DB
    case poolName = 0xC2B2_AE3D_27D4_EB4F
    case serviceName = 0x1656_67B1_9E37_79F9
    case originName = 0x8542_4CF0_B5A9_D3E1
}

/// The weights of what can be used: those that are stated, times what is admitted; the stated ones
/// alone where nothing is admitted; equal ones where all are zero.
struct WeightTotals: BitwiseCopyable {
    private(set) var count = 0
    /// How many have a weight that can be drawn.
    var drawable: Int { admitted > 0 ? admittedCount : stated > 0 ? statedCount : count }
    private var admittedCount = 0
    private var statedCount = 0
    private var admitted: UInt64 = 0
    private var stated: UInt64 = 0

    /// At most 64 children of less than 2^32 each.
    mutating func add(_ child: Child, _ admission: Share) {
        count += 1
        if child.weight > 0 { statedCount += 1 }
        if child.weight > 0, admission > 0 { admittedCount += 1 }
        admitted += UInt64(child.weight) * UInt64(admission)
        stated += UInt64(child.weight)
    }

    var total: UInt64 { admitted > 0 ? admitted : stated > 0 ? stated : UInt64(count) }

    @inline(__always)
    func weight(of child: Child, _ admission: Share) -> UInt64 {
        if admitted > 0 { return UInt64(child.weight) * UInt64(admission) }
        return stated > 0 ? UInt64(child.weight) : 1
    }
}
