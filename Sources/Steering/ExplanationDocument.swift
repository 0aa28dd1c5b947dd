// An explanation as structured data, for programs: `explain --json` prints it, and what else tells of
// decisions will. Keys are stable; new ones may come.

internal import DNSWire
internal import Geo
internal import Settings

/// The shape of an explanation's JSON. Distances in kilometres, shares from 0 to 1, TTL in seconds.
public struct ExplanationDocument: Encodable, Sendable {
    var service: String
    var defined: String
    /// Whether the checker suspects its own network, so that verdicts are those from before.
    var isolated: Bool
    var client: Client
    var levels: [Level]
    var reason: String
    var pool: String?
    var spare: String?
    var fallback: String?
    var origins: [Origin]
    /// The addresses, or the name of the host to which a CNAME leads.
    var answer: [String]
    /// Whether the answer is a CNAME.
    var alias: Bool
    var ttl: UInt32?
    var ttlReason: TTLReason?
    /// The type of the records that have the addresses as hints.
    var hintsOf: String?
    var scope: Scope

    enum CodingKeys: String, CodingKey {
        case service, defined, isolated, client, levels, reason, pool, spare, fallback, origins,
            answer, alias
        case ttl, scope
        case ttlReason = "ttl_reason"
        case hintsOf = "hints_of"
    }

    struct TTLReason: Encodable {
        /// `steer`, `binding` or `service`.
        var from: String
        /// What the service states, as `10s-60s`, and where.
        var stated: String?
        var defined: String?
        /// The verdict that could flip the soonest.
        var flip: Flip?
    }

    struct Flip: Encodable {
        /// `pool/origin/address`.
        var target: String
        /// `up`, `degraded`, `down` or `up or down`.
        var to: String
        /// How many more probes in a row it takes, and how many seconds at the least.
        var probes: Int
        var seconds: UInt32
    }

    struct Client: Encodable {
        var network: String
        var resolver: String?
        /// Whether the resolver's address decided.
        var goneByResolver: Bool
        /// Why: `subnet_ignored`, `client_unknown`.
        var resolverBecause: String?
        /// The IPv4 address inside an IPv6 one that was located.
        var locatedAs: String?
        var place: Place?
        var system: System?

        enum CodingKeys: String, CodingKey {
            case network, resolver, place, system
            case goneByResolver = "gone_by_resolver"
            case resolverBecause = "resolver_because"
            case locatedAs = "located_as"
        }
    }

    struct Place: Encodable {
        /// `override`, `database`, `default`.
        var source: String
        var network: String
        /// Where the override is stated.
        var defined: String?
        var continent: String?
        var country: String?
        var subdivisions: [String]
        var city: String?
        var latitude: Double?
        var longitude: Double?
    }

    /// Who announces the client's network.
    struct System: Encodable {
        var asn: UInt32
        var organization: String?
        /// As in `Place`.
        var source: String
        var network: String?
        var defined: String?
    }

    struct Level: Encodable {
        var service: String
        var rules: [Rule]
        var candidates: [Candidate]
    }

    struct Rule: Encodable {
        /// From 1, as people count.
        var number: Int
        var defined: String
        var policy: String
        var match: String?
        /// The field that did not hold; absent in the rule that matched.
        var mismatch: String?
    }

    struct Candidate: Encodable {
        var name: String
        /// `pool` or `service`.
        var kind: String
        var verdict: String
        var kilometres: Double?
        var biasedKilometres: Double?
        var bias: Int?
        var roundTrip: RoundTrip?
        var share: Double?
        /// `healthy`, `degraded` or `down`; of a pool.
        var tier: String?
        var healthyOrigins: Int?
        var degradedOrigins: Int?
        var drainedOrigins: Int?
        /// Those with a verdict that is an operator's word.
        var overriddenOrigins: Int?
        var origins: Int?
        /// The least of all origins that have to be up; absent if only those of a family count.
        var minimumHealthy: Int?
        var minimums: [Minimum]?
        /// Which of them keeps the pool from being healthy, in words.
        var shortfall: String?
        /// Absent for a pool that nobody checks.
        var monitors: [String]?
        /// How many of its monitors have to have an address up; absent where it has one, or none.
        var monitorsNeeded: Int?
        /// The share of its clients that a pool has back after it was down; absent if that is all.
        var ramping: Double?
        var capacity: Int?
        var load: Int?
        /// For which share of the clients whom others do not take there is room.
        var room: Double?
        /// The pools of a service that is down.
        var downPools: [String]?

        enum CodingKeys: String, CodingKey {
            case name, kind, verdict, kilometres, bias, share, tier, origins, minimums, shortfall
            case monitors, ramping, capacity, load, room
            case downPools = "down_pools"
            case biasedKilometres = "biased_kilometres"
            case roundTrip = "round_trip"
            case healthyOrigins = "healthy_origins"
            case degradedOrigins = "degraded_origins"
            case drainedOrigins = "drained_origins"
            case overriddenOrigins = "overridden_origins"
            case minimumHealthy = "min_healthy"
            case monitorsNeeded = "monitors_needed"
        }
    }

    /// A rule of `min_healthy`.
    struct Minimum: Encodable {
        /// `total`, `ipv4` or `ipv6`: the origins that count.
        var of: String
        /// As the file has it.
        var stated: String
        var wanted: Int
        var origins: Int
        var up: Int
        var upOrDegraded: Int

        enum CodingKeys: String, CodingKey {
            case of, stated, wanted, origins, up
            case upOrDegraded = "up_or_degraded"
        }
    }

    struct RoundTrip: Encodable {
        /// What was compared.
        var milliseconds: Double
        /// `table`, or `distance` where no row tells.
        var source: String
        var pool: String
        var key: String?
        /// Where the row is.
        var defined: String?
        /// What the row says.
        var measured: Double?
    }

    struct Origin: Encodable {
        var name: String
        var addresses: [String]
        var host: String?
        /// Whether any address is up or degraded.
        var up: Bool
        /// `up`, `degraded`, `drained` or `down`.
        var verdict: String
        /// Whether a verdict is an operator's word.
        var overridden: Bool
        var share: Double?
        var answered: Bool
    }

    struct Scope: Encodable {
        var length: Int
        var network: String?
    }
}

extension Explanation {
    /// The explanation as structured data.
    public var document: ExplanationDocument {
        ExplanationDocument(
            service: service, defined: servicePosition.description, isolated: isIsolated,
            client: clientDocument,
            levels: levels.map(\.document), reason: decision.reason.word, pool: pool?.name,
            spare: spare?.name, fallback: fallback?.name,
            origins: origins.map {
                .init(
                    name: $0.name, addresses: $0.addresses.map(\.description),
                    host: $0.host?.description, up: $0.isUp, verdict: $0.verdict,
                    overridden: $0.isOverridden, share: $0.share, answered: $0.isAnswered)
            },
            answer: host.map { [$0.description] } ?? addresses.map(\.description),
            alias: host != nil, ttl: ttl,
            ttlReason: ttl == nil ? nil : ttlReason.document,
            hintsOf: bindingType?.description,
            scope: .init(length: Int(decision.scope), network: scope?.description))
    }

    private var clientDocument: ExplanationDocument.Client {
        var place: ExplanationDocument.Place?
        if let location = located.location, location.isPlace {
            let source = located.source.document
            place = .init(
                source: source.word, network: source.network ?? "", defined: source.defined,
                continent: location.continent, country: location.country,
                subdivisions: location.subdivisions, city: location.city,
                latitude: location.coordinates?.latitude,
                longitude: location.coordinates?.longitude)
        }
        let source = located.systemSource.document
        let system = located.system.map {
            ExplanationDocument.System(
                asn: $0.number, organization: $0.organization, source: source.word,
                network: source.network, defined: source.defined)
        }
        return .init(
            network: "\(client.address)/\(client.knownBits)",
            resolver: client.resolver?.description, goneByResolver: decision.wentByResolver,
            resolverBecause: !decision.wentByResolver
                ? nil : unknownClient == nil ? "subnet_ignored" : "client_unknown",
            locatedAs: located.foldedIPv4?.description, place: place, system: system)
    }
}

extension LocatedAddress.Source {
    fileprivate var document: (word: String, network: String?, defined: String?) {
        switch self {
        case .override(let network, let position):
            ("override", network.description, position.description)
        case .database(let network): ("database", network.description, nil)
        case .special(let network, _): ("special", network.description, nil)
        case .fallback(let position): ("default", nil, position.description)
        case .unknown: ("unknown", nil, nil)
        }
    }
}

extension Explanation.TTLReason {
    fileprivate var document: ExplanationDocument.TTLReason {
        switch self {
        case .steer: .init(from: "steer")
        case .binding: .init(from: "binding")
        case .service(let stated, let flip):
            .init(
                from: "service", stated: stated.text, defined: stated.position.description,
                flip: flip.map {
                    .init(
                        target: "\($0.pool)/\($0.origin)/\($0.address)",
                        to: $0.verdict,
                        probes: Int($0.horizon.probes), seconds: $0.horizon.seconds)
                })
        }
    }
}

extension Explanation.Level {
    fileprivate var document: ExplanationDocument.Level {
        .init(
            service: service,
            rules: rules.map {
                .init(
                    number: $0.index + 1, defined: $0.position.description,
                    policy: $0.policy.name, match: $0.match, mismatch: $0.mismatch)
            },
            candidates: candidates.map(\.document))
    }
}

extension Explanation.Candidate {
    fileprivate var document: ExplanationDocument.Candidate {
        .init(
            name: name, kind: pool == nil ? "service" : "pool", verdict: verdict.rawValue,
            kilometres: kilometres, biasedKilometres: bias == 0 ? nil : biasedKilometres,
            bias: bias == 0 ? nil : bias,
            roundTrip: roundTrip.map {
                .init(
                    milliseconds: $0.milliseconds, source: $0.row == nil ? "distance" : "table",
                    pool: $0.pool, key: $0.row?.key, defined: $0.row?.position.description,
                    measured: $0.row?.measured)
            }, share: share, tier: pool.map(\.tier), healthyOrigins: pool?.healthyOrigins,
            degradedOrigins: pool?.degradedOrigins, drainedOrigins: pool?.drainedOrigins,
            overriddenOrigins: pool?.overriddenOrigins, origins: pool?.origins,
            minimumHealthy: pool?.minimums.first { $0.rule.kind == .total }?.rule.count,
            minimums: pool?.minimums.map {
                .init(
                    of: $0.rule.kind.rawValue, stated: $0.rule.text, wanted: $0.rule.count,
                    origins: $0.origins, up: $0.up, upOrDegraded: $0.fit)
            }, shortfall: pool?.shortfall,
            monitors: pool.flatMap { $0.monitors.isEmpty ? nil : $0.monitors },
            monitorsNeeded: pool.flatMap { $0.monitors.count > 1 ? $0.monitorsNeeded : nil },
            ramping: pool?.ramping, capacity: pool?.capacity,
            load: pool?.load, room: pool?.room,
            downPools: downPools.isEmpty ? nil : downPools.map(\.name))
    }
}

extension Explanation.PoolSummary {
    /// The tier's name in documents.
    public var tier: String { isDegraded ? "degraded" : isUsable ? "healthy" : "down" }
}

extension Decision.Reason {
    /// The reason's name in documents.
    var word: String {
        switch self {
        case .ranked: "ranked"
        case .drawn: "drawn"
        case .hashed: "hashed"
        case .overCapacity: "over_capacity"
        case .all: "all"
        case .noRuleMatched: "no_rule_matched"
        case .fallback: "fallback"
        case .lastResort: "last_resort"
        case .firstOfDown: "first_of_down"
        case .allDown: "all_down"
        case .everythingDown: "everything_down"
        case .failure: "servfail"
        }
    }
}
