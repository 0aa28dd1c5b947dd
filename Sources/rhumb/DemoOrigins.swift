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
    private let running = Mutex<[String: any Channel]>([:])

    init(_ origins: [Origin]) {
        self.origins = origins
    }

    /// Starts every origin, and the control port.
    ///
    /// - Throws: when an address is taken; the message names it.
    func start(controlPort: Int) async throws(DemoError) {
        for origin in origins { try await start(origin) }
        _ = try await listen("127.0.0.1", controlPort) { [self] request in
            await command(request)
        }
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
        for origin in chosen {
            if words[0] == "start" {
                try? await start(origin)
            } else {
                let channel = running.withLock { $0.removeValue(forKey: origin.name) }
                try? await channel?.close()
            }
        }
        let names = chosen.map(\.name).joined(separator: ", ")
        return ("200 OK", "\(names) \(words[0] == "stop" ? "stopped" : "started")\n")
    }

    private func start(_ origin: Origin) async throws(DemoError) {
        guard running.withLock({ $0[origin.name] == nil }) else { return }
        let channel = try await listen(origin.address.description, origin.port) { _ in
            ("200 OK", "ok from \(origin.name)\n")
        }
        running.withLock { $0[origin.name] = channel }
    }

    private func listen(
        _ host: String, _ port: Int,
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
            throw DemoError(
                description: "the demo cannot listen on \(host):\(port): \(error); is another demo running?")
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
