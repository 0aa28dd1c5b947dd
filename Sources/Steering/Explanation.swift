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
    /// What geography knows of the address that was gone by, or the default place if it knows none.
    public var located: LocatedAddress
    /// What it knows of the client, where the resolver's address went before it for want of that.
    public var unknownClient: LocatedAddress?
    /// Whether nobody knew the client, nor its resolver.
    public var isUnknown: Bool
    public var hasDatabase: Bool
    /// Whether the checker suspects its own network, so that verdicts are those from before.
    public var isIsolated: Bool
    public var decision: Decision
    /// The service's own rules, then those of the service that they led to, and so on.
    public var levels: [Level]
    /// The service's fallback pool; nil if it states none.
    public var fallback: PoolSummary?
    /// The answering pool; nil if several answer together, or none.
    public var pool: PoolSummary?
    /// The pool whose address is given beside.
    public var spare: PoolSummary?
    /// The origins of the answering pool.
    public var origins: [OriginSummary]
    public var addresses: [IPAddress]
    /// The host whose name is answered in place of addresses.
    public var host: Name?
    /// The TTL of the answer in seconds; nil if it is not known here.
    public var ttl: UInt32?
    public var ttlReason: TTLReason
    /// The type of the records that have the addresses as hints; nil if they are A and AAAA.
    public var bindingType: RecordType?
    /// The addresses that get the same decision as this client; nil if that is everyone.
    public var scope: IPNetwork?

    /// What the TTL comes from.
    public enum TTLReason: Sendable {
        case steer
        /// The SVCB or HTTPS record has less.
        case binding
        /// Nil if nothing that it depends on is probed.
        case service(ServiceTTL, Flip?)
    }

    /// A verdict that could flip.
    public struct Flip: Sendable {
        public var pool: String
        public var origin: String
        /// Or the host name of an origin that is given by it.
        public var address: String
        /// What it would be then: `up`, `degraded`, `down`, or of what is degraded, `up or down`.
        public var verdict: String
        public var horizon: Horizon
    }

    /// What one service said.
    public struct Level: Sendable {
        public var service: String
        /// The rules that were asked: those that did not match, then the one that did, if any.
        public var rules: [RuleStep]
        /// What the matched rule chooses among, in the order for this client; empty if none matched.
        public var candidates: [Candidate]
    }

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
        /// Whether it can be used, but for its degraded origins could not.
        public var isDegraded: Bool
        /// How many of its origins are up; are degraded at best; are drained at best.
        public var healthyOrigins: Int
        public var degradedOrigins: Int
        public var drainedOrigins: Int
        /// How many have a verdict that is an operator's word.
        public var overriddenOrigins: Int
        public var origins: Int
        public var minimums: [Minimum]
        /// Empty for a pool that nobody checks.
        public var monitors: [String]
        /// How many of them have to have an address up.
        public var monitorsNeeded: Int
        /// How many of its clients, in percent, it leaves to others.
        public var shed: Int
        /// The share of its clients, 0 to 1, that it has back already; nil unless it was down before.
        public var ramping: Double?
        /// In the user's unit; nil for a pool without a limit.
        public var capacity: Int?
        /// What it usually bears, in the same unit; nil where no capacity counts.
        public var load: Int?
        /// For which share of the clients whom others do not take it has room; nil without a capacity.
        public var room: Double?
    }

    /// One rule of `min_healthy`, and what there is for it.
    public struct Minimum: Sendable, Hashable {
        public var rule: MinimumHealthy
        /// How many origins it counts among.
        public var origins: Int
        /// How many of these are up, and how many up or degraded.
        public var up: Int
        public var fit: Int
    }

    /// An origin of the answering pool.
    public struct OriginSummary: Sendable {
        public var name: String
        /// Empty for an origin that is given by its host name.
        public var addresses: [IPAddress]
        public var host: Name?
        /// Whether any address is up or degraded.
        public var isUp: Bool
        /// What its best address is: `up`, `degraded`, `drained`, `down`.
        public var verdict: String
        /// Whether any of its verdicts is an operator's word.
        public var isOverridden: Bool
        /// The share of the draws, 0 to 1; nil if all that are up answer together.
        public var share: Double?
        /// Whether this answer has it.
        public var isAnswered: Bool
    }

    /// A pool of the matched rule, or a service that chooses one.
    public struct Candidate: Sendable {
        /// The pool's name, or the service's.
        public var name: String
        /// Nil for a service.
        public var pool: PoolSummary?
        /// From client to pool, or to the nearest that a service has; nil if either has no coordinates.
        public var kilometres: Double?
        /// What proximity compared; nil where it compares nothing.
        public var biasedKilometres: Double?
        public var bias: Int
        /// What policy `latency` compared; nil under others, and where nobody can tell.
        public var roundTrip: RoundTrip?
        /// The share of the draws, or of the client prefixes, 0 to 1; nil unless the policy draws.
        public var share: Double?
        public var verdict: Verdict
        /// The pools of a service none of whose pools can be used, or is healthy where others are.
        public var downPools: [PoolSummary] = []

        /// What became of a candidate.
        public enum Verdict: String, Sendable, Hashable {
            case chosen
            /// Its address is given beside the chosen pool's.
            case spare
            /// Too few origins that are up or degraded.
            case down
            /// Too few origins that are up, whereas another pool has enough.
            case degraded
            /// It leaves this client's prefix to others.
            case shed
            /// It has no room for this client's prefix, whom another left to others.
            case overCapacity
            /// It could have answered; another was before it, or was drawn.
            case notNeeded
            /// It has weight 0 while others have more.
            case weightZero
        }
    }

    /// How long clients take to a pool, and who says so.
    public struct RoundTrip: Sendable {
        public var milliseconds: Double
        /// The pool's name: of a service, the one that is nearest by this.
        public var pool: String
        /// The row that tells; nil where it is estimated from the distance.
        public var row: Row?

        /// A row of the table of measured round trips.
        public struct Row: Sendable {
            /// As the file has it.
            public var key: String
            public var position: SourcePosition
            /// What the file says; within the margin of what is gone by.
            public var measured: Double
        }
    }

    public var rules: [RuleStep] { levels[0].rules }
    public var candidates: [Candidate] { levels[0].candidates }
}

extension Double {
    fileprivate init(share: Share) { self = Double(share) / Double(Share.all) }
}

// MARK: - Building

extension SteeringState {
    /// Explains what `decide` says of the same client and the same random bits.
    public func explain(service: Int, client: Client, random: UInt64) -> Explanation {
        let decision = decide(service: service, client: client, random: random)
        let settings = steering.configuration.services[service]
        let address = decision.wentByResolver ? client.resolver ?? client.address : client.address
        let located = steering.geography.findOrAssume(address)
        let isByLadder = decision.wentByResolver && settings.clientSubnet == .use
        // Services of equal rules share outcomes: the first level is that of the service asked for.
        let steps = trace(decision, client: client, random: random)
        let levels = steps.enumerated().map { depth, step in
            let index = Int(steering.outcomes[step.outcome].service)
            return level(
                step, of: depth == 0 ? settings : steering.configuration.services[index],
                decision, address, located)
        }
        return Explanation(
            service: settings.name, servicePosition: settings.position, client: client,
            located: located,
            unknownClient: isByLadder ? steering.geography.find(client.address) : nil,
            isUnknown: steering.outcomes[Int(decision.outcome)].prefersResolver,
            hasDatabase: steering.geography.database != nil, isIsolated: health.isIsolated,
            decision: decision, levels: levels,
            fallback: settings.fallback.map(summarise),
            pool: decision.pool >= 0 ? summarise(Int(decision.pool)) : nil,
            spare: decision.spare >= 0 ? summarise(Int(decision.spare)) : nil,
            origins: decision.pool >= 0 ? summariseOrigins(decision) : [],
            addresses: addresses(decision), host: host(decision),
            ttl: ttl(of: decision),
            ttlReason: settings.ttl.map { .service($0, flip(of: decision)) } ?? .steer,
            scope: decision.scope > 0
                ? IPNetwork(client.address, length: Int(decision.scope)) : nil)
    }

    /// The verdict that could flip the soonest of those that a decision depends on.
    private func flip(of decision: Decision) -> Explanation.Flip? {
        let flip = soonestFlip(of: decision)
        let index = steering.addresses.indices.first {
            steering.addresses[$0].pool == Int(flip.pool)
                && health.horizons[$0].seconds == flip.seconds
        }
        guard let index else { return nil }
        let steered = steering.addresses[index]
        let pool = steering.configuration.pools[steered.pool]
        let origin = pool.origins[steered.origin]
        let horizon = health.horizons[index]
        return Explanation.Flip(
            pool: pool.name, origin: origin.name,
            address: origin.host.map { String($0.description.dropLast()) }
                ?? steered.address.description,
            verdict: opposite(of: health[index], horizon), horizon: horizon)
    }

    private func opposite(of verdict: Verdict, _ horizon: Horizon) -> String {
        if verdict == .degraded { return "up or down" }
        guard verdict.fitness(monitored: true) == .up else { return "up" }
        return horizon.isDegrading ? "degraded" : "down"
    }

    /// A pool with its health, by its index.
    public func summarise(_ index: Int) -> Explanation.PoolSummary {
        let pool = steering.configuration.pools[index]
        let origins = originHealth(index)
        let counts = originCounts[index]
        return Explanation.PoolSummary(
            name: pool.name, isUsable: pools[index].isUsable,
            isDegraded: pools[index].tier == .degraded,
            healthyOrigins: origins.count { $0.best == .up },
            degradedOrigins: origins.count { $0.best == .degraded },
            drainedOrigins: origins.count { $0.best == .drained },
            overriddenOrigins: origins.count { $0.isOverridden }, origins: pool.origins.count,
            minimums: pool.minimumHealthy.map {
                .init(
                    rule: $0, origins: pool.origins($0.kind), up: counts.up[$0.kind],
                    fit: counts.fit[$0.kind])
            }, monitors: pool.monitors, monitorsNeeded: pool.monitorsNeeded,
            shed: pool.shed, ramping: ramps.shares[index].map(Double.init(share:)),
            capacity: pool.capacity, load: rooms.isEmpty ? nil : pool.usualLoad,
            room: pool.capacity == nil || rooms.isEmpty || !pools[index].isUsable
                ? nil : Double(share: rooms[index].share))
    }

    private func summariseOrigins(_ decision: Decision) -> [Explanation.OriginSummary] {
        let index = Int(decision.pool)
        let pool = steering.configuration.pools[index]
        let shares = originShares(pools[index])
        let answered = Set(addresses(decision))
        let answeredHost = host(decision)
        let health = originHealth(index)
        return pool.origins.enumerated().map { number, origin in
            Explanation.OriginSummary(
                name: origin.name, addresses: origin.addresses, host: origin.host,
                isUp: health[number].best >= .degraded, verdict: "\(health[number].best)",
                isOverridden: health[number].isOverridden,
                share: pool.policy == .all ? nil : shares[number] ?? 0,
                isAnswered: origin.addresses.contains(where: answered.contains)
                    || origin.host != nil && origin.host == answeredHost)
        }
    }

    /// Why pools are not healthy, by their names, as `degraded: 1 of 2 origins up and 1 degraded,
    /// min_healthy wants 2`.
    public var shortfalls: [String: String] {
        let pools = steering.configuration.pools.indices.map(summarise)
        return Dictionary(
            pools.compactMap { pool in pool.shortfall.map { (pool.name, "\(pool.tier): \($0)") } }
        ) { first, _ in first }
    }

    /// What the best address of each origin of a pool is good for, and whether an operator says so.
    private func originHealth(_ index: Int) -> [(best: Fitness, isOverridden: Bool)] {
        let pool = steering.configuration.pools[index]
        var next = steering.firstAddresses[index]
        return pool.origins.map { origin in
            defer { next += origin.healthEntries }
            let entries = next..<next + origin.healthEntries
            let best = entries.map {
                health[$0].fitness(monitored: steering.addresses[$0].isMonitored)
            }.max()
            return (best ?? .down, entries.contains(where: health.overridden.contains))
        }
    }

    /// The shares of a pool's origins in its draws: of the family that has more of them.
    private func originShares(_ pool: PoolState) -> [Int: Double] {
        let addresses = pool.ipv4.count >= pool.ipv6.count ? pool.ipv4 : pool.ipv6
        let table = pool.hosts.count > 0 ? pool.hosts : addresses
        let entries = (table.start..<table.start + table.count).map { draws[Int($0)] }
        let total = Double(entries.last?.sum ?? 1)
        return Dictionary(
            entries.map { (Int($0.item), Double($0.weight) / total) },
            uniquingKeysWith: { a, _ in a })
    }

    // MARK: Levels

    private func level(
        _ step: TraceStep, of service: Service, _ decision: Decision, _ address: IPAddress,
        _ located: LocatedAddress
    ) -> Explanation.Level {
        let outcome = steering.outcomes[step.outcome]
        return Explanation.Level(
            service: service.name,
            rules: explainRules(service, outcome, located.foldedIPv4 ?? address, located),
            candidates: outcome.rule < 0
                ? [] : explainCandidates(service, step, decision, address, located))
    }

    private func explainRules(
        _ service: Service, _ outcome: Outcome, _ address: IPAddress, _ located: LocatedAddress
    ) -> [Explanation.RuleStep] {
        let matched = outcome.rule < 0 ? nil : Int(outcome.rule)
        return service.rules.prefix((matched ?? service.rules.count - 1) + 1).enumerated().map {
            index, rule in
            var mismatch: String?
            if index != matched {
                mismatch = rule.match?.firstMismatch(address, located.location)
            }
            return Explanation.RuleStep(
                index: index, position: rule.position, policy: rule.policy,
                match: rule.match?.text, mismatch: mismatch)
        }
    }

    private func explainCandidates(
        _ service: Service, _ step: TraceStep, _ decision: Decision, _ address: IPAddress,
        _ located: LocatedAddress
    ) -> [Explanation.Candidate] {
        let outcome = steering.outcomes[step.outcome]
        let rule = service.rules[Int(outcome.rule)]
        // Deeper levels go by the tier of the first one.
        let tier = tier(of: steering.outcomes[Int(decision.outcome)])
        let shares = shares(of: outcome, tier)
        let client = located.location?.coordinates.map(SurfacePoint.init)
        var cursor = ChildCursor()
        var candidates: [Explanation.Candidate] = []
        while let child = steering.next(&cursor, of: outcome) {
            let target: PoolReference.Target =
                child.outcome.map { .service(Int(steering.outcomes[$0].service)) }
                ?? .pool(Int(child.reference))
            let bias = rule.pools.first { $0.target == target }?.bias ?? 0
            let points = steering.configuration.pools(of: target).compactMap {
                steering.configuration.pools[$0].location.map(SurfacePoint.init)
            }
            let kilometres = client.flatMap { client in
                points.lazy.map { client.distanceKilometres(to: $0) }.min()
            }
            var candidate = Explanation.Candidate(
                name: "", kilometres: kilometres,
                biasedKilometres: rule.policy.dependsOnPlace && !rule.policy.usesMeasurements
                    ? kilometres.map { biasedDistance($0, bias: bias) } : nil,
                bias: bias, share: shares.map { $0[cursor.position] ?? 0 }, verdict: .notNeeded)
            switch target {
            case .pool(let index):
                candidate.pool = summarise(index)
                candidate.name = candidate.pool?.name ?? ""
            case .service(let index):
                candidate.name = steering.configuration.services[index].name
                if !tiers(of: child).has(tier), let inner = child.outcome {
                    let set = steering.sets[Int(steering.outcomes[inner].set)]
                    candidate.downPools = set.pools.map(summarise)
                }
            }
            if rule.policy.usesMeasurements {
                candidate.roundTrip = steering.configuration.pools(of: target).compactMap {
                    roundTrip(to: $0, located.foldedIPv4 ?? address, located.location)
                }.min { $0.milliseconds < $1.milliseconds }
            }
            candidate.verdict = verdict(
                child, cursor.position, step, decision, tier, candidate.share)
            candidates.append(candidate)
        }
        return candidates
    }

    private func roundTrip(
        to index: Int, _ address: IPAddress, _ location: Location?
    ) -> Explanation.RoundTrip? {
        let pool = steering.configuration.pools[index]
        if let row = steering.latencyRow(forPool: index, address, location) {
            let file = steering.configuration.latency.file
            return .init(
                milliseconds: row.milliseconds, pool: pool.name,
                row: .init(
                    key: row.key.description,
                    position: SourcePosition(file: file, line: row.line, column: 1),
                    measured: row.measured))
        }
        guard let client = location?.coordinates, let place = pool.location else { return nil }
        return .init(
            milliseconds: roundTripMilliseconds(distanceKilometres(client, place)), pool: pool.name)
    }

    private func verdict(
        _ child: Child, _ position: Int32, _ step: TraceStep, _ decision: Decision,
        _ tier: Tiers, _ share: Double?
    ) -> Explanation.Candidate.Verdict {
        let isUsable = tiers(of: child).has(tier)
        if position == step.position || step.reason == .all && isUsable { return .chosen }
        if child.reference == decision.spare { return .spare }
        guard isUsable else { return tiers(of: child).isEmpty ? .down : .degraded }
        if share == 0 { return child.weight == 0 ? .weightZero : .shed }
        guard let wasDisplaced = step.refusals[position] else { return .notNeeded }
        return wasDisplaced && child.outcome == nil ? .overCapacity : .shed
    }

    /// The share of each child that is good enough, by its position; nil unless the outcome draws.
    private func shares(of outcome: Outcome, _ tier: Tiers) -> [Int32: Double]? {
        guard outcome.pick == .byWeight || outcome.pick == .byHash else { return nil }
        let weights = weights(of: outcome, tier)
        let total = Double(weights.reduce(0) { $0 + $1.weight })
        return Dictionary(
            weights.map { ($0.position, Double($0.weight) / total) },
            uniquingKeysWith: { a, _ in a })
    }
}
