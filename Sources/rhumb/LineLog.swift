// The log: one line for each event on standard error, for people and for the journal alike.

import Health
import Logging

/// Writes `2026-11-22T03:02:32Z warning: tokyo/nrt-1/192.0.2.1 up -> down: timed out`.
struct LineLog: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    /// The program's logger.
    static func logger() -> Logger { Logger(label: "rhumb") { _ in LineLog() } }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let fields = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        // One call a line: lines of several threads do not mix.
        printError("\(Timestamp.now()) \(event.level): \(event.message)\(fields)")
    }
}
