// Pool files: what is read, and every message with its place.

import DNSWire
import Geo
import Settings
import Testing

@testable import Steering

/// A file with one fault, and the one message that it must give.
struct FaultyFile: Sendable, CustomTestStringConvertible {
    var text: String
    var message: String
    var testDescription: String { message }

    init(_ text: String, _ message: String) {
        self.text = text
        self.message = message
    }

    /// A file whose only pool is `main`, with these lines after it.
    init(main text: String, _ message: String) {
        self.init("pools: { main: { origins: { o: { addresses: 192.0.2.1 } } } }\n" + text, message)
    }

    /// A file whose only service has these rules, over the pools `main` and `spare`.
    init(rules: String, _ message: String, fallback: Bool = true) {
        self.init(
            """
            pools:
              main: { origins: { o: { addresses: 192.0.2.1 } } }
              spare: { origins: { o: { addresses: 192.0.2.2 } } }
            services:
              web:\(fallback ? "\n    fallback: spare" : "")
                rules:

            """
                + rules.split(separator: "\n").map { "      \($0)" }.joined(separator: "\n"),
            message)
    }
}

@Suite("pool files")
struct PoolFileTests {
    @Test("the design's example is read as it says")
    func designExample() throws {
        let (configuration, messages) = parse(
            """
            monitors:
              web: { type: https, path: /healthz }
            pools:
              frankfurt:
                location: [50.11, 8.68]
                monitor: web
                min_healthy: 1
                origins:
                  fra-1: { addresses: [192.0.2.10], weight: 2 }
                  fra-2: { addresses: [192.0.2.11] }
              virginia:  { location: [39.04, -77.49], monitor: web, origins: { iad-1: { addresses: [198.51.100.10] } } }
            services:
              web:
                rules:
                  - match: { networks: [10.0.0.0/8] }
                    pools: [frankfurt]
                  - match: { countries: [US, CA] }
                    pools: [virginia, frankfurt]
                  - policy: proximity
                    pools: [frankfurt, virginia]
                fallback: virginia
            """)
        #expect(messages.isEmpty)
        let read = try #require(configuration)
        #expect(read.pools.map(\.name) == ["frankfurt", "virginia"])
        #expect(read.pools[0].policy == .weighted)
        #expect(read.pools[0].origins.map(\.weight) == [2, 1])
        #expect(read.pools[1].policy == .all)
        #expect(read.pools[1].location?.longitude == -77.49)
        #expect(read.monitors.map(\.name) == ["web"])
        let service = try #require(read.services.first)
        #expect(service.rules.map(\.policy) == [.failover, .failover, .proximity])
        #expect(service.rules[1].match == Match(countries: ["US", "CA"]))
        #expect(service.rules[1].pools.map(\.pool) == [1, 0])
        #expect(service.rules[2].match == nil)
        #expect(service.fallback == 1)
    }

    @Test(
        "a pool has a monitor or several, of which all, any or a number are needed",
        arguments: [
            ("", [], 1), ("monitor: a,", ["a"], 1), ("monitor: [b, a],", ["b", "a"], 2),
            ("monitor: [a, b, c], monitors_needed: all,", ["a", "b", "c"], 3),
            ("monitor: [a, b, c], monitors_needed: any,", ["a", "b", "c"], 1),
            ("monitor: [a, b, c], monitors_needed: 2,", ["a", "b", "c"], 2),
            ("monitors_needed: 1, monitor: a,", ["a"], 1),
        ])
    func monitors(settings: String, names: [String], needed: Int) throws {
        let (configuration, messages) = parse(
            """
            monitors: { a: {}, b: {}, c: {} }
            pools: { main: { \(settings) origins: { o: { addresses: 192.0.2.1 } } } }
            services: { web: { rules: [{ pools: main }] } }
            """)
        #expect(messages.isEmpty)
        let pool = try #require(configuration?.pools.first)
        #expect(pool.monitors == names && pool.monitorsNeeded == needed)
        #expect(pool.isMonitored == !names.isEmpty)
    }

    @Test("files form one namespace, whichever is first")
    func severalFiles() throws {
        let (configuration, messages) = parse(
            "services: { web: { rules: [{ pools: main }] } }",
            "pools: { main: { monitor: m, origins: { o: { addresses: 192.0.2.1 } } } }\nmonitors: { m: {} }"
        )
        #expect(messages.isEmpty)
        #expect(configuration?.services.first?.rules.first?.pools.map(\.pool) == [0])
    }

    @Test(
        "empty files are a configuration without services", arguments: ["", "pools:\n", "# none\n"])
    func empty(text: String) throws {
        let (configuration, messages) = parse(text)
        #expect(messages.isEmpty)
        #expect(try #require(configuration).services.isEmpty)
    }

    @Test("a name defined twice names both places")
    func twice() {
        let pool = "pools:\n  main: { origins: { o: { addresses: 192.0.2.1 } } }\n"
        let service = "services: { web: { rules: [{ pools: main }] } }"
        let (configuration, messages) = parse(pool + service, pool)
        #expect(configuration == nil)
        #expect(
            messages == ["b.yaml:2:3: error: the pool \"main\" is already defined at a.yaml:2:3"])
    }

    @Test("all faults are reported, not the first")
    func allFaults() {
        let (configuration, messages) = parse(
            """
            pools:
              a: { origins: { o: { addresses: nowhere } } }
              b: { origin: {} }
            services:
              s: { rules: [{ pools: [c, a] }] }
            """)
        #expect(configuration == nil)
        #expect(messages.count == 4)
        #expect(messages.filter { $0.contains("there is no pool") }.count == 1)
    }

    @Test("a faulty pool leads to no follow-up errors where it is used")
    func noFollowUps() {
        let (_, messages) = parse(
            """
            pools: { main: { origins: { o: { addresses: [192.0.2.300] } } } }
            services: { web: { rules: [{ pools: main }], fallback: main } }
            """)
        #expect(messages.count == 1)
    }

    @Test("an address that can't be read does not make its pool seem to lack the family")
    func noEchoOfAnAddress() {
        let (_, messages) = parse(
            """
            pools:
              one: { origins: { o: { addresses: [192.0.2.300, "2001:db8::1"] } } }
              two: { origins: { o: { addresses: [192.0.2.1, "2001:db8::2"] } } }
            services: { web: { rules: [{ policy: failover, pools: [one, two] }] } }
            """)
        #expect(messages.count == 1)
    }

    @Test("monitors and names of services are known also where something else is wrong")
    func partsOfFaultyFiles() {
        let text = """
            monitors: { web: { type: tcp } }
            pools: { main: { origins: { o: { addresses: [192.0.2.300] } } } }
            services: { web: { rules: [{ pools: main }] } }
            """
        let faulty = PoolFile(name: "a.yaml", text: text)
        var monitors: [MonitorEntry] = []
        var diagnostics = Diagnostics()
        let configuration = SteeringConfiguration.parse(
            [faulty], monitors: &monitors, diagnostics: &diagnostics)
        #expect(configuration == nil)
        #expect(monitors.map(\.name) == ["web"])
        #expect(SteeringConfiguration.statedServices([faulty]) == ["web"])
        let unreadable = PoolFile(name: "b.yaml", text: "services: [")
        #expect(SteeringConfiguration.statedServices([faulty, unreadable]) == nil)
    }

    @Test("a pool that nobody uses is a warning")
    func unused() {
        let (configuration, messages) = parse(
            "pools:\n  idle: { origins: { o: { addresses: 192.0.2.1 } } }")
        #expect(configuration != nil)
        #expect(messages == ["a.yaml:2:3: warning: no service uses the pool \"idle\""])
    }

    @Test("faults in pools are reported with place and cure", arguments: poolFaults)
    func poolFault(_ file: FaultyFile) {
        let (configuration, messages) = parse(file.text)
        #expect(configuration == nil)
        #expect(messages.filter { $0.contains("error") } == [file.message])
    }

    @Test("faults in services are reported with place and cure", arguments: serviceFaults)
    func serviceFault(_ file: FaultyFile) {
        let (configuration, messages) = parse(file.text)
        #expect(configuration == nil)
        #expect(messages.filter { $0.contains(" error: ") } == [file.message])
    }

    @Test("pools that proximity can't rank are warnings")
    func missingLocations() {
        let pools = """
            pools:
              a: { PLACE origins: { o: { addresses: 192.0.2.1 } } }
              b: { origins: { o: { addresses: 192.0.2.2 } } }
            services: { s: { rules: [{ policy: proximity, pools: [a, b] }] } }
            """
        #expect(
            parse(pools.replacing("PLACE", with: "location: [1, 2],")).messages == [
                "a.yaml:3:3: warning: the pool \"b\" has no location, so that it comes last under"
                    + " policy \"proximity\" at a.yaml:4:26; give it a \"location: [latitude,"
                    + " longitude]\""
            ])
        #expect(
            parse(pools.replacing("PLACE", with: "")).messages == [
                "a.yaml:4:26: warning: no pool of this rule has a location, so that \"proximity\""
                    + " gives everyone the first; give each a \"location: [latitude, longitude]\""
            ])
    }

    @Test("rules that only a usual database makes idle are warnings")
    func hardlyMatching() {
        let (configuration, messages) = parse(
            """
            pools: { main: { origins: { o: { addresses: 192.0.2.1 } } } }
            services:
              web:
                rules:
                  - { match: { continents: EU }, pools: main }
                  - { match: { countries: DE }, pools: main }
                  - { match: { continents: AS, countries: [JP, FR] }, pools: main }
                fallback: main
            """)
        #expect(configuration != nil)
        #expect(messages.map { $0.prefix { $0 != "w" } } == ["a.yaml:6:9: ", "a.yaml:7:47: "])
        #expect(messages.allSatisfy { $0.contains(": warning: ") })
    }

    @Test("limits hold at the limit and not one beyond")
    func limits() {
        func pool(addresses count: Int, weighted: Bool = false) -> String {
            let each = (0..<count).map { "o\($0): { addresses: 192.0.2.\($0) }" }
            return "pools: { main: { \(weighted ? "policy: weighted, " : "")origins: {"
                + each.joined(separator: ", ")
                + "} } }\nservices: { s: { rules: [{ pools: main }] } }"
        }
        #expect(parse(pool(addresses: SteeringLimit.addressesPerAnswer)).messages.isEmpty)
        #expect(
            parse(pool(addresses: SteeringLimit.addressesPerAnswer + 1)).messages == [
                "a.yaml:1:10: error: the pool \"main\" has 33 IPv4 addresses; an answer holds 32;"
                    + " \"policy: weighted\" answers with one origin at a time"
            ])
        #expect(
            parse(pool(addresses: SteeringLimit.addressesPerAnswer + 1, weighted: true))
                .messages.isEmpty)

        func rules(_ count: Int) -> String {
            let each = (0..<count).map {
                "{ match: { networks: 10.0.\($0 / 256).\($0 % 256) }, pools: a }"
            }
            return "pools: { a: { origins: { o: { addresses: 192.0.2.1 } } } }\nservices: { s: {"
                + " fallback: a, rules: [\(each.joined(separator: ", "))] } }"
        }
        #expect(parse(rules(SteeringLimit.rulesPerService)).messages.isEmpty)
        let beyond = parse(rules(SteeringLimit.rulesPerService + 1)).messages
        #expect(beyond.count == 1)
        #expect(beyond.first?.hasSuffix("s.rules: a service has 1 to 256 rules") == true)
    }
}

let poolFaults: [FaultyFile] = [
    FaultyFile("pool: {}", "a.yaml:1:1: error: unknown key \"pool\"; did you mean \"pools\"?"),
    FaultyFile(
        "pools: { a: { origins: {} } }",
        "a.yaml:1:24: error: pools.a.origins: a pool needs at least one origin"),
    FaultyFile("pools: { a: { } }", "a.yaml:1:13: error: pools.a: the key \"origins\" is missing"),
    FaultyFile(
        "pools: { a: { origins: { o: { } } } }",
        "a.yaml:1:29: error: pools.a.origins.o: the key \"addresses\" is missing, or \"host\" in its"
            + " place"),
    FaultyFile(
        "pools: { a: { origins: { o: { addresses: [] } } } }",
        "a.yaml:1:42: error: pools.a.origins.o.addresses: an origin needs an address"),
    FaultyFile(
        "pools: { a: { origins: { o: { addresses: 10.0.0.0/8 } } } }",
        "a.yaml:1:42: error: pools.a.origins.o.addresses: expected an IPv4 or IPv6 address,"
            + " found \"10.0.0.0/8\""),
    FaultyFile(
        "pools: { a: { origins: { o: { addresses: [192.0.2.1, 0.0.0.0] } } } }",
        "a.yaml:1:54: error: pools.a.origins.o.addresses[1]: 0.0.0.0 is the unspecified address;"
            + " clients cannot reach it"),
    FaultyFile(
        "pools: { a: { origins: { o: { addresses: [\"ff02::1\"] } } } }",
        "a.yaml:1:43: error: pools.a.origins.o.addresses[0]: ff02::1 is a multicast address;"
            + " clients cannot reach it"),
    FaultyFile(
        "pools: { a: { origins: { o: { addresses: 239.1.1.1 } } } }",
        "a.yaml:1:42: error: pools.a.origins.o.addresses: 239.1.1.1 is a multicast address;"
            + " clients cannot reach it"),
    FaultyFile(
        "pools: { a: { origins: { o: { addresses: \"::ffff:192.0.2.1\" } } } }",
        "a.yaml:1:42: error: pools.a.origins.o.addresses: ::ffff:192.0.2.1 is an IPv4 address in"
            + " IPv6's clothes; write 192.0.2.1"),
    FaultyFile(
        "pools: { a: { origins: { o: { addresses: 192.0.2.1 }, p: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:71: error: pools.a.origins.p.addresses: 192.0.2.1 is already in this pool, at"
            + " a.yaml:1:42"),
    FaultyFile(
        "pools: { a: { origins: { o: { addresses: 192.0.2.1, weight: 65536 } } } }",
        "a.yaml:1:61: error: pools.a.origins.o.weight: expected a whole number from 0 to 65535,"
            + " found \"65536\""),
    FaultyFile(
        "pools: { a: { policy: all, origins: { o: { addresses: 192.0.2.1, weight: 2 } } } }",
        "a.yaml:1:74: error: pools.a.origins.o.weight: a weight means nothing under policy"
            + " \"all\"; use \"policy: weighted\", or remove it"),
    FaultyFile(
        "pools: { a: { policy: wieghted, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:23: error: pools.a.policy: expected one of weighted, hash, all (did you"
            + " mean weighted?), found \"wieghted\""),
    FaultyFile(
        "pools: { a: { policy: all, answers: 2, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:37: error: pools.a.answers: policy \"all\" answers with all origins that are up;"
            + " use \"policy: weighted\" or \"policy: hash\", or remove it"),
    FaultyFile(
        "pools: { a: { answers: 9, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:24: error: pools.a.answers: expected a whole number from 1 to 8, found \"9\""),
    FaultyFile(
        "pools: { a: { shed: 101%, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:21: error: pools.a.shed: expected a share in percent, as 20%, found \"101%\""),
    FaultyFile(
        "pools: { a: { min_healthy: 2, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:28: error: pools.a.min_healthy: 2 healthy origins are wanted, but the pool has 1;"
            + " it could never be used"),
    FaultyFile(
        "pools: { a: { min_healthy: 0, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:28: error: pools.a.min_healthy: expected a whole number from 1 to 1, or a share"
            + " from 1% to 100%, found \"0\""),
    FaultyFile(
        "monitors: { web: {} }\npools: { a: { monitor: wbe, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:2:24: error: pools.a.monitor: there is no monitor \"wbe\"; did you mean \"web\"?"),
    FaultyFile(
        "pools: { a: { monitor: web, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:24: error: pools.a.monitor: there is no monitor \"web\"; no monitors are defined"),
    FaultyFile(
        "monitors: { web: {} }\npools: { a: { monitor: [web, wbe], origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:2:30: error: pools.a.monitor[1]: there is no monitor \"wbe\"; did you mean \"web\"?"
    ),
    FaultyFile(
        "monitors: { web: {} }\npools: { a: { monitor: [web, web], origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:2:30: error: pools.a.monitor[1]: web is listed twice; remove one"),
    FaultyFile(
        "pools: { a: { monitor: [], origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:24: error: pools.a.monitor: expected the name of a monitor, or several, found a"
            + " list"),
    FaultyFile(
        "monitors: { w: {}, p: {} }\npools: { a: { monitor: [w, p], monitors_needed: 3, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:2:49: error: pools.a.monitors_needed: expected all, any, or how many of the 2"
            + " monitors, from 1 to 2, found \"3\""),
    FaultyFile(
        "pools: { a: { monitors_needed: any, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:32: error: pools.a.monitors_needed: the pool has no monitor; add"
            + " \"monitor: [NAME, …]\", or remove this"),
    FaultyFile(
        "pools: { \"a b\": { origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:10: error: \"a b\" cannot name a pool; use 1 to 63 of the letters a to z, digits,"
            + " hyphen, underscore and full stop"),
    FaultyFile(
        "pools: { a: { weight: 3, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:15: error: pools.a: unknown key \"weight\"; known here: location, monitor,"
            + " monitors_needed, min_healthy, policy, answers, shed, capacity, load, ramp, origins"),
    FaultyFile(
        "pools: { a: { capacity: 0, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:25: error: pools.a.capacity: expected a whole number from 1 to 1000000000,"
            + " found \"0\""),
    FaultyFile(
        "pools: { a: { load: much, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:21: error: pools.a.load: expected a whole number from 0 to 1000000000,"
            + " found \"much\""),
    FaultyFile(
        "pools: { a: { ramp: 2h, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:21: error: pools.a.ramp: expected a duration from 1s to 1h, found \"2h\""),
    FaultyFile(
        "pools: { a: { location: [139.69, 35.68], origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:25: error: pools.a.location: latitude 139.69 must be from -90 to 90, longitude"
            + " 35.68 from -180 to 180; did you swap latitude and longitude?"),
    FaultyFile(
        "pools: { a: { location: [nan, 1], origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:25: error: pools.a.location: latitude nan must be from -90 to 90, longitude 1.0"
            + " from -180 to 180"),
    FaultyFile(
        "pools: { a: { location: Frankfurt, origins: { o: { addresses: 192.0.2.1 } } } }",
        "a.yaml:1:25: error: pools.a.location: expected [latitude, longitude] in degrees, as"
            + " [50.11, 8.68], found \"Frankfurt\""),
]

let serviceFaults: [FaultyFile] = [
    FaultyFile(
        main: "services: { web: { rules: [{ pools: [{ service: wbe }, main] }] } }",
        "a.yaml:2:49: error: services.web.rules[0].pools[0].service: there is no service \"wbe\";"
            + " did you mean \"web\"?"),
    FaultyFile(
        main: "services: { web: { rules: [{ pools: [{ service: web, pool: main }] }] } }",
        "a.yaml:2:60: error: services.web.rules[0].pools[0].pool: an entry names a pool or a"
            + " service; write two entries"),
    FaultyFile(
        main: "services: { web: { rules: [{ pools: [{ service: web }] }] } }",
        "a.yaml:2:13: error: the service \"web\" leads back to itself (web -> web); name pools"
            + " instead in one of them"),
    FaultyFile(
        main: "services: { a: { rules: [{ pools: [{ service: b }] }] },"
            + " b: { rules: [{ pools: [main, { service: a }] }] } }",
        "a.yaml:2:13: error: the service \"a\" leads back to itself (a -> b -> a); name pools"
            + " instead in one of them"),
    FaultyFile(
        main: "services: { a: { rules: [{ pools: [{ service: b }] }] },"
            + " b: { fallback: main, rules: [{ match: { countries: DE }, pools: main }] } }",
        "a.yaml:2:26: error: the services that this rule names leave clients without a pool; add"
            + " \"fallback: POOL\" to \"a\", or a pool to this rule"),
    FaultyFile(
        main: "services: { a: { rules: [{ policy: all, pools: [{ service: b }] }] },"
            + " b: { rules: [{ pools: main }] } }",
        "a.yaml:2:60: error: services.a.rules[0].pools[0].service: policy \"all\" takes pools alone;"
            + " name the service's pools"),
    FaultyFile(
        main: "services: { web: { rules: [{ policy: weighted, spare: true, pools: main }] } }",
        "a.yaml:2:55: error: services.web.rules[0].spare: there is no next pool under policy"
            + " \"weighted\"; it takes \"policy: proximity or latency or failover or hash\""),
    FaultyFile(
        main: "services: { web: { ecs: maybe, rules: [{ pools: main }] } }",
        "a.yaml:2:25: error: services.web.ecs: expected one of use, ignore, found \"maybe\""),
    FaultyFile(
        main: "services: { web: { rules: [{ pools: [mian] }] } }",
        "a.yaml:2:38: error: services.web.rules[0].pools[0]: there is no pool \"mian\"; did you mean"
            + " \"main\"?"),
    FaultyFile(
        main: "services: { web: { fallback: main } }",
        "a.yaml:2:18: error: services.web: the key \"rules\" is missing"),
    FaultyFile(
        main: "services: { web: { rules: [] } }",
        "a.yaml:2:27: error: services.web.rules: a service has 1 to 256 rules"),
    FaultyFile(
        main: "services: { web: { rules: [{ policy: failover }] } }",
        "a.yaml:2:28: error: services.web.rules[0]: the key \"pools\" is missing"),
    FaultyFile(
        main: "services: { web: { rules: [{ pools: [] }] } }",
        "a.yaml:2:37: error: services.web.rules[0].pools: a rule has 1 to 64 pools"),
    FaultyFile(
        main: "services: { web: { rules: [{ policy: nearest, pools: main }] } }",
        "a.yaml:2:38: error: services.web.rules[0].policy: expected one of proximity, latency, failover,"
            + " weighted, hash, all, found \"nearest\""),
    FaultyFile(
        main: "services: { web: { rules: [{ pools: main }], when_all_down: nodata } }",
        "a.yaml:2:61: error: services.web.when_all_down: expected one of fallback, all, first,"
            + " servfail, found \"nodata\""),
    FaultyFile(
        rules: "- pools: [main, spare, main]",
        "a.yaml:8:30: error: services.web.rules[0].pools[2]: the pool \"main\" is already in this"
            + " rule"),
    FaultyFile(
        rules: "- { policy: proximity, pools: [{ pool: main, weight: 2 }] }",
        "a.yaml:8:60: error: services.web.rules[0].pools[0].weight: a weight means nothing under"
            + " policy \"proximity\"; it takes \"policy: weighted or hash\""),
    FaultyFile(
        rules: "- { pools: [{ pool: main, bias: 2 }] }",
        "a.yaml:8:39: error: services.web.rules[0].pools[0].bias: a bias means nothing under policy"
            + " \"failover\"; it takes \"policy: proximity\""),
    FaultyFile(
        rules: "- { policy: proximity, pools: [{ pool: main, bias: 100 }] }",
        "a.yaml:8:58: error: services.web.rules[0].pools[0].bias: expected a whole number from -99"
            + " to 99, found \"100\""),
    FaultyFile(
        rules: "- { match: { countries: [UK] }, pools: main }",
        "a.yaml:8:32: error: services.web.rules[0].match.countries[0]: expected a country code of"
            + " ISO 3166-1, as DE (did you mean GB?), found \"UK\""),
    FaultyFile(
        rules: "- { match: { continents: Europe }, pools: main }",
        "a.yaml:8:32: error: services.web.rules[0].match.continents: expected a continent: AF, AN,"
            + " AS, EU, NA, OC, SA, found \"Europe\""),
    FaultyFile(
        rules: "- { match: { subdivisions: California }, pools: main }",
        "a.yaml:8:34: error: services.web.rules[0].match.subdivisions: expected a subdivision of"
            + " ISO 3166-2, as US-CA, found \"California\""),
    FaultyFile(
        rules: "- { match: { networks: 10.1.2.3/8 }, pools: main }",
        "a.yaml:8:30: error: services.web.rules[0].match.networks: 10.1.2.3/8 has bits set after"
            + " its length; did you mean 10.0.0.0/8?"),
    FaultyFile(
        rules: "- { match: { networks: \"2002:c000::/24\" }, pools: main }",
        "a.yaml:8:30: error: services.web.rules[0].match.networks: 2002:c000::/24: addresses in"
            + " 2002::/16 are located by the IPv4 address they carry; write 192.0.0.0/8"),
    FaultyFile(
        rules: "- { match: { country: DE }, pools: main }",
        "a.yaml:8:20: error: services.web.rules[0].match: unknown key \"country\"; known here:"
            + " networks, asns, continents, countries, subdivisions, cities, regions, any, not"),
    FaultyFile(
        rules: "- { match: {}, pools: main }",
        "a.yaml:8:18: error: services.web.rules[0].match: a match states at least one of networks, asns,"
            + " continents, countries, subdivisions, cities, regions, any, not; leave \"match\" out"
            + " to match everyone"),
    FaultyFile(
        rules: "- { match: { countries: [DE], subdivisions: [DE-BW, US-CA] }, pools: main }",
        "a.yaml:8:51: error: services.web.rules[0].match.subdivisions: US-CA never matches, since"
            + " \"countries\" has to match too and lacks US"),
    FaultyFile(
        rules: "- { match: { countries: [DE, US], subdivisions: [DE-BW] }, pools: main }",
        "a.yaml:8:55: error: services.web.rules[0].match.subdivisions: no subdivision of US, so US"
            + " in \"countries\" never matches; to match all of it, give it a rule of its own"),
    FaultyFile(
        rules: "- { match: , pools: main }",
        "a.yaml:8:18: error: services.web.rules[0].match: has no value; give it one, or remove the"
            + " key"),
    FaultyFile(
        rules: "- { match: { continents: EU, countries: }, pools: main }",
        "a.yaml:8:47: error: services.web.rules[0].match.countries: has no value; give it one, or"
            + " remove the key"),
    FaultyFile(
        rules: "- { match: { countries: DE }, pools: main }",
        "a.yaml:5:3: error: the service \"web\" has no answer for clients that no rule matches; add"
            + " \"fallback: POOL\", or a last rule without \"match\"", fallback: false),
    FaultyFile(
        rules: "- pools: main\n- { match: { countries: DE }, pools: main }",
        "a.yaml:9:9: error: services.web.rules[1]: this rule never matches; the one at a.yaml:8:9"
            + " has no \"match\" and takes every client"),
    FaultyFile(
        rules: """
            - { match: { countries: [DE, FR] }, pools: main }
            - { match: { countries: [FR], networks: 10.0.0.0/8 }, pools: main }
            """,
        "a.yaml:9:9: error: services.web.rules[1]: this rule never matches; earlier rules take all"
            + " its clients (networks 10.0.0.0/8, countries FR); move it up, or remove it"),
    FaultyFile(
        """
        pools:
          main: { origins: { o: { addresses: [192.0.2.1, "2001:db8::1"] } } }
          spare: { origins: { o: { addresses: 192.0.2.2 } } }
        services: { web: { rules: [{ pools: main }], fallback: spare } }
        """,
        "a.yaml:3:3: error: the pool \"spare\" has no IPv6 address, but \"main\" has, and the"
            + " service \"web\" uses both: some clients would find no IPv6 address, and resolvers"
            + " would keep that answer for all; add one to this pool, or leave IPv6 out of all"),
]

@Suite("rules that earlier ones cover")
struct CoverageTests {
    static let de = Match(countries: ["DE"])

    @Test(
        "a rule is covered if all its clients are taken before",
        arguments: [
            ([de], de, true),
            ([Match(countries: ["DE", "FR"])], de, true),
            ([de], Match(countries: ["DE", "FR"]), false),
            ([de, Match(countries: ["FR"])], Match(countries: ["DE", "FR"]), true),
            ([de], Match(continents: ["EU"], countries: ["DE"]), true),
            ([Match(continents: ["EU"], countries: ["DE"])], de, false),
            ([de], Match(subdivisions: [Subdivision(country: "DE", code: "BW")]), true),
            ([Match(subdivisions: [Subdivision(country: "DE", code: "BW")])], de, false),
            (
                [Match(networks: networks("10.0.0.0/8"))], Match(networks: networks("10.1.0.0/16")),
                true
            ),
            (
                [Match(networks: networks("10.1.0.0/16"))], Match(networks: networks("10.0.0.0/8")),
                false
            ),
            ([Match(networks: networks("::/0"))], Match(networks: networks("10.0.0.0/8")), false),
            ([Match(networks: networks("::/0"))], Match(networks: networks("2001:db8::/32")), true),
            (
                [Match(networks: networks("10.0.0.0/8")), Match(networks: networks("::/0"))],
                Match(networks: networks("10.0.0.0/9", "2001:db8::/32")), true
            ),
        ] as [([Match], Match, Bool)])
    func covered(earlier: [Match], match: Match, expected: Bool) {
        #expect(match.isCovered(by: earlier) == expected)
    }

    private static func networks(_ texts: String...) -> Set<IPNetwork> {
        Set(texts.compactMap { IPNetwork($0) })
    }
}
