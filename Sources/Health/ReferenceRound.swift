// Asks the references of `health:` whether this machine's network works: a TCP connection to each,
// at once.

internal import DNSWire
internal import NIOCore

/// One question to all references; lives on the checker's loop.
final class ReferenceRound {
    typealias Reference = IsolationSettings.Reference

    /// For a connection that anything on a working network makes in a tenth of it.
    static let timeout = Duration.seconds(2)

    /// What those that did not answer met.
    private(set) var failures: [(reference: Reference, outcome: ProbeResult.Outcome)] = []
    private var attempts: [(attempt: ProbeAttempt, port: Int)] = []
    private var undecided: Int
    private var open: Int
    private var decide: ((Reference?) -> Void)?
    private var end: (() -> Void)?

    /// - Parameters:
    ///   - waitsForAll: whether to decide when all have answered or failed, and not with the first
    ///     answer.
    ///   - decide: gets a reference that answers, or nil once all have failed; not called after
    ///     `cancel()`.
    ///   - end: follows when nothing is left of it; always called.
    init(
        _ references: [Reference], waitsForAll: Bool, loop: any EventLoop, trust: TrustCache,
        decide: @escaping (Reference?) -> Void, end: @escaping () -> Void
    ) {
        self.decide = decide
        self.end = end
        undecided = references.count
        open = references.count
        var answering: Reference?
        attempts = references.map { reference in
            let attempt = ProbeAttempt(
                reference.address, timeout: Self.timeout, loop: loop, trust: trust,
                decide: { outcome, _ in
                    self.undecided -= 1
                    if case .passed = outcome {
                        answering = answering ?? reference
                    } else {
                        self.failures.append((reference, outcome))
                    }
                    if self.undecided == 0 || answering != nil && !waitsForAll {
                        self.settle(answering)
                    }
                },
                end: { self.leave() })
            return (attempt, reference.port)
        }
    }

    func start(_ connect: (ProbeAttempt, Int) -> Void) {
        // None at all are a round that is over at once.
        guard open > 0 else {
            settle(nil)
            return finish()
        }
        for (attempt, port) in attempts { connect(attempt, port) }
    }

    /// Ends it without a decision.
    func cancel() {
        decide = nil
        for (attempt, _) in attempts { attempt.cancel() }
    }

    private func settle(_ answering: Reference?) {
        decide?(answering)
        decide = nil
    }

    private func leave() {
        open -= 1
        if open == 0 { finish() }
    }

    private func finish() {
        attempts = []
        end?()
        end = nil
    }
}
