// Monitors of type tls: a TLS handshake (1.2 or above) and a look at the certificate. Keys of its
// own, beside Monitor's, with their defaults unless marked:
//
//     monitors:
//       mail:
//         type: tls
//         port: 443
//         host: imap.example.com   # required: SNI, and the name the certificate is for
//         insecure: false          # true takes any certificate, and host may be left out
//         # ca_file: ca.pem        # trust these authorities only; default: those of the system
//         # min_days: 14          # fail if a certificate ends sooner; default: no look at it
//         # source: 192.0.2.1      # ask from this address of this machine
//
// What `min_days` is about is told in TLSSettings.

internal import NIOCore
internal import Settings

/// Makes a TLS connection, and leaves.
struct TLSProbe: Probe {
    static let type = "tls"
    static let keys = Endpoint.keys + ["host"] + TLSSettings.keys

    let endpoint: Endpoint
    let tls: TLSSettings

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let host = settings["host"].flatMap { $0.host(&diagnostics) }
        let endpoint = Endpoint(settings, defaultPort: 443, &diagnostics)
        let tls = TLSSettings(settings, host: host, &diagnostics)
        guard let endpoint, let tls, diagnostics.errorCount == errorsBefore else { return nil }
        self.endpoint = endpoint
        self.tls = tls
    }

    var port: Int? { endpoint.port }

    func start(_ attempt: ProbeAttempt) {
        attempt.connect(to: endpoint) { [self] in
            let secure = try tls.handler(attempt)
            return [secure, TLSProbeHandler(attempt, secure)]
        }
    }
}

/// Passes once the handshake is done.
private final class TLSProbeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let attempt: ProbeAttempt
    private let tls: TLSClientHandler

    init(_ attempt: ProbeAttempt, _ tls: TLSClientHandler) {
        self.attempt = attempt
        self.tls = tls
    }

    func channelActive(context: ChannelHandlerContext) { attempt.pass(tls.endInWords) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        attempt.fail(error)
    }
}
