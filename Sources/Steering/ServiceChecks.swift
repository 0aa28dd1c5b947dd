// What only shows when all services are read: which lead to each other, and what pools they come to.

internal import DNSWire
internal import Settings

extension SteeringConfiguration {
    /// Reports services that lead back to themselves, too deep, or to nothing, and pools that don't go
    /// together.
    func checkServices(_ diagnostics: inout Diagnostics) {
        guard checkNesting(&diagnostics) else { return }
        checkCapacity(&diagnostics)
        for service in services {
            checkCompleteness(service, &diagnostics)
            guard checkKinds(service, &diagnostics) else { continue }
            checkFamilies(service, &diagnostics)
            warnOfLongTTL(service, &diagnostics)
            for rule in service.rules {
                if rule.policy == .union {
                    checkUnion(rule, "policy \"all\" answers with all", &diagnostics)
                } else if service.whenAllDown == .all {
                    checkUnion(
                        rule, "\"when_all_down: all\" answers with all of them", &diagnostics)
                }
                if rule.spare { checkSpare(rule, &diagnostics) }
                if rule.policy.dependsOnPlace, !rule.policy.usesMeasurements {
                    warnOfMissingLocations(rule, &diagnostics)
                }
            }
        }
    }

    // MARK: - Capacity

    /// Reports pools beside one with a capacity of whose load nothing is known.
    private func checkCapacity(_ diagnostics: inout Diagnostics) {
        var told: Set<Int> = []
        var sharing: Set<Int> = []
        for rule in services.flatMap(\.rules) where rule.policy.pick == .firstUsable {
            let members = pools(of: rule)
            guard let first = members.first(where: { pools[$0].capacity != nil }) else { continue }
            sharing.formUnion(members)
            for member in members where told.insert(member).inserted {
                let pool = pools[member]
                guard pool.capacity == nil, pool.load == nil else { continue }
                diagnostics.error(
                    at: pool.position,
                    "the pool \"\(pool.name)\" states neither a capacity nor a load, but the rule at"
                        + " \(rule.position) has \"\(pools[first].name)\" with a capacity beside it:"
                        + " what its clients would bring there is not known; add \"load: N\"")
            }
        }
        for (index, pool) in pools.enumerated() where pool.capacity != nil {
            guard !sharing.contains(index) else { continue }
            diagnostics.warning(
                at: pool.position,
                "the capacity of the pool \"\(pool.name)\" is not looked at: no rule of policy"
                    + " \"proximity\" or \"failover\" has it, and others share by weights alone")
        }
    }

    // MARK: - Services that name services

    /// How deep a service goes, and how many entries of rules it comes to.
    private struct Extent {
        var depth: Int
        var entries: Int
    }

    /// Whether all is well enough to follow services into services.
    private func checkNesting(_ diagnostics: inout Diagnostics) -> Bool {
        let errorsBefore = diagnostics.errorCount
        // Nil for a service with a fault, its own or of one that it leads to: told once.
        var extents: [Int: Extent?] = [:]
        for index in services.indices {
            var path: [Int] = []
            _ = extent(of: index, &path, &extents, &diagnostics)
        }
        return diagnostics.errorCount == errorsBefore
    }

    private func extent(
        of index: Int, _ path: inout [Int], _ extents: inout [Int: Extent?],
        _ diagnostics: inout Diagnostics
    ) -> Extent? {
        if let known = extents[index] { return known }
        let service = services[index]
        if let start = path.firstIndex(of: index) {
            let names = (path[start...] + [index]).map { services[$0].name }
            diagnostics.error(
                at: service.position,
                "the service \"\(service.name)\" leads back to itself"
                    + " (\(names.joined(separator: " -> "))); name pools instead in one of them")
            return nil
        }
        guard path.count <= SteeringLimit.nesting else {
            reportDepth(services[path[0]], &diagnostics)
            return nil
        }
        path.append(index)
        defer { path.removeLast() }
        var result: Extent? = Extent(
            depth: 0, entries: service.rules.reduce(0) { $0 + $1.pools.count })
        for rule in service.rules {
            for case .service(let inner) in rule.pools.map(\.target) {
                guard let found = result,
                    let inner = extent(of: inner, &path, &extents, &diagnostics)
                else {
                    result = nil
                    continue
                }
                result = Extent(
                    depth: max(found.depth, inner.depth + 1), entries: found.entries + inner.entries
                )
            }
        }
        if let found = result, found.depth > SteeringLimit.nesting {
            reportDepth(service, &diagnostics)
            result = nil
        } else if let found = result, found.depth > 0,
            found.entries > SteeringLimit.nestedEntries
        {
            diagnostics.error(
                at: service.position,
                "the service \"\(service.name)\" comes to more than"
                    + " \(SteeringLimit.nestedEntries) pools with those of the services that it names,"
                    + " each as often as it is named; name pools sooner")
            result = nil
        }
        extents[index] = .some(result)
        return result
    }

    private func reportDepth(_ service: Service, _ diagnostics: inout Diagnostics) {
        diagnostics.error(
            at: service.position,
            "the service \"\(service.name)\" leads over more than \(SteeringLimit.nesting) others;"
                + " name pools sooner")
    }

    /// Whether every client comes to some pool, however the services it names choose.
    private func isComplete(_ service: Service) -> Bool {
        guard service.rules.last?.match == nil else { return false }
        return service.rules.allSatisfy(isComplete)
    }

    private func isComplete(_ rule: Rule) -> Bool {
        rule.pools.contains { isComplete($0.target) }
    }

    /// Whether an entry of a rule has a pool for every client.
    func isComplete(_ target: PoolReference.Target) -> Bool {
        switch target {
        case .pool: true
        case .service(let inner): isComplete(services[inner])
        }
    }

    private func checkCompleteness(_ service: Service, _ diagnostics: inout Diagnostics) {
        guard service.fallback == nil else { return }
        for rule in service.rules where !isComplete(rule) {
            diagnostics.error(
                at: rule.position,
                "the services that this rule names leave clients without a pool; add"
                    + " \"fallback: POOL\" to \"\(service.name)\", or a pool to this rule")
        }
    }

    // MARK: - Pools that answer for one service

    /// Reports pools that lack a family which another pool of the service has.
    ///
    /// Else AAAA would be NODATA for some clients only, and resolvers may keep a negative answer
    /// for everyone (RFC 7871, section 7.4).
    private func checkFamilies(_ service: Service, _ diagnostics: inout Diagnostics) {
        let members = members(of: service)
        for (family, name) in [(IPAddress.Family.ipv4, "IPv4"), (.ipv6, "IPv6")] {
            guard let having = members.first(where: { $0.serves(family) }) else { continue }
            for pool in members where !pool.serves(family) {
                diagnostics.error(
                    at: pool.position,
                    "the pool \"\(pool.name)\" has no \(name) address, but \"\(having.name)\" has,"
                        + " and the service \"\(service.name)\" uses both: some clients would find"
                        + " no \(name) address, and resolvers would keep that answer for all; add"
                        + " one to this pool, or leave \(name) out of all")
            }
        }
    }

    private func checkUnion(_ rule: Rule, _ why: String, _ diagnostics: inout Diagnostics) {
        let members = pools(of: rule).map { pools[$0] }
        let addresses = Set(members.flatMap { $0.origins.flatMap(\.addresses) })
        for (family, name) in [(IPAddress.Family.ipv4, "IPv4"), (.ipv6, "IPv6")] {
            let count = addresses.count { $0.family == family }
            guard count > SteeringLimit.addressesPerAnswer else { continue }
            diagnostics.error(
                at: rule.position,
                "the pools of this rule have \(count) \(name) addresses together, and \(why);"
                    + " an answer holds \(SteeringLimit.addressesPerAnswer)")
        }
    }

    /// Reports pools that a rule can't rank, as nobody says where they are.
    private func warnOfMissingLocations(_ rule: Rule, _ diagnostics: inout Diagnostics) {
        let members = pools(of: rule).map { pools[$0] }
        let missing = members.filter { $0.location == nil }
        guard members.count > 1, !missing.isEmpty else { return }
        let cure = "; give it a \"location: [latitude, longitude]\""
        if missing.count == members.count {
            diagnostics.warning(
                at: rule.position,
                "no pool of this rule has a location, so that \"\(rule.policy)\" gives everyone the"
                    + " first; give each a \"location: [latitude, longitude]\"")
        } else {
            for pool in missing {
                diagnostics.warning(
                    at: pool.position,
                    "the pool \"\(pool.name)\" has no location, so that it comes last under policy"
                        + " \"\(rule.policy)\" at \(rule.position)\(cure)")
            }
        }
    }

    private func checkSpare(_ rule: Rule, _ diagnostics: inout Diagnostics) {
        var owners: [IPAddress: String] = [:]
        for pool in pools(of: rule).map({ pools[$0] }) {
            for address in pool.origins.flatMap(\.addresses) {
                guard let other = owners.updateValue(pool.name, forKey: address) else { continue }
                diagnostics.error(
                    at: rule.position,
                    "the pools \"\(other)\" and \"\(pool.name)\" both have \(address), so that a"
                        + " \"spare\" could be the same address twice; remove it from one")
            }
        }
        for pool in pools(of: rule).map({ pools[$0] }) {
            for (family, name) in [(IPAddress.Family.ipv4, "IPv4"), (.ipv6, "IPv6")]
            where pool.answerSize(family) == SteeringLimit.addressesPerAnswer {
                diagnostics.error(
                    at: rule.position,
                    "the pool \"\(pool.name)\" answers with \(SteeringLimit.addressesPerAnswer)"
                        + " \(name) addresses, as many as an answer holds; \"spare\" has no room")
            }
        }
    }
}
