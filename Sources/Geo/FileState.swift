// Whether a file that is mapped was written into: what the system tells of it, before and after.
//
// By size and time of the content, as `cp` and `rsync` change them. What sets that time back is not seen,
// and nor is what is written within one tick of the system's clock (4 ms as a rule) of the look before,
// and never again. The time of attributes (ctime) would tell of the first, but of owners, modes and
// names as well, which a file that is in use may get.

internal import Glibc

/// An open file at one moment.
struct FileState: BitwiseCopyable {
    let octets: Int64
    /// When the content was written, or somebody says it was.
    private let seconds: Int
    private let nanoseconds: Int

    init?(_ descriptor: Int32) {
        var status = stat()
        // Safe: `status` outlives the call.
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        octets = Int64(status.st_size)
        seconds = Int(status.st_mtim.tv_sec)
        nanoseconds = Int(status.st_mtim.tv_nsec)
    }

    /// Whether size and time of the content are those of a state before.
    func hasContent(of before: FileState) -> Bool {
        octets == before.octets && seconds == before.seconds && nanoseconds == before.nanoseconds
    }
}
