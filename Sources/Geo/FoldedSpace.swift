// The parts of IPv6 whose addresses carry an IPv4 address: geography looks that one up instead.
//
// Otherwise a client would be somewhere else by its 6to4 or translated address than by its own, and
// a database that aliases these spaces would make each of its answers twice as long to compile.

public import DNSWire

/// An IPv6 space whose addresses are located by the IPv4 address inside them.
public enum FoldedSpace: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// `::/96`, IPv4-compatible (RFC 4291, section 2.5.5.1), where databases keep IPv4 as well.
    case compatible
    /// `::ffff:0:0/96`, IPv4-mapped (RFC 4291, section 2.5.5.2).
    case mapped
    /// `::ffff:0:0:0/96`, IPv4-translated (RFC 2765, section 2.1; SIIT).
    case translated
    /// `64:ff9b::/96`, the well-known translation prefix (RFC 6052, section 2.1).
    case wellKnownPrefix
    /// `2002::/16`, 6to4: the IPv4 address follows the prefix (RFC 3056, section 2).
    case sixToFour
    /// `2001::/32`, Teredo: the client's IPv4 address is last, inverted (RFC 4380, section 4).
    case teredo

    /// The high 64 bits of the prefix; the low 64 bits but those of `lowBits` are zero.
    private var highBits: UInt64 {
        switch self {
        case .compatible, .mapped, .translated: 0
        case .wellKnownPrefix: 0x0064_FF9B_0000_0000
        case .sixToFour: 0x2002_0000_0000_0000
        case .teredo: 0x2001_0000_0000_0000
        }
    }

    private var lowBits: UInt64 {
        switch self {
        case .mapped: 0x0000_FFFF_0000_0000
        case .translated: 0xFFFF_0000_0000_0000
        case .compatible, .wellKnownPrefix, .sixToFour, .teredo: 0
        }
    }

    /// How many bits the prefix has.
    public var length: Int {
        switch self {
        case .compatible, .mapped, .translated, .wellKnownPrefix: 96
        case .sixToFour: 16
        case .teredo: 32
        }
    }

    /// How many bits come before the IPv4 address: scope inside the space is this much more.
    public var offset: Int {
        self == .sixToFour ? 16 : 96
    }

    /// The space itself.
    public var network: IPNetwork {
        let address = IPAddress(family: .ipv6, high: highBits, low: lowBits)
        guard let network = IPNetwork(address, length: length) else {
            preconditionFailure("a folded space has at most 128 bits")
        }
        return network
    }

    /// The IPv4 address that an address of this space carries.
    func ipv4(high: UInt64, low: UInt64) -> IPAddress {
        switch self {
        case .sixToFour: IPAddress(ipv4: UInt32(truncatingIfNeeded: high >> 16))
        case .teredo: IPAddress(ipv4: ~UInt32(truncatingIfNeeded: low))
        case .compatible, .mapped, .translated, .wellKnownPrefix:
            IPAddress(ipv4: UInt32(truncatingIfNeeded: low))
        }
    }

    /// Returns the space that `address` lies in; nil for IPv4 and for all other IPv6.
    public static func containing(_ address: IPAddress) -> FoldedSpace? {
        guard address.family == .ipv6 else { return nil }
        return allCases.first { $0.network.contains(address) }
    }

    /// Returns the IPv4 address that `address` carries; nil for IPv4 and for all other IPv6.
    public static func ipv4(in address: IPAddress) -> IPAddress? {
        containing(address)?.ipv4(high: address.high, low: address.low)
    }

    /// Returns why a network can't be listed, with what to write instead; nil if it can.
    ///
    /// A network inside a folded space would never match: its clients are IPv4 by then. One that is
    /// wider than the space is fine, and holds for what lies outside the space.
    public static func objection(to network: IPNetwork) -> String? {
        guard let space = containing(network.address), network.length >= space.length else {
            return nil
        }
        let always = "addresses in \(space.network) are located by the IPv4 address they carry"
        let address = space.ipv4(high: network.address.high, low: network.address.low)
        guard network.length >= space.offset,
            let inner = IPNetwork(address, length: min(network.length - space.offset, 32))
        else { return "\(always); write that IPv4 network" }
        return "\(always); write \(inner)"
    }
}
