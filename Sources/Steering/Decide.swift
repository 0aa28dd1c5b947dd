// The decision itself: (service, client, health) in, `Decision` out. One tree lookup, a few array
// reads; no allocation, no reference counting, no text. `explain` calls the same function.

internal import Geo

extension SteeringState {
    /// Decides what to answer a client.
    ///
    /// - Parameters:
    ///   - service: an index that `Steering.service(named:)` returned.
    ///   - random: 64 fresh random bits; used only where something is drawn by weight.
    public func decide(service: Int, client: Client, random: UInt64) -> Decision {
        let compiled = steering.services[service]
        let match = steering.lookup(client.address, inTree: compiled.tree)
        let index = compiled.outcome + match.outcome
        let outcome = steering.outcomes[Int(index)]
        var decision = Decision(
            service: UInt32(truncatingIfNeeded: service), outcome: index,
            rule: outcome.rule, reason: .ranked, scope: match.scope)
        let isDecided =
            switch outcome.pick {
            case .firstUsable: pickFirstUsable(outcome, &decision)
            case .byWeight: pickByWeight(outcome, random, &decision)
            case .union: pickUnion(outcome, &decision)
            case .nothing: false
            }
        if !isDecided { fallBack(compiled, outcome, &decision) }
        if decision.pool >= 0 { answer(from: Int(decision.pool), random, &decision) }
        return decision
    }

    // MARK: - One function for each `Pick`; false if no pool of the outcome can be used

    private func pickFirstUsable(_ outcome: Outcome, _ decision: inout Decision) -> Bool {
        for position in 0..<outcome.count {
            let pool = steering.rankings[Int(outcome.start + position)]
            if pools[Int(pool)].isUsable {
                decision.pool = Int32(truncatingIfNeeded: pool)
                decision.position = Int32(truncatingIfNeeded: position)
                return true
            }
        }
        return false
    }

    private func pickByWeight(
        _ outcome: Outcome, _ random: UInt64, _ decision: inout Decision
    ) -> Bool {
        let table = tables[Int(outcome.table)].pools
        guard table.count > 0 else { return false }
        decision.pool = draw(table, random).item
        decision.reason = .drawn
        for position in 0..<outcome.count
        where steering.rankings[Int(outcome.start + position)] == UInt32(decision.pool) {
            decision.position = Int32(truncatingIfNeeded: position)
        }
        return true
    }

    private func pickUnion(_ outcome: Outcome, _ decision: inout Decision) -> Bool {
        let table = tables[Int(outcome.table)]
        guard table.isUsable else { return false }
        decision.reason = .all
        decision.ipv4 = table.ipv4
        decision.ipv6 = table.ipv6
        return true
    }

    // MARK: -

    private func fallBack(
        _ compiled: CompiledService, _ outcome: Outcome, _ decision: inout Decision
    ) {
        if compiled.fallback >= 0 {
            decision.pool = compiled.fallback
        } else {
            // Only a service whose last rule takes everyone may have no fallback.
            decision.pool = Int32(truncatingIfNeeded: steering.rankings[Int(outcome.start)])
            decision.position = 0
        }
        if !pools[Int(decision.pool)].isUsable {
            decision.reason = .everythingDown
        } else {
            decision.reason = outcome.pick == .nothing ? .noRuleMatched : .fallback
        }
    }

    /// Fills in what one pool answers: A and AAAA always come from the same pool.
    private func answer(from pool: Int, _ random: UInt64, _ decision: inout Decision) {
        let state = pools[pool]
        // Other bits than those which drew the pool, so that the two draws are independent; the
        // same for both families, so that they draw the same origin if they can.
        let bits = mixed(random)
        if state.ipv4.count > 0 {
            let entry = draw(state.ipv4, bits)
            decision.ipv4 = entry.range
            decision.ipv4Origin = entry.item
        }
        if state.ipv6.count > 0 {
            let entry = draw(state.ipv6, bits)
            decision.ipv6 = entry.range
            decision.ipv6Origin = entry.item
        }
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
}

/// Mixes 64 bits so that each depends on all others (the finaliser of SplitMix64).
private func mixed(_ bits: UInt64) -> UInt64 {
    var z = bits &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
}
