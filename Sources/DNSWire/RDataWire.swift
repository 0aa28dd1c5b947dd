// Checks and walks record data in wire format, field by field by the table's row.

extension RecordType {
    /// Whether the octets are well-formed data of this type, uncompressed and nothing left over.
    ///
    /// Total: any octets may be asked about. Data of a type without a row is always well formed
    /// (RFC 3597, section 3).
    ///
    /// - Parameter allowingAutomaticHints: see `hasAutomaticHints`; zones have them, messages don't.
    public func isValid(
        rdata: ArraySlice<UInt8>, allowingAutomaticHints: Bool = false
    ) -> Bool {
        guard rdata.count <= Int(UInt16.max) else { return false }
        guard let fields = RecordTypeTable.fields(of: self) else { return true }
        var rest = rdata
        for field in fields {
            guard let length = field.wireLength(in: rest) else { return false }
            rest = rest.dropFirst(length)
        }
        return rest.isEmpty && (allowingAutomaticHints || !hasAutomaticHints(in: rdata))
    }

    /// Whether an address hint of SVCB or HTTPS data has no addresses, which stands for `auto`: the
    /// addresses that a client gets.
    ///
    /// In a message an empty hint would be malformed (RFC 9460, section 7.3).
    public func hasAutomaticHints(in rdata: ArraySlice<UInt8>) -> Bool {
        guard self == .svcb || self == .https, let target = embeddedNames(in: rdata).first else {
            return false
        }
        let parameters = rdata.dropFirst(target.offset + target.length)
        return ServiceParameters.parameters(in: parameters)?.contains(where: \.isAutomatic) ?? false
    }

    /// Returns where names stand in well-formed data of this type, compressible or not.
    ///
    /// Offsets count from the start of the data; a length holds the root's octet. Malformed data
    /// gives the names before the fault.
    public func embeddedNames(in rdata: ArraySlice<UInt8>) -> [(offset: Int, length: Int)] {
        guard let fields = RecordTypeTable.fields(of: self) else { return [] }
        var names: [(offset: Int, length: Int)] = []
        var rest = rdata
        for field in fields {
            guard let length = field.wireLength(in: rest) else { break }
            if case .name = field { names.append((rest.startIndex - rdata.startIndex, length)) }
            rest = rest.dropFirst(length)
        }
        return names
    }
}

extension RDataField {
    /// Returns the number of octets of this field at the start of `octets`; nil if malformed.
    func wireLength(in octets: ArraySlice<UInt8>) -> Int? {
        switch self {
        case .name: Self.nameLength(in: octets)
        case .uint8, .algorithm: fixed(1, octets)
        case .uint16, .recordType, .certificateType: fixed(2, octets)
        case .uint32, .seconds, .timestamp, .ipv4: fixed(4, octets)
        case .eui48: fixed(6, octets)
        case .eui64, .locator64: fixed(8, octets)
        case .ipv6: fixed(16, octets)
        case .characterString, .salt: Self.stringLength(in: octets)
        case .hash: Self.stringLength(in: octets).flatMap { $0 > 1 ? $0 : nil }
        case .tag: Self.tagLength(in: octets)
        case .characterStrings: Self.areStrings(octets) ? octets.count : nil
        case .text: octets.count
        case .nonEmptyText, .hexadecimal, .base64: octets.isEmpty ? nil : octets.count
        case .typeBitmap: TypeBitmap.types(in: octets) == nil ? nil : octets.count
        case .serviceParameters: ServiceParameters.isValid(octets) ? octets.count : nil
        case .place: Place.isValid(octets.prefix(Place.wireLength)) ? Place.wireLength : nil
        case .prefixes: AddressPrefixes.isValid(octets) ? octets.count : nil
        }
    }

    private func fixed(_ length: Int, _ octets: ArraySlice<UInt8>) -> Int? {
        octets.count >= length ? length : nil
    }

    /// The length of an uncompressed name, the root's octet included.
    private static func nameLength(in octets: ArraySlice<UInt8>) -> Int? {
        var position = octets.startIndex
        let end = min(octets.endIndex, octets.startIndex + Name.maximumLength)
        while position < end {
            let length = Int(octets[position])
            guard length <= Name.maximumLabelLength else { return nil }
            position += 1 + length
            if length == 0 { return position - octets.startIndex }
        }
        return nil
    }

    private static func stringLength(in octets: ArraySlice<UInt8>) -> Int? {
        guard let first = octets.first, octets.count > Int(first) else { return nil }
        return 1 + Int(first)
    }

    private static func tagLength(in octets: ArraySlice<UInt8>) -> Int? {
        guard let length = stringLength(in: octets), length > 1,
            octets.dropFirst().prefix(length - 1).allSatisfy(isTagOctet)
        else { return nil }
        return length
    }

    /// ASCII letters and digits (RFC 8659, section 4.1).
    static func isTagOctet(_ octet: UInt8) -> Bool {
        octet &- 0x30 < 10 || asciiLowercased(octet) &- 0x61 < 26
    }

    private static func areStrings(_ octets: ArraySlice<UInt8>) -> Bool {
        guard !octets.isEmpty else { return false }
        var rest = octets
        while !rest.isEmpty {
            guard let length = stringLength(in: rest) else { return false }
            rest = rest.dropFirst(length)
        }
        return true
    }
}
