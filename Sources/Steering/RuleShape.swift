// What of the rules of a service its location tree depends on: all but which pools stand at the places
// that the rules name.

internal import DNSWire
internal import Geo

/// What of a rule a location tree depends on.
struct RuleShape: Hashable, Sendable {
    /// Something to choose among; a pool, if `nested` is empty.
    struct Candidate: Hashable, Sendable {
        var candidate: Policy.Candidate
        var nested: [RuleShape]
    }

    var match: Match?
    var policy: Policy
    var candidates: [Candidate]
    /// What its candidates' sites count by their `column`; empty unless the policy uses measurements.
    var columns: [LatencyColumn] = []
    /// The regions that these name, in the order in which they count.
    var regions: [Region] = []

    /// It, and those of the services that it names.
    var withNested: [RuleShape] { [self] + candidates.flatMap(\.nested).flatMap(\.withNested) }

    /// Whether it, or one of a service that it names, asks for cities.
    var usesCities: Bool {
        ((match?.everyMatch ?? []) + regions.flatMap(\.parts)).contains { $0.cities != nil }
            || candidates.contains { $0.nested.contains(where: \.usesCities) }
    }

    /// The AS numbers that it, or one of a service that it names, asks for.
    var asns: Set<UInt32> {
        let matches = (match?.everyMatch ?? []) + regions.flatMap(\.parts)
        var result = Set(matches.flatMap { $0.asns ?? [] })
        for rule in candidates.flatMap(\.nested) { result.formUnion(rule.asns) }
        return result
    }

    /// Whether it, or one of a service that it names, asks who or where a client is beyond its address.
    var usesPlaces: Bool {
        policy.dependsOnPlace
            || match?.everyMatch.contains { $0.namesPlaces || $0.asns != nil } ?? false
            || candidates.contains { $0.nested.contains(where: \.usesPlaces) }
    }

    /// Whether it gives everyone the same outcome.
    var isSameForEveryone: Bool {
        match == nil && !policy.dependsOnPlace
            && candidates.allSatisfy { $0.nested.first?.isSameForEveryone ?? true }
    }
}

/// All that a location tree depends on, apart from geography.
struct ServiceShape: Hashable, Sendable {
    let rules: [RuleShape]
    /// The regions that rows of round trips name, in the order in which they count.
    let regions: [Region]

    init(_ service: Service, _ configuration: SteeringConfiguration) {
        rules = configuration.ruleShapes(of: service)
        regions = configuration.regions(
            named: rules.flatMap(\.withNested).flatMap(\.regions).map(\.name))
    }
}

/// What rules of one shape have in common.
struct Shape: Sendable {
    /// Nil if the only outcome is the same for everyone.
    var tree: LocationTree?
    /// What the tree's numbers mean.
    var outcomes: [OutcomeKey] = []
}

/// An outcome without its pools: which rule matched, and the positions in it, best first.
struct OutcomeKey: Hashable, Sendable {
    struct Choice: Hashable, Sendable {
        /// The position in the rule's list.
        var position: Int
        /// What another service comes out as: one, or none for a pool.
        var nested: [OutcomeKey] = []
    }

    /// Whether it is that of clients whom nobody knows.
    var prefersResolver = false
    /// The index of the rule; nil if none matched.
    var rule: Int?
    /// Those that the place decides about; the others follow in the rule's own order.
    var head: [Choice] = []
}

extension SteeringConfiguration {
    fileprivate func ruleShapes(of service: Service) -> [RuleShape] {
        service.rules.map { rule in
            var shape = RuleShape(match: rule.match, policy: rule.policy, candidates: [])
            shape.candidates = rule.pools.map { reference in
                let candidate = candidate(reference, rule.policy, &shape.columns)
                guard case .service(let index) = reference.target else {
                    return .init(candidate: candidate, nested: [])
                }
                return .init(
                    candidate: candidate, nested: ruleShapes(of: services[index]))
            }
            shape.regions = regions(named: shape.columns.flatMap(\.regions))
            return shape
        }
    }

    /// - Parameter columns: gets those of its pools that it lacks, if the policy uses them.
    func candidate(
        _ reference: PoolReference, _ policy: Policy, _ columns: inout [LatencyColumn]
    ) -> Policy.Candidate {
        // Where a policy does not ask for places, a tree holds wherever the pools are.
        guard policy.dependsOnPlace else { return Policy.Candidate(sites: [], bias: 0) }
        var sites: [Policy.Site] = []
        for pool in pools(of: reference.target).map({ pools[$0] }) {
            var site = Policy.Site(point: pool.location.map(SurfacePoint.init))
            if policy.usesMeasurements, let column = latency.columns[pool.name] {
                site.column = columns.firstIndex(of: column) ?? columns.count
                if site.column == columns.count { columns.append(column) }
            }
            sites.append(site)
        }
        return Policy.Candidate(sites: sites, bias: reference.bias)
    }
}
