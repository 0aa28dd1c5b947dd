// When a target is probed after its first round: spread over the interval, never in step, never late.

internal import NIOCore

/// The fixed rhythm of one target, from its key alone: the same after every restart.
struct Schedule: Sendable, Hashable {
    /// From start to start of probes: 90 to 100 % of the interval.
    ///
    /// Jitter only shortens, so that `fall` intervals and a timeout stay the longest that a dead
    /// origin is taken for up.
    let period: Duration
    /// From the start of the first round to the second probe, more than zero and at most the period.
    let offset: Duration

    init(key: String, interval: Duration) {
        let hash = Self.hash(key)
        // Two numbers of 0 to 65,535 from different ends of the hash.
        period = interval - interval * Int(hash & 0xFFFF) / 655_360
        offset = period * (Int(hash >> 48) + 1) / 65_536
    }

    /// FNV-1a, and a finish that spreads keys that differ in their last octet only.
    private static func hash(_ key: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for octet in key.utf8 { hash = (hash ^ UInt64(octet)) &* 0x100_0000_01B3 }
        hash = (hash ^ hash >> 32) &* 0xD6E8_FEB8_6659_FD93
        return (hash ^ hash >> 32) &* 0xD6E8_FEB8_6659_FD93
    }
}
