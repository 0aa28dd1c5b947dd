// Services that answer by host name, and the zones: a STEER record of one is a CNAME to everyone, so it
// may stand where a CNAME may, and what it points at is looked up as an alias's target is.

internal import DNSWire
internal import Settings
internal import Steering
internal import Zones

/// Checks the links of one content, once its STEER records have services.
struct AliasChecks: ~Copyable {
    /// How many aliases are followed from a host, more than `Responder.aliasLimit`; a longer chain in the
    /// zones has a warning of its own.
    private static let chainLimit = 16

    private let zones: ZoneSet
    private let steering: Steering
    /// By the index of `ZoneSet.steerReferences`: its service.
    private let services: [Int]
    private var buffer = NameBuffer()
    /// The services, by host name, that others lead to: by the index of the one that leads there.
    private var ways: [Int: Set<Int>] = [:]

    init(zones: ZoneSet, steering: Steering, services: [Int]) {
        self.zones = zones
        self.steering = steering
        self.services = services
    }

    /// Reports what can't be answered, and what resolvers can't follow.
    mutating func check(_ diagnostics: inout Diagnostics) {
        var aliases: [Int] = []
        for (reference, service) in zip(zones.steerReferences, services)
        where steering.answersByHost(service) {
            checkCompany(reference, service, &diagnostics)
            aliases.append(service)
        }
        for host in zones.steeredHosts where steering.answersByHost(services[Int(host.steer)]) {
            diagnostics.warning(
                at: host.position,
                "\(host.type) points at \(host.target), which is an alias (its service answers with host"
                    + " names); many refuse that, so name a host with addresses"
                    + (host.type == .srv ? " (RFC 2782)" : " (RFC 2181, section 10.3)"))
        }
        for service in aliases { checkHosts(of: service, &diagnostics) }
        for service in aliases { warnOfCircle(from: service, &diagnostics) }
    }

    /// A CNAME stands alone (RFC 1034, section 3.6.2), so at no apex.
    private func checkCompany(
        _ reference: SteerReference, _ service: Int, _ diagnostics: inout Diagnostics
    ) {
        guard let first = steering.configuration.hostOrigins(of: service).first else { return }
        let alias =
            "the service \"\(reference.service)\" answers with host names, as"
            + " \(first.origin.position) has it"
        for use in reference.accompanied {
            if use.company.contains(.soa) {
                diagnostics.error(
                    at: use.position,
                    "\(alias), and \(use.owner) is an apex, which can't be an alias (RFC 1034,"
                        + " section 3.6.2); steer a name below it, as www, or give the pools addresses"
                )
            } else {
                let types = use.company.map(\.description).joined(separator: ", ")
                diagnostics.error(
                    at: use.position,
                    "\(alias), so \(use.owner) is an alias and can have nothing else (RFC 1034,"
                        + " section 3.6.2); remove its \(types), or give the pools addresses")
            }
        }
    }

    /// A host that is served here exists, and does not lead back.
    private mutating func checkHosts(of service: Int, _ diagnostics: inout Diagnostics) {
        let name = steering.configuration.services[service].name
        for (_, origin) in steering.configuration.hostOrigins(of: service) {
            guard let host = origin.host, buffer.load(host.wire.span, at: 0) != nil else {
                continue
            }
            var found = zones.lookup(buffer, type: .a)
            if found.outcome == .nxdomain {
                diagnostics.warning(
                    at: origin.position,
                    "the service \"\(name)\" sends clients to \(host), which does not exist in its"
                        + " zone; add it, or check the name")
            }
            var steps = 0
            while found.outcome == .cname || found.outcome == .dname, steps < Self.chainLimit,
                zones.follow(found, &buffer)
            {
                found = zones.lookup(buffer, type: .a)
                steps += 1
            }
            guard found.outcome == .steered, case let next = services[Int(found.steer)],
                steering.answersByHost(next)
            else { continue }
            if next == service {
                diagnostics.error(
                    at: origin.position,
                    "the service \"\(name)\" sends clients to \(host), which leads back to it: the STEER"
                        + " record of \(owner(of: found)) names the same service; name a host with"
                        + " addresses")
            } else {
                ways[service, default: []].insert(next)
            }
        }
    }

    /// The name whose STEER record was found, as it stands in the zone.
    private func owner(of found: Lookup) -> Name {
        let name = Name(buffer)
        guard found.isSynthesised else { return name }
        let uses = zones.steerReferences[Int(found.steer)].uses.map(\.owner)
        return uses.first { use in
            use.isWildcard && use.parent.map { name.isSubdomain(of: $0) } ?? false
        } ?? name
    }

    /// Reports a service that others may lead back to: whether they do depends on the client.
    private func warnOfCircle(from service: Int, _ diagnostics: inout Diagnostics) {
        var seen: Set<Int> = []
        var pending = [service]
        while let from = pending.popLast() {
            for next in (ways[from] ?? []).sorted() {
                if next == service {
                    let (first, last) = (
                        steering.configuration.services[service],
                        steering.configuration.services[from]
                    )
                    diagnostics.warning(
                        at: first.position,
                        "the hosts of the service \"\(first.name)\" may lead in a circle, back to it over"
                            + " \"\(last.name)\"; name a host with addresses in one of them")
                    return
                }
                // A circle is told once, of its first service.
                if next > service, seen.insert(next).inserted { pending.append(next) }
            }
        }
    }
}
