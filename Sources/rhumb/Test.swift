// rhumb test: what users expect of their own files, row by row, for their own CI.

import ArgumentParser
import Authority
import DNSWire
import Load
import Settings
import Steering

struct Test: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare decisions with what a file expects of them.",
        usage: "rhumb test <file> [-C <directory>]",
        discussion: """
            A row of the file is NAME CLIENT POOL [down=POOL,...] [degraded=POOL,...] \
            [resolver=ADDRESS]: the client, an address or ADDRESS/LENGTH, has to be sent to that pool \
            while those that are named are down or degraded. \
            Where a draw decides, POOL|POOL names all that may come; servfail stands for that answer, \
            and several for pools that answer together. A pool's host may be named in place of the \
            pool, as eu.lb.vendor.example. What follows a "#" or ";" is a comment; \
            "-" is standard input, and pipes are read.

                www.example.com  133.11.0.0/16  tokyo
                www.example.com  133.11.0.0/16  singapore  down=tokyo

            Nothing is probed. Each row that fails is shown with the explanation of its decision. \
            Exit status: 0 if all rows hold, 1 if not.
            """)

    @Argument(help: "The file with the rows")
    var file: String

    @OptionGroup var files: FileOptions

    func run() async throws {
        let (loaded, found) = try await Loader(files).loadAside()
        guard let loaded else {
            report(found)
            throw ExitCode(1)
        }
        var diagnostics = Diagnostics()
        let rows = readInput(file, &diagnostics).map {
            readExpectations($0, file: inputName(file), loaded.content, &diagnostics)
        }
        guard let rows, !diagnostics.hasErrors else {
            report(diagnostics)
            throw ExitCode(1)
        }
        var failed = 0
        for row in rows {
            guard let failure = row.failure(in: loaded) else { continue }
            failed += 1
            print("\(row.position): \(failure)")
        }
        print("\(counted(rows.count, "row")), \(failed) failed")
        if failed > 0 { throw ExitCode(1) }
    }
}

/// One row: who is to be sent where.
private struct Expectation {
    var position: SourcePosition
    var name: Name
    var client: Client
    /// The names of pools or their hosts, `servfail`, or `several`.
    var expected: Set<String>
    var down: [String]
    var degraded: [String]

    /// How many draws are looked at where one decides: a pool of one per cent is missed once in 10^8.
    private static let draws = 2_000

    /// What is wrong, with the explanation; nil if the row holds.
    func failure(in loaded: Loaded) -> String? {
        let inquiry = Inquiry(name, type: .a, in: loaded.content)
        guard inquiry.isSteered else { return inquiry.unsteered }
        let health: HealthTable
        do {
            health = try loaded.health(loaded.allUp, down: down, degraded: degraded)
        } catch {
            return "down or degraded: \(error)"
        }
        let snapshot = Snapshot(content: loaded.content, health: health)
        var generator = SystemRandomNumberGenerator()
        for draw in 0..<Self.draws {
            let random = draw == 0 ? 0 : generator.next()
            let decision = snapshot.decide(inquiry.lookup, client: client, random: random)
            let pool = word(decision, loaded.content.steering)
            let host = snapshot.steering.host(decision)?.description
            if !expected.contains(pool), host.map(expected.contains) != true {
                let wanted = expected.sorted().joined(separator: " or ")
                let got = pool + (host.map { " (\($0))" } ?? "")
                let explanation = snapshot.explain(inquiry.lookup, client: client, random: random)
                return "expected \(wanted), got \(got)\n\(explanation.text)"
            }
            // Without a draw, one is all.
            if draw == 0, !decision.isDrawn { return nil }
        }
        return nil
    }

    private func word(_ decision: Decision, _ steering: Steering) -> String {
        if decision.pool >= 0 { return steering.configuration.pools[Int(decision.pool)].name }
        return decision.reason == .failure ? "servfail" : "several"
    }
}

/// Reads the rows; every fault is reported.
private func readExpectations(
    _ text: String, file: String, _ content: Content, _ diagnostics: inout Diagnostics
) -> [Expectation] {
    let pools = content.steering.configuration.pools
    let known = Destinations(
        pools: Set(pools.map(\.name)), hosts: Set(pools.flatMap(\.origins).compactMap(\.host)))
    let format = RowFormat(
        "row", form: "NAME CLIENT POOL [down=POOL,...] [degraded=POOL,...] [resolver=ADDRESS]",
        example: "\"www.example.com 192.0.2.0/24 tokyo\"")
    return format.read(text, file: file, &diagnostics) { row, diagnostics in
        let name = readName(row, 0, &diagnostics)
        let client = readClient(row, 1, &diagnostics)
        let expected = known.read(row, 2, &diagnostics)
        guard let name, let client else { return nil }
        var expectation = Expectation(
            position: row.position(of: 0), name: name, client: Client(client), expected: expected,
            down: [], degraded: [])
        for (index, word) in row.words.enumerated().dropFirst(3) {
            if !expectation.take(word) {
                diagnostics.error(
                    at: row.position(of: index),
                    "\"\(word)\" is none of down=POOL,..., degraded=POOL,... and resolver=ADDRESS")
            }
        }
        return expectation
    }
}

extension Expectation {
    /// Takes a word after the third; false if it is none that there may be.
    fileprivate mutating func take(_ word: Substring) -> Bool {
        if word.hasPrefix("down=") {
            down = listed(String(word.dropFirst(5)))
        } else if word.hasPrefix("degraded=") {
            degraded = listed(String(word.dropFirst(9)))
        } else if word.hasPrefix("resolver="), let address = IPAddress(String(word.dropFirst(9))) {
            client.resolver = address
        } else {
            return false
        }
        return true
    }
}

/// Where clients may be sent.
private struct Destinations {
    let pools: Set<String>
    let hosts: Set<Name>

    /// Reads what may come of a row, and reports what there is not.
    func read(_ row: TextRow, _ index: Int, _ diagnostics: inout Diagnostics) -> Set<String> {
        let expected = Set(
            row.words[index].split(separator: "|").map { word in
                let host = try? Name(word, origin: .root)
                return host.map(hosts.contains) == true && !pools.contains(String(word))
                    ? host?.description ?? "" : String(word)
            })
        for pool in expected.sorted()
        where !pools.contains(pool) && pool != "servfail" && pool != "several"
            && !hosts.contains(where: { $0.description == pool })
        {
            let near = closestMatch(to: pool, among: Array(pools))
            diagnostics.error(
                at: row.position(of: index),
                "there is no pool \"\(pool)\"" + (near.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
        return expected
    }
}
