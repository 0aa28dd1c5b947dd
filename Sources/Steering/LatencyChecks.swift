// The table of round trips beside the pool files: what of it counts, and what does not go together.
//
// ```yaml
// latency:
//   min_samples: 20      # rows of fewer samples don't count
//   margin: 10%          # a running server keeps a value until the file's differs by more
// ```

internal import Geo
internal import Settings

extension PoolFileParser {
    /// What `latency:` states.
    struct LatencySettings {
        /// A row of no samples measured nothing.
        var minimumSamples = 1
        var margin = 10
    }

    func parseLatency(_ diagnostics: inout Diagnostics) -> LatencySettings {
        var result = LatencySettings()
        guard let settings = latency?.mapping(["min_samples", "margin"], &diagnostics) else {
            return result
        }
        settings.refuseEmpty(&diagnostics)
        if let value = settings["min_samples"] {
            result.minimumSamples = value.integer(in: 0...1_000_000_000, &diagnostics) ?? 1
        }
        if let value = settings["margin"] {
            result.margin = parsePercent(value, &diagnostics) ?? 10
        }
        return result
    }
}

extension Steering {
    /// Warns of rows for autonomous systems where nobody knows which one a client is in.
    func warnOfIdleSystems(_ diagnostics: inout Diagnostics) {
        guard geography.asnDatabase == nil,
            !geography.overrides.entries.contains(where: { $0.location.asn != nil }),
            configuration.services.flatMap(\.rules).contains(where: configuration.isMeasured)
        else { return }
        let table = configuration.latency
        let first = table.columns.values.flatMap(\.rows).filter {
            if case .system = $0.key { true } else { false }
        }.min { $0.line < $1.line }
        guard let first else { return }
        diagnostics.warning(
            at: SourcePosition(file: table.file, line: first.line, column: 1),
            "\(first.key) and rows like it never count, as there is no ASN database (*.mmdb) to tell"
                + " which clients are in it; scripts/fetch-geo gets one")
    }
}

extension SteeringConfiguration {
    /// The regions of these names, those that are not defined left out: the files' own in their
    /// order, then those that come with Rhumb. Of several that hold a client the first counts.
    func regions(named names: [String]) -> [Region] {
        guard !names.isEmpty else { return [] }
        let names = Set(names)
        return regions.filter { names.contains($0.name) }
            + PredefinedRegion.all.filter { names.contains($0.code) }.map { Region($0) }
    }

    /// Whether it goes by measurements, and there are some to its pools.
    func isMeasured(_ rule: Rule) -> Bool {
        rule.policy.usesMeasurements
            && pools(of: rule).contains { latency.columns[pools[$0].name] != nil }
    }

    /// Keeps the round trips that were in force where the file's differ by no more than the margin.
    public mutating func settleLatency(after previous: LatencyTable) {
        latency = latency.settled(after: previous, margin: latencyMargin)
    }

    /// Takes the rows that count, and reports what they name that is not there, and rules that lack
    /// them.
    mutating func take(
        _ table: LatencyTable, _ settings: PoolFileParser.LatencySettings,
        _ diagnostics: inout Diagnostics
    ) {
        latency = table.counting(minimumSamples: settings.minimumSamples)
        latencyMargin = settings.margin
        if latency.columns.isEmpty, !table.columns.isEmpty {
            diagnostics.warning(
                at: SourcePosition(file: table.file),
                "none of the \(table.rowCount) rows counts, as all have fewer than"
                    + " \(settings.minimumSamples) samples; lower \"min_samples\" under \"latency:\""
            )
        }
        warnOfUnknownPools(in: table, &diagnostics)
        warnOfUnknownRegions(in: table, &diagnostics)
        for rule in services.flatMap(\.rules) where rule.policy.usesMeasurements {
            warnOfMissingRows(rule, table, &diagnostics)
        }
    }

    /// Once for each name: the table may be one for the files of several servers.
    private func warnOfUnknownPools(in table: LatencyTable, _ diagnostics: inout Diagnostics) {
        let known = Set(pools.map(\.name))
        let unknown = table.columns.filter { !known.contains($0.key) }
            .map { ($0.value.rows.map(\.line).min() ?? 0, $0.key, $0.value.rows.count) }
        for (number, (line, name, count)) in unknown.sorted(by: <).enumerated() {
            // Comparing with every name takes long where many are unknown.
            let meant = number < 20 ? closestMatch(to: name, among: known) : nil
            diagnostics.warning(
                at: SourcePosition(file: table.file, line: line, column: 1),
                "there is no pool \"\(name)\"; \(count == 1 ? "this row is" : "its \(count) rows are")"
                    + " passed over" + (meant.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
    }

    private func warnOfUnknownRegions(in table: LatencyTable, _ diagnostics: inout Diagnostics) {
        var lines: [String: Int] = [:]
        for row in table.columns.values.flatMap(\.rows) {
            guard case .region(let name) = row.key else { continue }
            lines[name] = min(lines[name] ?? .max, row.line)
        }
        let known = regions.map(\.name) + PredefinedRegion.all.map(\.code)
        let unknown = lines.filter { !known.contains($0.key) }.map { ($0.value, $0.key) }
        for (number, (line, name)) in unknown.sorted(by: <).enumerated() {
            let meant = number < 20 ? closestMatch(to: name, among: known) : nil
            diagnostics.warning(
                at: SourcePosition(file: table.file, line: line, column: 1),
                "there is no region \"\(name)\"; its rows are passed over"
                    + (meant.map { "; did you mean \"\($0)\"?" } ?? "; define it under \"regions:\"")
            )
        }
    }

    private func warnOfMissingRows(
        _ rule: Rule, _ table: LatencyTable, _ diagnostics: inout Diagnostics
    ) {
        let members = pools(of: rule).map { pools[$0] }
        guard members.contains(where: { table.columns[$0.name] != nil }) else {
            diagnostics.warning(
                at: rule.position,
                "policy \"\(rule.policy)\" goes by distance alone, as "
                    + (table.columns.isEmpty
                        ? "there is no \(table.file); write measured round trips into it,"
                            + " key,pool,rtt_ms"
                        : "no row of \(table.file) names a pool of this rule; add some")
                    + ", or use \"policy: proximity\"")
            return
        }
        for pool in members where table.columns[pool.name] == nil {
            diagnostics.warning(
                at: pool.position,
                "no row of \(table.file) names the pool \"\(pool.name)\", so that "
                    + (pool.location == nil
                        ? "it comes last, having no location either,"
                        : "its round trips are estimated from distances")
                    + " under policy \"\(rule.policy)\" at \(rule.position); add rows for it")
        }
    }
}
