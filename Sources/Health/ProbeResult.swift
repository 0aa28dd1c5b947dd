// What one round of probing found of a target: the outcome, how long it took, when, and the load
// that it told. The round is a probe and, after failures, the immediate retries that its monitor
// has.

/// How far a probe got.
public enum ProbeStep: String, Sendable, Hashable, CaseIterable, Codable {
    case resolve, connect, handshake, send, status, body

    /// What the probe was doing when its time ran out.
    var whileInWords: String {
        switch self {
        case .resolve: "resolving the host"
        case .connect: "connecting"
        case .handshake: "in the TLS handshake"
        case .send: "sending the request"
        case .status: "waiting for the status"
        case .body: "reading the body"
        }
    }
}

/// What one round found.
public struct ProbeResult: Sendable, Hashable {
    public enum Outcome: Sendable, Hashable, CustomStringConvertible {
        /// As expected; the words say what was seen: `status 200`.
        case passed(String)
        /// Not as expected, at that step and in words: `connection refused`.
        case failed(ProbeStep, String)
        /// This machine could not even try (no descriptor left): says nothing about the origin.
        case inconclusive(String)

        /// `status 200`, `connect: connection refused`, `not probed: too many open files`.
        public var description: String {
            switch self {
            case .passed(let words): words
            case .failed(let step, let words): "\(step.rawValue): \(words)"
            case .inconclusive(let words): "not probed: \(words)"
            }
        }
    }

    public var outcome: Outcome
    /// From the start of the probe to its decision; of the last one where it was tried again.
    public var duration: Duration
    /// When it was decided.
    public var time: Timestamp
    /// The load that a probe that passed was told, if it was.
    public var load: Load?

    public init(_ outcome: Outcome, duration: Duration, time: Timestamp, load: Load? = nil) {
        self.outcome = outcome
        self.duration = duration
        self.time = time
        self.load = load
    }
}

/// How loaded an origin says it is, in whatever unit it counts: 0.73 of its capacity, say.
public struct Load: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let thousandths: Int

    /// Clamped to 0...1000.
    init(thousandths: Int) { self.thousandths = min(max(thousandths, 0), Self.most) }

    /// Load averages of the largest machines are below a thousand.
    private static let most = 1_000_000

    /// Reads `0.73`: at most 1000, and what comes after three decimals does not count.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let decimals = parts.count > 1 ? parts[1] : "0"
        guard (1...4).contains(parts[0].utf8.count), !decimals.isEmpty,
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let whole = Int(parts[0]), let rest = Int((decimals + "000").prefix(3)),
            whole * 1_000 + rest <= Self.most
        else { return nil }
        thousandths = whole * 1_000 + rest
    }

    /// The first figure after `load=` in what a program or file says: `ok load=0.73 users=9`.
    init?(in words: String) {
        for word in words.split(whereSeparator: { " \t,;|".contains($0) })
        where word.hasPrefix("load=") {
            self.init(word.dropFirst("load=".count))
            return
        }
        return nil
    }

    public static func < (a: Self, b: Self) -> Bool { a.thousandths < b.thousandths }

    /// `0.73`, without zeros at the end.
    public var description: String {
        var decimals = String(String(1_000 + thousandths % 1_000).dropFirst())
        while decimals.hasSuffix("0") { decimals.removeLast() }
        return "\(thousandths / 1_000)" + (decimals.isEmpty ? "" : ".\(decimals)")
    }
}

/// The tries of one round, from which one result comes.
struct Round {
    private var failures = 0
    private var failure: ProbeResult.Outcome?

    /// Whether another try has to follow.
    var isOpen: Bool { failures > 0 }

    /// Takes the outcome of a try; nil if another has to follow at once.
    ///
    /// A pass is one for the whole round, and tells what failed before it. A retry that this
    /// machine could not make leaves the failure as it is.
    mutating func take(_ outcome: ProbeResult.Outcome, retries: Int) -> ProbeResult.Outcome? {
        if case .failed = outcome, failures < retries {
            failures += 1
            failure = outcome
            return nil
        }
        defer { self = Round() }
        switch outcome {
        case .passed(let words):
            return failure.map { .passed("\(words) (try \(failures + 1); before: \($0))") }
                ?? outcome
        case .inconclusive: return failure ?? outcome
        case .failed: return outcome
        }
    }
}
