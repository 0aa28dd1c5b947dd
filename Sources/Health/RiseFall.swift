// From results to verdicts: the pure machine that every target has. Time comes in with the results.

public import Steering

/// How far a probe got.
public enum ProbeStep: String, Sendable, Hashable, CaseIterable {
    case connect, handshake, send, status, body

    /// What the probe was doing when its time ran out.
    var whileInWords: String {
        switch self {
        case .connect: "connecting"
        case .handshake: "in the TLS handshake"
        case .send: "sending the request"
        case .status: "waiting for the status"
        case .body: "reading the body"
        }
    }
}

/// What one probe found.
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
    /// From the start of the probe to its decision.
    public var duration: Duration
    /// When it was decided.
    public var time: Timestamp

    public init(_ outcome: Outcome, duration: Duration, time: Timestamp) {
        self.outcome = outcome
        self.duration = duration
        self.time = time
    }
}

/// The verdict on one target, and how it came about.
///
/// The first result decides at once. After it, a verdict flips only when `rise` or `fall` results
/// in a row contradict it.
public struct RiseFall: Sendable, Hashable {
    public private(set) var verdict = Verdict.unknown
    /// When the verdict was reached; nil while it is unknown.
    public private(set) var since: Timestamp?
    /// The result that decided the verdict; nil while it is unknown.
    public private(set) var decidedBy: ProbeResult?
    public private(set) var last: ProbeResult?
    /// How many of the newest results in a row contradict the verdict.
    public private(set) var contradictions = 0

    public init() {}

    /// A target that nothing contradicts.
    init(settledAs verdict: Verdict) { self.verdict = verdict }

    /// How many results in a row flip the verdict from here on.
    func remaining(rise: Int, fall: Int) -> Int {
        switch verdict {
        case .unknown: 1 - contradictions
        case .up, .degraded: fall - contradictions
        case .down, .drained: rise - contradictions
        }
    }

    /// Takes a result and returns whether the verdict changed.
    ///
    /// - Parameters:
    ///   - rise: how many passes in a row bring a target up; at least 1.
    ///   - fall: how many failures in a row bring it down; at least 1.
    public mutating func record(_ result: ProbeResult, rise: Int, fall: Int) -> Bool {
        last = result
        let seen: Verdict
        switch result.outcome {
        case .passed: seen = .up
        case .failed: seen = .down
        case .inconclusive: return false
        }
        guard seen != verdict else {
            contradictions = 0
            return false
        }
        contradictions += 1
        guard remaining(rise: rise, fall: fall) <= 0 else { return false }
        verdict = seen
        since = result.time
        decidedBy = result
        contradictions = 0
        return true
    }
}
