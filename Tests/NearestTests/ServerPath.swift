// The whole way of a query in one process: the shipped sample loaded from its files, a query's octets
// in, an answer's octets out, decoded to the site that it names.

import Authority
import DNSWire
import Glibc
import TestSupport

/// The shipped sample with its database, or with the one that RHUMB_CITY_DATABASE names.
struct Sample: Sendable {
    /// Loaded once for all tests; with a full database that takes a while in a debug build.
    static let shared = Result { try Sample() }

    let database: CityDatabase
    let isShipped: Bool
    let path: String
    /// Of autonomous systems, if RHUMB_ASN_DATABASE names one.
    let systems: CityDatabase?
    let systemsPath: String?
    private let test: TestContent

    private init() throws {
        let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let given = unsafe getenv("RHUMB_CITY_DATABASE").map { unsafe String(cString: $0) }
        path = given ?? root + "/geo/world.mmdb"
        isShipped = given == nil
        database = CityDatabase(path: path)
        systemsPath = unsafe getenv("RHUMB_ASN_DATABASE").map { unsafe String(cString: $0) }
        systems = systemsPath.map { CityDatabase(path: $0) }

        test = try TestContent(sample: root, database: path)
    }

    /// What the server sees while some origins are down.
    func snapshot(_ health: Health) -> Snapshot {
        test.snapshot { _, _, address in health.down.contains(address.description) }
    }
}

/// Which origins are down, by their addresses.
struct Health {
    var down: Set<String> = []

    /// Each origin is down with that probability.
    init<Random: RandomNumberGenerator>(_ probability: Double, _ random: inout Random) {
        for origin in Site.all.flatMap(\.origins)
        where Double.random(in: 0..<1, using: &random) < probability {
            down.formUnion([origin.ipv4, origin.ipv6])
        }
    }

    /// The site of each address.
    private static let sites: [String: Int] = {
        var sites: [String: Int] = [:]
        for (index, site) in Site.all.enumerated() {
            for address in site.origins.flatMap({ [$0.ipv4, $0.ipv6] }) { sites[address] = index }
        }
        return sites
    }()

    func isUsable(_ site: Int) -> Bool {
        Site.all[site].origins.contains { !down.contains($0.ipv4) }
    }

    /// The site whose addresses these are; nil unless all are of one site, and up if any of it is.
    func site(of addresses: [String]) -> Int? {
        let sites = Set(addresses.map { Self.sites[$0] })
        guard sites.count == 1, let found = sites.first, let site = found else { return nil }
        return isUsable(site) && addresses.contains(where: down.contains) ? nil : site
    }
}

// MARK: - Queries

/// How a client is known to the server.
enum Disclosure {
    /// By the subnet in the query (RFC 7871).
    case subnet(IPNetwork)
    /// By where the query came from.
    case source(IPAddress)
}

/// What came back, as far as the tests look at it.
struct Reply {
    var addresses: [String]
    var scope: Int?
}

/// One worker's responder with its space.
struct Asker: ~Copyable {
    private var responder: Responder
    private var space = [UInt8](repeating: 0, count: 1_232)
    /// 192.0.2.1: a resolver's address that means nothing to the database.
    private static let resolver = IPAddress(ipv4: 0xC000_0201)

    init(seed: UInt64) {
        responder = Responder(seed: seed)
    }

    /// Asks for a name's addresses; nil if the answer is anything but addresses and EDNS as sent.
    mutating func ask(
        _ name: String, _ type: RecordType, _ client: Disclosure, _ snapshot: Snapshot
    ) -> Reply? {
        var query = TestQuery(name, type)
        var source = Self.resolver
        switch client {
        case .subnet(let network): query.setSubnet(network)
        case .source(let address): source = address
        }
        let answer = Self.send(query.wire, source, snapshot, &responder, &space)
        guard let answer, answer.code == 0, answer.isAuthoritative, !answer.isTruncated,
            answer.answer.count == answer.data(of: type).count, answer.authority.isEmpty
        else { return nil }
        switch client {
        case .subnet(let network):
            guard let scope = answer.scope, answer.subnet == "\(network)/\(scope)" else {
                return nil
            }
        case .source: guard answer.subnet == nil else { return nil }
        }
        return Reply(addresses: answer.data(of: type), scope: answer.scope)
    }

    private static func send(
        _ query: [UInt8], _ source: IPAddress, _ snapshot: Snapshot, _ responder: inout Responder,
        _ space: inout [UInt8]
    ) -> TestAnswer? {
        var answer = space.mutableSpan
        let length = responder.respond(
            to: query.span, Arrival(from: source, over: .udp, at: 0), with: snapshot, into: &answer)
        return TestAnswer(Array(space.prefix(length)))
    }
}
