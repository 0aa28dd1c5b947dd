// The demo's origins: one little HTTP server for each, and a control port that stops and starts them.

import DNSWire
import NIOCore
import NIOPosix
import Synchronization

/// HTTP servers on loopback that say "ok" until they are stopped.
final class DemoOrigins: Sendable {
    /// One origin of the sample.
    struct Origin: Sendable {
        /// `POOL/ORIGIN`.
        var name: String
        var address: IPAddress
        var port: Int
    }

    private let origins: [Origin]
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let states = Mutex<[String: State]>([:])

    /// An origin that is not among the states is stopped.
    private enum State {
        case starting
        case running(any Channel)
    }

    init(_ origins: [Origin]) {
        self.origins = origins
    }

    /// Starts every origin, and the control port; returns its number.
    ///
    /// - Parameter controlPort: 0 takes any that is free.
    /// - Throws: when an address is taken; the message names it.
    func start(controlPort: UInt16) async throws(DemoError) -> Int {
        for origin in origins { try await start(origin) }
        let control = try await listen("127.0.0.1", Int(controlPort), option: "--control-port") {
            [self] request in
            await command(request)
        }
        return control.localAddress?.port ?? Int(controlPort)
    }

    func stop() async {
        try? await group.shutdownGracefully()
    }

    /// Obeys `stop/POOL` and `start/POOL`; a pool's origins go together.
    private func command(_ path: String) async -> (status: String, body: String) {
        let words = path.split(separator: "/").map(String.init)
        let chosen = origins.filter { words.count == 2 && $0.name.hasPrefix(words[1] + "/") }
        guard !chosen.isEmpty, words[0] == "stop" || words[0] == "start" else {
            let pools = Set(origins.map { $0.name.prefix { $0 != "/" } }).sorted()
            return (
                "404 Not Found",
                "try /stop/POOL or /start/POOL with one of \(pools.joined(separator: ", "))\n"
            )
        }
        do {
            for origin in chosen {
                if words[0] == "start" { try await start(origin) } else { await stop(origin) }
            }
        } catch {
            return ("503 Service Unavailable", "\(error)\n")
        }
        let names = chosen.map(\.name).joined(separator: ", ")
        return ("200 OK", "\(names) \(words[0] == "stop" ? "stopped" : "started")\n")
    }

    private func start(_ origin: Origin) async throws(DemoError) {
        let isStopped = states.withLock { states in
            guard states[origin.name] == nil else { return false }
            states[origin.name] = .starting
            return true
        }
        guard isStopped else { return }
        do {
            let channel = try await listen(origin.address.description, origin.port) { _ in
                ("200 OK", "ok from \(origin.name)\n")
            }
            states.withLock { $0[origin.name] = .running(channel) }
        } catch {
            states.withLock { $0[origin.name] = nil }
            throw error
        }
    }

    private func stop(_ origin: Origin) async {
        let channel = states.withLock { states -> (any Channel)? in
            guard case .running(let channel) = states[origin.name] else { return nil }
            states[origin.name] = nil
            return channel
        }
        try? await channel?.close()
    }

    private func listen(
        _ host: String, _ port: Int, option: String? = nil,
        _ answer: @escaping @Sendable (String) async -> (status: String, body: String)
    ) async throws(DemoError) -> any Channel {
        do {
            return try await ServerBootstrap(group: group)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(OneAnswer(answer))
                    }
                }
                .bind(host: host, port: port).get()
        } catch {
            let reason = (error as? IOError).map { systemMessage($0.errnoCode) } ?? "\(error)"
            throw DemoError(
                description: "the demo cannot listen on \(host):\(port): \(reason); "
                    + "is another demo running?"
                    + (option.map { " \($0) chooses another port" } ?? ""))
        }
    }
}

/// Why the demo could not start.
struct DemoError: Error, CustomStringConvertible {
    var description: String
}

/// Answers the first request of a connection and closes it.
private final class OneAnswer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// More than any request to a demo has.
    private static let requestLimit = 8_192

    private let answer: @Sendable (String) async -> (status: String, body: String)
    private var request = ""

    init(_ answer: @escaping @Sendable (String) async -> (status: String, body: String)) {
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        request += String(buffer: Self.unwrapInboundIn(data))
        guard request.contains("\r\n\r\n") else {
            if request.utf8.count > Self.requestLimit { context.close(promise: nil) }
            return
        }
        let words = request.prefix { $0 != "\r\n" }.split(separator: " ")
        let path = words.count > 1 ? String(words[1]) : "/"
        let channel = context.channel
        request = ""
        Task { [answer] in
            let (status, body) = await answer(path)
            let head =
                "HTTP/1.1 \(status)\r\nContent-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\n"
                + "Connection: close\r\n\r\n"
            try? await channel.writeAndFlush(ByteBuffer(string: head + body))
            try? await channel.close()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
