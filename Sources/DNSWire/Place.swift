// LOC data: a place on earth with its size and precision (RFC 1876).

/// LOC's sixteen octets: version 0, three sizes, latitude, longitude, altitude.
enum Place {
    static let wireLength = 16
    /// Thousandths of an arc second in one degree.
    private static let degree: Int64 = 3_600_000
    /// The value of 0° (RFC 1876, section 2).
    private static let equator: Int64 = 1 << 31
    /// How far below the ellipsoid altitudes start, in centimetres.
    private static let altitudeBase: Int64 = 10_000_000

    static func isValid(_ octets: ArraySlice<UInt8>) -> Bool {
        guard octets.count == wireLength, octets.first == 0 else { return false }
        // Two digits of up to 9; zero has only one form.
        let sizes = octets.dropFirst().prefix(3)
        guard sizes.allSatisfy({ $0 & 15 <= 9 && $0 >> 4 <= 9 && ($0 >> 4 > 0 || $0 == 0) })
        else { return false }
        return abs(number(octets, at: 4) - equator) <= 90 * degree
            && abs(number(octets, at: 8) - equator) <= 180 * degree
    }

    private static func number(_ octets: ArraySlice<UInt8>, at offset: Int) -> Int64 {
        octets.dropFirst(offset).prefix(4).reduce(0) { $0 << 8 | Int64($1) }
    }

    /// The presentation format of valid octets, all fields shown.
    static func presentation(of octets: ArraySlice<UInt8>) -> String {
        let latitude = number(octets, at: 4) - equator
        let longitude = number(octets, at: 8) - equator
        let sizes = octets.dropFirst().prefix(3).map { size in
            metres((0..<(size & 15)).reduce(Int64(size >> 4)) { value, _ in value * 10 })
        }
        return angle(latitude) + (latitude < 0 ? " S " : " N ") + angle(longitude)
            + (longitude < 0 ? " W " : " E ") + metres(number(octets, at: 12) - altitudeBase) + " "
            + sizes.joined(separator: " ")
    }

    private static func angle(_ signed: Int64) -> String {
        let value = abs(signed)
        return "\(value / degree) \(value / 60_000 % 60) \(value / 1_000 % 60)."
            + padded(value % 1_000, 3)
    }

    private static func metres(_ centimetres: Int64) -> String {
        (centimetres < 0 ? "-" : "") + "\(abs(centimetres) / 100)."
            + padded(abs(centimetres) % 100, 2)
            + "m"
    }

    /// A number with up to `fractionDigits` decimals, times 10 to that power; nil if it is none.
    static func scaled(_ text: ArraySlice<UInt8>, fractionDigits: Int) -> Int64? {
        let parts = text.split(
            separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let whole = parseDecimal(first, maximum: 1_000_000_000)
        else { return nil }
        var value = Int64(whole)
        let fraction = parts.count == 2 ? parts[1] : []
        guard parts.count == 1 || (1...fractionDigits).contains(fraction.count) else { return nil }
        for index in 0..<fractionDigits {
            let digit = index < fraction.count ? fraction[fraction.startIndex + index] : 0x30
            guard digit &- 0x30 < 10 else { return nil }
            value = value * 10 + Int64(digit - 0x30)
        }
        return value
    }

    /// Centimetres as one digit times a power of ten, rounded down (RFC 1876, section 2).
    static func sizeOctet(centimetres: Int64) -> UInt8 {
        var mantissa = centimetres
        var exponent: UInt8 = 0
        while mantissa > 9 {
            mantissa /= 10
            exponent += 1
        }
        return UInt8(mantissa) << 4 | exponent
    }

    static func coordinate(_ value: Int64) -> UInt32 { UInt32(truncatingIfNeeded: equator + value) }
    static func altitude(_ centimetres: Int64) -> UInt32 {
        UInt32(truncatingIfNeeded: altitudeBase + centimetres)
    }
}

extension RDataReader {
    mutating func readPlace() throws(RDataError) {
        let latitude = try coordinate("latitude", maximum: 90, positive: "N", negative: "S")
        let longitude = try coordinate("longitude", maximum: 180, positive: "E", negative: "W")
        // From the deepest to the highest that 32 bits of centimetres can say.
        let altitude = try metres("altitude", within: -10_000_000...4_284_967_295)
        // One metre, ten kilometres, ten metres when left out (RFC 1876, section 3).
        var sizes: [Int64] = [100, 1_000_000, 1_000]
        for index in sizes.indices where position < tokens.endIndex {
            sizes[index] = try metres("size", within: 0...9_000_000_000)
        }
        wire.append(0)
        wire += sizes.map(Place.sizeOctet)
        append(Place.coordinate(latitude))
        append(Place.coordinate(longitude))
        append(Place.altitude(altitude))
    }

    /// Degrees, minutes and seconds, the last two optional, then a letter.
    private mutating func coordinate(
        _ what: String, maximum: Int64, positive: Character, negative: Character
    ) throws(RDataError) -> Int64 {
        var total: Int64 = 0
        var unit: Int64 = 3_600_000
        while true {
            let text = try take()
            let letter = text.count == 1 ? text.first.map { Character(UnicodeScalar($0)) } : nil
            if unit < 3_600_000, let side = letter?.uppercased(),
                side == String(positive) || side == String(negative)
            {
                guard total <= maximum * 3_600_000 else {
                    throw fault("a \(what) of more than \(maximum) degrees; write less")
                }
                return side == String(negative) ? -total : total
            }
            let decimals = unit == 1_000 ? 3 : 0
            let limit: Int64 = unit == 3_600_000 ? maximum : 59
            guard unit >= 1_000,
                let value = decimals == 0
                    ? parseDecimal(text, maximum: UInt64(limit)).map({ Int64($0) * unit })
                    : Place.scaled(text, fractionDigits: decimals),
                value < (limit + 1) * unit
            else {
                throw fault(
                    "\(quoted(text)) does not fit in a \(what); write degrees, minutes and seconds "
                        + "(up to three decimals), then \(positive) or \(negative)")
            }
            total += value
            unit /= 60
        }
    }

    /// Metres with up to two decimals and an optional `m`, as centimetres.
    private mutating func metres(
        _ what: String, within limits: ClosedRange<Int64>
    ) throws(RDataError) -> Int64 {
        let text = try take()
        var digits = text
        if let last = digits.last, asciiLowercased(last) == UInt8(ascii: "m") {
            digits = digits.dropLast()
        }
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative { digits = digits.dropFirst() }
        guard let value = Place.scaled(digits, fractionDigits: 2),
            limits.contains(isNegative ? -value : value)
        else {
            throw fault(
                "\(quoted(text)) is not \(what == "altitude" ? "an" : "a") \(what); write "
                    + "\(limits.lowerBound / 100) to \(limits.upperBound / 100) metres, as in 12.50m"
            )
        }
        return isNegative ? -value : value
    }
}
