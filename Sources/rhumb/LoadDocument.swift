// What came of a load, for programs and for people.

import Load

/// What `load --json` prints: microseconds, octets, counts.
struct LoadDocument: Encodable {
    struct Latency: Encodable {
        var p50, p90, p99, p999, max: OrNull<Double>
    }

    struct Limit: Encodable {
        /// `client` or `server`.
        var side: String
        var text: String

        init(_ limit: LoadLimit) {
            side = limit.side.rawValue
            text = limit.text
        }
    }

    var seconds: Double
    var sent, answered, wrong, lost, unsent, late, stray, dropped, truncated: UInt64
    var unreachable: UInt64
    /// The system's words for it; for people.
    private let unreachableReason: String?
    var answersPerSecond: Double
    var meanOctets: Double
    var codes: [String: UInt64]
    var faults: [String: UInt64]
    var connections, failedConnections: UInt64
    /// Null where nothing was answered.
    var latencyMicroseconds: Latency
    /// Seconds after the first query; null where nothing was answered.
    var lastAnswer: OrNull<Double>
    /// What kept it from what was asked of it.
    var limits: [Limit]
    /// Why it ended before its time; null if it didn't.
    var failure: OrNull<String>

    enum CodingKeys: String, CodingKey {
        case seconds, sent, answered, wrong, lost, unsent, late, stray, dropped, truncated
        case unreachable, codes, faults, connections, limits, failure
        case answersPerSecond = "answers_per_second"
        case meanOctets = "mean_octets"
        case failedConnections = "failed_connections"
        case latencyMicroseconds = "latency_microseconds"
        case lastAnswer = "last_answer_seconds"
    }

    init(_ result: LoadResult, limits: [LoadLimit]) {
        func latency(_ share: Double) -> OrNull<Double> {
            guard result.answered > 0 else { return OrNull(nil) }
            return OrNull(Double(result.latencies.percentile(share) / 100) / 10)
        }
        seconds = result.seconds
        sent = result.sent
        answered = result.answered
        wrong = result.wrong
        lost = result.lost
        unsent = result.unsent
        late = result.late
        stray = result.stray
        dropped = result.dropped
        truncated = result.truncated
        unreachable = result.unreachable
        unreachableReason = result.unreachableReason
        answersPerSecond = result.seconds > 0 ? Double(result.answered) / result.seconds : 0
        meanOctets = result.answered > 0 ? Double(result.octets) / Double(result.answered) : 0
        codes = [:]
        for (code, count) in result.codes.enumerated() where count > 0 {
            codes[Self.codeName(code)] = count
        }
        faults = [:]
        for (fault, count) in zip(AnswerFault.allCases, result.faults) where count > 0 {
            faults[fault.text] = count
        }
        connections = result.connections
        failedConnections = result.failedConnections
        latencyMicroseconds = Latency(
            p50: latency(0.5), p90: latency(0.9), p99: latency(0.99), p999: latency(0.999),
            max: latency(1))
        lastAnswer = OrNull(result.lastAnswer)
        self.limits = limits.map(Limit.init)
        failure = OrNull(result.failure?.description)
    }

    private static func codeName(_ code: Int) -> String {
        let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]
        return code < names.count ? names[code] : "RCODE\(code)"
    }
}

/// A value that is `null` where there is none: a key that is there in every document.
struct OrNull<Value: Encodable>: Encodable {
    var value: Value?

    init(_ value: Value?) { self.value = value }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let value { try container.encode(value) } else { try container.encodeNil() }
    }
}

// MARK: - For people

extension LoadDocument {
    private static let width = 80
    private static let indent = 10

    /// The counts that say something, a line each.
    var report: String {
        var lines = [
            line(
                "sent",
                "\(sent) \(sent == 1 ? "query" : "queries") in \(decimal(seconds)) seconds"
                    + sendingFaults),
            line(
                "answered",
                "\(answered): \(Int(answersPerSecond)) a second, \(decimal(meanOctets)) octets in the mean"
            ),
        ]
        if !codes.isEmpty { lines.append(line("codes", listed(codes))) }
        lines.append(line("lost", "\(lost)"))
        lines.append(line("wrong", "\(wrong)\(wrong > 0 ? ": " + listed(faults) : "")"))
        if stray > 0 {
            lines.append(line("stray", "\(counted(stray, "answer")) that nobody waited for"))
        }
        if truncated > 0 { lines.append(line("truncated", "\(truncated)")) }
        if connections > 0 {
            lines.append(
                line("tcp", "\(counted(connections, "connection")), \(failedConnections) failed"))
        }
        if dropped > 0 {
            lines.append(
                line("dropped", "\(counted(dropped, "answer")) found no room in the sockets here"))
        }
        if unreachable > 0 {
            lines.append(
                line(
                    "no way",
                    "\(counted(unreachable, "time")): \(unreachableReason ?? "unreachable")"))
        }
        let latency = latencyMicroseconds
        if answered > 0 {
            lines.append(
                line(
                    "latency",
                    "50 % \(time(latency.p50)), 90 % \(time(latency.p90)), 99 % \(time(latency.p99)), "
                        + "99.9 % \(time(latency.p999)), longest \(time(latency.max))"))
        }
        lines += limits.map { line("limit", $0.text) }
        return lines.joined()
    }

    private var sendingFaults: String {
        (late > 0 ? ", \(late) of them late" : "")
            + (unsent > 0 ? ", \(unsent) could not be sent in time" : "")
    }

    /// Keeps a number and its unit on one line; printed as a space.
    private static let joint: Character = "\u{A0}"

    /// Lines of at most 80 columns, the first after its word.
    private func line(_ word: String, _ text: String) -> String {
        var lines = ""
        var line = word + String(repeating: " ", count: max(0, Self.indent - word.count - 1))
        for part in text.split(separator: " ") {
            if line.count + 1 + part.count > Self.width {
                lines += line + "\n"
                line = String(repeating: " ", count: Self.indent - 1)
            }
            line += " " + part
        }
        return String((lines + line + "\n").map { $0 == Self.joint ? " " : $0 })
    }

    private func listed(_ counts: [String: UInt64]) -> String {
        counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }

    private func decimal(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// A time in the unit that people would say it in.
    private func time(_ measured: OrNull<Double>) -> String {
        let microseconds = measured.value ?? 0
        return switch microseconds {
        case ..<1_000: "\(decimal(microseconds))\(Self.joint)µs"
        case ..<1_000_000: "\(decimal(microseconds / 1_000))\(Self.joint)ms"
        default: "\(decimal(microseconds / 1_000_000))\(Self.joint)s"
        }
    }
}
