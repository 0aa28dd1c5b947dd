// What the server keeps in its state directory over a restart: operators' words, the last answers, verdicts.
// `Operations` says when.

import Authority
import Health
import Logging
import NIOPosix
import Steering

extension Operations {
    /// Reads a file of the state directory; if anything is wrong with it, it is put aside and told of.
    ///
    /// - Parameters:
    ///   - parse: takes its octets, and returns what it says.
    ///   - cure: what to do about what is lost.
    private func restore<Kept>(
        _ name: String, limit: Int, cure: String,
        _ parse: ([UInt8], inout [String]) -> Kept
    ) -> Kept? {
        guard let state else { return nil }
        var findings: [String] = []
        var kept: Kept?
        do {
            kept = try state.read(name, limit: limit).map { parse($0, &findings) }
        } catch {
            findings.append("not readable: \(error)")
        }
        if !findings.isEmpty {
            state.setAside(name)
            let file = state.file(name)
            for finding in findings.prefix(Self.findingLimit) {
                logger.error("\(file): \(finding)")
            }
            logger.error("\(file) is now \(file).bad; \(cure)")
        }
        return kept
    }

    /// As many findings tell what happened to a file.
    private static let findingLimit = 10

    func restoreOverrides() {
        let kept = restore(
            KeptOverrides.fileName, limit: KeptOverrides.fileLimit,
            cure: """
                only the overrides that are told below are in force; say the others again with rhumb drain, \
                down or up
                """,
            KeptOverrides.parse)
        guard let kept, !kept.isEmpty else { return }
        overrides.restore(kept)
        for override in overrides.expire(at: .now()) { tell(override, "has ended") }
        // It may just have been put aside.
        try? state?.write(KeptOverrides(overrides).octets, to: KeptOverrides.fileName)
        publication.publish(overrides)
        schedule()
        for override in overrides.all { tell(override, "is in force again") }
    }

    /// Logs what became of a word.
    private func tell(_ override: OperatorOverride, _ what: String) {
        logger.notice(
            """
            operator \(override.operatorName): \(override.word.rawValue) \(override.pattern) of \
            \(override.time) \(what)
            """)
    }

    /// Writes the overrides; returns whether they are on the disk.
    func save() async -> Bool {
        guard let state else { return false }
        let octets = KeptOverrides(overrides).octets
        do {
            try await onDisk { try state.write(octets, to: KeptOverrides.fileName) }
            return true
        } catch {
            logger.error("\(error); what operators say is in force, but not kept over a restart")
            return false
        }
    }

    /// Does work on the disk's thread, after all that was asked for before.
    ///
    /// It is handed over right here, where this actor is: a call that left it first could be overtaken by the
    /// next one, and the older overrides would be the last on the disk.
    private func onDisk(_ work: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            disk.submit { state in
                done.resume(
                    with: Result {
                        guard state == .active else { throw StateError("the server stops") }
                        try work()
                    })
            }
        }
    }

    // MARK: - Last answers on disk

    func restoreAnswers() {
        let kept = restore(
            LastAnswers.Kept.fileName, limit: LastAnswers.Kept.fileLimit,
            cure: "addresses that are taken out count as answered until their words came"
        ) { octets, findings -> LastAnswers.Kept? in
            do {
                return try decodeFile(LastAnswers.Kept.self, octets)
            } catch {
                findings.append("not readable as last answers (\(error))")
                return nil
            }
        }
        if let kept = kept.flatMap(\.self) { publication.restore(kept) }
    }

    func saveAnswersIfChanged() async {
        let answers = publication.current.lastAnswers
        guard let state, answers.version != savedAnswers else { return }
        savedAnswers = answers.version
        let octets = encodeFile(answers.forLater)
        do {
            try await onDisk { try state.write(octets, to: LastAnswers.Kept.fileName) }
            hasFailed = false
        } catch {
            // Tried again with the next.
            savedAnswers = nil
            if !hasFailed {
                logger.error("\(error); after a restart, what is safe to stop is told too early")
            }
            hasFailed = true
        }
    }

    // MARK: - Verdicts on disk

    func restoreHealth() async {
        let kept = restore(
            KeptHealth.fileName, limit: KeptHealth.fileLimit,
            cure: "the origins that it told nothing of are probed before the first answer",
            KeptHealth.parse)
        guard let kept else { return }
        await checker.remember(kept.targets)
        let age = kept.time.map { Int((Timestamp.now() - $0).components.seconds) }
        logger.info(
            """
            \(counted(kept.targets.count, "verdict")) of an earlier run, written \
            \(age.map { "\($0) s ago" } ?? "at an unknown time")
            """)
    }

    /// Verdicts are written no more often than this,
    static let savePause = Duration.seconds(3)
    /// nor for more than this part of the time, however many there are,
    private static let saveShare = 50
    /// and this often where none has changed, for the sake of times and counts.
    private static let savePeriod = Duration.seconds(60)

    func saveHealthIfDue() async {
        if let lastSave {
            let passed = ContinuousClock.now - lastSave.time
            guard passed >= lastSave.cost * Self.saveShare,
                lastSave.changes != publication.changes || passed >= Self.savePeriod
            else { return }
        }
        await saveHealth()
    }

    func saveHealth() async {
        // What is thought while the checker suspects itself is not worth keeping.
        guard let state, await !checker.isolation().isFrozen else { return }
        let changes = publication.changes
        let states = await checker.states()
        // Nothing is in force yet: what was kept is better.
        guard !states.isEmpty else { return }
        let start = ContinuousClock.now
        do {
            try await onDisk {
                let kept = KeptHealth(states, at: .now())
                try state.write(kept.octets, to: KeptHealth.fileName)
            }
            hasFailed = false
        } catch {
            if !hasFailed { logger.error("\(error); verdicts are not kept over a restart") }
            hasFailed = true
        }
        lastSave = (changes, start, ContinuousClock.now - start)
    }
}
