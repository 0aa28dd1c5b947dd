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
        discussion: """
            Every origin is probed once first, so that the decision is the one a server on this \
            machine would make; --no-probe takes all for up.
            """)

    @Argument(help: "The name that is asked for, as www.example.com")
    var name: String

    @Option(
        help: "The client: ADDRESS, or ADDRESS/LENGTH as a resolver would disclose it (ECS).")
    var client: String

    @OptionGroup var files: FileOptions

    @Flag(inversion: .prefixedNo, help: "Probe every origin once.")
    var probe = true

    func run() async throws {
        guard let subnet = IPNetwork(client) else {
            throw ValidationError(
                "--client \(client): not an address or network; host bits after the length must be zero")
        }
        var name = NameBuffer()
        do {
            let owned = try Name(self.name, origin: .root)
            _ = name.load(owned.wire.span, at: 0)
        } catch {
            throw ValidationError("\(self.name): \(error.explanation)")
        }
        var diagnostics = Diagnostics()
        guard let loaded = Loader(files).load(&diagnostics) else {
            report(diagnostics)
            throw ExitCode(1)
        }
        let lookup = loaded.content.zones.lookup(name, type: .a)
        guard lookup.outcome == .steered else {
            print(unsteered(lookup, loaded.content))
            return
        }
        let health = await probe ? probedOnce(loaded) : allUp(loaded)
        let snapshot = Snapshot(content: loaded.content, health: health)
        let explanation = snapshot.explain(lookup, client: Client(subnet), random: 0)
        print(explanation.text)
    }

    /// What the zones say of a name that no service steers.
    private func unsteered(_ lookup: Lookup, _ content: Content) -> String {
        switch lookup.outcome {
        case .notAuthoritative: "\(name): in no zone that is served here; the answer is REFUSED"
        case .nxdomain: "\(name): does not exist; the answer is NXDOMAIN, the same for everyone"
        case .referral: "\(name): delegated; the answer is a referral, the same for everyone"
        case .cname, .dname:
            "\(name): an alias, the same for everyone; ask for the name that it points to"
        case .answer, .nodata, .steered:
            "\(name): plain DNS data, no STEER record; the answer is the same for everyone"
        }
    }
}

/// Health as one round of probes finds it.
private func probedOnce(_ loaded: Loaded) async -> HealthTable {
    let checker = Checker { _ in }
    let base = HealthTable(count: loaded.content.steering.addresses.count)
    let (results, continuation) = AsyncStream.makeStream(of: HealthTable.self)
    await checker.replace(loaded.targets, base: base) { continuation.yield($0.table) }
    continuation.finish()
    var table = base
    for await result in results { table = result }
    await checker.stop()
    return table
}

private func allUp(_ loaded: Loaded) -> HealthTable {
    HealthTable(count: loaded.content.steering.addresses.count, verdict: .up)
}
