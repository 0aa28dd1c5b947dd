// Sockets of a load: opened and connected to the server, closed when they go.

import CLinux
import DNSWire
import Glibc

/// A socket that is connected to the server.
final class LoadSocket {
    /// Room for what a second of stall brings.
    private static let bufferOctets: Int32 = 8 << 20

    let descriptor: Int32

    deinit { close(descriptor) }

    /// - Parameter isStream: TCP, whose calls then wait for as long as the plan's patience; UDP
    ///   never waits.
    /// - Parameter connections: how many were opened before.
    init(_ plan: LoadPlan, isStream: Bool, after connections: UInt64 = 0) throws(LoadError) {
        let family = plan.server.family == .ipv4 ? AF_INET : AF_INET6
        let kind = isStream ? SOCK_STREAM : SOCK_DGRAM
        descriptor = socket(family, Int32(kind.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LoadError("socket", errno, plan) }
        if isStream {
            set(SOL_TCP, TCP_NODELAY, 1)
            setTimeouts(milliseconds: plan.patienceMilliseconds)
        } else {
            // As far as the system lets us, with CAP_NET_ADMIN all of it.
            if !set(SOL_SOCKET, SO_RCVBUFFORCE, Self.bufferOctets) {
                set(SOL_SOCKET, SO_RCVBUF, Self.bufferOctets)
            }
            if !set(SOL_SOCKET, SO_SNDBUFFORCE, Self.bufferOctets) {
                set(SOL_SOCKET, SO_SNDBUF, Self.bufferOctets)
            }
        }
        let octets = plan.server.octets
        // Safe: the array lives through the call.
        let result = unsafe cln_connect(descriptor, octets, UInt32(octets.count), plan.port)
        guard result == 0 else {
            throw LoadError("connect", -result, plan, connections: connections)
        }
    }

    /// Has the kernel acknowledge what comes next at once: it forgets after a while. A server that has
    /// not turned Nagle's algorithm off would wait for it, and be measured asleep.
    func acknowledgeAtOnce() { set(SOL_TCP, TCP_QUICKACK, 1) }

    /// Datagrams that arrived and found no room; 0 where the kernel doesn't tell (before Linux 4.12).
    var dropped: UInt64 {
        // SO_MEMINFO, and SK_MEMINFO_DROPS of linux/sock_diag.h.
        let option: Int32 = 55
        let drops = 8
        var counts = [UInt32](repeating: 0, count: drops + 1)
        var length = socklen_t(counts.count * MemoryLayout<UInt32>.size)
        // Safe: the length is that of the array.
        let result = unsafe getsockopt(descriptor, SOL_SOCKET, option, &counts, &length)
        return result == 0 ? UInt64(counts[drops]) : 0
    }

    @discardableResult
    private func set(_ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
        var value = value
        // Safe: the value lives through the call.
        return unsafe setsockopt(
            descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    private func setTimeouts(milliseconds: Int) {
        var time = timeval(tv_sec: milliseconds / 1_000, tv_usec: milliseconds % 1_000 * 1_000)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            // Safe: the value lives through the call.
            unsafe setsockopt(
                descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }
}

/// Nanoseconds of a clock that only goes forward.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    // Safe: `time` outlives the call.
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// The system's words for an error.
func systemMessage(_ code: Int32) -> String {
    // Safe: strerror returns a terminated string, copied before anything else asks for one.
    unsafe String(cString: strerror(code))
}
