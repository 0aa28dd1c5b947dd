// Who is connected, the longest idle first: decides whose place a newcomer takes and who has been
// idle for too long. Connections are numbers; every change is O(1), whatever the limits are, and none
// allocates once there were as many connections before.

import DNSWire

/// The open connections, ordered by their last activity: all, and those of each network.
struct ConnectionTable: ~Copyable {
    /// The prefix that one site has: as in RFC 6177 for IPv6, the smallest routed one for IPv4.
    private static let networkLength = (ipv4: 24, ipv6: 56)
    /// The two orders.
    private static let everyone = 0
    private static let neighbours = 1
    /// No connection, or no list.
    private static let none: Int32 = -1

    private let limit: Int
    private let limitPerNetwork: Int
    private var seats: [Seat] = []
    /// List 0 has everyone; each of the others those of one network, and comes again when it is empty.
    private var lists = [ActivityList(network: nil)]
    private var emptyLists: [Int32] = []
    private var networks: [IPAddress: Int32] = [:]

    /// A connection's place in both orders.
    private struct Seat {
        /// By `everyone` and `neighbours`.
        var links: [2 of Links] = [Links(), Links()]
        /// Which list its network's is; `none` for a number that is no connection's.
        var list = ConnectionTable.none
        /// Nanoseconds of the monotonic clock.
        var lastActive: UInt64 = 0
    }

    private struct Links {
        var idler = ConnectionTable.none
        var busier = ConnectionTable.none
    }

    private struct ActivityList {
        let network: IPAddress?
        var idlest = ConnectionTable.none
        var busiest = ConnectionTable.none
        var count = 0
    }

    init(limit: Int, limitPerNetwork: Int) {
        self.limit = max(1, limit)
        self.limitPerNetwork = max(1, limitPerNetwork)
    }

    var count: Int { lists[0].count }

    /// The connection that has to go for a newcomer from there: the longest idle one of its own
    /// network if that is full, else of all; nil if there is room.
    func victim(for peer: IPAddress) -> Int? {
        if let list = networks[Self.network(of: peer)], lists[Int(list)].count >= limitPerNetwork {
            return Int(lists[Int(list)].idlest)
        }
        return count >= limit ? idlest : nil
    }

    /// The longest idle connection of all; nil if there is none.
    var idlest: Int? { count > 0 ? Int(lists[0].idlest) : nil }

    /// The longest idle connection if it was last active before `moment`.
    func idle(since moment: UInt64) -> Int? {
        guard let idlest, seats[idlest].lastActive < moment else { return nil }
        return idlest
    }

    /// Adds a connection as the most recently active one. Its number is one that none has.
    mutating func insert(_ connection: Int, from peer: IPAddress, at now: UInt64) {
        while seats.count <= connection { seats.append(Seat()) }
        precondition(seats[connection].list == Self.none, "a connection is inserted once")
        let network = Self.network(of: peer)
        let list = networks[network] ?? newList(network)
        seats[connection] = Seat(list: list, lastActive: now)
        link(connection, Self.everyone, into: 0)
        link(connection, Self.neighbours, into: list)
    }

    /// Notes that a connection did something useful.
    mutating func touch(_ connection: Int, at now: UInt64) {
        seats[connection].lastActive = now
        if Int(lists[0].busiest) != connection {
            unlink(connection, Self.everyone, from: 0)
            link(connection, Self.everyone, into: 0)
        }
        let list = seats[connection].list
        if Int(lists[Int(list)].busiest) != connection {
            unlink(connection, Self.neighbours, from: list)
            link(connection, Self.neighbours, into: list)
        }
    }

    mutating func remove(_ connection: Int) {
        let list = seats[connection].list
        unlink(connection, Self.everyone, from: 0)
        unlink(connection, Self.neighbours, from: list)
        seats[connection].list = Self.none
        if lists[Int(list)].count == 0, let network = lists[Int(list)].network {
            networks[network] = nil
            emptyLists.append(list)
        }
    }

    /// All connections, in no order.
    var all: [Int] { seats.indices.filter { seats[$0].list != Self.none } }

    private static func network(of address: IPAddress) -> IPAddress {
        address.masked(
            to: address.family == .ipv4 ? networkLength.ipv4 : networkLength.ipv6)
    }

    private mutating func newList(_ network: IPAddress) -> Int32 {
        let list: Int32
        if let empty = emptyLists.popLast() {
            list = empty
            lists[Int(list)] = ActivityList(network: network)
        } else {
            list = Int32(lists.count)
            lists.append(ActivityList(network: network))
        }
        networks[network] = list
        return list
    }

    private mutating func link(_ connection: Int, _ order: Int, into list: Int32) {
        let last = lists[Int(list)].busiest
        seats[connection].links[order] = Links(idler: last)
        if last == Self.none {
            lists[Int(list)].idlest = Int32(connection)
        } else {
            seats[Int(last)].links[order].busier = Int32(connection)
        }
        lists[Int(list)].busiest = Int32(connection)
        lists[Int(list)].count += 1
    }

    private mutating func unlink(_ connection: Int, _ order: Int, from list: Int32) {
        let gone = seats[connection].links[order]
        if gone.idler == Self.none {
            lists[Int(list)].idlest = gone.busier
        } else {
            seats[Int(gone.idler)].links[order].busier = gone.busier
        }
        if gone.busier == Self.none {
            lists[Int(list)].busiest = gone.idler
        } else {
            seats[Int(gone.busier)].links[order].idler = gone.idler
        }
        lists[Int(list)].count -= 1
    }
}
