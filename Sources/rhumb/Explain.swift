// rhumb explain: why a client gets the answer it gets, from the code that answers.

import ArgumentParser
import Authority
import DNSWire
import Health
import Settings
import Steering
import Zones

struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a client would be answered, and every reason.",
        usage: "rhumb explain <name> --client <address[/length]> [--no-probe]",
        discussion: """
            Every origin is probed once first, so that the decision is the one a server on this \
            machine would make; --no-probe takes all for up.
            """)

    @Argument(help: "The name that is asked for, as www.example.com", transform: domainName)
    var name: Name

    @Option(
        help: ArgumentHelp(
            "The client: ADDRESS, or ADDRESS/LENGTH as a resolver would disclose it (ECS).",
            valueName: "address[/length]"),
        transform: clientNetwork)
    var client: IPNetwork

    /// As many aliases are followed as the server follows.
    private static let aliasLimit = 12

    @OptionGroup var files: FileOptions

    @Flag(inversion: .prefixedNo, help: "Probe every origin once.")
    var probe = true

    func run() async throws {
        var name = NameBuffer()
        _ = name.load(self.name.wire.span, at: 0)
        _ = raiseFileLimit()
        let (loaded, diagnostics) = try await Loader(files).loadAside()
        guard let loaded else {
            report(diagnostics)
            throw ExitCode(1)
        }
        let zones = loaded.content.zones
        var lookup = zones.lookup(name, type: .a)
        var aliases: [Name] = []
        while [.cname, .dname].contains(lookup.outcome), aliases.count < Self.aliasLimit,
            zones.follow(lookup, &name)
        {
            aliases.append(Name(name))
            lookup = zones.lookup(name, type: .a)
        }
        if !aliases.isEmpty {
            let chain = [self.name] + aliases
            print("alias    \(chain.map(\.description).joined(separator: " -> "))")
        }
        guard lookup.outcome == .steered else {
            print(unsteered(aliases.last ?? self.name, lookup))
            return
        }
        let (health, states) = await probe ? probedOnce(loaded) : (allUp(loaded), [])
        let snapshot = Snapshot(content: loaded.content, health: health)
        let explanation = snapshot.explain(lookup, client: Client(client), random: 0)
        print(explanation.text + failures(states, of: explanation))
    }

    /// A line for each origin that is down in a pool of this decision, with what its probe met.
    private func failures(_ states: [TargetState], of explanation: Explanation) -> String {
        let pools = explanation.candidates.map(\.pool.name) + [explanation.fallback?.name ?? ""]
        var told: Set<String> = []
        var lines = ""
        for state in states where state.health.verdict == .down {
            guard pools.contains(where: { state.key.hasPrefix($0 + "/") }),
                told.insert(state.key).inserted, let result = state.health.last
            else { continue }
            lines += "down     \(state.key): \(result.outcome)\n"
        }
        return lines
    }

    /// What the zones say of a name that no service steers.
    private func unsteered(_ name: Name, _ lookup: Lookup) -> String {
        switch lookup.outcome {
        case .notAuthoritative where name != self.name:
            "\(name): in no zone that is served here; resolvers ask for it elsewhere"
        case .notAuthoritative: "\(name): in no zone that is served here; the answer is REFUSED"
        case .nxdomain: "\(name): does not exist; the answer is NXDOMAIN, the same for everyone"
        case .referral: "\(name): delegated; the answer is a referral, the same for everyone"
        case .cname, .dname: "\(name): the chain of aliases does not end here"
        case .nodata: "\(name): has no address; the answer is NODATA, the same for everyone"
        case .answer, .steered:
            "\(name): plain DNS data, no STEER record; the answer is the same for everyone"
        }
    }
}

/// Health as one round of probes finds it, with what is known of each target.
private func probedOnce(_ loaded: Loaded) async -> (HealthTable, [TargetState]) {
    let checker = Checker { _ in }
    await checker.replace(loaded.probes)
    let states = await checker.states()
    await checker.stop()
    var table = loaded.probes.base
    // States come in the order of the targets.
    for (target, state) in zip(loaded.probes.targets, states) {
        table[target.id] = state.health.verdict
    }
    return (table, states)
}

private func allUp(_ loaded: Loaded) -> HealthTable {
    HealthTable(count: loaded.content.steering.addresses.count, verdict: .up)
}

func domainName(_ text: String) throws -> Name {
    if text.contains("/") {
        throw ValidationError("a path; give the domain name, as example.com")
    }
    do {
        return try Name(text, origin: .root)
    } catch {
        throw ValidationError(error.explanation)
    }
}

private func clientNetwork(_ text: String) throws -> IPNetwork {
    guard let network = IPNetwork(text) else {
        throw ValidationError(
            "not an address or network, as 192.0.2.1 or 192.0.2.0/24; "
                + "the bits after the length have to be zero")
    }
    guard network.length > 0 else {
        throw ValidationError(
            "who discloses no bit is answered as the resolver itself; give the resolver's address")
    }
    return network
}
