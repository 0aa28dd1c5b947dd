// What operators say of origins: it counts more than what probes find. Pure; time is a parameter.
//
// A word is kept with the pattern that it was said about, so that it holds for origins that come later, and through
// reloads. Of several words on one address the last counts, whichever is more specific: what was typed
// last is what happens. `clear` gives addresses back to the probes; where an older word on more addresses
// stays, it is kept as a word of its own for as long.

public import Steering

/// One operator's word.
public struct OperatorOverride: Sendable, Hashable {
    public enum Word: String, Sendable, Hashable, CaseIterable {
        case drain, down, up, clear

        /// What addresses have; nil for what the probes say.
        public var verdict: Verdict? {
            switch self {
            case .drain: .drained
            case .down: .down
            case .up: .up
            case .clear: nil
            }
        }
    }

    public var word: Word
    public var pattern: AddressPattern
    /// Who said it.
    public var operatorName: String
    /// When it was in force.
    public var time: Timestamp
    /// When it ends by itself; nil for never.
    public var until: Timestamp?
    public var reason: String?
    /// The seconds that answers from before it may be kept; nil where its addresses were in no answer.
    public var ttl: UInt32?

    public init(
        _ word: Word, _ pattern: AddressPattern, by operatorName: String, at time: Timestamp,
        until: Timestamp? = nil, reason: String? = nil, ttl: UInt32? = nil
    ) throws(OperatorError) {
        for (what, text) in [("name", operatorName), ("reason", reason ?? "")] {
            guard text.utf8.count <= Self.textLimit else {
                throw OperatorError(
                    "a \(what) of more than \(Self.textLimit) octets; write a short line")
            }
            guard let hidden = text.unicodeScalars.first(where: \.misleads) else { continue }
            throw OperatorError(
                "a \(what) with \(hidden.escaped(asASCII: true)), which has no place in a log; leave it out"
            )
        }
        self.word = word
        self.pattern = pattern
        self.operatorName = operatorName
        self.time = time
        self.until = until
        self.reason = reason
        self.ttl = ttl
    }

    /// Octets of a reason: a line, for logs and tables.
    public static let textLimit = 200
}

/// All words, in the order in which they were said.
public struct OperatorOverrides: Sendable, Hashable {
    /// More than people keep in their heads; each costs a look at all addresses.
    public static let limit = 1_000

    public private(set) var all: [OperatorOverride] = []

    public init() {}

    /// Takes a word, in place of an older one on the same pattern.
    ///
    /// - Parameter addresses: `Steering.addresses` of the configuration in force.
    /// - Throws: where it is about none, or there are too many words.
    public mutating func add(
        _ new: OperatorOverride, in configuration: SteeringConfiguration,
        addresses: [SteeredAddress]
    ) throws(OperatorError) {
        if new.word == .clear {
            return try clear(new, configuration, addresses)
        }
        _ = try new.pattern.found(in: configuration, addresses: addresses)
        let others = all.filter { $0.pattern != new.pattern }
        guard others.count < Self.limit else { throw Self.tooMany }
        all = others + [new]
        removeIdleClears()
    }

    /// Removes words on nothing but what is cleared, and sets the others aside for that.
    private mutating func clear(
        _ new: OperatorOverride, _ configuration: SteeringConfiguration,
        _ addresses: [SteeredAddress]
    ) throws(OperatorError) {
        let meant = Set(new.pattern.indexes(in: configuration, addresses: addresses))
        var isOverlapped = false
        let rest = all.filter { old in
            let theirs = old.pattern.indexes(in: configuration, addresses: addresses)
            let isCovered =
                theirs.isEmpty ? new.pattern.covers(old.pattern) : meant.isSuperset(of: theirs)
            guard !isCovered, old.pattern != new.pattern else { return false }
            if !meant.isDisjoint(with: theirs) { isOverlapped = true }
            return true
        }
        guard !meant.isEmpty || rest.count < all.count else {
            throw new.pattern.nothingFound(in: configuration, addresses: addresses)
        }
        guard !isOverlapped || rest.count < Self.limit else { throw Self.tooMany }
        all = isOverlapped ? rest + [new] : rest
        removeIdleClears()
    }

    private static let tooMany = OperatorError(
        "there are \(limit) overrides already; clear some, as with \"rhumb clear '*'\"")

    /// States when the word on a pattern was in force.
    public mutating func setTime(of pattern: AddressPattern, to time: Timestamp) {
        guard let index = all.lastIndex(where: { $0.pattern == pattern }) else { return }
        all[index].time = time
    }

    /// Puts back what was kept.
    public mutating func restore(_ kept: [OperatorOverride]) {
        all = Array(kept.suffix(Self.limit))
    }

    /// Removes and returns the words whose time is over.
    ///
    /// A drain that gave way to one of them is in force from now on: until now there were answers.
    @discardableResult
    public mutating func expire(at now: Timestamp) -> [OperatorOverride] {
        let isOver = all.map { $0.until.map { $0 <= now } ?? false }
        guard isOver.contains(true) else { return [] }
        let over = zip(all, isOver).filter(\.1).map(\.0)
        for index in all.indices where isOver[index] && all[index].word == .up {
            let pattern = all[index].pattern
            for older in all[..<index].indices where all[older].pattern.mayMeet(pattern) {
                all[older].time = max(all[older].time, now)
            }
        }
        all = zip(all, isOver).filter { !$1 }.map(\.0)
        removeIdleClears()
        return over
    }

    /// When the next word ends by itself.
    public var nextExpiry: Timestamp? { all.compactMap(\.until).min() }

    /// A cleared part with nothing before it says nothing.
    private mutating func removeIdleClears() {
        var hasOlder = false
        all.removeAll { override in
            if override.word != .clear { hasOlder = true }
            return !hasOlder
        }
    }

    /// What counts for each address that an operator has the last word on: the index in `all`, by the
    /// index of the address.
    public func resolved(
        in configuration: SteeringConfiguration, addresses: [SteeredAddress]
    ) -> [Int: Int] {
        var words: [Int: Int] = [:]
        for (index, override) in all.enumerated() {
            for address in override.pattern.indexes(in: configuration, addresses: addresses) {
                words[address] = override.word == .clear ? nil : index
            }
        }
        return words
    }

    /// The verdicts that operators give, by the index of the address.
    public func verdicts(
        in configuration: SteeringConfiguration, addresses: [SteeredAddress]
    ) -> [Int: Verdict] {
        resolved(in: configuration, addresses: addresses).compactMapValues { all[$0].word.verdict }
    }

    /// The words that are about nothing in a configuration.
    public func unmatched(
        in configuration: SteeringConfiguration, addresses: [SteeredAddress]
    ) -> [OperatorOverride] {
        all.filter { $0.pattern.indexes(in: configuration, addresses: addresses).isEmpty }
    }
}
