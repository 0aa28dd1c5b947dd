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
    let pick: Pick
    /// Whether there is a next pool that a spare address can come from.
    var allowsSpare: Bool { pick == .firstUsable || pick == .byHash }
    /// Returns the positions of the candidates that the client's place decides about, best first, none
    /// twice. The others follow as `rest` has them.
    let order: @Sendable (_ candidates: [Candidate], _ client: SurfacePoint?) -> [Int]

    /// What a policy may know of a pool when it orders them.
    struct Candidate: Sendable, Hashable {
        /// Where it is: one point for a pool, one for each pool of a service; none if no location
        /// is stated.
        var points: [SurfacePoint]
        var bias: Int
    }

    /// The order of the candidates that `order` leaves out: the file's; where places matter, those
    /// without a location last.
    func rest(_ candidates: [Candidate]) -> [Int] {
        let indices = Array(candidates.indices)
        guard dependsOnPlace else { return indices }
        return indices.filter { !candidates[$0].points.isEmpty }
            + indices.filter { candidates[$0].points.isEmpty }
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
