// What is in force: content, health, what operators say against it, and which pools are on their way up; and
// the snapshots made of them.

import Authority
import Health
import Steering
import Synchronization

/// Makes a snapshot of each change, and of each step of a ramp for as long as one runs.
final class Publication: Sendable {
    private struct InForce {
        var content: Content
        /// As the checker sees it.
        var health: HealthTable
        /// How often that has changed.
        var changes = 0
        var overrides = OperatorOverrides()
        /// What operators say, by the index of the address.
        var words: [Int: Verdict] = [:]
        var ramps = Ramps()
        /// Since when the content is in force.
        var contentTime = Timestamp.now()
        /// Since when the next one is being made.
        var reloadStart: Timestamp?
        /// What was made of all that.
        var snapshot: Snapshot
        var lastAnswers = LastAnswers()
        /// Whether the content was probed: what changes from there on is news.
        var isProbed = false
        /// What was told last.
        var told: Snapshot?
        /// Sleeps until the next step.
        var timer: Task<Void, Never>?

        /// Finds what the overrides are about in the content.
        mutating func resolve() {
            let steering = content.steering
            words = overrides.verdicts(
                in: steering.configuration, addresses: steering.addresses)
        }
    }

    private let publisher: SnapshotPublisher
    private let inForce: Mutex<InForce>
    private let reporter: EventReporter

    /// - Parameters:
    ///   - content: whose health nobody knows yet.
    ///   - reporter: is told what happens, in order.
    init(_ content: Content, _ publisher: SnapshotPublisher, _ reporter: EventReporter) {
        self.publisher = publisher
        self.reporter = reporter
        let health = HealthTable(count: content.steering.addresses.count)
        inForce = Mutex(
            InForce(content: content, health: health, snapshot: publisher.current.snapshot))
    }

    var content: Content { inForce.withLock { $0.content } }

    /// Since when it is in force.
    var contentTime: Timestamp { inForce.withLock { $0.contentTime } }

    /// Since when the next content is being made, as long as that is so.
    var reloadStart: Timestamp? {
        get { inForce.withLock { $0.reloadStart } }
        set { inForce.withLock { $0.reloadStart = newValue } }
    }

    /// The newest snapshot, its health without what operators say, and what was answered before.
    var current: (snapshot: Snapshot, checked: HealthTable, lastAnswers: LastAnswers) {
        inForce.withLock { ($0.snapshot, $0.health, $0.lastAnswers) }
    }

    /// Takes what an earlier run knew of its last answers, before anything is answered here.
    func restore(_ kept: LastAnswers.Kept) {
        inForce.withLock { $0.lastAnswers.restore(kept, at: .now()) }
    }

    /// A number that changes whenever the checker publishes.
    var changes: Int { inForce.withLock { $0.changes } }

    /// Publishes verdicts, and the content that they belong to if that is new.
    func publish(_ update: HealthUpdate, of content: Content? = nil) {
        inForce.withLock {
            $0.health = update.table
            $0.changes += 1
            if let content {
                $0.content = content
                $0.contentTime = .now()
                $0.resolve()
                $0.isProbed = true
            }
            publish(&$0, update)
        }
    }

    /// Publishes what operators say from now on, whatever probes find.
    ///
    /// - Parameter name: who said it last; nil if it is time that made a difference.
    func publish(_ overrides: OperatorOverrides, by name: String? = nil) {
        inForce.withLock {
            // What is put back at a start was told when it was said.
            if $0.isProbed {
                reporter.tell(overrides.events(since: $0.overrides, by: name, at: .now()))
            }
            $0.overrides = overrides
            $0.resolve()
            publish(&$0)
        }
    }

    /// Ends the ramps' timer.
    func stop() {
        inForce.withLock {
            $0.timer?.cancel()
            $0.timer = nil
        }
    }

    private func publish(_ inForce: inout InForce, _ checked: HealthUpdate? = nil) {
        var health = inForce.health
        for (index, verdict) in inForce.words { health.override(index, with: verdict) }
        let update = inForce.ramps.update(
            inForce.content.steering, health, at: ContinuousClock.now)
        inForce.snapshot = Snapshot(
            content: inForce.content, health: health, ramps: update.shares)
        publisher.publish(inForce.snapshot)
        if inForce.isProbed {
            inForce.lastAnswers.note(inForce.snapshot, at: .now())
            reporter.tell(checked, from: inForce.told, to: inForce.snapshot)
            inForce.told = inForce.snapshot
        }
        inForce.timer?.cancel()
        inForce.timer = update.next.map { wait in
            Task { [weak self] in
                try? await Task.sleep(for: wait)
                self?.inForce.withLock {
                    // Asked under the lock: who cancels has it, so that no step comes after `stop`.
                    guard !Task.isCancelled else { return }
                    self?.publish(&$0)
                }
            }
        }
    }
}
