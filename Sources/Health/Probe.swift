// What a probe is, which there are, and one try of one: its steps, its only deadline, its decision.
//
// A new type of probe is one file (its settings documented in the head, with an example that the
// tests load) and one line in `probeTypes`; ProbeConformanceTests then runs over it.

internal import Cryptography
internal import DNSWire
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Settings

/// A type of monitor with its own settings.
protocol Probe: Sendable, Equatable {
    /// What `type:` says in the pool file.
    static var type: String { get }
    /// The keys of its own, beside those of every monitor.
    static var keys: [String] { get }

    /// Reads its own keys; reports all that is wrong, and may return nil then.
    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics)

    /// The port that it asks.
    var port: Int { get }

    /// Starts a try, which has to end in `pass` or `fail`; the deadline is the attempt's matter.
    func start(_ attempt: ProbeAttempt)
}

/// All types of monitors.
let probeTypes: [any Probe.Type] = [TCPProbe.self, HTTPProbe.self, HTTPSProbe.self]

extension Probe {
    func equals(_ other: any Probe) -> Bool { (other as? Self) == self }
}

/// What a probe may cost, whatever the other side does.
enum ProbeLimit {
    /// Octets taken before a decision: headers, the part of the body that is looked at, a chain of
    /// certificates, and the framing of all that in small pieces.
    static let received = 1 << 20
    /// Octets thrown away after a decision, so that closing does not reset the connection.
    static let drained = 1 << 18
    /// How long the other side has to close after a decision.
    static let linger = TimeAmount.milliseconds(500)
}

/// One try of a probe against one address; lives on the checker's event loop.
///
/// The decision is told once, at once; the end, when its connection is gone, comes after it.
final class ProbeAttempt {
    let address: IPAddress
    /// The name of the origin, if it is given by one.
    let host: String?
    let loop: any EventLoop
    let trust: TrustCache
    /// Where the probe is, for a timeout's reason.
    var step = ProbeStep.connect
    private(set) var isDecided = false

    private let timeout: Duration
    private let started = NIODeadline.now()
    private var deadline: Scheduled<Void>?
    private var channel: (any Channel)?
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
        self.host = host
        self.timeout = timeout
        self.loop = loop
        self.trust = trust
        self.decide = decide
        self.end = end
        deadline = loop.assumeIsolated().scheduleTask(in: TimeAmount(timeout)) { self.expire() }
    }

    // MARK: - Decision

    func pass(_ words: String) { settle(.passed(words)) }

    func fail(_ step: ProbeStep, _ words: String) { settle(.failed(step, words)) }

    /// Fails at the step the probe is in, with the words for `error`.
    func fail(_ error: any Error) {
        switch error {
        case let error as IOError where Self.isOwnFault(error.errnoCode):
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
        deadline?.cancel()
        close()
    }

    private func expire() {
        let words = "timeout after \(durationText(timeout)) while \(step.whileInWords)"
        guard !isDecided else { return close() }
        settle(.failed(step, words), lingering: false)
    }

    private func settle(_ outcome: ProbeResult.Outcome, lingering: Bool = true) {
        guard !isDecided else { return }
        isDecided = true
        deadline?.cancel()
        let elapsed = NIODeadline.now() - started
        decide?(outcome, .nanoseconds(elapsed.nanoseconds))
        decide = nil
        lingering ? linger() : close()
    }

    /// Errors of a machine that is out of something, which are no news about the origin.
    private static func isOwnFault(_ code: CInt) -> Bool {
        [EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, EAFNOSUPPORT].contains(code)
    }

    // MARK: - Connection

    /// Connects to a port of the address; the handlers see all that follows, errors included.
    func connect(port: Int, _ handlers: @escaping () throws -> [any ChannelHandler]) {
        let bound = NIOLoopBound((self, handlers), eventLoop: loop)
        let bootstrap = ClientBootstrap(group: loop)
            // The attempt's own deadline comes first.
            .connectTimeout(TimeAmount(timeout) + .seconds(1))
            .channelInitializer { channel in
                let (attempt, handlers) = bound.value
                attempt.channel = channel
                return channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    try operations.addHandler(ProbeGate(attempt))
                    try operations.addHandlers(handlers())
                }
            }
        do {
            let target = try SocketAddress(ipAddress: address.description, port: port)
            let connected = bootstrap.connect(to: target)
            connected.assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel):
                    channel.closeFuture.assumeIsolated().whenComplete { _ in self.finish() }
                case .failure(let error):
                    self.fail(error)
                    self.finish()
                }
            }
        } catch {
            fail(error)
            finish()
        }
    }

    /// Closes in order: says that nothing more comes, throws away what still arrives, and leaves
    /// when the other side does or the time is up; a plain close would reset the connection.
    private func linger() {
        guard let channel, channel.isActive else { return close() }
        channel.close(mode: .output, promise: nil)
        let left = started + TimeAmount(timeout) - .now()
        loop.assumeIsolated().scheduleTask(in: max(.zero, min(ProbeLimit.linger, left))) {
            self.close()
        }
    }

    private func close() {
        channel?.close(promise: nil)
    }

    private func finish() {
        cancel()
        channel = nil
        end?()
        end = nil
    }
}

/// Next to the socket of every probe: bounds what is taken, and drains after the decision.
private final class ProbeGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let attempt: ProbeAttempt
    private var received = 0
    private var drained = 0

    init(_ attempt: ProbeAttempt) {
        self.attempt = attempt
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let count = unwrapInboundIn(data).readableBytes
        guard !attempt.isDecided else {
            drained += count
            if drained > ProbeLimit.drained { context.close(promise: nil) }
            return
        }
        received += count
        if received > ProbeLimit.received {
            attempt.fail(attempt.step, "more than \(ProbeLimit.received) octets and no end")
        } else {
            context.fireChannelRead(data)
        }
    }
}

/// The trust of https monitors, made once for each set of authorities and kept until a reload.
final class TrustCache {
    private var contexts: [TLSContext.Trust: TLSContext] = [:]

    func context(for trust: TLSContext.Trust) throws(TLSError) -> TLSContext {
        if let context = contexts[trust] { return context }
        let context = try TLSContext(trust: trust, protocols: ["http/1.1"])
        contexts[trust] = context
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
