// Ramps: pools that come back get their clients little by little, and each of them once.

import DNSWire
import Settings
import Testing

@testable import Steering

@Suite("ramps")
struct RampTests {
    private static let start = ContinuousClock.now

    private static func text(_ ramp: String = "ramp: 200s, ", others: String = "") -> String {
        """
        monitors: { m: { type: tcp } }
        pools:
          a: { monitor: m, \(ramp)origins: { o: { addresses: 192.0.2.1 } } }
          b: { monitor: m, origins: { o: { addresses: 192.0.2.2 } } }
        \(others)services: { s: { rules: [{ pools: [a, b] }] } }
        """
    }

    /// What the server's control plane does, with the time given.
    private struct Plane {
        var steering: Steering
        var ramps = Ramps()
        var next: Duration?

        init(_ text: String = RampTests.text()) throws { steering = try makeSteering(text) }

        mutating func state(
            at seconds: Double, down: Set<String> = [], unknown: Set<String> = []
        ) -> SteeringState {
            var health = HealthTable(count: steering.addresses.count, verdict: .up)
            for (index, address) in steering.addresses.enumerated() {
                let name = steering.configuration.pools[address.pool].name
                if down.contains(name) { health[index] = .down }
                if unknown.contains(name) { health[index] = .unknown }
            }
            let update = ramps.update(
                steering, health, at: RampTests.start + .milliseconds(Int(seconds * 1_000)))
            next = update.next
            return SteeringState(steering, health: health, ramps: update.shares)
        }

        /// The share of pool `a` in percent, -1 if it is down.
        mutating func share(at seconds: Double, down: Set<String> = []) -> Int {
            let pool = state(at: seconds, down: down).pools[0]
            return pool.isUsable ? Int((Double(pool.admission) / 655.36).rounded()) : -1
        }
    }

    @Test("from nothing to all in a straight line, in steps of a hundredth or a second")
    func line() throws {
        var plane = try Plane()
        #expect(plane.share(at: 0) == 100 && plane.next == nil)
        #expect(plane.share(at: 10, down: ["a"]) == -1 && plane.next == nil)
        #expect(plane.share(at: 20) == 0 && plane.next == .seconds(2))
        #expect(plane.share(at: 22) == 1)
        #expect(plane.share(at: 120) == 50 && plane.next == .seconds(2))
        #expect(plane.share(at: 219) == 99 && plane.next == .seconds(1))
        #expect(plane.share(at: 220) == 100 && plane.next == nil)
        #expect(plane.state(at: 221).pools[0].takesAll)
        var short = try Plane(Self.text("ramp: 10s, "))
        _ = short.share(at: 0, down: ["a"])
        #expect(short.share(at: 1) == 0 && short.next == .seconds(1))
        var none = try Plane(Self.text(""))
        _ = none.share(at: 0, down: ["a"])
        #expect(none.share(at: 1) == 100 && none.next == nil)
    }

    @Test("a pool that goes down on its way up starts again")
    func flapping() throws {
        var plane = try Plane()
        _ = plane.share(at: 0, down: ["a"])
        _ = plane.share(at: 10)
        #expect(plane.share(at: 110) == 50)
        #expect(plane.share(at: 111, down: ["a"]) == -1 && plane.next == nil)
        #expect(plane.share(at: 112) == 0)
        #expect(plane.share(at: 132) == 10)
    }

    @Test("not at a start, not for a new pool, not for one that nobody has looked at")
    func starts() throws {
        var plane = try Plane()
        _ = plane.state(at: 0, unknown: ["a"])
        #expect(plane.share(at: 1) == 100)
        // What was down stays so while a reload makes its verdict unknown.
        _ = plane.share(at: 2, down: ["a"])
        _ = plane.state(at: 3, unknown: ["a"])
        #expect(plane.share(at: 4) == 0)
        let new = "  c: { monitor: m, ramp: 1m, origins: { o: { addresses: 192.0.2.3 } } }\n"
        plane.steering = try makeSteering(Self.text(others: new))
        let state = plane.state(at: 5)
        #expect(state.pools[2].admission == .all)
        // One that was down at the start has been down.
        var late = try Plane()
        _ = late.share(at: 0, down: ["a"])
        #expect(late.share(at: 1) == 0)
    }

    @Test("a reload carries ramps by name, and those of pools that are gone end")
    func reload() throws {
        var plane = try Plane()
        _ = plane.share(at: 0, down: ["a"])
        _ = plane.share(at: 10)
        let zero = "pools:\n  zero: { origins: { o: { addresses: 192.0.2.9 } } }\n  a:"
        plane.steering = try makeSteering(
            Self.text().replacing("pools:\n  a:", with: zero))
        let state = plane.state(at: 60)
        #expect(state.pools.map(\.admission) == [.all, .all / 4, .all])
        // Renamed, it is another.
        plane.steering = try makeSteering(
            Self.text().replacing("  a:", with: "  z:").replacing("[a,", with: "[z,"))
        #expect(plane.share(at: 61) == 100)
        // A ramp that is stated while a pool is up takes nothing from it.
        var stated = try Plane(Self.text(""))
        _ = stated.share(at: 0, down: ["a"])
        _ = stated.share(at: 1)
        stated.steering = try makeSteering(Self.text())
        #expect(stated.share(at: 2) == 100)
    }

    @Test("clients come back prefix by prefix, each once, and all are back at the end")
    func movement() throws {
        var plane = try Plane()
        _ = plane.share(at: 0, down: ["a"])
        let clients = (0..<2_000).map { "10.\($0 >> 8).\($0 & 255).1" }
        var back: Set<String> = []
        for seconds in stride(from: 10.0, through: 210, by: 20) {
            let state = plane.state(at: seconds)
            let now = Set(try clients.filter { try state.pool("s", $0) == "a" })
            #expect(now.isSuperset(of: back), "nobody goes away again")
            #expect(abs(Double(now.count) - (seconds - 10) * 10) < 90, "\(now.count) at \(seconds)")
            for client in clients.prefix(50) {
                #expect(try state.decide("s", client).scope == (seconds < 210 ? 24 : 0))
            }
            back = now
        }
        #expect(back.count == clients.count)
    }

    @Test("a pool on its way up takes everyone if all else is down")
    func alone() throws {
        var plane = try Plane()
        _ = plane.state(at: 0, down: ["a", "b"])
        let state = plane.state(at: 1, down: ["b"])
        #expect(state.pools[0].admission == 0)
        let decision = try state.decide("s", "10.0.0.1")
        #expect(decision.pool == 0 && decision.isForced)
    }

    @Test("the clients that a pool has not back yet are spread by capacity")
    func displaced() throws {
        let keys = "capacity: 100, load: 80, "
        var plane = try Plane(
            Self.text("ramp: 200s, " + keys).replacing("b: {", with: "b: { \(keys)")
                .replacing(
                    "services",
                    with: "  c: { load: 1, origins: { o: { addresses: 192.0.2.3 } } }\nservices"
                )
                .replacing("[a, b]", with: "[a, b, c]"))
        _ = plane.state(at: 0, down: ["a"])
        // b has room for 20 of 80; half up, for 20 of 40.
        #expect(plane.state(at: 1).rooms[1].share == .all / 4)
        #expect(plane.state(at: 101).rooms[1].share == .all / 2)
        #expect(plane.state(at: 161).rooms[1].share == .all)
    }

    @Test("the explanation says how far a pool is")
    func explained() throws {
        var plane = try Plane()
        _ = plane.state(at: 0, down: ["a"])
        _ = plane.state(at: 100)
        let state = plane.state(at: 174)
        let texts = (0..<40).map {
            state.explain(service: 0, client: Client(address("10.0.\($0).1")), random: 0)
        }
        let later = try #require(texts.first { $0.pool?.name == "b" })
        #expect(later.candidates.map(\.verdict) == [.shed, .chosen])
        #expect(later.candidates[0].pool?.ramping.map { ($0 * 100).rounded() } == 37)
        #expect(
            later.text.contains("a  1/1 up  ramping: 37 %  has not this client back yet"),
            "\(later.text)")
        #expect(texts.contains { $0.text.contains("a  1/1 up  ramping: 37 %  chosen") })
    }
}
