// The set of record types that NSEC, NSEC3 and CSYNC carry (RFC 4034, section 4.1.2).

enum TypeBitmap {
    /// The types in ascending order; nil unless the octets are exactly one well-formed bitmap.
    static func types(in octets: ArraySlice<UInt8>) -> [RecordType]? {
        var types: [RecordType] = []
        var rest = octets
        var lastWindow = -1
        while let window = rest.first {
            rest = rest.dropFirst()
            guard Int(window) > lastWindow, let length = rest.first, (1...32).contains(length),
                rest.count > Int(length)
            else { return nil }
            let bits = rest.dropFirst().prefix(Int(length))
            // Trailing zero octets must be left out, and so must empty windows.
            guard bits.last != 0 else { return nil }
            for (index, octet) in bits.enumerated() {
                for bit in 0..<8 where octet & (0x80 >> UInt8(bit)) != 0 {
                    types.append(RecordType(UInt16(window) << 8 | UInt16(index * 8 + bit)))
                }
            }
            lastWindow = Int(window)
            rest = rest.dropFirst(1 + Int(length))
        }
        return types
    }

    /// The bitmap of types in any order, repeated or not.
    static func octets(of types: some Sequence<RecordType>) -> [UInt8] {
        var result: [UInt8] = []
        var window: UInt16?
        var bits: [UInt8] = []
        func close() {
            guard let window else { return }
            result += [UInt8(window), UInt8(bits.count)] + bits
            bits = []
        }
        for code in types.map(\.code).sorted() {
            if window != code >> 8 {
                close()
                window = code >> 8
            }
            let index = Int(code & 0xFF) / 8
            while bits.count <= index { bits.append(0) }
            bits[index] |= 0x80 >> UInt8(code & 7)
        }
        close()
        return result
    }
}
