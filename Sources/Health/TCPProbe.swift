// Monitors of type tcp: a connection that is accepted passes, and answers as expected where that is
// set. Keys of its own, beside Monitor's:
//
//     monitors:
//       database:
//         type: tcp
//         port: 5432            # required
//         # send: 'PING\r\n'    # what to send; \r \n \t \\ \x00 to \xFF stand for other octets
//         # expect: '+PONG'     # has to be in the first 4 KiB that come, also without `send`
//         # source: 192.0.2.1   # ask from this address of this machine, or [IPv4, IPv6]

internal import NIOCore
internal import Settings

/// Connects, says and hears something if it is to, and leaves.
struct TCPProbe: Probe {
    static let type = "tcp"
    static let keys = Endpoint.keys + ["send", "expect"]
    /// More than a greeting or a command has.
    private static let textLimit = 1_024
    static let answerLimit = 4_096

    let endpoint: Endpoint
    let message: [UInt8]?
    let expected: ContentExpectation?

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let endpoint = Endpoint(settings, defaultPort: nil, &diagnostics)
        message = settings["send"].flatMap { $0.octets(limit: Self.textLimit, &diagnostics) }
        expected = settings["expect"].flatMap { $0.octets(limit: Self.textLimit, &diagnostics) }
            .map { ContentExpectation(text: $0, limit: Self.answerLimit) }
        guard let endpoint, diagnostics.errorCount == errorsBefore else { return nil }
        self.endpoint = endpoint
    }

    /// One that only connects.
    init(port: Int) {
        endpoint = Endpoint(port: port)
        message = nil
        expected = nil
    }

    var port: Int? { endpoint.port }

    func start(_ attempt: ProbeAttempt) {
        attempt.connect(to: endpoint) { [self] in [TCPProbeHandler(self, attempt)] }
    }
}

private final class TCPProbeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let probe: TCPProbe
    private let attempt: ProbeAttempt
    private var search: ContentSearch?

    init(_ probe: TCPProbe, _ attempt: ProbeAttempt) {
        self.probe = probe
        self.attempt = attempt
        search = probe.expected.map { ContentSearch($0) }
    }

    func channelActive(context: ChannelHandlerContext) {
        guard let message = probe.message else { return hear("connected") }
        attempt.enter(.send)
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenSuccess { self.hear("connected and sent") }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: message)), promise: sent)
    }

    /// All is said; passes unless an answer is expected.
    private func hear(_ words: String) {
        guard !attempt.isDecided else { return }
        guard probe.expected != nil else { return attempt.pass(words) }
        attempt.enter(.body, "waiting for the answer")
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let expected = probe.expected, !attempt.isDecided else { return }
        if search?.feed(unwrapInboundIn(data).readableBytesView) == true {
            attempt.pass("answer has \(expected.words)")
        } else if search?.isExhausted == true {
            attempt.fail(.body, "\(expected.words) not in the first \(expected.limit) octets")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard let expected = probe.expected, let search else {
            return attempt.fail(attempt.step, "connection closed by the origin")
        }
        attempt.fail(
            .body,
            "connection closed by the origin, \(expected.words) not in its "
                + "\(search.count) octets")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        attempt.fail(error)
    }
}
