// Everything loaded from files, linked: what each STEER record's service is.

public import DNSWire
public import Settings
public import Steering
public import Zones

/// What answers say and obey apart from the zones' data.
public struct AnswerSettings: Sendable {
    /// The most octets of a text in answers: with it a NSID fits into every answer, the smallest
    /// EDNS size included.
    public static let textLimit = 64
    /// What `datagramLength` may be: what every resolver takes without EDNS, and what the largest
    /// slots hold; more would come in fragments on any path.
    public static let datagramLengths = 512...4_096

    /// What `id.server` and NSID say; empty says nothing. At most `textLimit` octets are used.
    public var identity = ""
    /// What `version.server` says; empty refuses to. At most `textLimit` octets are used.
    public var version = ""
    /// The largest answer over UDP in octets, and the size advertised. By default no answer comes in
    /// fragments on any path (RFC 9715, section 3.1, and below its 1,400).
    public var datagramLength = 1_232
    /// Nil answers no cookies.
    public var cookies: CookieSecrets?
    /// Who may ask why a client gets its answer; by default this machine.
    public var explainers = ["127.0.0.0/8", "::1"].compactMap { IPNetwork($0) }

    public init(identity: String = "") { self.identity = identity }
}

/// The zones and the steering behind them; immutable, replaced whole.
public final class Content: Sendable {
    public let zones: ZoneSet
    public let steering: Steering
    /// What `id.server` and NSID say; empty says nothing. At most `AnswerSettings.textLimit` octets.
    let identity: [UInt8]
    /// What `version.server` says; empty says nothing.
    let version: [UInt8]
    let datagramLength: Int
    let cookies: CookieSecrets?
    let explainers: [IPNetwork]
    /// For each STEER reference of the zones, the index of its service.
    private let services: [Int]
    /// For each, whether its service answers by host name.
    private let aliases: [Bool]
    /// By the index of the pool.
    private let longestTTLs: [UInt32?]

    /// Links zones to services; nil after reporting every STEER record without a service.
    ///
    /// A service that no record names is a warning: it may be on its way in.
    public init?(
        zones: ZoneSet, steering: Steering, answers: AnswerSettings,
        diagnostics: inout Diagnostics
    ) {
        Self.checkReferences(
            of: zones.steerReferences, to: steering.configuration.services.map(\.name), &diagnostics
        )
        let services = zones.steerReferences.compactMap { steering.service(named: $0.service) }
        Self.checkTTLs(of: zones.steerReferences, steering.configuration, &diagnostics)
        let used = Set(zones.steerReferences.map(\.service))
        for service in steering.configuration.services where !used.contains(service.name) {
            diagnostics.warning(
                at: service.position,
                "the service \"\(service.name)\" is not used; no STEER record names it")
        }
        let errorsBefore = diagnostics.errorCount
        steering.checkPlaces(&diagnostics)
        guard services.count == zones.steerReferences.count else { return nil }
        var checks = AliasChecks(zones: zones, steering: steering, services: services)
        checks.check(&diagnostics)
        guard diagnostics.errorCount == errorsBefore else { return nil }
        self.zones = zones
        self.steering = steering
        let range = AnswerSettings.datagramLengths
        precondition(range.contains(answers.datagramLength), "a size that slots and clients hold")
        identity = Array(answers.identity.utf8.prefix(AnswerSettings.textLimit))
        version = Array(answers.version.utf8.prefix(AnswerSettings.textLimit))
        datagramLength = answers.datagramLength
        cookies = answers.cookies
        explainers = answers.explainers
        self.services = services
        aliases = services.map { steering.answersByHost($0) }
        longestTTLs = steering.configuration.longestTTLs(
            of: zip(services, zones.steerReferences).map { ($0, $1.longestTTL) })
    }

    /// The same with settings that say no more than who answers.
    public convenience init?(
        zones: ZoneSet, steering: Steering, identity: String, diagnostics: inout Diagnostics
    ) {
        self.init(
            zones: zones, steering: steering, answers: AnswerSettings(identity: identity),
            diagnostics: &diagnostics)
    }

    /// Reports every STEER record whose service is not among those that the pool files state.
    ///
    /// Apart from `init`, so that it can be said also where other faults keep it from being called.
    public static func checkReferences(
        of references: [SteerReference], to names: [String], _ diagnostics: inout Diagnostics
    ) {
        let known = Set(names)
        for reference in references where !known.contains(reference.service) {
            let hint = hint(for: reference.service, among: names)
            for use in reference.uses {
                diagnostics.error(
                    at: use.position, "the service \"\(reference.service)\" is not defined; \(hint)"
                )
            }
        }
    }

    /// Warns of TTLs of STEER records that have no effect, or keep clients at a dead pool for long.
    private static func checkTTLs(
        of references: [SteerReference], _ configuration: SteeringConfiguration,
        _ diagnostics: inout Diagnostics
    ) {
        let services = Dictionary(configuration.services.map { ($0.name, $0) }) { first, _ in first
        }
        for reference in references {
            guard let service = services[reference.service] else { continue }
            let isMonitored = configuration.isMonitored(service)
            for use in reference.uses {
                if let ttl = service.ttl {
                    guard use.hasOwnTTL, ttl.bounds != TTLBounds(lower: use.ttl, upper: use.ttl)
                    else { continue }
                    diagnostics.warning(
                        at: use.position,
                        "this TTL has no effect, as the service \"\(service.name)\" states"
                            + " \"ttl: \(ttl.text)\" at \(ttl.position); remove one of the two")
                } else if isMonitored, use.ttl > SteeringLimit.promptTTL {
                    diagnostics.warning(
                        at: use.position,
                        "resolvers keep these answers for \(use.ttl) seconds, and their clients go on"
                            + " for as long to a pool that is down; the pools of \"\(service.name)\""
                            + " are probed, so write minutes at the most, as in \"60 STEER\"")
                }
            }
        }
    }

    private static func hint(for service: String, among names: [String]) -> String {
        if let match = closestMatch(to: service, among: names) {
            return "did you mean \"\(match)\"?"
        }
        if names.isEmpty { return "no pool file (*.yaml beside the zone files) defines a service" }
        let shown = names.prefix(10).joined(separator: ", ")
        return "defined are \(shown)" + (names.count > 10 ? ", …" : "")
    }

    /// The longest that resolvers may keep an answer of a pool, given by its index, in seconds; nil if
    /// no STEER record leads to it, by whatever services.
    public func longestTTL(ofPool pool: Int) -> UInt32? { longestTTLs[pool] }

    /// The indexes of the services that STEER records name.
    public var steeredServices: [Int] { services }

    /// The service of a STEER reference, by the index that a lookup returns.
    func service(at reference: Int32) -> Int { services[Int(reference)] }

    /// Whether what was found is steered by a service that answers by host name.
    @inline(__always)
    func isAlias(_ found: Lookup) -> Bool { found.steer >= 0 && aliases[Int(found.steer)] }

    /// What the zones found, with what the services know: at an alias, every type is steered, as a CNAME
    /// answers them all (RFC 1034, section 3.6.2).
    public func linked(_ found: Lookup) -> Lookup {
        found.outcome == .nodata && isAlias(found) ? found.steered : found
    }
}
