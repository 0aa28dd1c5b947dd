// How pools and services stand at one moment, for people: status, and what an operator is told.

internal import DNSWire

/// How a pool stands.
public struct PoolStanding: Sendable, Hashable {
    public var isUsable: Bool
    /// Whether it is used only where no pool of a rule is healthy.
    public var isDegraded: Bool
    public var healthyOrigins: Int
    public var originCount: Int
    /// The rule that says so: `1 of 3 origins up, min_healthy wants 2`.
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
        let pool = summarise(index)
        let (healthy, count) = (pool.healthyOrigins, pool.origins)
        return PoolStanding(
            isUsable: pool.isUsable, isDegraded: pool.isDegraded, healthyOrigins: healthy,
            originCount: count,
            reason: pool.shortfall ?? "\(healthy) of \(count) origin\(count == 1 ? "" : "s") up",
            sharePercent: Int(pools[index].admission * 100 / .all))
    }

    /// Where clients are answered with what is down or drained, as nothing else is left.
    public func forcedAnswers() -> [ForcedAnswer] {
        steering.configuration.services.flatMap { forcedAnswers($0) }
    }

    private func forcedAnswers(_ service: Service) -> [ForcedAnswer] {
        let configuration = steering.configuration
        let fallback = service.fallback.flatMap { pools[$0].isUsable ? nil : $0 }
        var forced: [ForcedAnswer] = []
        for (index, rule) in service.rules.enumerated() {
            let members = configuration.pools(of: rule)
            guard members.allSatisfy({ !pools[$0].isUsable }) else { continue }
            // Where the fallback can't work either, what may goes before it.
            let working = members.filter { pools[$0].mayWork }
            let first = working.isEmpty ? members : working
            let answering: [Int]
            switch service.whenAllDown {
            case .fallback:
                if service.fallback != nil, fallback == nil { continue }
                let isLast = fallback.map { working.isEmpty || pools[$0].mayWork } ?? false
                answering = isLast ? [fallback].compactMap(\.self) : first
            case .first, .all: answering = first
            case .servfail: answering = []
            }
            forced.append(ForcedAnswer(service: service.name, rule: index + 1, pools: answering))
        }
        if let fallback, service.rules.allSatisfy({ $0.match != nil }) {
            let isError = service.whenAllDown == .servfail
            forced.append(
                ForcedAnswer(service: service.name, rule: nil, pools: isError ? [] : [fallback]))
        }
        return forced
    }

    /// Which of some addresses, by their indexes, clients may be sent to: those that their pools answer with,
    /// where these can be used or are answered all the same.
    public func answered(_ indexes: [Int]) -> [Int] {
        let forced = Set(forcedAnswers().flatMap(\.pools))
        var tables: [Int: (addresses: Set<IPAddress>, hosts: Set<Name>)] = [:]
        return indexes.filter { index in
            let address = steering.addresses[index]
            guard pools[address.pool].isUsable || forced.contains(address.pool) else {
                return false
            }
            let table = tables[address.pool] ?? answers(of: pools[address.pool])
            tables[address.pool] = table
            let origin = steering.configuration.pools[address.pool].origins[address.origin]
            return origin.host.map { table.hosts.contains($0) }
                ?? table.addresses.contains(address.address)
        }
    }

    /// What a pool answers with.
    private func answers(of pool: PoolState) -> (addresses: Set<IPAddress>, hosts: Set<Name>) {
        let ranges = [pool.ipv4, pool.ipv6, pool.hosts].map { table in
            draws[Int(table.start)..<Int(table.start + table.count)]
                .flatMap { $0.range.start..<$0.range.start + $0.range.count }
        }
        let ipv6 = ranges[1].map { index in
            let (high, low) = ipv6Address(index)
            return IPAddress(family: .ipv6, high: high, low: low)
        }
        return (
            Set(ranges[0].map { IPAddress(ipv4: ipv4Address($0)) } + ipv6),
            Set(ranges[2].map { steering.hosts[Int($0)] })
        )
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
