// The address of a webhook's host, by the system's resolver, on threads of its own: a resolver may take
// long to say that it does not know.

internal import DNSWire
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Looks hosts up, off the loop.
final class HostLookups: Sendable {
    /// One that hangs holds up the other webhooks no longer than the resolver takes.
    private static let atOnce = 4

    private let threads = NIOThreadPool(numberOfThreads: HostLookups.atOnce)
    private let isOpen = Mutex(true)

    init() { threads.start() }

    /// Calls `next` with the address that the system prefers, of those that the host has now (RFC 6724), or why
    /// there is none; not any more once it is closed.
    func address(
        of host: String, on loop: any EventLoop,
        _ next: @escaping (Result<IPAddress, any Error>) -> Void
    ) {
        let bound = NIOLoopBound(next, eventLoop: loop)
        threads.submit { [self] state in
            guard case .active = state else { return }
            let result = Result {
                // The port is no matter here.
                let address = try SocketAddress.makeAddressResolvingHost(host, port: 0)
                guard let address = address.ipAddress.flatMap({ IPAddress($0) }) else {
                    throw SocketAddressError.unsupported
                }
                return address
            }
            // Not after the loop has ended.
            isOpen.withLock { if $0 { loop.execute { bound.value(result) } } }
        }
    }

    /// Leaves the loop alone from now on.
    func close() {
        isOpen.withLock { $0 = false }
        // What hangs ends when it is through.
        threads.shutdownGracefully { _ in }
    }
}
