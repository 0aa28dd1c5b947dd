// Origins on loopback that fail in every way the network knows, switchable while they run.

import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A TCP server whose behaviour a test sets.
final class FaultServer: Sendable {
    enum Behaviour: Sendable {
        /// Answers the first octets that come with these, then closes.
        case answer(String)
        /// As `answer`, and leaves the connection open.
        case answerAndHold(String)
        /// Closes each connection at once, in order.
        case close
        /// Resets each connection at once.
        case reset
        /// Resets when the request is there.
        case resetOnRequest
        /// Reads, and never says anything.
        case stall
        /// Sends these one octet at a time.
        case drip(String, every: TimeAmount)
        /// Sends the first text, then the second for ever.
        case endless(String, String)
    }

    let port: Int
    /// Whether it answers a connection, in place of the first octets that come.
    fileprivate let speaksFirst: Bool
    private let channel: any Channel
    private let state: Mutex<State>

    private struct State {
        var behaviour: Behaviour
        var connections = 0
        var open: [any Channel] = []
        var resets = 0
        var mostOpen = 0
        var peers: [String] = []
    }

    var behaviour: Behaviour {
        get { state.withLock { $0.behaviour } }
        set { state.withLock { $0.behaviour = newValue } }
    }
    var connections: Int { state.withLock { $0.connections } }
    /// Connections that the client tore down with RST.
    var resets: Int { state.withLock { $0.resets } }
    var openNow: Int { state.withLock { $0.open.count } }
    var mostOpen: Int { state.withLock { $0.mostOpen } }

    /// The address of each client.
    var peers: [String] { state.withLock { $0.peers } }

    /// A server on a free port, or on `port`.
    init(
        _ behaviour: Behaviour, host: String = "127.0.0.1", port: Int = 0, speaksFirst: Bool = false
    ) async throws {
        let box = WeakBox()
        self.speaksFirst = speaksFirst
        state = Mutex(State(behaviour: behaviour))
        channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let server = box.server.withLock({ $0 }) else { return }
                    try channel.pipeline.syncOperations.addHandler(FaultHandler(server))
                }
            }
            .bind(host: host, port: port).get()
        self.port = channel.localAddress?.port ?? 0
        box.server.withLock { $0 = self }
    }

    func stop() async {
        try? await channel.close()
        for child in state.withLock({ $0.open }) { child.close(promise: nil) }
    }

    private final class WeakBox: Sendable {
        let server = Mutex<FaultServer?>(nil)
    }

    fileprivate func opened(_ channel: any Channel) {
        state.withLock {
            $0.connections += 1
            $0.open.append(channel)
            $0.peers.append(channel.remoteAddress?.ipAddress ?? "")
            $0.mostOpen = max($0.mostOpen, $0.open.count)
        }
    }

    fileprivate func closed(_ channel: any Channel) {
        state.withLock { state in state.open.removeAll { $0 === channel } }
    }

    fileprivate func wasReset() { state.withLock { $0.resets += 1 } }
}

private final class FaultHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let server: FaultServer
    private let behaviour: FaultServer.Behaviour
    private var hasAnswered = false

    init(_ server: FaultServer) {
        self.server = server
        behaviour = server.behaviour
    }

    func channelActive(context: ChannelHandlerContext) {
        server.opened(context.channel)
        switch behaviour {
        case .close: context.close(promise: nil)
        case .reset: reset(context)
        default: if server.speaksFirst { answer(context) }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { answer(context) }

    private func answer(_ context: ChannelHandlerContext) {
        guard !hasAnswered else { return }
        hasAnswered = true
        switch behaviour {
        case .answer(let text):
            send(text, context) { context.close(promise: nil) }
        case .answerAndHold(let text): send(text, context)
        case .resetOnRequest: reset(context)
        case .drip(let text, let pause): drip(Array(text.utf8)[...], pause, context)
        case .endless(let head, let text):
            send(head, context)
            endless(text, context)
        case .close, .reset, .stall: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if (error as? IOError)?.errnoCode == 104 { server.wasReset() }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { server.closed(context.channel) }

    private func send(
        _ text: String, _ context: ChannelHandlerContext, then next: (() -> Void)? = nil
    ) {
        let sent = context.channel.writeAndFlush(ByteBuffer(string: text))
        if let next { sent.assumeIsolated().whenSuccess(next) }
    }

    private func reset(_ context: ChannelHandlerContext) {
        guard let socket = context.channel as? any SocketOptionProvider else { return }
        let isSet = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        isSet.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }

    private func drip(
        _ octets: ArraySlice<UInt8>, _ pause: TimeAmount, _ context: ChannelHandlerContext
    ) {
        guard let octet = octets.first, context.channel.isActive else { return }
        context.channel.writeAndFlush(ByteBuffer(bytes: [octet]), promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: pause) {
            self.drip(octets.dropFirst(), pause, context)
        }
    }

    private func endless(_ text: String, _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        let sent = context.channel.writeAndFlush(ByteBuffer(string: text))
        // Not at once: what is sent already completes at once, and the stack would grow.
        sent.assumeIsolated().whenSuccess {
            context.eventLoop.assumeIsolated().execute { self.endless(text, context) }
        }
    }
}

/// A listening socket that nobody accepts from, with its queue filled: further SYNs are dropped.
final class FullListener {
    let port: Int
    private var sockets: [Int32] = []

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        sockets.append(listener)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // Safe: `address` is a sockaddr_in of that length in all three calls.
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(listener, generic, length) | listen(listener, 0)
                    | getsockname(listener, generic, &length)
            }
        }
        guard result == 0 else { throw ProgramError(description: "no listener") }
        port = Int(UInt16(bigEndian: address.sin_port))
        for _ in 0..<4 {
            let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            sockets.append(client)
            unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    _ = unsafe connect(client, generic, length)
                }
            }
        }
    }

    deinit { for socket in sockets { close(socket) } }
}
