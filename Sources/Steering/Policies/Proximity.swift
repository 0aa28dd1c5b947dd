// proximity: the nearest usable pool, by great-circle distance from the client's coordinates.
//
// A bias (-99 to 99) moves the border between pools: a positive one shrinks the distance to the
// pool by that many per cent, a negative one stretches it by the inverse, as Amazon Route 53
// documents for geoproximity routing. Equal distances go by file order; pools without a location
// come last; a client without coordinates gets the file's order.
//
// ```yaml
// services:
//   web:
//     rules:
//       - policy: proximity
//         pools: [main, { pool: spare, bias: 25 }]
// ```

internal import Geo

extension Policy {
    static let proximity = Policy(
        name: "proximity", entryKeys: ["bias"], dependsOnPlace: true, pick: .firstUsable,
        order: orderByDistance)

    /// How many pools of a rule are ordered by distance; the rest follow in file order.
    ///
    /// Every distinct order is an outcome of its own and splits networks in the location tree; a
    /// client whose eight nearest places are all down is past caring which is ninth.
    static let rankedPools = 8
}

/// The distance that proximity compares: kilometres, shrunk or stretched by the bias.
func biasedDistance(_ kilometres: Double, bias: Int) -> Double {
    let share = Double(bias) / 100
    return bias < 0 ? kilometres / (1 + share) : kilometres * (1 - share)
}

@Sendable
private func orderByDistance(
    _ candidates: [Policy.Candidate], _ client: Policy.Client
) -> [Int] {
    guard let client = client.point else { return Array(candidates.indices) }
    var placed: [(distance: Double, index: Int)] = []
    placed.reserveCapacity(candidates.count)
    for (index, candidate) in candidates.enumerated() {
        // A service is as near as the nearest of its pools.
        let nearest = candidate.sites.lazy.compactMap { site in
            site.point.map { client.distanceKilometres(to: $0) }
        }.min()
        guard let nearest else { continue }
        placed.append((biasedDistance(nearest, bias: candidate.bias), index))
    }
    placed.sort { $0 < $1 }
    return placed.prefix(Policy.rankedPools).map(\.index)
}
