// The world that the conformance suites steer: eight pools in one rule and a ninth to fall back on, all
// addresses telling their pool and origin, clients at known and unknown places.

import DNSWire
import Geo
import Testing

@testable import Steering

/// One way to choose among pools with one way to choose among their origins.
struct Combination: Sendable, CustomStringConvertible {
    var policy: Policy
    var origins: OriginPolicy
    /// Whether some pools leave a part of their clients to others.
    var isShedding: Bool

    /// All there are: whoever adds a policy has it held to what all of them promise.
    static let all: [Combination] = Policy.all.flatMap { policy in
        OriginPolicy.allCases.flatMap { origins in
            [false, true].map {
                Combination(policy: policy, origins: origins, isShedding: $0)
            }
        }
    }

    var description: String { "\(policy), origins \(origins)\(isShedding ? ", shedding" : "")" }

    /// Whether a decision may look at the client's prefix.
    var mayHash: Bool { policy.pick == .byHash || origins == .hash || isShedding }
}

/// Pools `p0` to `p7` in one rule, and `last`, which every service falls back on.
///
/// Each has the origins `o0` and `o1` of both families, and `o2`, which lacks one in half of them. The
/// addresses of `o1` of `p3` are 192.0.3.1 and 2001:db8:3::1.
enum World {
    static let members = (0..<8).map { "p\($0)" }
    static let last = 8
    static let poolNames = members + ["last"]
    static let originWeights = [3, 1, 2]
    static let poolWeights = [1, 2, 3, 4, 5, 6, 0, 1]
    static let sheds = [0, 30, 0, 50, 100, 0, 0, 10]

    /// In degrees; `p6` says not where it is.
    private static let places = [
        "[50.11, 8.68]", "[39.04, -77.49]", "[35.68, 139.69]", "[-23.55, -46.63]",
        "[-33.87, 151.21]", "[1.35, 103.82]", nil, "[37.37, -121.92]", "[-33.92, 18.42]",
    ]

    /// - Parameter members: the rule's pools; the others are defined and not used.
    static func configuration(_ combination: Combination, members: [String] = members) -> String {
        let entries = members.map { name in
            combination.policy.entryKeys.contains("weight")
                ? "{ pool: \(name), weight: \(poolWeights[number(name)]) }" : name
        }
        let rule = "{ policy: \(combination.policy), pools: [\(entries.joined(separator: ", "))] }"
        let services = WhenAllDown.allCases.map {
            "  \($0): { when_all_down: \($0), fallback: last, rules: [\(rule)] }\n"
        }
        return "pools:\n" + poolNames.map { pool($0, combination) }.joined()
            + "services:\n" + services.joined()
    }

    static func number(_ name: String) -> Int {
        poolNames.firstIndex(of: name) ?? last
    }

    private static func pool(_ name: String, _ combination: Combination) -> String {
        let pool = number(name)
        let origins = (0..<3).map { origin in
            let ipv4 = "192.0.\(pool).\(origin)"
            let ipv6 = "\"2001:db8:\(pool)::\(origin)\""
            let addresses = [ipv4, ipv6].enumerated().filter { serves(pool, origin, $0.offset) }
                .map(\.element).joined(separator: ", ")
            let weight =
                combination.origins == .all ? "" : ", weight: \(originWeights[origin])"
            return "o\(origin): { addresses: [\(addresses)]\(weight) }"
        }
        let place = places[pool].map { "location: \($0), " } ?? ""
        let shed = combination.isShedding && pool < last ? "shed: \(sheds[pool])%, " : ""
        return "  \(name): { \(place)\(shed)policy: \(combination.origins), origins: {"
            + " \(origins.joined(separator: ", ")) } }\n"
    }

    /// Round trips against what distance says: for policies that go by measurements.
    static let latency = """
        key,pool,rtt_ms
        203.0.113.0/24,p3,10
        203.0.113.0/25,p1,5
        JP,p4,20
        KE,p2,30
        10.2.0.0/16,p7,12.5
        2001:db8:a::/48,p6,8
        *,p5,90
        *,p0,95

        """

    /// The pool and the origin that have an address.
    static func owner(_ address: IPAddress) -> (pool: Int, origin: Int) {
        switch address.family {
        case .ipv4: (Int(address.ipv4Bits >> 8 & 255), Int(address.ipv4Bits & 255))
        case .ipv6: (Int(address.high >> 16 & 0xFFFF), Int(address.low))
        }
    }

    /// Whether an origin has an address of a family: 0 is IPv4, 1 is IPv6.
    static func serves(_ pool: Int, _ origin: Int, _ family: Int) -> Bool {
        origin < 2 || pool % 4 != 1 - family
    }

    /// Whether the origin of an address has both families.
    static func isDual(_ address: IPAddress) -> Bool {
        let (pool, origin) = owner(address)
        return isDual(pool, origin)
    }

    static func isDual(_ pool: Int, _ origin: Int) -> Bool {
        serves(pool, origin, 0) && serves(pool, origin, 1)
    }

    static let clients =
        [
            "198.51.100.1", "198.51.100.129", "203.0.113.1", "203.0.113.130", "10.1.2.3",
            "10.3.0.1",
            "10.8.0.1", "192.0.2.77", "2001:db8:a::1", "2001:db8:a:8000::1", "2001:db8:ffff::1",
            "::ffff:203.0.113.9", "2002:cb00:7105::1", "64:ff9b::198.51.100.77",
        ].map { Client(address($0)) } + [
            // Nobody knows these, and their resolvers are known, or not.
            Client(address("10.200.0.0"), knownBits: 24, resolver: address("203.0.113.1")),
            Client(address("2001:db8:ffff::"), knownBits: 56, resolver: address("10.3.0.1")),
            Client(address("192.168.7.0"), knownBits: 24, resolver: address("192.0.2.77")),
        ]

    /// As many clients as asked for, each in a /24 of its own, most of them where `worldPlaces` knows.
    static func prefixes(_ count: Int) -> [Client] {
        (0..<count).map { number in
            // 10.0.0.0 onwards, with the last octet anything.
            Client(IPAddress(ipv4: 0x0A00_0000 + UInt32(number) << 8 + UInt32(number * 7 & 255)))
        }
    }
}

extension IPAddress {
    /// Both ends of the network of that length around the address, and random addresses in it.
    func samples(
        inFirst length: Int, _ count: Int, _ random: inout SeededGenerator
    ) -> [IPAddress] {
        let edges = [inside(length, 0, 0), inside(length, .max, .max)]
        return edges + (0..<count).map { _ in inside(length, random.next(), random.next()) }
    }

    /// The address that shares the first `length` bits and has these behind them.
    private func inside(_ length: Int, _ high: UInt64, _ low: UInt64) -> IPAddress {
        let isIPv4 = family == .ipv4
        let other = IPAddress(
            family: family, high: isIPv4 ? high & 0xFFFF_FFFF_0000_0000 : high,
            low: isIPv4 ? 0 : low)
        let (base, kept) = (masked(to: length), other.masked(to: length))
        return IPAddress(
            family: family, high: base.high | (other.high ^ kept.high),
            low: base.low | (other.low ^ kept.low))
    }
}

/// The 99.9th percentile of the chi-square distribution, for 1 to 30 degrees of freedom: what a right
/// distribution exceeds once in a thousand trials.
func chiSquareLimit(degrees: Int) -> Double {
    let percentiles = [
        10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32, 26.12, 27.88, 29.59, 31.26, 32.91, 34.53,
        36.12, 37.70, 39.25, 40.79, 42.31, 43.82, 45.31, 46.80, 48.27, 49.73, 51.18, 52.62, 54.05,
        55.48, 56.89, 58.30, 59.70,
    ]
    precondition(percentiles.indices.contains(degrees - 1), "\(degrees) degrees are in the table")
    return percentiles[degrees - 1]
}

/// The chi-square statistic of counts against shares, and what it may be at most; infinite if
/// something came that has no share.
func chiSquare<Key: Hashable>(
    _ counts: [Key: Int], _ shares: [Key: Double]
) -> (statistic: Double, limit: Double) {
    let drawable = shares.filter { $0.value > 0 }
    let total = Double(counts.values.reduce(0, +))
    let sum = drawable.values.reduce(0, +)
    guard Set(counts.keys).isSubset(of: drawable.keys) else { return (.infinity, 0) }
    let statistic = drawable.reduce(0.0) { result, item in
        let expected = total * item.value / sum
        let difference = Double(counts[item.key] ?? 0) - expected
        return result + difference * difference / expected
    }
    guard drawable.count > 1 else { return (statistic, 0) }
    return (statistic, chiSquareLimit(degrees: drawable.count - 1))
}
