// What a configuration does to all clients: which share each pool gets, from how far, and what moves
// if something changes. The decisions are the server's own.

public import DNSWire
public import Geo

/// Who goes where, added up client by client.
public struct Simulation: Sendable {
    /// A part of the clients: all of them, a continent's, a country's.
    public struct Share: Sendable {
        /// How much they weigh: their addresses, or what a file says.
        public internal(set) var weight = 0.0
        /// By pool; the last one is "several, or none".
        public internal(set) var byPool: [Double]
        /// Of those whose place and pool are known.
        public internal(set) var located = 0.0
        var kilometres = 0.0
        /// Of the scopes' lengths.
        var scopes = 0.0
        /// By steps of `step` kilometres.
        var distances: [Double]

        static let step = 10.0

        init(pools: Int) {
            byPool = Array(repeating: 0, count: pools + 1)
            distances = Array(repeating: 0, count: 2_005)
        }

        /// The mean distance to the pool that is given, in kilometres; nil if no place is known.
        public var meanKilometres: Double? { located > 0 ? kilometres / located : nil }
        /// The mean length of the scope, in bits.
        public var meanScope: Double? { weight > 0 ? scopes / weight : nil }

        /// The distance that 95 % of clients don't exceed, to 10 km; nil if no place is known.
        public var percentile95: Double? {
            var rest = 0.95 * located
            guard located > 0 else { return nil }
            for (index, weight) in distances.enumerated() {
                rest -= weight
                if rest <= 0 { return Double(index + 1) * Self.step }
            }
            return Double(distances.count) * Self.step
        }
    }

    /// The names of the pools, in file order.
    public let pools: [String]
    /// The hosts of each pool's origins; empty for a pool of addresses.
    public let hosts: [[Name]]
    private let points: [SurfacePoint?]
    public private(set) var total: Share
    public private(set) var continents: [String: Share] = [:]
    public private(set) var countries: [String: Share] = [:]
    /// What goes elsewhere than by the other decisions, by `[from, to]`; the index after the last pool
    /// is "several, or none".
    public private(set) var moved: [[Int]: Double] = [:]
    /// The kilometres of all located clients to each pool alone, times their weight.
    private var alone: [Double]
    /// Whose place nobody knows.
    public private(set) var unlocated = 0.0

    public init(_ configuration: SteeringConfiguration) {
        pools = configuration.pools.map(\.name)
        hosts = configuration.pools.map { $0.origins.compactMap(\.host) }
        points = configuration.pools.map { $0.location.map(SurfacePoint.init) }
        total = Share(pools: configuration.pools.count)
        alone = Array(repeating: 0, count: configuration.pools.count)
    }

    /// Adds clients that were decided for together.
    ///
    /// - Parameters:
    ///   - pool: the index of their pool; nil for several together, or none.
    ///   - before: where they go by the decisions to compare with; nil if there are none.
    public mutating func add(
        weight: Double, location: Location?, pool: Int?, scope: UInt8, before: Int??
    ) {
        let slot = pool ?? pools.count
        var kilometres: Double?
        if let place = location?.coordinates.map(SurfacePoint.init) {
            kilometres = pool.flatMap { points[$0] }.map { place.distanceKilometres(to: $0) }
            if kilometres != nil {
                for (index, point) in points.enumerated() {
                    if let point { alone[index] += weight * place.distanceKilometres(to: point) }
                }
            }
        }
        if location == nil { unlocated += weight }
        func put(_ share: inout Share) {
            share.weight += weight
            share.byPool[slot] += weight
            share.scopes += weight * Double(scope)
            guard let kilometres else { return }
            share.located += weight
            share.kilometres += weight * kilometres
            let bin = min(share.distances.count - 1, Int(kilometres / Share.step))
            share.distances[bin] += weight
        }
        put(&total)
        let count = pools.count
        if let continent = location?.continent {
            put(&continents[continent, default: Share(pools: count)])
        }
        if let country = location?.country {
            put(&countries[country, default: Share(pools: count)])
        }
        if let before {
            let from = before ?? pools.count
            if from != slot { moved[[from, slot], default: 0] += weight }
        }
    }

    /// The share of clients that go elsewhere, from 0 to 1.
    public var movedShare: Double {
        total.weight > 0 ? moved.values.reduce(0, +) / total.weight : 0
    }

    /// How much longer the way of light would be to one pool alone, in milliseconds of round trip and
    /// on average over located clients; nil for a pool without a location.
    public func savedMilliseconds(againstPool index: Int) -> Double? {
        guard points[index] != nil, total.located > 0, let mean = total.meanKilometres else {
            return nil
        }
        return roundTripMilliseconds(alone[index] / total.located - mean)
    }
}

// MARK: - Running

extension Simulation {
    /// One configuration at one moment, by which clients are decided for.
    public struct Deciding: Sendable {
        public var state: SteeringState
        public var service: Int

        public init(_ state: SteeringState, service: Int) {
            self.state = state
            self.service = service
        }

        /// The pool's index, or nil for several together or none, and the scope.
        func decide(_ client: Client, random: UInt64) -> (pool: Int?, scope: UInt8) {
            let decision = state.decide(service: service, client: client, random: random)
            return (decision.pool >= 0 ? Int(decision.pool) : nil, decision.scope)
        }
    }

    /// Decides for every network that `places` knows, weighted by addresses: IPv4's, or IPv6's /64s.
    ///
    /// - Parameters:
    ///   - other: what to compare with; its pools are found by name.
    ///   - progress: is told now and then which part is done, from 0 to 1.
    ///   - each: gets each group of clients with their pool, for a map.
    public mutating func run(
        over places: PlaceMap, _ family: IPAddress.Family, by deciding: Deciding,
        against other: Deciding?, progress: (Double) -> Void = { _ in },
        each: (Location, Double, Int?) -> Void = { _, _, _ in }
    ) {
        let renamed = other.map { renamedPools($0) }
        let bits = family == .ipv4 ? 32 : 64
        var seed: UInt64 = 1
        var told: UInt64 = 0
        places.forEachNetwork(family) { network, location in
            if network.address.high >> 54 != told {
                told = network.address.high >> 54
                progress(Double(told) / 1_024)
            }
            // What nobody has located is hardly in use, and has no place to count for.
            guard let location else { return true }
            var high = network.address.high
            let end = high &+ (network.length == 0 ? 0 : 1 << UInt64(64 - network.length))
            repeat {
                let client = Client(IPAddress(family: family, high: high, low: 0))
                seed = mixed(seed)
                let (pool, scope) = deciding.decide(client, random: seed)
                var length = max(network.length, min(bits, Int(scope)))
                var before: Int??
                if let other, let renamed {
                    let (found, otherScope) = other.decide(client, random: seed)
                    length = max(length, min(bits, Int(otherScope)))
                    before = .some(found.flatMap { renamed[$0] })
                }
                let size: UInt64 = length == 0 ? 0 : 1 << UInt64(64 - length)
                let weight = Double(size) / Double(UInt64(1) << UInt64(64 - bits))
                add(weight: weight, location: location, pool: pool, scope: scope, before: before)
                each(location, weight, pool)
                high &+= size
                if size == 0 { break }
            } while high != end
            return true
        }
        progress(1)
    }

    /// Decides for clients that a file names.
    public mutating func run(
        over clients: [(client: Client, weight: Double)], _ geography: Geography,
        by deciding: Deciding, against other: Deciding?,
        each: (Location, Double, Int?) -> Void = { _, _, _ in }
    ) {
        let renamed = other.map { renamedPools($0) }
        var seed: UInt64 = 1
        for (client, weight) in clients {
            seed = mixed(seed)
            let (pool, scope) = deciding.decide(client, random: seed)
            var before: Int??
            if let other, let renamed {
                before = .some(other.decide(client, random: seed).pool.flatMap { renamed[$0] })
            }
            let known = geography.find(client.address).location
            let location = known?.isPlace == true ? known : nil
            add(weight: weight, location: location, pool: pool, scope: scope, before: before)
            if let location { each(location, weight, pool) }
        }
    }

    /// The index here of each pool of another configuration; nil for those that are gone.
    private func renamedPools(_ other: Deciding) -> [Int?] {
        other.state.steering.configuration.pools.map { pool in
            pools.firstIndex(of: pool.name)
        }
    }
}
