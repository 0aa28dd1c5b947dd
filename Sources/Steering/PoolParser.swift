// One entry of `pools:`, read and checked.
//
// ```yaml
// monitors:
//   web: { type: tcp }
// pools:
//   main:
//     location: [50.11, 8.68]     # latitude, longitude; only proximity needs it
//     monitor: web                # or several, [web, ping]; without one, the pool is always up
//     monitors_needed: all        # which of several have to have an address up: any, or a number
//     min_healthy: 1              # with fewer origins up, the pool is not used; MinimumHealthy.swift
//     policy: weighted            # or hash, all; weighted if any origin states a weight
//     answers: 1                  # how many origins an answer has; all: those that are up
//     shed: 0%                    # clients it leaves to the next pools of their rules
//     capacity: 900               # the most it bears, in a unit of yours; without one, no limit
//     load: 450                   # what it usually bears; half of its capacity if not stated
//     ramp: 5m                    # how long it takes to get all clients back after it was down
//     origins:
//       one: { addresses: [192.0.2.10, "2001:db8::10"], weight: 2 }
//       two: { addresses: 192.0.2.11 }
// ```
//
// Origins that are given by host name are in HostOrigins.swift.

internal import DNSWire
internal import Geo
internal import Settings

extension PoolFileParser {
    /// Returns the pool, or nil after reporting what keeps it from being used at all.
    func parsePool(_ entry: NamedEntry, _ diagnostics: inout Diagnostics) -> Pool? {
        let keys = [
            "location", "monitor", "monitors_needed", "min_healthy", "policy", "answers", "shed",
            "capacity", "load",
            "ramp", "origins",
        ]
        guard let settings = entry.value.mapping(keys, &diagnostics) else { return nil }
        let location = settings["location"].flatMap { parseCoordinates($0, &diagnostics) }
        let monitors = settings["monitor"].map { parseMonitors($0, &diagnostics) } ?? []
        let stated = settings["policy"].flatMap { $0.choice(OriginPolicy.self, &diagnostics) }
        guard let value = settings.required("origins", &diagnostics) else { return nil }
        let errorsBefore = diagnostics.errorCount
        let (origins, statesWeight) = parseOrigins(value, stated, &diagnostics)
        // With an origin or address left out, what is said of the pool as a whole would mislead.
        guard !origins.isEmpty, diagnostics.errorCount == errorsBefore else { return nil }
        let minimumHealthy = parseMinimumHealthy(settings["min_healthy"], origins, &diagnostics)
        let answersByHost = origins.contains { $0.host != nil }
        if answersByHost {
            checkSingleAnswer(settings["policy"], settings["answers"], &diagnostics)
        }
        let isDrawn = statesWeight || answersByHost || settings["answers"] != nil
        let policy = stated ?? (isDrawn ? .weighted : .all)
        var pool = Pool(
            name: entry.name, position: entry.position, location: location, monitors: monitors,
            minimumHealthy: minimumHealthy, policy: policy, origins: origins)
        pool.monitorsNeeded = parseMonitorsNeeded(settings, monitors.count, &diagnostics)
        pool.answers = settings["answers"].flatMap { parseAnswers($0, pool, &diagnostics) } ?? 1
        pool.shed = settings["shed"].flatMap { parsePercent($0, &diagnostics) } ?? 0
        pool.ramp = settings["ramp"].flatMap { $0.duration(in: SteeringLimit.ramp, &diagnostics) }
        parseCapacity(settings, &pool, &diagnostics)
        checkAnswerSize(pool, &diagnostics)
        return pool
    }

    private func parseMonitors(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> [String] {
        let elements = value.elements(&diagnostics)
        if elements.isEmpty { value.expected("the name of a monitor, or several", &diagnostics) }
        if elements.count > SteeringLimit.monitorsPerPool {
            diagnostics.error(
                at: value.position,
                "\(value.path): more than \(SteeringLimit.monitorsPerPool) monitors")
            return []
        }
        var names: [String] = []
        for element in elements {
            guard let index = monitors.find(element, &diagnostics) else { continue }
            let name = monitors.entries[index].name
            if names.contains(name) {
                diagnostics.error(
                    at: element.position, "\(element.path): \(name) is listed twice; remove one")
            } else {
                names.append(name)
            }
        }
        return names
    }

    /// `all`, `any` or a number, as a number.
    private func parseMonitorsNeeded(
        _ settings: SettingsMapping, _ count: Int, _ diagnostics: inout Diagnostics
    ) -> Int {
        guard let value = settings["monitors_needed"] else { return max(1, count) }
        if settings["monitor"] == nil {
            diagnostics.error(
                at: value.position,
                "\(value.path): the pool has no monitor; add \"monitor: [NAME, …]\", or remove this"
            )
            return 1
        }
        // Some are wrong, and told already.
        guard count > 0 else { return 1 }
        switch value.text {
        case "all": return count
        case "any": return 1
        case let text?:
            if let needed = Int(text), (1...count).contains(needed) { return needed }
            fallthrough
        default:
            value.expected(
                "all, any, or how many of the \(count) monitors, from 1 to \(count)", &diagnostics)
            return count
        }
    }

    private func parseCapacity(
        _ settings: SettingsMapping, _ pool: inout Pool, _ diagnostics: inout Diagnostics
    ) {
        pool.capacity = settings["capacity"].flatMap {
            $0.integer(in: 1...SteeringLimit.capacity, &diagnostics)
        }
        guard let value = settings["load"] else { return }
        pool.load = value.integer(in: 0...SteeringLimit.capacity, &diagnostics)
        if let load = pool.load, let capacity = pool.capacity, load > capacity {
            diagnostics.warning(
                at: value.position,
                "\(value.path): the pool usually bears more than its capacity of \(capacity), and"
                    + " has nothing left for clients of others; state what it bears on a usual day")
        }
    }

    private func parseAnswers(
        _ value: SettingsValue, _ pool: Pool, _ diagnostics: inout Diagnostics
    ) -> Int? {
        guard pool.policy != .all else {
            diagnostics.error(
                at: value.position,
                "\(value.path): policy \"all\" answers with all origins that are up; use"
                    + " \"policy: weighted\" or \"policy: hash\", or remove it")
            return nil
        }
        return value.integer(in: 1...SteeringLimit.answers, &diagnostics)
    }

    /// `20%`, or `20`.
    func parsePercent(_ value: SettingsValue, _ diagnostics: inout Diagnostics) -> Int? {
        if let text = value.text {
            let digits = text.hasSuffix("%") ? text.dropLast() : text[...]
            if digits.allSatisfy({ ("0"..."9").contains($0) }), let percent = Int(digits),
                percent <= 100
            {
                return percent
            }
        }
        value.expected("a share in percent, as 20%", &diagnostics)
        return nil
    }

    // MARK: - Origins

    private func parseOrigins(
        _ value: SettingsValue, _ policy: OriginPolicy?, _ diagnostics: inout Diagnostics
    ) -> (origins: [Origin], statesWeight: Bool) {
        guard let entries = value.namedEntries(&diagnostics) else { return ([], false) }
        if entries.count > SteeringLimit.originsPerPool {
            diagnostics.error(
                at: value.position,
                "\(value.path): more than \(SteeringLimit.originsPerPool) origins")
            return ([], false)
        }
        var origins: [Origin] = []
        var statesWeight = false
        var uses = FirstUses()
        for entry in entries {
            checkName(entry.name, of: "origin", at: entry.key, &diagnostics)
            let known = ["addresses", "host", "weight", "check_address"]
            guard let settings = entry.value.mapping(known, &diagnostics) else { continue }
            let weight = settings["weight"].flatMap {
                $0.integer(in: 0...SteeringLimit.weight, &diagnostics)
            }
            if let value = settings["weight"] {
                statesWeight = true
                if policy == .all {
                    diagnostics.error(
                        at: value.position,
                        "\(value.path): a weight means nothing under policy \"all\"; use"
                            + " \"policy: weighted\", or remove it")
                }
            }
            guard let place = parsePlace(settings, &uses, &diagnostics) else { continue }
            let origin = Origin(
                name: entry.name, position: entry.key, addresses: place.addresses,
                host: place.host, weight: weight ?? 1,
                checkAddress: parseCheckAddress(settings["check_address"], &diagnostics))
            checkKind(origin, origins.first ?? origin, entry.value.path, &diagnostics)
            origins.append(origin)
        }
        if entries.isEmpty {
            diagnostics.error(at: value.position, "\(value.path): a pool needs at least one origin")
        }
        return (origins, statesWeight)
    }

    /// Where the addresses and hosts of a pool stand first.
    private struct FirstUses {
        var addresses: [IPAddress: SourcePosition] = [:]
        var hosts: [Name: SourcePosition] = [:]
    }

    /// What an origin is: addresses, or a host.
    private func parsePlace(
        _ settings: SettingsMapping, _ uses: inout FirstUses, _ diagnostics: inout Diagnostics
    ) -> (addresses: [IPAddress], host: Name?)? {
        guard let value = settings["host"] else {
            guard let value = settings["addresses"] else {
                diagnostics.error(
                    at: settings.position,
                    "\(settings.path): the key \"addresses\" is missing, or \"host\" in its place")
                return nil
            }
            let addresses = parseAddresses(value, &uses.addresses, &diagnostics)
            return addresses.isEmpty ? nil : (addresses, nil)
        }
        if settings["addresses"] != nil {
            diagnostics.error(
                at: value.position,
                "\(value.path): an origin has addresses or a host name; remove one of the two")
        }
        guard let host = parseHost(value, &diagnostics) else { return nil }
        if let first = uses.hosts[host] {
            diagnostics.error(
                at: value.position, "\(value.path): \(host) is already in this pool, at \(first)")
            return nil
        }
        uses.hosts[host] = value.position
        return ([], host)
    }

    private func parseCheckAddress(
        _ value: SettingsValue?, _ diagnostics: inout Diagnostics
    ) -> IPAddress? {
        guard let value else { return nil }
        let address = value.text.flatMap { IPAddress($0) }
        if address == nil { value.expected("an IPv4 or IPv6 address", &diagnostics) }
        return address
    }

    private func parseAddresses(
        _ value: SettingsValue, _ firstUse: inout [IPAddress: SourcePosition],
        _ diagnostics: inout Diagnostics
    ) -> [IPAddress] {
        let elements = value.elements(&diagnostics)
        if elements.isEmpty {
            diagnostics.error(at: value.position, "\(value.path): an origin needs an address")
        }
        var addresses: [IPAddress] = []
        for element in elements {
            guard let address = element.text.flatMap({ IPAddress($0) }) else {
                element.expected("an IPv4 or IPv6 address", &diagnostics)
                continue
            }
            if let why = address.whyNoOrigin {
                diagnostics.error(at: element.position, "\(element.path): \(address) \(why)")
            } else if let first = firstUse[address] {
                diagnostics.error(
                    at: element.position,
                    "\(element.path): \(address) is already in this pool, at \(first)")
            } else {
                firstUse[address] = element.position
                addresses.append(address)
            }
        }
        return addresses
    }

    /// Checks that what one answer carries fits (`SteeringLimit.addressesPerAnswer`).
    private func checkAnswerSize(_ pool: Pool, _ diagnostics: inout Diagnostics) {
        let limit = SteeringLimit.addressesPerAnswer
        for (family, name) in [(IPAddress.Family.ipv4, "IPv4"), (.ipv6, "IPv6")] {
            let count = pool.answerSize(family)
            guard count > limit else { continue }
            if pool.policy != .all, pool.answers == 1 {
                for origin in pool.origins {
                    let count = origin.addresses.count { $0.family == family }
                    guard count > limit else { continue }
                    diagnostics.error(
                        at: origin.position,
                        "the origin \"\(origin.name)\" has \(count) \(name) addresses; an answer holds"
                            + " \(limit)")
                }
                continue
            }
            let cure =
                pool.policy == .all && pool.origins.count > 1
                ? "; \"policy: weighted\" answers with one origin at a time" : ""
            diagnostics.error(
                at: pool.position,
                "the pool \"\(pool.name)\" has \(count) \(name) addresses"
                    + (pool.policy == .all ? "" : " in \(pool.answers) origins")
                    + "; an answer holds \(limit)\(cure)")
        }
    }
}

extension Pool {
    /// The most addresses of a family that it answers with.
    func answerSize(_ family: IPAddress.Family) -> Int {
        let counts = origins.map { $0.addresses.count { $0.family == family } }
        if policy == .all { return counts.reduce(0, +) }
        return counts.sorted(by: >).prefix(answers).reduce(0, +)
    }
}

extension IPAddress {
    /// Why no client can be steered to this address; nil if one can.
    fileprivate var whyNoOrigin: String? {
        switch family {
        case .ipv4:
            if ipv4Bits == 0 { return "is the unspecified address; clients cannot reach it" }
            if ipv4Bits >> 28 == 0xE { return "is a multicast address; clients cannot reach it" }
            if ipv4Bits == .max { return "is the broadcast address; clients cannot reach it" }
        case .ipv6:
            if high == 0, low == 0 { return "is the unspecified address; clients cannot reach it" }
            if high >> 56 == 0xFF { return "is a multicast address; clients cannot reach it" }
            if high == 0, low >> 32 == 0xFFFF {
                let address = IPAddress(ipv4: UInt32(truncatingIfNeeded: low))
                return "is an IPv4 address in IPv6's clothes; write \(address)"
            }
        }
        return nil
    }
}
