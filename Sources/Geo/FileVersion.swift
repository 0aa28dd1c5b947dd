// Which version of a file there is: whether a name leads to another one, and whether one that is mapped was
// written into.
//
// By size and time of the content, as `cp` and `rsync` change them. What sets that time back is not
// seen, and nor is what is written within one tick of the system's clock (4 ms as a rule) of the look
// before, and never again. The time of attributes (ctime) would tell of the first, but of owners,
// modes and names as well, which a file that is in use may get.

internal import Glibc

/// A file at one moment: another of that name, or one that was written to, has another version.
public struct FileVersion: Hashable, Sendable {
    private let device: UInt64
    private let inode: UInt64
    let octets: Int64
    /// When the content was written, or somebody says it was.
    private let seconds: Int
    private let nanoseconds: Int
    /// Whether it is a file of octets: no pipe to wait for, no directory.
    let isRegular: Bool

    /// Of what a path leads to; nil if there is nothing.
    public init?(_ path: String) {
        var status = stat()
        // Safe: the path is passed terminated, and `status` outlives the call.
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    /// Of an open file.
    init?(_ descriptor: Int32) {
        var status = stat()
        // Safe: `status` outlives the call.
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        octets = Int64(status.st_size)
        seconds = Int(status.st_mtim.tv_sec)
        nanoseconds = Int(status.st_mtim.tv_nsec)
        isRegular = status.st_mode & S_IFMT == S_IFREG
    }

    /// Whether both are of one file, whatever was written into it.
    func isOfFile(of other: FileVersion) -> Bool { device == other.device && inode == other.inode }
}
