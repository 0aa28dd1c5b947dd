// How long clients go on to a pool that died, at the worst: what `check` and `status` say of each pool.

import Authority
import Health
import Settings
import Steering

/// The parts of the longest time from the death of a pool's origin to the last client that is sent there.
///
/// It ends with the resolvers' promise: one that serves stale data (RFC 8767) or raises short TTLs, and
/// clients that keep an address for longer than its TTL, take longer, and no server can tell.
struct Failover: Hashable {
    /// Until the verdict has flipped; nil for a pool that nobody probes, or of which only reports tell.
    var detection: Duration?
    /// Whether somebody has to report a death of any of its addresses, for it to be seen.
    var waitsForReport = false
    /// How long resolvers keep the last answer before; nil for a pool that no record leads to.
    var ttl: Duration?

    /// Nil unless both parts are there.
    var total: Duration? {
        guard let detection, let ttl, !waitsForReport else { return nil }
        return detection + ttl
    }
}

extension Failover {
    /// The predictions for all pools of some content, by their indexes.
    ///
    /// - Parameter monitored: the health index of each address that is probed, how long its monitors take
    ///   to find it down (nil where somebody has to report it), and how many of them have to have it up.
    static func all(
        _ content: Content, _ monitored: some Sequence<(id: Int, times: [Duration?], needed: Int)>
    ) -> [Failover] {
        let addresses = content.steering.addresses
        var failovers = content.steering.configuration.pools.indices.map { pool in
            Failover(
                detection: nil, ttl: content.longestTTL(ofPool: pool).map { .seconds(Int64($0)) })
        }
        for (id, times, needed) in monitored where addresses.indices.contains(id) {
            let pool = addresses[id].pool
            // It is down when so many of its monitors say so that the others are not enough.
            let sorted = times.sorted { ($0 ?? .seconds(Int64.max)) < ($1 ?? .seconds(Int64.max)) }
            if let time = sorted[times.count - needed] {
                failovers[pool].detection = max(failovers[pool].detection ?? .zero, time)
            } else {
                failovers[pool].waitsForReport = true
            }
        }
        return failovers
    }
}

extension Loaded {
    /// As many pools are named in a line.
    private static let namedPools = 10

    /// The lines of `check`: pools of equal times together, the longest first.
    var failoverLines: [String] {
        var groups: [Failover: [String]] = [:]
        let failovers = Failover.all(
            content, probes.targets.map { ($0.id, $0.monitors.map(\.detectionTime), $0.needed) })
        for (pool, failover) in zip(content.steering.configuration.pools, failovers) {
            groups[failover, default: []].append(pool.name)
        }
        let sorted = groups.sorted {
            ($0.key.total ?? .zero, $0.value[0]) > ($1.key.total ?? .zero, $1.value[0])
        }
        return sorted.map { failover, pools in
            let more = pools.count > Self.namedPools ? " … (\(pools.count))" : ""
            let names = pools.prefix(Self.namedPools).joined(separator: " ") + more
            return "failover of \(names): \(failover)"
        }
    }
}

extension Failover: CustomStringConvertible {
    /// `1m2s at the most (32s until probes tell, 30s TTL)`.
    var description: String {
        switch (detection, ttl) {
        case (_, let ttl?) where waitsForReport:
            "\(durationText(ttl)) TTL after somebody reports it, never by silence (stale: keep)"
        case (let detection?, let ttl?):
            "\(durationText(detection + ttl)) at the most (\(durationText(detection)) until probes tell,"
                + " \(durationText(ttl)) TTL)"
        case (nil, _?): "never, as no monitor probes it"
        case (_, nil): "no STEER record leads to it"
        }
    }
}
