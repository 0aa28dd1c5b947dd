import DNSWire
import Settings
import Steering
import Testing

@testable import Health
@testable import rhumb

/// What the server makes of transitions and of reloads for who is told.
struct EventReporterTests {
    private func target(_ origin: String, _ address: String, host: String? = nil) throws
        -> ProbeTarget
    {
        ProbeTarget(
            id: 0, pool: "eu", origin: origin, address: try #require(IPAddress(address)),
            host: host, monitors: [], needed: 1)
    }

    @Test("an origin that is known by its name alone is told of by its name")
    func hosts() throws {
        let target = try target("eu-1", "0.0.0.0", host: "eu.lb.vendor.example")
        let event = try #require(
            Event(
                Transition(
                    key: target.key, pool: target.pool, origin: target.origin,
                    address: target.address, from: .up, to: .down, reason: "x", monitors: [],
                    time: .now())))
        #expect(event.subject.description == "eu/eu-1/eu.lb.vendor.example")
    }

    @Test(
        "what is not probed or steered to any more is told as removed",
        arguments: [
            (.address(pool: "eu", origin: "a", address: "192.0.2.1"), true),
            (.address(pool: "eu", origin: "a", address: "192.0.2.2"), false),
            (.address(pool: "eu", origin: "b", address: "eu.lb.vendor.example"), true),
            (.pool("eu"), true), (.pool("us"), false),
            (.rule(service: "web", 1), true), (.rule(service: "web", 2), false),
            (.rule(service: "old", 1), false),
        ] as [(Event.Subject, Bool)])
    func subjects(_ row: (subject: Event.Subject, isKnown: Bool)) throws {
        let text = """
            pools: { eu: { origins: { a: { addresses: [192.0.2.1, 192.0.2.2] } } } }
            services:
              web: { rules: [{ pools: [eu] }] }
              old: { rules: [{ pools: [eu] }] }
            """
        var diagnostics = Diagnostics()
        let file = PoolFile(name: "a.yaml", text: text)
        let configuration = try #require(
            SteeringConfiguration.parse([file], diagnostics: &diagnostics))
        let web = try #require(configuration.services.firstIndex { $0.name == "web" })
        let known = KnownSubjects(
            configuration,
            [
                try target("a", "192.0.2.1"),
                try target("b", "0.0.0.0", host: "eu.lb.vendor.example"),
            ], services: [web])
        #expect(known.contains(row.subject) == row.isKnown)
    }
}
