// What the checker does when most origins fail at once: Isolation decides, this file acts. It keeps
// the published verdicts as they were before, asks the references, and lets the verdicts apply or
// forgets what failed.

internal import NIOCore
internal import Settings
internal import Steering

extension CheckerState {
    /// How often references are asked while none answers.
    private static let referencePeriod = TimeAmount.seconds(5)

    var isolationState: IsolationState {
        var state = IsolationState()
        guard isolation.isFrozen else { return state }
        state.isFrozen = true
        state.isIsolated = isolation.phase == .isolated
        state.failing = isolation.failing
        state.origins = isolation.counting
        return state
    }

    /// Tells the freeze what became of an origin.
    func note(_ origin: WatchedOrigin) {
        let event = isolation.note(
            origin.key, isUp: origin.isUp, isFailing: origin.isFailing, at: uptime)
        if let event { act(on: event) }
    }

    /// Takes the settings and the origins that are in force now, and publishes what they come to.
    func replaceIsolation(_ settings: IsolationSettings) {
        let hasNewReferences = settings.references != isolation.references
        let event = isolation.replace(
            settings,
            Dictionary(
                origins.filter { $0.targets.contains(where: \.asksNetwork) }
                    .map { ($0.key, ($0.pool, $0.interval)) }
            ) { first, _ in first })
        if let event { act(on: event) }
        if isolation.phase == .isolated { waitForEnd() }
        for origin in origins { note(origin) }
        for target in targets { settle(target) }
        if hasNewReferences, !isolation.isFrozen { tellSilentReferences() }
    }

    private func act(on event: Isolation.Event) {
        switch event {
        case .froze(let since): freeze(since: since)
        case .isolated: isolate()
        case .ended(let end): thaw(end)
        }
        schedulePublication()
    }

    // MARK: - Freezing

    private func freeze(since moment: Duration) {
        frozenSince = moment
        frozenAt = loop.now
        let reason = "\(share(isolation.failing, isolation.counting)) at once: as it was before"
        for target in targets {
            let before = target.verdict(before: moment)
            guard ![before, .unknown].contains(target.standing.verdict), before != .unknown else {
                continue
            }
            transitions.append(target.rollBack(to: before, because: reason, at: .now()))
        }
        isolation.phase == .isolated ? isolate() : askReferences()
    }

    private func isolate() {
        let limit = durationText(Isolation.longestWithoutReferences)
        let what =
            isolation.references.isEmpty
            ? "for \(limit) at the most: health.references would tell whether it is this machine"
            : "and no reference answers: "
                + (references?.failures ?? []).map { "\($0), \($1)" }.joined(separator: "; ")
        let share = share(isolation.failing, isolation.counting)
        tell(.isolated, "isolated: \(share) at once; verdicts stay as they were, \(what)")
        waitForEnd()
    }

    /// Asks the references again, or without any waits until the time is up.
    private func waitForEnd() {
        freezeTimer?.cancel()
        let delay =
            isolation.deadline.map { TimeAmount(max($0 - uptime, .zero)) } ?? Self.referencePeriod
        freezeTimer = loop.assumeIsolated().scheduleTask(in: delay) {
            if let event = self.isolation.expire(at: self.uptime) {
                self.act(on: event)
            } else if self.isolation.deadline == nil {
                self.askReferences()
            } else {
                self.waitForEnd()
            }
        }
    }

    // MARK: - References

    /// Asks all references; the first answer decides.
    private func askReferences() {
        guard references == nil, stopped == nil else {
            wantsReferences = true
            return
        }
        ask(waitsForAll: false) { answering in
            let wasIsolated = self.isolation.phase == .isolated
            self.answering = answering
            if let event = self.isolation.note(referenceAnswers: answering != nil) {
                self.act(on: event)
            } else if wasIsolated {
                self.waitForEnd()
            }
        }
    }

    /// Tells of references that do not answer while all is well: with these alone, a freeze would
    /// not end before most origins pass again.
    private func tellSilentReferences() {
        guard references == nil, stopped == nil, !isolation.references.isEmpty else { return }
        ask(waitsForAll: true) { _ in
            for failure in self.references?.failures ?? [] where !self.isolation.isFrozen {
                self.tell(
                    .silentReference,
                    "the reference \(failure.reference) does not answer: \(failure.outcome)")
                self.schedulePublication()
            }
        }
    }

    private func ask(
        waitsForAll: Bool, _ decide: @escaping (IsolationSettings.Reference?) -> Void
    ) {
        running += 1
        let round = ReferenceRound(
            isolation.references, waitsForAll: waitsForAll, loop: loop, trust: trust,
            decide: decide,
            end: {
                self.references = nil
                self.running -= 1
                if self.leaveIfStopped() { return }
                self.startWaiting()
                // It is due since before this round was over.
                guard self.wantsReferences else { return }
                self.wantsReferences = false
                if self.isolation.isFrozen { self.askReferences() }
            })
        references = round
        round.start(connect)
    }

    // MARK: - Thawing

    private func thaw(_ end: Isolation.End) {
        freezeTimer?.cancel()
        freezeTimer = nil
        let moment = frozenSince ?? uptime
        frozenSince = nil
        if !end.failuresAreReal {
            for watch in targets.flatMap(\.watches) { watch.restore(before: moment) }
        }
        for origin in origins { note(origin) }
        for target in targets { settle(target) }
        let seconds = (loop.now - frozenAt).nanoseconds / 1_000_000_000
        let time = durationText(.seconds(seconds))
        let share = share(isolation.atEnd.failing, isolation.atEnd.counting)
        let reference = answering.map { "the reference \($0)" } ?? "a reference"
        let over = "isolated no longer, after \(time)"
        switch end {
        case .referenceAnswers:
            tell(.real, "\(share) at once, but \(reference) answers: verdicts apply")
        case .timeIsUp: tell(.ended, "\(over), the longest without references: \(share) for good")
        case .switchedOff: tell(.ended, "\(over), by new settings: \(share) for good")
        case .originsPass: tell(.ended, "\(over): most origins pass again, \(share)")
        case .referenceAnswersAgain: tell(.ended, "\(over): \(reference) answers again, \(share)")
        }
    }

    // MARK: - Words

    /// `9 of 10 origins that were up fail`.
    private func share(_ failing: Int, _ counting: Int) -> String {
        "\(failing) of \(counting) origins that were up fail"
    }

    private func tell(_ kind: IsolationNotice.Kind, _ words: String) {
        let counts =
            isolation.isFrozen ? (isolation.failing, isolation.counting) : isolation.atEnd
        notices.append(
            IsolationNotice(kind: kind, description: words, failing: counts.0, origins: counts.1))
    }
}
