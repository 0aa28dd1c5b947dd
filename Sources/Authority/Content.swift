// Everything loaded from files, linked: what each STEER record's service is.

public import Settings
public import Steering
public import Zones

/// The zones and the steering behind them; immutable, replaced whole.
public final class Content: Sendable {
    public let zones: ZoneSet
    public let steering: Steering
    /// What `id.server` and NSID say; empty says nothing. At most `identityLimit` octets.
    public let identity: [UInt8]
    /// For each STEER reference of the zones, the index of its service.
    private let services: [Int]

    /// Fits an NSID into every answer, the smallest EDNS size included.
    public static let identityLimit = 64

    /// Links zones to services; nil after reporting every STEER record without a service.
    ///
    /// A service that no record names is a warning: it may be on its way in.
    public init?(
        zones: ZoneSet, steering: Steering, identity: String, diagnostics: inout Diagnostics
    ) {
        let names = steering.configuration.services.map(\.name)
        var services: [Int] = []
        for reference in zones.steerReferences {
            if let index = steering.service(named: reference.service) { services.append(index) }
            for use in reference.uses {
                Self.check(reference.service, at: use.position, among: names, &diagnostics)
            }
        }
        let used = Set(zones.steerReferences.map(\.service))
        for service in steering.configuration.services where !used.contains(service.name) {
            diagnostics.warning(
                at: service.position,
                "the service \"\(service.name)\" is not used; no STEER record names it")
        }
        steering.warnOfMissingPlaces(&diagnostics)
        guard services.count == zones.steerReferences.count else { return nil }
        self.zones = zones
        self.steering = steering
        self.identity = Array(identity.utf8.prefix(Self.identityLimit))
        self.services = services
    }

    /// Reports a STEER record whose service is not among those that the pool files state.
    public static func check(
        _ service: String, at position: SourcePosition, among names: [String],
        _ diagnostics: inout Diagnostics
    ) {
        guard !names.contains(service) else { return }
        let hint =
            closestMatch(to: service, among: names).map { "; did you mean \"\($0)\"?" }
            ?? (names.isEmpty
                ? "; no pool file defines a service"
                : "; defined are \(names.joined(separator: ", "))")
        diagnostics.error(at: position, "the service \"\(service)\" is not defined\(hint)")
    }

    /// The service of a STEER reference, by the index that a lookup returns.
    func service(at reference: Int32) -> Int { services[Int(reference)] }
}
