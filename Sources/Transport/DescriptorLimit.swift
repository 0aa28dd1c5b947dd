// How many TCP connections the process can afford: each takes a file descriptor, and where none is
// left nothing can be accepted, not even to take the place of an idle connection, and no origin can
// be probed.

import Glibc

/// The process's limit on open files.
enum DescriptorLimit {
    /// Descriptors that are not for clients: probes, zone files and databases during a reload, the
    /// event loops' own.
    static let reserve = 256

    /// Raises the limit as far as the system lets us, and returns it.
    ///
    /// The usual limit of 1,024 is there for programs that use select(2); nothing here does.
    static func raise() -> Int {
        var limit = rlimit()
        // Safe, here and below: `limit` outlives the call.
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return Int(FD_SETSIZE)
        }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = raised.rlim_max
            if unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 {
                limit = raised
            }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Returns how many of the `wanted` connections there can be with that many descriptors: at
    /// least half of them, and more where the reserve is less than the other half.
    static func connections(wanted: Int, descriptors: Int) -> Int {
        min(wanted, max(1, descriptors / 2, descriptors - reserve))
    }
}
