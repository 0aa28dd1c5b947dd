// How a decision came about, level by level, for explanations: the same choices made once more.

/// What one service contributed to a decision.
struct TraceStep {
    var outcome: Int
    /// The place of what it chose in the outcome's order; -1 for nothing or several.
    var position: Int32
    var reason: Decision.Reason
    /// The places of what could have been used but left the client to others, where the first in order is
    /// taken; with whether that was because the client came from another and found no room.
    var refusals: [Int32: Bool] = [:]
}

extension SteeringState {
    /// The steps that led to a decision: the service's own, then those of services that it came to.
    func trace(_ decision: Decision, client: Client, random: UInt64) -> [TraceStep] {
        let address = decision.wentByResolver ? client.resolver ?? client.address : client.address
        var request = Request(address: address, random: random)
        request.tier = tier(of: steering.outcomes[Int(decision.outcome)])
        var current = decision
        current.isDisplaced = false
        current.reach = .all
        current.refusers = 0
        var isForced = decision.isForced
        var steps = [
            TraceStep(
                outcome: Int(decision.outcome), position: decision.position, reason: decision.reason
            )
        ]
        while true {
            let outcome = steering.outcomes[steps[steps.count - 1].outcome]
            let chosen = follow(&steps[steps.count - 1], request, isForced: isForced, &current)
            guard let inner = chosen?.outcome else { break }
            if outcome.pick == .byWeight { request.random = request.bits(for: .nested) }
            request.isForced = isForced
            var next = current
            next.position = -1
            var choice = choose(steering.outcomes[inner], request, &next)
            if choice == .refused {
                isForced = true
                request.isForced = true
                choice = choose(steering.outcomes[inner], request, &next)
            }
            guard choice == .taken else { break }
            request.isForced = false
            steps.append(TraceStep(outcome: inner, position: next.position, reason: next.reason))
        }
        return steps
    }

    /// Goes through an outcome's children as far as the one that was chosen, and returns that.
    private func follow(
        _ step: inout TraceStep, _ request: Request, isForced: Bool, _ current: inout Decision
    ) -> Child? {
        let outcome = steering.outcomes[step.outcome]
        var chosen: Child?
        var cursor = ChildCursor()
        while let child = steering.next(&cursor, of: outcome) {
            if cursor.position == step.position {
                chosen = child
                if !isForced { break }
            }
            guard outcome.pick == .firstUsable else { continue }
            let wasDisplaced = current.isDisplaced
            let choice = offer(
                child, at: cursor.position, of: outcome, request, &current)
            if choice == .refused { step.refusals[cursor.position] = wasDisplaced }
        }
        return chosen
    }
}
