// A status as people read it: aligned for 80 columns, coloured on a terminal.

import Settings

/// Writes a status as a table.
struct StatusText {
    let isColoured: Bool

    /// What is told, without a line's end at its end.
    func text(_ status: StatusDocument) -> String {
        (head(status) + table(status.pools) + warnings(status)).joined(separator: "\n")
    }

    private func head(_ status: StatusDocument) -> [String] {
        let totals = status.totals
        let parts = [
            (totals.up, "up", Colour.green), (totals.degraded, "degraded", .yellow),
            (totals.down, "down", .red), (totals.drained, "drained", .yellow),
            (totals.unknown, "unknown", .plain),
        ]
        let counts = parts.filter { $0.0 > 0 }.map { paint("\($0.0) \($0.1)", $0.2) }
        var lines = [
            "rhumb \(status.version), process \(status.process), up \(span(status.uptimeSeconds))"
                + " since \(status.started)",
            counted(totals.pools, "pool") + ", \(totals.usablePools) usable; "
                + "\(totals.addresses) address\(totals.addresses == 1 ? "" : "es")" + ": "
                + counts.joined(separator: ", "),
        ]
        if status.isolation.isolated || status.isolation.frozen {
            let isolation = status.isolation
            let what = isolation.isolated ? "ISOLATED" : "FROZEN"
            lines += folded(
                "\(what): \(isolation.failing) of \(isolation.origins) origins failed at once; the"
                    + " checker suspects its own network, and verdicts stay as they were", indent: 0
            ).map { paint($0, .red) }
        }
        let zones = status.zones.prefix(3).map { "\($0.zone) \($0.serial)" }
        let more = status.zones.count > 3 ? ", and \(status.zones.count - 3) more" : ""
        lines.append("zones " + zones.joined(separator: ", ") + more)
        if let reload = status.reload {
            lines.append(
                "reloading for \(span(reload.seconds)); what was in force before answers meanwhile")
        }
        return lines
    }

    // MARK: - The table

    private func table(_ pools: [StatusDocument.Pool]) -> [String] {
        let addresses = pools.flatMap(\.origins).flatMap { origin in
            origin.addresses.map { (origin.origin, $0.address) }
        }
        // Names that are longer than most push their own line, and no others.
        let name = min(addresses.map(\.0.count).max() ?? 0, 20)
        let address = min(max(addresses.map(\.1.count).max() ?? 0, 7), 26)
        var lines: [String] = []
        for pool in pools {
            lines.append("")
            lines += heading(pool)
            for origin in pool.origins {
                let notes = origin.addresses.map(notes)
                for (index, entry) in origin.addresses.enumerated() {
                    lines.append(
                        "  \(padded(origin.origin, name)) \(padded(entry.address, address)) "
                            + paint(padded(entry.verdict, 8), colour(entry.verdict)) + " "
                            + padded(entry.sinceSeconds.map(span) ?? "-", 7) + timings(entry))
                    // What is true of the next address too is told once, below the last.
                    guard index + 1 == notes.count || notes[index] != notes[index + 1] else {
                        continue
                    }
                    lines += notes[index].flatMap { folded($0, indent: 4) }
                }
            }
        }
        return lines
    }

    /// A pool's line, and a second one for how long a failover takes where the first is full.
    private func heading(_ pool: StatusDocument.Pool) -> [String] {
        let share = pool.sharePercent < 100 ? "; takes \(pool.sharePercent) %" : ""
        let rest = "  \(pool.reason)\(share)"
        let width = "\(pool.pool)  \(pool.state)\(rest)".count
        let line = "\(pool.pool)  " + paint(pool.state, colour(pool.state)) + rest
        guard let seconds = pool.failoverSeconds else { return [line] }
        let failover = "failover \(durationText(.seconds(Int64(seconds.rounded(.up))))) at the most"
        return width + 2 + failover.count <= Self.width
            ? ["\(line); \(failover)"] : [line, "  \(failover)"]
    }

    /// How long the last answer took, and the smoothed time; of several monitors the slowest.
    private func timings(_ address: StatusDocument.Address) -> String {
        let last = address.monitors.compactMap(\.last?.milliseconds).max()
        let smoothed = address.monitors.compactMap(\.responseMilliseconds).max()
        return (last.map(milliseconds) ?? "")
            + (smoothed.map { ", mean \(milliseconds($0))" } ?? "")
    }

    /// What more is to be said of an address.
    private func notes(_ address: StatusDocument.Address) -> [String] {
        var notes: [String] = []
        if let override = address.override {
            var note = "\(override.word) by \(override.by)"
            if override.pattern != address.address { note += " on \(override.pattern)" }
            if let until = override.until { note += " until \(until)" }
            if let reason = override.reason { note += ": \(reason)" }
            if let probes = address.probes { note += " (probes say \(probes))" }
            notes.append(note)
        }
        if address.stillAnswered {
            notes.append("still answered, as nothing else is left")
        } else if let safe = address.safe {
            notes.append(safeText(safe))
        }
        // A drained origin that passes has nothing to tell.
        if let seconds = address.restoredSeconds {
            notes.append("from before the restart, last seen \(span(seconds)) ago")
        }
        if let reason = address.reason, !reason.isEmpty, (address.probes ?? address.verdict) != "up"
        {
            notes.append(reason)
        }
        if (address.probes ?? address.verdict) == "up" {
            // It takes more of them, or the checker is isolated.
            notes += address.monitors.filter { $0.last?.passed == false }.map {
                "last probe of \($0.monitor) failed: \($0.last?.outcome ?? "")"
            }
        }
        return notes
    }

    private func warnings(_ status: StatusDocument) -> [String] {
        let idle = status.overrides.filter { $0.addresses == 0 }.map {
            paint("\($0.word) by \($0.by) on \($0.pattern) is about no origin any more", .yellow)
        }
        let lines =
            idle
            + status.forced.flatMap { forced in
                let clients = forced.rule.map { "rule \($0)" } ?? "clients whom no rule matches"
                let pools = listed(forced.pools)
                let what = forced.pools.isEmpty ? "SERVFAIL" : "\(pools) answers all the same"
                return folded(
                    "service \(forced.service), \(clients): nothing usable is left; \(what)",
                    indent: 0
                ).map { paint($0, .red) }
            }
        return lines.isEmpty ? [] : [""] + lines
    }

    // MARK: - Parts

    private static let width = 80

    /// A text in lines of at most the width, where words allow it; all but the first two columns farther in.
    private func folded(_ text: String, indent: Int) -> [String] {
        var lines: [String] = []
        var line = String(repeating: " ", count: indent)
        var isEmpty = true
        for word in text.split(separator: " ") {
            if !isEmpty, line.count + 1 + word.count > Self.width {
                lines.append(line)
                line = String(repeating: " ", count: indent + 2)
                isEmpty = true
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        return lines + [line]
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// A time in its two largest units: `3d4h`.
    private func span(_ seconds: Int) -> String {
        let unit = [86_400, 3_600, 60].first { seconds >= $0 } ?? 1
        let finer = [86_400: 3_600, 3_600: 60][unit] ?? 1
        return durationText(.seconds(Int64(seconds / finer * finer)))
    }

    private func milliseconds(_ value: Double) -> String {
        let tenths = Int((min(value, 1e9) * 10).rounded())
        return value < 100 ? "\(tenths / 10).\(tenths % 10) ms" : "\(tenths / 10) ms"
    }

    private enum Colour: String {
        case plain = ""
        case red = "31"
        case green = "32"
        case yellow = "33"
    }

    private func colour(_ word: String) -> Colour {
        switch word {
        case "up", "usable": .green
        case "down": .red
        case "degraded", "drained": .yellow
        default: .plain
        }
    }

    private func paint(_ text: String, _ colour: Colour) -> String {
        isColoured && colour != .plain ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }
}

/// When it is safe to stop an origin.
func safeText(_ safe: SafeDocument) -> String {
    // The day of "2026-11-22T14:32:10Z" is clear to whoever waits for it.
    let clock = safe.time.split(separator: "T").last.map { $0.dropLast() } ?? ""
    return "safe to stop \(safe.seconds == 0 ? "since" : "at") \(clock) UTC (TTL \(safe.ttl)s)"
}

/// Some names, and how many more there are.
func listed(_ names: [String]) -> String {
    let shown = 5
    let more = names.count > shown ? " and \(names.count - shown) more" : ""
    return names.prefix(shown).joined(separator: ", ") + more
}
