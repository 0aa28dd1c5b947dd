// What the steering tests share: configurations from text, geography from overrides alone, a seeded
// generator, health by name.

import DNSWire
import Geo
import Settings
import Testing

@testable import Steering

/// A small generator with a known sequence (xorshift64*).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed | 1 }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}

func parse(
    _ texts: String..., latency: String = ""
) -> (configuration: SteeringConfiguration?, messages: [String]) {
    var diagnostics = Diagnostics()
    let table =
        latency.isEmpty
        ? LatencyTable() : LatencyTable.parse(Array(latency.utf8), file: "l.csv", &diagnostics)
    let files = texts.enumerated().map {
        PoolFile(name: $0 == 0 ? "a.yaml" : "b.yaml", text: $1)
    }
    let configuration = SteeringConfiguration.parse(
        files, latency: table, diagnostics: &diagnostics)
    return (configuration, diagnostics.sorted.map(\.description))
}

/// Geography that knows only these overrides, as `NETWORK: { … }` lines, and a default, as `{ … }`.
func geography(_ overrides: String = "", default place: String? = nil) throws -> Geography {
    var diagnostics = Diagnostics()
    let lines = overrides.split(separator: "\n").map { "  \($0)\n" }.joined()
    let text =
        (overrides.isEmpty ? "" : "networks:\n\(lines)") + (place.map { "default: \($0)\n" } ?? "")
    let root = try #require(
        parseSettings(text, file: "overrides.yaml", diagnostics: &diagnostics))
    let parsed = LocationOverrides.parse(root, &diagnostics)
    #expect(diagnostics.all.isEmpty)
    return Geography(database: nil, overrides: parsed)
}

/// - Parameter latency: rows of measured round trips, with their header.
func steering(_ text: String, places: String = "", latency: String = "") throws -> Steering {
    let (configuration, messages) = parse(text, latency: latency)
    return try Steering(
        try #require(configuration, "\(messages)"), geography: geography(places))
}

/// A state where all is up but the addresses of these pools or origins.
func state(_ steering: Steering, down names: Set<String> = []) -> SteeringState {
    var health = HealthTable(count: steering.addresses.count, verdict: .up)
    for (index, address) in steering.addresses.enumerated() {
        let pool = steering.configuration.pools[address.pool]
        if names.contains(pool.name) || names.contains(pool.origins[address.origin].name)
            || names.contains(address.address.description)
        {
            health[index] = .down
        }
    }
    return SteeringState(steering, health: health)
}

func address(_ text: String) -> IPAddress {
    guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
    return address
}

extension SteeringState {
    func decide(_ service: String, _ client: String, random: UInt64 = 0) throws -> Decision {
        decide(
            service: try #require(steering.service(named: service)),
            client: Client(makeAddress(client)), random: random)
    }

    /// The name of the pool that a client gets.
    func pool(_ service: String, _ client: String, random: UInt64 = 0) throws -> String {
        let pool = try decide(service, client, random: random).pool
        return pool < 0 ? "several" : steering.configuration.pools[Int(pool)].name
    }

    func answers(_ service: String, _ client: String, random: UInt64 = 0) throws -> [String] {
        addresses(try decide(service, client, random: random)).map(\.description)
    }
}

private func makeAddress(_ text: String) -> IPAddress { address(text) }

/// Six pools around the world, two of them with two origins, all with both families.
let worldPools = """
    monitors: { m: { type: tcp } }
    pools:
      frankfurt: { monitor: m, location: [50.11, 8.68], origins: {
        fra1: { addresses: [192.0.2.10, "2001:db8::10"] },
        fra2: { addresses: [192.0.2.11, "2001:db8::11"] } } }
      virginia: { monitor: m, location: [39.04, -77.49], origins: {
        iad1: { addresses: [192.0.2.20, "2001:db8::20"] } } }
      tokyo: { monitor: m, location: [35.68, 139.69], min_healthy: 2, origins: {
        nrt1: { addresses: [192.0.2.30, "2001:db8::30"], weight: 3 },
        nrt2: { addresses: [192.0.2.31, "2001:db8::31"] } } }
      saopaulo: { monitor: m, location: [-23.55, -46.63], origins: {
        gru1: { addresses: [192.0.2.40, "2001:db8::40"] } } }
      sydney: { monitor: m, location: [-33.87, 151.21], origins: {
        syd1: { addresses: [192.0.2.50, "2001:db8::50"] } } }
      capetown: { monitor: m, location: [-33.92, 18.42], origins: {
        cpt1: { addresses: [192.0.2.60, "2001:db8::60"] } } }

    """

/// Clients' networks around the world, by documentation prefixes and some others.
let worldPlaces = """
    198.51.100.0/25: { country: GB, city: London, coordinates: [51.51, -0.13] }
    198.51.100.128/26: { country: BR, coordinates: [-22.9, -43.2] }
    203.0.113.0/24: { country: JP, coordinates: [34.69, 135.5] }
    203.0.113.128/28: { country: NZ, coordinates: [-36.85, 174.76] }
    10.1.0.0/16: { country: US, subdivision: US-CA, coordinates: [37.77, -122.42] }
    10.2.0.0/15: { country: KE, coordinates: [-1.29, 36.82] }
    10.8.0.0/13: { country: CA }
    "2001:db8:a::/48": { country: DE, coordinates: [52.52, 13.4] }
    "2001:db8:a:8000::/52": { country: AU, coordinates: [-31.95, 115.86] }
    """

/// Round trips from some of them, of every kind of key.
let worldLatency = """
    key,pool,rtt_ms
    198.51.100.0/26,virginia,9
    198.51.100.0/24,tokyo,20
    198.51.100.0/24,frankfurt,30
    US-CA,saopaulo,12
    US-CA,frankfurt,15
    KE,sydney,7
    region:SEAS,sydney,40
    region:NEAS,frankfurt,5
    continent:OC,virginia,11
    *,tokyo,150
    2001:db8:a::/52,saopaulo,2.5
    """

/// `steering` and `state` for suites that have something of that name.
func makeSteering(
    _ text: String, places: String = "", latency: String = ""
) throws -> Steering {
    try steering(text, places: places, latency: latency)
}

func makeState(_ steering: Steering, down: Set<String> = []) -> SteeringState {
    state(steering, down: down)
}
