// What steering knows of health: a flat table of verdicts, one for each address of each origin.

/// What is thought of an address.
public enum Verdict: UInt8, Sendable { case unknown, up, degraded, down }

/// The verdicts of all origin addresses.
public struct HealthTable: Sendable {
    public var verdicts: [Verdict]

    public init(verdicts: [Verdict]) {
        self.verdicts = verdicts
    }
}
