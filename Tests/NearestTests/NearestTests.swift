// The main promise, over the whole way of a query: each client gets the nearest site that works, and
// everybody inside the scope of an answer gets the same one.
//
// Runs on geo/world.mmdb; `scripts/verify-nearest` runs it on a full City database.

import Authority
import DNSWire
import Testing

@Suite("nearest")
struct NearestTests {
    /// Batches run side by side; each draws its own networks, the same in every run.
    static let batches = 0..<4
    /// 20,000 together.
    static let networksEach = 5_000
    /// 2,000 together, with 50 addresses each.
    static let scopesEach = 500
    static let addressesInScope = 50

    @Test("each network is answered with its nearest site", arguments: batches)
    func nearest(batch: Int) throws {
        var trial = try Trial("nearest", seed: UInt64(100 + batch))
        let health = Health(0, &trial.random)
        let snapshot = trial.sample.snapshot(health)
        for _ in 0..<Self.networksEach {
            trial.check(.web, trial.drawClient(), health, snapshot)
        }
        trial.finish()
        // Else nothing was compared with nothing.
        #expect(trial.answered.count == Site.all.count)
        #expect(trial.located > trial.asked / 2, "of \(trial.asked)")
        #expect(trial.ipv6 > trial.asked / 3, "of \(trial.asked)")
    }

    @Test("with origins down it is the nearest that works", arguments: batches)
    func nearestThatWorks(batch: Int) throws {
        var trial = try Trial("nearest that works", seed: UInt64(200 + batch))
        for round in 0..<50 {
            // The last rounds have nothing left at all: the fallback.
            let health = Health(Double(round) / 45, &trial.random)
            let snapshot = trial.sample.snapshot(health)
            for _ in 0..<20 { trial.check(.web, trial.drawClient(), health, snapshot) }
            for _ in 0..<20 { trial.check(.chat, trial.drawClient(), health, snapshot) }
        }
        trial.finish()
        #expect(trial.answered.count == Site.all.count)
    }

    @Test("the first rule that matches the client's place decides", arguments: batches)
    func rules(batch: Int) throws {
        var trial = try Trial("rules", seed: UInt64(300 + batch))
        let health = Health(0, &trial.random)
        let snapshot = trial.sample.snapshot(health)
        for _ in 0..<1_000 {
            trial.check(.chat, trial.drawClient(withPrivate: true), health, snapshot)
        }
        trial.finish()
        #expect(trial.rules.count == 4, "each rule has decided")
    }

    @Test("everybody inside the scope gets the same decision", arguments: batches)
    func scope(batch: Int) throws {
        var trial = try Trial("scope", seed: UInt64(400 + batch))
        var health = Health(0, &trial.random)
        var snapshot = trial.sample.snapshot(health)
        for count in 0..<Self.scopesEach {
            if count % 50 == 25 { health = Health(0.4, &trial.random) }
            if count % 50 == 0 { health = Health(0, &trial.random) }
            if count % 25 == 0 { snapshot = trial.sample.snapshot(health) }
            let service: SampleService = count % 4 == 3 ? .chat : .web
            let client = trial.drawClient(withPrivate: service == .chat)
            trial.checkScope(service, client, health, snapshot)
        }
        trial.finish()
    }
}

/// One batch: asks, compares, counts.
struct Trial: ~Copyable {
    let sample: Sample
    var random: Randomness
    private let what: String
    private var asker: Asker
    private(set) var asked = 0
    private(set) var located = 0
    private(set) var ipv6 = 0
    private(set) var answered: Set<Int> = []
    private(set) var rules: Set<Int> = []
    private var mismatches = 0

    init(_ what: String, seed: UInt64) throws {
        sample = try Sample.shared.get()
        random = Randomness(state: seed)
        asker = Asker(seed: seed)
        self.what = what
    }

    /// A network as resolvers disclose them, from where the database has some.
    ///
    /// - Parameter withPrivate: whether some are to be inside or around private networks.
    mutating func drawClient(withPrivate: Bool = false) -> IPNetwork {
        if withPrivate, Int.random(in: 0..<8, using: &random) == 0 {
            let start: UInt32 = pick([0x0A00_0000, 0xC0A8_0000])
            let noise = UInt32.random(in: 0...0x01FF_FFFF, using: &random)
            return network(around: IPAddress(ipv4: start ^ noise), database: 24)
        }
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<4:
            // Any address at all.
            var address = IPAddress(ipv4: .random(in: .min ... .max, using: &random))
            while !isPublic(address) {
                address = IPAddress(ipv4: .random(in: .min ... .max, using: &random))
            }
            return network(around: address, database: 24)
        case 4..<11:
            let (address, length) = sample.database.drawAddress(.ipv4, &random)
            return network(around: address, database: length)
        case 11..<18:
            let (address, length) = sample.database.drawAddress(.ipv6, &random)
            return network(around: address, database: length)
        default:
            let (inner, length) = sample.database.drawAddress(.ipv4, &random)
            let kind = pick(Carrying.allCases)
            let address = kind.address(of: inner, &random)
            return network(around: address, database: kind == .sixToFour ? 16 + length : 128)
        }
    }

    /// The network around an address: as long as usual, as the database has it, or anything.
    private mutating func network(around address: IPAddress, database length: Int) -> IPNetwork {
        let isIPv4 = address.family == .ipv4
        let usual = isIPv4 ? [24, 24, 24, 16, 20, 32] : [56, 56, 48, 48, 32, 64, 128]
        let any = isIPv4 ? 8...32 : 20...128
        var chosen = length
        switch Int.random(in: 0..<4, using: &random) {
        case 0: chosen = Int.random(in: any, using: &random)
        case 1: break
        default: chosen = pick(usual)
        }
        return networkOf(address, min(max(chosen, any.lowerBound), any.upperBound))
    }

    private mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }

    // MARK: - Checks

    /// Asks for one client and compares with brute force; nil if the answer is wrong.
    ///
    /// What counts of a network is its first address, also if its parts are far from each other.
    ///
    /// - Parameter disclosure: how the client is known; nil draws it, mostly by its subnet.
    @discardableResult
    mutating func check(
        _ service: SampleService, _ client: IPNetwork, _ health: Health, _ snapshot: Snapshot,
        by disclosure: Disclosure? = nil
    ) -> Reply? {
        let type: RecordType = Bool.random(using: &random) ? .a : .aaaa
        let isDirect = Int.random(in: 0..<16, using: &random) == 0
        let disclosure = disclosure ?? (isDirect ? .source(client.address) : .subnet(client))
        let place = sample.database.place(of: client.address)
        let choice = choice(service, client.address)
        asked += 1
        if place.latitude != nil { located += 1 }
        if client.address.family == .ipv6 { ipv6 += 1 }
        rules.insert(choice.rule)
        let allowed = choice.allowed(isUsable: health.isUsable)
        let reply = asker.ask(service.rawValue, type, disclosure, snapshot)
        guard let reply, let site = health.site(of: reply.addresses), allowed.contains(site) else {
            report(
                """
                \(service) \(type), client by \(disclosure): answered \(reply, default: "nothing"), \
                not \(allowed.map { Site.all[$0].name }), rule \(choice.rule), \(place), \
                down \(health.down.sorted())
                """)
            return nil
        }
        answered.insert(site)
        return reply
    }

    /// Asks for one client, then for addresses all over the scope of the answer.
    mutating func checkScope(
        _ service: SampleService, _ client: IPNetwork, _ health: Health, _ snapshot: Snapshot
    ) {
        let reply = check(service, client, health, snapshot, by: .subnet(client))
        guard let scope = reply?.scope else { return }
        guard let network = IPNetwork(client.address, length: scope) else {
            return report("\(service) \(client): a scope of \(scope)")
        }
        if service == .web { checkScopeIsNeeded(client, scope) }
        let choice = choice(service, client.address)
        for index in 0..<NearestTests.addressesInScope {
            let address =
                switch index {
                case 0: network.address
                case 1: joined(network, UInt64.max, UInt64.max)
                default: joined(network, random.next(), random.next())
                }
            let own = networkOf(address, Int(address.family.rawValue))
            let reply = check(service, own, health, snapshot, by: .subnet(own))
            guard let reply else { continue }
            // The whole order of sites: whatever fails next, the scope was told before.
            if !self.choice(service, address).agrees(with: choice) {
                report("\(service) \(client): \(address) decides otherwise, inside \(network)")
            }
            if reply.scope != scope {
                report("\(service) \(address): scope \(reply.scope ?? -1) inside \(network)")
            }
        }
    }

    /// Where neighbours are told apart by the database alone, a scope longer than its network would
    /// only cost resolvers room.
    private mutating func checkScopeIsNeeded(_ client: IPNetwork, _ scope: Int) {
        let place = sample.database.place(of: client.address)
        var length = place.length
        if carriedIPv4(client.address) != nil {
            length += client.address.octets.starts(with: Carrying.sixToFour.prefix) ? 16 : 96
        }
        // Spaces that carry IPv4 are cut out of what the database has around them.
        guard let network = IPNetwork(client.address, length: length) else { return }
        let holdsCarrying = Carrying.allCases.contains { kind in
            network.length < kind.prefix.count * 8
                && network.contains(kind.firstAddress)
        }
        if scope > length, !holdsCarrying {
            report("\(client): scope \(scope), but the database has \(network)")
        }
    }

    private func choice(_ service: SampleService, _ address: IPAddress) -> Choice {
        service.choice(
            for: sample.database.place(of: address), at: carriedIPv4(address) ?? address)
    }

    // MARK: - Reporting

    /// Some are shown, all are counted.
    private static let reportsShown = 10

    private mutating func report(_ message: String) {
        mismatches += 1
        if mismatches <= Self.reportsShown { Issue.record("\(message)") }
    }

    /// Ends the batch; on a database that isn't shipped, says what was compared.
    mutating func finish() {
        if mismatches > Self.reportsShown { Issue.record("\(what): \(mismatches) mismatches") }
        guard !sample.isShipped else { return }
        print(
            "\(what): \(asked) answers, \(ipv6) of them to IPv6, \(located) with coordinates,",
            "\(mismatches) mismatches")
    }
}

// MARK: - Addresses

/// An address of a network; the bits after its length are those given.
func joined(_ network: IPNetwork, _ high: UInt64, _ low: UInt64) -> IPAddress {
    let bits = Int(network.address.family.rawValue)
    let noise = IPAddress(family: network.address.family, high: high, low: low).masked(to: bits)
    let kept = noise.masked(to: network.length)
    return IPAddress(
        family: noise.family, high: network.address.high | (noise.high ^ kept.high),
        low: network.address.low | (noise.low ^ kept.low))
}

/// The network of a length that fits the family.
func networkOf(_ address: IPAddress, _ length: Int) -> IPNetwork {
    guard let network = IPNetwork(address, length: length) else {
        preconditionFailure("\(address) has no \(length) bits")
    }
    return network
}

/// Whether an IPv4 address is neither private, nor loopback, nor link-local, nor beyond unicast.
func isPublic(_ address: IPAddress) -> Bool {
    let octets = address.octets
    switch octets[0] {
    case 0, 10, 127, 224...255: return false
    case 100: return !(64...127).contains(octets[1])
    case 169: return octets[1] != 254
    case 172: return !(16...31).contains(octets[1])
    case 192: return octets[1] != 168
    default: return true
    }
}

/// SplitMix64: the same numbers in every run.
struct Randomness: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
