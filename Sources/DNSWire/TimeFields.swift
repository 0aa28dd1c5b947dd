// Times in record data and master files: seconds with units, and RRSIG's dates.

/// Returns the seconds of a time in a master file: a number, or numbers with the units w, d, h, m
/// and s in any case, as in `1h30m`; nil if the text is neither.
///
/// Values past 32 bits come back as some larger number, for the caller to refuse.
public func parseSeconds(_ text: ArraySlice<UInt8>) -> UInt64? {
    if let seconds = parseDecimal(text, maximum: UInt64.max) { return seconds }
    // "4294967295s" eleven times over is still far from 64 bits.
    let maximumLength = 120
    guard !text.isEmpty, text.count <= maximumLength else { return nil }
    var total: UInt64 = 0
    var numberStart = text.startIndex
    for position in text.indices where text[position] &- 0x30 >= 10 {
        let factor: UInt64
        switch asciiLowercased(text[position]) {
        case UInt8(ascii: "w"): factor = 604_800
        case UInt8(ascii: "d"): factor = 86_400
        case UInt8(ascii: "h"): factor = 3_600
        case UInt8(ascii: "m"): factor = 60
        case UInt8(ascii: "s"): factor = 1
        default: return nil
        }
        let digits = text[numberStart..<position]
        guard (1...20).contains(digits.count) else { return nil }
        // Anything past 32 bits stays past 32 bits, whatever is added.
        let number = parseDecimal(digits, maximum: UInt64(UInt32.max)) ?? 1 << 32
        total += number * factor
        numberStart = position + 1
    }
    return numberStart == text.endIndex ? total : nil
}

extension RDataReader {
    /// RRSIG's times: YYYYMMDDHHmmSS in UTC, or seconds since 1970, modulo 2^32 (RFC 4034, 3.2).
    mutating func timestamp() throws(RDataError) -> UInt32 {
        let text = try take()
        if text.count == 14, let number = parseDecimal(text, maximum: UInt64.max),
            let seconds = Self.secondsSince1970(dateAsNumber: number)
        {
            return UInt32(truncatingIfNeeded: seconds)
        }
        guard text.count < 14, let seconds = parseDecimal(text, maximum: UInt64(UInt32.max)) else {
            throw fault(
                "\(quoted(text)) is not a time; write YYYYMMDDHHmmSS, or seconds since 1970")
        }
        return UInt32(seconds)
    }

    private static func secondsSince1970(dateAsNumber number: UInt64) -> Int64? {
        let field = { (divisor: UInt64, modulus: UInt64) in Int64(number / divisor % modulus) }
        let year = field(10_000_000_000, 10_000)
        let month = field(100_000_000, 100)
        let day = field(1_000_000, 100)
        let (hour, minute, second) = (field(10_000, 100), field(100, 100), field(1, 100))
        guard year >= 1970, (1...12).contains(month), day >= 1, hour < 24, minute < 60, second < 60
        else { return nil }
        let days = CivilDate.days(year: year, month: month, day: day)
        guard CivilDate(days: days).day == day else { return nil }
        return days * 86_400 + hour * 3_600 + minute * 60 + second
    }

    /// Returns YYYYMMDDHHmmSS for seconds since 1970, taken as a date before 2106.
    static func timestampText(_ seconds: UInt32) -> String {
        let date = CivilDate(days: Int64(seconds) / 86_400)
        let time = seconds % 86_400
        return padded(date.year, 4) + padded(date.month, 2) + padded(date.day, 2)
            + padded(Int64(time / 3_600), 2) + padded(Int64(time / 60 % 60), 2)
            + padded(Int64(time % 60), 2)
    }
}

/// A day of the Gregorian calendar.
private struct CivilDate {
    var year: Int64
    var month: Int64
    var day: Int64

    /// Days since 1970-01-01, counted in years that start in March so that the leap day is last.
    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let marchYear = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return 365 * marchYear + marchYear / 4 - marchYear / 100 + marchYear / 400 + dayOfYear
            - 719_468
    }

    init(days: Int64) {
        // 146,097 days make 400 years.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
}

/// Returns the number with zeros before it up to `width` digits.
func padded(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
