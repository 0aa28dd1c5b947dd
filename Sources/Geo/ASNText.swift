// AS numbers as people write them in files, and which of them no client can have.

public import Settings

/// Reads an AS number, `64496` or `AS64496`; nil after reporting one that no network can have.
///
/// Numbers have 32 bits (RFC 6793); the textual form is "asplain" (RFC 5396).
public func parseASN(_ value: SettingsValue, _ diagnostics: inout Diagnostics) -> UInt32? {
    guard let text = value.text else {
        value.expected("an AS number, as 64496 or AS64496", &diagnostics)
        return nil
    }
    let digits = text.lowercased().hasPrefix("as") ? String(text.dropFirst(2)) : text
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
        value.expected("an AS number, as 64496 or AS64496", &diagnostics)
        return nil
    }
    let why: String
    switch UInt32(digits) {
    case nil: why = "AS numbers go up to 4294967295 (RFC 6793)"
    case 0: why = "AS 0 is nobody's (RFC 7607)"
    case 23_456:
        why =
            "AS 23456 stands for numbers that old routers can't tell (RFC 6793); give the real one"
    case .max: why = "AS 4294967295 is nobody's (RFC 7300)"
    case 65_535: why = "AS 65535 is nobody's (RFC 7300)"
    case let number?: return number
    }
    diagnostics.error(at: value.position, "\(value.path): \(why)")
    return nil
}

/// Why no network of the Internet is announced by an AS number; nil if one can be.
public func privateASN(_ number: UInt32) -> String? {
    switch number {
    case 64_512...65_534, 4_200_000_000...4_294_967_294: "for private use (RFC 6996)"
    case 64_496...64_511, 65_536...65_551: "for documentation (RFC 5398)"
    default: nil
    }
}
