// What is known of a target, as it is written to disk and read again. The keys are for good: a
// newer Rhumb reads what an older one wrote. Reading is total: what is no verdict at all is an
// error, and what is beyond a limit is cut to it, so that a damaged file can neither trap nor hold
// a target down.

internal import Steering

/// What is cut to when it is read.
private enum CodingLimit {
    /// Longer than any reason that a probe has.
    static let text = 1_000
    /// The longest timeout.
    static let nanoseconds: Int64 = 3_600_000_000_000
}

extension TargetHealth: Codable {
    private enum CodingKeys: String, CodingKey {
        case verdict, since, reason, last, history, contradictions, falls, newest
        case decidedBy = "decided_by"
        case responseTime = "response_time"
        case leaningSince = "leaning_since"
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(verdict.word, forKey: .verdict)
        try values.encodeIfPresent(since, forKey: .since)
        try values.encode(reason, forKey: .reason)
        try values.encodeIfPresent(decidedBy, forKey: .decidedBy)
        try values.encodeIfPresent(last, forKey: .last)
        try values.encodeIfPresent(responseTime?.wholeNanoseconds, forKey: .responseTime)
        try values.encode(history, forKey: .history)
        try values.encode(contradictions, forKey: .contradictions)
        try values.encode(falls, forKey: .falls)
        try values.encodeIfPresent(leaningSince, forKey: .leaningSince)
        try values.encodeIfPresent(newest, forKey: .newest)
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(settledAs: try values.verdict(forKey: .verdict))
        since = try values.decodeIfPresent(Timestamp.self, forKey: .since)
        reason = try values.text(forKey: .reason)
        decidedBy = try values.decodeIfPresent(ProbeResult.self, forKey: .decidedBy)
        last = try values.decodeIfPresent(ProbeResult.self, forKey: .last)
        responseTime = try values.duration(forKey: .responseTime)
        history = try values.decodeIfPresent([Flip].self, forKey: .history) ?? []
        history = history.suffix(Self.historyLimit)
        contradictions = try values.decodeIfPresent(Int.self, forKey: .contradictions) ?? 0
        contradictions = min(max(contradictions, 0), VerdictRules.counts.upperBound)
        falls = try values.decodeIfPresent([Timestamp].self, forKey: .falls) ?? []
        falls = falls.sorted().suffix(Self.fallLimit)
        leaningSince = try values.decodeIfPresent(Timestamp.self, forKey: .leaningSince)
        newest = try values.decodeIfPresent(Timestamp.self, forKey: .newest)
        if let newest { cut(to: newest) }
    }
}

extension Flip: Codable {
    private enum CodingKeys: String, CodingKey {
        case from, to, reason, time
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(from.word, forKey: .from)
        try values.encode(to.word, forKey: .to)
        try values.encode(reason, forKey: .reason)
        try values.encode(time, forKey: .time)
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        from = try values.verdict(forKey: .from)
        to = try values.verdict(forKey: .to)
        reason = try values.text(forKey: .reason)
        time = try values.decode(Timestamp.self, forKey: .time)
    }
}

extension ProbeResult: Codable {
    private enum CodingKeys: String, CodingKey {
        case outcome, step, words, duration, time, load
    }

    private enum Kind: String, Codable {
        case passed, failed, inconclusive
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        switch outcome {
        case .passed(let words):
            try values.encode(Kind.passed, forKey: .outcome)
            try values.encode(words, forKey: .words)
        case .failed(let step, let words):
            try values.encode(Kind.failed, forKey: .outcome)
            try values.encode(step, forKey: .step)
            try values.encode(words, forKey: .words)
        case .inconclusive(let words):
            try values.encode(Kind.inconclusive, forKey: .outcome)
            try values.encode(words, forKey: .words)
        }
        try values.encode(duration.wholeNanoseconds, forKey: .duration)
        try values.encode(time, forKey: .time)
        try values.encodeIfPresent(load?.thousandths, forKey: .load)
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let words = try values.text(forKey: .words)
        switch try values.decode(Kind.self, forKey: .outcome) {
        case .passed: outcome = .passed(words)
        case .failed: outcome = .failed(try values.decode(ProbeStep.self, forKey: .step), words)
        case .inconclusive: outcome = .inconclusive(words)
        }
        duration = try values.duration(forKey: .duration) ?? .zero
        time = try values.decode(Timestamp.self, forKey: .time)
        load = try values.decodeIfPresent(Int.self, forKey: .load).map { Load(thousandths: $0) }
    }
}

extension Timestamp: Codable {
    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(nanoseconds)
    }

    public init(from decoder: any Decoder) throws {
        self.init(nanoseconds: try decoder.singleValueContainer().decode(Int64.self))
    }
}

// MARK: - Values

extension KeyedDecodingContainer {
    fileprivate func verdict(forKey key: Key) throws -> Verdict {
        let word = try decode(String.self, forKey: key)
        guard let verdict = Verdict(word: word) else {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self, debugDescription: "no verdict of a probe: \(word.quoted)")
        }
        return verdict
    }

    fileprivate func text(forKey key: Key) throws -> String {
        let text = try decodeIfPresent(String.self, forKey: key) ?? ""
        return String(text.unicodeScalars.prefix(CodingLimit.text)).inOneLine
    }

    fileprivate func duration(forKey key: Key) throws -> Duration? {
        try decodeIfPresent(Int64.self, forKey: key).map {
            .nanoseconds(min(max($0, 0), CodingLimit.nanoseconds))
        }
    }
}

extension Verdict {
    /// As status, events and files name it.
    fileprivate var word: String { "\(self)" }

    /// Those that results can lead to.
    fileprivate init?(word: String) {
        guard
            let verdict = [Verdict.unknown, .up, .degraded, .down].first(where: { $0.word == word })
        else { return nil }
        self = verdict
    }
}

extension Duration {
    /// Clamped to what fits 64 bits, 292 years.
    var wholeNanoseconds: Int64 {
        Int64(
            clamping: Int128(components.seconds) * 1_000_000_000
                + Int128(components.attoseconds / 1_000_000_000))
    }
}
