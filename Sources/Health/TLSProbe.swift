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
//         # min_days: 14           # fail if the certificate ends sooner; default: no look at it
//         # source: 192.0.2.1      # ask from this address of this machine
//
// What ends sooner is one that does so in fewer whole days than that; the chain above it is not looked at.

internal import Cryptography
internal import NIOCore
internal import Settings

/// Makes a TLS connection, and leaves.
struct TLSProbe: Probe {
    static let type = "tls"
    static let keys = Endpoint.keys + ["host", "min_days"] + TLSSettings.keys
    /// Public authorities give 398 days at the most; private ones often ten years.
    private static let days = 0...3_650

    let endpoint: Endpoint
    let tls: TLSSettings
    let leastDays: Int?

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let host = settings["host"].flatMap { $0.host(&diagnostics) }
        let endpoint = Endpoint(settings, defaultPort: 443, &diagnostics)
        let tls = TLSSettings(settings, host: host, &diagnostics)
        leastDays = settings["min_days"].flatMap { $0.integer(in: Self.days, &diagnostics) }
        guard let endpoint, let tls, diagnostics.errorCount == errorsBefore else { return nil }
        self.endpoint = endpoint
        self.tls = tls
    }

    var port: Int? { endpoint.port }

    func start(_ attempt: ProbeAttempt) {
        attempt.connect(to: endpoint) { [self] in
            let secure = try tls.handler(attempt)
            return [secure, TLSProbeHandler(attempt, secure, leastDays: leastDays)]
        }
    }

    /// Whole days from `now` to a certificate's end, in seconds since 1970; negative after it.
    static func days(until end: Int64, now: Timestamp) -> Int {
        let seconds = Double(end) - Double(now.nanoseconds) / 1e9
        return Int((seconds / 86_400).rounded(.down))
    }
}

/// Looks at the certificate once the handshake is done.
private final class TLSProbeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let attempt: ProbeAttempt
    private let tls: TLSClientHandler
    private let leastDays: Int?

    init(_ attempt: ProbeAttempt, _ tls: TLSClientHandler, leastDays: Int?) {
        self.attempt = attempt
        self.tls = tls
        self.leastDays = leastDays
    }

    func channelActive(context: ChannelHandlerContext) {
        guard let end = tls.certificateEnd else {
            return attempt.fail(.handshake, "the server showed no certificate")
        }
        let days = TLSProbe.days(until: end, now: .now())
        let words =
            days < 0
            ? "certificate has expired"
            : "certificate ends in \(days) day\(days == 1 ? "" : "s")"
        if let leastDays, days < leastDays {
            attempt.fail(.handshake, "\(words), expected at least \(leastDays)")
        } else {
            attempt.pass(words)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        attempt.fail(error)
    }
}
