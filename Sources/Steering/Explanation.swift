// Why a client gets its answer, as values: built from the same `Decision` that the server writes,
// with what the file, geography and health say beside it. `Explanation.text` is for people.

public import DNSWire
public import Geo
public import Settings

/// A decision with all its reasons.
public struct Explanation: Sendable {
    public var service: String
    public var servicePosition: SourcePosition
    public var client: Client
    /// What geography knows of the client.
    public var located: LocatedAddress
    public var decision: Decision
    /// The rules that were asked: those that did not match, then the one that did, if any.
    public var rules: [RuleStep]
    /// The matched rule's pools, in the order for this client; empty if no rule matched.
    public var candidates: [Candidate]
    /// The service's fallback pool; nil if it states none.
    public var fallback: PoolSummary?
    /// The answering pool; nil if several answer together.
    public var pool: PoolSummary?
    public var addresses: [IPAddress]
    /// The addresses that get the same outcome as this client.
    public var scope: IPNetwork

    /// One rule that was asked.
    public struct RuleStep: Sendable {
        public var index: Int
        public var position: SourcePosition
        public var policy: Policy
        /// The match as the file's words; nil if the rule takes everyone.
        public var match: String?
        /// The field that did not hold; nil for the rule that matched.
        public var mismatch: String?
    }

    /// A pool with its health.
    public struct PoolSummary: Sendable {
        public var name: String
        public var isUsable: Bool
        public var healthyOrigins: Int
        public var origins: Int
        public var minimumHealthy: Int
        public var isMonitored: Bool
        /// The origins drawn, IPv4's first; empty if the pool answers with all of them.
        public var drawnOrigins: [String] = []
    }

    /// A pool of the matched rule.
    public struct Candidate: Sendable {
        public var pool: PoolSummary
        /// From client to pool; nil if either has no coordinates.
        public var kilometres: Double?
        /// What proximity compared; nil where it compares nothing.
        public var biasedKilometres: Double?
        public var bias: Int
        /// The share of the draws among the usable pools, 0 to 1; nil unless the policy draws.
        public var share: Double?
        public var verdict: Verdict

        /// What became of a candidate.
        public enum Verdict: Sendable, Hashable {
            case chosen
            /// Too few healthy origins.
            case down
            /// It could have answered; another was before it, or was drawn.
            case notNeeded
            /// It has weight 0 while others have more.
            case weightZero
        }
    }
}

// MARK: - Building

extension SteeringState {
    /// Explains what `decide` says of the same client and the same random bits.
    public func explain(service: Int, client: Client, random: UInt64) -> Explanation {
        let decision = decide(service: service, client: client, random: random)
        let settings = steering.configuration.services[service]
        let located = steering.geography.find(client.address)
        var pool: Explanation.PoolSummary?
        if decision.pool >= 0 {
            var summary = summarise(Int(decision.pool))
            let origins = steering.configuration.pools[Int(decision.pool)].origins
            for drawn in [decision.ipv4Origin, decision.ipv6Origin] where drawn >= 0 {
                let name = origins[Int(drawn)].name
                if !summary.drawnOrigins.contains(name) { summary.drawnOrigins.append(name) }
            }
            pool = summary
        }
        guard let scope = IPNetwork(client.address, length: Int(decision.scope)) else {
            preconditionFailure("a scope has at most as many bits as the address")
        }
        return Explanation(
            service: settings.name, servicePosition: settings.position, client: client,
            located: located, decision: decision,
            rules: explainRules(settings, decision, client, located),
            candidates: explainCandidates(settings, decision, located),
            fallback: settings.fallback.map(summarise), pool: pool,
            addresses: addresses(decision), scope: scope)
    }

    private func summarise(_ index: Int) -> Explanation.PoolSummary {
        let pool = steering.configuration.pools[index]
        return Explanation.PoolSummary(
            name: pool.name, isUsable: pools[index].isUsable,
            healthyOrigins: Int(pools[index].healthyOrigins), origins: pool.origins.count,
            minimumHealthy: pool.minimumHealthy, isMonitored: pool.monitor != nil)
    }

    private func explainRules(
        _ service: Service, _ decision: Decision, _ client: Client, _ located: LocatedAddress
    ) -> [Explanation.RuleStep] {
        let matched = decision.rule < 0 ? nil : Int(decision.rule)
        let address = located.foldedIPv4 ?? client.address
        return service.rules.prefix((matched ?? service.rules.count - 1) + 1).enumerated().map {
            index, rule in
            var mismatch: String?
            if index != matched {
                let inNetworks = rule.match?.networks?.contains { $0.contains(address) } ?? false
                mismatch = rule.match?.firstMismatch(
                    inNetworks: inNetworks, location: located.location)
            }
            return Explanation.RuleStep(
                index: index, position: rule.position, policy: rule.policy,
                match: rule.match?.text, mismatch: mismatch)
        }
    }

    private func explainCandidates(
        _ service: Service, _ decision: Decision, _ located: LocatedAddress
    ) -> [Explanation.Candidate] {
        let outcome = steering.outcomes[Int(decision.outcome)]
        guard outcome.rule >= 0 else { return [] }
        let rule = service.rules[Int(outcome.rule)]
        let order = (0..<outcome.count).map { steering.rankings[Int(outcome.start + $0)] }
        let client = located.location?.coordinates
        let shares = outcome.pick == .byWeight ? shares(of: tables[Int(outcome.table)].pools) : nil
        return order.map { pool in
            let index = Int(pool)
            let reference = rule.pools.first { $0.pool == index } ?? PoolReference(pool: index)
            var kilometres: Double?
            if let client, let location = steering.configuration.pools[index].location {
                kilometres = distanceKilometres(client, location)
            }
            let summary = summarise(index)
            let verdict: Explanation.Candidate.Verdict =
                if !summary.isUsable {
                    .down
                } else if decision.reason == .all || Int(decision.pool) == index {
                    .chosen
                } else if let shares, shares[index] == nil {
                    .weightZero
                } else {
                    .notNeeded
                }
            return Explanation.Candidate(
                pool: summary, kilometres: kilometres,
                biasedKilometres: rule.policy.dependsOnPlace
                    ? kilometres.map { biasedDistance($0, bias: reference.bias) } : nil,
                bias: reference.bias, share: shares.map { $0[index] ?? 0 }, verdict: verdict)
        }
    }

    /// The share of each item of a draw table.
    private func shares(of table: DrawTable) -> [Int: Double] {
        var result: [Int: Double] = [:]
        var before: UInt64 = 0
        let entries = (table.start..<table.start + table.count).map { draws[Int($0)] }
        for entry in entries {
            result[Int(entry.item)] = Double(entry.sum - before) / Double(entries.last?.sum ?? 1)
            before = entry.sum
        }
        return result
    }
}
