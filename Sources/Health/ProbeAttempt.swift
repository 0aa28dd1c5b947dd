// One try of a probe: its steps, its only deadline, its decision.

internal import Cryptography
internal import DNSWire
internal import Glibc
internal import NIOCore
internal import Settings

/// What a probe may cost, whatever the other side does.
enum ProbeLimit {
    /// Octets taken before a decision, for each connection: headers, the part of the body that is
    /// looked at, a chain of certificates, and the framing of all that in small pieces.
    static let received = 1 << 20
    /// Octets thrown away after a decision, so that closing does not reset the connection.
    static let drained = 1 << 18
    /// How long the other side has to close after a decision.
    static let linger = TimeAmount.milliseconds(500)
}

/// One try of a probe against one address; lives on the checker's event loop.
///
/// The decision is told once, at once; the end, when its connection is gone, comes after it. How it
/// gets a connection is in ProbeConnection.
final class ProbeAttempt {
    let address: IPAddress
    /// Who is asked, where the monitor names no host: the origin's name, if it is given by one, or its
    /// address.
    let host: String
    let loop: any EventLoop
    let trust: TrustCache
    let timeout: Duration
    /// Where the probe is, for a timeout's reason.
    private(set) var step = ProbeStep.connect
    private(set) var isDecided = false
    /// Of a pass; to be read when it is decided.
    private(set) var load: Load?
    /// The connection that is open or being opened.
    var channel: (any Channel)?
    /// Whether the connection is ended in order, which datagrams have no need of.
    var lingers = true

    private var stepInWords: String?
    private var waitsForUs = false
    private let started = NIODeadline.now()
    private var deadline: Scheduled<Void>?
    private var release: (() -> Void)?
    private var successor: (() -> Void)?
    private var decide: ((ProbeResult.Outcome, Duration) -> Void)?
    private var end: (() -> Void)?

    /// - Parameters:
    ///   - decide: gets the outcome and the time it took; not called after `cancel()`.
    ///   - end: follows when nothing of the attempt is left; always called.
    init(
        _ address: IPAddress, host: String? = nil, timeout: Duration, loop: any EventLoop,
        trust: TrustCache,
        decide: @escaping (ProbeResult.Outcome, Duration) -> Void, end: @escaping () -> Void
    ) {
        self.address = address
        self.host = host ?? address.description
        self.timeout = timeout
        self.loop = loop
        self.trust = trust
        self.decide = decide
        self.end = end
        deadline = loop.assumeIsolated().scheduleTask(in: TimeAmount(timeout)) { self.expire() }
    }

    // MARK: - Decision

    /// Goes on to a step.
    ///
    /// - Parameters:
    ///   - words: what it is doing there, after "timeout after 2s while", if that is not what the
    ///     step says itself.
    ///   - isOwn: whether it waits for this machine there, so that a timeout says nothing about
    ///     the origin.
    func enter(_ step: ProbeStep, _ words: String? = nil, isOwn: Bool = false) {
        self.step = step
        stepInWords = words
        waitsForUs = isOwn
    }

    /// - Parameter load: what the origin says of it, where the probe learns that.
    func pass(_ words: String, load: Load? = nil) {
        if !isDecided { self.load = load }
        settle(.passed(words))
    }

    func fail(_ step: ProbeStep, _ words: String) { settle(.failed(step, words)) }

    /// Ends without a verdict: this machine could not try.
    func giveUp(_ words: String) { settle(.inconclusive(words)) }

    /// Fails at the step the probe is in, with the words for `error`.
    ///
    /// - Parameter source: the address of this machine that was to be used, if one was set.
    func fail(_ error: any Error, from source: IPAddress? = nil) {
        switch error {
        case let error as IOError where isOwnFault(error.errnoCode, source: source):
            settle(.inconclusive(words(ofErrno: error.errnoCode)))
        case let error as IOError: fail(step, words(ofErrno: error.errnoCode))
        case let error as TLSError: fail(step == .connect ? .handshake : step, error.description)
        default: fail(step, "\(error)")
        }
    }

    /// Ends the attempt without a decision.
    func cancel() {
        isDecided = true
        decide = nil
        successor = nil
        deadline?.cancel()
        close()
    }

    private func expire() {
        guard !isDecided else { return close() }
        successor = nil
        let words =
            "timeout after \(durationText(timeout)) while \(stepInWords ?? step.whileInWords)"
        settle(waitsForUs ? .inconclusive(words) : .failed(step, words), lingering: false)
    }

    private func settle(_ outcome: ProbeResult.Outcome, lingering: Bool = true) {
        // What a connection says that is being left for the next one is no news.
        guard !isDecided, successor == nil else { return }
        isDecided = true
        deadline?.cancel()
        let elapsed = NIODeadline.now() - started
        decide?(outcome, .nanoseconds(elapsed.nanoseconds))
        decide = nil
        lingering ? linger() : close()
    }

    /// Whether an error is this machine's own, and so no news about the origin: it is out of
    /// something, may not send, or has no way to the address.
    ///
    /// "Unreachable" may also be what a router on the way said, or that a neighbour does not answer:
    /// the origin cannot be reached then, by nobody for all we know.
    private func isOwnFault(_ code: CInt, source: IPAddress?) -> Bool {
        switch code {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, EAFNOSUPPORT, EPERM, EACCES, EINVAL:
            true
        case ENETUNREACH, EHOSTUNREACH: !hasRoute(to: address, from: source)
        default: false
        }
    }

    // MARK: - End

    /// Takes a resource other than a connection: `release` is called when the attempt wants to end,
    /// and has to lead to `finish()`.
    func hold(_ release: @escaping () -> Void) { self.release = release }

    /// Leaves the connection, and goes on with `next` when it is gone.
    func proceed(_ next: @escaping () -> Void) {
        guard !isDecided else { return }
        successor = next
        close()
    }

    /// Nothing is left of what the attempt held.
    func finish() {
        channel = nil
        release = nil
        if let next = successor {
            successor = nil
            return next()
        }
        cancel()
        end?()
        end = nil
    }

    /// Closes in order: says that nothing more comes, throws away what still arrives, and leaves
    /// when the other side does or the time is up; a plain close would reset the connection.
    private func linger() {
        guard lingers, let channel, channel.isActive else { return close() }
        channel.close(mode: .output, promise: nil)
        let left = started + TimeAmount(timeout) - .now()
        loop.assumeIsolated().scheduleTask(in: max(.zero, min(ProbeLimit.linger, left))) {
            self.close()
        }
    }

    private func close() {
        channel?.close(promise: nil)
        release?()
    }
}

/// What the attempts of one checker share: the trust of monitors with TLS, made once for each set of
/// authorities and kept until a reload; files of results; turns of programs.
final class TrustCache {
    let files = FileCache()
    let commands = CommandTurns()

    private struct Key: Hashable {
        var trust: TLSContext.Trust
        var protocols: [String]
    }

    private var contexts: [Key: TLSContext] = [:]

    /// - Parameter protocols: what to offer by ALPN.
    func context(
        for trust: TLSContext.Trust, protocols: [String]
    ) throws(TLSError) -> TLSContext {
        let key = Key(trust: trust, protocols: protocols)
        if let context = contexts[key] { return context }
        let context = try TLSContext(trust: trust, protocols: protocols)
        contexts[key] = context
        return context
    }

    /// Forgets all, so that changed system authorities are seen.
    func removeAll() { contexts = [:] }
}

/// The system's words for an error number, in lower case: `connection refused`.
func words(ofErrno code: CInt) -> String {
    // Safe: glibc's texts are static, and per thread for unknown numbers.
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    let words = unsafe String(cString: text)
    return words.prefix(1).lowercased() + words.dropFirst()
}
