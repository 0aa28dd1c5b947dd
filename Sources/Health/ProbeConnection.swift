// How a probe gets its connection, over TCP or in datagrams, from the address that it is to use.

internal import DNSWire
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Settings

/// The ports that can be connected to.
let ports = 1...65_535

/// Where a probe asks, beside the address, and from where:
///
///     port: 443
///     source: 192.0.2.1        # ask from this address of this machine, or from [IPv4, IPv6];
///                              # default: what the system chooses
struct Endpoint: Sendable, Hashable {
    static let keys = ["port", "source"]

    var port: Int
    var sources: [IPAddress] = []

    init(port: Int) { self.port = port }

    /// - Parameter defaultPort: nil if the port has to be stated.
    init?(_ settings: SettingsMapping, defaultPort: Int?, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let setting =
            defaultPort == nil ? settings.required("port", &diagnostics) : settings["port"]
        port = setting?.integer(in: ports, &diagnostics) ?? defaultPort ?? 0
        sources = Self.sources(settings, &diagnostics)
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    /// Reads `source`: at most one address of each family.
    static func sources(
        _ settings: SettingsMapping, _ diagnostics: inout Diagnostics
    ) -> [IPAddress] {
        var sources: [IPAddress] = []
        for element in settings["source"]?.elements(&diagnostics) ?? [] {
            guard let address = element.text.flatMap({ IPAddress($0) }) else {
                element.expected("an address of this machine, as 192.0.2.1", &diagnostics)
                continue
            }
            if sources.contains(where: { $0.family == address.family }) {
                element.expected("one address of each family at the most", &diagnostics)
            }
            sources.append(address)
        }
        return sources
    }
}

extension Collection<IPAddress> {
    /// The one of the family of `address`.
    func fitting(_ address: IPAddress) -> IPAddress? { first { $0.family == address.family } }
}

extension ProbeAttempt {
    /// Connects to a port of the address; the handlers see all that follows, errors included.
    func connect(to endpoint: Endpoint, _ handlers: @escaping () throws -> [any ChannelHandler]) {
        let bound = NIOLoopBound((self, handlers), eventLoop: loop)
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(timeToConnect)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try bound.value.0.prepare(channel, bound.value.1())
                }
            }
        enter(.connect)
        lingers = true
        let source = endpoint.sources.fitting(address)
        do {
            if let source {
                // A local port is chosen when the other side is known, so that they never run out.
                bootstrap =
                    bootstrap
                    .channelOption(
                        ChannelOptions.Types.SocketOption(
                            level: .ip, name: .init(rawValue: IP_BIND_ADDRESS_NO_PORT)), value: 1
                    )
                    .bind(to: try SocketAddress(ipAddress: source.description, port: 0))
            }
            let target = try SocketAddress(ipAddress: address.description, port: endpoint.port)
            let connected = bootstrap.connect(to: target)
            connected.assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel): self.finish(with: channel)
                case .failure(let error):
                    if self.takeNextAddress(after: error, from: source) {
                        return self.connect(to: endpoint, bound.value.1)
                    }
                    self.fail(self.worstFailure(error, from: source), from: source)
                    self.finish()
                }
            }
        } catch {
            fail(error)
            finish()
        }
    }

    /// Opens a socket that sends datagrams to the address and hears of no other; the handlers see
    /// `channelActive` when they may send, and the datagrams as they would see octets of TCP.
    func connectDatagrams(
        port: Int, sources: [IPAddress], _ subtype: NIOBSDSocket.ProtocolSubtype = .default,
        _ handlers: @escaping () throws -> [any ChannelHandler]
    ) {
        let bound = NIOLoopBound((self, handlers), eventLoop: loop)
        let bootstrap = DatagramBootstrap(group: loop).protocolSubtype(subtype)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try bound.value.0.prepare(channel, bound.value.1())
                }
            }
        enter(.send)
        lingers = false
        let any = address.family == .ipv4 ? "0.0.0.0" : "::"
        let source = sources.fitting(address)
        do {
            let local = try SocketAddress(ipAddress: source?.description ?? any, port: 0)
            let target = try SocketAddress(ipAddress: address.description, port: port)
            bootstrap.bind(to: local).assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel):
                    self.finish(with: channel)
                    channel.connect(to: target).assumeIsolated().whenComplete { result in
                        switch result {
                        case .success:
                            channel.pipeline.fireUserInboundEventTriggered(DatagramHandler.Ready())
                        case .failure(let error):
                            self.fail(error, from: source)
                            channel.close(promise: nil)
                        }
                    }
                case .failure(let error):
                    self.fail(error, from: source)
                    self.finish()
                }
            }
        } catch {
            fail(error)
            finish()
        }
    }

    private func prepare(_ channel: any Channel, _ handlers: [any ChannelHandler]) throws {
        self.channel = channel
        let operations = channel.pipeline.syncOperations
        if !lingers { try operations.addHandler(DatagramHandler()) }
        try operations.addHandler(ProbeGate(self))
        try operations.addHandlers(handlers)
    }

    /// The end of the connection is that of the attempt.
    private func finish(with channel: any Channel) {
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.finish() }
    }
}

/// Next to the socket of every probe: bounds what is taken, and drains after the decision.
private final class ProbeGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let attempt: ProbeAttempt
    private var received = 0
    private var drained = 0

    init(_ attempt: ProbeAttempt) {
        self.attempt = attempt
    }

    func channelActive(context: ChannelHandlerContext) {
        // A free port on this very machine may be given to the probe itself, and it then connects
        // to itself (simultaneous open, RFC 9293, section 3.5).
        if let local = context.localAddress, local == context.remoteAddress {
            attempt.fail(.connect, "connection refused")
        } else {
            context.fireChannelActive()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let count = unwrapInboundIn(data).readableBytes
        guard !attempt.isDecided else {
            drained += count
            if drained > ProbeLimit.drained { context.close(promise: nil) }
            return
        }
        received += count
        if received > ProbeLimit.received {
            attempt.fail(attempt.step, "more than \(ProbeLimit.received) octets and no end")
        } else {
            context.fireChannelRead(data)
        }
    }
}

/// Makes a datagram socket look like a connection: active when it may send, octets without the
/// address they come from, which is always the same.
private final class DatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias InboundOut = ByteBuffer

    /// Tells it that the socket is connected.
    struct Ready: Sendable {}

    func channelActive(context: ChannelHandlerContext) {}

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is Ready { context.fireChannelActive() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(wrapInboundOut(unwrapInboundIn(data).data))
    }
}

// MARK: - Routes

/// Whether this machine knows a way to an address, as far as its own routing goes.
///
/// Connecting a UDP socket looks the way up and sends nothing.
func hasRoute(to address: IPAddress, from source: IPAddress?) -> Bool {
    let family = address.family == .ipv4 ? AF_INET : AF_INET6
    let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    if let source, let local = try? SocketAddress(ipAddress: source.description, port: 0) {
        // Safe: the address and its size belong together and outlive the call.
        _ = unsafe local.withSockAddr { unsafe bind(descriptor, $0, socklen_t($1)) }
    }
    // Any port will do.
    guard let target = try? SocketAddress(ipAddress: address.description, port: 9) else {
        return true
    }
    // Safe: as above.
    return unsafe target.withSockAddr { unsafe connect(descriptor, $0, socklen_t($1)) } == 0
}
