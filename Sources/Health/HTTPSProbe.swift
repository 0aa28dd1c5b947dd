// Monitors of type https: as http, within TLS 1.2 or above, with the certificate verified. Keys of
// its own, beside Monitor's and HTTPProbe's, with their defaults unless marked:
//
//     monitors:
//       web:
//         type: https
//         port: 443
//         host: www.example.com   # required: Host header, SNI, and the name the certificate is for
//         insecure: false         # true takes any certificate, and host may be left out
//         # ca_file: ca.pem       # trust these authorities only; default: those of the system;
//                                 # relative to this file's directory
//         # min_days: 14          # fail if a certificate ends sooner, see TLSSettings

internal import Settings

/// Asks in HTTP within TLS.
struct HTTPSProbe: Probe {
    static let type = "https"
    static let keys = HTTPExchange.keys + TLSSettings.keys

    let exchange: HTTPExchange
    let tls: TLSSettings

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let exchange = HTTPExchange(settings, defaultPort: 443, &diagnostics)
        let tls = TLSSettings(settings, host: exchange?.request.host, &diagnostics)
        guard let exchange, let tls else { return nil }
        self.exchange = exchange
        self.tls = tls
    }

    var port: Int? { exchange.request.endpoint.port }

    func start(_ attempt: ProbeAttempt) { exchange.start(attempt, tls) }
}
