// rhumb explain: why a client gets the answer it gets, from the code that answers.

import ArgumentParser
import Authority
import DNSWire
import FoundationEssentials
import Health
import Settings
import Steering
import Zones

struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a client would be answered, and every reason.",
        usage: """
            rhumb explain <name> --client <address[/length]> [--resolver <address>]
                          [--type <type>] [--down <pool,...>] [--degraded <pool,...>]
                          [--no-probe] [--json]
            """,
        discussion: """
            Every origin is probed once first, so that the decision is the one a server on this \
            machine would make, with what operators told that one (rhumb drain); --no-probe takes all \
            for up, --down what it names for down, and --degraded for degraded.
            """)

    @Argument(help: "The name that is asked for, as www.example.com", transform: domainName)
    var name: Name

    @Option(
        help: ArgumentHelp(
            "The client: ADDRESS, or ADDRESS/LENGTH as a resolver would disclose it (ECS).",
            valueName: "address[/length]"),
        transform: parseClient)
    var client: IPNetwork

    @Option(
        help: ArgumentHelp(
            "Who asks for the client: counts if that is ignored, or known to nobody.",
            valueName: "address"),
        transform: address)
    var resolver: IPAddress?

    @Option(help: "The type that is asked for; A stands for AAAA, too.", transform: recordType)
    var type: RecordType = .a

    @Option(
        help: ArgumentHelp(
            "Pools, or origins as POOL/ORIGIN, to take for down, with commas between them.",
            valueName: "pool,..."))
    var down: String?

    @Option(help: ArgumentHelp("The same, to take for degraded.", valueName: "pool,..."))
    var degraded: String?

    @Flag(inversion: .prefixedNo, help: "Probe every origin once.")
    var probe = true

    @Flag(help: "Print one JSON object, for programs.")
    var json = false

    @OptionGroup var files: FileOptions

    func run() async throws {
        _ = raiseFileLimit()
        let loader = Loader(files)
        let (loaded, diagnostics) = try await loader.loadAside()
        guard let loaded else {
            report(diagnostics)
            throw ExitCode(1)
        }
        let inquiry = Inquiry(name, type: type, in: loaded.content)
        guard inquiry.isSteered else {
            if json {
                try printJSON(Document(inquiry, nil))
            } else {
                print(aliasLine(inquiry) + inquiry.unsteered)
            }
            return
        }
        var (health, states) = await probe ? probedOnce(loaded) : (loaded.allUp, [])
        if probe { loader.applyKeptOverrides(to: &health, of: loaded) }
        do {
            health = try loaded.health(
                health, down: listed(down), degraded: listed(degraded))
        } catch {
            printError("rhumb: --down or --degraded: \(error)")
            throw ExitCode(1)
        }
        let snapshot = Snapshot(content: loaded.content, health: health)
        let explanation = snapshot.explain(
            inquiry.lookup, client: Client(client, resolver: resolver), random: 0)
        if json {
            try printJSON(Document(inquiry, explanation))
        } else {
            print(aliasLine(inquiry) + explanation.text + failures(states, of: explanation))
        }
    }

    private func aliasLine(_ inquiry: Inquiry) -> String {
        guard inquiry.names.count > 1 else { return "" }
        return "alias    \(inquiry.names.map(\.description).joined(separator: " -> "))\n"
    }

    /// A line for each origin that is down in a pool of this decision, with what its probe met.
    private func failures(_ states: [TargetState], of explanation: Explanation) -> String {
        let candidates = explanation.levels.flatMap(\.candidates)
        let pools =
            candidates.compactMap(\.pool?.name) + [explanation.fallback?.name ?? ""]
            + candidates.flatMap { $0.downPools.map(\.name) }
        var told: Set<String> = []
        var lines = ""
        for state in states where state.standing.verdict == .down {
            guard pools.contains(state.pool), told.insert(state.key).inserted else { continue }
            lines += "down     \(state.key): \(state.standing.reason)\n"
        }
        return lines
    }
}

/// What `--json` prints.
private struct Document: Encodable {
    /// The name asked for, then those that aliases led to.
    var names: [String]
    var steered: Bool
    /// Why it is not steered.
    var text: String?
    var explanation: ExplanationDocument?

    init(_ inquiry: Inquiry, _ explanation: Explanation?) {
        names = inquiry.names.map(\.description)
        steered = inquiry.isSteered
        text = inquiry.isSteered ? nil : inquiry.unsteered
        self.explanation = explanation?.document
    }
}

/// Prints a value as JSON, its keys in alphabetical order, so that two runs compare.
func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    printNow(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// Health as one round of probes finds it, with what is known of each target.
private func probedOnce(_ loaded: Loaded) async -> (HealthTable, [TargetState]) {
    let checker = Checker { _ in }
    await checker.replace(loaded.probes)
    let states = await checker.states()
    await checker.stop()
    var table = loaded.probes.base
    for state in states { table[state.id] = state.standing.verdict }
    return (table, states)
}

extension Loaded {
    /// Health before anything failed.
    var allUp: HealthTable {
        HealthTable(count: content.steering.addresses.count, verdict: .up)
    }
}

/// The entries of an option that has commas between them.
func listed(_ option: String?) -> [String] {
    option?.split(separator: ",").map(String.init) ?? []
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

private func address(_ text: String) throws -> IPAddress {
    guard let address = IPAddress(text) else {
        throw ValidationError("not an address, as 192.0.2.1 or 2001:db8::1")
    }
    return address
}

func recordType(_ text: String) throws -> RecordType {
    guard let type = RecordType(mnemonic: text) else {
        throw ValidationError("not a record type, as A or HTTPS")
    }
    return type
}
