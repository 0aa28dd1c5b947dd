// APL data: a list of address prefixes, each of which may be negated (RFC 3123).

enum AddressPrefixes {
    /// One item: family, prefix length, negation, the address without its trailing zero octets.
    struct Item {
        var family: UInt16
        var length: UInt8
        var isNegated: Bool
        var address: ArraySlice<UInt8>
    }

    static func isValid(_ octets: ArraySlice<UInt8>) -> Bool { items(in: octets) != nil }

    /// The items; nil unless the octets are exactly a well-formed list (RFC 3123, section 4).
    static func items(in octets: ArraySlice<UInt8>) -> [Item]? {
        var items: [Item] = []
        var rest = octets
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let start = rest.startIndex
            let length = Int(rest[start + 3] & 0x7F)
            guard rest.count >= 4 + length else { return nil }
            let item = Item(
                family: UInt16(rest[start]) << 8 | UInt16(rest[start + 1]), length: rest[start + 2],
                isNegated: rest[start + 3] & 0x80 != 0,
                address: rest[start + 4..<start + 4 + length])
            guard item.address.last != 0, item.length <= maximumLength(of: item.family),
                length * 8 <= maximumLength(of: item.family) || item.family > 2
            else { return nil }
            items.append(item)
            rest = rest.dropFirst(4 + length)
        }
        return items
    }

    private static func maximumLength(of family: UInt16) -> Int {
        family == 1 ? 32 : family == 2 ? 128 : 255
    }

    /// The presentation format; nil if a family has none.
    static func presentation(of octets: ArraySlice<UInt8>) -> String? {
        var words: [String] = []
        for item in items(in: octets) ?? [] {
            guard item.family == 1 || item.family == 2 else { return nil }
            let size = item.family == 1 ? 4 : 16
            let whole = item.address + [UInt8](repeating: 0, count: size - item.address.count)
            guard let address = IPAddress(octets: whole) else { return nil }
            words.append("\(item.isNegated ? "!" : "")\(item.family):\(address)/\(item.length)")
        }
        return words.joined(separator: " ")
    }
}

extension RDataReader {
    mutating func readPrefixes() throws(RDataError) {
        while position < tokens.endIndex {
            let word = try take()
            let isNegated = word.first == UInt8(ascii: "!")
            let item = isNegated ? word.dropFirst() : word
            let prefix = item.dropFirst(2)
            guard let slash = prefix.lastIndex(of: UInt8(ascii: "/")),
                let address = IPAddress(text: prefix[..<slash]),
                let length = parseDecimal(
                    prefix[(slash + 1)...], maximum: UInt64(address.family.rawValue)),
                item.prefix(2).elementsEqual([address.family == .ipv4 ? 0x31 : 0x32, 0x3A])
            else {
                throw fault(
                    "\(quoted(word)) is not an address prefix; write 1:192.0.2.0/24 or "
                        + "2:2001:db8::/32, with ! before it to exclude")
            }
            var octets = address.octets
            while octets.last == 0 { octets.removeLast() }
            wire += [0, address.family == .ipv4 ? 1 : 2, UInt8(length)]
            wire.append(UInt8(octets.count) | (isNegated ? 0x80 : 0))
            wire += octets
        }
    }
}
