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
            ("place", placeText),
        ]
        for rule in rules {
            lines.append(("rule \(rule.index + 1)", Self.ruleText(rule)))
        }
        if decision.rule < 0 { lines.append(("", "no rule matched")) }
        let rows = table(candidates.map(candidateRow))
        for (index, row) in rows.enumerated() {
            lines.append((index == 0 ? "pools" : "", row))
        }
        lines.append(("chosen", chosenText))
        lines.append(("answer", addresses.map(\.description).joined(separator: ", ")))
        lines.append(("scope", scopeText))
        let width = lines.map(\.label.count).max() ?? 0
        return lines.map { pad($0.label, to: width) + "  " + $0.text + "\n" }.joined()
    }

    private var clientText: String {
        let bits = client.address.family.rawValue
        let subnet = client.knownBits < bits ? "/\(client.knownBits)" : ""
        let folded = located.foldedIPv4.map { ", located as \($0)" } ?? ""
        return "\(client.address)\(subnet)\(folded)"
    }

    private var placeText: String {
        let source =
            switch located.source {
            case .override(let network, let position): "\(network), \(position)"
            case .database(let network): "\(network), database"
            case .unknown: "neither database nor overrides know it"
            }
        guard let location = located.location else { return "unknown (\(source))" }
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

    private static func ruleText(_ rule: RuleStep) -> String {
        let match = rule.match ?? "everyone"
        if let mismatch = rule.mismatch {
            return "no match: \(mismatch) (\(match); \(rule.position))"
        }
        return "\(rule.policy): \(match) (\(rule.position))"
    }

    private func candidateRow(_ candidate: Candidate) -> [String] {
        var distance = candidate.kilometres.map { "\(grouped($0)) km" } ?? ""
        var bias = ""
        if let biased = candidate.biasedKilometres, candidate.bias != 0 {
            bias = "counts as \(grouped(biased)) km by its bias"
        }
        if let share = candidate.share {
            distance = "\(Int((share * 100).rounded())) % of draws"
        }
        let verdict =
            switch candidate.verdict {
            case .chosen: "chosen"
            case .down: "down: needs \(candidate.pool.minimumHealthy)"
            case .notNeeded: ""
            case .weightZero: "weight 0"
            }
        return [candidate.pool.name, distance, bias, Self.healthText(candidate.pool), verdict]
    }

    private static func healthText(_ pool: PoolSummary) -> String {
        pool.isMonitored
            ? "\(pool.healthyOrigins)/\(pool.origins) up"
            : pool.healthyOrigins == pool.origins
                ? "not monitored" : "\(pool.healthyOrigins)/\(pool.origins) up, not monitored"
    }

    private var chosenText: String {
        let name = pool.map { pool in
            let origins = pool.drawnOrigins.joined(separator: " and ")
            return origins.isEmpty ? pool.name : "\(pool.name), origin \(origins)"
        }
        let why =
            switch decision.reason {
            case .ranked:
                decision.position == 0
                    ? "first in order"
                    : "number \(decision.position + 1) in order; those before are down"
            case .drawn: "drawn by weight"
            case .all: "all usable pools answer together"
            case .noRuleMatched: "fallback: no rule matched"
            case .fallback: "fallback: the rule's pools are all down"
            case .everythingDown:
                decision.rule < 0
                    ? "no rule matched and the fallback is down; it answers all the same"
                    : fallback == nil
                        ? "all pools are down; the first one answers all the same"
                        : "all pools and the fallback are down; it answers all the same"
            }
        return name.map { "\($0) (\(why))" } ?? why
    }

    private var scopeText: String {
        decision.scope == 0
            ? "/0: the same for every client"
            : "/\(decision.scope): the same for every client in \(scope)"
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

/// Degrees to a hundredth, about a kilometre.
private func degrees(_ value: Double) -> String {
    let hundredths = Int((abs(value) * 100).rounded())
    let rest = hundredths % 100
    return
        "\(value < 0 && hundredths > 0 ? "-" : "")\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
}
