// Whom a probe with TLS trusts, and for whom the certificate has to be: what all types with TLS share.
//
//     host: www.example.com   # required: SNI and the name (or address) the certificate is for
//     insecure: false         # true takes any certificate, and host may be left out
//     # ca_file: ca.pem       # trust these authorities only; default: those of the system;
//                             # relative to this file's directory
//     # min_days: 14          # fail if the certificate, or one of those above it that verify it,
//                             # ends in fewer whole days; default: no look at it
//
// With `insecure: true` nothing is verified, and `min_days` is about the server's own certificate.

internal import Cryptography
internal import DNSWire
internal import NIOCore
internal import Settings

/// How the other side of a TLS connection is verified.
struct TLSSettings: Sendable, Hashable {
    /// Keys beside `host`, which the owner reads.
    static let keys = ["insecure", "ca_file", "min_days"]
    /// Public authorities give 398 days at the most; private ones often ten years.
    private static let days = 0...3_650

    let trust: TLSContext.Trust
    let host: String?
    let leastDays: Int?

    init?(_ settings: SettingsMapping, host: String?, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let insecure = settings["insecure"]?.boolean(&diagnostics) ?? false
        let authorities = settings["ca_file"].flatMap { Self.authorities($0, &diagnostics) }
        leastDays = settings["min_days"].flatMap { $0.integer(in: Self.days, &diagnostics) }
        if insecure, let unused = settings["ca_file"] {
            diagnostics.error(
                at: unused.position,
                "\(unused.path): insecure: true asks no authority; remove one of the two")
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
        }
        if !insecure, settings["ca_file"] == nil, !TLSContext.systemHasAuthorities {
            let subject = settings.path.isEmpty ? "" : "\(settings.path): "
            diagnostics.error(
                at: settings.position,
                "\(subject)this system has no authorities to verify certificates by; install its "
                    + "package ca-certificates, or name a file of them as \"ca_file\"")
        }
        guard diagnostics.errorCount == errorsBefore else { return nil }
        self.host = host
        trust = insecure ? .unverified : authorities.map { .authorities(pem: $0) } ?? .system
    }

    /// Reads the keys where whom to ask stands elsewhere, as in a URL.
    init?(_ settings: SettingsMapping, peer: String, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let insecure = settings["insecure"]?.boolean(&diagnostics) ?? false
        let authorities = settings["ca_file"].flatMap { Self.authorities($0, &diagnostics) }
        if insecure, let place = settings["insecure"] {
            diagnostics.warning(
                at: place.position,
                "\(place.path): any certificate passes, so that what is sent can be read by others; "
                    + "remove this, or name an authority with \"ca_file\"")
        }
        guard diagnostics.errorCount == errorsBefore else { return nil }
        leastDays = nil
        host = peer
        trust = insecure ? .unverified : authorities.map { .authorities(pem: $0) } ?? .system
    }

    /// Reports keys that mean nothing without TLS.
    static func refuse(
        _ settings: SettingsMapping, _ cure: String, _ diagnostics: inout Diagnostics
    ) {
        for key in keys {
            guard let setting = settings[key] else { continue }
            diagnostics.error(
                at: setting.position,
                "\(setting.path): there is no TLS here; \(cure), or remove this")
        }
    }

    /// The handler that does TLS for an attempt, as TLSClientHandler tells.
    ///
    /// - Parameter protocols: what to offer by ALPN.
    func handler(
        _ attempt: ProbeAttempt, protocols: [String] = []
    ) throws(OwnFault) -> TLSClientHandler {
        let peer = host.map { host in
            IPAddress(host).map { TLSClient.Peer.address($0.octets) } ?? .host(host)
        }
        do throws(TLSError) {
            let context = try attempt.trust.context(for: trust, protocols: protocols)
            return TLSClientHandler(
                try TLSClient(context, peer: peer), attempt, leastDays: leastDays)
        } catch {
            // Nothing was sent: whatever it is, it is here.
            throw OwnFault(description: "no TLS here: \(error)")
        }
    }

    // MARK: - Authorities

    /// A store of authorities: all that browsers trust are 250 KiB.
    private static let largestAuthorities = 4 << 20

    /// Reads and tries a PEM file; nil after reporting what is wrong with it.
    private static func authorities(
        _ setting: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> [UInt8]? {
        guard let path = setting.filePath(&diagnostics) else { return nil }
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
}

extension SettingsValue {
    /// The path of a file, where a relative one begins at the directory of the file with the setting.
    func filePath(_ diagnostics: inout Diagnostics) -> String? {
        guard let name = string(&diagnostics) else { return nil }
        guard !name.hasPrefix("/"), let slash = position.file.lastIndex(of: "/") else {
            return name
        }
        return position.file[...slash] + name
    }

    /// A host name, or an address, as certificates and Host headers have it; nil after reporting
    /// that it is neither.
    func host(_ diagnostics: inout Diagnostics) -> String? {
        if let text, IPAddress(text) != nil || isHostName(text) { return text }
        expected(
            "a host name in ASCII (xn-- for others) or an address, without a port", &diagnostics)
        return nil
    }
}

func isHostName(_ text: String) -> Bool {
    let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return text.utf8.count <= 253
        && labels.allSatisfy { label in
            (1...63).contains(label.count)
                && label.allSatisfy { octet in
                    (0x30...0x39).contains(octet) || (0x61...0x7A).contains(octet | 0x20)
                        || octet == UInt8(ascii: "-") || octet == UInt8(ascii: "_")
                }
        }
}
