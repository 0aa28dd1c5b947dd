// Monitors of type tcp: a connection that is accepted passes. Keys of its own, beside Monitor's:
//
//     monitors:
//       database:
//         type: tcp
//         port: 5432         # required

internal import NIOCore
internal import Settings

/// Connects, and leaves.
struct TCPProbe: Probe {
    static let type = "tcp"
    static let keys = ["port"]

    let port: Int

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        guard let port = settings.required("port", &diagnostics)?.integer(in: ports, &diagnostics)
        else { return nil }
        self.port = port
    }

    func start(_ attempt: ProbeAttempt) {
        attempt.connect(port: port) { [TCPProbeHandler(attempt)] }
    }
}

/// The ports that can be connected to.
let ports = 1...65_535

private final class TCPProbeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let attempt: ProbeAttempt

    init(_ attempt: ProbeAttempt) {
        self.attempt = attempt
    }

    func channelActive(context: ChannelHandlerContext) {
        // A free port on this very machine may be given to the probe itself, and it then connects
        // to itself (simultaneous open, RFC 9293, section 3.5).
        if let local = context.localAddress, local == context.remoteAddress {
            attempt.fail(.connect, "connection refused")
        } else {
            attempt.pass("connected")
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        attempt.fail(error)
    }
}
