// One question put to loaded files: what `explain` prints and `test` compares. Nothing here decides
// anything; the answer comes from the code that serves.

import ArgumentParser
import Authority
import DNSWire
import Health
import Load
import Settings
import Steering
import Zones

/// What a name comes to.
struct Inquiry {
    /// As many aliases are followed as the server follows.
    private static let aliasLimit = 12

    /// The name asked for, then those that aliases led to.
    let names: [Name]
    let lookup: Lookup
    /// Whether a service decides what is answered.
    let isSteered: Bool

    /// Looks a name up, and follows its aliases to their end.
    init(_ name: Name, type: RecordType, in content: Content) {
        let zones = content.zones
        var buffer = NameBuffer()
        _ = buffer.load(name.wire.span, at: 0)
        var names = [name]
        var lookup = content.linked(zones.lookup(buffer, type: type))
        while [.cname, .dname].contains(lookup.outcome), names.count <= Self.aliasLimit,
            zones.follow(lookup, &buffer)
        {
            names.append(Name(buffer))
            lookup = content.linked(zones.lookup(buffer, type: type))
        }
        self.names = names
        self.lookup = lookup
        isSteered = zones.steering(of: lookup) != nil
    }

    /// What the zones say of a name that no service steers.
    var unsteered: String {
        let name = names[names.count - 1]
        switch lookup.outcome {
        case .notAuthoritative where names.count > 1:
            return "\(name): in no zone that is served here; resolvers ask for it elsewhere"
        case .notAuthoritative:
            return "\(name): in no zone that is served here; the answer is REFUSED"
        case .nxdomain:
            return "\(name): does not exist; the answer is NXDOMAIN, the same for everyone"
        case .referral: return "\(name): delegated; the answer is a referral, the same for everyone"
        case .cname, .dname: return "\(name): the chain of aliases does not end here"
        case .nodata:
            return "\(name): has no such data; the answer is NODATA, the same for everyone"
        case .answer, .steered:
            return "\(name): plain DNS data, no STEER record; the answer is the same for everyone"
        }
    }
}

extension Loaded {
    /// A health table in which these pools and origins are down or degraded, whatever it was before, and
    /// how soon verdicts could flip is as if nothing had happened for a while.
    ///
    /// - Parameters:
    ///   - down: `POOL` or `POOL/ORIGIN`; what is in both lists is down.
    /// - Throws: `UnknownName` for what there is not.
    func health(
        _ health: HealthTable, down: [String], degraded: [String] = []
    ) throws(UnknownName) -> HealthTable {
        var health = health
        let pools = content.steering.configuration.pools
        let said = degraded.map { ($0, Verdict.degraded) } + down.map { ($0, .down) }
        for (name, verdict) in said {
            var isKnown = false
            for (index, address) in content.steering.addresses.enumerated() {
                let pool = pools[address.pool]
                guard
                    name == pool.name || name == pool.name + "/" + pool.origins[address.origin].name
                else { continue }
                isKnown = true
                health[index] = verdict
            }
            guard isKnown else {
                let all = pools.flatMap { pool in
                    [pool.name] + pool.origins.map { "\(pool.name)/\($0.name)" }
                }
                throw UnknownName(name: name, near: closestMatch(to: name, among: all))
            }
        }
        probes.settle(&health)
        return health
    }
}

/// A pool or origin that the files don't have.
struct UnknownName: Error, CustomStringConvertible {
    var name: String
    var near: String?

    var description: String {
        "there is no pool or origin \"\(name)\"" + (near.map { "; did you mean \"\($0)\"?" } ?? "")
    }
}

/// A client of a command line.
func parseClient(_ text: String) throws -> IPNetwork {
    do {
        return try IPNetwork(client: text)
    } catch {
        throw ValidationError(error.explanation)
    }
}
