// The numbers by which TargetHealth turns results into verdicts, as a monitor states them
// (Monitor's head has the keys with their defaults).

internal import Settings
internal import Steering

/// By which rules a verdict follows from results.
public struct VerdictRules: Sendable, Hashable {
    /// So many passes in a row bring a target up; at least 1.
    public var rise = 2
    /// So many failures in a row bring it down; at least 1.
    public var fall = 3
    /// How often a failed probe is tried again at once before it counts.
    public var retries = 0
    public var start = Start.last
    /// What the smoothed response time is held against.
    public var responseTime: Hysteresis<Duration>?
    /// What the load of each result is held against.
    public var load: Hysteresis<Load>?
    /// How long a target has to be over a limit until it is degraded, and below all until it is up
    /// again.
    public var degradedFor = Duration.seconds(30)
    /// How long a target stays down at the least after it went down, however it passes.
    public var holdDown = Duration.zero
    public var flaps: FlapBudget?

    public init() {}

    /// What a target is taken for before its first result.
    public enum Start: String, Sendable, Hashable, CaseIterable {
        /// As it was before; unknown where nothing is remembered of it, and then the first result
        /// decides.
        case last
        case up, down

        var verdict: Verdict? {
            switch self {
            case .last: nil
            case .up: .up
            case .down: .down
            }
        }
    }

    /// Two limits, so that a value at one of them does not go back and forth.
    public struct Hysteresis<Value: Sendable & Hashable & Comparable>: Sendable, Hashable {
        /// More is too much.
        public var above: Value
        /// No more than this is well again; at most `above`.
        public var below: Value
    }

    /// How often a target may go down within a window.
    public struct FlapBudget: Sendable, Hashable {
        public var budget: Int
        public var window: Duration
    }

    /// Whether any limit can make a target degraded.
    var canDegrade: Bool { responseTime != nil || load != nil }

    /// Which limit is passed, in words; nil if none is.
    func strain(_ time: Duration?, _ load: Load?) -> String? {
        if let limit = responseTime, let time, time > limit.above {
            return "response time \(durationText(time)), more than \(durationText(limit.above))"
        }
        if let limit = self.load, let load, load > limit.above {
            return "load \(load), more than \(limit.above)"
        }
        return nil
    }

    /// That all is well again, in words; nil if something is not.
    func relief(_ time: Duration?, _ load: Load?) -> String? {
        var words: [String] = []
        if let limit = responseTime, let time {
            guard time <= limit.below else { return nil }
            words.append(
                "response time \(durationText(time)), at most \(durationText(limit.below))")
        }
        if let limit = self.load, let load {
            guard load <= limit.below else { return nil }
            words.append("load \(load), at most \(limit.below)")
        }
        return words.isEmpty ? "no limit passed" : words.joined(separator: "; ")
    }
}

// MARK: - From the pool file

extension VerdictRules {
    static let keys = [
        "rise", "fall", "retries", "start", "degraded_above", "degraded_below", "load_above",
        "load_below", "degraded_for", "hold_down", "flaps",
    ]
    static let counts = 1...100
    /// More would be an interval of its own.
    private static let retryCounts = 0...3
    private static let responseTimes = Duration.milliseconds(1)...Duration.seconds(3_600)
    private static let waits = Duration.zero...Duration.seconds(3_600)
    /// Each fall of a budget is kept for each target.
    static let flapCounts = 1...20
    private static let flapWindows = Duration.seconds(10)...Duration.seconds(86_400)

    /// Reads the keys; what is wrong is reported, and has its default here.
    init(
        _ settings: SettingsMapping, of probe: any Probe.Type, _ diagnostics: inout Diagnostics
    ) {
        let counts = probe.defaultCounts
        rise = settings["rise"]?.integer(in: Self.counts, &diagnostics) ?? counts.rise
        fall = settings["fall"]?.integer(in: Self.counts, &diagnostics) ?? counts.fall
        retries = settings["retries"]?.integer(in: Self.retryCounts, &diagnostics) ?? retries
        start = settings["start"]?.choice(Start.self, &diagnostics) ?? start
        holdDown = settings["hold_down"]?.duration(in: Self.waits, &diagnostics) ?? holdDown
        flaps = settings["flaps"].flatMap { Self.flaps($0, &diagnostics) }
        responseTime = Self.hysteresis(
            "degraded", settings, &diagnostics, text: durationText, share: { $0 * 4 / 5 }
        ) { $0.duration(in: Self.responseTimes, &$1) }
        load = Self.hysteresis(
            "load", settings, &diagnostics, text: \.description,
            share: { Load(thousandths: $0.thousandths * 4 / 5) }
        ) { $0.load(&$1) }
        if let place = settings["load_above"], !probe.reportsLoad {
            diagnostics.error(
                at: place.position,
                "\(place.path): monitors of type \(probe.type) learn of no load; those of type "
                    + probeTypes.filter { $0.reportsLoad }.map { $0.type }.joined(separator: ", ")
                    + " do")
        }
        degradedFor =
            settings["degraded_for"]?.duration(in: Self.waits, &diagnostics) ?? degradedFor
        if let place = settings["degraded_for"], settings["degraded_above"] == nil,
            settings["load_above"] == nil
        {
            diagnostics.error(
                at: place.position,
                "\(place.path): says nothing without degraded_above or load_above")
        }
    }

    /// Reads `NAME_above` and `NAME_below`, which is four fifths of it by default.
    private static func hysteresis<Value>(
        _ name: String, _ settings: SettingsMapping, _ diagnostics: inout Diagnostics,
        text: (Value) -> String, share: (Value) -> Value,
        read: (SettingsValue, inout Diagnostics) -> Value?
    ) -> Hysteresis<Value>? {
        let lower = settings["\(name)_below"]
        guard let upper = settings["\(name)_above"] else {
            if let lower {
                diagnostics.error(
                    at: lower.position, "\(lower.path): says nothing without \(name)_above")
            }
            return nil
        }
        guard let above = read(upper, &diagnostics) else { return nil }
        guard let lower else { return Hysteresis(above: above, below: share(above)) }
        guard let below = read(lower, &diagnostics) else { return nil }
        guard below <= above else {
            diagnostics.error(
                at: lower.position,
                "\(lower.path): \(text(below)) is more than the \(text(above)) of \(name)_above")
            return nil
        }
        return Hysteresis(above: above, below: below)
    }

    /// Reads `5 per 10m`; nil for `off`, or after reporting what is wrong.
    private static func flaps(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> FlapBudget? {
        if value.text == "off" { return nil }
        let words = value.text?.split(separator: " ") ?? []
        guard words.count == 3, words[1] == "per", let budget = Int(words[0]),
            let window = parseDuration(String(words[2])), flapCounts.contains(budget),
            flapWindows.contains(window)
        else {
            value.expected(
                "a count from \(flapCounts.lowerBound) to \(flapCounts.upperBound) per a time from "
                    + "\(durationText(flapWindows.lowerBound)) to "
                    + "\(durationText(flapWindows.upperBound)), as 5 per 10m, or off",
                &diagnostics)
            return nil
        }
        return FlapBudget(budget: budget, window: window)
    }
}

extension SettingsValue {
    fileprivate func load(_ diagnostics: inout Diagnostics) -> Load? {
        if let load = text.flatMap({ Load($0) }) { return load }
        expected("a load from 0 to 1000, as 0.8", &diagnostics)
        return nil
    }
}
