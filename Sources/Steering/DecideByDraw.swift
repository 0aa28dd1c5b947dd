// Picks by draw: one of several children by weight, at random or by the client's prefix. A pool that takes a
// share of its clients only weighs that much less, and what was drawn takes the client.

internal import DNSWire

extension SteeringState {
    /// What the children of a tier weigh.
    @inline(__always)
    private func totals(of outcome: Outcome, _ tier: Tiers) -> WeightTotals {
        var totals = WeightTotals()
        var cursor = ChildCursor()
        while let child = steering.next(&cursor, of: outcome) {
            if tiers(of: child).has(tier) { totals.add(child, admission(of: child)) }
        }
        return totals
    }

    /// Draws by weight, in two passes: what a table would save it would cost with each flip.
    func pickByWeight(
        _ outcome: Outcome, _ request: Request, _ decision: inout Decision
    ) -> Choice {
        let totals = totals(of: outcome, request.tier)
        guard totals.count > 0 else { return .none }
        // Whatever is drawn, the answer has the scope of all that could have been.
        if mayHash(outcome, decision) { _ = request.prefix(&decision) }
        // The upper half of the 128-bit product maps 2^64 evenly onto the total: no share is off by
        // more than one part in 2^26.
        var point = totals.total.multipliedFullWidth(by: request.random).high
        var cursor = ChildCursor()
        while let child = steering.next(&cursor, of: outcome) {
            guard isUsable(child, request) else { continue }
            let weight = totals.weight(of: child, admission(of: child))
            guard point < weight else {
                point -= weight
                continue
            }
            var inner = request
            inner.random = request.bits(for: .nested)
            let choice = takeDrawn(child, at: cursor.position, inner, &decision)
            decision.reason = .drawn
            decision.isDrawn = true
            return choice
        }
        preconditionFailure("a point below the sum of the weights lies within one of them")
    }

    /// Whether anything that can be drawn looks at the client's prefix.
    @inline(__always)
    func mayHash(_ outcome: Outcome, _ decision: Decision) -> Bool {
        outcome.mayHash || decision.isDisplaced
            || outcome.hasNested && sets[Int(outcome.set)].mayRefuse
    }

    /// The best draw of the client's prefix, and the second best for a spare.
    func pickByHash(
        _ outcome: Outcome, _ request: Request, _ decision: inout Decision
    ) -> Choice {
        let totals = totals(of: outcome, request.tier)
        guard totals.count > 0,
            let first = bestDraw(outcome, totals, after: nil, request, &decision)
        else { return .none }
        let choice = takeDrawn(first.child, at: first.position, request, &decision)
        guard choice == .taken else { return choice }
        decision.reason = .hashed
        guard outcome.hasSpare, decision.pool >= 0 else { return .taken }
        shareScope(outcome, request, &decision)
        if let second = bestDraw(outcome, totals, after: first.rank, request, &decision),
            isSpare(second.child, of: outcome, request, &decision)
        {
            return .taken
        }
        if request.tier == .healthy, decision.spare < 0 {
            hashDegradedSpare(outcome, request, &decision)
        }
        return .taken
    }

    /// The best draw among the degraded pools, where no other is healthy.
    private func hashDegradedSpare(
        _ outcome: Outcome, _ request: Request, _ decision: inout Decision
    ) {
        var request = request
        request.tier = .degraded
        let totals = totals(of: outcome, request.tier)
        guard let best = bestDraw(outcome, totals, after: nil, request, &decision) else { return }
        _ = isSpare(best.child, of: outcome, request, &decision)
    }

    private func bestDraw(
        _ outcome: Outcome, _ totals: WeightTotals, after last: DrawRank?, _ request: Request,
        _ decision: inout Decision
    ) -> (child: Child, position: Int32, rank: DrawRank)? {
        // Where there is one to choose, no prefix matters.
        let key = totals.drawable > 1 ? request.prefix(&decision).key : 0
        var best: (child: Child, position: Int32, rank: DrawRank)?
        var cursor = ChildCursor()
        while let child = steering.next(&cursor, of: outcome) {
            guard isUsable(child, request) else { continue }
            let weight = totals.weight(of: child, admission(of: child))
            guard weight > 0 else { continue }
            let rank = DrawRank(
                steering.logarithms.negativeLogarithm(mixed(key ^ seed(of: child))),
                weight: weight, item: cursor.position)
            if let last, !last.precedes(rank) { continue }
            if let best, best.rank.precedes(rank) { continue }
            best = (child, cursor.position, rank)
        }
        return best
    }

    /// Takes what was drawn: a pool in any case, as it was drawn by what it admits. But whom others have not
    /// taken has to find room.
    @inline(__always)
    private func takeDrawn(
        _ child: Child, at position: Int32, _ request: Request, _ decision: inout Decision
    ) -> Choice {
        if child.outcome == nil, !decision.isDisplaced || request.isForced {
            decision.pool = child.reference
            decision.position = position
            return .taken
        }
        let mayForce = !decision.isDisplaced
        let choice = take(child, at: position, request, &decision)
        guard choice == .refused, mayForce else { return choice }
        var request = request
        request.isForced = true
        return take(child, at: position, request, &decision)
    }

    /// The seed of a child's draws.
    func seed(of child: Child) -> UInt64 {
        guard let inner = child.outcome else { return steering.poolSeeds[Int(child.reference)] }
        return steering.serviceSeeds[Int(steering.outcomes[inner].service)]
    }

    @inline(__always)
    func admission(of child: Child) -> Share {
        child.outcome == nil ? pools[Int(child.reference)].admission : .all
    }

    /// The weights by which an outcome's children of a tier are drawn, with their positions.
    func weights(of outcome: Outcome, _ tier: Tiers) -> [(position: Int32, weight: UInt64)] {
        let totals = totals(of: outcome, tier)
        var weights: [(position: Int32, weight: UInt64)] = []
        var cursor = ChildCursor()
        while let child = steering.next(&cursor, of: outcome) {
            guard tiers(of: child).has(tier) else { continue }
            weights.append((cursor.position, totals.weight(of: child, admission(of: child))))
        }
        return weights
    }
}
