// Zones and pools from text, and a responder to ask about them.

import Authority
import DNSWire
import TestSupport

/// A responder with its content.
struct Fixture: ~Copyable {
    let snapshot: Snapshot
    private var responder = Responder(seed: 1)

    /// - Parameters:
    ///   - zones: master files by apex.
    ///   - pools: one pool file.
    init(
        zones: [(apex: String, text: String)], pools: String = "", identity: String = "test",
        answers: AnswerSettings? = nil
    ) throws {
        let answers = answers ?? AnswerSettings(identity: identity)
        snapshot = Snapshot(try TestContent(zones: zones, pools: pools, answers: answers).content)
    }

    /// What the responder sends for a packet; empty for nothing.
    mutating func answer(
        to packet: [UInt8], over carrier: Carrier = .udp, from source: String = "127.0.0.1",
        at time: UInt32 = 0
    ) -> [UInt8] {
        // A worker's slot for a datagram is no longer than this.
        let room =
            carrier == .udp
            ? AnswerSettings.datagramLengths.upperBound : Responder.maximumAnswerLength
        var space = [UInt8](repeating: 0xAA, count: room)
        var slot = space.mutableSpan
        let length = responder.respond(
            to: packet.span,
            Arrival(from: IPAddress(source)!, over: carrier, at: time, idleTimeout: 100),
            with: snapshot, into: &slot)
        return Array(space.prefix(length))
    }
}

extension Fixture {
    /// One zone with something of everything.
    static func everything() throws -> Fixture {
        try Fixture(
            zones: [
                (
                    "example.com.",
                    """
                    $TTL 300
                    @ SOA ns1 hostmaster 1 3600 600 604800 60
                    @ NS ns1
                    @ NS ns2.example.net.
                    @ MX 10 mail
                    @ STEER web
                    ns1 A 192.0.2.53
                    ns1 AAAA 2001:db8::53
                    mail A 192.0.2.25
                    www CNAME mail
                    geo STEER web
                    *.wild CNAME geo
                    old DNAME new
                    a.new A 192.0.2.81
                    child NS ns.child
                    ns.child A 192.0.2.90
                    ns.child AAAA 2001:db8::90
                    chain CNAME x.old
                    x.new CNAME host.child
                    big TXT "\(String(repeating: "b", count: 250))"
                    big TXT "\(String(repeating: "c", count: 250))"
                    big TXT "\(String(repeating: "d", count: 250))"
                    many MX 1 a.example.net.
                    many MX 2 b.example.net.
                    many MX 3 c.mail.example.com.
                    """
                )
            ],
            pools: """
                pools:
                  main: { origins: { one: { addresses: [192.0.2.1, "2001:db8::1"] } } }
                  other: { origins: { two: { addresses: [192.0.2.2, "2001:db8::2"] } } }
                services:
                  web:
                    rules:
                      - match: { networks: [203.0.113.0/24, "2001:db8:5::/48"] }
                        pools: [main]
                      - pools: [other]
                """, identity: String(repeating: "i", count: 64))
    }

    /// Whole queries of every shape for `everything`.
    static var queries: [[UInt8]] {
        var queries: [[UInt8]] = []
        let names = [
            "example.com.", "geo.example.com.", "wWw.eXample.com.", "a.b.wild.example.com.",
            "a.old.example.com.", "chain.example.com.", "www.child.example.com.",
            "big.example.com.", "many.example.com.", "nothing.example.com.", "example.org.", ".",
        ]
        let types: [RecordType] = [.a, .aaaa, .mx, .txt, .ns, .any, .ds, .soa]
        for (index, name) in names.enumerated() {
            for (shape, type) in types.enumerated() {
                var query = TestQuery(name, type)
                switch (index + shape) % 6 {
                case 1: query.payloadSize = 1_232
                case 2: query.setSubnet(IPNetwork("203.0.113.0/24")!)
                case 3:
                    query.setSubnet(IPNetwork("2001:db8:5::/56")!)
                    query.nsid = true
                case 4:
                    query.payloadSize = 512
                    query.dnssecOK = true
                    query.recursionDesired = true
                case 5: query.checkingDisabled = true
                default: break
                }
                queries.append(query.wire)
            }
        }
        for name in ["id.server.", "hostname.bind.", "version.bind."] {
            var query = TestQuery(name, .txt)
            query.recordClass = 3
            query.nsid = true
            query.payloadSize = 4_096
            queries.append(query.wire)
        }
        return queries
    }
}
