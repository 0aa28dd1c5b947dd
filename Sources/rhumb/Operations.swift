// What operators do to a running server: their words are put in force, kept, told and ended here. Requests
// come from the control socket, one after the other.

import Authority
import DNSWire
import Health
import Logging
import NIOPosix
import Settings
import Steering
import Zones

/// Operators' words in one server, and its state on disk.
actor Operations {
    let publication: Publication
    let checker: Checker
    let logger: Logger
    private let startTime = Timestamp.now()
    private let startInstant = ContinuousClock.now
    var overrides = OperatorOverrides()
    var state: StateDirectory?
    private var socket: ControlSocket?
    /// Writes files, one after the other, in the order in which it was asked to: waiting for a disk is
    /// nothing for a thread that others share.
    let disk = NIOThreadPool(numberOfThreads: 1)
    /// Sleeps until the next word ends.
    private var timer: Task<Void, Never>?
    /// Writes verdicts now and then.
    private var saver: Task<Void, Never>?
    var lastSave: (changes: Int, time: ContinuousClock.Instant, cost: Duration)?
    /// The version of the last answers that is on the disk.
    var savedAnswers: Int? = 0
    /// Whether the last write of verdicts failed: it is told once.
    var hasFailed = false

    init(_ publication: Publication, _ checker: Checker, _ logger: Logger) {
        self.publication = publication
        self.checker = checker
        self.logger = logger
        disk.start()
    }

    // MARK: - Start and stop

    /// Takes the state directory, and puts in force what was kept there.
    ///
    /// - Throws: if another server has it.
    func open(_ path: String) async throws {
        do throws(StateDirectory.Failure) {
            state = try StateDirectory(path)
        } catch {
            guard case .unusable(let reason) = error else { throw error }
            logger.warning(
                """
                \(reason); overrides and verdicts are not kept, and rhumb status, drain, down, up and \
                clear find no server; make the directory for the user that runs it, or name another \
                with state: in rhumb.yaml
                """)
            return
        }
        restoreAnswers()
        restoreOverrides()
        await restoreHealth()
        saver = Task { [weak self] in
            while (try? await Task.sleep(for: Self.savePause)) != nil {
                await self?.saveAnswersIfChanged()
                await self?.saveHealthIfDue()
            }
        }
    }

    /// Lets operators in, if that can be: a server that answers is no worse for it.
    func listen(_ settings: ControlSettings) async {
        guard let state else { return }
        do {
            socket = try await ControlSocket(state, settings) { [weak self] line, user in
                await self?.answer(line, user: user) ?? []
            }
        } catch {
            logger.error(
                """
                no operators: \(error); the server answers, but rhumb status, drain, down, up, clear and \
                report cannot reach it
                """)
        }
    }

    /// Before the checker's end.
    func stop() async {
        timer?.cancel()
        saver?.cancel()
        await socket?.stop()
        if saver != nil {
            await saveAnswersIfChanged()
            await saveHealth()
        }
        try? await disk.shutdownGracefully()
        state = nil
    }

    // MARK: - Requests

    /// Answers a line, without its end.
    ///
    /// - Parameter user: the number of the user who sent it, if the system tells.
    private func answer(_ line: [UInt8], user: UInt32?) async -> [UInt8] {
        let answer: ControlAnswer
        do {
            let request = try decodeJSON(ControlRequest.self, line)
            if request.command == "status" {
                answer = ControlAnswer(try await status(request))
            } else if request.command == "report" {
                answer = ControlAnswer(try await take(request))
            } else if let word = OperatorOverride.Word(rawValue: request.command) {
                answer = ControlAnswer(try await change(word, request, user))
            } else {
                let words = ["status", "report"] + OperatorOverride.Word.allCases.map(\.rawValue)
                answer = ControlAnswer(
                    error: "no such command; one of \(words.joined(separator: ", "))")
            }
        } catch let error as StateError {
            answer = ControlAnswer(error: "the request is wrong: \(error)")
        } catch {
            answer = ControlAnswer(error: "\(error)")
        }
        return encodeJSON(answer)
    }

    private func status(_ request: ControlRequest) async throws(OperatorError) -> StatusDocument {
        let report = await report()
        let isolation = await checker.isolation()
        let content = report.snapshot.content
        let steering = content.steering
        var indexes = Array(steering.addresses.indices)
        if let text = request.pattern {
            indexes = try AddressPattern(text).found(
                in: steering.configuration, addresses: steering.addresses)
        }
        let pools = report.pools(indexes)
        return StatusDocument(
            version: programVersion, process: processNumber(), started: startTime.description,
            uptimeSeconds: Int((ContinuousClock.now - startInstant).components.seconds),
            zones: content.zones.zones.map {
                StatusDocument.Zone(zone: $0.apex.description, serial: $0.serial)
            },
            isolation: StatusDocument.Isolation(
                frozen: isolation.isFrozen, isolated: isolation.isIsolated,
                failing: isolation.failing, origins: isolation.origins), state: state?.path ?? "",
            reload: publication.reloadStart.map {
                StatusDocument.Reload(
                    since: $0.description,
                    seconds: Int(max(0, (Timestamp.now() - $0).components.seconds)))
            },
            totals: StatusReport.totals(of: pools), pools: pools, forced: report.forced,
            overrides: overrides.all.map { override in
                var document = StatusDocument.Override(override)
                document.addresses =
                    override.pattern.indexes(
                        in: steering.configuration, addresses: steering.addresses
                    ).count
                return document
            })
    }

    private func report() async -> StatusReport {
        let states = await checker.states()
        let (snapshot, checked, lastAnswers) = publication.current
        return StatusReport(
            snapshot: snapshot, checked: checked, states: states, overrides: overrides,
            lastAnswers: lastAnswers,
            startTime: startTime, now: .now())
    }

    /// How long a word may hold.
    private static let durations = Duration.seconds(1)...Duration.seconds(3_650 * 86_400)

    /// Puts an operator's word in force, then keeps it: what can't be kept counts all the same.
    private func change(
        _ word: OperatorOverride.Word, _ request: ControlRequest, _ user: UInt32?
    ) async throws(OperatorError) -> ChangeDocument {
        let now = Timestamp.now()
        let pattern = try AddressPattern(request.pattern ?? "")
        let duration = try duration(of: request, word)
        let content = publication.content
        let (configuration, addresses) = (
            content.steering.configuration, content.steering.addresses
        )
        let meant = pattern.indexes(in: configuration, addresses: addresses)
        let override = try OperatorOverride(
            word, pattern, by: request.by ?? user.map { "user \($0)" } ?? "somebody", at: now,
            until: duration.map { now.advanced(by: $0) }, reason: request.reason,
            ttl: Set(meant.map { addresses[$0].pool }).compactMap { content.longestTTL(ofPool: $0) }
                .max())
        let before = overrides.verdicts(in: configuration, addresses: addresses)
        try overrides.add(override, in: configuration, addresses: addresses)
        let who = override.operatorName + (user.map { " (uid \($0))" } ?? "")
        publication.publish(overrides, by: who)
        // Answers with what is taken out end here.
        overrides.setTime(of: pattern, to: .now())
        schedule()
        let kept = await save()
        await saveAnswersIfChanged()
        let after = overrides.verdicts(in: configuration, addresses: addresses)
        var change = await report().change(word, pattern, meant)
        change.until = override.until?.description
        change.changed = addresses.indices.count { before[$0] != after[$0] }
        change.kept = kept
        for warning in change.warnings { logger.warning("\(warning)") }
        return change
    }

    private func duration(
        of request: ControlRequest, _ word: OperatorOverride.Word
    ) throws(OperatorError) -> Duration? {
        guard let text = request.for else { return nil }
        guard word != .clear else {
            throw OperatorError("clear has no end; leave out the duration")
        }
        guard let duration = parseDuration(text), Self.durations.contains(duration) else {
            throw OperatorError(
                "\"\(text.prefix(40))\" is no duration from 1s to 3650d; write one as 90s, 30m, 2h or 1d"
            )
        }
        return duration
    }

    /// Hands a result from outside to the push monitors that it is for.
    private func take(_ request: ControlRequest) async throws(OperatorError) -> ReportDocument {
        let text = request.pattern ?? ""
        guard let result = request.result else {
            throw OperatorError("a report without a result; say up or down")
        }
        guard text.contains("/"), !text.contains(where: { $0 == "*" || $0 == "?" }) else {
            throw OperatorError(
                "\"\(text.prefix(40))\" is no origin; a report is about one: write POOL/ORIGIN or"
                    + " POOL/ORIGIN/ADDRESS")
        }
        let steering = publication.content.steering
        let found = try AddressPattern(text).found(
            in: steering.configuration, addresses: steering.addresses)
        guard (request.reason ?? "").utf8.count <= OperatorOverride.textLimit else {
            throw OperatorError(
                "a reason of more than \(OperatorOverride.textLimit) octets; write a short line")
        }
        let load = try request.load.map { (load: String) throws(OperatorError) in
            guard result == .up, let load = Health.Load(load) else {
                throw OperatorError(
                    "a load is a number as 0.73, of an origin that is reported up; leave it out")
            }
            return "load=\(load)"
        }
        let steered = steering.addresses[found[0]]
        let origin = steering.configuration.pools[steered.pool].origins[steered.origin]
        // One target stands for an origin that is asked by its name, or at one place for all.
        let isOne = origin.host != nil || origin.checkAddress != nil
        let name = isOne ? text.split(separator: "/").prefix(2).joined(separator: "/") : text
        // The load comes first: it is the end that is cut.
        let reason = [load, request.reason].compactMap { $0 }.joined(separator: " ")
        let monitors = await checker.report(name, isUp: result == .up, reason: reason)
        guard monitors > 0 else {
            throw OperatorError(
                "nobody asks for reports on \"\(text)\"; give its pool a monitor of type push, see"
                    + " docs/monitors.md")
        }
        return ReportDocument(name: text, result: result, monitors: monitors)
    }

    // MARK: - What ends, and what changes

    /// Sleeps at most so long at a time: the clock on the wall may be set meanwhile.
    private static let longestSleep = Duration.seconds(10)

    func schedule() {
        timer?.cancel()
        timer = overrides.nextExpiry.map { next in
            Task { [weak self] in
                let wait = min(next - .now(), Self.longestSleep)
                try? await Task.sleep(for: wait)
                guard !Task.isCancelled else { return }
                await self?.expire()
            }
        }
    }

    private func expire() async {
        let over = overrides.expire(at: .now())
        schedule()
        guard !over.isEmpty else { return }
        publication.publish(overrides)
        _ = await save()
        await saveAnswersIfChanged()
    }

    /// Tells of words that are about nothing in new content, and keeps the verdicts that it began with.
    func contentChanged() {
        Task {
            await saveAnswersIfChanged()
            await saveHealth()
        }
        let steering = publication.content.steering
        for override in overrides.unmatched(
            in: steering.configuration, addresses: steering.addresses)
        {
            logger.warning(
                """
                operator \(override.operatorName): \(override.word.rawValue) \(override.pattern) is about \
                no origin any more; "rhumb clear \(override.pattern)" removes it
                """)
        }
    }
}
