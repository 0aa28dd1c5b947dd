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
    var bound = unplaced
    if candidates.allSatisfy({ $0.bias == 0 }) {
        let ranked = rankByCosine(candidates, client)
        if let order = ranked.order { return order }
        bound = ranked.bound
    }
    var few = FewLeast()
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
    return few.all
}

/// Ranks without a bias: cosines rank like distances and cost a tenth, but for near ties.
///
/// - Returns: nil for the order where there are some, and what the cosines of the nearest aren't below.
func rankByCosine(
    _ candidates: [Policy.Candidate], _ client: SurfacePoint
) -> (order: [Int]?, bound: Double) {
    var few = FewLeast()
    for index in candidates.indices where !candidates[index].isTwin {
        let cosine = largestCosine(candidates[index], client)
        if cosine > unplaced { few.insert(-cosine, index) }
    }
    return (
        few.areApart(by: cosineMargin) ? withTwins(few.all, candidates) : nil,
        -few.bound - cosineMargin
    )
}

/// Behind each the others of its places, which are as near and go by file order.
private func withTwins(_ order: [Int], _ candidates: [Policy.Candidate]) -> [Int] {
    var result: [Int] = []
    result.reserveCapacity(Policy.rankedPools)
    for first in order {
        var next: Int? = first
        while let index = next, result.count < Policy.rankedPools {
            result.append(index)
            next = candidates[index].nextTwin
        }
    }
    return result
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
/// Cosines that differ by more than this belong to distances that differ the same way: a thousand
/// times what rounding makes of either.
private let cosineMargin = 1e-12

/// The few least of many numbers, in order; of equal ones the first.
///
/// Every distinct place is ranked at load, so sorting all pools to keep eight would show.
private struct FewLeast {
    private var numbers = InlineArray<8, Double>(repeating: .infinity)
    private var indexes = InlineArray<8, Int>(repeating: 0)
    private var count = 0
    /// The least of those that are not among the few.
    private var next = Double.infinity

    init() {
        assert(numbers.count == Policy.rankedPools, "as many as a policy ranks")
    }

    /// What a number has to be below to be taken still.
    var bound: Double { numbers[numbers.count - 1] }

    var all: [Int] { (0..<count).map { indexes[$0] } }

    /// Whether each is above the one before by more than a margin, and those left out above all of
    /// them.
    func areApart(by margin: Double) -> Bool {
        for place in 0..<count {
            let after = place + 1 < count ? numbers[place + 1] : next
            guard after - numbers[place] > margin else { return false }
        }
        return true
    }

    /// Takes one more, whose index is above those of all before.
    mutating func insert(_ number: Double, _ index: Int) {
        guard number < bound else {
            next = min(next, number)
            return
        }
        if count == numbers.count {
            next = bound
            count -= 1
        }
        var place = count
        while place > 0, numbers[place - 1] > number {
            numbers[place] = numbers[place - 1]
            indexes[place] = indexes[place - 1]
            place -= 1
        }
        numbers[place] = number
        indexes[place] = index
        count += 1
    }
}
