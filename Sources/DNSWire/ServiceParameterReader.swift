// Service parameters of SVCB and HTTPS from text (RFC 9460, section 2.1 and appendix A).

extension RDataReader {
    /// Reads all that is left as `key` or `key=value`, in any order of keys.
    mutating func readServiceParameters() throws(RDataError) {
        var parameters: [ServiceParameter] = []
        var tokenIndices: [ServiceKey: Int] = [:]
        while position < tokens.endIndex {
            let tokenIndex = position
            let parameter = try readServiceParameter()
            guard tokenIndices.updateValue(tokenIndex, forKey: parameter.key) == nil else {
                throw fault("\(parameter.key) is given twice; each key may stand once")
            }
            parameters.append(parameter)
        }
        if let (key, explanation) = ServiceParameters.inconsistency(in: parameters) {
            throw RDataError(
                tokenIndex: tokenIndices[key] ?? tokens.startIndex, explanation: explanation)
        }
        for parameter in parameters.sorted(by: { $0.key < $1.key }) {
            append(parameter.key.code)
            append(UInt16(parameter.value.count))
            wire += parameter.value
        }
    }

    private mutating func readServiceParameter() throws(RDataError) -> ServiceParameter {
        let token = tokens[position]
        position += 1
        guard !token.isQuoted else {
            throw fault("a quoted word is no parameter; write key=\"value\" with the key outside")
        }
        let equals = token.octets.firstIndex(of: UInt8(ascii: "="))
        let keyText = token.octets[..<(equals ?? token.octets.endIndex)]
        let (key, isGeneric) = try serviceKey(keyText)
        let raw = equals.map { token.octets[($0 + 1)...] } ?? []
        let text = try unquoted(raw)
        let value =
            isGeneric
            ? try genericValue(text, of: key) : try serviceValue(text, of: key)
        guard value.count <= Int(UInt16.max) else {
            throw fault("\(key): a value of \(value.count) octets; the limit is 65535")
        }
        return ServiceParameter(key: key, value: value[...])
    }

    /// A key by name or as `keyNNNNN`, which makes its value generic.
    private func serviceKey(
        _ text: ArraySlice<UInt8>
    ) throws(RDataError) -> (key: ServiceKey, isGeneric: Bool) {
        if let code = ServiceKey.names.firstIndex(where: { $0.utf8.elementsEqual(text) }) {
            return (ServiceKey(code: UInt16(code)), false)
        }
        guard text.prefix(3).elementsEqual("key".utf8),
            let code = parseDecimal(text.dropFirst(3), maximum: UInt64(UInt16.max)),
            text.count == 4 || text[text.startIndex + 3] != 0x30
        else {
            throw fault(
                "\(quoted(text)) is not a parameter key; known are "
                    + ServiceKey.names.joined(separator: ", ") + ", and any as keyNNNNN")
        }
        guard code != UInt64(ServiceKey.invalid.code) else {
            throw fault("key65535 is reserved; use another key")
        }
        return (ServiceKey(code: UInt16(code)), true)
    }

    /// The value without the quotes around it.
    private func unquoted(_ raw: ArraySlice<UInt8>) throws(RDataError) -> ArraySlice<UInt8> {
        var text = raw
        let quote = UInt8(ascii: "\"")
        if raw.count >= 2, raw.first == quote, raw.last == quote {
            text = raw.dropFirst().dropLast()
        }
        var isEscaped = false
        for octet in text {
            guard isEscaped || octet != quote else {
                throw fault("quotes inside a value; quote all of it, or write \\\" for one in it")
            }
            isEscaped = octet == UInt8(ascii: "\\") && !isEscaped
        }
        return text
    }

    private func genericValue(
        _ text: ArraySlice<UInt8>, of key: ServiceKey
    ) throws(RDataError) -> [UInt8] {
        let value = try unescaped(text)
        guard ServiceParameters.isValid(value, of: key) else {
            throw fault("these octets are no well-formed value of \(key); write it as \(key)=value")
        }
        return Array(value)
    }

    // MARK: - Values of known keys

    private func serviceValue(
        _ text: ArraySlice<UInt8>, of key: ServiceKey
    ) throws(RDataError) -> [UInt8] {
        if key == .noDefaultALPN || key == .ohttp {
            guard text.isEmpty else {
                throw fault("\(key) takes no value; remove \"=\" and what follows")
            }
            return []
        }
        guard !text.isEmpty else { throw fault("\(key) needs a value; write \(key)=value") }
        switch key {
        case .alpn: return try protocols(text)
        case .dohpath:
            let path = try unescaped(text)
            guard ServiceParameters.isPathTemplate(path) else {
                throw fault(
                    "\(quoted(path)) is no path with a dns variable (RFC 9461, section 5); write one "
                        + "like /dns-query{?dns}")
            }
            return Array(path)
        default: break
        }
        // The values of all other keys "MUST NOT contain escape sequences" (RFC 9460, section 7).
        guard !text.contains(UInt8(ascii: "\\")) else {
            throw fault("\(key) allows no backslash; write the characters themselves")
        }
        let items = text.split(separator: 0x2C, omittingEmptySubsequences: false)
        switch key {
        case .mandatory: return try mandatoryKeys(items)
        case .ipv4hint: return try hints(items, family: .ipv4)
        case .ipv6hint: return try hints(items, family: .ipv6)
        case .ech: return try base64(text)
        default:
            guard let port = parseDecimal(text, maximum: UInt64(UInt16.max)) else {
                throw fault("\(quoted(text)) is not a port from 0 to 65535; write one number")
            }
            return [UInt8(port >> 8), UInt8(port & 0xFF)]
        }
    }

    private func mandatoryKeys(_ items: [ArraySlice<UInt8>]) throws(RDataError) -> [UInt8] {
        var keys: Set<ServiceKey> = []
        for item in items {
            let key = try serviceKey(item).key
            guard key != .mandatory else {
                throw fault("mandatory must not list itself; remove it from the list")
            }
            guard keys.insert(key).inserted else {
                throw fault("mandatory lists \(key) twice; name each key once")
            }
        }
        return keys.sorted().flatMap { [UInt8($0.code >> 8), UInt8($0.code & 0xFF)] }
    }

    private func hints(
        _ items: [ArraySlice<UInt8>], family: IPAddress.Family
    ) throws(RDataError) -> [UInt8] {
        if items.count == 1, items[0].elementsEqual("auto".utf8) {
            guard allowsAutomaticHints else {
                throw fault(
                    "auto stands for a client's addresses, which only zones have; write addresses")
            }
            return []
        }
        var octets: [UInt8] = []
        for item in items {
            guard let address = IPAddress(text: item), address.family == family else {
                throw fault(
                    "\(quoted(item)) is not an \(family == .ipv4 ? "IPv4" : "IPv6") address; write "
                        + "addresses of that family, with single commas between them, or auto alone"
                )
            }
            octets += address.octets
        }
        return octets
    }

    /// A list of protocol names: the string's own escapes first, then `\,` and `\\` inside the list
    /// (RFC 9460, appendix A.1).
    private func protocols(_ text: ArraySlice<UInt8>) throws(RDataError) -> [UInt8] {
        var octets: [UInt8] = []
        var name: [UInt8] = []
        func close() throws(RDataError) {
            guard (1...255).contains(name.count) else {
                throw fault(
                    name.isEmpty
                        ? "alpn has an empty name; write names with single commas between them"
                        : "alpn has a name of \(name.count) octets; the limit is 255")
            }
            octets.append(UInt8(name.count))
            octets += name
            name = []
        }
        var list = try unescaped(text).makeIterator()
        while let octet = list.next() {
            switch octet {
            case UInt8(ascii: ","): try close()
            case UInt8(ascii: "\\"):
                guard let escaped = list.next(), escaped == 0x2C || escaped == 0x5C else {
                    throw fault(
                        "inside an alpn list only \"\\\\,\" and \"\\\\\\\\\" are escapes, as its "
                            + "backslashes are read twice; write one of them, or no backslash")
                }
                name.append(escaped)
            default: name.append(octet)
            }
        }
        try close()
        return octets
    }
}
