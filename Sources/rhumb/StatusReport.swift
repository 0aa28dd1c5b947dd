// What is known of a running server's origins, put together for status and for what operators are told.

import Authority
import DNSWire
import Health
import Steering
import Zones

/// What a status is made of.
struct StatusReport {
    var snapshot: Snapshot
    /// Health without what operators say.
    var checked: HealthTable
    var states: [TargetState]
    var overrides: OperatorOverrides
    var lastAnswers: LastAnswers
    /// When the server started.
    var startTime: Timestamp
    var now: Timestamp

    private var steering: Steering { snapshot.content.steering }
    private var configuration: SteeringConfiguration { steering.configuration }

    /// The pools that have any of some addresses, with these.
    ///
    /// - Parameter indexes: of addresses, in order.
    func pools(_ indexes: [Int]) -> [StatusDocument.Pool] {
        let words = overrides.resolved(in: configuration, addresses: steering.addresses)
        let states = Dictionary(states.map { ($0.id, $0) }) { first, _ in first }
        let still = Set(stillAnswered(indexes))
        let failovers = Failover.all(
            snapshot.content,
            states.values.map { state in
                (state.id, state.monitors.map(\.monitor.detectionTime), state.needed)
            })
        var pools: [StatusDocument.Pool] = []
        var last = (pool: -1, origin: -1)
        for index in indexes {
            let steered = steering.addresses[index]
            let pool = configuration.pools[steered.pool]
            if last.pool != steered.pool {
                let standing = snapshot.steering.standing(ofPool: steered.pool)
                pools.append(
                    StatusDocument.Pool(
                        pool: pool.name, state: standing.state, reason: standing.reason,
                        sharePercent: standing.sharePercent,
                        failoverSeconds: failovers[steered.pool].total.map { $0 / .seconds(1) },
                        origins: []))
            }
            let origin = pool.origins[steered.origin]
            if last != (steered.pool, steered.origin) {
                pools[pools.count - 1].origins.append(
                    StatusDocument.Origin(origin: origin.name, addresses: []))
            }
            last = (steered.pool, steered.origin)
            let address = address(
                index, words[index].map { overrides.all[$0] },
                // A reload may just have come between.
                states[index].flatMap {
                    $0.pool == pool.name && $0.origin == origin.name ? $0 : nil
                },
                stillAnswered: still.contains(index))
            let place = pools[pools.count - 1].origins.count - 1
            pools[pools.count - 1].origins[place].addresses.append(address)
        }
        return pools
    }

    private func address(
        _ index: Int, _ override: OperatorOverride?, _ state: TargetState?, stillAnswered: Bool
    ) -> StatusDocument.Address {
        let since = override?.time ?? state?.standing.since
        let seen = state?.monitors.compactMap(\.health.last?.time).max()
        return StatusDocument.Address(
            address: steering.addresses[index].text(in: configuration),
            verdict: snapshot.steering.health[index].words,
            probes: state.map { _ in checked[index].words },
            since: since?.description, sinceSeconds: since.map { age(of: $0) },
            reason: state?.standing.reason, monitors: state?.monitors.map(monitor) ?? [],
            restoredSeconds: seen.flatMap { $0 < startTime ? age(of: $0) : nil },
            override: override.map(StatusDocument.Override.init),
            safe: stillAnswered ? nil : override.flatMap { safe($0, [index]) },
            stillAnswered: stillAnswered)
    }

    private func monitor(_ state: MonitorState) -> StatusDocument.Monitor {
        let health = state.health
        return StatusDocument.Monitor(
            monitor: state.monitor.name, verdict: health.verdict.words,
            since: health.since?.description, reason: health.reason,
            last: health.last.map {
                StatusDocument.Result(
                    time: $0.time.description, milliseconds: $0.duration.inMilliseconds,
                    outcome: "\($0.outcome)", passed: $0.outcome.passed)
            }, responseMilliseconds: health.responseTime?.inMilliseconds,
            nextProbe: state.nextProbe?.description,
            history: health.history.map {
                StatusDocument.Change(
                    time: $0.time.description, from: $0.from.words, to: $0.to.words,
                    reason: $0.reason)
            })
    }

    private func age(of moment: Timestamp) -> Int {
        Int(max(0, (now - moment).components.seconds))
    }

    /// Which addresses of some were taken out by operators, and are answered all the same.
    func stillAnswered(_ indexes: [Int]) -> [Int] {
        let takenOut = indexes.filter { index in
            let verdict = snapshot.steering.health[index]
            return snapshot.steering.health.overridden.contains(index)
                && (verdict == .drained || verdict == .down)
        }
        return snapshot.steering.answered(takenOut)
    }

    /// What a word came to.
    ///
    /// - Parameter meant: the addresses that it is about, by their indexes.
    func change(
        _ word: OperatorOverride.Word, _ pattern: AddressPattern, _ meant: [Int]
    ) -> ChangeDocument {
        let state = snapshot.steering
        var change = ChangeDocument(
            word: word.rawValue, pattern: pattern.description, addresses: meant.count)
        let pools = Set(meant.map { steering.addresses[$0].pool })
        change.pools = pools.sorted().map { index in
            let standing = state.standing(ofPool: index)
            return ChangeDocument.PoolLine(
                pool: configuration.pools[index].name, state: standing.state,
                reason: standing.reason)
        }
        let services = configuration.services(answeringWith: pools)
        change.services = services.map { index in
            let members = configuration.pools(ofService: index)
            return ChangeDocument.ServiceLine(
                service: configuration.services[index].name, pools: members.count,
                usable: members.count { state.standing(ofPool: $0).isUsable })
        }
        guard word == .drain || word == .down else { return change }
        let names = Set(services.map { configuration.services[$0].name })
        change.warnings = state.forcedAnswers().filter { names.contains($0.service) }
            .map(warning)
        let still = stillAnswered(meant)
        change.stillAnswered = still.map { steering.addresses[$0].name(in: configuration) }
        if still.isEmpty {
            change.safe = overrides.all.last { $0.pattern == pattern }
                .flatMap { safe($0, meant) }
        }
        if isIsolated {
            change.warnings.append(
                "the checker suspects its own network, and verdicts are those from before: what is left"
                    + " is not known to work")
        }
        return change
    }

    /// When it is safe to stop some addresses that a word took out; nil where they were in no answer.
    private func safe(_ override: OperatorOverride, _ indexes: [Int]) -> SafeDocument? {
        guard override.word == .drain || override.word == .down, let ttl = override.ttl else {
            return nil
        }
        // What nothing is known of from here was answered until the word came.
        let byWord = LastAnswers.End(ttl: ttl, at: override.time)
        let ends = indexes.map {
            lastAnswers.end(of: steering.addresses[$0].name(in: configuration)) ?? byWord
        }
        return ends.max { $0.time < $1.time }.map { SafeDocument($0, at: now) }
    }

    private var isIsolated: Bool { snapshot.steering.health.isIsolated }

    private func warning(_ forced: ForcedAnswer) -> String {
        let clients = forced.rule.map { "rule \($0)" } ?? "clients whom no rule matches"
        let pools = listed(forced.pools.map { configuration.pools[$0].name })
        return "service \(forced.service), \(clients): nothing usable is left; "
            + (forced.pools.isEmpty ? "the answer is SERVFAIL" : "\(pools) answers all the same")
    }

    /// Which clients get what should not be used.
    var forced: [StatusDocument.Forced] {
        snapshot.steering.forcedAnswers().map { answer in
            StatusDocument.Forced(
                service: answer.service, rule: answer.rule,
                pools: answer.pools.map { configuration.pools[$0].name })
        }
    }

    /// How pools and addresses add up.
    static func totals(of pools: [StatusDocument.Pool]) -> StatusDocument.Totals {
        var totals = StatusDocument.Totals()
        for pool in pools {
            totals.pools += 1
            if pool.state != "down" { totals.usablePools += 1 }
            for address in pool.origins.flatMap(\.addresses) {
                totals.addresses += 1
                switch address.verdict {
                case "up": totals.up += 1
                case "degraded": totals.degraded += 1
                case "down": totals.down += 1
                case "drained": totals.drained += 1
                default: totals.unknown += 1
                }
            }
        }
        return totals
    }
}

extension PoolStanding {
    /// `usable`, `degraded` or `down`.
    var state: String { isDegraded ? "degraded" : isUsable ? "usable" : "down" }
}

extension ProbeResult.Outcome {
    /// Nil if it says nothing about the origin.
    fileprivate var passed: Bool? {
        switch self {
        case .passed: true
        case .failed: false
        case .inconclusive: nil
        }
    }
}

extension Verdict {
    /// As it is shown and written: `drained`.
    var words: String { "\(self)" }
}

extension Duration {
    /// With three decimals.
    var inMilliseconds: Double {
        ((self / .microseconds(1)).rounded() / 1_000)
    }
}
