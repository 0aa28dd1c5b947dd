// One entry of `services:`, read and checked.
//
// ```yaml
// pools:
//   main: { origins: { one: { addresses: 192.0.2.10 } } }
//   spare: { origins: { two: { addresses: 192.0.2.20 } } }
// regions:
//   gulf: { countries: [AE, QA], cities: [SA/Dammam] }
// services:
//   web:
//     rules:                           # the first that matches decides
//       - match: { networks: 10.0.0.0/8 }
//         pools: [main]
//       - match: { continents: [EU], countries: [CH, DE], subdivisions: [CH-ZH, DE-BW] }
//         policy: weighted             # proximity, failover (if none is stated), weighted, hash, all
//         pools: [{ pool: main, weight: 3 }, spare]
//       - match: { regions: [SEAS, gulf], not: { any: [{ countries: ID }, { cities: [TH/Bangkok] }] } }
//         pools: [spare]
//       - match: { continents: AS }
//         pools: [{ service: asia }, main]   # what that service's rules choose, or else main
//       - pools: [main, spare]         # no match: everyone else
//         spare: true                  # answers have one address of the next usable pool, too
//     fallback: spare                  # for clients that no rule matches
//     when_all_down: fallback          # when a rule's pools are down: or first, all, servfail
//     ecs: use                         # or ignore: go by the resolver's address
//     ttl: 10s-60s                     # the soonest that health could change the answer; or fixed: 30s
//   asia:
//     rules: [{ policy: hash, pools: [main, spare] }]
// ```

internal import DNSWire
internal import Settings

extension PoolFileParser {
    /// Returns the service, or nil after reporting what keeps it from being used at all.
    ///
    /// - Parameter parsedPools: by index; nil for a pool whose faults are reported already.
    func parseService(
        _ entry: NamedEntry, _ parsedPools: [Pool?], _ diagnostics: inout Diagnostics
    ) -> Service? {
        let keys = ["rules", "fallback", "when_all_down", "ecs", "ttl"]
        guard let settings = entry.value.mapping(keys, &diagnostics) else { return nil }
        let fallback = settings["fallback"].flatMap { pools.find($0, &diagnostics) }
        let whenAllDown = settings["when_all_down"].flatMap {
            $0.choice(WhenAllDown.self, &diagnostics)
        }
        let clientSubnet = settings["ecs"].flatMap { $0.choice(ClientSubnetUse.self, &diagnostics) }
        let ttl = settings["ttl"].flatMap { ServiceTTL($0, &diagnostics) }
        guard let value = settings.required("rules", &diagnostics) else { return nil }
        let elements = value.elements(&diagnostics)
        if elements.isEmpty || elements.count > SteeringLimit.rulesPerService {
            diagnostics.error(
                at: value.position,
                "\(value.path): a service has 1 to \(SteeringLimit.rulesPerService) rules")
            return nil
        }
        let rules = elements.map { parseRule($0, parsedPools, &diagnostics) }
        checkReach(elements, rules, &diagnostics)
        let complete = rules.compactMap(\.self)
        guard complete.count == elements.count else { return nil }
        if complete.last?.match != nil, settings["fallback"] == nil {
            diagnostics.error(
                at: entry.position,
                "the service \"\(entry.name)\" has no answer for clients that no rule matches;"
                    + " add \"fallback: POOL\", or a last rule without \"match\"")
        }
        var service = Service(
            name: entry.name, position: entry.position, rules: complete, fallback: fallback)
        service.whenAllDown = whenAllDown ?? .fallback
        service.clientSubnet = clientSubnet ?? .use
        service.ttl = ttl
        return service
    }

    // MARK: - Rules

    private func parseRule(
        _ value: SettingsValue, _ parsedPools: [Pool?], _ diagnostics: inout Diagnostics
    ) -> Rule? {
        guard let settings = value.mapping(["match", "policy", "pools", "spare"], &diagnostics)
        else { return nil }
        settings.refuseEmpty(&diagnostics)
        let match = settings["match"].map { parseMatch($0, &diagnostics) }
        let policy = settings["policy"].map { parsePolicy($0, &diagnostics) } ?? Policy.standard
        guard let list = settings.required("pools", &diagnostics) else { return nil }
        let elements = list.elements(&diagnostics)
        if elements.isEmpty || elements.count > SteeringLimit.poolsPerRule {
            diagnostics.error(
                at: list.position,
                "\(list.path): a rule has 1 to \(SteeringLimit.poolsPerRule) pools")
            return nil
        }
        var references: [PoolReference] = []
        for element in elements {
            guard let reference = parseReference(element, policy, &diagnostics) else { continue }
            if references.contains(where: { $0.target == reference.target }) {
                diagnostics.error(
                    at: element.position,
                    "\(element.path): \(name(of: reference.target)) is already in this rule")
            } else {
                references.append(reference)
            }
        }
        // A match or policy that could not be read must not lead to follow-up errors.
        if case .some(.none) = match { return nil }
        guard let policy, references.count == elements.count else { return nil }
        var rule = Rule(
            position: value.position, match: match ?? nil, policy: policy, pools: references)
        if let spare = settings["spare"] {
            rule.spare = spare.boolean(&diagnostics) ?? false
            if rule.spare, !policy.allowsSpare {
                let takers = Policy.all.filter(\.allowsSpare).map(\.name)
                diagnostics.error(
                    at: spare.position,
                    "\(spare.path): there is no next pool under policy \"\(policy)\"; it takes"
                        + " \"policy: \(takers.joined(separator: " or "))\"")
            }
        }
        return rule
    }

    /// `the pool "main"`.
    private func name(of target: PoolReference.Target) -> String {
        switch target {
        case .pool(let index): "the pool \"\(pools.entries[index].name)\""
        case .service(let index): "the service \"\(services.entries[index].name)\""
        }
    }

    private func parsePolicy(_ value: SettingsValue, _ diagnostics: inout Diagnostics) -> Policy? {
        if let policy = value.text.flatMap(Policy.named) { return policy }
        let names = Policy.all.map(\.name)
        let hint = value.text.flatMap { closestMatch(to: $0, among: names) }
        value.expected(
            "one of \(names.joined(separator: ", "))"
                + (hint.map { " (did you mean \($0)?)" } ?? ""),
            &diagnostics)
        return nil
    }

    /// A pool's name, or a mapping with it and what the rule's policy takes.
    private func parseReference(
        _ value: SettingsValue, _ policy: Policy?, _ diagnostics: inout Diagnostics
    ) -> PoolReference? {
        guard case .mapping = value.content else {
            if let name = value.text, pools.index[name] == nil, services.index[name] != nil {
                diagnostics.error(
                    at: value.position,
                    "\(value.path): \"\(name)\" is a service; write { service: \(name) }")
                return nil
            }
            return pools.find(value, &diagnostics).map { PoolReference(.pool($0)) }
        }
        guard let settings = value.mapping(["pool", "service", "weight", "bias"], &diagnostics)
        else { return nil }
        var reference: PoolReference?
        if let service = settings["service"] {
            reference = services.find(service, &diagnostics).map { PoolReference(.service($0)) }
            if let pool = settings["pool"] {
                diagnostics.error(
                    at: pool.position,
                    "\(pool.path): an entry names a pool or a service; write two entries")
            }
            if policy == .union {
                diagnostics.error(
                    at: service.position,
                    "\(service.path): policy \"all\" takes pools alone; name the service's pools")
            }
        } else if let pool = settings.required("pool", &diagnostics) {
            reference = pools.find(pool, &diagnostics).map { PoolReference(.pool($0)) }
        }
        for (key, range) in [
            ("weight", 0...SteeringLimit.weight),
            ("bias", -SteeringLimit.bias...SteeringLimit.bias),
        ] {
            guard let stated = settings[key] else { continue }
            if let policy, !policy.entryKeys.contains(key) {
                let takers = Policy.all.filter { $0.entryKeys.contains(key) }.map(\.name)
                diagnostics.error(
                    at: stated.position,
                    "\(stated.path): a \(key) means nothing under policy \"\(policy)\"; it takes"
                        + " \"policy: \(takers.joined(separator: " or "))\"")
                continue
            }
            guard let number = stated.integer(in: range, &diagnostics) else { continue }
            if key == "weight" { reference?.weight = number } else { reference?.bias = number }
        }
        return reference
    }

    // MARK: - Checks over several rules

    /// Reports rules that no client can get to, because earlier ones take all of theirs.
    private func checkReach(
        _ elements: [SettingsValue], _ rules: [Rule?], _ diagnostics: inout Diagnostics
    ) {
        var earlier: [Match] = []
        var last: SourcePosition?
        for (element, rule) in zip(elements, rules) {
            if let last {
                diagnostics.error(
                    at: element.position,
                    "\(element.path): this rule never matches; the one at \(last) has no \"match\""
                        + " and takes every client")
                continue
            }
            guard let rule else { continue }
            guard let match = rule.match else {
                last = rule.position
                continue
            }
            if match.isCovered(by: earlier) {
                diagnostics.error(
                    at: element.position,
                    "\(element.path): this rule never matches; earlier rules take all its clients"
                        + " (\(match.text)); move it up, or remove it")
            } else if match.isCovered(by: earlier, trustingContinents: true) {
                diagnostics.warning(
                    at: element.position,
                    "\(element.path): this rule will hardly match; an earlier rule takes the"
                        + " continent that its countries are in (\(match.text)); move it up")
            }
            earlier.append(match)
        }
    }
}
