// How a server and its origins stand at one moment, as data: what `rhumb status` shows and scripts get.

import Health

/// The shape of a status. Times as RFC 3339 has them, shares in percent.
struct StatusDocument: Codable {
    var version: String
    var process: Int32
    var started: String
    var uptimeSeconds: Int
    var zones: [Zone]
    /// Whether the checker suspects its own network, so that verdicts are those from before.
    var isolated: Bool
    /// Where state is kept.
    var state: String
    /// What the pools below come to.
    var totals: Totals
    var pools: [Pool]
    /// Clients who get what should not be used, as nothing else is left.
    var forced: [Forced]
    var overrides: [Override]

    struct Zone: Codable {
        var zone: String
        var serial: UInt32
    }

    struct Totals: Codable {
        var pools = 0
        var usablePools = 0
        var addresses = 0
        var up = 0
        var degraded = 0
        var down = 0
        var drained = 0
        var unknown = 0
    }

    struct Pool: Codable {
        var pool: String
        /// `usable`, `degraded` or `down`.
        var state: String
        /// The rule that says so.
        var reason: String
        /// The part of its clients that it takes.
        var sharePercent: Int
        var origins: [Origin]
    }

    struct Origin: Codable {
        var origin: String
        var addresses: [Address]
    }

    struct Address: Codable {
        var address: String
        /// What counts.
        var verdict: String
        /// What probes say; missing where nobody probes.
        var probes: String?
        var since: String?
        var sinceSeconds: Int?
        /// What decided the verdict of the probes.
        var reason: String?
        var last: Last?
        var smoothedMilliseconds: Double?
        var monitors: [String]
        var override: Override?
        var safe: SafeDocument?
        /// Whether clients are sent there although it was taken out.
        var stillAnswered: Bool
    }

    struct Last: Codable {
        var time: String
        var milliseconds: Double
        var outcome: String
    }

    struct Forced: Codable {
        var service: String
        /// From 1; missing for clients whom no rule matches.
        var rule: Int?
        /// Empty if the answer is an error.
        var pools: [String]
    }

    struct Override: Codable {
        var word: String
        var pattern: String
        var by: String
        var time: String
        var until: String?
        var reason: String?

        init(_ override: OperatorOverride) {
            word = override.word.rawValue
            pattern = override.pattern.description
            by = override.operatorName
            time = override.time.description
            until = override.until?.description
            reason = override.reason
        }
    }
}
