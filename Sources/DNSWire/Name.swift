// Domain names: `Name` is owned and canonical, for all that is loaded; `NameBuffer` (its own file)
// is the space a worker reuses for the name it is looking up.

/// A domain name, owned, in canonical form: uncompressed wire format in lower case (RFC 4034, 6.2).
public struct Name: Hashable, Sendable {
    /// The most octets of a name in wire format, its root label included (RFC 1035, section 3.1).
    public static let maximumLength = 255
    /// The most octets of one label (RFC 1035, section 3.1).
    public static let maximumLabelLength = 63

    /// The wire format: length octets and labels in lower case, ending with the root's zero octet.
    public let wire: [UInt8]

    /// The root.
    public static let root = Name(uncheckedWire: [0])

    /// Takes wire octets that are known to be well formed; letters are made lower case here.
    ///
    /// - Precondition: a sequence of labels within the limits, ended by the root label.
    public init(uncheckedWire wire: some Sequence<UInt8>) {
        self.init(lowercasing: Array(wire))
    }

    private init(lowercasing octets: consuming [UInt8]) {
        for index in octets.indices { octets[index] = asciiLowercased(octets[index]) }
        wire = octets
    }

    /// A name from uncompressed wire octets, which must hold it exactly; nil if they don't.
    public init?(wire octets: some Collection<UInt8>) {
        guard octets.count <= Self.maximumLength else { return nil }
        var position = octets.startIndex
        while position != octets.endIndex {
            let length = Int(octets[position])
            octets.formIndex(after: &position)
            guard length <= Self.maximumLabelLength else { return nil }
            if length == 0 {
                guard position == octets.endIndex else { return nil }
                self.init(uncheckedWire: octets)
                return
            }
            guard octets.formIndex(&position, offsetBy: length, limitedBy: octets.endIndex) else {
                return nil
            }
        }
        return nil
    }

    /// The number of labels, the root's not counted: 0 for the root, 2 for `example.com.`.
    public var labelCount: Int {
        var count = 0
        var position = 0
        while wire[position] != 0 {
            position += Int(wire[position]) + 1
            count += 1
        }
        return count
    }

    public var isRoot: Bool { wire.count == 1 }

    /// Whether the leftmost label is a lone asterisk (RFC 4592, section 2.1.1).
    public var isWildcard: Bool { wire.count > 2 && wire[0] == 1 && wire[1] == UInt8(ascii: "*") }

    /// The name without its leftmost label; nil for the root.
    public var parent: Name? {
        isRoot ? nil : Name(uncheckedWire: wire[(Int(wire[0]) + 1)...])
    }

    /// Whether this name is `other` or below it.
    public func isSubdomain(of other: Name) -> Bool {
        guard wire.count >= other.wire.count else { return false }
        var position = 0
        while wire.count - position > other.wire.count { position += Int(wire[position]) + 1 }
        return wire.count - position == other.wire.count
            && wire[position...].elementsEqual(other.wire)
    }

    /// Returns this name with one label put before it; nil past the limits.
    public func prepending(label: some Collection<UInt8>) -> Name? {
        guard (1...Self.maximumLabelLength).contains(label.count),
            wire.count + label.count + 1 <= Self.maximumLength
        else { return nil }
        return Name(uncheckedWire: [UInt8(label.count)] + Array(label) + wire)
    }

    /// The labels from the left, without the root's.
    public var labels: [ArraySlice<UInt8>] {
        var result: [ArraySlice<UInt8>] = []
        var position = 0
        while wire[position] != 0 {
            let next = position + 1 + Int(wire[position])
            result.append(wire[position + 1..<next])
            position = next
        }
        return result
    }
}

extension Name: Comparable {
    /// The canonical order of names (RFC 4034, section 6.1): by labels from the right, as octets.
    public static func < (a: Name, b: Name) -> Bool {
        for (left, right) in zip(a.labels.reversed(), b.labels.reversed()) where left != right {
            return left.lexicographicallyPrecedes(right)
        }
        return a.labelCount < b.labelCount
    }
}

// MARK: - Presentation format

/// Why a text is not a domain name.
public enum NameError: Error, Hashable, Sendable {
    case empty
    case emptyLabel
    case labelTooLong(length: Int)
    case nameTooLong
    case badEscape
    case relativeWithoutOrigin

    /// The fault in words, fit to follow "`NAME`: ".
    public var explanation: String {
        switch self {
        case .empty: "the name is empty; write \"@\" for the origin or \".\" for the root"
        case .emptyLabel: "two dots in a row, or a leading dot: a label is empty; remove a dot"
        case .labelTooLong(let length): "a label has \(length) octets, more than 63; shorten it"
        case .nameTooLong: "the name has more than 255 octets, its origin included; shorten it"
        case .badEscape: "a backslash wants three decimal digits up to 255, or one character"
        case .relativeWithoutOrigin:
            "the name is relative but no origin is known; end it with a dot"
        }
    }
}

extension Name: CustomStringConvertible {
    /// A name from its presentation format (RFC 1035, section 5.1): `\X` and `\DDD` escape.
    ///
    /// - Parameter origin: completes a name without final dot; nil refuses such a name.
    public init(_ text: some StringProtocol, origin: Name? = nil) throws(NameError) {
        self.init(lowercasing: try Self.wire(of: text.utf8, origin: origin))
    }

    /// The same from octets, as they stand in a file.
    public init(octets: ArraySlice<UInt8>, origin: Name?) throws(NameError) {
        self.init(lowercasing: try Self.wire(of: octets, origin: origin))
    }

    /// Returns the wire format of a name in presentation format, with its letters' case kept.
    ///
    /// For names in record data, whose case is answered as written.
    public static func wire(
        of text: some Collection<UInt8>, origin: Name?
    ) throws(NameError) -> [UInt8] {
        guard let first = text.first else { throw .empty }
        if text.count == 1, first == UInt8(ascii: ".") { return [0] }
        if text.count == 1, first == UInt8(ascii: "@"), let origin { return origin.wire }
        var wire: [UInt8] = []
        wire.reserveCapacity(min(text.count, maximumLength) + 1 + (origin?.wire.count ?? 0))
        wire.append(0)
        var labelStart = 0
        var octets = text.makeIterator()
        var endsWithDot = false
        while let octet = octets.next() {
            endsWithDot = octet == UInt8(ascii: ".")
            if endsWithDot {
                let length = wire.count - labelStart - 1
                guard length > 0 else { throw .emptyLabel }
                guard length <= maximumLabelLength else { throw .labelTooLong(length: length) }
                wire[labelStart] = UInt8(length)
                labelStart = wire.count
                wire.append(0)
            } else if octet == UInt8(ascii: "\\") {
                guard let escaped = Self.unescape(&octets) else { throw .badEscape }
                wire.append(escaped)
            } else {
                wire.append(octet)
            }
            guard wire.count <= 4 * maximumLength else { throw .nameTooLong }
        }
        if !endsWithDot {
            let length = wire.count - labelStart - 1
            guard length <= maximumLabelLength else { throw .labelTooLong(length: length) }
            guard let origin else { throw .relativeWithoutOrigin }
            wire[labelStart] = UInt8(length)
            wire += origin.wire
        }
        guard wire.count <= maximumLength else { throw .nameTooLong }
        return wire
    }

    /// Reads what follows a backslash: `DDD` or one octet.
    private static func unescape(_ octets: inout some IteratorProtocol<UInt8>) -> UInt8? {
        guard let first = octets.next() else { return nil }
        guard (0x30...0x39).contains(first) else { return first }
        guard let second = octets.next(), let third = octets.next(),
            (0x30...0x39).contains(second), (0x30...0x39).contains(third)
        else { return nil }
        let value = Int(first - 0x30) * 100 + Int(second - 0x30) * 10 + Int(third - 0x30)
        return UInt8(exactly: value)
    }

    /// The presentation format, absolute, with escapes where a master file needs them.
    public var description: String { Self.presentation(ofWire: wire) }

    /// Returns the presentation format of well-formed uncompressed wire octets, case as it is.
    public static func presentation(ofWire wire: some Collection<UInt8>) -> String {
        var text = ""
        var remaining = 0
        for octet in wire {
            if remaining == 0 {
                if octet == 0 { break }
                if !text.isEmpty { text += "." }
                remaining = Int(octet)
                continue
            }
            remaining -= 1
            text += escaped(octet)
        }
        return text + "."
    }

    private static func escaped(_ octet: UInt8) -> String {
        switch octet {
        case UInt8(ascii: "."), UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: ";"),
            UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "@"), UInt8(ascii: "$"):
            "\\" + String(UnicodeScalar(octet))
        case 0x21...0x7E: String(UnicodeScalar(octet))
        default:
            "\\" + String(repeating: "0", count: octet < 10 ? 2 : octet < 100 ? 1 : 0) + "\(octet)"
        }
    }
}

/// Returns the octet with an ASCII capital made small: DNS knows no other case (RFC 4343).
@inlinable
public func asciiLowercased(_ octet: UInt8) -> UInt8 {
    octet &- 0x41 < 26 ? octet | 0x20 : octet
}
