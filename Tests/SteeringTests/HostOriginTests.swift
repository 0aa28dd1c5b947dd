// Origins given by host name: what is read, what is refused, and what is decided with them.

import DNSWire
import Geo
import Testing

@testable import Steering

private let hostPools = """
    monitors: { m: { type: tcp } }
    pools:
      eu: { monitor: m, origins: {
        one: { host: Eu.lb.vendor.example, check_address: 192.0.2.1, weight: 3 },
        two: { host: eu2.lb.vendor.example., check_address: 192.0.2.2 } } }
      us: { monitor: m, policy: hash, origins: {
        one: { host: us.lb.vendor.example, check_address: 192.0.2.3 },
        two: { host: us2.lb.vendor.example, check_address: 192.0.2.3 },
        three: { host: us3.lb.vendor.example, check_address: 192.0.2.5 } } }
      other: { origins: { one: { host: other.example.net } } }
    services:
      drawn: { rules: [{ pools: [eu, us] }], fallback: other }
      hashed: { rules: [{ pools: [us] }], when_all_down: servfail }
      order: { rules: [{ policy: hash, pools: [eu, us, { service: drawn }] }], fallback: other }

    """

@Suite("origins given by host name")
struct HostOriginTests {
    @Test(
        "hosts are names, with or without a final dot, and one of a pool is drawn unless it says hash"
    )
    func read() throws {
        let (configuration, messages) = parse(hostPools)
        #expect(messages.isEmpty)
        let pools = try #require(configuration).pools
        #expect(pools.map(\.answersByHost) == [true, true, true])
        #expect(pools.map(\.policy) == [.weighted, .hash, .weighted])
        #expect(
            pools[0].origins.map { $0.host?.description } == [
                "eu.lb.vendor.example.", "eu2.lb.vendor.example.",
            ])
        #expect(pools.allSatisfy { $0.origins.allSatisfy(\.addresses.isEmpty) })
        #expect(
            try #require(configuration).hostOrigins(of: 0).map {
                "\($0.pool.name)/\($0.origin.name)"
            }
                == ["eu/one", "eu/two", "us/one", "us/two", "us/three", "other/one"])
    }

    @Test("each fault is told with its place and its cure", arguments: hostFaults)
    func faults(_ file: FaultyFile) {
        #expect(parse(file.text).messages.filter { $0.contains("error") } == [file.message])
    }

    @Test("a host has one place in the health table, known by its pool and origin")
    func health() throws {
        let steering = try steering(hostPools)
        #expect(
            steering.addresses.map { "\($0.pool)/\($0.origin) \($0.address)" } == [
                "0/0 192.0.2.1", "0/1 192.0.2.2", "1/0 192.0.2.3", "1/1 192.0.2.3", "1/2 192.0.2.5",
                "2/0 0.0.0.0",
            ])
        #expect(steering.services.allSatisfy { $0.answersByHost && !$0.hasIPv4 && !$0.hasIPv6 })
        #expect((0..<3).allSatisfy { steering.answersByHost($0) })
    }

    /// The hosts that draws come to, with their shares of 4,000.
    private func shares(_ state: SteeringState, _ service: String) throws -> [String: Int] {
        var random = SeededGenerator(7)
        var shares: [String: Int] = [:]
        for _ in 0..<4_000 {
            let decision = try state.decide(service, "203.0.113.9", random: random.next())
            #expect(state.addresses(decision).isEmpty)
            shares[state.host(decision)?.description ?? "none", default: 0] += 1
        }
        return shares
    }

    @Test("hosts are drawn by weight among those that are up, or among all if none is")
    func weights() throws {
        let steering = try steering(hostPools)
        let all = try shares(state(steering), "drawn")
        #expect(all.keys.sorted() == ["eu.lb.vendor.example.", "eu2.lb.vendor.example."])
        #expect((2_850...3_150).contains(all["eu.lb.vendor.example."] ?? 0))
        let part = state(steering, down: ["192.0.2.1"])
        #expect(try shares(part, "drawn") == ["eu2.lb.vendor.example.": 4_000])
        #expect(try part.decide("drawn", "203.0.113.9").isDrawn == false)
        let fallback = state(steering, down: ["eu", "us"])
        #expect(try shares(fallback, "drawn") == ["other.example.net.": 4_000])
    }

    @Test("a hashed host is kept by its client's prefix, which is the scope")
    func hashed() throws {
        let steering = try steering(hostPools)
        let (before, after) = (state(steering), state(steering, down: ["three"]))
        var seen: Set<String> = []
        for third in 0..<200 {
            let client = "203.0.\(third).0"
            let decision = try before.decide("hashed", client)
            #expect(decision.scope == 24 && !decision.isDrawn)
            let host = before.host(decision)?.description ?? ""
            seen.insert(host)
            let moved = after.host(try after.decide("hashed", client))?.description
            if host != "us3.lb.vendor.example." { #expect(moved == host) }
            #expect(moved != "us3.lb.vendor.example.")
        }
        #expect(seen.count == 3)
        let failed = try state(steering, down: ["us"]).decide("hashed", "203.0.113.1")
        #expect(failed.reason == .failure && failed.host == -1)
    }

    @Test("the name loads as it is answered")
    func load() throws {
        let state = state(try steering(hostPools), down: ["us", "one"])
        let decision = try state.decide("drawn", "203.0.113.9")
        var name = NameBuffer()
        state.loadHost(decision.host, into: &name)
        #expect(Name(name) == state.host(decision))
        #expect(Name(name).description == "eu2.lb.vendor.example.")
    }

    @Test("an explanation shows the host, the origins with theirs, and a document has them, too")
    func explained() throws {
        let state = state(try steering(hostPools), down: ["192.0.2.2"])
        let explanation = state.explain(
            service: 0, client: Client(address("203.0.113.9")), random: 1)
        let text = explanation.text
        #expect(text.contains("\nchosen   eu, origin one (first in order)\n"), "\(text)")
        #expect(
            text.contains(
                "\norigins  one  100 % of draws  eu.lb.vendor.example.   up    answered\n"),
            "\(text)")
        #expect(
            text.contains("\n         two    0 % of draws  eu2.lb.vendor.example.  down\n"),
            "\(text)")
        #expect(text.contains("\nanswer   CNAME eu.lb.vendor.example.\n"), "\(text)")
        let document = explanation.document
        #expect(document.alias && document.answer == ["eu.lb.vendor.example."])
        #expect(
            document.origins.map(\.host) == ["eu.lb.vendor.example.", "eu2.lb.vendor.example."])
    }
}

private func pool(_ keys: String, _ origins: String) -> String {
    "pools: { a: { \(keys)origins: { \(origins) } } }\nservices: { s: { rules: [{ pools: a }] } }"
}

private func service(_ text: String, rules: String = "[{ pools: [a, b] }]") -> String {
    """
    pools:
      a: { origins: { o: { host: a.example.net } } }
      b: { origins: { o: { host: b.example.net } } }
      c: { origins: { o: { addresses: 192.0.2.1 } } }
    services:
      s: { \(text)rules: \(rules) }
    """
}

private let oneCNAME =
    "the service \"s\" answers with a host name, and a name has one CNAME (RFC 2181, section 10.1)"

private let hostFaults: [FaultyFile] = [
    FaultyFile(
        pool("", "o: { host: 192.0.2.1 }"),
        "a.yaml:1:37: error: pools.a.origins.o.host: \"192.0.2.1\" looks like an address; write it"
            + " under \"addresses\""),
    FaultyFile(
        pool("", "o: { host: 192.0.2.256 }"),
        "a.yaml:1:37: error: pools.a.origins.o.host: \"192.0.2.256\" looks like an address; write it"
            + " under \"addresses\""),
    FaultyFile(
        pool("", "o: { host: \"2001:db8::1\" }"),
        "a.yaml:1:37: error: pools.a.origins.o.host: \"2001:db8::1\" looks like an address; write it"
            + " under \"addresses\""),
    FaultyFile(
        pool("", "o: { host: eu }"),
        "a.yaml:1:37: error: pools.a.origins.o.host: \"eu\" is one label; write the whole name, as"
            + " eu.lb.vendor.example"),
    FaultyFile(
        pool("", "o: { host: eu..example }"),
        "a.yaml:1:37: error: pools.a.origins.o.host: \"eu..example\" is no host name: two dots in a row,"
            + " or a leading dot: a label is empty; remove a dot"),
    FaultyFile(
        pool("", "o: { host: \"*.example.net\" }"),
        "a.yaml:1:37: error: pools.a.origins.o.host: expected a host name of letters, digits and"
            + " hyphens, as eu.lb.vendor.example (xn-- for others), found \"*.example.net\""),
    FaultyFile(
        pool("", "o: { host: [a.example.net] }"),
        "a.yaml:1:37: error: pools.a.origins.o.host: expected a host name, as eu.lb.vendor.example,"
            + " found a list"),
    FaultyFile(
        pool("", "o: { host: a.example.net, addresses: 192.0.2.1 }"),
        "a.yaml:1:37: error: pools.a.origins.o.host: an origin has addresses or a host name; remove"
            + " one of the two"),
    FaultyFile(
        pool("", "o: { host: a.example.net }, p: { host: A.example.net. }"),
        "a.yaml:1:65: error: pools.a.origins.p.host: a.example.net. is already in this pool, at"
            + " a.yaml:1:37"),
    FaultyFile(
        pool("", "o: { addresses: 192.0.2.1 }, p: { host: a.example.net }"),
        "a.yaml:1:55: error: pools.a.origins.p: has a host name, and \"o\" at a.yaml:1:26 has"
            + " addresses; give all origins of a pool the same, or make two pools"),
    FaultyFile(
        pool("policy: all, ", "o: { host: a.example.net }"),
        "a.yaml:1:23: error: pools.a.policy: a pool of host names answers with one of them (RFC 2181,"
            + " section 10.1); use \"policy: weighted\" or \"policy: hash\""),
    FaultyFile(
        pool("answers: 2, ", "o: { host: a.example.net }"),
        "a.yaml:1:24: error: pools.a.answers: a pool of host names answers with one of them (RFC 2181,"
            + " section 10.1); remove this"),
    FaultyFile(
        service("when_all_down: all, "),
        "a.yaml:6:3: error: \(oneCNAME), so that \"when_all_down: all\" can't be; use first, fallback"
            + " or servfail"),
    FaultyFile(
        service("", rules: "[{ policy: all, pools: [a, b] }]"),
        "a.yaml:6:16: error: \(oneCNAME), so that policy \"all\" can't be; use another policy"),
    FaultyFile(
        service("", rules: "[{ spare: true, pools: [a, b] }]"),
        "a.yaml:6:16: error: \(oneCNAME), so that there can be no \"spare\"; remove it"),
    FaultyFile(
        service("", rules: "[{ pools: [a, c] }]"),
        "a.yaml:2:3: error: the pool \"a\" has host names, but \"c\" at a.yaml:4:3 has addresses, and the"
            + " service \"s\" uses both: a name is an alias for all clients and types, or for none"
            + " (RFC 1034, section 3.6.2); give both host names, or both addresses"),
    FaultyFile(
        service("fallback: c, "),
        "a.yaml:2:3: error: the pool \"a\" has host names, but \"c\" at a.yaml:4:3 has addresses, and the"
            + " service \"s\" uses both: a name is an alias for all clients and types, or for none"
            + " (RFC 1034, section 3.6.2); give both host names, or both addresses"),
    FaultyFile(
        service("", rules: "[{ pools: [{ service: t }, c] }]") + "\n  t: { rules: [{ pools: b }] }",
        "a.yaml:3:3: error: the pool \"b\" has host names, but \"c\" at a.yaml:4:3 has addresses, and the"
            + " service \"s\" uses both: a name is an alias for all clients and types, or for none"
            + " (RFC 1034, section 3.6.2); give both host names, or both addresses"),
]
