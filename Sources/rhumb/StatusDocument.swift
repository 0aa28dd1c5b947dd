// How a server and its origins stand at one moment, as data: what `rhumb status` shows and scripts get.

import Health

/// The shape of a status. Times as RFC 3339 has them, shares in percent.
struct StatusDocument: Codable {
    var version: String
    var process: Int32
    var started: String
    var uptimeSeconds: Int
    var zones: [Zone]
    /// Whether the checker suspects its own network.
    var isolation: Isolation
    /// Where state is kept.
    var state: String
    /// The reload that is under way; missing while there is none.
    var reload: Reload?
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

    struct Isolation: Codable {
        /// Whether verdicts stay as they were, because most origins failed at once.
        var frozen: Bool
        /// Whether no reference answers besides, or none is given.
        var isolated: Bool
        /// How many of the origins that were up fail, in a freeze.
        var failing: Int
        var origins: Int
    }

    struct Reload: Codable {
        var since: String
        var seconds: Int
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
        /// How long a failover takes at the most; missing where nobody probes, or no record leads to it.
        var failoverSeconds: Double?
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
        var monitors: [Monitor]
        /// How long ago it was seen, where that was before the server started.
        var restoredSeconds: Int?
        var override: Override?
        var safe: SafeDocument?
        /// Whether clients are sent there although it was taken out.
        var stillAnswered: Bool
    }

    /// What one monitor says of an address.
    struct Monitor: Codable {
        var monitor: String
        var verdict: String
        var since: String?
        var reason: String
        var last: Result?
        /// The smoothed response time.
        var responseMilliseconds: Double?
        var nextProbe: String?
        /// The oldest first.
        var history: [Change]
    }

    struct Result: Codable {
        var time: String
        var milliseconds: Double
        var outcome: String
        /// Missing in what says nothing about the origin.
        var passed: Bool?
    }

    struct Change: Codable {
        var time: String
        var from: String
        var to: String
        var reason: String
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
        /// How many it is about, in the list of all.
        var addresses: Int?
    }
}

extension StatusDocument.Override {
    init(_ override: OperatorOverride) {
        word = override.word.rawValue
        pattern = override.pattern.description
        by = override.operatorName
        time = override.time.description
        until = override.until?.description
        reason = override.reason
    }
}
