// Who is connected, the longest idle first: decides whose place a newcomer takes and who has been
// idle for too long. Belongs to one event loop.

import DNSWire
import NIOCore

/// The open connections of one loop, ordered by their last activity.
struct ConnectionTable: ~Copyable {
    /// The prefix that one site has: as in RFC 6177 for IPv6, the smallest routed one for IPv4.
    private static let networkLength = (ipv4: 24, ipv6: 56)

    private let limit: Int
    private let limitPerNetwork: Int
    /// A doubly linked list through the connections: all changes are O(1).
    private var idlest: TCPConnection?
    private var busiest: TCPConnection?
    private var byNetwork: [IPAddress: [TCPConnection]] = [:]
    private(set) var count = 0

    init(limit: Int, limitPerNetwork: Int) {
        self.limit = max(1, limit)
        self.limitPerNetwork = max(1, limitPerNetwork)
    }

    private func network(of address: IPAddress) -> IPAddress {
        address.masked(
            to: address.family == .ipv4 ? Self.networkLength.ipv4 : Self.networkLength.ipv6)
    }

    /// Adds a connection as the most recently active one; returns the one that has to go for it.
    ///
    /// The victim is the longest idle one of the newcomer's own network if that is full, else of
    /// all. It is no longer in the table when this returns.
    mutating func insert(_ connection: TCPConnection, at now: NIODeadline) -> TCPConnection? {
        let network = network(of: connection.peer)
        let neighbours = byNetwork[network] ?? []
        var victim: TCPConnection?
        if neighbours.count >= limitPerNetwork {
            victim = neighbours.min { $0.lastActive < $1.lastActive }
        } else if count >= limit {
            victim = idlest
        }
        if let victim { remove(victim) }
        byNetwork[network, default: []].append(connection)
        append(connection, at: now)
        count += 1
        return victim
    }

    /// Notes that a connection did something useful.
    mutating func touch(_ connection: TCPConnection, at now: NIODeadline) {
        guard connection.isListed else { return }
        unlink(connection)
        append(connection, at: now)
    }

    /// Removes a connection; does nothing if it is not in the table.
    mutating func remove(_ connection: TCPConnection) {
        guard connection.isListed else { return }
        unlink(connection)
        count -= 1
        let network = network(of: connection.peer)
        byNetwork[network]?.removeAll { $0 === connection }
        if byNetwork[network]?.isEmpty == true { byNetwork[network] = nil }
    }

    /// Removes and returns the longest idle connection if it was last active before `moment`.
    mutating func removeIdle(since moment: NIODeadline) -> TCPConnection? {
        guard let connection = idlest, connection.lastActive < moment else { return nil }
        remove(connection)
        return connection
    }

    /// The connections at this moment, in no order.
    var all: [TCPConnection] { byNetwork.values.flatMap { $0 } }

    // MARK: The list

    private mutating func append(_ connection: TCPConnection, at now: NIODeadline) {
        connection.lastActive = now
        connection.isListed = true
        connection.idler = busiest
        busiest?.busier = connection
        busiest = connection
        if idlest == nil { idlest = connection }
    }

    private mutating func unlink(_ connection: TCPConnection) {
        if idlest === connection { idlest = connection.busier }
        if busiest === connection { busiest = connection.idler }
        connection.idler?.busier = connection.busier
        connection.busier?.idler = connection.idler
        connection.idler = nil
        connection.busier = nil
        connection.isListed = false
    }
}
