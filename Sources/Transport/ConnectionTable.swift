// Who is connected, the longest idle first: decides whose place a newcomer takes and who has been
// idle for too long. Belongs to one event loop; every change is O(1), whatever the limits are.

import DNSWire
import NIOCore

/// The open connections of one loop, ordered by their last activity: all, and those of each network.
struct ConnectionTable: ~Copyable {
    /// The prefix that one site has: as in RFC 6177 for IPv6, the smallest routed one for IPv4.
    private static let networkLength = (ipv4: 24, ipv6: 56)

    private let limit: Int
    private let limitPerNetwork: Int
    private let everyone = ActivityList()
    private var networks: [IPAddress: ActivityList] = [:]

    /// A listed connection's place in both orders.
    struct Seats {
        fileprivate let all: ActivityList.Seat
        fileprivate let network: ActivityList.Seat
        fileprivate let neighbours: ActivityList
    }

    init(limit: Int, limitPerNetwork: Int) {
        self.limit = max(1, limit)
        self.limitPerNetwork = max(1, limitPerNetwork)
    }

    var count: Int { everyone.count }

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
        var victim: TCPConnection?
        if let neighbours = networks[network], neighbours.count >= limitPerNetwork {
            victim = neighbours.idlest
        } else if count >= limit {
            victim = everyone.idlest
        }
        if let victim { remove(victim) }
        // Looked up again: the victim may have been the last of this network.
        let neighbours = networks[network] ?? ActivityList()
        networks[network] = neighbours
        connection.seats = Seats(
            all: everyone.append(connection), network: neighbours.append(connection),
            neighbours: neighbours)
        connection.lastActive = now
        return victim
    }

    /// Notes that a connection did something useful.
    mutating func touch(_ connection: TCPConnection, at now: NIODeadline) {
        guard let seats = connection.seats else { return }
        everyone.moveToEnd(seats.all)
        seats.neighbours.moveToEnd(seats.network)
        connection.lastActive = now
    }

    /// Removes a connection; does nothing if it is not in the table.
    mutating func remove(_ connection: TCPConnection) {
        guard let seats = connection.seats else { return }
        connection.seats = nil
        everyone.remove(seats.all)
        seats.neighbours.remove(seats.network)
        if seats.neighbours.count == 0 { networks[network(of: connection.peer)] = nil }
    }

    /// Removes and returns the longest idle connection if it was last active before `moment`.
    mutating func removeIdle(since moment: NIODeadline) -> TCPConnection? {
        guard let connection = everyone.idlest, connection.lastActive < moment else { return nil }
        remove(connection)
        return connection
    }

    /// Removes and returns the longest idle connection of all.
    mutating func removeIdlest() -> TCPConnection? {
        guard let connection = everyone.idlest else { return nil }
        remove(connection)
        return connection
    }

    /// The connections at this moment, the longest idle first.
    var all: [TCPConnection] { everyone.all }
}

/// A doubly linked list of connections, the longest idle first.
private final class ActivityList {
    /// A connection's link; it keeps the connection until it is removed.
    final class Seat {
        let connection: TCPConnection
        var idler: Seat?
        var busier: Seat?

        init(_ connection: TCPConnection) { self.connection = connection }
    }

    private var first: Seat?
    private var last: Seat?
    private(set) var count = 0

    var idlest: TCPConnection? { first?.connection }

    var all: [TCPConnection] {
        Array(sequence(first: first, next: { $0?.busier }).lazy.compactMap { $0?.connection })
    }

    func append(_ connection: TCPConnection) -> Seat {
        let seat = Seat(connection)
        link(seat)
        count += 1
        return seat
    }

    func remove(_ seat: Seat) {
        unlink(seat)
        count -= 1
    }

    func moveToEnd(_ seat: Seat) {
        guard seat !== last else { return }
        unlink(seat)
        link(seat)
    }

    private func link(_ seat: Seat) {
        seat.idler = last
        last?.busier = seat
        last = seat
        if first == nil { first = seat }
    }

    private func unlink(_ seat: Seat) {
        if first === seat { first = seat.busier }
        if last === seat { last = seat.idler }
        seat.idler?.busier = seat.busier
        seat.busier?.idler = seat.idler
        seat.idler = nil
        seat.busier = nil
    }
}
