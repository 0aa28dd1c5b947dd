// What can be wrong with a database: said once, with the file, the fault and the cure.

/// Why a database can't be used.
public struct GeoError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The database file; empty where the fault is not in a file.
    public var path: String
    /// What is wrong and, after a semicolon, what to do about it; no final full stop.
    public var message: String
    /// Whether the file is a sound database, but of a kind that does not say where addresses are.
    public var isOtherKind = false

    public init(path: String, _ message: String) {
        self.path = path
        self.message = message
    }

    /// `path: message`.
    public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}
