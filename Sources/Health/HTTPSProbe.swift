// Monitors of type https: as http, within TLS 1.2 or above, with the certificate verified. Keys of
// its own, beside Monitor's and with http's (path, method, expect), with their defaults unless marked:
//
//     monitors:
//       web:
//         type: https
//         port: 443
//         host: www.example.com   # required: Host header, SNI, and the name the certificate is for
//         insecure: false         # true takes any certificate, and host may be left out
//         # ca_file: ca.pem       # trust these authorities only; default: those of the system;
//                                 # relative to this file's directory

internal import Cryptography
internal import DNSWire
internal import Settings

/// Asks in HTTP within TLS.
struct HTTPSProbe: Probe {
    static let type = "https"
    static let keys = HTTPExchange.keys + ["insecure", "ca_file"]

    let exchange: HTTPExchange
    let trust: TLSContext.Trust

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let insecure = settings["insecure"]?.boolean(&diagnostics) ?? false
        let authorities = settings["ca_file"].map { Self.authorities($0, &diagnostics) }
        guard let exchange = HTTPExchange(settings, defaultPort: 443, &diagnostics) else {
            return nil
        }
        if insecure, let place = settings["insecure"] {
            diagnostics.warning(
                at: place.position,
                "\(place.path): any certificate passes, an expired or foreign one too; "
                    + "remove this and set \"host\" to have it verified")
        } else if settings["host"] == nil {
            let subject = settings.path.isEmpty ? "" : "\(settings.path): "
            diagnostics.error(
                at: settings.position,
                "\(subject)the key \"host\" is missing; it names whom the certificate has "
                    + "to be for (or set insecure: true to take any)")
            return nil
        }
        self.exchange = exchange
        switch authorities {
        case nil: trust = insecure ? .unverified : .system
        case .some(let pem?): trust = insecure ? .unverified : .authorities(pem: pem)
        case .some(nil): return nil
        }
    }

    var port: Int { exchange.port }

    func start(_ attempt: ProbeAttempt) {
        let peer = exchange.host.map { host in
            IPAddress(host).map { TLSClient.Peer.address($0.octets) } ?? .host(host)
        }
        attempt.connect(port: exchange.port) { [self] in
            let context = try attempt.trust.context(for: trust)
            let secure = try TLSClientHandler(TLSClient(context, peer: peer), attempt)
            return [secure] + exchange.handlers(for: attempt)
        }
    }

    // MARK: - Authorities

    /// A store of authorities: all that browsers trust are 250 KiB.
    private static let largestAuthorities = 4 << 20

    /// Reads and tries a PEM file; nil after reporting what is wrong with it.
    private static func authorities(
        _ setting: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> [UInt8]? {
        guard let name = setting.string(&diagnostics) else { return nil }
        let path = name.hasPrefix("/") ? name : directory(of: setting.position.file) + name
        let report = { (words: String, diagnostics: inout Diagnostics) in
            diagnostics.error(at: setting.position, "\(setting.path): \(path): \(words)")
        }
        let pem: [UInt8]
        do {
            pem = try readFile(path: path, limit: largestAuthorities)
        } catch {
            report(error.explanation, &diagnostics)
            return nil
        }
        do {
            _ = try TLSContext(trust: .authorities(pem: pem))
            return pem
        } catch {
            report("\(error)", &diagnostics)
            return nil
        }
    }

    private static func directory(of file: String) -> String {
        file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
    }
}
