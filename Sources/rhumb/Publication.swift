// What is in force: content, health, and which pools are on their way up; and the snapshots made of them.

import Authority
import Health
import Steering
import Synchronization

/// Makes a snapshot of each change, and of each step of a ramp for as long as one runs.
final class Publication: Sendable {
    private struct InForce {
        var content: Content
        var health: HealthTable
        var ramps = Ramps()
        /// Sleeps until the next step.
        var timer: Task<Void, Never>?
    }

    private let publisher: SnapshotPublisher
    private let inForce: Mutex<InForce>

    /// - Parameter content: whose health nobody knows yet.
    init(_ content: Content, _ publisher: SnapshotPublisher) {
        self.publisher = publisher
        let health = HealthTable(count: content.steering.addresses.count)
        inForce = Mutex(InForce(content: content, health: health))
    }

    var content: Content { inForce.withLock { $0.content } }

    /// Publishes verdicts, and the content that they belong to if that is new.
    func publish(_ health: HealthTable, of content: Content? = nil) {
        inForce.withLock {
            if let content { $0.content = content }
            $0.health = health
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

    private func publish(_ inForce: inout InForce) {
        let update = inForce.ramps.update(
            inForce.content.steering, inForce.health, at: ContinuousClock.now)
        publisher.publish(
            Snapshot(content: inForce.content, health: inForce.health, ramps: update.shares))
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
