// The values of a MaxMind database's data section, read where the file is mapped.
//
// Everything is bounded by the section and total: what contradicts the format is an error, a value
// of another type than asked for counts as absent. Format: MaxMind DB File Format Specification 2.0,
// "Output Data Section".

/// Why a value can't be read.
enum DataFault: Error {
    /// It contradicts the format, or leaves the section.
    case corrupt
}

/// The keys of records that say where a network is or whose, and of the metadata that say how large the
/// tree is.
enum DataKey: BitwiseCopyable {
    case asNumber, asOrganization, city, code, continent, country, en, isoCode, latitude, location
    case longitude, names, nodeCount, recordSize, subdivisions
    case other

    static func named(_ octets: UnsafeRawBufferPointer) -> DataKey {
        let candidate: (key: DataKey, text: StaticString)
        switch octets.count {
        case 2: candidate = (.en, "en")
        case 4:
            candidate = unsafe octets[1] == UInt8(ascii: "o") ? (.code, "code") : (.city, "city")
        case 5: candidate = (.names, "names")
        case 7: candidate = (.country, "country")
        case 8:
            switch unsafe octets[1] {
            case UInt8(ascii: "a"): candidate = (.latitude, "latitude")
            case UInt8(ascii: "o"): candidate = (.location, "location")
            default: candidate = (.isoCode, "iso_code")
            }
        case 9:
            candidate =
                unsafe octets[0] == UInt8(ascii: "c")
                ? (.continent, "continent") : (.longitude, "longitude")
        case 10: candidate = (.nodeCount, "node_count")
        case 11: candidate = (.recordSize, "record_size")
        case 12: candidate = (.subdivisions, "subdivisions")
        case 24: candidate = (.asNumber, "autonomous_system_number")
        case 30: candidate = (.asOrganization, "autonomous_system_organization")
        default: return .other
        }
        for index in 0..<octets.count {
            // Safe: each candidate's text is as long as its case says.
            guard unsafe octets[index] == candidate.text.utf8Start[index] else { return .other }
        }
        return candidate.key
    }
}

/// The octets that records lie in.
///
/// Safe to use while the `LocationDatabase` it belongs to lives.
@safe struct DataSection: @unchecked Sendable {
    private let base: UnsafeRawPointer
    let count: Int

    /// Of no database: whatever is read of it is an error.
    static var empty: DataSection { DataSection() }

    private init() {
        // Safe: never read, as every offset is beyond the end.
        unsafe base = UnsafeRawPointer(("" as StaticString).utf8Start)
        count = 0
    }

    init?(_ octets: UnsafeRawBufferPointer) {
        // Offsets are kept in 32 bits: what lies beyond can't be pointed at anyway.
        guard let base = octets.baseAddress else { return nil }
        unsafe self.base = base
        count = min(octets.count, Int(UInt32.max))
    }

    /// The types of the format that matter here.
    enum ValueType: UInt8 {
        case pointer = 1
        case text = 2
        case double = 3
        case uint16 = 5
        case uint32 = 6
        case map = 7
        case array = 11
        case boolean = 14
        case float = 15
        case other = 255
    }

    /// What a value's first octets say.
    struct Value {
        var type: ValueType
        /// Octets of a scalar, entries of a map, elements of an array, target of a pointer.
        var size: Int
        /// Where the content starts; of a pointer, where the next value does.
        var payload: Int
    }

    @inline(__always)
    private func octet(_ offset: Int) throws(DataFault) -> Int {
        guard offset >= 0, offset < count else { throw .corrupt }
        // Safe: checked above.
        return Int(unsafe base.load(fromByteOffset: offset, as: UInt8.self))
    }

    /// The big-endian number in `length` octets, 1 to 8.
    @inline(__always)
    private func bits(_ offset: Int, _ length: Int) throws(DataFault) -> UInt64 {
        guard offset >= 0, length <= count - offset else { throw .corrupt }
        var result: UInt64 = 0
        for index in 0..<length {
            // Safe: checked above.
            let next = unsafe base.load(fromByteOffset: offset + index, as: UInt8.self)
            result = result << 8 | UInt64(next)
        }
        return result
    }

    /// Reads a value's first octets; a pointer is not followed.
    @inline(__always)
    private func control(at offset: Int) throws(DataFault) -> Value {
        let first = try octet(offset)
        if first >> 5 == 1 {
            let length = (first >> 3 & 3) + 1
            let value = Int(truncatingIfNeeded: try bits(offset + 1, length))
            let high = first & 7
            // What each length adds is fixed, so that nothing is written in two ways.
            let target =
                switch length {
                case 1: high << 8 | value
                case 2: (high << 16 | value) + 2048
                case 3: (high << 24 | value) + 526_336
                default: value
                }
            return Value(type: .pointer, size: target, payload: offset + 1 + length)
        }
        return try plainControl(at: offset, first)
    }

    private func plainControl(at offset: Int, _ first: Int) throws(DataFault) -> Value {
        var next = offset + 1
        var number = first >> 5
        if number == 0 {
            number = try octet(next) + 7
            next += 1
        }
        var size = first & 31
        if size >= 29 {
            let length = size - 28
            size = length == 1 ? 29 : length == 2 ? 285 : 65_821
            size += Int(truncatingIfNeeded: try bits(next, length))
            next += length
        }
        let type = ValueType(rawValue: UInt8(truncatingIfNeeded: number)) ?? .other
        return Value(type: type, size: size, payload: next)
    }

    /// Reads the value at `offset`; a pointer is followed once, as pointers to pointers don't exist.
    @inline(__always)
    func value(at offset: Int) throws(DataFault) -> Value {
        let value = try control(at: offset)
        guard value.type == .pointer else { return value }
        let target = try control(at: value.size)
        guard target.type != .pointer else { throw .corrupt }
        return target
    }

    /// Where the value at `offset` really stands: elsewhere, if it is a pointer.
    func target(of offset: Int) throws(DataFault) -> UInt32 {
        let value = try control(at: offset)
        let target = value.type == .pointer ? value.size : offset
        guard target < count else { throw .corrupt }
        return UInt32(truncatingIfNeeded: target)
    }

    /// Reads a map's key and moves on to its value.
    @inline(__always)
    func key(at cursor: inout Int) throws(DataFault) -> DataKey {
        let value = try control(at: cursor)
        var text = value
        if value.type == .pointer {
            text = try control(at: value.size)
            cursor = value.payload
        } else {
            cursor = value.payload + value.size
        }
        // The format has no other keys than text.
        guard text.type == .text, text.size <= count - text.payload else { throw .corrupt }
        // Safe: the octets lie in the section, checked above.
        return unsafe DataKey.named(
            UnsafeRawBufferPointer(start: base + text.payload, count: text.size))
    }

    /// Moves `cursor` from a value to what follows it.
    ///
    /// - Parameter budget: how many values may still be passed.
    @inline(__always)
    func skip(_ cursor: inout Int, _ budget: inout Int) throws(DataFault) {
        budget -= 1
        guard budget > 0 else { throw .corrupt }
        let value = try control(at: cursor)
        if value.type == .pointer {
            cursor = value.payload
        } else {
            try skipPlain(&cursor, &budget)
        }
    }

    private func skipPlain(_ cursor: inout Int, _ budget: inout Int) throws(DataFault) {
        var open = 1
        while open > 0 {
            open -= 1
            budget -= 1
            guard budget > 0 else { throw .corrupt }
            let value = try control(at: cursor)
            cursor = value.payload
            switch value.type {
            case .pointer, .boolean: break
            case .map: open += 2 * value.size
            case .array: open += value.size
            default: cursor += value.size
            }
            // Each value takes an octet at least.
            guard cursor <= count, open <= count - cursor else { throw .corrupt }
        }
    }

    /// A text; nil if the value is another type, empty or longer than a name can be.
    func text(at offset: Int, maximumLength: Int) throws(DataFault) -> String? {
        let value = try value(at: offset)
        guard value.type == .text, value.size > 0, value.size <= maximumLength else { return nil }
        guard value.size <= count - value.payload else { throw .corrupt }
        // Safe: the octets lie in the section, checked above.
        return unsafe String(
            decoding: UnsafeRawBufferPointer(start: base + value.payload, count: value.size),
            as: UTF8.self)
    }

    /// A double, MaxMind's kind, or a float, as some vendors write; nil if the value is neither.
    func number(at offset: Int) throws(DataFault) -> Double? {
        let value = try value(at: offset)
        switch (value.type, value.size) {
        case (.double, 8):
            guard value.payload <= count - 8 else { throw .corrupt }
            // Safe: checked above.
            let bits = unsafe base.loadUnaligned(fromByteOffset: value.payload, as: UInt64.self)
            return Double(bitPattern: UInt64(bigEndian: bits))
        case (.float, 4):
            let bits = UInt32(truncatingIfNeeded: try bits(value.payload, 4))
            return Double(Float(bitPattern: bits))
        default: return nil
        }
    }

    /// A whole number of at most 32 bits; nil if the value is another type.
    func integer(at offset: Int) throws(DataFault) -> Int? {
        let value = try value(at: offset)
        guard value.type == .uint16 || value.type == .uint32 else { return nil }
        guard value.size <= (value.type == .uint16 ? 2 : 4) else { throw .corrupt }
        return value.size == 0 ? 0 : Int(truncatingIfNeeded: try bits(value.payload, value.size))
    }
}
