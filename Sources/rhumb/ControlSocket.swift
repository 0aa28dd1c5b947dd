// The control socket: operators' requests come in here, a line each, and go to `Operations`. Whoever may write
// to the socket's file may ask anything; a client that is slow, or says nothing, costs a connection for a while
// and no more.

import Glibc
import NIOCore
import NIOPosix

/// The listening socket `control` in the state directory.
final class ControlSocket: Sendable {
    typealias Answer = @Sendable (_ line: [UInt8], _ user: UInt32?) async -> [UInt8]

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let listener: any Channel
    private let path: String

    /// Listens; a socket that a dead server has left there is replaced.
    ///
    /// - Parameter state: whose lock says that no server lives that has it.
    /// - Throws: `StateError`.
    init(
        _ state: StateDirectory, _ settings: ControlSettings, answer: @escaping Answer
    ) async throws {
        path = state.file("control")
        // Under another name until its rights are right.
        let aside = state.file(".control")
        guard aside.utf8.count <= ControlLimit.path else {
            throw StateError(
                "\(path): a path of \(path.utf8.count) octets, a socket's has at most "
                    + "\(ControlLimit.path - 1); name a directory with a shorter one with state: in rhumb.yaml"
            )
        }
        let loop = group.next()
        let connections = NIOLoopBoundBox.makeBoxSendingValue(0, eventLoop: loop)
        do {
            listener = try await ServerBootstrap(group: group)
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(ListenerRest())
                    }
                }
                .childChannelOption(.autoRead, value: false)
                // Clients may say that no request follows, and wait for the answer.
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelOption(.maxMessagesPerRead, value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard connections.value < ControlLimit.connections else {
                            throw ChannelError.operationUnsupported
                        }
                        connections.value += 1
                        channel.closeFuture.whenComplete { _ in connections.value -= 1 }
                        try channel.pipeline.syncOperations.addHandler(ControlConnection(answer))
                    }
                }
                .bind(unixDomainSocketPath: aside, cleanupExistingSocketFile: true).get()
        } catch {
            try? await group.shutdownGracefully()
            throw StateError("\(path) cannot be listened on: \(error)")
        }
        do {
            try settings.apply(to: aside)
            // Safe: both paths are passed terminated.
            guard unsafe rename(aside, path) == 0 else {
                throw StateError("\(path): \(systemMessage(errno))")
            }
        } catch {
            await stop()
            throw error
        }
    }

    func stop() async {
        try? await listener.close()
        // Safe: the path is passed terminated.
        _ = unsafe unlink(path)
        try? await group.shutdownGracefully()
    }
}

/// Where no descriptor is left for a newcomer: has the listener rest, which would otherwise be told of it
/// again and again.
private final class ListenerRest: ChannelInboundHandler {
    typealias InboundIn = any Channel

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let listener = context.channel
        _ = listener.setOption(.autoRead, value: false)
        context.eventLoop.scheduleTask(in: .milliseconds(100)) {
            _ = listener.setOption(.autoRead, value: true)
        }
    }
}

/// One client: a request at a time, each answered before the next is looked at.
private final class ControlConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answer: ControlSocket.Answer
    private var received: [UInt8] = []
    private var user: UInt32?
    private var isAnswering = false
    private var hasEnded = false
    /// Whether the client sends nothing more.
    private var isClosing = false
    private var deadline: Scheduled<Void>?

    init(_ answer: @escaping ControlSocket.Answer) { self.answer = answer }

    func channelActive(context: ChannelHandlerContext) {
        setDeadline(context)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let provider = context.channel as? any SocketOptionProvider
        guard let provider else { return context.read() }
        // The type is the kernel's `struct ucred`: three numbers of 32 bits.
        let credentials: EventLoopFuture<PeerCredentials> =
            provider.unsafeGetSocketOption(
                level: .socket, name: .init(rawValue: PeerCredentials.option))
        credentials.whenComplete { result in
            let (handler, context) = bound.value
            handler.user = try? result.get().user
            context.read()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytesView
        proceed(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !isAnswering { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else {
            return context.fireUserInboundEventTriggered(event)
        }
        isClosing = true
        closeIfDone(context)
    }

    /// Ends the connection once all that came is answered, if nothing more comes.
    private func closeIfDone(_ context: ChannelHandlerContext) {
        guard isClosing, !isAnswering, !received.contains(UInt8(ascii: "\n")) else { return }
        guard !received.isEmpty, !hasEnded else { return context.close(promise: nil) }
        // The end of all is that of a line, too.
        received.append(UInt8(ascii: "\n"))
        proceed(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        hasEnded = true
        deadline?.cancel()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func proceed(_ context: ChannelHandlerContext) {
        guard !isAnswering, !hasEnded else { return }
        guard let end = received.firstIndex(of: UInt8(ascii: "\n")) else {
            guard received.count <= ControlLimit.request else {
                hasEnded = true
                let refusal = ControlAnswer(
                    error: "a request of more than \(ControlLimit.request) octets")
                return write(encodeJSON(refusal), context)
            }
            return
        }
        let line = Array(received[..<end])
        received.removeSubrange(...end)
        isAnswering = true
        deadline?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let (answer, user, loop) = (answer, user, context.eventLoop)
        Task {
            let octets = await answer(line, user)
            loop.execute {
                let (handler, context) = bound.value
                handler.write(octets, context)
            }
        }
    }

    private func write(_ octets: [UInt8], _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        setDeadline(context)
        var buffer = context.channel.allocator.buffer(capacity: octets.count + 1)
        buffer.writeBytes(octets)
        buffer.writeInteger(UInt8(ascii: "\n"))
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { _ in
            let (handler, context) = bound.value
            if handler.hasEnded { return context.close(promise: nil) }
            handler.isAnswering = false
            handler.setDeadline(context)
            handler.proceed(context)
            handler.closeIfDone(context)
            if !handler.isAnswering, !handler.isClosing { context.read() }
        }
    }

    /// Ends the connection if nothing comes of it in time.
    private func setDeadline(_ context: ChannelHandlerContext) {
        deadline?.cancel()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: .seconds(Int64(ControlLimit.patienceSeconds)))
        {
            bound.value.close(promise: nil)
        }
    }
}

/// Who is at the other end (unix(7), SO_PEERCRED).
private struct PeerCredentials: Sendable {
    var process: Int32 = 0
    var user: UInt32 = 0
    var group: UInt32 = 0

    static let option: CInt = 17
}
