// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): what makes DNS server
// cookies (RFC 9018, section 4.4). Words in, a word out, in registers: nothing is allocated.

/// A secret of 128 bits.
public struct SipHashKey: Sendable, Hashable, BitwiseCopyable {
    @usableFromInline let low: UInt64
    @usableFromInline let high: UInt64

    /// A key from its 16 octets.
    ///
    /// - Precondition: there are 16.
    public init(_ octets: some Collection<UInt8>) {
        precondition(octets.count == 16, "a SipHash key has 16 octets")
        var low: UInt64 = 0
        var high: UInt64 = 0
        for (index, octet) in octets.enumerated() {
            let shifted = UInt64(octet) << UInt64(8 * (index % 8))
            if index < 8 { low |= shifted } else { high |= shifted }
        }
        self.low = low
        self.high = high
    }

    /// A key that nobody knows.
    public static func random(using generator: inout some RandomNumberGenerator) -> SipHashKey {
        SipHashKey((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
}

/// One hash being made: whole words first, then the rest.
public struct SipHash24: BitwiseCopyable {
    @usableFromInline var v0: UInt64
    @usableFromInline var v1: UInt64
    @usableFromInline var v2: UInt64
    @usableFromInline var v3: UInt64
    @usableFromInline var length: UInt64 = 0

    @inlinable
    public init(key: SipHashKey) {
        v0 = key.low ^ 0x736F_6D65_7073_6575
        v1 = key.high ^ 0x646F_7261_6E64_6F6D
        v2 = key.low ^ 0x6C79_6765_6E65_7261
        v3 = key.high ^ 0x7465_6462_7974_6573
    }

    /// Takes the next eight octets of the message, the first of them in the lowest bits.
    @inlinable
    @inline(__always)
    public mutating func absorb(_ word: UInt64) {
        length &+= 8
        compress(word)
    }

    /// Takes the last octets, the first of them in the lowest bits, and returns the hash.
    ///
    /// - Parameters:
    ///   - rest: zero above its octets.
    ///   - count: how many octets there are, at most seven.
    @inlinable
    @inline(__always)
    public mutating func finish(_ rest: UInt64 = 0, count: Int = 0) -> UInt64 {
        precondition(count >= 0 && count < 8, "eight octets are a word")
        compress(rest | (length &+ UInt64(count)) << 56)
        v2 ^= 0xFF
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }

    @inlinable
    @inline(__always)
    mutating func compress(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    @inlinable
    @inline(__always)
    mutating func round() {
        v0 = v0 &+ v1
        v1 = v1 &<< 13 | v1 &>> 51
        v1 ^= v0
        v0 = v0 &<< 32 | v0 &>> 32
        v2 = v2 &+ v3
        v3 = v3 &<< 16 | v3 &>> 48
        v3 ^= v2
        v0 = v0 &+ v3
        v3 = v3 &<< 21 | v3 &>> 43
        v3 ^= v0
        v2 = v2 &+ v1
        v1 = v1 &<< 17 | v1 &>> 47
        v1 ^= v2
        v2 = v2 &<< 32 | v2 &>> 32
    }
}
