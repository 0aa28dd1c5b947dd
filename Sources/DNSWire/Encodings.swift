// Octets as text: hexadecimal, base64 and base32hex (RFC 4648), as record data uses them.

enum Hexadecimal {
    private static let digits = Array("0123456789ABCDEF".utf8)

    static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }

    /// The octets of pairs of digits; nil for none, an odd number, or anything that is no digit.
    static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard !text.isEmpty, text.count % 2 == 0 else { return nil }
        var octets: [UInt8] = []
        octets.reserveCapacity(text.count / 2)
        var position = text.startIndex
        while position < text.endIndex {
            guard let high = value(of: text[position]), let low = value(of: text[position + 1])
            else { return nil }
            octets.append(high << 4 | low)
            position += 2
        }
        return octets
    }

    static func encode(_ octets: some Sequence<UInt8>) -> [UInt8] {
        octets.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}

/// What base64 and base32hex share: digits of 6 or 5 bits.
private enum BitGroups {
    /// Whole octets of the digits' bits; nil for a bad digit, or bits left over that aren't zero
    /// or are enough for one more digit.
    static func decode(
        _ text: ArraySlice<UInt8>, bits: Int, value: (UInt8) -> UInt8?
    ) -> [UInt8]? {
        var octets: [UInt8] = []
        octets.reserveCapacity(text.count * bits / 8)
        var pending: UInt32 = 0
        var pendingBits = 0
        for digit in text {
            guard let value = value(digit) else { return nil }
            pending = pending << UInt32(bits) | UInt32(value)
            pendingBits += bits
            if pendingBits >= 8 {
                pendingBits -= 8
                octets.append(UInt8(truncatingIfNeeded: pending >> UInt32(pendingBits)))
                pending &= (1 << UInt32(pendingBits)) - 1
            }
        }
        return pendingBits < bits && pending == 0 ? octets : nil
    }

    static func encode(_ octets: some Sequence<UInt8>, bits: Int, digits: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        let mask: UInt32 = (1 << UInt32(bits)) - 1
        var pending: UInt32 = 0
        var pendingBits = 0
        for octet in octets {
            pending = pending << 8 | UInt32(octet)
            pendingBits += 8
            while pendingBits >= bits {
                pendingBits -= bits
                text.append(digits[Int(pending >> UInt32(pendingBits) & mask)])
            }
            pending &= (1 << UInt32(pendingBits)) - 1
        }
        if pendingBits > 0 {
            text.append(digits[Int(pending << UInt32(bits - pendingBits) & mask)])
        }
        return text
    }
}

enum Base64 {
    private static let digits = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case 0x41...0x5A: digit - 0x41
        case 0x61...0x7A: digit - 0x61 + 26
        case 0x30...0x39: digit - 0x30 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// The octets of padded base64 (RFC 4648, section 4); nil if it is anything else.
    static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var end = text.endIndex
        while end > text.startIndex, text.endIndex - end < 2, text[end - 1] == 0x3D { end -= 1 }
        return BitGroups.decode(text[..<end], bits: 6, value: value)
    }

    static func encode(_ octets: some Sequence<UInt8>) -> [UInt8] {
        var text = BitGroups.encode(octets, bits: 6, digits: digits)
        while text.count % 4 != 0 { text.append(0x3D) }
        return text
    }
}

enum Base32Hex {
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUV".utf8)

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x56: digit - 0x41 + 10
        case 0x61...0x76: digit - 0x61 + 10
        default: nil
        }
    }

    /// The octets of unpadded base32hex (RFC 4648, section 7); nil if it is anything else.
    static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        BitGroups.decode(text, bits: 5, value: value)
    }

    static func encode(_ octets: some Sequence<UInt8>) -> [UInt8] {
        BitGroups.encode(octets, bits: 5, digits: digits)
    }
}
