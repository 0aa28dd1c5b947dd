// What a probe is, and which there are.
//
// A new type of probe is one file (its settings documented in the head, with an example that the
// tests load) and one line in `probeTypes`; ProbeConformanceTests then runs over it. ProbeAttempt
// is one try of one.

internal import Settings

/// A type of monitor with its own settings.
protocol Probe: Sendable, Equatable {
    /// What `type:` says in the pool file.
    static var type: String { get }
    /// The keys of its own, beside those of every monitor.
    static var keys: [String] { get }

    /// Whether what it asks may tell a load, which `load_above` is about.
    static var reportsLoad: Bool { get }

    /// Reads its own keys; reports all that is wrong, and may return nil then.
    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics)

    /// The port that it asks; nil where there is none.
    var port: Int? { get }

    /// Whether it asks an address, so that the name of an origin's host has to be resolved for it.
    static var asksAnAddress: Bool { get }

    /// How long an origin may be dead before a probe can see it; nil if no probe sees it by itself, as for
    /// results that somebody else finds.
    var blindness: Duration? { get }

    /// `rise` and `fall` where the file does not say.
    static var defaultCounts: (rise: Int, fall: Int) { get }

    /// The probe for one origin (`pool/origin`), where that makes a difference.
    func bound(toOrigin origin: String) -> Self

    /// Starts a try, which has to end in `pass` or `fail`; the deadline is the attempt's matter.
    func start(_ attempt: ProbeAttempt)
}

/// All types of monitors.
let probeTypes: [any Probe.Type] = [
    TCPProbe.self, TLSProbe.self, HTTPProbe.self, HTTPSProbe.self, WebSocketProbe.self,
    DNSProbe.self, SMTPProbe.self, GRPCProbe.self, CommandProbe.self, FileProbe.self,
    PushProbe.self, ICMPProbe.self,
]

extension Probe {
    static var reportsLoad: Bool { false }

    func equals(_ other: any Probe) -> Bool { (other as? Self) == self }

    static var asksAnAddress: Bool { true }

    var blindness: Duration? { .zero }

    static var defaultCounts: (rise: Int, fall: Int) { (2, 3) }

    func bound(toOrigin origin: String) -> Self { self }
}
