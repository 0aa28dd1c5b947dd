// Monitors of type http: one HTTP/1.1 request, and a look at the status, the header fields and the
// body's beginning. Keys of its own, beside Monitor's, with their defaults unless marked:
//
//     monitors:
//       web:
//         type: http
//         port: 80
//         path: /
//         host: www.example.com      # the Host header; default: the origin's host or address
//         method: GET                # GET, HEAD, POST, PUT or OPTIONS
//         # headers: { Accept: text/html }   # further header fields of the request
//         # body: '{"deep": true}'   # of a POST or PUT request
//         redirects: 0               # follow so many, up to 5, on the same host and port
//         # source: 192.0.2.1        # ask from this address of this machine, or [IPv4, IPv6]
//         expect:
//           status: [200-299]        # one or several of 200 to 599, or ranges of them
//           # headers: { X-Ready: "yes" }    # the field is there and its value has this text
//           body: ok                 # has to be in the first 64 KiB of the body; default: no look
//           # matches: '"ok": *true' # or a regular expression (Pattern.swift) in place of `body`
//
// Without `redirects` a 301 is judged as what it is. One that leads to another host, port or scheme
// is a failure, as that would be another server's health; the address asked is always the same.

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

    var port: Int? { exchange.request.endpoint.port }

    func start(_ attempt: ProbeAttempt) { exchange.start(attempt, nil) }
}
