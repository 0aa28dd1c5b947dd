// Service parameters of SVCB and HTTPS in wire format, and as text (RFC 9460). Reading them from
// text is in ServiceParameterReader.swift.

/// The key of a service parameter (RFC 9460, section 14.3.2).
struct ServiceKey: Hashable, Comparable, CustomStringConvertible {
    let code: UInt16

    static let mandatory = ServiceKey(code: 0)
    static let alpn = ServiceKey(code: 1)
    static let noDefaultALPN = ServiceKey(code: 2)
    static let port = ServiceKey(code: 3)
    static let ipv4hint = ServiceKey(code: 4)
    static let ech = ServiceKey(code: 5)
    static let ipv6hint = ServiceKey(code: 6)
    static let dohpath = ServiceKey(code: 7)
    static let ohttp = ServiceKey(code: 8)
    /// Reserved: "Invalid key".
    static let invalid = ServiceKey(code: 65_535)

    /// Names by code: RFC 9460, then `dohpath` of RFC 9461 and `ohttp` of RFC 9540.
    static let names = [
        "mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath",
        "ohttp",
    ]

    /// The registered name, or `keyNNNNN`.
    var description: String {
        Int(code) < Self.names.count ? Self.names[Int(code)] : "key\(code)"
    }

    static func < (a: ServiceKey, b: ServiceKey) -> Bool { a.code < b.code }
}

/// One parameter in wire format.
struct ServiceParameter {
    var key: ServiceKey
    var value: ArraySlice<UInt8>

    /// Whether it is an address hint that says `auto`; see `RecordType.hasAutomaticHints`.
    var isAutomatic: Bool { value.isEmpty && (key == .ipv4hint || key == .ipv6hint) }
}

enum ServiceParameters {
    /// Whether the octets are well-formed parameters; hints may be automatic.
    static func isValid(_ octets: ArraySlice<UInt8>) -> Bool {
        guard let parameters = parameters(in: octets) else { return false }
        return parameters.allSatisfy { $0.isAutomatic || isValid($0.value, of: $0.key) }
            && inconsistency(in: parameters) == nil
    }

    /// The parameters; nil unless the octets are exactly a list with ascending keys
    /// (RFC 9460, section 2.2).
    static func parameters(in octets: ArraySlice<UInt8>) -> [ServiceParameter]? {
        var parameters: [ServiceParameter] = []
        var rest = octets
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let header = rest.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let key = ServiceKey(code: UInt16(header >> 16))
            rest = rest.dropFirst(4)
            let length = Int(header & 0xFFFF)
            guard rest.count >= length, parameters.last.map({ $0.key < key }) ?? true else {
                return nil
            }
            parameters.append(ServiceParameter(key: key, value: rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return parameters
    }

    /// Whether the octets can be the value of that key.
    static func isValid(_ value: ArraySlice<UInt8>, of key: ServiceKey) -> Bool {
        switch key {
        case .mandatory: mandatoryKeys(in: value) != nil
        case .alpn: protocols(in: value) != nil
        case .noDefaultALPN, .ohttp: value.isEmpty
        case .port: value.count == 2
        case .ipv4hint: !value.isEmpty && value.count % 4 == 0
        case .ipv6hint: !value.isEmpty && value.count % 16 == 0
        case .ech: !value.isEmpty
        case .dohpath: isPathTemplate(value)
        case .invalid: false
        default: true
        }
    }

    /// Whether octets are a URI template for a path that has the variable `dns` (RFC 9461, section 5).
    ///
    /// Of the templates' syntax (RFC 6570) only the expressions' braces are looked at.
    static func isPathTemplate(_ value: ArraySlice<UInt8>) -> Bool {
        guard value.first == UInt8(ascii: "/"), String(validating: value, as: UTF8.self) != nil
        else { return false }
        var hasVariable = false
        for part in value.split(separator: UInt8(ascii: "{")).dropFirst() {
            guard let end = part.firstIndex(of: UInt8(ascii: "}")) else { return false }
            let names = part[..<end].drop { !isTemplateLetter($0) }.split(separator: 0x2C)
            // "*" explodes lists, of which this variable is none (RFC 6570, section 2.4.2).
            hasVariable =
                hasVariable
                || names.contains { name in
                    name.elementsEqual("dns".utf8) || name.elementsEqual("dns*".utf8)
                }
        }
        return hasVariable
    }

    private static func isTemplateLetter(_ octet: UInt8) -> Bool {
        octet &- 0x30 < 10 || asciiLowercased(octet) &- 0x61 < 26 || octet == UInt8(ascii: "_")
    }

    /// The keys of `mandatory`: ascending, itself not among them (RFC 9460, section 8).
    static func mandatoryKeys(in value: ArraySlice<UInt8>) -> [ServiceKey]? {
        guard !value.isEmpty, value.count % 2 == 0 else { return nil }
        var keys: [ServiceKey] = []
        for position in stride(from: value.startIndex, to: value.endIndex, by: 2) {
            let key = ServiceKey(code: UInt16(value[position]) << 8 | UInt16(value[position + 1]))
            guard keys.last ?? .mandatory < key else { return nil }
            keys.append(key)
        }
        return keys
    }

    /// The protocol names of `alpn`, each of 1 to 255 octets (RFC 9460, section 7.1.1).
    static func protocols(in value: ArraySlice<UInt8>) -> [ArraySlice<UInt8>]? {
        guard !value.isEmpty else { return nil }
        var protocols: [ArraySlice<UInt8>] = []
        var rest = value
        while let length = rest.first {
            guard length > 0, rest.count > Int(length) else { return nil }
            protocols.append(rest.dropFirst().prefix(Int(length)))
            rest = rest.dropFirst(1 + Int(length))
        }
        return protocols
    }

    /// What a set of valid parameters lacks: the key to blame and why; nil if nothing.
    static func inconsistency(
        in parameters: [ServiceParameter]
    ) -> (key: ServiceKey, explanation: String)? {
        let keys = Set(parameters.map(\.key))
        let mandatory = parameters.first { $0.key == .mandatory }
        for key in mandatory.flatMap({ mandatoryKeys(in: $0.value) }) ?? []
        where !keys.contains(key) {
            return (.mandatory, "\(key) is mandatory but not given; add it or take it off the list")
        }
        if let mandatory,
            let open = parameters.first(where: {
                $0.isAutomatic && (mandatoryKeys(in: mandatory.value) ?? []).contains($0.key)
            })
        {
            return (
                .mandatory,
                "\(open.key)=auto is left out where a client gets no such address, so it can't be "
                    + "mandatory; take it off the list"
            )
        }
        if keys.contains(.noDefaultALPN), !keys.contains(.alpn) {
            return (.noDefaultALPN, "no-default-alpn leaves no protocol without alpn; add alpn")
        }
        return nil
    }

    // MARK: - Presentation format

    /// The presentation format of valid octets.
    static func presentation(of octets: ArraySlice<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        for parameter in parameters(in: octets) ?? [] {
            if !text.isEmpty { text.append(0x20) }
            text += Array(parameter.key.description.utf8)
            if parameter.isAutomatic { text += Array("=auto".utf8) }
            guard !parameter.value.isEmpty else { continue }
            text.append(UInt8(ascii: "="))
            text += valueText(parameter)
        }
        return text
    }

    private static func valueText(_ parameter: ServiceParameter) -> [UInt8] {
        let value = parameter.value
        let list: [String]
        switch parameter.key {
        case .mandatory: list = (mandatoryKeys(in: value) ?? []).map(\.description)
        case .port: list = ["\(value.reduce(0) { $0 << 8 | Int($1) })"]
        case .ipv4hint: list = addresses(value, length: 4)
        case .ipv6hint: list = addresses(value, length: 16)
        case .ech: return Base64.encode(value)
        case .alpn:
            // Escaped twice: commas and backslashes of a name, then the string as a whole.
            let names = (protocols(in: value) ?? []).map { name in
                name.flatMap { $0 == 0x2C || $0 == 0x5C ? [0x5C, $0] : [$0] }
            }
            return quotedString(names.joined(separator: [0x2C]))
        default: return quotedString(value)
        }
        return Array(list.joined(separator: ",").utf8)
    }

    private static func addresses(_ value: ArraySlice<UInt8>, length: Int) -> [String] {
        stride(from: value.startIndex, to: value.endIndex, by: length).compactMap {
            IPAddress(octets: value[$0..<$0 + length])?.description
        }
    }
}
