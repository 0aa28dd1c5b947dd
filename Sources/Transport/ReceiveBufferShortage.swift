// Whether the kernel gives UDP sockets the room that a busy server needs: found out when they are
// opened, told once when the server starts.

/// Sockets with less room for queries than a busy server needs.
public struct ReceiveBufferShortage: Sendable {
    /// What a socket should have, counted as it is asked for.
    ///
    /// Queries wait there while the worker is off its processor. The kernel counts some 800 octets for
    /// one, and gives twice what it was asked for: 2 MiB hold about 5,000 queries, which is 10 ms of
    /// half a million a second.
    public static let neededOctets = 2 << 20

    /// Those with too little, in the order given, each once.
    public let addresses: [ListenAddress]
    /// What the least of them has, counted as it is asked for.
    public let octets: Int

    /// Nil if all have enough.
    ///
    /// - Parameter sockets: where each socket is bound, and the room that it has, where that is known.
    init?(_ sockets: [(address: ListenAddress, octets: Int?)]) {
        let short = sockets.filter { ($0.octets ?? .max) < Self.neededOctets }
        guard let least = short.compactMap(\.octets).min() else { return nil }
        octets = least
        var seen: Set<ListenAddress> = []
        addresses = short.map(\.address).filter { seen.insert($0).inserted }
    }
}

extension ReceiveBufferShortage: CustomStringConvertible {
    /// What is short, where, what it risks, and the cure.
    public var description: String {
        let addresses = addresses.map(\.description).joined(separator: ", ")
        return
            "UDP sockets have receive buffers of \(octets) octets (\(addresses)), \(Self.neededOctets) "
            + "are wanted: under load queries are lost while a worker waits for a processor; raise the "
            + "limit (net.core.rmem_max = \(ListeningSocket.wantedBufferOctets) in /etc/sysctl.d, then "
            + "sysctl --system) or give the server CAP_NET_ADMIN, then restart it"
    }
}
