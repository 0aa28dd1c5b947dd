// The wall clock as status, logs and explain show it. Schedules never use it: it may be set back.

internal import Glibc

/// A moment in UTC.
public struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    public static func now() -> Timestamp {
        var time = timespec()
        // Safe: the call fills a value of ours.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

    /// How much later one moment is than another; negative if it is earlier.
    public static func - (a: Self, b: Self) -> Duration {
        .nanoseconds(a.nanoseconds) - .nanoseconds(b.nanoseconds)
    }

    /// The moment so much later, or the last that there is.
    public func advanced(by duration: Duration) -> Timestamp {
        let (seconds, rest) = duration.components
        let sum = Int64(
            clamping: Int128(seconds) * 1_000_000_000 + Int128(rest / 1_000_000_000)
                + Int128(nanoseconds))
        return Timestamp(nanoseconds: sum)
    }

    /// RFC 3339 in whole seconds: `2026-02-03T04:05:06Z`.
    public var description: String {
        let seconds = nanoseconds.dividingFloored(by: 1_000_000_000).quotient
        let (days, second) = seconds.dividingFloored(by: 86_400)
        // Civil date from days, in years that begin on the 1st of March: the leap day comes last.
        let (era, dayOfEra) = (days + 719_468).dividingFloored(by: 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        let two = { (value: Int64) in value < 10 ? "0\(value)" : "\(value)" }
        return "\(year)-\(two(month))-\(two(day))T"
            + "\(two(second / 3_600)):\(two(second / 60 % 60)):\(two(second % 60))Z"
    }
}

extension Int64 {
    /// Division that rounds down, so that moments before 1970 come out right too.
    fileprivate func dividingFloored(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
