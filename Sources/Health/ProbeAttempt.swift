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
    /// A timer that goes off so late, and by half of the timeout at least, says that this machine stood
    /// still (it was suspended, say), and nothing of the other side. Load alone does not come near.
    static let lateness = Duration.milliseconds(500)
}

/// Why this machine could not even try, in words.
struct OwnFault: Error, CustomStringConvertible {
    let description: String
}

/// One try of a probe against one address; lives on the checker's event loop.
///
/// The decision is told once, at once; the end, when its connection is gone, comes after it. How it
/// gets a connection is in ProbeConnection.
final class ProbeAttempt {
    /// `unresolved` until the host is, for an origin that is known by its name alone.
    private(set) var address: IPAddress
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
    /// Whether the address is one that the host was resolved to.
    private var isResolved = false
    /// The other addresses of a host that was resolved, and what failed at those before.
    private var spares: ArraySlice<IPAddress> = []
    private var failureBefore: (address: IPAddress, error: any Error)?
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

    func fail(_ step: ProbeStep, _ words: String) { settle(.failed(step, words + place)) }

    /// Which of a host's addresses it was, for nobody would know otherwise.
    private var place: String { isResolved ? " (at \(address))" : "" }

    /// Ends without a verdict: this machine could not try.
    func giveUp(_ words: String) { settle(.inconclusive(words)) }

    /// Fails at the step the probe is in, with the words for `error`.
    ///
    /// - Parameter source: the address of this machine that was to be used, if one was set.
    func fail(_ error: any Error, from source: IPAddress? = nil) {
        switch error {
        case let error as OwnFault: settle(.inconclusive(error.description))
        case let error as IOError where isOwnFault(error, source: source):
            let isSource = source != nil && error.errnoCode == EADDRNOTAVAIL
            settle(
                .inconclusive(
                    isSource
                        ? "this machine does not have the source \(source.map(\.description) ?? "")"
                        : words(ofErrno: error.errnoCode)))
        case let error as IOError: fail(step, words(ofErrno: error.errnoCode))
        case ChannelError.connectTimeout: fail(.connect, "no connection in time")
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
        let late = Duration.nanoseconds((NIODeadline.now() - started).nanoseconds) - timeout
        if late > max(ProbeLimit.lateness, timeout / 2) {
            let stall = durationText(.milliseconds(late / .milliseconds(1)))
            settle(
                .inconclusive("\(words), but this machine stood still for \(stall)"),
                lingering: false)
        } else {
            settle(
                waitsForUs ? .inconclusive(words) : .failed(step, words + place), lingering: false)
        }
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
    private func isOwnFault(_ error: IOError, source: IPAddress?) -> Bool {
        switch error.errnoCode {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, EADDRINUSE, EAFNOSUPPORT, EPERM,
            EACCES, EINVAL, ENETDOWN:
            true
        case ENETUNREACH, EHOSTUNREACH: !hasRoute(to: address, from: source)
        default: false
        }
    }

    // MARK: - Begin

    /// The address of an origin that is known by its host's name alone.
    static let unresolved = IPAddress(ipv4: 0)

    /// Starts a probe; resolves the host before it, if that is what is to be asked.
    func run(_ probe: any Probe) {
        guard address == Self.unresolved, type(of: probe).asksAnAddress else {
            return probe.start(self)
        }
        resolveHost { probe.start(self) }
    }

    /// Goes on with `next` when the host's addresses are known.
    func resolveHost(_ next: @escaping () -> Void) {
        enter(.resolve)
        // Whenever the resolver answers: the attempt may have ended by its deadline.
        hold { self.finish() }
        trust.resolver.addresses(of: host, on: loop) { result in
            guard !self.isDecided else { return }
            switch result {
            case .success(let addresses):
                self.release = nil
                self.address = addresses[0]
                self.isResolved = true
                self.spares = addresses.dropFirst()
                next()
            case .failure(let fault):
                fault.isOwn
                    ? self.giveUp(fault.description) : self.fail(.resolve, fault.description)
            }
        }
    }

    /// How long connecting to the address may take, so that the ones after it have their share.
    var timeToConnect: TimeAmount {
        let left = started + TimeAmount(timeout) - .now()
        // With the last one, the attempt's own deadline comes first.
        return spares.isEmpty
            ? left + .seconds(1)
            : .nanoseconds(max(1, left.nanoseconds / Int64(spares.count + 1)))
    }

    /// Goes on with the next address of the host; false if there is none.
    ///
    /// - Parameter error: why there was no connection to this one.
    func takeNextAddress(after error: any Error, from source: IPAddress?) -> Bool {
        guard !isDecided, let next = spares.popFirst() else { return false }
        if !isOwn(error, from: source) { failureBefore = (address, error) }
        address = next
        return true
    }

    /// What to tell of a host that none of its addresses connects to: this machine's own faults
    /// (no IPv6, say) are no news where another address failed by itself.
    func worstFailure(_ error: any Error, from source: IPAddress?) -> any Error {
        guard isOwn(error, from: source), let failureBefore else { return error }
        address = failureBefore.address
        return failureBefore.error
    }

    private func isOwn(_ error: any Error, from source: IPAddress?) -> Bool {
        error is OwnFault || (error as? IOError).map { isOwnFault($0, source: source) } == true
    }

    /// Sends a datagram once more if there is no decision after half of the time: that one was lost on
    /// the way says nothing about the origin.
    func resend(_ send: @escaping () -> Void) {
        let current = channel
        loop.assumeIsolated().scheduleTask(in: TimeAmount(timeout / 2)) {
            // It may have gone on to TCP meanwhile.
            guard !self.isDecided, let channel = self.channel, channel === current,
                channel.isActive
            else { return }
            send()
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
/// authorities and kept until a reload; files of results; turns of programs; names; reports.
final class TrustCache {
    let files = FileCache()
    let resolver: HostResolver
    let commands = CommandTurns()
    let reports = ReportStore()

    init(resolver: HostResolver = HostResolver(lookUp: HostResolver.ofOrigins)) {
        self.resolver = resolver
    }

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

    /// Forgets what can be read again, so that changed system authorities are seen.
    func removeAll() {
        contexts = [:]
        files.removeAll()
    }

    /// Leaves the loop alone from now on; all attempts have ended.
    func close() {
        files.close()
        resolver.close()
        commands.close()
    }
}

/// The system's words for an error number, in lower case: `connection refused`.
func words(ofErrno code: CInt) -> String {
    // Safe: glibc's texts are static, and per thread for unknown numbers.
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    let words = unsafe String(cString: text)
    return words.prefix(1).lowercased() + words.dropFirst()
}
