// Capacity: what pools have left for clients of others, at one moment. Computed on the control plane, in
// whole numbers, so that every server of the same files and verdicts comes to the same.
//
//   displaced(P) = load(P), all of it while P is down, or degraded where others are healthy; else what
//                  it leaves to others
//   demand(Q)    = the sum of displaced(P) over the pools P whose clients may come to Q
//   share(Q)     = min(1, (capacity(Q) - load(Q)) / demand(Q))
//
// Of the displaced clients Q takes at most `share`, times what it admits (`SteeringState.hasRoom`): never
// above its capacity, however many of them come to it first, as far as loads are spread over prefixes. So
// whom it did not take it is not asked for again, where a rule names several services that have it.

/// What a pool has for clients of others.
struct Room: Sendable, BitwiseCopyable {
    /// Which share of the displaced clients it has room for; all without a capacity.
    var share: Share
    /// What it is drawn by while nothing has room: up to 2^31, at least 1.
    var weight: UInt64
    /// Its bit of `Decision.refusers`; none if no client comes to it more than once.
    var mark: UInt64
}

/// The pools of a rule that takes the first in order, where one states its capacity.
struct Neighbourhood: Sendable, Hashable {
    /// Whose clients go to others if it does not take them: a pool; or several that a policy draws
    /// among, whose clients leave only while all of them are down.
    var homes: [[Int]]
    /// All of them.
    var members: [Int]
}

extension SteeringConfiguration {
    /// The neighbourhoods of all rules, each but once.
    ///
    /// - Precondition: services don't lead back to themselves.
    var neighbourhoods: [Neighbourhood] {
        var seen: Set<Neighbourhood> = []
        return services.flatMap(\.rules).compactMap { rule in
            guard rule.policy.pick == .firstUsable else { return nil }
            let members = pools(of: rule)
            guard members.contains(where: { pools[$0].capacity != nil }) else { return nil }
            let new = Neighbourhood(homes: homes(of: rule), members: members)
            return seen.insert(new).inserted ? new : nil
        }
    }

    private func homes(of rule: Rule) -> [[Int]] {
        guard rule.policy.pick == .firstUsable else { return [pools(of: rule)] }
        var homes: [[Int]] = []
        for target in rule.pools.map(\.target) {
            switch target {
            case .pool(let index): homes.append([index])
            case .service(let index): homes += services[index].rules.flatMap { self.homes(of: $0) }
            }
            // Where places decide, any may be a client's first.
            if !rule.policy.dependsOnPlace, isComplete(target) { break }
        }
        return homes
    }
}

extension Steering {
    /// What each pool has for clients of others; empty where no capacity counts.
    func rooms(_ states: ContiguousArray<PoolState>) -> ContiguousArray<Room> {
        guard !neighbourhoods.isEmpty else { return [] }
        let pools = configuration.pools
        let worth = pools.reduce(UInt64(0)) { $0 + UInt64($1.worth) }
        let demands = demands(states)
        return ContiguousArray(
            pools.indices.map { index in
                let pool = pools[index]
                var room = Room(share: .all, weight: 0, mark: 0)
                // Beyond 64 some share a mark: then one that has room may not be asked.
                if let number = revisited[index] { room.mark = 1 << UInt64(number % 64) }
                // At most 2^30 * 2^31, divided by what is no less.
                let part = UInt64(pool.worth) << 31 / worth
                room.weight = max(1, part * UInt64(states[index].admission) / UInt64(Share.all))
                if let capacity = pool.capacity, demands[index] > 0 {
                    // At most 2^30 * 2^32: demands are in parts of 65,536.
                    let left = UInt64(max(0, capacity - pool.usualLoad)) << 32
                    room.share = Share(min(left / demands[index], UInt64(Share.all)))
                }
                return room
            })
    }

    /// By pool, the load of all pools' clients that may come to it, in parts of 65,536: at most
    /// 4,096 * 2^30 * 2^16.
    private func demands(_ states: ContiguousArray<PoolState>) -> [UInt64] {
        // By pool, and by the pool that they come from; the most that any rule has leave that.
        var sources = Array(repeating: [Int: UInt64](), count: states.count)
        for neighbourhood in neighbourhoods {
            let tier = Tiers(neighbourhood.members.map { states[$0].tier }).best
            // Of homes that leave nobody to others nothing comes to anybody.
            let homes = neighbourhood.homes.filter { home in
                home.count == 1 || home.allSatisfy { !states[$0].tier.has(tier) }
            }
            var leaving: [Int: UInt64] = [:]
            for pool in homes.joined() {
                let state = states[pool]
                let share: Share = state.tier.has(tier) ? .all - state.admission : .all
                let load = UInt64(configuration.pools[pool].usualLoad) * UInt64(share)
                if load > 0 { leaving[pool] = load }
            }
            guard !leaving.isEmpty else { continue }
            for member in neighbourhood.members where configuration.pools[member].capacity != nil {
                sources[member].merge(leaving, uniquingKeysWith: max)
            }
        }
        return sources.enumerated().map { member, sources in
            sources.reduce(0) { $1.key == member ? $0 : $0 + $1.value }
        }
    }
}

extension RuleCompiler {
    /// The pools that a displaced client may come to more than once, numbered.
    func revisitedPools() -> [Int: Int] {
        var known: [Int: [Int: Int]] = [:]
        var result: Set<Int> = []
        for outcome in outcomes
        where outcome.hasNested && outcome.hasCapacity && outcome.pick == .firstUsable {
            result.formUnion(visits(of: outcome, &known).filter { $0.value > 1 }.keys)
        }
        return Dictionary(uniqueKeysWithValues: result.sorted().enumerated().map { ($1, $0) })
    }

    /// How often a client comes to each pool at most.
    private func visits(of outcome: Outcome, _ known: inout [Int: [Int: Int]]) -> [Int: Int] {
        guard outcome.hasNested else {
            return Dictionary(uniqueKeysWithValues: sets[Int(outcome.set)].pools.map { ($0, 1) })
        }
        var result: [Int: Int] = [:]
        for child in children[Int(outcome.head)..<Int(outcome.head) + Int(outcome.headCount)] {
            var visits = [Int(child.reference): 1]
            if let inner = child.outcome {
                visits = known[inner] ?? self.visits(of: outcomes[inner], &known)
                known[inner] = visits
            }
            // Of those that are drawn among, a client comes to one.
            result.merge(visits, uniquingKeysWith: outcome.pick == .firstUsable ? (+) : max)
        }
        return result
    }
}
