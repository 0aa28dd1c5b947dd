// Verdicts as `state/health.json` has them: each with its reason, its age, the last timings and a short history.
// Whatever is in that file, reading it ends in verdicts and in findings.

import Health
import Steering

/// The file's shape.
struct KeptHealth: Encodable {
    static let fileName = "health.json"
    /// As many targets as there can be, with long reasons, take less.
    static let fileLimit = 256 << 20

    /// When it was written.
    var time: Timestamp
    /// By `MonitorState.memoryKey`.
    var targets: [String: TargetHealth]

    init(_ states: [TargetState], at time: Timestamp) {
        self.time = time
        targets = Dictionary(
            states.flatMap(\.monitors).lazy.filter { $0.health.verdict != .unknown }
                .map { ($0.memoryKey, $0.health) }
        ) { first, _ in first }
    }

    var octets: [UInt8] { encodeFile(self) }

    /// What a file's octets say.
    ///
    /// - Parameter findings: gets what is wrong; what is right beside it counts all the same.
    static func parse(
        _ octets: [UInt8], _ findings: inout [String]
    ) -> (time: Timestamp?, targets: [String: TargetHealth]) {
        do {
            let file = try decodeFile(LenientFile.self, octets)
            let targets = file.targets.compactMapValues(\.value)
            let rest = file.targets.count - targets.count
            if rest > 0 { findings.append("\(counted(rest, "target")) without a verdict left out") }
            return (file.time?.value, targets)
        } catch {
            findings.append("not readable as verdicts (\(error))")
            return (nil, [:])
        }
    }

    private struct LenientFile: Decodable {
        var time: Lenient<Timestamp>?
        var targets: [String: Lenient<TargetHealth>]
    }
}
