// What operators are told of pools and services when health changes.

import Testing

@testable import Steering

@Suite("changes of pools and services")
struct SteeringChangesTests {
    private static let pools = """
        monitors: { m: { type: tcp, port: 1 } }
        pools:
          a: { monitor: m, min_healthy: 2, origins: { a1: { addresses: 192.0.2.1 },
               a2: { addresses: 192.0.2.2 }, a3: { addresses: 192.0.2.3 } } }
          b: { monitor: m, origins: { b1: { addresses: 192.0.2.4 } } }
          c: { monitor: m, origins: { c1: { addresses: 192.0.2.5 } } }

        """
    private static let services = """
        services:
          web: { fallback: c, rules: [{ match: { networks: 10.0.0.0/8 }, pools: [b] }, { pools: [a, b] }] }
          outer: { when_all_down: servfail, rules: [{ pools: [{ service: inner }] }] }
          inner: { when_all_down: all, rules: [{ pools: [b, c] }] }
          last: { when_all_down: first, rules: [{ pools: [c] }] }
        """

    private func state(_ steering: Steering, down: Set<String> = [], drained: Set<String> = [])
        -> SteeringState
    {
        var health = makeState(steering, down: down).health
        for (index, address) in steering.addresses.enumerated() {
            let pool = steering.configuration.pools[address.pool]
            if drained.contains(pool.name) || drained.contains(pool.origins[address.origin].name) {
                health.override(index, with: .drained)
            }
        }
        return SteeringState(steering, health: health)
    }

    /// Changes as `a up down`, `web/2 up down`, with the reason where that is asked for.
    private func changes(
        from old: SteeringState?, to new: SteeringState, reasons: Bool = false
    ) -> [String] {
        let services = Array(new.steering.configuration.services.indices)
        return new.changes(since: old, services: services).map { change in
            let subject =
                switch change.subject {
                case .pool(let name): name
                case .rule(let service, let number): "\(service)/\(number)"
                }
            return "\(subject) \(change.from) \(change.to)" + (reasons ? ": \(change.reason)" : "")
        }
    }

    @Test("what works at a start is no news, what does not is")
    func start() throws {
        let steering = try makeSteering(Self.pools + Self.services)
        #expect(changes(from: nil, to: state(steering)) == [])
        #expect(changes(from: nil, to: state(steering, down: ["a1"])) == [])
        #expect(
            changes(from: nil, to: state(steering, down: ["b"])) == ["b up down", "web/1 up down"])
    }

    @Test("each change has the rule that says so, and what clients get")
    func reasons() throws {
        let steering = try makeSteering(Self.pools + Self.services)
        let up = state(steering)
        let down = state(steering, down: ["a1", "a2", "b", "c"])
        #expect(
            changes(from: up, to: down, reasons: true) == [
                "a up down: 1 of 3 origins up, min_healthy wants 2",
                "b up down: 0 of 1 origin up, min_healthy wants 1",
                "c up down: 0 of 1 origin up, min_healthy wants 1",
                "web/1 up down: all pools are down (b); clients get the fallback pool c",
                "web/2 up down: all pools are down (a, b); clients get the fallback pool c",
                "outer/1 up down: all pools are down (b, c); clients get SERVFAIL",
                "inner/1 up down: all pools are down (b, c); clients get all of them all the same",
                "last/1 up down: all pools are down (c); clients get the first pool all the same",
            ])
        #expect(
            changes(from: down, to: state(steering, down: ["a1", "a2", "c"]), reasons: true) == [
                "b down up: 1 of 1 origin up", "web/1 down up: its pools answer again",
                "web/2 down up: its pools answer again", "outer/1 down up: its pools answer again",
                "inner/1 down up: its pools answer again",
            ])
        #expect(changes(from: down, to: down) == [])
    }

    @Test("a pool that an operator takes out is drained; one that would be down without it is down")
    func drained() throws {
        let steering = try makeSteering(Self.pools + Self.services)
        let up = state(steering)
        #expect(
            changes(from: up, to: state(steering, drained: ["a1", "a2"])) == ["a up drained"])
        #expect(changes(from: up, to: state(steering, drained: ["a1"])) == [])
        #expect(
            changes(from: up, to: state(steering, down: ["a2", "a3"], drained: ["a1"]))
                == ["a up down"])
        #expect(
            changes(from: up, to: state(steering, down: ["a2"], drained: ["a1"])) == [
                "a up drained"
            ])
        // Clients of a rule are no better off for that.
        #expect(
            changes(from: up, to: state(steering, drained: ["b"])) == [
                "b up drained", "web/1 up down",
            ])
    }

    @Test("a pool that needs its degraded origins is degraded; drained where operators took those")
    func degraded() throws {
        let steering = try makeSteering(Self.pools + Self.services)
        let up = state(steering)
        var health = up.health
        health[1] = .degraded
        #expect(changes(from: up, to: SteeringState(steering, health: health)) == [])
        health[2] = .degraded
        let degraded = SteeringState(steering, health: health)
        #expect(changes(from: up, to: degraded) == ["a up degraded"])
        #expect(changes(from: degraded, to: up) == ["a degraded up"])
        health[0] = .down
        #expect(changes(from: degraded, to: SteeringState(steering, health: health)) == [])
        health.override(1, with: .drained)
        #expect(
            changes(from: degraded, to: SteeringState(steering, health: health)) == [
                "a degraded drained"
            ])
    }

    @Test("over a reload, pools and rules are found by their names")
    func reload() throws {
        let old = try makeSteering(Self.pools + Self.services)
        let new = try makeSteering(
            """
            monitors: { m: { type: tcp, port: 1 } }
            pools:
              new: { monitor: m, origins: { n1: { addresses: 192.0.2.9 } } }
              b: { monitor: m, origins: { b1: { addresses: 192.0.2.4 } } }
            services:
              other: { rules: [{ pools: [new] }] }
              web:
                rules:
                  - { match: { networks: 10.0.0.0/8 }, pools: [b] }
                  - { match: { networks: 172.16.0.0/12 }, pools: [new, b] }
                  - { pools: [new] }
            """)
        #expect(changes(from: state(old, down: ["b"]), to: state(new, down: ["b"])) == [])
        #expect(
            changes(from: state(old), to: state(new, down: ["new"])) == [
                "new up down", "other/1 up down", "web/3 up down",
            ])
        #expect(
            changes(from: state(old, down: ["b", "c"]), to: state(new)) == [
                "b down up", "web/1 down up",
            ])
    }

    @Test(
        "changes of any sequence add up to how things stand",
        arguments: 1...30 as ClosedRange<UInt64>)
    func sequences(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let steering = try makeSteering(Self.pools + Self.services)
        let names = ["a1", "a2", "a3", "b", "c"]
        var standing: [String: String] = [:]
        var old: SteeringState?
        for _ in 0..<40 {
            let new = state(
                steering, down: Set(names.filter { _ in random.next() % 2 == 0 }),
                drained: Set(names.filter { _ in random.next() % 4 == 0 }))
            for change in changes(from: old, to: new) {
                let words = change.split(separator: " ").map(String.init)
                #expect(standing[words[0]] ?? "up" == words[1])
                #expect(words[1] != words[2])
                standing[words[0]] = words[2]
            }
            for (index, pool) in steering.configuration.pools.enumerated() {
                #expect((standing[pool.name] ?? "up" == "up") == new.pools[index].isUsable)
            }
            let isDown = { (name: String) in standing[name] ?? "up" != "up" }
            #expect(isDown("web/1") == isDown("b"))
            #expect(isDown("web/2") == (isDown("a") && isDown("b")))
            #expect(isDown("outer/1") == (isDown("b") && isDown("c")))
            old = new
        }
    }
}
