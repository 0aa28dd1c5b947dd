// The log: one line for each event on standard error, for people and for the journal alike.
//
// A thread of its own writes it: whoever logs must not wait for a reader of standard error that has
// stopped reading, least of all the checker.

import Dispatch
import Glibc
import Health
import Logging
import Synchronization

/// Writes `2026-11-22T03:02:32Z warning: tokyo/nrt-1/192.0.2.1 up -> down: timed out`.
struct LineLog: LogHandler {
    /// Standard error, for the whole program.
    private static let writer = LineWriter(STDERR_FILENO)

    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    /// The program's logger.
    static func logger() -> Logger { Logger(label: "rhumb") { _ in LineLog() } }

    /// Waits until all is written; not for long, should nobody read it.
    static func flush() { writer.flush() }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let fields = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        Self.writer.write("\(Timestamp.now()) \(event.level): \(event.message)\(fields)")
    }
}

/// Writes lines in order, without making anyone wait.
final class LineWriter: Sendable {
    /// Lines that wait: all that a reload of a large configuration has to say, and some hundred KiB.
    static let capacity = 4_096
    /// How long `flush` waits for a reader that has stopped reading.
    private static let patience = DispatchTimeInterval.seconds(1)

    private let descriptor: Int32
    private let queue = DispatchQueue(label: "log")
    /// Lines that wait, and those that there was no room for since the last one that was taken.
    private let counts = Mutex((waiting: 0, dropped: 0))

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Takes a line; with too many before it, drops it, and the next one that is taken says so.
    func write(_ line: String) {
        let dropped: Int? = counts.withLock { counts in
            guard counts.waiting < Self.capacity else {
                counts.dropped += 1
                return nil
            }
            counts.waiting += 1
            defer { counts.dropped = 0 }
            return counts.dropped
        }
        guard let dropped else { return }
        queue.async { [self] in
            if dropped > 0 {
                writeOut(
                    "\(Timestamp.now()) warning: \(counted(dropped, "line")) of the log dropped")
            }
            writeOut(line)
            counts.withLock { $0.waiting -= 1 }
        }
    }

    /// Waits until what was taken is written, or its time is up.
    func flush() {
        let done = DispatchSemaphore(value: 0)
        queue.async { done.signal() }
        _ = done.wait(timeout: .now() + Self.patience)
    }

    private func writeOut(_ line: String) {
        _ = writeAll(Array("\(line)\n".utf8), to: descriptor)
    }
}
