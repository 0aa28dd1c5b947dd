// What the health of another moment changes for pools and services: the words for an operator.

/// How a pool, or a rule of a service, came to stand otherwise.
public struct SteeringChange: Sendable, Hashable {
    public enum Subject: Sendable, Hashable {
        case pool(String)
        /// A rule of a service, from 1.
        case rule(service: String, Int)
    }

    public var subject: Subject
    /// Of a pool: up, degraded, down; drained if it would be used but for an operator's word. Of a rule:
    /// down if none of its pools can be used.
    public var from: Verdict
    public var to: Verdict
    /// The rule that says so: `1 of 3 origins up, min_healthy wants 2`.
    public var reason: String
}

extension SteeringState {
    /// Returns what is otherwise than it was, pools before services, in file order.
    ///
    /// What was not there before counts as having been up: that it works is no news.
    ///
    /// - Parameters:
    ///   - old: nil for none. Pools and services of another configuration are found by their names.
    ///   - services: the indexes of those that records name.
    public func changes(since old: SteeringState?, services: [Int]) -> [SteeringChange] {
        let configuration = steering.configuration
        let before = old.map { Verdicts($0, isSame: $0.steering === steering) }
        let conditions = poolConditions
        var changes: [SteeringChange] = []
        for (index, pool) in configuration.pools.enumerated() {
            let from = before?.pool(index, pool.name) ?? .up
            let to = conditions[index]
            guard from != to else { continue }
            changes.append(
                SteeringChange(
                    subject: .pool(pool.name), from: from, to: to,
                    reason: standing(ofPool: index).reason))
        }
        // Rules follow from pools, but for those that are new.
        guard !changes.isEmpty || before?.isSame != true else { return changes }
        for index in services {
            let service = configuration.services[index]
            for (number, rule) in service.rules.enumerated() {
                let from = before?.rule(index, service.name, number) ?? .up
                let to = condition(of: rule)
                guard from != to else { continue }
                changes.append(
                    SteeringChange(
                        subject: .rule(service: service.name, number + 1), from: from, to: to,
                        reason: reason(of: rule, service, to)))
            }
        }
        return changes
    }

    /// How things stood in another state.
    private struct Verdicts {
        let state: SteeringState
        /// Whether indexes are the same.
        let isSame: Bool
        private let conditions: [Verdict]
        private let pools: [String: Int]
        private let services: [String: Int]

        init(_ state: SteeringState, isSame: Bool) {
            self.state = state
            self.isSame = isSame
            conditions = state.poolConditions
            let configuration = state.steering.configuration
            let index = { (names: [String]) in
                Dictionary(names.enumerated().map { ($1, $0) }) { first, _ in first }
            }
            pools = isSame ? [:] : index(configuration.pools.map(\.name))
            services = isSame ? [:] : index(configuration.services.map(\.name))
        }

        func pool(_ index: Int, _ name: String) -> Verdict? {
            (isSame ? index : pools[name]).map { conditions[$0] }
        }

        func rule(_ service: Int, _ name: String, _ number: Int) -> Verdict? {
            guard let service = isSame ? service : services[name] else { return nil }
            let rules = state.steering.configuration.services[service].rules
            return rules.indices.contains(number) ? state.condition(of: rules[number]) : nil
        }
    }

    // MARK: - Of one

    /// How each pool stands: drained if it would be used but for what operators say.
    private var poolConditions: [Verdict] {
        var unsaid = health
        for index in health.overridden where health[index].fitness(monitored: true) < .degraded {
            unsaid[index] = .up
        }
        let unsaidCounts = health.overridden.isEmpty ? [] : steering.originCounts(unsaid)
        return configuration.pools.enumerated().map { index, pool in
            let tier = pools[index].tier
            guard tier.isEmpty else { return tier == .healthy ? .up : .degraded }
            guard !unsaidCounts.isEmpty else { return .down }
            return pool.tier(unsaidCounts[index]).isEmpty ? .down : .drained
        }
    }

    private var configuration: SteeringConfiguration { steering.configuration }

    private func condition(of rule: Rule) -> Verdict {
        steering.configuration.pools(of: rule).contains { pools[$0].isUsable } ? .up : .down
    }

    /// As many pools are named.
    private static let namedPools = 8

    private func reason(of rule: Rule, _ service: Service, _ verdict: Verdict) -> String {
        guard verdict == .down else { return "its pools answer again" }
        let configuration = steering.configuration
        let pools = configuration.pools(of: rule).map { configuration.pools[$0].name }
        let more = pools.count > Self.namedPools ? ", … (\(pools.count))" : ""
        let names = pools.prefix(Self.namedPools).joined(separator: ", ") + more
        let answer =
            switch service.whenAllDown {
            case .fallback:
                service.fallback.map { "the fallback pool \(configuration.pools[$0].name)" }
                    ?? "the first pool all the same"
            case .first: "the first pool all the same"
            case .all: "all of them all the same"
            case .servfail: "SERVFAIL"
            }
        return "all pools are down (\(names)); clients get \(answer)"
    }
}
