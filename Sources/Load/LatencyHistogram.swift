// Latencies counted in steps: a load has millions of them, and what is asked of them is percentiles.

/// Counts of latencies, by 64 steps to each power of two of nanoseconds: steps of 1.6% at most.
public struct LatencyHistogram: Sendable, Equatable {
    /// Steps to a power of two, itself one.
    private static let steps = 64
    /// Powers of two above the first 64 ns: up to 18 minutes.
    private static let powers = 34

    private var counts = [UInt64](repeating: 0, count: steps * (powers + 1))
    public private(set) var count: UInt64 = 0

    public init() {}

    /// Counts one latency; longer ones than there are steps for count as the longest.
    public mutating func add(nanoseconds: UInt64) {
        counts[Self.step(of: nanoseconds)] += 1
        count += 1
    }

    /// The latency, in nanoseconds, that a share of 0 to 1 of all does not exceed, to a step; 0 if
    /// there are none.
    public func percentile(_ share: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let wanted = max(1, UInt64((Double(count) * min(max(share, 0), 1)).rounded(.up)))
        var seen: UInt64 = 0
        for step in counts.indices {
            seen += counts[step]
            if seen >= wanted { return Self.upperBound(of: step) }
        }
        return Self.upperBound(of: counts.count - 1)
    }

    /// Below 64 ns each is a step; above, the six bits after the highest one are.
    private static func step(of nanoseconds: UInt64) -> Int {
        guard nanoseconds >= UInt64(steps) else { return Int(nanoseconds) }
        let power = 63 - nanoseconds.leadingZeroBitCount
        let within = Int(nanoseconds >> UInt64(power - 6)) & (steps - 1)
        return min((power - 5) * steps + within, steps * (powers + 1) - 1)
    }

    private static func upperBound(of step: Int) -> UInt64 {
        guard step >= steps else { return UInt64(step) }
        let width = UInt64(step / steps - 1)
        return (UInt64(steps + step % steps + 1) << width) - 1
    }
}
