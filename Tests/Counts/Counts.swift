// Answers one query of the shipped sample many times, so that an instruction counter can see what a
// query costs: `scripts/count` runs it under callgrind.
//
// usage: Counts DIRECTORY NAME TYPE TIMES [SUBNET] [cookie]

import Authority
import Cryptography
import DNSWire
import TestSupport

@main
struct Counts {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 5, let type = RecordType(mnemonic: arguments[3]),
            let times = Int(arguments[4]), let source = IPAddress("192.0.2.1")
        else {
            print("usage: Counts DIRECTORY NAME TYPE TIMES [SUBNET] [cookie]")
            return
        }
        var query = TestQuery(arguments[2], type)
        query.payloadSize = 1_232
        for word in arguments.dropFirst(5) {
            if let subnet = IPNetwork(word) { query.setSubnet(subnet) }
            // A client's alone, of which the server cookie is made.
            if word == "cookie" { query.options = [(10, [1, 2, 3, 4, 5, 6, 7, 8])] }
        }
        let snapshot = try load(arguments[1])
        let wire = query.wire
        var space = [UInt8](repeating: 0, count: 4_096)
        var length = 0
        var responder = Responder(seed: 1)
        for _ in 0..<times {
            length = answer(wire.span, source, snapshot, &responder, &space)
        }
        print(TestAnswer(Array(space.prefix(length)))?.text ?? "no answer")
    }

    @inline(never)
    private static func answer(
        _ query: Span<UInt8>, _ source: IPAddress, _ snapshot: Snapshot,
        _ responder: inout Responder, _ space: inout [UInt8]
    ) -> Int {
        var answer = space.mutableSpan
        return responder.respond(
            to: query, Arrival(from: source, over: .udp, at: 1_559_731_985), with: snapshot,
            into: &answer)
    }

    /// The sample and what it has no use for, with every origin up but one.
    private static func load(_ directory: String) throws -> Snapshot {
        var answers = AnswerSettings(identity: "counts")
        answers.cookies = CookieSecrets(current: SipHashKey(0..<16))
        let others = """
            $TTL 300
            @ SOA ns1 hostmaster 1 3600 600 604800 60
            @ NS ns1.example.com.
            child NS ns1.child
            child NS ns2.child
            ns1.child A 192.0.2.53
            ns1.child AAAA 2001:db8::53
            ns2.child A 192.0.2.54
            *.wild A 192.0.2.55
            hash 30 STEER hash
            spare 30 STEER spare
            nested 30 STEER nested
            crowded 30 STEER crowded
            edge 30 STEER edge
            www 30 STEER web
            www HTTPS 1 . alpn=h2,h3 ipv4hint=auto ipv6hint=auto
            soon STEER soon

            """
        let pools = """
            pools:
              one: { origins: { a: { addresses: [192.0.2.1, "2001:db8::1"] } } }
              two: { origins: { b: { addresses: [192.0.2.2, "2001:db8::2"] } } }
              three: { origins: { c: { addresses: [192.0.2.3, "2001:db8::3"] } } }
              gone: { load: 100, origins: { d: { addresses: [192.0.2.4, "2001:db8::4"] } } }
              full: { capacity: 110, load: 100, origins: { e: { addresses: [192.0.2.5, "2001:db8::5"] } } }
              roomy: { load: 10, origins: { f: { addresses: [192.0.2.6, "2001:db8::6"] } } }
              edge-eu: { location: [50.11, 8.68], origins: { a: { host: eu.lb.vendor.example } } }
              edge-us: { location: [39.04, -77.49], origins: { a: { host: us.lb.vendor.example } } }
            services:
              hash: { rules: [{ policy: hash, pools: [one, two, three] }] }
              spare: { rules: [{ spare: true, pools: [one, two, three] }] }
              nested: { rules: [{ pools: [{ service: inner }, three] }] }
              inner: { rules: [{ pools: [one, two] }] }
              crowded: { rules: [{ pools: [gone, full, roomy] }] }
              edge: { rules: [{ policy: proximity, pools: [edge-eu, edge-us] }] }
              soon: { ttl: 10s-60s, rules: [{ pools: [one, two] }] }
            """
        return try TestContent(
            sample: directory, with: [("example.org.", others)], morePools: pools,
            database: directory + "/geo/world.mmdb", answers: answers
        ).snapshot { pool, _, _ in pool == "gone" }
    }
}
