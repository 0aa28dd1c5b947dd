// A monitor of the pool files: how to probe, how often, and what to make of the results.
//
// Keys that every type of monitor has; those of a type are in the head of its file (TCPProbe for
// `tcp`). Each stands here with its default; `type` has none.
//
//     type: tcp            # one of `probeTypes`
//     interval: 10s        # 100ms to 1h, from start to start of a target's probes
//     timeout: 2s          # for a whole probe, at most the interval (which is the default if shorter)
//     rise: 2              # so many passes in a row bring a target up, 1 to 100
//     fall: 3              # so many failures in a row bring a target down, 1 to 100

public import Settings
internal import Steering

/// The settings of one monitor.
public struct Monitor: Sendable, Equatable {
    public let name: String
    /// From the start of a target's probe to the start of its next, at the most.
    public let interval: Duration
    /// The time that one probe has for everything.
    public let timeout: Duration
    public let rise: Int
    public let fall: Int
    private(set) var probe: any Probe

    /// The monitor's type as the files name it: `https`.
    public var type: String { Swift.type(of: probe).type }

    /// How soon a target's verdict could flip.
    ///
    /// A probe may be due right now, so one fewer interval than probes lies between. Jitter can make it
    /// sooner by a tenth (`Schedule.period`).
    func horizon(of health: RiseFall) -> Horizon {
        let probes = health.remaining(rise: rise, fall: fall)
        return Horizon(
            probes: Int32(probes), seconds: UInt32((interval * (probes - 1)).components.seconds))
    }

    /// The port that it asks; nil for a type without.
    public var port: Int? { probe.port }

    /// The monitor for one origin, as `pool/origin`.
    func bound(toOrigin origin: String) -> Monitor {
        var monitor = self
        monitor.probe = probe.bound(toOrigin: origin)
        return monitor
    }

    public static func == (a: Monitor, b: Monitor) -> Bool {
        (a.name, a.interval, a.timeout, a.rise, a.fall) == (
            b.name, b.interval, b.timeout, b.rise, b.fall
        )
            && a.probe.equals(b.probe)
    }
}

// MARK: - From the pool file

extension Monitor {
    private static let commonKeys = ["type", "interval", "timeout", "rise", "fall"]
    /// Below, probes would be load rather than a check; 100 ms is for demonstrations and tests.
    private static let intervals = Duration.milliseconds(100)...Duration.seconds(3_600)
    private static let timeouts = Duration.milliseconds(10)...Duration.seconds(3_600)
    private static let counts = 1...100

    /// Reads one entry of `monitors:`; nil after reporting what is wrong with it.
    public init?(name: String, _ value: SettingsValue, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        guard let probeType = Self.probeType(of: value, &diagnostics),
            let settings = value.mapping(Self.commonKeys + probeType.keys, &diagnostics)
        else { return nil }
        self.name = name
        interval =
            settings["interval"]?.duration(in: Self.intervals, &diagnostics) ?? .seconds(10)
        timeout =
            settings["timeout"]?.duration(in: Self.timeouts, &diagnostics)
            ?? min(.seconds(2), interval)
        rise = settings["rise"]?.integer(in: Self.counts, &diagnostics) ?? 2
        fall = settings["fall"]?.integer(in: Self.counts, &diagnostics) ?? 3
        let probe = probeType.init(settings, &diagnostics)
        if timeout > interval, diagnostics.errorCount == errorsBefore,
            let place = settings["timeout"]
        {
            diagnostics.error(
                at: place.position,
                "\(place.path): \(durationText(timeout)) is longer than the interval of "
                    + "\(durationText(interval)); a probe has to end before the next one starts")
        }
        guard let probe, diagnostics.errorCount == errorsBefore else { return nil }
        self.probe = probe
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
