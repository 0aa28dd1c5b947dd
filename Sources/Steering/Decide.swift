// The decision itself: (service, client, health) in, `Decision` out. One tree lookup, a few array
// reads; no allocation, no reference counting, no text. `explain` calls the same function. Picks by draw
// are in `DecideByDraw`, where clients go whom their first choice does not take in `DecideDisplaced`.

public import DNSWire
internal import Geo

extension SteeringState {
    /// Decides what to answer a client.
    ///
    /// - Parameters:
    ///   - service: an index that `Steering.service(named:)` returned.
    ///   - random: 64 fresh random bits; used only where something is drawn by weight.
    public func decide(service: Int, client: Client, random: UInt64) -> Decision {
        let compiled = steering.services[service]
        var request = Request(address: client.address, random: random)
        if let resolver = client.resolver, compiled.clientSubnet == .ignore {
            request = Request(address: resolver, random: random, goesByResolver: true)
        }
        var match = steering.lookup(request.address, inTree: compiled.tree)
        // What goes by the resolver is the same for all of its clients.
        if request.goesByResolver { match.scope = 0 }
        var index = compiled.outcome + match.outcome
        var outcome = steering.outcomes[Int(index)]
        if outcome.prefersResolver, let other = goByResolver(client, compiled, &request) {
            index = other
            outcome = steering.outcomes[Int(other)]
        }
        var decision = Decision(
            service: UInt32(truncatingIfNeeded: service), outcome: index,
            rule: outcome.rule, reason: .ranked, scope: match.scope)
        decision.wentByResolver = request.goesByResolver
        request.tier = tier(of: outcome)
        var choice = choose(outcome, request, &decision)
        if choice == .refused {
            // All that can be used leave this client to others: then the first has to take it.
            request.isForced = true
            decision.isForced = true
            choice = choose(outcome, request, &decision)
        }
        if choice == .none { answerAllDown(compiled, outcome, &decision) }
        if decision.pool >= 0 { answer(from: Int(decision.pool), request, &decision) }
        decision.hasTTL = compiled.ttl.upper > 0
        return decision
    }

    /// The outcome of the resolver's address, for a client whom nobody knows; nil if nobody knows the
    /// resolver either.
    ///
    /// The scope stays that of the client's own leaf: all of it gets this through this resolver (RFC
    /// 7871, section 10).
    @inline(never)
    private func goByResolver(
        _ client: Client, _ compiled: CompiledService, _ request: inout Request
    ) -> UInt32? {
        guard !request.goesByResolver, let resolver = client.resolver else { return nil }
        let match = steering.lookup(resolver, inTree: compiled.tree)
        let index = compiled.outcome + match.outcome
        guard !steering.outcomes[Int(index)].prefersResolver else { return nil }
        request.address = resolver
        request.goesByResolver = true
        return index
    }

    /// What a decision is made for.
    struct Request: BitwiseCopyable {
        /// The address that prefixes are taken from.
        var address: IPAddress
        var random: UInt64
        var goesByResolver = false
        /// Whether no pool may leave this client to others.
        var isForced = false
        /// How good a pool has to be: as good as any that the decision's outcome comes to.
        var tier = Tiers()

        /// Fresh bits for one purpose, which tell nothing of those for another.
        @inline(__always)
        func bits(for purpose: Purpose) -> UInt64 { mixed(random ^ purpose.rawValue) }

        /// The client's prefix, on which the decision depends from now on.
        @inline(__always)
        func prefix(_ decision: inout Decision) -> ClientPrefix {
            let prefix = ClientPrefix(address)
            if !goesByResolver { decision.scope = max(decision.scope, prefix.length) }
            return prefix
        }
    }

    /// What became of choosing among what an outcome has.
    enum Choice {
        case taken
        /// What can be used leaves this client to others.
        case refused
        /// Nothing can be used.
        case none
    }

    func choose(
        _ outcome: Outcome, _ request: Request, _ decision: inout Decision
    ) -> Choice {
        switch outcome.pick {
        case .firstUsable: pickFirstUsable(outcome, request, &decision)
        case .byWeight: pickByWeight(outcome, request, &decision)
        case .byHash: pickByHash(outcome, request, &decision)
        case .union: pickUnion(outcome, &decision)
        case .nothing: .none
        }
    }

    /// Takes a pool, or what another service chooses.
    @inline(__always)
    func take(
        _ child: Child, at position: Int32, _ request: Request, _ decision: inout Decision
    ) -> Choice {
        if let inner = child.outcome {
            // How deep services name services is bounded when they are read.
            let choice = choose(steering.outcomes[inner], request, &decision)
            guard choice == .taken else { return choice }
        } else {
            guard request.isForced || admits(child, request, &decision) else { return .refused }
            decision.pool = child.reference
        }
        decision.position = position
        return .taken
    }

    /// The tier that decisions of an outcome go by.
    @inline(__always)
    func tier(of outcome: Outcome) -> Tiers { sets[Int(outcome.set)].tiers.best }

    /// How good a child is.
    @inline(__always)
    func tiers(of child: Child) -> Tiers {
        guard let inner = child.outcome else { return pools[Int(child.reference)].tier }
        return sets[Int(steering.outcomes[inner].set)].tiers
    }

    /// Whether anything of a child is good enough.
    @inline(__always)
    func isUsable(_ child: Child, _ request: Request) -> Bool { tiers(of: child).has(request.tier) }

    // MARK: - One function for each `Pick`

    private func pickFirstUsable(
        _ outcome: Outcome, _ request: Request, _ decision: inout Decision
    ) -> Choice {
        // Nearly always the first of the head is it.
        if outcome.headCount > 0, !outcome.hasSpare {
            let first = steering.children[Int(outcome.head)].reference
            if first >= 0, pools[Int(first)].takesAll, !decision.isDisplaced {
                decision.pool = first
                decision.position = 0
                decision.reason = .ranked
                return .taken
            }
        }
        if outcome.hasCapacity, request.isForced {
            return pickOverCapacity(outcome, request, &decision)
        }
        var cursor = ChildCursor()
        var isRefused = false
        while let child = steering.next(&cursor, of: outcome) {
            switch offer(child, at: cursor.position, of: outcome, request, &decision) {
            case .none: continue
            case .refused: isRefused = true
            case .taken:
                decision.reason = .ranked
                if outcome.hasSpare { findSpare(&cursor, outcome, request, &decision) }
                return .taken
            }
        }
        return isRefused ? .refused : .none
    }

    /// Whether a pool takes this client, or leaves it to others.
    @inline(__always)
    private func admits(
        _ child: Child, _ request: Request, _ decision: inout Decision
    ) -> Bool {
        if decision.isDisplaced { return hasRoom(child, request, &decision) }
        guard admission(of: child) != .all else { return true }
        _ = request.prefix(&decision)
        if isAdmitted(child, request.address) { return true }
        if !rooms.isEmpty { decision.refusers |= rooms[Int(child.reference)].mark }
        return false
    }

    /// Whether a client's prefix is in the share of prefixes that a pool takes.
    private func isAdmitted(_ child: Child, _ address: IPAddress) -> Bool {
        let key = ClientPrefix(address).key ^ Purpose.admission.rawValue
        return mixed(key ^ seed(of: child)) >> 48 < UInt64(admission(of: child))
    }

    /// Goes on to the next pool that can be used; if there is no other healthy one, on this level or below,
    /// to the first degraded one.
    func findSpare(
        _ cursor: inout ChildCursor, _ outcome: Outcome, _ request: Request,
        _ decision: inout Decision
    ) {
        guard decision.pool >= 0 else { return }
        shareScope(outcome, request, &decision)
        while let child = steering.next(&cursor, of: outcome) {
            if isUsable(child, request), isSpare(child, of: outcome, request, &decision) { return }
        }
        guard request.tier == .healthy, decision.spare < 0 else { return }
        var request = request
        request.tier = .degraded
        var all = ChildCursor()
        findSpare(&all, outcome, request, &decision)
    }

    /// Makes what a child comes to the spare, if that is another pool. What it looked at counts either way.
    func isSpare(
        _ child: Child, of outcome: Outcome, _ request: Request, _ decision: inout Decision
    ) -> Bool {
        var other = decision
        // It adds no load while the first address answers.
        other.isDisplaced = false
        other.reach = .all
        other.refusers = 0
        let choice = take(child, at: 0, request, &other)
        decision.scope = max(decision.scope, other.scope)
        decision.isDrawn = other.isDrawn
        shareScope(outcome, request, &decision)
        guard choice == .taken, other.pool >= 0, other.pool != decision.pool else { return false }
        decision.spare = other.pool
        return true
    }

    /// How far one goes for a spare follows from what is drawn, and all draws have one scope.
    @inline(__always)
    func shareScope(_ outcome: Outcome, _ request: Request, _ decision: inout Decision) {
        if decision.isDrawn, mayHash(outcome, decision) { _ = request.prefix(&decision) }
    }

    private func pickUnion(_ outcome: Outcome, _ decision: inout Decision) -> Choice {
        let union = unions[Int(outcome.union)]
        guard union.isUsable else { return .none }
        decision.reason = .all
        decision.ipv4 = union.ipv4
        decision.ipv6 = union.ipv6
        return .taken
    }

    // MARK: - Without a usable pool

    private func answerAllDown(
        _ compiled: CompiledService, _ outcome: Outcome, _ decision: inout Decision
    ) {
        let mode = outcome.pick == .nothing ? .fallback : compiled.whenAllDown
        switch mode {
        case .fallback where compiled.fallback >= 0: decision.pool = compiled.fallback
        // Only a service whose rules lead everyone to some pool may have no fallback.
        case .fallback, .first: decision.pool = firstPool(of: outcome)
        case .all:
            let union = unions[Int(outcome.union)]
            decision.reason = .allDown
            decision.ipv4 = union.allIPv4
            decision.ipv6 = union.allIPv6
            return
        case .servfail:
            decision.reason = .failure
            return
        }
        if decision.pool < 0 { decision.pool = compiled.fallback }
        precondition(decision.pool >= 0, "a service without a fallback leads everyone to a pool")
        let pool = pools[Int(decision.pool)]
        if pool.isUsable {
            decision.reason = outcome.pick == .nothing ? .noRuleMatched : .fallback
        } else if compiled.whenAllDown == .servfail {
            decision.reason = .failure
            decision.pool = -1
        } else if !pool.mayWork,
            case let other = firstPool(of: outcome, thatMayWork: true), other >= 0
        {
            decision.reason = .lastResort
            decision.pool = other
        } else {
            decision.reason = mode == .first ? .firstOfDown : .everythingDown
        }
    }

    /// The first pool in an outcome's order, whatever its health; -1 if there is none.
    ///
    /// - Parameter thatMayWork: whether one has to have an address that is not down.
    func firstPool(of outcome: Outcome, thatMayWork: Bool = false) -> Int32 {
        var cursor = ChildCursor()
        while let child = steering.next(&cursor, of: outcome) {
            let pool = firstPool(of: child, thatMayWork: thatMayWork)
            if pool >= 0 { return pool }
        }
        return -1
    }

    func firstPool(of child: Child, thatMayWork: Bool = false) -> Int32 {
        if let inner = child.outcome {
            return firstPool(of: steering.outcomes[inner], thatMayWork: thatMayWork)
        }
        return thatMayWork && !pools[Int(child.reference)].mayWork ? -1 : child.reference
    }

    // MARK: - Within a pool

    /// Fills in what one pool answers: A and AAAA always come from the same pool.
    private func answer(from index: Int, _ request: Request, _ decision: inout Decision) {
        let pool = pools[index]
        // The same bits for both families, so that they draw the same origins if they can.
        let key = request.bits(for: .origin)
        if pool.hosts.count > 0 { return answerByHost(pool, key, request, &decision) }
        if pool.ranksOrigins || decision.spare >= 0 {
            decision.key = pool.hashes ? request.prefix(&decision).key : key
            if decision.spare >= 0 {
                let hashes = pools[Int(decision.spare)].hashes
                decision.spareKey = hashes ? request.prefix(&decision).key : key
            }
            decision.hasSeveralRuns = true
            let (ipv4, ipv6) = (runs(decision, .ipv4), runs(decision, .ipv6))
            decision.ipv4 = ipv4[0]
            decision.ipv6 = ipv6[0]
            decision.ipv4Origin = ipv4.origin
            decision.ipv6Origin = ipv6.origin
            return
        }
        if pool.ipv4.count > 0 {
            let entry = draw(pool.ipv4, key)
            decision.ipv4 = entry.range
            decision.ipv4Origin = entry.item
        }
        if pool.ipv6.count > 0 {
            let entry = draw(pool.ipv6, key)
            decision.ipv6 = entry.range
            decision.ipv6Origin = entry.item
        }
    }

    /// Fills in the host of a pool whose origins are given by name: always one, as a name has one CNAME
    /// (RFC 2181, section 10.1).
    @inline(never)
    private func answerByHost(
        _ pool: PoolState, _ key: UInt64, _ request: Request, _ decision: inout Decision
    ) {
        guard pool.hashes else {
            decision.host = Int32(draw(pool.hosts, key).range.start)
            if pool.hosts.count > 1 { decision.isDrawn = true }
            return
        }
        var drawn = AddressRuns()
        drawRanked(pool.hosts, 1, request.prefix(&decision).key, &drawn)
        decision.host = Int32(drawn[0].start)
    }

    /// What an answer carries of one family: the pool's own addresses, then the spare.
    public func runs(_ decision: Decision, _ family: IPAddress.Family) -> AddressRuns {
        var runs = AddressRuns()
        guard decision.hasSeveralRuns else {
            runs.append(
                family == .ipv4 ? decision.ipv4 : decision.ipv6,
                origin: family == .ipv4 ? decision.ipv4Origin : decision.ipv6Origin)
            return runs
        }
        let pool = pools[Int(decision.pool)]
        drawRanked(family == .ipv4 ? pool.ipv4 : pool.ipv6, pool.answers, decision.key, &runs)
        guard decision.spare >= 0 else { return runs }
        let spare = pools[Int(decision.spare)]
        var drawn = AddressRuns()
        drawRanked(family == .ipv4 ? spare.ipv4 : spare.ipv6, 1, decision.spareKey, &drawn)
        guard drawn.count > 0 else { return runs }
        // One of those that the pool answers together.
        let place = UInt64(drawn[0].count).multipliedFullWidth(by: mixed(decision.spareKey)).high
        let start = drawn[0].start + UInt32(truncatingIfNeeded: place)
        runs.append(AddressRange(start: start, count: 1))
        return runs
    }

    /// Returns an entry of a table that is not empty, with the probability its weight says.
    ///
    /// The upper half of the 128-bit product maps 2^64 evenly onto the total: with at most 2^24 of
    /// total, no entry's share is off by more than one part in 2^40.
    private func draw(_ table: DrawTable, _ random: UInt64) -> DrawEntry {
        let start = Int(table.start)
        if table.count == 1 { return draws[start] }
        var low = start
        var high = start + Int(table.count) - 1
        let point = draws[high].sum.multipliedFullWidth(by: random).high
        // The first entry whose sum is beyond the point.
        while low < high {
            let middle = (low + high) / 2
            if draws[middle].sum > point { high = middle } else { low = middle + 1 }
        }
        return draws[low]
    }

    /// Appends the entries with the best draws: weighted, each once (Efraimidis and Spirakis 2006).
    private func drawRanked(
        _ table: DrawTable, _ count: UInt8, _ key: UInt64, _ runs: inout AddressRuns
    ) {
        var last: DrawRank?
        for _ in 0..<count {
            var best: DrawRank?
            for index in table.start..<table.start + table.count {
                let entry = draws[Int(index)]
                let rank = DrawRank(
                    steering.logarithms.negativeLogarithm(mixed(key ^ entry.seed)),
                    weight: UInt64(entry.weight), item: Int32(truncatingIfNeeded: index))
                if let last, !last.precedes(rank) { continue }
                if let best, best.precedes(rank) { continue }
                best = rank
            }
            guard let best else { return }
            let entry = draws[Int(best.item)]
            runs.append(entry.range, origin: entry.item)
            last = best
        }
    }
}
