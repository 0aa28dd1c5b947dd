// Origins that are given by host name: read, and checked pool by pool and service by service. Clients are
// sent to a host by a CNAME, and a name has one CNAME and nothing beside it (RFC 2181, section 10.1), so
// whatever answers with several origins at a time takes addresses alone.
//
// ```yaml
// monitors: { web: { type: https, host: www.example.com } }
// pools:
//   europe:
//     monitor: web
//     origins:
//       vendor: { host: eu.lb.vendor.example }      # a probe resolves it, unless a check_address is given
//   america: { origins: { vendor: { host: us.lb.vendor.example } } }   # not checked
// services:
//   web: { rules: [{ pools: [europe, america] }] }
// ```

internal import DNSWire
internal import Settings

// MARK: - Origins

extension PoolFileParser {
    /// Reads the name of a host: absolute, with or without its final dot.
    func parseHost(_ value: SettingsValue, _ diagnostics: inout Diagnostics) -> Name? {
        let example = "eu.lb.vendor.example"
        guard let text = value.text, !text.isEmpty else {
            value.expected("a host name, as \(example)", &diagnostics)
            return nil
        }
        let name: Name
        do {
            name = try Name(text, origin: .root)
        } catch {
            diagnostics.error(
                at: value.position,
                "\(value.path): \"\(text)\" is no host name: \(error.explanation)")
            return nil
        }
        let labels = name.labels
        if IPAddress(text) != nil || labels.last?.allSatisfy(isDigit) ?? false {
            diagnostics.error(
                at: value.position,
                "\(value.path): \"\(text)\" looks like an address; write it under \"addresses\"")
            return nil
        }
        guard labels.allSatisfy({ $0.allSatisfy(isHostCharacter) }) else {
            value.expected(
                "a host name of letters, digits and hyphens, as \(example) (xn-- for others)",
                &diagnostics)
            return nil
        }
        guard labels.count > 1 else {
            diagnostics.error(
                at: value.position,
                "\(value.path): \"\(text)\" is one label; write the whole name, as \(example)")
            return nil
        }
        return name
    }

    /// Reports the origin that is not like the first one of its pool: by name, or by addresses.
    func checkKind(
        _ origin: Origin, _ first: Origin, _ path: String, _ diagnostics: inout Diagnostics
    ) {
        guard (origin.host == nil) != (first.host == nil) else { return }
        let has = { (origin: Origin) in origin.host == nil ? "addresses" : "a host name" }
        diagnostics.error(
            at: origin.position,
            "\(path): has \(has(origin)), and \"\(first.name)\" at \(first.position) has"
                + " \(has(first)); give all origins of a pool the same, or make two pools")
    }

    /// Reports what a pool of hosts says of answers with several origins.
    func checkSingleAnswer(
        _ policy: SettingsValue?, _ answers: SettingsValue?, _ diagnostics: inout Diagnostics
    ) {
        let why = "a pool of host names answers with one of them (RFC 2181, section 10.1)"
        if let policy, policy.text == OriginPolicy.all.rawValue {
            diagnostics.error(
                at: policy.position,
                "\(policy.path): \(why); use \"policy: weighted\" or \"policy: hash\"")
        }
        if let answers, answers.text != "1" {
            diagnostics.error(at: answers.position, "\(answers.path): \(why); remove this")
        }
    }
}

private func isDigit(_ octet: UInt8) -> Bool { octet &- 0x30 < 10 }

private func isHostCharacter(_ octet: UInt8) -> Bool {
    isDigit(octet) || octet &- 0x61 < 26 || octet == UInt8(ascii: "-") || octet == UInt8(ascii: "_")
}

// MARK: - Services

extension SteeringConfiguration {
    /// The origins given by name that a service may answer with, each with its pool.
    public func hostOrigins(of service: Int) -> [(pool: Pool, origin: Origin)] {
        members(of: services[service]).flatMap { pool in
            pool.origins.filter { $0.host != nil }.map { (pool, $0) }
        }
    }

    /// The pools that a service may come to, each once: those of its rules first, the fallback last.
    func members(of service: Service) -> [Pool] {
        var seen: Set<Int> = []
        return (service.rules.flatMap { pools(of: $0) } + [service.fallback].compactMap(\.self))
            .filter { seen.insert($0).inserted }.map { pools[$0] }
    }

    /// Whether a service's pools go together, by host name or by addresses; reports it if not, and what
    /// in a service by host name asks for several origins in an answer.
    ///
    /// The same name would be an alias for some clients, and other types at it would be answered to
    /// the others alone, whereas a CNAME that a resolver has counts for every type.
    func checkKinds(_ service: Service, _ diagnostics: inout Diagnostics) -> Bool {
        let members = members(of: service)
        guard let host = members.first(where: \.answersByHost) else { return true }
        if let other = members.first(where: { !$0.answersByHost }) {
            diagnostics.error(
                at: host.position,
                "the pool \"\(host.name)\" has host names, but \"\(other.name)\" at"
                    + " \(other.position) has addresses, and the service \"\(service.name)\" uses"
                    + " both: a name is an alias for all clients and types, or for none"
                    + " (RFC 1034, section 3.6.2); give both host names, or both addresses")
            return false
        }
        let why =
            "the service \"\(service.name)\" answers with a host name, and a name has one CNAME"
            + " (RFC 2181, section 10.1)"
        if service.whenAllDown == .all {
            diagnostics.error(
                at: service.position,
                "\(why), so that \"when_all_down: all\" can't be; use first, fallback or servfail")
        }
        for rule in service.rules {
            if rule.policy == .union {
                diagnostics.error(
                    at: rule.position, "\(why), so that policy \"all\" can't be; use another policy"
                )
            }
            if rule.spare {
                diagnostics.error(
                    at: rule.position, "\(why), so that there can be no \"spare\"; remove it")
            }
        }
        return true
    }
}
