// Where the server listens: an address and a port, as written in settings and on command lines.

public import DNSWire

/// An address and a port to listen on, for UDP and TCP alike.
public struct ListenAddress: Hashable, Sendable {
    /// The port of DNS (RFC 1035, section 4.2).
    public static let standardPort: UInt16 = 53

    public var address: IPAddress
    /// The port; 0 asks for any free one.
    public var port: UInt16

    public init(address: IPAddress, port: UInt16 = Self.standardPort) {
        self.address = address
        self.port = port
    }

    /// Whether this is 0.0.0.0 or `::`, every address of the machine.
    public var isWildcard: Bool { address.high == 0 && address.low == 0 }
}

extension ListenAddress: CustomStringConvertible, LosslessStringConvertible {
    /// Reads `127.0.0.1:5300`, `127.0.0.1`, `[::1]:53`, `[::1]` or `::1`; the port is 53 if absent.
    public init?(_ text: String) {
        var host = text[...]
        var portText: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            guard host.contains(":") else { return nil }
            portText = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
            host = text[..<colon]
            portText = text[text.index(after: colon)...]
        }
        guard let address = IPAddress(String(host)) else { return nil }
        self.init(address: address)
        if let portText {
            guard (1...5).contains(portText.utf8.count),
                portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let port = UInt16(portText)
            else { return nil }
            self.port = port
        }
    }

    /// Address and port, an IPv6 address in brackets (RFC 5952, section 6).
    public var description: String {
        address.family == .ipv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
}
