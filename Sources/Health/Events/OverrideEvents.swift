// What operators did, as events: the difference of two lists of their words.

internal import Steering

extension OperatorOverrides {
    /// Returns what was said, and what does not hold any more.
    ///
    /// - Parameters:
    ///   - old: the words before.
    ///   - name: who changed them; nil if it was time.
    public func events(
        since old: OperatorOverrides, by name: String?, at time: Timestamp
    ) -> [Event] {
        let before = Self.spoken(old)
        let now = Self.spoken(self)
        var events: [Event] = []
        for override in old.all {
            let pattern = override.pattern.description
            guard before[pattern] != nil, now[pattern] == nil else { continue }
            events.append(
                Event(
                    name == nil ? .overrideExpired : .overrideCleared, .override(pattern),
                    from: override.word.verdict,
                    reason: name.map { "cleared by \($0)" }
                        ?? "the time of what \(override.operatorName) said is over",
                    time: time))
        }
        for override in all where override.word == .clear && !old.all.contains(override) {
            // A part of what stays: nothing was said about this pattern before.
            events.append(
                Event(
                    .overrideCleared, .override(override.pattern.description),
                    reason: "cleared by \(name ?? override.operatorName)", time: time))
        }
        for override in all {
            let pattern = override.pattern.description
            let previous = before[pattern]
            guard now[pattern] != nil, previous.map(Words.init) != Words(override) else { continue }
            events.append(
                Event(
                    .overrideSet, .override(pattern), from: previous?.word.verdict,
                    to: override.word.verdict,
                    reason: "by \(name ?? override.operatorName)\(override.details)", time: time))
        }
        return events
    }

    /// By pattern, without what was merely cleared of something larger.
    private static func spoken(_ overrides: OperatorOverrides) -> [String: OperatorOverride] {
        Dictionary(
            overrides.all.filter { $0.word != .clear }.map { ($0.pattern.description, $0) }
        ) { _, last in last }
    }

    /// What is news about a word; not when exactly it came into force.
    private struct Words: Hashable {
        var word: OperatorOverride.Word
        var name: String
        var details: String

        init(_ override: OperatorOverride) {
            word = override.word
            name = override.operatorName
            details = override.details
        }
    }
}

extension OperatorOverride {
    /// `, until 2026-11-22T15:00:00Z: new kernel`.
    fileprivate var details: String {
        (until.map { ", until \($0)" } ?? "") + (reason.map { ": \($0)" } ?? "")
    }
}
