// A running server: content in force, the checker that feeds its health, the sockets that answer.
//
//   files ─▶ Loader ─▶ Content ─┐
//   probes ─▶ Checker ─▶ HealthTable ─┴▶ Snapshot ─▶ SnapshotPublisher ─▶ workers

import Authority
import Health
import Logging
import Settings
import Steering
import Synchronization
import Transport
import UnixSignals

/// Serves one directory until it is told to stop.
final class Server: Sendable {
    private let loader: Loader
    private let logger: Logger
    private let publisher: SnapshotPublisher
    private let content: ContentInForce
    private let checker: Checker
    private let transport: DNSServer

    /// - Parameters:
    ///   - listen: in place of the settings' addresses, unless empty.
    init(_ loaded: Loaded, loader: Loader, listen: [ListenAddress], logger: Logger) {
        self.loader = loader
        self.logger = logger
        let publisher = SnapshotPublisher(Snapshot(loaded.content))
        let content = ContentInForce(loaded.content)
        self.publisher = publisher
        self.content = content
        checker = Checker { update in
            publisher.publish(Snapshot(content: content.current, health: update.table))
            log(update.transitions, logger)
        }
        transport = makeTransport(loaded.settings, listen, publisher)
    }

    /// Runs the first round of probes, then answers.
    func start(_ loaded: Loaded) async throws {
        await adopt(loaded)
        try transport.start()
        logger.notice("serving \(loaded.summary)")
        logger.notice(
            "listening on \(transport.boundAddresses.map(\.description).joined(separator: ", "))")
    }

    /// Obeys signals: SIGHUP reloads, SIGTERM and SIGINT end it.
    func runUntilStopped() async {
        let signals = await UnixSignalsSequence(trapping: .sighup, .sigterm, .sigint)
        for await signal in signals {
            guard signal == .sighup else {
                logger.notice("stopping on \(signal)")
                break
            }
            await reload()
        }
        await stop()
    }

    func stop() async {
        transport.stop()
        await checker.stop()
    }

    /// Reads all files again and puts them in force together, or changes nothing.
    func reload() async {
        var diagnostics = Diagnostics()
        let loaded = loader.load(&diagnostics)
        for finding in diagnostics.sorted {
            let level: Logger.Level = finding.severity == .error ? .error : .warning
            logger.log(level: level, "\(finding)")
        }
        guard let loaded else {
            logger.error(
                "reload refused: \(diagnostics.errorCount) errors; the files loaded before stay in force")
            return
        }
        await adopt(loaded)
        logger.notice("reloaded \(loaded.summary)")
    }

    /// Probes what is new, then puts content and health in force at one moment.
    private func adopt(_ loaded: Loaded) async {
        let base = HealthTable(count: loaded.content.steering.addresses.count)
        await checker.replace(loaded.targets, base: base) { [publisher, content, logger] update in
            content.current = loaded.content
            publisher.publish(Snapshot(content: loaded.content, health: update.table))
            log(update.transitions, logger)
        }
    }
}

/// The content that health updates belong to; written by the checker's thread alone.
private final class ContentInForce: Sendable {
    private let value: Mutex<Content>

    init(_ content: Content) { value = Mutex(content) }

    var current: Content {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}

private func makeTransport(
    _ settings: ServerSettings, _ listen: [ListenAddress], _ publisher: SnapshotPublisher
) -> DNSServer {
    var addresses = listen.isEmpty ? settings.listen : listen
    if addresses.isEmpty {
        addresses = ["0.0.0.0", "::"].compactMap { ListenAddress($0) }
    }
    var limits = TransportLimits()
    limits.tcpIdleTimeout = settings.tcpIdleTimeout
    limits.tcpConnections = settings.tcpConnections
    limits.tcpConnectionsPerNetwork = settings.tcpConnectionsPerClient
    return DNSServer(
        listen: addresses, workers: settings.workers, limits: limits, publisher: publisher)
}

private func log(_ transitions: [Transition], _ logger: Logger) {
    for transition in transitions {
        let level: Logger.Level = transition.to == .up ? .notice : .warning
        logger.log(
            level: level,
            "\(transition.key) \(transition.from) -> \(transition.to): \(transition.reason)")
    }
}
