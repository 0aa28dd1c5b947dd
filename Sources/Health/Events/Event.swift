// What happened, for operators: one value for the log, for webhooks and for programs.
//
//     checker: transitions ──┐
//     publication: pools, services, isolation ─┼▶ Event ─▶ log line
//     operators: overrides ──┘                   └▶ EventCenter ─▶ a teller and an outbox for each sink
//
// Names of events and fields are an interface: docs/operations.md has them.

public import Steering

/// Something that an operator may want to know.
public struct Event: Sendable, Hashable {
    public enum Kind: String, Sendable, CaseIterable {
        case originUp = "origin_up"
        case originDegraded = "origin_degraded"
        case originDown = "origin_down"
        case poolUp = "pool_up"
        case poolDegraded = "pool_degraded"
        case poolDown = "pool_down"
        /// Not used, and only for what an operator said.
        case poolDrained = "pool_drained"
        case serviceUp = "service_up"
        case serviceDown = "service_down"
        case isolationEntered = "isolation_entered"
        case isolationLeft = "isolation_left"
        case overrideSet = "override_set"
        case overrideCleared = "override_cleared"
        case overrideExpired = "override_expired"
        /// What an event was told about is not in the files any more.
        case removed
    }

    /// What events are about: those of one subject follow each other.
    public enum Subject: Sendable, Hashable {
        /// An address of an origin; or the host name of one that is given by it.
        case address(pool: String, origin: String, address: String)
        case pool(String)
        /// A rule of a service, from 1.
        case rule(service: String, Int)
        case checker
        /// What an operator said about a pattern: `frankfurt/*`.
        case override(String)
    }

    public var kind: Kind
    public var subject: Subject
    public var time: Timestamp
    /// How the subject stood and stands; nil where that is no verdict, as of isolation or where there was
    /// no override.
    public var from: Verdict?
    public var to: Verdict?
    /// Where a probe failed.
    public var step: ProbeStep?
    /// Why, in words; may have what an origin said.
    public var reason: String
    /// How long the deciding probe took.
    public var duration: Duration?
    /// The same for all deliveries of the event; made by the `EventCenter`.
    public internal(set) var id = ""

    public init(
        _ kind: Kind, _ subject: Subject, from: Verdict? = nil, to: Verdict? = nil,
        step: ProbeStep? = nil, reason: String, duration: Duration? = nil, time: Timestamp = .now()
    ) {
        self.kind = kind
        self.subject = subject
        self.time = time
        self.from = from
        self.to = to
        self.step = step
        self.reason = reason
        self.duration = duration
    }

    /// What holds from now on that an operator should know of; nil if all is well.
    var condition: Verdict? {
        switch kind {
        case .isolationEntered: .down
        case .isolationLeft, .overrideCleared, .overrideExpired, .removed: nil
        case .overrideSet: to
        default: Self.condition(to)
        }
    }

    /// The kind that tells of a condition.
    static func kind(of condition: Verdict, _ subject: Subject) -> Kind {
        switch subject {
        case .address: condition == .degraded ? .originDegraded : .originDown
        case .pool:
            condition == .degraded
                ? .poolDegraded : condition == .drained ? .poolDrained : .poolDown
        case .rule: .serviceDown
        case .checker: .isolationEntered
        case .override: .overrideSet
        }
    }

    /// What held before, as far as the event itself knows.
    var conditionBefore: Verdict? {
        switch kind {
        case .isolationLeft: .down
        case .isolationEntered: nil
        case .overrideSet, .overrideCleared, .overrideExpired: from
        default: Self.condition(from)
        }
    }

    private static func condition(_ verdict: Verdict?) -> Verdict? {
        verdict == .up || verdict == .unknown ? nil : verdict
    }
}

extension Event.Subject: CustomStringConvertible {
    /// The pool that it is, or is of; nil if it is of none.
    public var pool: String? {
        switch self {
        case .address(let pool, _, _), .pool(let pool): pool
        case .rule, .checker: nil
        case .override(let pattern): String(pattern.prefix { $0 != "/" })
        }
    }

    /// `frankfurt/fra-1/192.0.2.1`, `pool frankfurt`, `service web, rule 1`, `checker`,
    /// `override frankfurt/*`.
    public var description: String {
        switch self {
        case .address(let pool, let origin, let address): "\(pool)/\(origin)/\(address)"
        case .pool(let name): "pool \(name)"
        case .rule(let service, let rule): "service \(service), rule \(rule)"
        case .checker: "checker"
        case .override(let pattern): "override \(pattern)"
        }
    }
}

// MARK: - As text

extension Event {
    /// Of texts that origins and operators write: enough for a person, and a line stays one.
    private static let reasonLimit = 400

    /// The reason in one line, without what could mislead a terminal or a reader of the log.
    private var safeReason: String {
        let scalars = reason.unicodeScalars
        let text = String(scalars.prefix(Self.reasonLimit)).inOneLine
        return scalars.count > Self.reasonLimit ? text + "…" : text
    }

    /// One line for people: `frankfurt/fra-1/192.0.2.1 up -> down: connect: connection refused`.
    public var sentence: String {
        let change =
            switch (from, to) {
            case (let from?, let to?): " \(from) -> \(to)"
            case (nil, let to?): " -> \(to)"
            case (let from?, nil): " no longer \(from)"
            case (nil, nil): ""
            }
        return "\(subject)\(change): \(safeReason)".inOneLine
    }

    /// The names and values of its fields, in a fixed order; those that it does not have are left out.
    public var fields: [(name: String, value: String)] {
        var fields = [("event", kind.rawValue)]
        switch subject {
        case .address(let pool, let origin, let address):
            fields += [("pool", pool), ("origin", origin), ("address", address)]
        case .pool(let pool): fields.append(("pool", pool))
        case .rule(let service, let rule): fields += [("service", service), ("rule", "\(rule)")]
        case .checker: break
        case .override(let pattern): fields.append(("pattern", pattern))
        }
        if let from { fields.append(("from", "\(from)")) }
        if let to { fields.append(("to", "\(to)")) }
        if let step { fields.append(("step", step.rawValue)) }
        // The step stands by itself.
        let prefix = step.map { "\($0.rawValue): " } ?? ""
        let reason = safeReason
        fields.append(
            ("reason", reason.hasPrefix(prefix) ? String(reason.dropFirst(prefix.count)) : reason))
        if let duration { fields.append(("duration", secondsText(duration))) }
        return fields.map { ($0, $1.inOneLine) }
    }

    /// The line of the log: the sentence, then `event=origin_down pool=frankfurt …`.
    public var logLine: String {
        ([sentence] + fields.map { "\($0.name)=\($0.value.asFieldValue)" }).joined(separator: " ")
    }

    /// Whether something is wrong, as against well again or an operator's doing.
    public var isTrouble: Bool {
        switch kind {
        case .originDegraded, .originDown, .poolDegraded, .poolDown, .serviceDown,
            .isolationEntered:
            true
        default: false
        }
    }

    /// The object that sinks get, as octets of JSON (RFC 8259).
    ///
    /// - Parameters:
    ///   - server: who tells.
    ///   - repetition: how often it was told before.
    ///   - dropped: how many events before it were dropped.
    func json(server: String, repetition: Int = 0, dropped: Int = 0) -> [UInt8] {
        var members = ["\"version\":1", "\"id\":\(id.asJSON)", "\"time\":\("\(time)".asJSON)"]
        members.append("\"server\":\(server.asJSON)")
        // Seconds are a number, for programs.
        let texts = fields.filter { !["duration", "rule"].contains($0.name) }
        members += texts.map { "\"\($0.name)\":\($0.value.asJSON)" }
        if case .rule(_, let rule) = subject { members.append("\"rule\":\(rule)") }
        if let duration { members.append("\"duration\":\(secondsText(duration).dropLast())") }
        members.append("\"text\":\(sentence.asJSON)")
        if repetition > 0 { members.append("\"repeat\":\(repetition)") }
        if dropped > 0 { members.append("\"dropped\":\(dropped)") }
        return Array("{\(members.joined(separator: ","))}\n".utf8)
    }
}

/// Seconds with milliseconds: `2.001s`.
private func secondsText(_ duration: Duration) -> String {
    let milliseconds = max(0, duration / .milliseconds(1)).rounded()
    let (seconds, rest) = Int(min(milliseconds, 1e15)).quotientAndRemainder(dividingBy: 1_000)
    return "\(seconds).\(String(1_000 + rest).dropFirst())s"
}

extension String {
    /// The value of a field in a line of the log: in quotes, with `\"` and `\\` in them, unless it is
    /// plain without.
    fileprivate var asFieldValue: String {
        let isPlain =
            !isEmpty
            && unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && $0 != "=" && $0 != "\\" }
        return isPlain ? self : "\"\(escaped)\""
    }

    /// A string of JSON. Controls have no place in any of ours.
    fileprivate var asJSON: String { "\"\(inOneLine.escaped)\"" }

    /// By scalars: a quote and what combines with it are one character.
    private var escaped: String {
        var escaped = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            if scalar == "\\" || scalar == "\"" { escaped.append("\\") }
            escaped.append(scalar)
        }
        return String(escaped)
    }
}
