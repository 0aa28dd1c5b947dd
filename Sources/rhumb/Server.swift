// A running server: content in force, the checker that feeds its health, the sockets that answer.
//
//   files ─▶ Loader ─▶ Content ─┐
//   probes ─▶ Checker ─▶ HealthTable ─┼▶ Publication ─▶ Snapshot ─▶ SnapshotPublisher ─▶ workers
//   state/ and its control socket ─▶ Operations ─┘

import Authority
import Geo
import Health
import Logging
import Settings
import Steering
import Synchronization
import Transport
import UnixSignals
import Zones

/// Serves one directory until it is told to stop.
final class Server: Sendable {
    private let loader: Loader
    private let logger: Logger
    private let reporter: EventReporter
    private let publisher: SnapshotPublisher
    private let publication: Publication
    private let checker: Checker
    private let operations: Operations
    private let transport: DNSServer
    /// What the sockets were made from; a reload does not change them.
    private let startSettings: ServerSettings
    private let listensAsSettingsSay: Bool
    /// Whether the next request is for a reload and not only for a look at the databases.
    private let wantsReload = Atomic(false)

    /// The signals that a server obeys. Trap them before anything else: one that comes while the
    /// files are read waits, and does not end the process.
    static func trapSignals() async -> UnixSignalsSequence {
        await UnixSignalsSequence(trapping: .sighup, .sigterm, .sigint)
    }

    /// - Parameters:
    ///   - listen: in place of the settings' addresses, unless empty.
    init(_ loaded: Loaded, loader: Loader, listen: [ListenAddress], logger: Logger) {
        self.loader = loader
        self.logger = logger
        startSettings = loaded.settings
        listensAsSettingsSay = listen.isEmpty
        let publisher = SnapshotPublisher(Snapshot(loaded.content))
        self.publisher = publisher
        let reporter = EventReporter(logger, server: loaded.settings.identity ?? hostName())
        self.reporter = reporter
        let publication = Publication(loaded.content, publisher, reporter)
        self.publication = publication
        checker = Checker { publication.publish($0) }
        operations = Operations(publication, checker, logger)
        transport = makeTransport(loaded.settings, listen, publisher)
    }

    /// Starts, obeys signals until one of them ends it, and stops: SIGHUP reloads, SIGTERM and SIGINT
    /// end it, also during the start and during a reload.
    ///
    /// - Parameters:
    ///   - signals: from `trapSignals`.
    ///   - whenServing: gets the addresses, as soon as queries are answered.
    /// - Throws: why it could not start.
    func run(
        _ loaded: Loaded, until signals: UnixSignalsSequence,
        whenServing: @escaping @Sendable ([ListenAddress]) -> Void = { _ in }
    ) async throws {
        // Reloads come one after the other. One that waits will read all that changed meanwhile, so
        // there is never more than one waiting.
        let (requests, request) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        // Looks at the databases come by the same way.
        let (endings, end) = AsyncStream.makeStream(of: (any Error)?.self)
        let work = Task {
            do {
                try await start(loaded)
                whenServing(transport.boundAddresses)
                var loaded = loaded
                var watch = DatabaseWatch()
                var ticker = Self.ticker(loaded.settings.geoWatch, request)
                defer { ticker?.cancel() }
                for await _ in requests {
                    guard wantsReload.exchange(false, ordering: .relaxed) else {
                        await lookAtDatabases(&loaded, &watch)
                        continue
                    }
                    let interval = loaded.settings.geoWatch
                    await reload(&loaded)
                    if loaded.settings.geoWatch != interval {
                        ticker?.cancel()
                        ticker = Self.ticker(loaded.settings.geoWatch, request)
                    }
                }
            } catch {
                end.yield(error)
            }
        }
        let watch = Task {
            for await signal in signals {
                if signal == .sighup {
                    wantsReload.store(true, ordering: .relaxed)
                    request.yield()
                } else {
                    logger.notice("stopping on \(signal)")
                    end.yield(nil)
                }
            }
        }
        var failure: (any Error)?
        for await reason in endings {
            failure = reason
            break
        }
        // A reload under way is not waited for: what it reads would not be used.
        work.cancel()
        watch.cancel()
        transport.stop()
        await operations.stop()
        await checker.stop()
        publication.stop()
        await reporter.stop()
        LineLog.flush()
        if let failure { throw failure }
    }

    /// Takes its ports, takes up what was kept, runs the first round of probes, then answers.
    private func start(_ loaded: Loaded) async throws {
        // Where that can't be, nothing else was touched, and there is nothing else to say.
        try transport.open()
        warnOfFileLimit(loaded)
        if let refusal = await SpareTime.refusal() { logger.warning("\(refusal)") }
        try await operations.open(loader.path(loaded.settings.state))
        logger.info(
            "probing \(counted(loaded.probes.probeCount, "target")) before the first answer")
        await adopt(loaded)
        // Stopped meanwhile: then the round was abandoned, and nothing may be opened any more.
        try Task.checkCancellation()
        try transport.start()
        logger.notice("serving \(loaded.summary)")
        logger.notice(
            "listening on \(transport.boundAddresses.map(\.description).joined(separator: ", "))")
        if let shortage = transport.receiveBufferShortage { logger.warning("\(shortage)") }
        await operations.listen(loaded.settings.control)
    }

    /// Asks for a look at the databases at every interval; nil without one.
    private static func ticker(
        _ interval: Duration?, _ request: AsyncStream<Void>.Continuation
    ) -> Task<Void, Never>? {
        guard let interval else { return nil }
        return Task {
            while (try? await Task.sleep(for: interval)) != nil { request.yield() }
        }
    }

    /// Reads all files again and puts them in force together, or changes nothing.
    private func reload(_ inForce: inout Loaded) async {
        logger.info("reloading")
        publication.reloadStart = .now()
        defer { publication.reloadStart = nil }
        let result = await aside("reload") { try await loader.loadAside(after: inForce) }
        guard let (loaded, diagnostics) = result else { return }
        log(diagnostics)
        guard let loaded else {
            let errors = counted(diagnostics.errorCount, "error")
            logger.error("reload refused: \(errors); the files loaded before stay in force")
            return
        }
        let before = Set(publication.content.zones.zones.map(\.apex))
        let replaced = inForce.databaseChange(to: loaded)
        await adopt(loaded, &inForce)
        guard !Task.isCancelled else { return }
        logger.notice("reloaded \(loaded.summary)\(loaded.treeSummary)")
        if let replaced { logger.notice("\(replaced)") }
        for apex in before.subtracting(loaded.content.zones.zones.map(\.apex)).sorted() {
            logger.warning("the zone \(apex) is no longer served: it has no file any more")
        }
        let keys = startSettings.keysNeedingRestart(for: loaded.settings)
            .filter { $0 != "listen" || listensAsSettingsSay }
        if !keys.isEmpty {
            logger.warning(
                "\(keys.joined(separator: ", ")) changed; that takes effect at a restart only")
        }
    }

    /// Looks for other databases, and puts them in force if there are any that will do.
    private func lookAtDatabases(_ inForce: inout Loaded, _ watch: inout DatabaseWatch) async {
        let files = loader.databaseFiles(inForce.settings)
        guard watch.isDue(files, inForce: inForce.databaseFiles, refused: inForce.refusedFiles)
        else { return }
        publication.reloadStart = .now()
        defer { publication.reloadStart = nil }
        let result = await aside("new databases") {
            try await loader.loadDatabasesAside(after: inForce)
        }
        guard let (new, diagnostics) = result else { return }
        log(diagnostics)
        guard let new else {
            inForce.refusedFiles = files
            logger.warning("the databases are refused; those in force stay")
            return
        }
        guard new.content !== inForce.content else {
            inForce = new
            return
        }
        let replaced = inForce.databaseChange(to: new)
        await adopt(new, &inForce)
        if let replaced { logger.notice("\(replaced)\(new.treeSummary)") }
    }

    /// What takes longer is told of: far more than a reload takes where nobody floods the server.
    private static let longReload = Duration.seconds(5)

    /// Makes what comes next, in the time that answering leaves.
    ///
    /// - Parameter what: is being made, for the log.
    private func aside<Made>(_ what: String, _ make: () async throws -> Made) async -> Made? {
        publisher.isPreparing = true
        defer { publisher.isPreparing = false }
        let time = publication.contentTime
        return await withWord(after: Self.longReload) { [logger] passed in
            logger.notice(
                """
                \(what): still compiling after \(durationText(passed)), in the time that answering leaves; \
                the content of \(time) answers meanwhile
                """)
        } _: {
            try? await make()
        }
    }

    private func log(_ diagnostics: Diagnostics) {
        for finding in diagnostics.sorted {
            let level: Logger.Level = finding.severity == .error ? .error : .warning
            logger.log(level: level, "\(finding.position): \(finding.message)")
        }
        if diagnostics.omittedCount > 0 {
            logger.error("… and \(diagnostics.omittedCount) more findings")
        }
    }

    /// How long what is replaced is kept here: workers that wait look up every quarter of a second, and
    /// freeing hundreds of megabytes is not for a thread that answers, nor for one that it waits for.
    ///
    /// Workers without rest leave no time for it, as it is only memory that waits, and for the next reload at
    /// the longest: that is left some, and it has its part.
    private static let keepingTime = Duration.seconds(2)

    private func adopt(_ loaded: Loaded, _ inForce: inout Loaded) async {
        let old = Retired(inForce)
        await adopt(loaded)
        inForce = loaded
        Task.detached {
            try? await Task.sleep(for: Self.keepingTime)
            try? await SpareTime.run { old.free() }
        }
    }

    /// What is no longer in force, until it is freed.
    private final class Retired: Sendable {
        private let loaded: Mutex<Loaded?>

        init(_ loaded: Loaded) { self.loaded = Mutex(loaded) }

        func free() { loaded.withLock { $0 = nil } }
    }

    /// Probes what is new, then puts content and health in force at one moment.
    private func adopt(_ loaded: Loaded) async {
        await checker.replace(loaded.probes) { [publication, reporter] update in
            reporter.replace(loaded)
            publication.publish(update, of: loaded.content)
        }
        await operations.contentChanged()
    }

    /// The most probes that run at once; the checker's own bound.
    private static let probesAtOnce = 4_096
    /// Sockets to listen on, files to read, event loops.
    private static let otherFiles = 128

    private func warnOfFileLimit(_ loaded: Loaded) {
        let allowed = raiseFileLimit()
        let needed =
            loaded.settings.tcpConnections + min(loaded.probes.probeCount, Self.probesAtOnce)
            + Self.otherFiles
        guard allowed < needed else { return }
        logger.warning(
            """
            only \(allowed) files may be open, connections and probes can need \(needed); \
            raise the hard limit (ulimit -Hn, LimitNOFILE) or lower tcp.connections
            """)
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
    limits.tcpLifetime = settings.tcpLifetime
    limits.tcpQueries = settings.tcpQueries
    return DNSServer(
        listen: addresses, workers: settings.workers, limits: limits, publisher: publisher)
}
