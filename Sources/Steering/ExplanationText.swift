// An explanation for the terminal: a dozen short lines, labels on the left, pools as a table.

internal import DNSWire
internal import Geo
internal import Settings

extension Explanation {
    /// The explanation as lines of text, each ended by a newline.
    public var text: String {
        var lines: [(label: String, text: String)] = [
            ("service", "\(service) (\(servicePosition))"),
            ("client", clientText),
        ]
        if isIsolated {
            let warning =
                "the checker doubts its own network, not the origins: all verdicts are from before"
            lines.insert(("ISOLATED", warning), at: 0)
        }
        if let resolverText { lines.append(("resolver", resolverText)) }
        lines.append(("place", placeText))
        if let systemText { lines.append(("asn", systemText)) }
        for (depth, level) in levels.enumerated() {
            if depth > 0 { lines.append(("service", level.service)) }
            for rule in level.rules {
                lines.append(("rule \(rule.index + 1)", Self.ruleText(rule)))
            }
            if level.candidates.isEmpty { lines.append(("", "no rule matched")) }
            lines += Self.labelled("pools", table(level.candidates.map(Self.candidateRow)))
        }
        lines.append(("chosen", chosenText))
        if origins.count > 1 {
            lines += Self.labelled("origins", table(origins.map(Self.originRow)))
        }
        if let spare { lines.append(("spare", "\(spare.name), one address beside")) }
        lines.append(("answer", answerText))
        if let ttl { lines.append(("ttl", "\(ttl) seconds\(ttlText)")) }
        lines.append(("scope", scopeText))
        let width = lines.map(\.label.count).max() ?? 0
        return lines.map { pad($0.label, to: width) + "  " + $0.text + "\n" }.joined()
    }

    private var clientText: String {
        let bits = client.address.family.rawValue
        let subnet = client.knownBits < bits ? "/\(client.knownBits)" : ""
        let folded = located.foldedIPv4.map { ", located as \($0)" } ?? ""
        let isIgnored = decision.wentByResolver && unknownClient == nil
        let resolver = isIgnored ? client.resolver : nil
        return "\(client.address)\(subnet)"
            + (resolver.map { ", gone by its resolver \($0)" } ?? "") + folded
    }

    /// Why the resolver's address counts, or does not, for a client whom nobody knows.
    private var resolverText: String? {
        guard let resolver = client.resolver else { return nil }
        let subnet = "\(client.address)/\(client.knownBits)"
        if let unknownClient {
            var why = ""
            if case .special(_, let use) = unknownClient.source { why = " (\(use))" }
            return "\(resolver) decided: nobody knows where \(subnet) is\(why)"
        }
        return isUnknown ? "\(resolver) is not known either" : nil
    }

    private var placeText: String {
        let source =
            switch located.source {
            case .override(let network, let position): "\(network), \(position)"
            case .database(let network): "\(network), database"
            case .special(let network, let use): "\(network), \(use)"
            case .fallback(let position): "the default, \(position)"
            case .unknown:
                hasDatabase
                    ? "neither database nor overrides know it"
                    : "there is no geo database, and no override knows it"
            }
        guard let location = located.location, location.isPlace else {
            return "unknown (\(source))"
        }
        var parts: [String] = []
        if let city = location.city { parts.append(city) }
        if let country = location.country {
            parts.append(
                location.subdivisions.first.map { "\(country)-\($0)" } ?? country)
        }
        if let continent = location.continent { parts.append(continent) }
        let place = parts.isEmpty ? "no country" : parts.joined(separator: ", ")
        let coordinates =
            location.coordinates.map { "at \(degrees($0.latitude)), \(degrees($0.longitude))" }
            ?? "without coordinates"
        return "\(place), \(coordinates) (\(source))"
    }

    /// Who announces the client's network, if anybody knows.
    private var systemText: String? {
        guard let system = located.system else { return nil }
        let name = "AS\(system.number)" + (system.organization.map { " \($0)" } ?? "")
        return switch located.systemSource {
        case .override(let network, let position): "\(name) (\(network), \(position))"
        case .database(let network): "\(name) (\(network), database)"
        case .special, .fallback, .unknown: name
        }
    }

    private static func ruleText(_ rule: RuleStep) -> String {
        let match = rule.match ?? "everyone"
        if let mismatch = rule.mismatch {
            return "no match: \(mismatch) (\(match); \(rule.position))"
        }
        return "\(rule.policy): \(match) (\(rule.position))"
    }

    /// Lines of which the first has a label.
    private static func labelled(_ label: String, _ rows: [String]) -> [(
        label: String, text: String
    )] {
        rows.enumerated().map { ($0 == 0 ? label : "", $1) }
    }

    private static func candidateRow(_ candidate: Candidate) -> [String] {
        var distance = candidate.kilometres.map { "\(grouped($0)) km" } ?? ""
        var bias = ""
        if let biased = candidate.biasedKilometres, candidate.bias != 0 {
            bias = "counts as \(grouped(biased)) km by its bias"
        }
        if let share = candidate.share {
            distance = "\(Int((share * 100).rounded())) % of draws"
        }
        if let roundTrip = candidate.roundTrip {
            bias = source(of: roundTrip, candidate, kilometres: distance)
            distance = "\(tenths(roundTrip.milliseconds)) ms"
        }
        let shortfall =
            candidate.pool.map { $0.shortfall.map { ": \($0)" } ?? "" }
            ?? ": "
            + candidate.downPools.map { "\($0.name) \(healthText($0))" }.joined(separator: ", ")
        let isDegraded = candidate.pool?.isDegraded ?? false
        let verdict =
            switch candidate.verdict {
            case .chosen: isDegraded ? "chosen; degraded\(shortfall)" : "chosen"
            case .spare: isDegraded ? "spare; degraded\(shortfall)" : "spare"
            case .down: "down\(shortfall)"
            case .degraded: "degraded\(shortfall)"
            case .shed: shedText(candidate.pool)
            case .overCapacity: "has no room for this client's prefix"
            case .notNeeded: isDegraded ? "degraded\(shortfall)" : ""
            case .weightZero: "weight 0"
            }
        let health = candidate.pool.map(healthText) ?? "a service"
        return [
            candidate.name, distance, bias, health, candidate.pool.map(roomText) ?? "", verdict,
        ]
    }

    private static func source(
        of roundTrip: RoundTrip, _ candidate: Candidate, kilometres: String
    ) -> String {
        let pool = candidate.pool == nil ? " to \(roundTrip.pool)" : ""
        guard let row = roundTrip.row else { return "by distance\(pool), \(kilometres)" }
        let differs =
            row.measured == roundTrip.milliseconds
            ? "" : " has \(tenths(row.measured)), within the margin"
        return "\(row.key)\(pool) (\(row.position)\(differs))"
    }

    private static func shedText(_ pool: PoolSummary?) -> String {
        guard let pool else { return "leaves this client to others" }
        return pool.shed == 0
            ? "has not this client back yet"
            : "leaves \(pool.shed) % of clients to others, this one too"
    }

    /// How far a pool is on its way up, and what it has for clients of others.
    private static func roomText(_ pool: PoolSummary) -> String {
        var parts: [String] = []
        if let ramping = pool.ramping { parts.append("ramping: \(percent(ramping))") }
        if pool.isUsable, let capacity = pool.capacity, let load = pool.load, let room = pool.room {
            parts.append(
                "\(max(0, capacity - load)) of \(capacity) left"
                    + (room < 1 ? ", for \(percent(room)) of those displaced" : ""))
        }
        return parts.joined(separator: "; ")
    }

    private static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }

    private static func originRow(_ origin: OriginSummary) -> [String] {
        [
            origin.name, origin.share.map { "\(Int(($0 * 100).rounded())) % of draws" } ?? "",
            origin.host?.description
                ?? origin.addresses.map(\.description).joined(separator: ", "),
            origin.verdict + (origin.isOverridden ? " by an operator" : ""),
            origin.isAnswered ? "answered" : "",
        ]
    }

    private var answerText: String {
        if let host {
            guard let bindingType else { return "CNAME \(host)" }
            return "no hints in \(bindingType): \(host) is answered in place of addresses"
        }
        return decision.reason == .failure
            ? "SERVFAIL, as the service wants it"
            : addresses.map(\.description).joined(separator: ", ")
                + (bindingType.map { ", as those hints of \($0) that are \"auto\"" } ?? "")
    }

    private var ttlText: String {
        switch ttlReason {
        case .steer: return ", as the STEER record has it"
        case .binding: return ", as the \(bindingType.map(\.description) ?? "") record has it"
        case .service(let stated, let flip):
            let place = "\(stated.text) (\(stated.position))"
            guard !stated.bounds.isFixed else { return ", as the service has it" }
            guard let flip else {
                return ", the most: nothing that it depends on is probed; within \(place)"
            }
            let seconds = flip.horizon.seconds
            let bound =
                seconds < stated.bounds.lower
                ? ", the least" : seconds > stated.bounds.upper ? ", the most" : ""
            let probes = flip.horizon.probes
            return "\(bound): \(flip.pool)/\(flip.origin)/\(flip.address) could be"
                + " \(flip.verdict) after \(probes) more"
                + (flip.verdict == "up" ? " passed" : flip.verdict == "down" ? " failed" : "")
                + " probe\(probes == 1 ? "" : "s"),"
                + " in \(seconds) second\(seconds == 1 ? "" : "s") at the soonest; within \(place)"
        }
    }

    private static func healthText(_ pool: PoolSummary) -> String {
        var parts = ["\(pool.healthyOrigins)/\(pool.origins) up\(monitorsText(pool))"]
        if pool.degradedOrigins > 0 { parts.append("\(pool.degradedOrigins) degraded") }
        if pool.drainedOrigins > 0 { parts.append("\(pool.drainedOrigins) drained") }
        if pool.overriddenOrigins > 0 { parts.append("\(pool.overriddenOrigins) by an operator") }
        if pool.monitors.isEmpty {
            if pool.healthyOrigins == pool.origins { parts.removeFirst() }
            parts.append("not monitored")
        }
        return parts.joined(separator: ", ")
    }

    /// Who says so, where it is more than one.
    private static func monitorsText(_ pool: PoolSummary) -> String {
        let names = pool.monitors.joined(separator: ", ")
        return switch pool.monitorsNeeded {
        case _ where pool.monitors.count < 2: ""
        case pool.monitors.count: " by all of \(names)"
        case 1: " by any of \(names)"
        case let needed: " by \(needed) of \(names)"
        }
    }

    private var chosenText: String {
        let drawn = origins.filter(\.isAnswered).map(\.name).joined(separator: " and ")
        let name = pool.map { pool in
            origins.contains { $0.share != nil } && origins.count > 1
                ? "\(pool.name), origin \(drawn)" : pool.name
        }
        return name.map { "\($0) (\(reasonText))" } ?? reasonText
    }

    private var reasonText: String {
        guard let pool, pool.isDegraded else { return reasonAlone }
        return reasonAlone + "; it is degraded"
            + (decision.position >= 0 ? ", as all are that can be used" : "")
    }

    private var reasonAlone: String {
        switch decision.reason {
        case .ranked:
            decision.position == 0
                ? "first in order"
                : "number \(decision.position + 1) in order; those before \(passedOver)"
        case .drawn: "drawn by weight"
        case .hashed: "by the client's prefix"
        case .overCapacity: "no pool has room for this client: by its prefix and the capacities"
        case .all: "all usable pools answer together"
        case .noRuleMatched: "fallback: no rule matched"
        case .fallback: "fallback: the rule's pools are all down"
        case .lastResort:
            "all pools are down\(fallback == nil ? "" : ", the fallback too");"
                + " the first with an address that may work answers"
        case .firstOfDown: "all pools are down; the first one answers all the same"
        case .allDown: "all pools are down; all of them answer together"
        case .failure: "none: all pools are down"
        case .everythingDown:
            decision.rule < 0
                ? "no rule matched and the fallback is down; it answers all the same"
                : fallback == nil
                    ? "all pools are down; the first one answers all the same"
                    : "all pools and the fallback are down; it answers all the same"
        }
    }

    /// What is the matter with those that stand before the one that was chosen.
    private var passedOver: String {
        let verdicts = Set(candidates.prefix(Int(decision.position)).map(\.verdict))
        var all: [String] = []
        if verdicts.contains(.down) || verdicts.isDisjoint(with: [.degraded, .overCapacity, .shed])
        {
            all.append("are down")
        }
        if verdicts.contains(.degraded) { all.append("are degraded") }
        if verdicts.contains(.overCapacity) {
            all.append("have no room for this client")
        } else if verdicts.contains(.shed) {
            all.append("leave this client to others")
        }
        return all.joined(separator: " or ")
    }

    private var scopeText: String {
        guard let scope else {
            guard decision.wentByResolver else { return "/0: the same for every client" }
            return "/0: the same for all clients of this resolver"
                + (unknownClient == nil ? ", as the service ignores subnets" : " whom nobody knows")
        }
        return "/\(scope.length): the same for every client in \(scope)"
            + (decision.wentByResolver ? " that asks through this resolver" : "")
    }
}

extension Explanation.PoolSummary {
    /// The rule of `min_healthy` that keeps the pool from being healthy, or from being used at all, as
    /// `2 of 5 origins up, min_healthy 50% wants 3`; nil for a healthy pool.
    public var shortfall: String? {
        guard !isUsable || isDegraded else { return nil }
        let short = minimums.first { (isUsable ? $0.up : $0.fit) < $0.rule.count }
        guard let short else { return nil }
        let degraded = short.fit > short.up ? " and \(short.fit - short.up) degraded" : ""
        return "\(short.up) of \(short.origins) origin\(short.origins == 1 ? "" : "s") up"
            + "\(degraded)\(short.rule.kind.inWords),"
            + " \(short.rule.inWords)"
    }
}

// MARK: - Layout

/// Lines of a table whose columns are as wide as their longest cell.
private func table(_ rows: [[String]]) -> [String] {
    guard let columns = rows.first?.count else { return [] }
    let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
        let cells = (0..<columns).filter { widths[$0] > 0 }.map { column in
            // Distances line up on their last digit.
            column == 1
                ? String(repeating: " ", count: widths[1] - row[1].count) + row[1]
                : pad(row[column], to: widths[column])
        }
        let line = cells.joined(separator: "  ")
        return String(line.reversed().drop { $0 == " " }.reversed())
    }
}

private func pad(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

/// Whole kilometres with a comma between thousands.
private func grouped(_ kilometres: Double) -> String {
    let digits = String(Int(kilometres.rounded()))
    guard digits.count > 3 else { return digits }
    return grouped(Double(digits.dropLast(3)) ?? 0) + "," + digits.suffix(3)
}

/// Milliseconds to a tenth.
private func tenths(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
}

/// Degrees to a hundredth, about a kilometre.
private func degrees(_ value: Double) -> String {
    let hundredths = Int((abs(value) * 100).rounded())
    let rest = hundredths % 100
    return
        "\(value < 0 && hundredths > 0 ? "-" : "")\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
}
