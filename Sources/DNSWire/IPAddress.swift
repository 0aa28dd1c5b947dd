// Addresses and networks: the one pair of types for who asks, who is steered and what rules match.
//
// Bits are kept left-aligned in 128, whatever the family, so that every walk over an address (the
// location tree, scope, network match) is the same code for IPv4 and IPv6.

/// An IPv4 or IPv6 address.
public struct IPAddress: Hashable, Sendable, BitwiseCopyable {
    /// The address family, with the number of address bits as its raw value.
    public enum Family: UInt8, Sendable, BitwiseCopyable {
        case ipv4 = 32
        case ipv6 = 128
    }

    public var family: Family
    /// The first 64 bits; an IPv4 address is the upper half of these, the rest is zero.
    public var high: UInt64
    /// The last 64 bits; zero for IPv4.
    public var low: UInt64

    @inlinable
    public init(family: Family, high: UInt64, low: UInt64) {
        self.family = family
        self.high = high
        self.low = low
    }

    /// An IPv4 address from its 32 bits in host order: `IPAddress(ipv4: 0x7F000001)` is 127.0.0.1.
    @inlinable
    public init(ipv4 bits: UInt32) {
        self.init(family: .ipv4, high: UInt64(bits) << 32, low: 0)
    }

    /// The 32 bits of an IPv4 address in host order.
    @inlinable
    public var ipv4Bits: UInt32 { UInt32(truncatingIfNeeded: high >> 32) }

    /// Returns the address with all bits after the first `length` cleared.
    ///
    /// - Parameter length: 0 to 128; more is taken as 128.
    @inlinable
    public func masked(to length: Int) -> IPAddress {
        var result = self
        if length < 64 {
            result.high = length <= 0 ? 0 : high & ~(UInt64.max >> UInt64(length))
            result.low = 0
        } else if length < 128 {
            result.low = length == 64 ? 0 : low & ~(UInt64.max >> UInt64(length - 64))
        }
        return result
    }

    /// The network-order octets: 4 for IPv4, 16 for IPv6.
    public var octets: [UInt8] {
        (0..<Int(family.rawValue) / 8).map { index in
            let word = index < 8 ? high : low
            return UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * (index % 8)))
        }
    }

    /// An address from its network-order octets; nil unless there are 4 or 16.
    public init?(octets: some Collection<UInt8>) {
        guard octets.count == 4 || octets.count == 16 else { return nil }
        self.init(family: octets.count == 4 ? .ipv4 : .ipv6, high: 0, low: 0)
        for (index, octet) in octets.enumerated() {
            let shifted = UInt64(octet) << UInt64(56 - 8 * (index % 8))
            if index < 8 { high |= shifted } else { low |= shifted }
        }
    }
}

// MARK: - Text

extension IPAddress: CustomStringConvertible {
    /// Dotted decimal, or the canonical text of RFC 5952, section 4.
    public var description: String {
        if family == .ipv4 {
            let bits = ipv4Bits
            return "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
        }
        if high == 0, low >> 32 == 0xFFFF {
            return "::ffff:" + IPAddress(ipv4: UInt32(truncatingIfNeeded: low)).description
        }
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index % 4)))
        }
        // The longest run of two or more zero groups, the first of equals, becomes "::".
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start >= 2, end - start > longest.count { longest = start..<end }
            start = max(end, start + 1)
        }
        let hex = { (part: ArraySlice<UInt16>) in
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if longest.isEmpty { return hex(groups[...]) }
        return hex(groups[..<longest.lowerBound]) + "::" + hex(groups[longest.upperBound...])
    }
}

/// A network: an address whose bits after `length` are zero.
public struct IPNetwork: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public let address: IPAddress
    /// The number of leading bits that are fixed: 0 to 32 or 128.
    public let length: Int

    /// The network of that length that holds `address`; nil if the family has fewer bits.
    @inlinable
    public init?(_ address: IPAddress, length: Int) {
        guard length >= 0, length <= Int(address.family.rawValue) else { return nil }
        self.address = address.masked(to: length)
        self.length = length
    }

    /// A network from `ADDRESS/LENGTH`, or from an address alone (its full length).
    ///
    /// Nil if the text is neither, and also if bits after the length are set.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        var length = Int(address.family.rawValue)
        if parts.count == 2 {
            let digits = parts[1].utf8
            guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
                let value = Int(parts[1]), value <= length
            else { return nil }
            length = value
        }
        guard address.masked(to: length) == address else { return nil }
        self.address = address
        self.length = length
    }

    /// Whether `address` lies in this network; never for the other family.
    @inlinable
    public func contains(_ address: IPAddress) -> Bool {
        address.family == self.address.family && address.masked(to: length) == self.address
    }

    public var description: String { "\(address)/\(length)" }
}
