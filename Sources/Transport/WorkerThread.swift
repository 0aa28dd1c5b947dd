// A thread with a name that runs one closure and can be waited for. The data plane is threads that
// block in system calls, so it stays away from Swift's cooperative pool.

import CLinux
import Glibc

/// A running thread.
struct WorkerThread: Sendable {
    /// A deep call chain in `respond` needs some tens of kilobytes; the rest is never touched.
    private static let stackOctets = 1 << 20

    private let handle: pthread_t

    /// Starts a thread.
    ///
    /// - Parameters:
    ///   - name: shown by `top -H`; the kernel keeps the first 15 octets.
    ///   - body: what it runs.
    init(name: String, body: @escaping @Sendable () -> Void) throws(TransportError) {
        let work = Work(name: name, body: body)
        // Safe: the attributes live for this call only.
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, Self.stackOctets)
        var started: pthread_t = 0
        // Safe: the thread takes over the one reference that is passed along.
        let context = unsafe Unmanaged.passRetained(work)
        let code = unsafe pthread_create(
            &started, &attributes,
            { context in
                if let context = unsafe context {
                    let work = unsafe Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
                    unsafe cln_begin_thread(work.name)
                    work.body()
                }
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            unsafe context.release()
            throw .cannotStartThread(code: code)
        }
        handle = started
    }

    /// Waits until the thread has ended; to be called once.
    func join() {
        pthread_join(handle, nil)
    }

    private final class Work: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
