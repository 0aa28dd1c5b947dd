// latency: the usable pool with the shortest round trip, as measured.
//
// Measurements are rows of `geo/latency.csv`: how long clients of a network, an autonomous system, a
// subdivision, country, region or continent took to a pool. The most specific row counts, for each pool
// by itself. Where none is, the great circle is: there and back at two thirds of the speed of light,
// times 1.5 for the detours of cables. A pool with neither comes last, in file order; equal ones go by
// file order; a service counts as the best of its pools.
//
// ```yaml
// latency: { min_samples: 20, margin: 10% }   # of all rules: which rows count, which changes matter
// services:
//   web:
//     rules:
//       - policy: latency
//         pools: [main, spare]
// ```

internal import Geo

extension Policy {
    static let latency = Policy(
        name: "latency", entryKeys: [], dependsOnPlace: true, usesMeasurements: true,
        pick: .firstUsable, order: orderByRoundTrip)
}

extension Policy.Client {
    /// The round trip to a pool in milliseconds: measured, or else estimated; nil if it can't be told.
    func roundTrip(to site: Policy.Site) -> Double? {
        if let column = site.column, let measured = measured[column] { return measured }
        guard let point, let pool = site.point else { return nil }
        return roundTripMilliseconds(point.distanceKilometres(to: pool))
    }
}

@Sendable
private func orderByRoundTrip(
    _ candidates: [Policy.Candidate], _ client: Policy.Client
) -> [Int] {
    var ranked: [(milliseconds: Double, index: Int)] = []
    for (index, candidate) in candidates.enumerated() {
        let best = candidate.sites.lazy.compactMap { client.roundTrip(to: $0) }.min()
        if let best { ranked.append((best, index)) }
    }
    ranked.sort { $0 < $1 }
    return ranked.prefix(Policy.rankedPools).map(\.index)
}
