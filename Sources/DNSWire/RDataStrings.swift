// The fields of record data that are strings of octets: character-strings, hexadecimal, base64,
// NSEC3's salt and hash, and the generic format of RFC 3597.

extension RDataReader {
    /// Reads `\# length hex` (RFC 3597, section 5).
    mutating func readGeneric() throws(RDataError) {
        position += 1
        guard position < tokens.endIndex else {
            throw fault("\"\\#\" without a length; write \"\\# length hex\"")
        }
        let lengthWord = try take()
        let lengthPosition = position - 1
        guard let length = parseDecimal(lengthWord, maximum: UInt64(UInt16.max)) else {
            throw fault(
                "\(quoted(lengthWord)) is not a length from 0 to 65535; write \"\\# length hex\"")
        }
        if position < tokens.endIndex { wire = try hexadecimalRest() }
        guard wire.count == Int(length) else {
            throw RDataError(
                tokenIndex: lengthPosition,
                explanation:
                    "the length says \(length) octets, but \(wire.count) follow; correct one of them"
            )
        }
        guard type.isValid(rdata: wire[...]) else {
            throw RDataError(
                tokenIndex: tokens.startIndex,
                explanation: "these octets are not well-formed \(type) data; "
                    + "write them in the format of that type to see what is wrong")
        }
    }

    /// Appends one character-string (RFC 1035, section 3.3) from its escaped text.
    mutating func appendString(_ text: ArraySlice<UInt8>) throws(RDataError) {
        let octets = try unescaped(text)
        guard octets.count <= 255 else {
            throw fault(
                "a string of \(octets.count) octets; the limit is 255, so split it into several "
                    + "quoted strings")
        }
        wire.append(UInt8(octets.count))
        wire += octets
    }

    mutating func readText(mayBeEmpty: Bool) throws(RDataError) {
        let text = try take()
        let octets = try unescaped(text)
        guard mayBeEmpty || !octets.isEmpty else {
            throw fault("the last string of \(type) must not be empty; write it")
        }
        wire += octets
    }

    mutating func readTag() throws(RDataError) {
        let octets = try take()
        guard (1...255).contains(octets.count), octets.allSatisfy(RDataField.isTagOctet) else {
            throw fault("\(quoted(octets)) is not a tag; write letters and digits, as in \"issue\"")
        }
        wire.append(UInt8(octets.count))
        wire += octets
    }

    /// Returns the octets with `\X` and `\DDD` resolved.
    func unescaped(_ text: ArraySlice<UInt8>) throws(RDataError) -> ArraySlice<UInt8> {
        guard let octets = DNSWire.unescaped(text) else {
            throw fault(
                "a backslash wants three decimal digits up to 255, or one character; write \\\\ "
                    + "for the backslash itself")
        }
        return octets
    }

    mutating func hexadecimalRest() throws(RDataError) -> [UInt8] {
        let digits = try takeRest(of: "hexadecimal") { Hexadecimal.value(of: $0) != nil }
        return try hexadecimal(digits)
    }

    private func hexadecimal(_ digits: ArraySlice<UInt8>) throws(RDataError) -> [UInt8] {
        if let octets = Hexadecimal.decode(digits) { return octets }
        throw fault(
            digits.isEmpty
                ? "hexadecimal digits are missing"
                : "\(digits.count) hexadecimal digits; an octet has two, so write an even number")
    }

    mutating func base64Rest() throws(RDataError) -> [UInt8] {
        let digits = try takeRest(of: "base64") { $0 == 0x3D || Base64.value(of: $0) != nil }
        return try base64(digits)
    }

    func base64(_ digits: ArraySlice<UInt8>) throws(RDataError) -> [UInt8] {
        if let octets = Base64.decode(digits), !octets.isEmpty { return octets }
        throw fault(
            "this is not base64, or it is cut off: 4 digits make 3 octets, with \"=\" up to 4 at "
                + "the end")
    }

    /// NSEC3's salt: hexadecimal, or `-` for none (RFC 5155, section 3.3).
    mutating func readSalt() throws(RDataError) {
        let digits = try take()
        if digits.elementsEqual([UInt8(ascii: "-")]) {
            wire.append(0)
            return
        }
        guard digits.allSatisfy({ Hexadecimal.value(of: $0) != nil }) else {
            throw fault("\(quoted(digits)) is not hexadecimal; write - for no salt")
        }
        let salt = try hexadecimal(digits)
        guard salt.count <= 255 else {
            throw fault("a salt of \(salt.count) octets, more than 255; shorten it")
        }
        wire.append(UInt8(salt.count))
        wire += salt
    }

    /// NSEC3's next hashed owner name: base32hex without padding (RFC 5155, section 3.3).
    mutating func readHash() throws(RDataError) {
        let digits = try take()
        guard let hash = Base32Hex.decode(digits), (1...255).contains(hash.count) else {
            throw fault("\(quoted(digits)) is not base32hex; write 0 to 9 and A to V, no padding")
        }
        wire.append(UInt8(hash.count))
        wire += hash
    }
}

// MARK: - Escapes

/// Returns the octets with `\X` and `\DDD` resolved (RFC 1035, section 5.1); nil if one is broken.
func unescaped(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard text.contains(UInt8(ascii: "\\")) else { return text }
    var octets: [UInt8] = []
    octets.reserveCapacity(text.count)
    var position = text.startIndex
    while position < text.endIndex {
        let octet = text[position]
        position += 1
        guard octet == UInt8(ascii: "\\") else {
            octets.append(octet)
            continue
        }
        guard position < text.endIndex else { return nil }
        if text[position] &- 0x30 < 10 {
            guard text.endIndex - position >= 3,
                let value = parseDecimal(text[position..<position + 3], maximum: 255)
            else { return nil }
            octets.append(UInt8(value))
            position += 3
        } else {
            octets.append(text[position])
            position += 1
        }
    }
    return octets[...]
}

/// Returns the octets in quotes with the escapes they need there.
func quotedString(_ octets: some Sequence<UInt8>) -> [UInt8] {
    var text: [UInt8] = [0x22]
    for octet in octets {
        switch octet {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [0x5C, octet]
        case 0x20...0x7E: text.append(octet)
        default:
            text += [0x5C, 0x30 + octet / 100, 0x30 + octet / 10 % 10, 0x30 + octet % 10]
        }
    }
    text.append(0x22)
    return text
}

/// Returns a user's word for a message: in quotes, printable, at most 60 octets of it.
func quoted(_ octets: ArraySlice<UInt8>) -> String {
    let shown = octets.prefix(60).map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
    return "\"" + String(decoding: shown, as: UTF8.self) + (octets.count > 60 ? "…\"" : "\"")
}
