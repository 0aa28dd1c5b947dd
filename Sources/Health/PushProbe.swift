// Monitors of type push: results that somebody else finds and reports to the running server. Keys of
// its own, beside Monitor's, with their defaults unless marked:
//
//     monitors:
//       deploy:
//         type: push
//         max_age: 5m          # an older report says nothing: 1s to 30d
//         stale: keep          # without a newer one: keep the verdict, or `down`: a failure
//         rise: 1              # the first report decides; more count the report at each interval
//         fall: 1
//
// A report is about an origin or about one of its addresses, whose own comes before the origin's while
// it is fresh. It is looked at when it comes, and again at each interval until it is too old. Reports
// are not kept over a restart. A word `load=0.73` in the reason of one that is up is the load
// (`load_above`).

internal import DNSWire
internal import Settings

/// Looks the newest report up.
struct PushProbe: Probe {
    static let type = "push"
    static let keys = Staleness.keys
    static let reportsLoad = true
    static let asksAnAddress = false
    static let defaultCounts = (rise: 1, fall: 1)

    let staleness: Staleness
    var origin = ""

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        guard let staleness = Staleness(settings, &diagnostics) else { return nil }
        self.staleness = staleness
    }

    var port: Int? { nil }

    /// Until the last result of one that is silent is too old.
    var blindness: Duration? { staleness.isFailure ? staleness.maximumAge : nil }

    func bound(toOrigin origin: String) -> PushProbe {
        var probe = self
        probe.origin = origin
        return probe
    }

    func start(_ attempt: ProbeAttempt) {
        let now = Timestamp.now()
        let reports = [ReportStore.name(origin, attempt.address), origin]
            .compactMap { attempt.trust.reports[$0] }
        let fresh = reports.first { staleness.accepts(written: $0.time, now: now) }
        attempt.enter(.status)
        if let report = fresh {
            let reason = report.reason.isEmpty ? "" : ": \(report.reason)"
            report.isUp
                ? attempt.pass("reported up\(reason)", load: Load(in: report.reason))
                : attempt.fail(.status, "reported down\(reason)")
        } else {
            let words = reports.max { $0.time < $1.time }.map {
                "last reported \(Staleness.age(of: $0.time, now: now)), \(staleness.words)"
            }
            staleness.judge(words ?? "nothing is reported", attempt)
        }
        attempt.finish()
    }
}

/// How old a result from outside may be, and what follows from none.
///
///     max_age: 5m
///     stale: keep
struct Staleness: Sendable, Hashable {
    static let keys = ["max_age", "stale"]
    private static let ages = Duration.seconds(1)...Duration.seconds(30 * 86_400)

    private enum Choice: String, CaseIterable { case keep, down }

    let maximumAge: Duration
    /// Whether no result is a failure, as for a messenger that lives on the origin itself.
    let isFailure: Bool

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        maximumAge =
            settings["max_age"]?.duration(in: Self.ages, &diagnostics) ?? .seconds(300)
        isFailure = settings["stale"]?.choice(Choice.self, &diagnostics) == .down
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    /// One from the future is no better than an old one: it would hold for ever.
    func accepts(written: Timestamp, now: Timestamp) -> Bool {
        let age = now - written
        return age <= maximumAge && .zero - age <= maximumAge
    }

    func judge(_ words: String, _ attempt: ProbeAttempt) {
        isFailure ? attempt.fail(.status, words) : attempt.giveUp(words)
    }

    /// `max_age: 5m`.
    var words: String { "max_age: \(durationText(maximumAge))" }

    /// `5m1s ago`.
    static func age(of written: Timestamp, now: Timestamp) -> String {
        let seconds = (now - written).components.seconds
        return seconds < 0
            ? "\(durationText(.seconds(-seconds))) in the future"
            : "\(durationText(.seconds(seconds))) ago"
    }
}

/// What was reported from outside, the newest of each origin and address.
final class ReportStore {
    struct Report: Sendable, Hashable {
        var isUp: Bool
        var reason: String
        var time: Timestamp
    }

    /// More than a line of a log wants.
    private static let reasonLimit = 200

    private var reports: [String: Report] = [:]
    /// With so many, those that nobody asks for are forgotten.
    private var sweepCount = 64

    /// `pool/origin` or `pool/origin/address`.
    subscript(name: String) -> Report? { reports[name] }

    /// - Parameter isKnown: whether anybody asks for a name, as it may not be after a reload.
    func take(_ name: String, isUp: Bool, reason: String, isKnown: (String) -> Bool) {
        if reports.count >= sweepCount {
            reports = reports.filter { isKnown($0.key) }
            sweepCount = max(64, reports.count * 2)
        }
        reports[name] = Report(
            isUp: isUp, reason: String(reason.unicodeScalars.prefix(Self.reasonLimit)).inOneLine,
            time: .now())
    }

    static func name(_ origin: String, _ address: IPAddress) -> String { "\(origin)/\(address)" }
}
