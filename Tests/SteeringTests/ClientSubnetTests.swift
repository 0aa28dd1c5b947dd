// By whose address a service steers: the client's or the resolver's.

import DNSWire
import Geo
import Testing

@testable import Steering

@Suite("client subnets")
struct ClientSubnetTests {
    @Test("a service that ignores subnets goes by the resolver, the same for all of its clients")
    func ignored() throws {
        let text = { (ecs: String) in
            worldPools
                + "services: { s: { ecs: \(ecs), rules: [{ policy: proximity, pools: [frankfurt, tokyo] }] } }"
        }
        let client = Client(
            address("203.0.113.0"), knownBits: 24, resolver: address("198.51.100.1"))
        let used = makeState(
            try makeSteering(text("use"), places: worldPlaces), down: [])
        let ignored = makeState(
            try makeSteering(text("ignore"), places: worldPlaces), down: [])
        let here = used.decide(service: 0, client: client, random: 0)
        #expect(here.pool == 2 && here.scope > 0 && !here.wentByResolver)
        let there = ignored.decide(service: 0, client: client, random: 0)
        #expect(there.pool == 0 && there.scope == 0 && there.wentByResolver)
        let explanation = ignored.explain(service: 0, client: client, random: 0)
        #expect(explanation.located.location?.city == "London")
        #expect(explanation.text.contains("203.0.113.0/24, gone by its resolver 198.51.100.1"))
        #expect(explanation.text.contains("the service ignores subnets"))
        // Without a subnet there is nothing to ignore.
        let alone = ignored.decide(service: 0, client: Client(address("203.0.113.0")), random: 0)
        #expect(alone.pool == 2 && !alone.wentByResolver)
    }
}
