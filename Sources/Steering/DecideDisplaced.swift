// Where clients go whom their first choice does not take, because it is down, degraded or leaves them to others:
// to the next that have room (`Rooms`), by the client's prefix; and if none has, to all by capacity.
//
// A pool of room for a share `s` of those displaced takes a client that `r` of them come as far as with
// probability min(s, r) / r: so it gets min(s, r) of them, whatever stands before it in the order, and
// nobody is left where the shares come to all. Each pool draws anew for each prefix, so that a change of
// the shares moves those clients alone that are between an old and a new threshold.

internal import DNSWire

extension SteeringState {
    /// Tries a child of an outcome that takes the first in order; whom it does not take is displaced.
    @inline(__always)
    func offer(
        _ child: Child, at position: Int32, of outcome: Outcome, _ request: Request,
        _ decision: inout Decision
    ) -> Choice {
        let choice =
            isUsable(child, request) ? take(child, at: position, request, &decision) : .none
        guard outcome.hasCapacity, choice != .taken else { return choice }
        // What has no pool for this client is nobody's first choice.
        if choice == .refused || firstPool(of: child) >= 0 { decision.isDisplaced = true }
        return choice
    }

    /// Whether a pool takes this client, whom those before it did not; asked again, it does not.
    func hasRoom(_ child: Child, _ request: Request, _ decision: inout Decision) -> Bool {
        let room = rooms[Int(child.reference)]
        guard decision.refusers & room.mark == 0 else { return false }
        let reach = decision.reach
        let share = Share(
            UInt64(min(room.share, reach)) * UInt64(admission(of: child)) / UInt64(Share.all))
        guard share < reach else { return true }
        decision.reach = reach - share
        decision.refusers |= room.mark
        guard share > 0 else { return false }
        let key = request.prefix(&decision).key ^ Purpose.overflow.rawValue
        return mixed(key ^ seed(of: child)) >> 48 * UInt64(reach) < UInt64(share) << 16
    }

    /// Takes what the client's prefix picks among all that can be used, by capacity: weighted rendezvous
    /// hashing, as `pickByHash`.
    func pickOverCapacity(
        _ outcome: Outcome, _ request: Request, _ decision: inout Decision
    ) -> Choice {
        let key = request.prefix(&decision).key ^ Purpose.overCapacity.rawValue
        var best: (child: Child, position: Int32, rank: DrawRank)?
        var cursor = ChildCursor()
        while let child = steering.next(&cursor, of: outcome) {
            guard isUsable(child, request) else { continue }
            let rank = DrawRank(
                steering.logarithms.negativeLogarithm(mixed(key ^ seed(of: child))),
                weight: weightOverCapacity(child), item: cursor.position)
            if let best, best.rank.precedes(rank) { continue }
            best = (child, cursor.position, rank)
        }
        guard let best else { return .none }
        let choice = take(best.child, at: best.position, request, &decision)
        guard choice == .taken else { return choice }
        decision.reason = .overCapacity
        if outcome.hasSpare {
            var rest = ChildCursor()
            findSpare(&rest, outcome, request, &decision)
        }
        return .taken
    }

    private func weightOverCapacity(_ child: Child) -> UInt64 {
        guard let inner = child.outcome else { return rooms[Int(child.reference)].weight }
        return sets[Int(steering.outcomes[inner].set)].weight
    }
}
