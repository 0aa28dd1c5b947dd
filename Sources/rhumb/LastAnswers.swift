// Until when somebody may still have an answer with an address that an operator took out: what "safe to
// stop" is made of. It follows what was really answered, whatever the cause: an address that had to
// answer although it was drained, and answers from before a reload or a restart that made TTLs shorter,
// count. `state/answers.json` has what a later run needs of it. Pure; time is a parameter.

import Authority
import Health
import Steering

/// The last answers of addresses that are taken out, by `pool/origin/address`.
struct LastAnswers: Sendable {
    /// When answers are forgotten, and the seconds for which they may be kept.
    struct End: Codable, Hashable, Sendable {
        var time: Timestamp
        var ttl: UInt32

        /// After the TTL, and a second for answers that were on their way.
        init(ttl: UInt32, at now: Timestamp) {
            time = now.advanced(by: .seconds(Int64(ttl) + 1))
            self.ttl = ttl
        }

        /// The later one.
        static func later(_ a: End, _ b: End?) -> End {
            guard let b, b.time > a.time else { return a }
            return b
        }
    }

    /// Those that are taken out, and answered all the same.
    private var answered: Set<String> = []
    private var takenOut: Set<String> = []
    /// When the last answer of those that are not is forgotten.
    private var ends: [String: End] = [:]
    /// Until when answers live that were given with a longer TTL than now, by address or host.
    private var lingering: [String: End] = [:]
    /// Until when any answer of an earlier run may live, and what that knew.
    private var earlier: End?
    private var kept: [String: End] = [:]
    private var content: Content?
    /// A number that changes whenever what is to be kept does.
    private(set) var version = 0

    /// When all answers with an address are forgotten; nil if that is not known from here.
    func end(of name: String) -> End? { ends[name] }

    // MARK: - What is answered

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
        let before = self
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
                // Taken out before a restart: what that run did not tell was answered to its end.
                ends[name] = kept[name] ?? earlier
            } else if before.takenOut.contains(name), !before.answered.contains(name) {
                ends[name] = before.ends[name]
            } else {
                let ttl = snapshot.content.longestTTL(ofPool: address.pool) ?? 0
                let end = End.later(End(ttl: ttl, at: now), earlier)
                ends[name] = End.later(end, lingering[address.text(in: configuration)])
            }
        }
        if isFirst || ends != before.ends { version += 1 }
    }

    private mutating func replace(_ new: Content, at now: Timestamp) {
        lingering = lingering.filter { $0.value.time > now }
        version += 1
        defer { content = new }
        guard let content else { return }
        let ttls = Self.longestTTLs(new)
        for (place, ttl) in Self.longestTTLs(content) where ttl > ttls[place] ?? 0 {
            lingering[place] = End.later(End(ttl: ttl, at: now), lingering[place])
        }
    }

    /// The seconds for which answers may be kept, by address or host.
    private static func longestTTLs(_ content: Content) -> [String: UInt32] {
        let configuration = content.steering.configuration
        return content.steering.addresses.reduce(into: [:]) { ttls, address in
            guard let ttl = content.longestTTL(ofPool: address.pool) else { return }
            let place = address.text(in: configuration)
            ttls[place] = max(ttls[place] ?? 0, ttl)
        }
    }

    // MARK: - Over a restart

    /// What a later run has to know.
    struct Kept: Codable, Hashable {
        static let fileName = "answers.json"
        /// As many addresses as there can be take less.
        static let fileLimit = 64 << 20

        /// The longest TTL of all answers.
        var ttl: UInt32
        /// The last of those with a longer one.
        var until: End?
        var ends: [String: End]
    }

    var forLater: Kept {
        let pools = content?.steering.configuration.pools.indices ?? 0..<0
        return Kept(
            ttl: pools.compactMap { content?.longestTTL(ofPool: $0) }.max() ?? 0,
            until: (lingering.values + [earlier].compactMap(\.self)).max { $0.time < $1.time },
            ends: ends)
    }

    /// Takes what an earlier run kept: it may have answered until now.
    mutating func restore(_ kept: Kept, at now: Timestamp) {
        earlier = End.later(End(ttl: kept.ttl, at: now), kept.until)
        self.kept = kept.ends
    }
}
