// Monitors of type http: one HTTP/1.1 request, and a look at the status and the body's beginning.
// Keys of its own, beside Monitor's, with their defaults unless marked:
//
//     monitors:
//       web:
//         type: http
//         port: 80
//         path: /
//         host: www.example.com   # the Host header; default: the origin's host or address
//         method: GET             # GET or HEAD
//         expect:
//           status: [200-299]     # one or several of 100 to 599, or ranges of them
//           body: ok              # has to be in the first 64 KiB of the body; default: no look at it
//
// Redirects are not followed: a 301 is judged as what it is.

internal import Settings

/// Asks in plain HTTP.
struct HTTPProbe: Probe {
    static let type = "http"
    static let keys = HTTPExchange.keys

    let exchange: HTTPExchange

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        guard let exchange = HTTPExchange(settings, defaultPort: 80, &diagnostics) else {
            return nil
        }
        self.exchange = exchange
    }

    var port: Int { exchange.port }

    func start(_ attempt: ProbeAttempt) {
        attempt.connect(port: exchange.port) { [exchange] in exchange.handlers(for: attempt) }
    }
}
