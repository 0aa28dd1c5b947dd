// How pools and services stand at one moment, for people: status, and what an operator is told.

internal import DNSWire

/// How a pool stands.
public struct PoolStanding: Sendable, Hashable {
    public var isUsable: Bool
    public var healthyOrigins: Int
    public var originCount: Int
    /// The rule that says so: `1 of 3 origins up, min_healthy 2`.
    public var reason: String
    /// Which part of its clients it takes, in percent: less than 100 while it ramps or sheds.
    public var sharePercent: Int
}

/// Clients of a service who get what should not be used.
public struct ForcedAnswer: Sendable, Hashable {
    public var service: String
    /// The number of the rule, from 1; nil for clients whom no rule matches.
    public var rule: Int?
    /// The indexes of the pools that may answer; empty if the answer is an error.
    public var pools: [Int]
}

extension SteeringState {
    /// How a pool stands, by its index.
    public func standing(ofPool index: Int) -> PoolStanding {
        let state = pools[index]
        let pool = steering.configuration.pools[index]
        let (healthy, count) = (Int(state.healthyOrigins), pool.origins.count)
        var reason = "\(healthy) of \(count) origin\(count == 1 ? "" : "s") up"
        if pool.minimumHealthy > 1 || healthy < pool.minimumHealthy {
            reason += ", min_healthy \(pool.minimumHealthy)"
        }
        return PoolStanding(
            isUsable: state.isUsable, healthyOrigins: healthy, originCount: count, reason: reason,
            sharePercent: Int(state.admission * 100 / .all))
    }

    /// Where clients are answered with what is down or drained, as nothing else is left.
    public func forcedAnswers() -> [ForcedAnswer] {
        steering.configuration.services.flatMap { forcedAnswers($0) }
    }

    private func forcedAnswers(_ service: Service) -> [ForcedAnswer] {
        let configuration = steering.configuration
        var forced: [ForcedAnswer] = []
        let fallback = service.fallback.flatMap { pools[$0].isUsable ? nil : [$0] }
        for (index, rule) in service.rules.enumerated() {
            let members = configuration.pools(of: rule)
            guard members.allSatisfy({ !pools[$0].isUsable }) else { continue }
            let answering: [Int]? =
                switch service.whenAllDown {
                case .fallback: service.fallback == nil ? members : fallback
                case .all, .first: members
                case .servfail: []
                }
            if let answering {
                forced.append(
                    ForcedAnswer(service: service.name, rule: index + 1, pools: answering))
            }
        }
        if let fallback, service.rules.allSatisfy({ $0.match != nil }) {
            forced.append(ForcedAnswer(service: service.name, rule: nil, pools: fallback))
        }
        return forced
    }

    /// Which of some addresses, by their indexes, clients are still sent to although they are down or
    /// drained.
    ///
    /// - Parameter forced: `forcedAnswers()`.
    public func stillAnswered(_ indexes: [Int], forced: [ForcedAnswer]) -> [Int] {
        let forcedPools = Set(forced.flatMap(\.pools))
        let isUp = zip(steering.addresses, health.verdicts).map {
            $1.isUp(monitored: $0.isMonitored)
        }
        // A pool without a healthy address of a family answers with all of that family.
        var healthyFamilies: Set<PoolFamily> = []
        for (index, address) in steering.addresses.enumerated() where isUp[index] {
            healthyFamilies.insert(family(of: address))
        }
        return indexes.filter { index in
            let address = steering.addresses[index]
            guard !isUp[index], !healthyFamilies.contains(family(of: address)) else { return false }
            return pools[address.pool].isUsable || forcedPools.contains(address.pool)
        }
    }

    private struct PoolFamily: Hashable {
        var pool: Int
        /// Nil for host names, which serve all families.
        var family: IPAddress.Family?
    }

    private func family(of address: SteeredAddress) -> PoolFamily {
        let isHost = steering.configuration.pools[address.pool].answersByHost
        return PoolFamily(pool: address.pool, family: isHost ? nil : address.address.family)
    }
}

extension SteeringConfiguration {
    /// The pools that a service may answer with, by their indexes.
    public func pools(ofService index: Int) -> [Int] {
        let pools = pools(of: .service(index))
        guard let fallback = services[index].fallback, !pools.contains(fallback) else {
            return pools
        }
        return pools + [fallback]
    }

    /// The services that may answer with any of some pools, by their indexes: through services that they name
    /// and their fallback as well.
    public func services(answeringWith pools: Set<Int>) -> [Int] {
        services.indices.filter { !pools.isDisjoint(with: self.pools(ofService: $0)) }
    }
}
