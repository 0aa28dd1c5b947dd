// The database files of a directory as a watcher sees them: by their directory entries, unopened.

internal import Glibc

/// Which version of a file there is: another file of that name, or one that was written to, has another.
public struct FileVersion: Hashable, Sendable {
    private var device: UInt64
    private var inode: UInt64
    private var octets: Int64
    private var seconds: Int
    private var nanoseconds: Int

    /// Nil if there is no such file.
    public init?(_ path: String) {
        var status = stat()
        // Safe: `status` outlives the call.
        guard unsafe stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        octets = Int64(status.st_size)
        seconds = Int(status.st_mtim.tv_sec)
        nanoseconds = Int(status.st_mtim.tv_nsec)
    }
}

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
