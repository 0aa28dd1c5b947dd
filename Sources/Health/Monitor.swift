// A monitor of the pool files: how to probe, how often, and what to make of the results.
//
// Keys that every type of monitor has; those of a type are in the head of its file (TCPProbe for
// `tcp`). Each stands here with its default, if it has one; `type` has to be there.
//
//     type: tcp            # one of `probeTypes`
//     interval: 10s        # 100ms to 1h, from start to start of a target's probes
//     timeout: 2s          # for a whole probe; less by default where that does not fit the interval
//     retries: 0           # how often a failed probe is tried again before it counts, 0 to 3
//     rise: 2              # so many passes in a row bring a target up, 1 to 100
//     fall: 3              # so many failures in a row bring a target down, 1 to 100
//     start: last          # before its first result: as it was before a restart, else unknown, and
//                          # then the first result decides; up, down: that
//     hold_down: 0s        # a target that went down stays down at least so long, to 1h
//     flaps: off           # 5 per 10m: one that goes down more often than that stays down until
//                          # it is no more than that again; 1 to 20, per 10s to 1d
//
// A target that is up is degraded when its smoothed response time, or the load that it reports
// (`command` and `file` can), is above a limit for some time, and up again when both have been below
// for as long:
//
//     degraded_above:      # 800ms, less than the timeout; none
//     degraded_below:      # 80 % of degraded_above
//     load_above:          # 0.8, 0 to 1000 with up to three decimals; none
//     load_below:          # 80 % of load_above
//     degraded_for: 30s    # 0s to 1h

public import Settings
internal import Steering

/// The settings of one monitor.
public struct Monitor: Sendable, Equatable {
    public let name: String
    /// From the start of a target's probe to the start of its next, at the most.
    public let interval: Duration
    /// The time that one probe has for everything.
    public let timeout: Duration
    /// How verdicts follow from its results.
    public let rules: VerdictRules
    var probe: any Probe

    /// The monitor's type as the files name it: `https`.
    public var type: String { Swift.type(of: probe).type }

    /// The longest that the probe and all its retries take.
    public var longestRound: Duration { timeout * (1 + rules.retries) }

    /// The longest that a target which works no more is taken for up: it died as soon as a probe
    /// had passed, and all that follow run into their timeouts. Jitter only shortens it
    /// (`Schedule.period`). Nil where only somebody else's report takes it down.
    public var detectionTime: Duration? {
        probe.blindness.map { $0 + interval * rules.fall + longestRound }
    }

    /// How soon a target's verdict could flip, as if the next result were there right now.
    ///
    /// So one fewer interval than results lies between. What waits for a time, as a hold-down does,
    /// was known with the newest result: the next one is there an interval and a round later at the
    /// latest. Jitter can make all that sooner by a tenth (`Schedule.period`), and a result that
    /// comes sooner in its round by a timeout.
    func horizon(of health: TargetHealth) -> Horizon {
        let count = max(health.remaining(under: rules), 1)
        let counted = interval * (count - 1)
        let wait = health.wait(under: rules).map { wait in
            max(wait.whole - (wait.hasBegun ? interval + longestRound : .zero), .zero)
        }
        let time =
            switch health.verdict {
            case .up, .degraded: min(counted, wait ?? counted)
            case .unknown, .down, .drained: max(counted, wait ?? .zero)
            }
        let results =
            time == counted ? count : 1 + Int(min((time / interval).rounded(.up), 1e9))
        return Horizon(
            probes: Int32(results), seconds: UInt32(clamping: time.components.seconds),
            isDegrading: health.verdict == .up && time < counted)
    }

    /// Whether its results come over this machine's network, and so tell of it, too: those of somebody else do
    /// not, however they are read.
    var asksNetwork: Bool { Swift.type(of: probe).asksAnAddress }

    /// Whether its results come by `Checker.report`.
    var takesReports: Bool { probe is PushProbe }

    /// The port that it asks; nil for a type without.
    public var port: Int? { probe.port }

    /// The monitor for one origin, as `pool/origin`.
    func bound(toOrigin origin: String) -> Monitor {
        var monitor = self
        monitor.probe = probe.bound(toOrigin: origin)
        return monitor
    }

    public static func == (a: Monitor, b: Monitor) -> Bool {
        (a.name, a.interval, a.timeout, a.rules) == (b.name, b.interval, b.timeout, b.rules)
            && a.probe.equals(b.probe)
    }
}

// MARK: - From the pool file

extension Monitor {
    private static let commonKeys = ["type", "interval", "timeout"] + VerdictRules.keys
    /// Below, probes would be load rather than a check; 100 ms is for demonstrations and tests.
    private static let intervals = Duration.milliseconds(100)...Duration.seconds(3_600)
    private static let timeouts = Duration.milliseconds(10)...Duration.seconds(3_600)

    /// Reads one entry of `monitors:`; nil after reporting what is wrong with it.
    public init?(name: String, _ value: SettingsValue, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        guard let probeType = Self.probeType(of: value, &diagnostics),
            let settings = value.mapping(Self.commonKeys + probeType.keys, &diagnostics)
        else { return nil }
        self.name = name
        interval =
            settings["interval"]?.duration(in: Self.intervals, &diagnostics) ?? .seconds(10)
        rules = VerdictRules(settings, of: probeType, &diagnostics)
        timeout =
            settings["timeout"]?.duration(in: Self.timeouts, &diagnostics)
            ?? min(.seconds(2), interval / (1 + rules.retries))
        let probe = probeType.init(settings, &diagnostics)
        guard let probe, diagnostics.errorCount == errorsBefore else { return nil }
        self.probe = probe
        checkTimes(settings, &diagnostics)
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    /// Refuses times that do not go together.
    private func checkTimes(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        if timeout > interval, let place = settings["timeout"] {
            diagnostics.error(
                at: place.position,
                "\(place.path): \(durationText(timeout)) is longer than the interval of "
                    + "\(durationText(interval)); a probe has to end before the next one starts")
        } else if longestRound > interval, let place = settings["retries"] {
            diagnostics.error(
                at: place.position,
                "\(place.path): \(1 + rules.retries) probes with a timeout of \(durationText(timeout)) "
                    + "may take \(durationText(longestRound)), which is longer than the interval of "
                    + "\(durationText(interval)); lower retries or timeout")
        }
        if let limit = rules.responseTime, limit.above >= timeout,
            let place = settings["degraded_above"]
        {
            diagnostics.error(
                at: place.position,
                "\(place.path): \(durationText(limit.above)) is not below the timeout of "
                    + "\(durationText(timeout)); a probe that takes so long fails")
        }
    }

    private static func probeType(
        of value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> (any Probe.Type)? {
        guard let entries = value.namedEntries(&diagnostics) else { return nil }
        let known = probeTypes.map { $0.type }
        let words = known.joined(separator: ", ")
        guard let type = entries.first(where: { $0.name == "type" })?.value, !type.isNull else {
            let subject = value.path.isEmpty ? "" : "\(value.path): "
            diagnostics.error(
                at: value.position, "\(subject)the key \"type\" is missing; one of \(words)")
            return nil
        }
        if let found = probeTypes.first(where: { $0.type == type.text }) { return found }
        let hint = type.text.flatMap { closestMatch(to: $0, among: known) }
        type.expected(
            "one of \(words)" + (hint.map { " (did you mean \($0)?)" } ?? ""), &diagnostics)
        return nil
    }
}
