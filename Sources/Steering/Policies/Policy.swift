// What a policy is, and the list of them. To add one: a file beside this one with a header that
// documents its settings in an example (a test loads it), one line in `Policy.all`, and a case of
// `Pick` if none of those there chooses as it needs. The conformance suite then runs over it.

internal import Geo

/// How a rule orders its pools for a client's place, and how one is picked for an answer.
///
/// Ordering happens at load, once for each distinct place; picking happens for each query.
public struct Policy: Sendable, Hashable, CustomStringConvertible {
    /// Every policy, in the order that messages list them.
    public static let all: [Policy] = [
        .proximity,
        .latency,
        .failover,
        .weighted,
        .hash,
        .union,
    ]

    /// What a rule without `policy:` does.
    static let standard = Policy.failover

    /// The word in the file.
    public let name: String
    /// The keys that an entry of the rule's `pools:` may have beside `pool`.
    let entryKeys: [String]
    /// Whether `order` looks at the client's coordinates.
    let dependsOnPlace: Bool
    /// Whether it looks at measured round trips, too.
    var usesMeasurements = false
    let pick: Pick
    /// Whether there is a next pool that a spare address can come from.
    var allowsSpare: Bool { pick == .firstUsable || pick == .byHash }
    /// Returns the positions of the candidates that the client's place decides about, best first, none
    /// twice. The others follow as `rest` has them.
    let order: @Sendable (_ candidates: [Candidate], _ client: Client) -> [Int]

    /// What a policy may know of a pool when it orders them.
    struct Candidate: Sendable, Hashable {
        /// One for a pool, one for each pool of a service.
        var sites: [Site]
        var bias: Int
        /// Whether one before it has the same places, and the next that has; see `linkTwins`.
        fileprivate(set) var isTwin = false
        fileprivate(set) var nextTwin: Int?

        init(sites: [Site], bias: Int) {
            self.sites = sites
            self.bias = bias
        }

        var hasLocation: Bool { sites.contains { $0.point != nil } }
    }

    /// Links candidates that are at the same places, as pools of one city are: they are as far from
    /// everybody.
    static func linkTwins(_ candidates: inout [Candidate]) {
        var last: [[SurfacePoint?]: Int] = [:]
        for index in candidates.indices {
            let places = candidates[index].sites.map(\.point)
            if let before = last.updateValue(index, forKey: places) {
                candidates[before].nextTwin = index
                candidates[index].isTwin = true
            }
        }
    }

    /// A pool as policies see it.
    struct Site: Sendable, Hashable {
        /// Nil if no location is stated.
        var point: SurfacePoint?
        /// Which of `Client.measured` is its own; nil if none ever is.
        var column: Int?
    }

    /// What a policy may know of a client.
    struct Client: Sendable {
        /// Nil if nobody knows where it is.
        var point: SurfacePoint?
        /// Measured round trips in milliseconds, for policies that use them.
        var measured: [Double?] = []
    }

    /// The order of the candidates that `order` leaves out: the file's; where places alone matter,
    /// those without a location last.
    func rest(_ candidates: [Candidate]) -> [Int] {
        let indices = Array(candidates.indices)
        guard dependsOnPlace, !usesMeasurements else { return indices }
        return indices.filter { candidates[$0].hasLocation }
            + indices.filter { !candidates[$0].hasLocation }
    }

    static func named(_ name: String) -> Policy? { all.first { $0.name == name } }

    public var description: String { name }
    public static func == (a: Policy, b: Policy) -> Bool { a.name == b.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// How a query picks from an outcome's pools; `SteeringState.decide` has one function for each.
enum Pick: UInt8, Sendable, BitwiseCopyable {
    /// The first pool in the outcome's order that can be used.
    case firstUsable
    /// One of the usable pools, drawn by weight.
    case byWeight
    /// One of the usable pools, by the client's prefix and the weights.
    case byHash
    /// All usable pools together.
    case union
    /// No rule matched: there are no pools to pick from.
    case nothing
}
