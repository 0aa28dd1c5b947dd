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
    let bound = candidates.count > Policy.rankedPools ? leastCosine(candidates, client) : unplaced
    var few = FewLeast(count: Policy.rankedPools)
    for index in candidates.indices
    where bound <= unplaced || largestCosine(candidates[index], client) >= bound {
        // A service is as near as the nearest of its pools.
        var distance = Double.infinity
        for site in candidates[index].sites.indices {
            guard let point = candidates[index].sites[site].point else { continue }
            distance = min(distance, client.distanceKilometres(to: point))
        }
        few.insert(biasedDistance(distance, bias: candidates[index].bias), index)
    }
    return few.indexes
}

/// What the cosine of the nearest site is at least for a candidate that may be among the few: whoever can't
/// be is left out first, as cosines rank like distances and cost a tenth.
private func leastCosine(_ candidates: [Policy.Candidate], _ client: SurfacePoint) -> Double {
    guard candidates.allSatisfy({ $0.bias == 0 }) else { return unplaced }
    var few = FewLeast(count: Policy.rankedPools)
    for index in candidates.indices {
        few.insert(-largestCosine(candidates[index], client), index)
    }
    return -few.bound - cosineMargin
}

private func largestCosine(_ candidate: Policy.Candidate, _ client: SurfacePoint) -> Double {
    var largest = unplaced
    for site in candidate.sites.indices {
        guard let point = candidate.sites[site].point else { continue }
        largest = max(largest, client.cosine(to: point))
    }
    return largest
}

/// Below every cosine, for what has no location.
private let unplaced = -2.0
/// Cosines that differ by more than this belong to distances that differ the same way: a thousand times what
/// rounding makes of either.
private let cosineMargin = 1e-12

/// The few least of many numbers, in order; of equal ones the first.
///
/// Every distinct place is ranked at load, so sorting all pools to keep eight would show.
private struct FewLeast {
    private let count: Int
    private var numbers: [Double] = []
    private(set) var indexes: [Int] = []

    init(count: Int) {
        self.count = count
        numbers.reserveCapacity(count)
        indexes.reserveCapacity(count)
    }

    /// What a number has to be below to be taken still.
    var bound: Double { numbers.count == count ? numbers[count - 1] : .infinity }

    /// Takes one more, whose index is above those of all before.
    mutating func insert(_ number: Double, _ index: Int) {
        guard number < bound else { return }
        if numbers.count == count {
            numbers.removeLast()
            indexes.removeLast()
        }
        var place = numbers.count
        while place > 0, numbers[place - 1] > number { place -= 1 }
        numbers.insert(number, at: place)
        indexes.insert(index, at: place)
    }
}
