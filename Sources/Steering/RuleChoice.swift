// What a list of rules says of clients, in two steps: of what is known of them in words, which is
// the same for thousands of places; then of where exactly they are. Asked for each place that there
// is while a tree is compiled (`ShapeTable`).

internal import Geo

/// What rules go by, apart from where exactly the client is.
struct ClientFacts {
    /// Nil if nobody knows where the client is; its coordinates are not looked at.
    var location: Location?
    /// The lists of networks that hold the client.
    var matchedLists: [Int] = []
    /// As `Measurements.roundTrips` has them.
    var measured: [Double?] = []
}

/// A rule ready to be asked of places.
final class PreparedRule {
    fileprivate let match: PreparedMatch?
    fileprivate let policy: Policy
    fileprivate let candidates: [Policy.Candidate]
    /// The rules of those candidates that are services; empty if none is.
    fileprivate let nested: [[PreparedRule]]

    init(_ shape: RuleShape, _ measurements: Measurements, _ lists: inout NetworkLists) {
        match = shape.match.map { PreparedMatch($0, &lists) }
        policy = shape.policy
        // The rule counts its own columns, clients' measured round trips are those of all rules.
        let columns = shape.columns.map { measurements.index(of: $0) }
        var candidates = shape.candidates.map(\.candidate).map { candidate in
            var candidate = candidate
            for index in candidate.sites.indices {
                candidate.sites[index].column = candidate.sites[index].column.flatMap {
                    columns[$0]
                }
            }
            return candidate
        }
        Policy.linkTwins(&candidates)
        self.candidates = candidates
        let nested = shape.candidates.map {
            $0.nested.map { PreparedRule($0, measurements, &lists) }
        }
        self.nested = nested.allSatisfy(\.isEmpty) ? [] : nested
    }
}

/// What a list of rules comes to for clients of whom all is known but where exactly they are.
struct RuleChoice {
    /// The rule that matches them; nil if none does.
    fileprivate let rule: (index: Int, rule: PreparedRule)?
    fileprivate let measured: [Double?]
    /// What those of its candidates come to that are services, by position; empty if none is.
    fileprivate let nested: [RuleChoice?]

    init(_ rules: [PreparedRule], _ facts: ClientFacts) {
        let index = rules.firstIndex {
            $0.match?.holds(facts.location, facts.matchedLists) ?? true
        }
        rule = index.map { ($0, rules[$0]) }
        measured = facts.measured
        nested = (rule?.rule.nested ?? []).map { $0.isEmpty ? nil : RuleChoice($0, facts) }
    }

    /// Whether it comes to the same wherever they are.
    var isSameEverywhere: Bool {
        rule?.rule.policy.dependsOnPlace != true
            && nested.allSatisfy { $0?.isSameEverywhere ?? true }
    }

    /// The positions of the candidates that the place decides about, best first.
    func order(_ point: SurfacePoint?) -> [Int] {
        guard let rule = rule?.rule else { return [] }
        return rule.policy.order(
            rule.candidates, Policy.Client(point: point, measured: measured))
    }

    func outcome(_ point: SurfacePoint?) -> OutcomeKey { outcome(point, order: order(point)) }

    /// - Parameter order: that of the point.
    func outcome(_ point: SurfacePoint?, order: [Int]) -> OutcomeKey {
        guard let (index, rule) = rule else { return OutcomeKey(rule: nil) }
        guard !nested.isEmpty else {
            return OutcomeKey(rule: index, head: order.map { .init(position: $0) })
        }
        // What other services say differs from place to place, so nothing is left to the rest.
        let all = order + rule.policy.rest(rule.candidates).filter { !order.contains($0) }
        return OutcomeKey(
            rule: index,
            head: all.map { position in
                .init(
                    position: position, nested: nested[position].map { [$0.outcome(point)] } ?? [])
            })
    }
}

/// Numbers distinct outcomes.
final class OutcomeNumbers {
    /// What the numbers stand for.
    private(set) var keys: [OutcomeKey] = []
    private var numbers: [OutcomeKey: UInt32] = [:]
    /// By what they go by.
    private var orders: [OrderKey: OrderNumbers] = [:]

    private struct OrderKey: Hashable {
        var prefersResolver: Bool
        var rule: Int?
    }

    private func number(of key: OutcomeKey, _ prefersResolver: Bool) -> UInt32 {
        var key = key
        key.prefersResolver = prefersResolver
        if let known = numbers[key] { return known }
        let number = UInt32(keys.count)
        keys.append(key)
        numbers[key] = number
        return number
    }

    /// What a choice comes to at each place.
    func outcomes(
        of choice: RuleChoice, prefersResolver: Bool
    ) -> (_ coordinates: Coordinates?) -> UInt32 {
        if choice.isSameEverywhere {
            let number = number(of: choice.outcome(nil), prefersResolver)
            return { _ in number }
        }
        guard choice.nested.isEmpty else {
            return { coordinates in
                self.number(
                    of: choice.outcome(coordinates.map(SurfacePoint.init)), prefersResolver)
            }
        }
        let key = OrderKey(prefersResolver: prefersResolver, rule: choice.rule?.index)
        let orders = orders[key] ?? OrderNumbers()
        self.orders[key] = orders
        return { coordinates in
            orders.number(of: choice, at: coordinates) { self.number(of: $0, prefersResolver) }
        }
    }
}

/// The outcomes of one rule's choices that are orders of pools: hundreds of thousands of places, and a
/// million networks with round trips of their own, have a few of them, so that each is put together once.
private final class OrderNumbers {
    private var numbers: [[Int]: UInt32] = [:]
    /// The one of the place that was asked for last: often that of the next.
    private var last: (order: [Int], number: UInt32)?

    func number(
        of choice: RuleChoice, at coordinates: Coordinates?, _ number: (OutcomeKey) -> UInt32
    ) -> UInt32 {
        let point = coordinates.map(SurfacePoint.init)
        let order = choice.order(point)
        if let last, last.order == order { return last.number }
        let result = numbers[order] ?? number(choice.outcome(point, order: order))
        numbers[order] = result
        last = (order, result)
        return result
    }
}
