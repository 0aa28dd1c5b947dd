// Record data from presentation format: the words of a master file's line become wire format, by
// the rows of RecordTypeTable.swift. Fields with a format of their own have their own files
// (ServiceParameters, Place, AddressPrefixes, TypeBitmap).

/// One word of record data as it stands in a master file, escapes still in.
public struct RDataToken: Sendable, Hashable {
    /// The octets as written: without the quotes for a quoted word, with its escapes.
    public var octets: ArraySlice<UInt8>
    /// Whether the whole word was quoted.
    public var isQuoted: Bool
    /// Whether quotes stand inside the word, as in `key="value"`; they are part of `octets`.
    public var hasInnerQuotes: Bool

    @inlinable
    public init(_ octets: ArraySlice<UInt8>, isQuoted: Bool = false, hasInnerQuotes: Bool = false) {
        self.octets = octets
        self.isQuoted = isQuoted
        self.hasInnerQuotes = hasInnerQuotes
    }
}

/// What is wrong with record data in presentation format.
public struct RDataError: Error, Hashable, Sendable {
    /// The index of the faulty token; the tokens' `endIndex` where one is missing.
    public var tokenIndex: Int
    /// What is wrong and, after a semicolon, what to do about it.
    public var explanation: String

    public init(tokenIndex: Int, explanation: String) {
        self.tokenIndex = tokenIndex
        self.explanation = explanation
    }
}

extension RecordType {
    /// Returns the wire format of data written in this type's presentation format, or in the
    /// generic one, `\# length hex` (RFC 3597, section 5), which is checked for a known type.
    ///
    /// - Parameters:
    ///   - origin: completes relative names; their letters keep their case.
    ///   - allowingAutomaticHints: whether `ipv4hint=auto` and `ipv6hint=auto` may stand in it; see
    ///     `hasAutomaticHints`.
    public func rdata(
        from tokens: ArraySlice<RDataToken>, origin: Name?, allowingAutomaticHints: Bool = false
    ) throws(RDataError) -> [UInt8] {
        var reader = RDataReader(type: self, tokens: tokens, origin: origin)
        reader.allowsAutomaticHints = allowingAutomaticHints
        if let first = tokens.first, !first.isQuoted, first.octets.elementsEqual(genericMark) {
            try reader.readGeneric()
            return reader.wire
        }
        guard let fields = RecordTypeTable.fields(of: self) else {
            throw RDataError(
                tokenIndex: tokens.startIndex,
                explanation: "the format of \(self) data is not known; write it as "
                    + "\"\\# length hex\"")
        }
        for field in fields { try reader.read(field) }
        try reader.finish()
        return reader.wire
    }
}

/// What starts the generic format: `\#`.
private let genericMark: [UInt8] = [0x5C, 0x23]

/// The way through the words of one record's data.
struct RDataReader {
    let type: RecordType
    let tokens: ArraySlice<RDataToken>
    let origin: Name?
    var allowsAutomaticHints = false
    /// The index of the word to be read next.
    var position: Int
    var wire: [UInt8] = []

    init(type: RecordType, tokens: ArraySlice<RDataToken>, origin: Name?) {
        self.type = type
        self.tokens = tokens
        self.origin = origin
        position = tokens.startIndex
    }

    /// The error at the word read last.
    func fault(_ explanation: String) -> RDataError {
        RDataError(tokenIndex: max(position - 1, tokens.startIndex), explanation: explanation)
    }

    private var usage: String {
        "write \"\(type) \(RecordTypeTable.row(of: type)?.usage ?? "\\# length hex")\""
    }

    /// Returns the next word.
    mutating func take() throws(RDataError) -> ArraySlice<UInt8> {
        guard position < tokens.endIndex else {
            throw RDataError(
                tokenIndex: position, explanation: "\(type) data ends too early; \(usage)")
        }
        let token = tokens[position]
        position += 1
        if token.hasInnerQuotes {
            throw fault("quotes inside a word; quote all of it, or write \\\" for a quote in it")
        }
        return token.octets
    }

    /// Returns what is left as one run of digits, words joined.
    mutating func takeRest(
        of digits: String, where isDigit: (UInt8) -> Bool
    ) throws(RDataError) -> ArraySlice<UInt8> {
        var joined: ArraySlice<UInt8> = []
        repeat {
            let word = try take()
            if let wrong = word.first(where: { !isDigit($0) }) {
                throw fault("\(quoted([wrong])) is not a \(digits) digit; remove it")
            }
            if joined.isEmpty { joined = word } else { joined += word }
        } while position < tokens.endIndex
        return joined
    }

    func finish() throws(RDataError) {
        guard position == tokens.endIndex else {
            throw RDataError(
                tokenIndex: position, explanation: "\(type) data is too long here; \(usage)")
        }
        guard wire.count <= Int(UInt16.max) else {
            throw fault("the data has \(wire.count) octets; the limit is 65535")
        }
    }

    // MARK: - Fields

    mutating func read(_ field: RDataField) throws(RDataError) {
        switch field {
        case .name: try readName()
        case .uint8: append(UInt8(try number(upTo: UInt64(UInt8.max))))
        case .uint16: append(UInt16(try number(upTo: UInt64(UInt16.max))))
        case .uint32: append(UInt32(try number(upTo: UInt64(UInt32.max))))
        case .seconds: append(try seconds())
        case .ipv4: append(try ipv4())
        case .ipv6: wire += try ipv6().octets
        case .characterString: try appendString(try take())
        case .characterStrings:
            repeat { try appendString(try take()) } while position < tokens.endIndex
        case .text, .nonEmptyText: try readText(mayBeEmpty: field == .text)
        case .tag: try readTag()
        case .hexadecimal: wire += try hexadecimalRest()
        case .base64: wire += try base64Rest()
        case .recordType: append(try recordType().code)
        case .algorithm: append(UInt8(try number(upTo: 255, or: dnssecAlgorithms, "an algorithm")))
        case .certificateType:
            append(UInt16(try number(upTo: 65_535, or: certificateTypes, "a certificate type")))
        case .timestamp: append(try timestamp())
        case .typeBitmap: try readTypeBitmap()
        case .salt: try readSalt()
        case .hash: try readHash()
        case .serviceParameters: try readServiceParameters()
        case .place: try readPlace()
        case .prefixes: try readPrefixes()
        case .locator64: try readLocator64()
        case .eui48: try readEUI(length: 6)
        case .eui64: try readEUI(length: 8)
        }
    }

    mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        var shift = Number.bitWidth - 8
        while shift >= 0 {
            wire.append(UInt8(truncatingIfNeeded: number >> Number(shift)))
            shift -= 8
        }
    }

    private mutating func readName() throws(RDataError) {
        let octets = try take()
        do throws(NameError) {
            wire += try Name.wire(of: octets, origin: origin)
        } catch {
            throw fault("\(quoted(octets)) is not a domain name: \(error.explanation)")
        }
    }

    private mutating func number(upTo maximum: UInt64) throws(RDataError) -> UInt64 {
        let octets = try take()
        guard let value = parseDecimal(octets, maximum: maximum) else {
            throw fault("\(quoted(octets)) is not a number from 0 to \(maximum); \(usage)")
        }
        return value
    }

    private mutating func number(
        upTo maximum: UInt64, or mnemonics: [(String, UInt64)], _ what: String
    ) throws(RDataError) -> UInt64 {
        let octets = try take()
        if let value = parseDecimal(octets, maximum: maximum) { return value }
        let word = String(decoding: octets, as: UTF8.self).uppercased()
        if let match = mnemonics.first(where: { $0.0 == word }) { return match.1 }
        throw fault("\(quoted(octets)) is not \(what); write a number from 0 to \(maximum)")
    }

    private mutating func seconds() throws(RDataError) -> UInt32 {
        let octets = try take()
        guard let value = parseSeconds(octets) else {
            throw fault("\(quoted(octets)) is not a time; write seconds, or units as in \"1h30m\"")
        }
        guard let seconds = UInt32(exactly: value) else {
            throw fault("\(quoted(octets)) is too long a time; the limit is \(UInt32.max) seconds")
        }
        return seconds
    }

    private mutating func ipv4() throws(RDataError) -> UInt32 {
        let octets = try take()
        if let address = IPAddress(text: octets) {
            if address.family == .ipv4 { return address.ipv4Bits }
            throw fault("\(quoted(octets)) is an IPv6 address; use AAAA for it")
        }
        throw fault("\(quoted(octets)) is not an IPv4 address; write one like 192.0.2.1")
    }

    private mutating func ipv6() throws(RDataError) -> IPAddress {
        let octets = try take()
        if let address = IPAddress(text: octets) {
            if address.family == .ipv6 { return address }
            throw fault("\(quoted(octets)) is an IPv4 address; use A for it")
        }
        throw fault("\(quoted(octets)) is not an IPv6 address; write one like 2001:db8::1")
    }

    private mutating func recordType() throws(RDataError) -> RecordType {
        let octets = try take()
        guard let type = RecordType(mnemonic: octets) else {
            throw fault("\(quoted(octets)) is not a record type; write one like A or TYPE65280")
        }
        return type
    }

    private mutating func readTypeBitmap() throws(RDataError) {
        var types: [RecordType] = []
        while position < tokens.endIndex { types.append(try recordType()) }
        wire += TypeBitmap.octets(of: types)
    }

    private mutating func readLocator64() throws(RDataError) {
        let octets = try take()
        let groups = octets.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        let values = groups.compactMap { group in
            (1...4).contains(group.count)
                ? UInt16(String(decoding: group, as: UTF8.self), radix: 16) : nil
        }
        guard values.count == 4, groups.count == 4,
            octets.allSatisfy({ $0 == 0x3A || Hexadecimal.value(of: $0) != nil })
        else {
            throw fault(
                "\(quoted(octets)) is not four groups of hexadecimal digits; write one like "
                    + "2001:db8:1140:1000")
        }
        for value in values { append(value) }
    }

    private mutating func readEUI(length: Int) throws(RDataError) {
        let octets = try take()
        let parts = octets.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        let values = parts.compactMap { $0.count == 2 ? Hexadecimal.decode($0)?.first : nil }
        guard values.count == length, parts.count == length else {
            throw fault(
                "\(quoted(octets)) is not \(length) pairs of hex digits with \"-\" between them; write all of them"
            )
        }
        wire += values
    }
}
