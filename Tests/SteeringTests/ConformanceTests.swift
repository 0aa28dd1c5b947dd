// What holds for every policy, with every way to choose origins and every subset of pools down.

import DNSWire
import Foundation
import Geo
import Settings
import Testing

@testable import Steering

@Suite("every policy")
struct ConformanceTests {
    private let clients = World.clients

    @Test(
        "answers from what is up, never nothing, and the same to all of a scope",
        arguments: Combination.all)
    func conformance(combination: Combination) throws {
        let steering = try steering(
            World.configuration(combination), places: worldPlaces, latency: World.latency)
        let service = try #require(steering.service(named: "fallback"))
        var random = SeededGenerator(7)
        for subset in 0..<1 << World.members.count {
            let down = World.members.indices.filter { subset >> $0 & 1 == 1 }
            let state = state(steering, down: isDown(down, subset))
            for turn in 0..<2 {
                let client = clients[(subset * 2 + turn) % clients.count]
                let bits = random.next()
                let decision = state.decide(service: service, client: client, random: bits)
                try #require(
                    problem(decision, in: state, down: Set(down), combination) == nil,
                    "\(client.address), down \(down)")
                try checkScope(decision, client, bits, state, combination, &random)
            }
        }
    }

    /// Health by address: the pools given are down, and of each other one an origin may be.
    private func isDown(_ pools: [Int], _ turn: Int) -> (Int, Int) -> Bool {
        { pool, origin in pools.contains(pool) || (pool + turn) % 4 == origin }
    }

    private func state(
        _ steering: Steering, down isDown: (_ pool: Int, _ origin: Int) -> Bool
    ) -> SteeringState {
        var health = HealthTable(count: steering.addresses.count, verdict: .up)
        for (index, address) in steering.addresses.enumerated()
        where isDown(address.pool, address.origin) {
            health[index] = .down
        }
        return SteeringState(steering, health: health)
    }

    @Test(
        "answers from degraded pools where none is healthy, and the same to all of a scope",
        arguments: Combination.all)
    func tiers(combination: Combination) throws {
        let steering = try steering(
            World.configuration(combination), places: worldPlaces, latency: World.latency)
        let service = try #require(steering.service(named: "fallback"))
        var random = SeededGenerator(11)
        let kinds: [Verdict] = [.up, .degraded, .down, .drained, .degraded, .unknown]
        for turn in 0..<200 {
            // Of some of these worlds no pool is healthy, of some none can be used.
            let most = turn % 3 == 0 ? 0 : 1
            let verdicts = World.members.map { _ in
                kinds[Int.random(in: most..<(turn % 7 == 0 ? 4 : 6), using: &random)]
            }
            var health = HealthTable(count: steering.addresses.count, verdict: .up)
            for (index, steered) in steering.addresses.enumerated() where steered.pool < World.last
            {
                // In a healthy pool one origin may be degraded, which is then left out.
                let isAside = (steered.pool + turn) % 4 == steered.origin
                let verdict = verdicts[steered.pool]
                health[index] =
                    verdict == .unknown ? .down : verdict == .up && isAside ? .degraded : verdict
            }
            let state = SteeringState(steering, health: health)
            let tier =
                verdicts.contains(.up) ? Verdict.up : verdicts.contains(.degraded) ? .degraded : nil
            let out = Set(World.members.indices.filter { verdicts[$0] != tier })
            let client = clients[turn % clients.count]
            let bits = random.next()
            let decision = state.decide(service: service, client: client, random: bits)
            try #require(
                problem(decision, in: state, down: out, combination) == nil,
                "\(client.address), \(verdicts)")
            if tier == .up {
                let aside = state.addresses(decision).filter { World.isDual($0) }.filter {
                    let owner = World.owner($0)
                    return (owner.pool + turn) % 4 == owner.origin
                }
                try #require(aside.isEmpty, "degraded: \(aside), \(verdicts)")
            }
            try checkScope(decision, client, bits, state, combination, &random)
        }
    }

    /// What is wrong with a decision; nil if nothing is.
    private func problem(
        _ decision: Decision, in state: SteeringState, down: Set<Int>, _ combination: Combination
    ) -> String? {
        let answered = state.addresses(decision)
        let sources = Set(answered.map { World.owner($0).pool })
        let usable = Set(World.members.indices).subtracting(down)
        if decision.ipv4.isEmpty || decision.ipv6.isEmpty { return "NODATA for some" }
        if Set(answered).count != answered.count { return "an address twice" }
        if usable.isEmpty {
            if sources != [World.last] { return "\(sources), not the fallback" }
            if decision.reason != .fallback { return "\(decision.reason)" }
        } else {
            if !sources.isSubset(of: usable) { return "a dead pool among \(sources)" }
            if decision.pool >= 0 ? sources != [Int(decision.pool)] : sources != usable {
                return "\(sources) for \(decision.pool)"
            }
        }
        return tornFamilies(decision, in: state)
    }

    /// Says if A and AAAA do not come from the same origins, where those have both.
    private func tornFamilies(_ decision: Decision, in state: SteeringState) -> String? {
        let up = { (address: IPAddress) in
            state.steering.addresses.indices.contains {
                state.steering.addresses[$0].address == address
                    && [.up, .degraded].contains(state.health[$0])
            }
        }
        let answered = state.addresses(decision)
        let ipv4 = answered.filter { $0.family == .ipv4 }
        let ipv6 = answered.filter { $0.family == .ipv6 }
        // An origin is up or down as a whole here, so that one of both families has both or none.
        let dual = [ipv4, ipv6].map { addresses in
            addresses.filter { up($0) }.map { World.owner($0) }
                .filter { World.isDual($0.pool, $0.origin) }.map { [$0.pool, $0.origin] }
        }
        return dual[0].isEmpty || dual[1].isEmpty || dual[0] == dual[1]
            ? nil : "A from \(dual[0]), AAAA from \(dual[1])"
    }

    /// Holds the scope against 50 addresses and both edges: what is drawn is the same for the same
    /// random bits, so that what may be drawn is the same.
    private func checkScope(
        _ decision: Decision, _ client: Client, _ bits: UInt64, _ state: SteeringState,
        _ combination: Combination, _ random: inout SeededGenerator
    ) throws {
        let service = Int(decision.service)
        let tree = state.steering.lookup(
            client.address, inTree: state.steering.services[service].tree
        ).scope
        let prefix: UInt8 = client.address.family == .ipv4 ? 24 : 56
        try #require(
            decision.scope == tree || combination.mayHash && decision.scope == max(tree, prefix),
            "the scope depends on health: /\(decision.scope), not /\(tree)")
        let draws = [bits, 0, .max].map {
            ($0, state.decide(service: service, client: client, random: $0))
        }
        let others = client.address.samples(inFirst: Int(decision.scope), 50, &random)
        for (index, address) in others.enumerated() {
            let (bits, expected) = draws[index % draws.count]
            var other = client
            other.address = address
            let same = state.decide(service: service, client: other, random: bits)
            try #require(
                same == expected, "\(address) in /\(decision.scope) of \(client.address)")
        }
    }

    @Test("says what all being down comes to, in each of the four ways", arguments: Combination.all)
    func allDown(combination: Combination) throws {
        let steering = try steering(
            World.configuration(combination), places: worldPlaces, latency: World.latency)
        for isLastDown in [false, true] {
            let state = state(steering) { pool, _ in pool < World.last || isLastDown }
            for mode in WhenAllDown.allCases {
                let service = try #require(steering.service(named: mode.rawValue))
                for client in clients {
                    let decision = state.decide(service: service, client: client, random: 99)
                    let sources = Set(state.addresses(decision).map { World.owner($0).pool })
                    switch mode {
                    case .fallback:
                        #expect(sources == [World.last])
                        #expect(decision.reason == (isLastDown ? .everythingDown : .fallback))
                    case .first:
                        #expect(sources.count == 1 && sources != [World.last])
                    case .all:
                        #expect(sources == Set(World.members.indices))
                    case .servfail:
                        #expect(sources.isEmpty && decision.reason == .failure)
                    }
                }
            }
        }
    }

    @Test("says what drained pools come to among dead ones", arguments: Combination.all)
    func drained(combination: Combination) throws {
        let steering = try steering(
            World.configuration(combination), places: worldPlaces, latency: World.latency)
        var health = HealthTable(count: steering.addresses.count, verdict: .down)
        for (index, steered) in steering.addresses.enumerated()
        where [2, 5].contains(steered.pool) && steered.origin < 2 {
            health[index] = .drained
        }
        let state = SteeringState(steering, health: health)
        for mode in [WhenAllDown.fallback, .first, .all] {
            let service = try #require(steering.service(named: mode.rawValue))
            for client in clients {
                let decision = state.decide(service: service, client: client, random: 99)
                let owners = state.addresses(decision).map { World.owner($0) }
                #expect(!decision.ipv4.isEmpty && !decision.ipv6.isEmpty)
                #expect(owners.allSatisfy { [2, 5].contains($0.pool) && $0.origin < 2 })
                switch mode {
                case .all: #expect(decision.reason == .allDown)
                case .fallback: #expect(decision.reason == .lastResort)
                // It may be this client's first.
                default: #expect([.firstOfDown, .lastResort].contains(decision.reason))
                }
            }
        }
    }

    @Test("draws again the same with the same random bits", arguments: Combination.all)
    func isPure(combination: Combination) throws {
        let steering = try steering(
            World.configuration(combination), places: worldPlaces, latency: World.latency)
        let state = makeState(steering, down: ["p1"])
        for seed: UInt64 in [0, 1, .max, 0x8000_0000_0000_0000] {
            for client in clients {
                let first = state.decide(service: 0, client: client, random: seed)
                #expect(state.decide(service: 0, client: client, random: seed) == first)
            }
        }
    }

    @Test("orders each candidate exactly once, whatever is known", arguments: Policy.all)
    func orderIsPermutation(policy: Policy) {
        var random = SeededGenerator(3)
        for count in 1...20 {
            let candidates = (0..<count).map { _ in
                Policy.Candidate(
                    sites: (0..<Int.random(in: 0...2, using: &random)).map { _ in
                        .init(
                            point: Bool.random(using: &random) ? nil : randomPoint(&random),
                            column: Bool.random(using: &random) ? nil : 0)
                    },
                    bias: Int.random(in: -99...99, using: &random))
            }
            #expect(policy.rest(candidates).sorted() == Array(0..<count))
            for (point, measured) in [(nil, nil), (randomPoint(&random), nil), (nil, 30.5)] {
                let order = policy.order(
                    candidates, Policy.Client(point: point, measured: [measured]))
                #expect(Set(order).count == order.count)
                #expect(Set(order).isSubset(of: 0..<count))
            }
        }
    }

    private func randomPoint(_ random: inout SeededGenerator) -> SurfacePoint {
        SurfacePoint(
            Coordinates(
                latitude: .random(in: -90...90, using: &random),
                longitude: .random(in: -180...180, using: &random)))
    }

    @Test("has a header whose example loads", arguments: Policy.all)
    func headerExample(policy: Policy) throws {
        let example = try #require(
            try headerExamples(in: "Policies").first {
                $0.file.lowercased().contains(fileName(policy))
            })
        let (configuration, messages) = parse(
            """
            pools:
              main: { location: [1, 2], origins: { o: { addresses: 192.0.2.1 } } }
              spare: { location: [3, 4], origins: { o: { addresses: 192.0.2.2 } } }

            """ + example.text, latency: "key,pool,rtt_ms\n*,main,1\n*,spare,2\n")
        #expect(messages.isEmpty)
        #expect(configuration?.services.first?.rules.first?.policy == policy)
    }

    private func fileName(_ policy: Policy) -> String { policy == .union ? "union" : policy.name }

    @Test("parsers have headers whose examples load")
    func parserExamples() throws {
        let examples = try headerExamples(in: "")
        #expect(examples.count == 5)
        for example in examples {
            let (configuration, messages) = parse(example.text)
            #expect(configuration != nil, "\(example.file): \(messages)")
        }
    }
}

/// The yaml blocks in the first comments of the sources of a folder.
private func headerExamples(in folder: String) throws -> [(file: String, text: String)] {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/Steering/\(folder)")
    let files = try FileManager.default.contentsOfDirectory(atPath: root.path())
    return try files.filter { $0.hasSuffix(".swift") }.sorted().compactMap { file in
        let source = try String(contentsOf: root.appending(path: file), encoding: .utf8)
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(of: "// ```yaml"),
            let end = lines[start...].firstIndex(of: "// ```")
        else { return nil }
        return (file, lines[(start + 1)..<end].map { $0.dropFirst(3) + "\n" }.joined())
    }
}
