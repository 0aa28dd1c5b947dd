// Until when somebody may still have an answer with an address that an operator took out: what "safe to
// stop" is made of. It follows what was really answered, whatever the cause: an address that had to
// answer although it was drained, and answers from before a reload that made TTLs shorter, count.

import Authority
import Health
import Steering

/// The last answers of addresses that are taken out, by `pool/origin/address`.
struct LastAnswers: Sendable {
    /// Those that are taken out, and answered all the same.
    private var answered: Set<String> = []
    private var takenOut: Set<String> = []
    /// When the last answer of those that are not is forgotten.
    private var ends: [String: Timestamp] = [:]
    /// Until when answers live that were given with a longer TTL than now, by pool.
    private var lingering: [String: Timestamp] = [:]
    private var content: Content?

    /// When all answers with an address are forgotten; nil if that is not known from here.
    func end(of name: String) -> Timestamp? { ends[name] }

    /// Takes what is answered from now on.
    mutating func note(_ snapshot: Snapshot, at now: Timestamp) {
        let state = snapshot.steering
        let configuration = state.steering.configuration
        let isFirst = content == nil
        if content !== snapshot.content { replace(snapshot.content, at: now) }
        let health = state.health
        let indexes = health.overridden.filter {
            health[$0] == .drained || health[$0] == .down
        }
        guard !indexes.isEmpty || !takenOut.isEmpty else { return }
        let still = Set(indexes.isEmpty ? [] : state.answered(indexes.sorted()))
        var before = self
        takenOut = []
        answered = []
        ends = [:]
        for index in indexes {
            let address = state.steering.addresses[index]
            let name = address.name(in: configuration)
            takenOut.insert(name)
            if still.contains(index) {
                answered.insert(name)
            } else if isFirst {
                // Taken out before a restart: its word knows.
                continue
            } else if before.takenOut.contains(name), !before.answered.contains(name) {
                ends[name] = before.ends.removeValue(forKey: name)
            } else {
                let ttl = snapshot.content.longestTTL(ofPool: address.pool) ?? 0
                let end = Self.end(of: ttl, at: now)
                ends[name] = max(end, lingering[configuration.pools[address.pool].name] ?? end)
            }
        }
    }

    private mutating func replace(_ new: Content, at now: Timestamp) {
        lingering = lingering.filter { $0.value > now }
        defer { content = new }
        guard let content else { return }
        let pools = new.steering.configuration.pools.enumerated()
        let indexes = Dictionary(pools.map { ($1.name, $0) }) { first, _ in first }
        for (index, pool) in content.steering.configuration.pools.enumerated() {
            guard let ttl = content.longestTTL(ofPool: index),
                ttl > indexes[pool.name].flatMap({ new.longestTTL(ofPool: $0) }) ?? 0
            else { continue }
            let end = Self.end(of: ttl, at: now)
            lingering[pool.name] = max(end, lingering[pool.name] ?? end)
        }
    }

    /// After the TTL, and a second for answers that were on their way.
    private static func end(of ttl: UInt32, at now: Timestamp) -> Timestamp {
        now.advanced(by: .seconds(Int64(ttl) + 1))
    }
}
