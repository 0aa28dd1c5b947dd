// Networks that many use at once, each for itself: no database can know where their addresses are, so
// what one says of them does not count. Overrides and rules may name them.

public import DNSWire

/// Networks of the special-purpose address registries (RFC 6890, as of 2026) that are not globally
/// reachable.
///
/// Left out are the documentation prefixes (RFC 5737, RFC 3849, RFC 9637), which no client has and
/// which examples and tests give places, and what lies in a `FoldedSpace`.
public enum SpecialSpace {
    /// The networks with what they are for.
    public static let networks: [(network: IPNetwork, use: String)] = [
        ("0.0.0.0/8", "this network, RFC 1122"),
        ("10.0.0.0/8", "private space, RFC 1918"),
        ("100.64.0.0/10", "space shared behind carriers' NAT, RFC 6598"),
        ("127.0.0.0/8", "loopback, RFC 1122"),
        ("169.254.0.0/16", "link-local space, RFC 3927"),
        ("172.16.0.0/12", "private space, RFC 1918"),
        ("192.0.0.0/24", "protocol assignments, RFC 6890"),
        ("192.168.0.0/16", "private space, RFC 1918"),
        ("198.18.0.0/15", "benchmarks, RFC 2544"),
        ("240.0.0.0/4", "reserved, RFC 1112"),
        ("64:ff9b:1::/48", "local translation, RFC 8215"),
        ("100::/64", "discarded, RFC 6666"),
        ("2001::/23", "protocol assignments, RFC 2928"),
        ("5f00::/16", "segment routing, RFC 9602"),
        ("fc00::/7", "private space, RFC 4193"),
        ("fe80::/10", "link-local space, RFC 4291"),
    ].compactMap { text, use in IPNetwork(text).map { ($0, use) } }

    /// Returns the network that an address lies in, with its use; nil for all others.
    public static func containing(_ address: IPAddress) -> (network: IPNetwork, use: String)? {
        networks.first { $0.network.contains(address) }
    }
}
