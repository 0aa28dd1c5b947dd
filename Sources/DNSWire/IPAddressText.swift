// Addresses from the octets of their text: one reader for files, settings and record data, which
// makes no strings on the way.

extension IPAddress: LosslessStringConvertible {
    /// An address from its text: dotted decimal (no leading zeros), or RFC 4291, section 2.2.
    public init?(_ text: String) {
        self.init(text: Array(text.utf8)[...])
    }

    /// An address from the octets of its text.
    public init?(text: ArraySlice<UInt8>) {
        if let bits = Self.ipv4Bits(of: text) {
            self.init(ipv4: bits)
        } else if let (high, low) = Self.ipv6Bits(of: text) {
            self.init(family: .ipv6, high: high, low: low)
        } else {
            return nil
        }
    }

    private static func ipv4Bits(of text: ArraySlice<UInt8>) -> UInt32? {
        // "255.255.255.255"
        guard (7...15).contains(text.count) else { return nil }
        var bits: UInt32 = 0
        var part: UInt32 = 0
        var digits = 0
        var dots = 0
        for octet in text {
            if octet == UInt8(ascii: ".") {
                guard digits > 0 else { return nil }
                bits = bits << 8 | part
                dots += 1
                (part, digits) = (0, 0)
            } else {
                // A second digit after a leading zero might be meant as octal: refused.
                guard octet &- 0x30 < 10, digits == 0 || part != 0 else { return nil }
                part = part * 10 + UInt32(octet &- 0x30)
                digits += 1
                guard part <= 255 else { return nil }
            }
        }
        return dots == 3 && digits > 0 ? bits << 8 | part : nil
    }

    private static func ipv6Bits(of text: ArraySlice<UInt8>) -> (UInt64, UInt64)? {
        // Two, for "::", to 45, for eight groups of which the last two are dotted decimal.
        guard (2...45).contains(text.count) else { return nil }
        let colon = UInt8(ascii: ":")
        var bits: UInt128 = 0
        var groups = 0
        var groupsBeforeGap: Int?
        var position = text.startIndex
        if text[position] == colon {
            guard text[position + 1] == colon else { return nil }
            groupsBeforeGap = 0
            position += 2
        }
        while position < text.endIndex {
            guard groups < 8 else { return nil }
            let start = position
            var group: UInt128 = 0
            while position < text.endIndex, let digit = Hexadecimal.value(of: text[position]) {
                guard position - start < 4 else { return nil }
                group = group << 4 | UInt128(digit)
                position += 1
            }
            if position < text.endIndex, text[position] == UInt8(ascii: ".") {
                guard groups <= 6, let ipv4 = ipv4Bits(of: text[start...]) else { return nil }
                bits = bits << 32 | UInt128(ipv4)
                groups += 2
                break
            }
            guard position > start else { return nil }
            bits = bits << 16 | group
            groups += 1
            guard position < text.endIndex else { break }
            guard text[position] == colon, position + 1 < text.endIndex else { return nil }
            position += 1
            if text[position] == colon {
                guard groupsBeforeGap == nil else { return nil }
                groupsBeforeGap = groups
                position += 1
            }
        }
        if let before = groupsBeforeGap {
            // The gap stands for at least one group (RFC 4291, section 2.2).
            guard groups < 8 else { return nil }
            let after = UInt128(16 * (groups - before))
            let tail = bits & ((1 << after) - 1)
            bits = before == 0 ? tail : (bits >> after) << UInt128(128 - 16 * before) | tail
        } else if groups != 8 {
            return nil
        }
        return (UInt64(truncatingIfNeeded: bits >> 64), UInt64(truncatingIfNeeded: bits))
    }
}
