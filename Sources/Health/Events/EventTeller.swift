// Which events one sink is told, and when: a pure machine with the time as a parameter.
//
// One rule makes delay, mute and the end of flapping: a subject's condition is told when it has differed
// from what was told last for `delay`, and no mute is on. What changes back before is not told at all.

internal import Steering

/// When and of what a sink wants to be told.
struct TellingRules: Sendable, Hashable {
    var kinds = Self.usualKinds
    /// Patterns of pool names, of which one has to fit; empty for all. What is of no pool passes.
    var pools: [Glob] = []
    var delay = Duration.zero
    /// Nil tells everything once.
    var repetition: Duration?
    var mutes: [MutePeriod] = []

    /// What an operator is woken for: that clients have less than they should, and that it is over. Of a
    /// single origin its pool says whether it matters.
    static let usualKinds: Set<Event.Kind> = [
        .poolUp, .poolDown, .serviceUp, .serviceDown, .isolationEntered, .isolationLeft, .removed,
    ]

    func concern(_ subject: Event.Subject) -> Bool {
        guard let pool = subject.pool, !pools.isEmpty else { return true }
        // An operator's pattern may mean any of ours.
        if pool.contains("*") || pool.contains("?") { return true }
        return pools.contains { $0.matches(pool) }
    }
}

/// An event that is told, for the first time or again.
struct Telling: Sendable, Hashable {
    var event: Event
    /// How often it was told before.
    var repetition = 0
}

/// The machine of one sink.
struct EventTeller {
    private struct State {
        /// What was told last; nil if all was well.
        var told: Verdict?
        var toldEvent: Event?
        /// Whether the sink heard of what is not well, so that it wants to hear of its end.
        var isHeard = false
        var repetitions = 0
        var toldAt = Duration.zero
        /// What holds.
        var latest: Event
        /// Since when that differs from what was told; nil while it does not.
        var differsSince: Duration?
        /// The order of arrival.
        var number = 0
    }

    let rules: TellingRules
    private var subjects: [Event.Subject: State] = [:]
    private var count = 0

    init(_ rules: TellingRules) { self.rules = rules }

    /// Of how many subjects something is known that is not well.
    var subjectCount: Int { subjects.count }

    /// Takes what happened.
    mutating func take(_ event: Event, at now: Duration) {
        guard rules.concern(event.subject) else { return }
        count += 1
        var state = subjects[event.subject] ?? firstState(event)
        state.latest = event
        state.number = count
        if event.condition == state.told {
            state.differsSince = nil
        } else if state.differsSince == nil {
            state.differsSince = now
        }
        keep(state)
    }

    /// Takes what is there from now on: of what is not any more, it is told that it is removed, if
    /// something was told of it before.
    mutating func retain(at now: Duration, time: Timestamp, _ isThere: (Event.Subject) -> Bool) {
        for (subject, state) in subjects where !isThere(subject) {
            guard let told = state.told else {
                subjects[subject] = nil
                continue
            }
            take(
                Event(.removed, subject, from: told, reason: "no longer in the files", time: time),
                at: now)
        }
    }

    /// Returns what is to be told now, in order, and how long after that to ask again; nil if there is
    /// nothing to wait for.
    mutating func advance(
        to now: Duration, time: Timestamp
    ) -> (tellings: [Telling], next: Duration?) {
        if let rest = rules.mutes.compactMap({ $0.rest(at: time) }).max() {
            return ([], subjects.values.contains { due($0) != nil } ? rest : nil)
        }
        var tellings: [(due: Duration, number: Int, telling: Telling)] = []
        for state in subjects.values {
            guard let due = due(state), due <= now else { continue }
            var state = state
            if state.differsSince != nil {
                state.told = state.latest.condition
                state.toldEvent = state.latest
                state.repetitions = 0
                state.differsSince = nil
            } else {
                state.repetitions += 1
            }
            state.toldAt = now
            defer { keep(state) }
            guard let event = state.toldEvent, rules.kinds.contains(event.kind),
                event.condition != nil || state.isHeard
            else { continue }
            state.isHeard = event.condition != nil
            tellings.append(
                (due, state.number, Telling(event: event, repetition: state.repetitions)))
        }
        tellings.sort { ($0.due, $0.number) < ($1.due, $1.number) }
        let next = subjects.values.compactMap { due($0) }.min().map { $0 - now }
        return (tellings.map(\.telling), next)
    }

    /// Of trouble that began before this process, an earlier one has told.
    private func firstState(_ event: Event) -> State {
        var state = State(told: event.conditionBefore, latest: event)
        state.isHeard =
            state.told.map { rules.kinds.contains(Event.kind(of: $0, event.subject)) } ?? false
        return state
    }

    /// When something is to be told of a subject, if nothing happens meanwhile.
    private func due(_ state: State) -> Duration? {
        if let since = state.differsSince { return since + rules.delay }
        guard let repetition = rules.repetition, let event = state.toldEvent,
            event.condition != nil,
            rules.kinds.contains(event.kind)
        else { return nil }
        return state.toldAt + repetition
    }

    /// Keeps a state, unless all is well and nothing else was told.
    private mutating func keep(_ state: State) {
        let isWell = state.told == nil && state.differsSince == nil
        subjects[state.latest.subject] = isWell ? nil : state
    }
}

/// A time of each day, in UTC, in which nothing is told.
struct MutePeriod: Sendable, Hashable {
    /// Minutes after midnight: from 0 to 1,439, and from 1 to 1,440; never equal. One that ends before it
    /// begins ends on the next day.
    let begin: Int
    let end: Int

    private static let day = 1_440

    /// Reads `22:00-06:00`.
    init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let begin = Self.minutes(parts[0]),
            let end = Self.minutes(parts[1]),
            begin < Self.day, end > 0, begin != end
        else { return nil }
        self.begin = begin
        self.end = end
    }

    private static func minutes(_ text: Substring) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2,
            parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { (48...57).contains($0) } }
            ),
            let hour = Int(parts[0]), let minute = Int(parts[1]), minute < 60,
            hour * 60 + minute <= day
        else { return nil }
        return hour * 60 + minute
    }

    /// How long it still lasts; nil if it is not on.
    func rest(at time: Timestamp) -> Duration? {
        let dayLength = Int64(Self.day) * 60_000_000_000
        let now = ((time.nanoseconds % dayLength) + dayLength) % dayLength
        let (begin, end) = (Int64(begin) * 60_000_000_000, Int64(end) * 60_000_000_000)
        let isOn = begin < end ? (begin..<end).contains(now) : now >= begin || now < end
        guard isOn else { return nil }
        return .nanoseconds(now < end ? end - now : end + dayLength - now)
    }
}
