// The database files of a directory as a watcher sees them: by their directory entries, unopened.

/// The files that databases are chosen from, each in the version that is there.
public struct DatabaseFiles: Hashable, Sendable {
    /// The directory or the one file that the settings name.
    public var place: String
    public var versions: [String: FileVersion] = [:]

    public init(place: String, paths: [String]) {
        self.place = place
        for path in paths { versions[path] = FileVersion(path) }
    }
}

/// Decides which poll finds something to open.
public struct DatabaseWatch: Sendable {
    private var seen: DatabaseFiles?

    public init() {}

    /// Whether to open the files that a poll found: those that are neither in force nor refused already, and
    /// that the poll before found just so. One that is being copied there grows meanwhile.
    public mutating func isDue(
        _ files: DatabaseFiles, inForce: DatabaseFiles, refused: DatabaseFiles?
    ) -> Bool {
        defer { seen = files }
        return files != inForce && files != refused && files == seen
    }
}
