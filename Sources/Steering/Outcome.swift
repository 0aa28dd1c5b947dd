// What a place comes out as: which rule matched it, and what that rule chooses among, best first. Plain
// numbers that queries go through.

/// What the location tree says of a client: which rule matched, and what it chooses among, best
/// first: the head, made for the client's place, then those of the rest that the head lacks.
struct Outcome: Sendable, BitwiseCopyable {
    /// The index of the service whose rule it is.
    var service: UInt32
    /// The index of the rule in its service; negative if none matched.
    var rule: Int32 = -1
    var pick = Pick.nothing
    var hasSpare = false
    /// Whether the client's prefix may be looked at for what it chooses, whatever the health.
    var mayHash = false
    /// Whether it is that of clients whom nobody knows, so that their resolver's address goes before.
    var prefersResolver = false
    /// Whether a child is another service's outcome.
    var hasNested = false
    /// Whether a pool that it comes to, over other services too, states its capacity.
    var hasCapacity = false
    var headCount: UInt8 = 0
    var restCount: UInt8 = 0
    /// Where the runs begin in `Steering.children`.
    var head: UInt32 = 0
    var rest: UInt32 = 0
    /// The index of all the rule's pools in `Steering.unions`; negative if they never answer together.
    var union: Int32 = -1
    /// The index in `Steering.sets` of the pools that it comes to, over other services too.
    var set: UInt32 = 0
}

/// Pools that outcomes come to.
struct PoolSet: Sendable {
    /// Each once.
    var pools: [Int]
    /// Whether one of them states its capacity.
    var hasCapacity: Bool
}

/// One thing that an outcome chooses among.
struct Child: Sendable, BitwiseCopyable {
    /// The index of a pool; or, from -1 downwards, of the outcome of another service.
    var reference: Int32
    var weight: UInt32

    init(pool: Int, weight: Int) {
        reference = Int32(pool)
        self.weight = UInt32(weight)
    }

    init(outcome: Int, weight: Int) {
        reference = -1 - Int32(outcome)
        self.weight = UInt32(weight)
    }

    /// The index of the outcome that chooses in its place; nil for a pool.
    @inline(__always)
    var outcome: Int? { reference < 0 ? -1 - Int(reference) : nil }
}

// MARK: - An outcome's children in order

/// How far one has come.
struct ChildCursor: BitwiseCopyable {
    fileprivate var index: UInt32 = 0
    /// The place of the child that came last, from 0.
    private(set) var position: Int32 = -1

    fileprivate mutating func advance() { position += 1 }
}

extension Steering {
    /// The next child: of the head, then of the rest what the head lacks.
    @inline(__always)
    func next(_ cursor: inout ChildCursor, of outcome: Outcome) -> Child? {
        let headCount = UInt32(outcome.headCount)
        while cursor.index < headCount + UInt32(outcome.restCount) {
            let index = cursor.index
            cursor.index += 1
            if index < headCount {
                cursor.advance()
                return children[Int(outcome.head + index)]
            }
            let child = children[Int(outcome.rest + index - headCount)]
            if headCount > 0, isInHead(child, outcome) { continue }
            cursor.advance()
            return child
        }
        return nil
    }

    private func isInHead(_ child: Child, _ outcome: Outcome) -> Bool {
        for index in outcome.head..<outcome.head + UInt32(outcome.headCount)
        where children[Int(index)].reference == child.reference {
            return true
        }
        return false
    }
}
