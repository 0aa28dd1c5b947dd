// Record data to presentation format: what dig would print, and what the reader takes back.

extension RecordType {
    /// Returns the data in this type's presentation format, names absolute.
    ///
    /// Data that is malformed, or of a type without a row, comes in the generic format
    /// `\# length hex` (RFC 3597, section 5). Reading the text gives equal octets.
    public func presentation(of rdata: ArraySlice<UInt8>) -> String {
        let isKnown = isValid(rdata: rdata, allowingAutomaticHints: true)
        let text = isKnown ? knownPresentation(of: rdata) : nil
        return String(decoding: text ?? Self.genericPresentation(of: rdata), as: UTF8.self)
    }

    /// Nil if there is no row, or some of the data has no text.
    private func knownPresentation(of rdata: ArraySlice<UInt8>) -> [UInt8]? {
        guard let row = RecordTypeTable.row(of: self) else { return nil }
        var text: [UInt8] = []
        var rest = rdata
        for field in row.fields {
            guard let length = field.wireLength(in: rest),
                let word = field.presentation(of: rest.prefix(length))
            else { return nil }
            rest = rest.dropFirst(length)
            if !text.isEmpty, !word.isEmpty { text.append(0x20) }
            text += word
        }
        return text
    }

    private static func genericPresentation(of rdata: ArraySlice<UInt8>) -> [UInt8] {
        let text = Array("\\# \(rdata.count)".utf8)
        return rdata.isEmpty ? text : text + [0x20] + Hexadecimal.encode(rdata)
    }
}

extension RDataField {
    /// The text of well-formed octets; nil if it has none.
    fileprivate func presentation(of octets: ArraySlice<UInt8>) -> [UInt8]? {
        let number = { octets.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
        let text: String
        switch self {
        case .name: text = Name.presentation(ofWire: octets)
        case .uint8, .uint16, .uint32, .seconds, .algorithm, .certificateType: text = "\(number())"
        case .recordType: text = RecordType(UInt16(number())).description
        case .timestamp: text = RDataReader.timestampText(UInt32(number()))
        case .ipv4, .ipv6: text = IPAddress(octets: octets)?.description ?? ""
        case .characterString: return quotedString(octets.dropFirst())
        case .characterStrings: return Self.strings(octets)
        case .text, .nonEmptyText: return quotedString(octets)
        case .tag: return Array(octets.dropFirst())
        case .hexadecimal: return Hexadecimal.encode(octets)
        case .base64: return Base64.encode(octets)
        case .salt: return octets.count == 1 ? [0x2D] : Hexadecimal.encode(octets.dropFirst())
        case .hash: return Base32Hex.encode(octets.dropFirst())
        case .typeBitmap:
            text = (TypeBitmap.types(in: octets) ?? []).map(\.description).joined(separator: " ")
        case .serviceParameters: return ServiceParameters.presentation(of: octets)
        case .place: text = Place.presentation(of: octets)
        case .prefixes:
            guard let prefixes = AddressPrefixes.presentation(of: octets) else { return nil }
            text = prefixes
        case .locator64:
            let digits = Hexadecimal.encode(octets).map { asciiLowercased($0) }
            return Array(
                stride(from: 0, to: digits.count, by: 4).map { digits[$0..<$0 + 4] }
                    .joined(separator: [UInt8(ascii: ":")]))
        case .eui48, .eui64:
            return Array(octets.map { Hexadecimal.encode([$0]) }.joined(separator: [0x2D]))
        }
        return Array(text.utf8)
    }

    private static func strings(_ octets: ArraySlice<UInt8>) -> [UInt8] {
        var words: [[UInt8]] = []
        var rest = octets
        while let length = rest.first {
            words.append(quotedString(rest.dropFirst().prefix(Int(length))))
            rest = rest.dropFirst(1 + Int(length))
        }
        return Array(words.joined(separator: [0x20]))
    }
}
