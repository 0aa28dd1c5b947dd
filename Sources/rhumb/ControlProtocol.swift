// What is said over the control socket: a JSON object a line each way. docs/operations.md tells it to those who
// write scripts; keys are stable, new ones may come.

import Health

/// A request.
struct ControlRequest: Codable {
    /// `status`, `report`, or a word of `OperatorOverride.Word`.
    var command: String
    /// Which addresses; `status` without one shows all. `report` is about one origin or address.
    var pattern: String?
    /// How long it holds, as `2h`.
    var `for`: String?
    var reason: String?
    /// What is reported.
    var result: ReportedResult?
    /// The load that is reported, of an origin that is up: 0.73.
    var load: String?
    /// Who asks; else the number of the user counts that the socket tells.
    var by: String?
}

/// An answer.
struct ControlAnswer: Codable {
    var ok: Bool
    /// Why not.
    var error: String?
    var status: StatusDocument?
    var change: ChangeDocument?
    var report: ReportDocument?

    init(_ status: StatusDocument) {
        ok = true
        self.status = status
    }

    init(_ change: ChangeDocument) {
        ok = true
        self.change = change
    }

    init(_ report: ReportDocument) {
        ok = true
        self.report = report
    }

    init(error: String) {
        ok = false
        self.error = error
    }
}

/// What a push monitor can be told.
enum ReportedResult: String, Codable, CaseIterable {
    case up
    case down
}

/// Who took a report.
struct ReportDocument: Codable {
    var name: String
    var result: ReportedResult
    /// How many monitors of addresses look at it.
    var monitors: Int
}

/// Limits of the socket.
enum ControlLimit {
    /// Octets of a request: a pattern and a reason are a fraction of it.
    static let request = 16 << 10
    /// Octets of an answer: the status of as many addresses as there can be, with room.
    static let answer = 256 << 20
    /// Connections at a time; scripts and people are few.
    static let connections = 32
    /// The seconds that a client has to send a request, and to take an answer.
    static let patienceSeconds = 10
    /// Octets of a socket's path: `sun_path`, without its final zero.
    static let path = 107
}

/// What a change came to.
struct ChangeDocument: Codable {
    var word: String
    var pattern: String
    /// How many addresses it is about, and how many have another verdict by operators now.
    var addresses: Int
    var changed = 0
    var until: String?
    /// The pools that these addresses are in, as they stand now.
    var pools: [PoolLine] = []
    /// The services that may answer with these pools.
    var services: [ServiceLine] = []
    /// What an operator should look at.
    var warnings: [String] = []
    /// When it is safe to stop what was taken out; missing while it is not.
    var safe: SafeDocument?
    /// Addresses that were taken out, and are answered all the same.
    var stillAnswered: [String] = []
    /// Whether it survives a restart.
    var kept = false

    struct PoolLine: Codable {
        var pool: String
        var state: String
        var reason: String
    }

    struct ServiceLine: Codable {
        var service: String
        var pools: Int
        var usable: Int
    }
}

/// When all answers are forgotten that were given before addresses were taken out.
struct SafeDocument: Codable {
    var time: String
    /// From now; 0 if it is over.
    var seconds: Int
    /// The longest TTL of these answers.
    var ttl: UInt32
}

extension SafeDocument {
    /// - Parameter end: when the last answer is forgotten.
    init(_ end: LastAnswers.End, at now: Timestamp) {
        // Told in whole seconds: never too early.
        let whole = end.time.advanced(by: .milliseconds(999))
        time = whole.description
        seconds = Int(max(0, (whole - now).components.seconds))
        ttl = end.ttl
    }
}
