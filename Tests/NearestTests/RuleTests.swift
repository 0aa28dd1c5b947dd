// Rules of every kind over the whole way of a query: what each client is answered is what brute force
// says, and the same for everybody inside the scope.
//
// Runs on geo/world.mmdb; `scripts/verify-nearest` runs it on a full City database.

import Authority
import DNSWire
import Geo
import Glibc
import Settings
import TestSupport
import Testing

@Suite("rules of every kind")
struct RuleTests {
    /// Worlds, side by side; each draws its own rules, the same in every run.
    static let worlds = 4
    /// With a full database: `scripts/verify-nearest` builds for speed.
    static let worldsInFull = 8

    @Test("answer every client as brute force does, and all of a scope alike")
    func rules() async throws {
        let sample = try Sample.shared.get()
        let kinds = try await withThrowingTaskGroup(of: Set<String>.self) { group in
            for world in 0..<(sample.isShipped ? Self.worlds : Self.worldsInFull) {
                group.addTask {
                    var trial = try RuleTrial(seed: UInt64(900 + world))
                    trial.run()
                    return trial.kinds
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.formUnion($1) }
        }
        // Else nothing was compared with nothing.
        let wanted = TestMatch.kinds + TestRule.Choice.allCases.map(\.rawValue)
        #expect(Set(wanted + ["a service", "no rule"]).subtracting(kinds).isEmpty, "\(kinds)")
    }
}

/// One world: asks, compares, counts.
struct RuleTrial: ~Copyable {
    private let sample: Sample
    private let world: TestWorld
    private let content: TestContent
    private var snapshot: Snapshot
    private var oracle: RuleOracle
    private var random: Randomness
    private var asker: Asker
    private var asked = 0
    private var located = 0
    private var ipv6 = 0
    private var mismatches = 0
    /// Of rules that decided.
    private(set) var kinds: Set<String> = []

    private static let services = 6
    private static let clientsEach = 250
    private static let scopesEach = 12
    private static let addressesInScope = 20
    private static let drawnEach = 3
    private static let draws = 300

    init(seed: UInt64) throws {
        let sample = try Sample.shared.get()
        var maker = RuleMaker(sample.database, sample.systems, seed: seed)
        let (world, content) = try Self.makeWorld(
            &maker, LocationDatabase(path: sample.path),
            sample.systemsPath.map { try LocationDatabase(path: $0, [.asn]) })
        self.sample = sample
        self.world = world
        self.content = content
        oracle = RuleOracle(
            world: world, down: [], database: sample.database, systems: sample.systems)
        snapshot = content.snapshot()
        random = maker.random
        asker = Asker(seed: seed)
    }

    /// Makes worlds until one has no rule that never matches, as earlier ones take all it has: such a
    /// rule is refused.
    private static func makeWorld(
        _ maker: inout RuleMaker, _ database: LocationDatabase, _ systems: LocationDatabase?
    ) throws -> (TestWorld, TestContent) {
        for _ in 0..<100 {
            let world = maker.makeWorld(services: services)
            do {
                let content = try TestContent(
                    zones: [(TestWorld.apex, world.zone)], pools: world.poolFile,
                    places: world.overridesFile, database: database, asnDatabase: systems)
                return (world, content)
            } catch let fault as TestContent.Fault {
                let errors = fault.findings.filter { $0.severity == .error }
                guard errors.allSatisfy({ $0.message.contains("never matches") }) else {
                    throw fault
                }
            }
        }
        throw NoWorld()
    }

    private struct NoWorld: Error {}

    mutating func run() {
        // What a full database takes is mostly its trees.
        let times = sample.isShipped ? 1 : 8
        for probability in [0, 0.2, 0.5, 0, 0.8, 1] {
            setHealth(probability)
            for _ in 0..<Self.clientsEach * times { check(drawService(), drawClient()) }
            for _ in 0..<Self.scopesEach * times { checkScope(drawService(), drawClient()) }
            for _ in 0..<Self.drawnEach { checkDraws() }
        }
        if mismatches > Self.reportsShown { Issue.record("\(mismatches) mismatches") }
        guard !sample.isShipped else { return }
        print(
            "rules of every kind: \(asked) answers, \(ipv6) of them to IPv6, \(located) with coordinates,",
            "\(mismatches) mismatches")
    }

    private mutating func setHealth(_ probability: Double) {
        var down: Set<String> = []
        for (pool, settings) in world.pools.enumerated() {
            for origin in settings.weights.indices
            where Double.random(in: 0..<1, using: &random) < probability {
                down.insert("\(pool).\(origin)")
            }
        }
        oracle = RuleOracle(
            world: world, down: down, database: sample.database, systems: sample.systems)
        snapshot = content.snapshot { pool, origin, _ in
            down.contains("\(pool.dropFirst()).\(origin.dropFirst())")
        }
    }

    // MARK: - Drawing

    private mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    private mutating func drawService() -> Int { below(world.services.count) }

    private mutating func drawClient() -> IPNetwork {
        switch below(8) {
        case 0:
            // At the edge of a network that a rule names, inside and outside.
            let networks = world.services.flatMap(\.networks)
            return networks.isEmpty ? drawClient() : edge(of: networks[below(networks.count)])
        case 1, 2: return edge(of: world.overrides[below(world.overrides.count)].network)
        case 3:
            let (address, length) = sample.database.drawAddress(.ipv4, &random)
            return edge(of: networkOf(address, max(length, 1)))
        case 4:
            let (inner, _) = sample.database.drawAddress(.ipv4, &random)
            let kind = Carrying.allCases[below(Carrying.allCases.count)]
            return networkOf(kind.address(of: inner, &random), 128)
        case 5:
            let (address, length) = sample.database.drawAddress(.ipv6, &random)
            return networkOf(address, [48, 56, 64, min(max(length, 20), 128)][below(4)])
        default:
            let (address, length) = sample.database.drawAddress(.ipv4, &random)
            return networkOf(address, [24, 24, 32, min(max(length, 8), 32)][below(4)])
        }
    }

    /// The first or the last address of a network, or the one before or behind it.
    private mutating func edge(of network: IPNetwork) -> IPNetwork {
        let bits = Int(network.address.family.rawValue)
        let last = joined(network, .max, .max)
        let address =
            switch below(4) {
            case 0: network.address
            case 1: last
            case 2: network.address.moved(by: -1)
            default: last.moved(by: 1)
            }
        return networkOf(address, bits)
    }

    // MARK: - Checks

    /// Asks for one client and compares; nil if the answer is wrong.
    @discardableResult
    private mutating func check(
        _ service: Int, _ client: IPNetwork, byItsSubnet: Bool = false
    ) -> (expected: Expected, scope: Int)? {
        let isDirect = !byItsSubnet && below(16) == 0
        let disclosure = isDirect ? Disclosure.source(client.address) : .subnet(client)
        let expected = oracle.expected(service, client.address, bySubnet: !isDirect)
        note(expected, client)
        let type: RecordType = Bool.random(using: &random) ? .a : .aaaa
        let reply = asker.ask(TestWorld.host(service), type, disclosure, snapshot)
        let origins = reply.map { $0.addresses.map(Self.origin).sorted() }
        guard let reply, let origins, expected.answers.contains(where: { $0.origins == origins })
        else {
            report(
                """
                s\(service) \(type), client by \(disclosure): answered \
                \(origins?.description ?? "nothing"), not \(expected.answers.map(\.origins)); \
                \(oracle.place(of: client.address)), rules \(expected.rules.map(\.text)), \
                down \(oracle.down.sorted())
                """)
            return nil
        }
        return (expected, reply.scope ?? 0)
    }

    private mutating func note(_ expected: Expected, _ client: IPNetwork) {
        asked += 1
        if client.address.family == .ipv6 { ipv6 += 1 }
        if oracle.place(of: client.address).latitude != nil { located += 1 }
        if expected.rules.isEmpty { kinds.insert("no rule") }
        if expected.rules.count > 1 { kinds.insert("a service") }
        for rule in expected.rules {
            kinds.insert(rule.policy.rawValue)
            kinds.formUnion(rule.match?.kinds ?? [])
        }
    }

    /// The origin of an address, as `POOL.ORIGIN`.
    private static func origin(of address: String) -> String {
        guard let address = IPAddress(address) else { return "?" }
        let octets = address.octets
        return octets.count == 4
            ? "\(octets[2]).\(octets[3])" : "\(Int(octets[4]) << 8 | Int(octets[5])).\(octets[15])"
    }

    private mutating func checkScope(_ service: Int, _ client: IPNetwork) {
        guard let (expected, scope) = check(service, client, byItsSubnet: true) else { return }
        let network = networkOf(client.address, scope)
        for index in 0..<Self.addressesInScope {
            let address =
                switch index {
                case 0: network.address
                case 1: joined(network, .max, .max)
                default: joined(network, random.next(), random.next())
                }
            let own = networkOf(address, Int(address.family.rawValue))
            guard let other = check(service, own, byItsSubnet: true) else { continue }
            if !other.expected.agrees(with: expected) || other.scope != scope {
                report(
                    "s\(service) \(client): \(address) is in \(network), and gets"
                        + " \(other.expected.answers) with /\(other.scope), not \(expected.answers)"
                )
            }
        }
    }

    /// Finds a client for whom something is drawn, and counts what is.
    private mutating func checkDraws() {
        for _ in 0..<50 {
            let (service, client) = (drawService(), drawClient())
            let expected = oracle.expected(service, client.address, bySubnet: true)
            guard expected.answers.count > 1, !expected.isClose else { continue }
            var counts: [[String]: Int] = [:]
            for _ in 0..<Self.draws {
                let reply = asker.ask(TestWorld.host(service), .a, .subnet(client), snapshot)
                counts[(reply?.addresses ?? []).map(Self.origin).sorted(), default: 0] += 1
            }
            asked += Self.draws
            let (statistic, degrees) = chiSquare(counts, expected.answers)
            if statistic > chiSquareLimit(degrees) {
                report("s\(service) \(client): drawn \(counts), not \(expected.answers)")
            }
            return
        }
    }

    private func chiSquare(
        _ counts: [[String]: Int], _ answers: [PossibleAnswer]
    ) -> (statistic: Double, degrees: Int) {
        var statistic = 0.0
        var cells = 0
        // What is too rare to tell goes together.
        var (rareCount, rareExpected) = (0, 0.0)
        for answer in answers {
            let expected = answer.probability * Double(Self.draws)
            let count = counts[answer.origins] ?? 0
            guard expected >= 5 else {
                (rareCount, rareExpected) = (rareCount + count, rareExpected + expected)
                continue
            }
            cells += 1
            statistic += (Double(count) - expected) * (Double(count) - expected) / expected
        }
        if rareExpected > 1 {
            cells += 1
            let difference = Double(rareCount) - rareExpected
            statistic += difference * difference / rareExpected
        }
        let known = Set(answers.map(\.origins))
        if !Set(counts.keys).isSubset(of: known) { statistic = .infinity }
        return (statistic, max(cells - 1, 1))
    }

    /// What chance exceeds once in ten million (Wilson and Hilferty 1931).
    private func chiSquareLimit(_ degrees: Int) -> Double {
        let part = 2 / (9 * Double(degrees))
        return Double(degrees) * pow(1 - part + 5.2 * part.squareRoot(), 3)
    }

    // MARK: - Reporting

    private static let reportsShown = 5

    private mutating func report(_ message: String) {
        mismatches += 1
        if mismatches <= Self.reportsShown { Issue.record("\(message)") }
    }
}

extension TestService {
    /// All that its rules name.
    var networks: [IPNetwork] { rules.compactMap(\.match).flatMap(\.everyNetwork) }
}

extension TestMatch {
    var everyNetwork: [IPNetwork] {
        (networks ?? []) + ((any ?? []) + (not ?? [])).flatMap(\.everyNetwork)
    }

    var kinds: Set<String> {
        var kinds: Set<String> = []
        for (name, isStated) in [
            ("networks", networks != nil), ("asns", asns != nil), ("continents", continents != nil),
            ("countries", countries != nil), ("subdivisions", subdivisions != nil),
            ("cities", cities != nil), ("any", any != nil), ("not", not != nil),
        ] where isStated { kinds.insert(name) }
        for region in regions ?? [] {
            kinds.insert(region.hasPrefix("region") ? "own regions" : "predefined regions")
        }
        return ((any ?? []) + (not ?? [])).reduce(kinds) { $0.union($1.kinds) }
    }
}

extension IPAddress {
    /// The next address, or the one before.
    fileprivate func moved(by step: Int) -> IPAddress {
        if family == .ipv4 {
            return IPAddress(
                ipv4: UInt32(truncatingIfNeeded: (high >> 32) &+ UInt64(bitPattern: Int64(step))))
        }
        let moved = low &+ UInt64(bitPattern: Int64(step))
        let carry: UInt64 = step > 0 ? (moved == 0 ? 1 : 0) : (moved == .max ? .max : 0)
        return IPAddress(family: .ipv6, high: high &+ carry, low: moved)
    }
}
