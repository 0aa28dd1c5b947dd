// Listens for TCP connections and gives each to the one loop that answers. One loop is enough: TCP
// is the rare way (truncated answers), and keeping all connections in one place makes the limits
// exact without locks.

import Authority
import CLinux
import DNSWire
import Glibc
import NIOCore
import NIOPosix

/// The TCP side of the server, while it runs.
struct TCPServer: Sendable {
    /// A read takes at most this much: more than a hundred pipelined queries.
    private static let readOctets = 16 << 10
    /// A connection with more than this waiting to be sent gets no more answers until it is taken.
    private static let outboundOctets = 64 << 10
    /// Idle connections are looked for this many times within the idle timeout: none stays longer
    /// than 1.25 times of it.
    private static let sweepsPerTimeout: Int64 = 4

    private let group: MultiThreadedEventLoopGroup
    private let service: NIOLoopBound<TCPService>
    private let listeners: [any Channel]

    /// Starts to accept connections on sockets that listen already.
    init(
        sockets: [OpenSocket], limits: TransportLimits, publisher: SnapshotPublisher,
        seed: UInt64, counters: TCPCounterCells
    ) throws(TransportError) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var listeners: [any Channel] = []
        var current = sockets.first?.bound
        do {
            service = try Self.makeService(
                on: group.next(), limits: limits, publisher: publisher, seed: seed,
                counters: counters)
            let bootstrap = Self.makeBootstrap(group: group, service: service)
            for socket in sockets {
                current = socket.bound
                // The loop closes its own descriptor, whenever that is.
                let descriptor = fcntl(socket.descriptor, F_DUPFD_CLOEXEC, 0)
                guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "fcntl") }
                listeners.append(try bootstrap.withBoundSocket(descriptor).wait())
            }
        } catch {
            try? group.syncShutdownGracefully()
            let code = (error as? IOError)?.errnoCode ?? ECANCELED
            guard let current else { throw .noAddress }
            throw .cannotListen(current, .tcp, call: "register", code: code)
        }
        self.listeners = listeners
    }

    private static func makeService(
        on loop: any EventLoop, limits: TransportLimits, publisher: SnapshotPublisher,
        seed: UInt64, counters: TCPCounterCells
    ) throws -> NIOLoopBound<TCPService> {
        let service = try loop.submit {
            // Safe: the name is a C string of this call.
            unsafe cln_begin_thread("rhumb-tcp-0")
            return NIOLoopBound(
                TCPService(
                    loop: loop, limits: limits, publisher: publisher, seed: seed,
                    counters: counters), eventLoop: loop)
        }.wait()
        let interval = TimeAmount.nanoseconds(
            max(1_000_000, limits.idleTime.nanoseconds / sweepsPerTimeout))
        loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            service.value.sweep()
        }
        return service
    }

    private static func makeBootstrap(
        group: MultiThreadedEventLoopGroup, service: NIOLoopBound<TCPService>
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptFailures(service: service.value))
                }
            }
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: readOctets)
            )
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: outboundOctets / 2, high: outboundOctets)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    // Gone before we looked: there is nobody to serve.
                    guard let peer = channel.remoteAddress?.ipAddress.flatMap(IPAddress.init)
                    else { throw ChannelError.alreadyClosed }
                    try channel.pipeline.syncOperations.addHandler(
                        TCPConnection(peer: peer, service: service.value))
                }
            }
    }

    /// Stops accepting, lets connections finish for as long as `patience`, then closes them.
    func stop(patience: TimeAmount) {
        for listener in listeners { try? listener.close().wait() }
        let service = service
        let loop = group.next()
        let finished = loop.flatSubmit { service.value.finishAll() }
        let deadline = loop.makePromise(of: Void.self)
        finished.cascade(to: deadline)
        let timer = loop.scheduleTask(in: patience) { deadline.succeed() }
        try? deadline.futureResult.wait()
        timer.cancel()
        try? group.syncShutdownGracefully()
    }
}

/// Where no descriptor or memory is left for a newcomer: closes the connection that is idle for longest
/// and has the listener rest, which would otherwise be told of the same newcomer again and again.
private final class AcceptFailures: ChannelInboundHandler {
    typealias InboundIn = any Channel

    /// Long enough to cost nothing, short enough for clients not to notice.
    private static let rest = TimeAmount.milliseconds(100)

    private let service: TCPService

    init(service: TCPService) { self.service = service }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let code = (error as? IOError)?.errnoCode,
            [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code)
        else { return }
        service.makeRoom()
        let listener = context.channel
        _ = listener.setOption(.autoRead, value: false)
        context.eventLoop.scheduleTask(in: Self.rest) {
            _ = listener.setOption(.autoRead, value: true)
        }
    }
}
