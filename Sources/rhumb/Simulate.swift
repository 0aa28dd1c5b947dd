// rhumb simulate: what the files do to all clients there are, and what a change would move.

import ArgumentParser
import Authority
import DNSWire
import Geo
import Glibc
import Load
import Settings
import Steering

struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show where all clients would go, and what a change moves.",
        usage: """
            rhumb simulate <name> [--clients <file>] [--family <4|6>]
                           [--down <pool,...>] [--degraded <pool,...>]
                           [--against <directory>] [--max-moved <percent>]
                           [--json] [--map <file.svg>]
            """,
        discussion: """
            Every network of the geo database is sent through the decision that the server makes, and \
            counts by its addresses; or, with --clients, the rows of a file: ADDRESS[/LENGTH] [WEIGHT]. \
            What follows a "#" or ";" there is a comment; "-" is standard input, and pipes are read. \
            With --down the pools that it names are down, with --degraded they are degraded, and what \
            moves is compared with all of them up; with --against it is compared with the files of another directory, the ones in force \
            say, and the same said of its pools. Nothing is probed.

            Exit status: 0, or 1 if more than --max-moved of the clients go elsewhere.
            """)

    @Argument(help: "The name that is asked for, as www.example.com", transform: domainName)
    var name: Name

    @Option(help: ArgumentHelp("A file of clients with weights.", valueName: "file"))
    var clients: String?

    @Option(help: ArgumentHelp("The family to go through: 4, or 6 by /64.", valueName: "4|6"))
    var family = "4"

    @Option(
        help: ArgumentHelp(
            "Pools, or origins as POOL/ORIGIN, to take for down, with commas between them.",
            valueName: "pool,..."))
    var down: String?

    @Option(help: ArgumentHelp("The same, to take for degraded.", valueName: "pool,..."))
    var degraded: String?

    @Option(help: ArgumentHelp("Other files to compare with.", valueName: "directory"))
    var against: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How much may go elsewhere, as 5%.", valueName: "percent"),
        transform: percent)
    var maxMoved: Double?

    @Flag(help: "Print one JSON object, for programs.")
    var json = false

    @Option(help: ArgumentHelp("Draw the world there, coloured by pool.", valueName: "file.svg"))
    var map: String?

    @OptionGroup var files: FileOptions

    func validate() throws {
        guard family == "4" || family == "6" else { throw ValidationError("--family is 4 or 6") }
        if maxMoved != nil, down == nil, degraded == nil, against == nil {
            throw ValidationError(
                "--max-moved needs --down, --degraded or --against to compare with")
        }
    }

    func run() async throws {
        let loaded = try await load(Loader(files))
        let deciding = try deciding(loaded, down: down, degraded: degraded)
        var other: Simulation.Deciding?
        if let against {
            other = try self.deciding(
                try await load(Loader(directory: against)), down: down, degraded: degraded)
        } else if down != nil || degraded != nil {
            other = try self.deciding(loaded, down: nil, degraded: nil)
        }
        let configuration = loaded.content.steering.configuration
        var simulation = Simulation(configuration)
        var drawing = WorldMap(
            title: "\(name) \(down.map { "without \($0)" } ?? "")",
            pools: configuration.pools.map { pool in
                .init(name: pool.name, location: pool.location.map { ($0.latitude, $0.longitude) })
            })
        let draw = { (location: Location, weight: Double, pool: Int?) in
            guard map != nil, let pool else { return }
            drawing.addPlace(
                latitude: location.coordinates?.latitude,
                longitude: location.coordinates?.longitude, weight: weight, pool: pool)
        }
        if let clients {
            let rows = try readClients(clients)
            simulation.run(over: rows, loaded.geography, by: deciding, against: other, each: draw)
        } else {
            let places = try PlaceMap(loaded.geography)
            simulation.run(
                over: places, family == "4" ? .ipv4 : .ipv6, by: deciding, against: other,
                progress: showProgress, each: draw)
        }
        if let map {
            try writeText(drawing.svg, to: map)
        }
        if json {
            try printJSON(
                simulation.document(comparing: other != nil, deciding.state.shortfalls))
        } else {
            print(simulation.report(comparing: other != nil), terminator: "")
            for (pool, shortfall) in deciding.state.shortfalls.sorted(by: { $0.key < $1.key }) {
                print("\(pool): \(shortfall)")
            }
        }
        if let maxMoved, simulation.movedShare > maxMoved {
            printError(
                "rhumb: \(percentText(simulation.movedShare)) of the clients move, more than the "
                    + "\(percentText(maxMoved)) that --max-moved allows")
            throw ExitCode(1)
        }
    }

    private func load(_ loader: Loader) async throws -> Loaded {
        let (loaded, diagnostics) = try await loader.loadAside()
        guard let loaded else {
            report(diagnostics)
            throw ExitCode(1)
        }
        return loaded
    }

    /// What decides for the name, in one directory's files.
    private func deciding(
        _ loaded: Loaded, down: String?, degraded: String?
    ) throws -> Simulation.Deciding {
        let inquiry = Inquiry(name, type: .a, in: loaded.content)
        guard inquiry.isSteered else {
            printError("rhumb: \(inquiry.unsteered)")
            throw ExitCode(1)
        }
        let health: HealthTable
        do {
            health = try loaded.health(
                loaded.allUp, down: listed(down), degraded: listed(degraded))
        } catch {
            printError("rhumb: --down or --degraded: \(error)")
            throw ExitCode(1)
        }
        let snapshot = Snapshot(content: loaded.content, health: health)
        return Simulation.Deciding(
            snapshot.steering, service: snapshot.service(of: inquiry.lookup))
    }

    /// So that the sum of all rows is a number.
    private static let maximumWeight = 1e15

    private func readClients(_ file: String) throws -> [(client: Client, weight: Double)] {
        var diagnostics = Diagnostics()
        let format = RowFormat(
            "row", form: "ADDRESS[/LENGTH] [WEIGHT]", example: "\"192.0.2.0/24 12.5\"")
        let rows: [(client: Client, weight: Double)]? = readInput(file, &diagnostics).map {
            format.read($0, file: inputName(file), &diagnostics) { row, diagnostics in
                let network = readClient(row, 0, &diagnostics)
                let weight = row.words.count == 2 ? Double(row.words[1]) ?? -1 : 1
                guard (0...Self.maximumWeight).contains(weight) else {
                    diagnostics.error(
                        at: row.position(of: 1),
                        "\"\(row.words[1])\" is no weight; write a number from 0 to 1e15, as 12.5")
                    return nil
                }
                return network.map { (client: Client($0), weight: weight) }
            }
        }
        if let rows, !rows.isEmpty, rows.allSatisfy({ $0.weight == 0 }) {
            diagnostics.error(
                at: SourcePosition(file: inputName(file)),
                "all weights are 0, so there is nothing to take shares of; give a row another")
        }
        guard let rows, !diagnostics.hasErrors else {
            report(diagnostics)
            throw ExitCode(1)
        }
        return rows
    }

    /// On a terminal alone.
    private func showProgress(_ part: Double) {
        guard isatty(STDERR_FILENO) == 1 else { return }
        let text = part < 1 ? "\rsimulating: \(Int(part * 100)) %" : "\r\u{1B}[K"
        let octets = Array(text.utf8)
        _ = unsafe write(STDERR_FILENO, octets, octets.count)
    }
}

private func percent(_ text: String) throws -> Double {
    guard let value = Double(text.hasSuffix("%") ? String(text.dropLast()) : text),
        (0...100).contains(value)
    else { throw ValidationError("a share in percent, as 5%") }
    return value / 100
}

/// A share as `12.3 %`.
private func percentText(_ share: Double) -> String {
    let tenths = Int((share * 1_000).rounded())
    return "\(tenths / 10).\(tenths % 10) %"
}

// MARK: - What is printed

extension Simulation {
    private func name(_ pool: Int) -> String {
        pool < pools.count ? pools[pool] : "(several, or none)"
    }

    /// The pools that anybody goes to, the largest share first.
    private var used: [Int] {
        total.byPool.indices.filter { total.byPool[$0] > 0 }
            .sorted { (total.byPool[$1], $0) < (total.byPool[$0], $1) }
    }

    /// The groups of a kind, the heaviest first, and how many are left out.
    private func largest(_ groups: [String: Share], _ limit: Int) -> [(name: String, share: Share)]
    {
        groups.sorted { ($1.value.weight, $0.key) < ($0.value.weight, $1.key) }
            .prefix(limit).map { ($0.key, $0.value) }
    }

    /// For people.
    func report(comparing: Bool) -> String {
        var rows = [["", "clients", "mean km", "95 % km", "scope"] + used.map(name)]
        func add(_ label: String, _ share: Share) {
            let part = total.weight > 0 ? share.weight / total.weight : 0
            rows.append(
                [
                    label, percentText(part),
                    share.meanKilometres.map { "\(Int($0.rounded()))" } ?? "",
                    share.percentile95.map { "\(Int($0))" } ?? "",
                    share.meanScope.map { "/\(decimal($0))" } ?? "",
                ]
                    + used.map {
                        share.weight > 0 ? percentText(share.byPool[$0] / share.weight) : ""
                    })
        }
        add("all", total)
        for (name, share) in largest(continents, 10) { add(name, share) }
        for (name, share) in largest(countries, 20) { add("  \(name)", share) }
        var text = columns(rows)
        if countries.count > 20 { text += "and \(countries.count - 20) more countries\n" }
        for pool in used where pool < pools.count && !hosts[pool].isEmpty {
            text += "\(pools[pool]): \(hosts[pool].map(\.description).joined(separator: ", "))\n"
        }
        text += "\n" + worth()
        if comparing { text += "\n" + moves() }
        return text
    }

    /// What steering saves against each pool alone.
    private func worth() -> String {
        var text =
            "Estimated round trip saved against one pool alone (great circle at two thirds of light\n"
            + "speed, times \(decimal(detourFactor)) for detours):\n"
        for index in pools.indices {
            guard let saved = savedMilliseconds(againstPool: index) else { continue }
            text += "  \(pools[index]): \(Int(saved.rounded())) ms on average\n"
        }
        return text
    }

    private func moves() -> String {
        var text = "\(percentText(movedShare)) of the clients move:\n"
        let ordered = moved.sorted {
            ($1.value, $0.key[0], $0.key[1]) < ($0.value, $1.key[0], $1.key[1])
        }
        for (way, weight) in ordered.prefix(30) {
            text += "  \(name(way[0])) -> \(name(way[1])): \(percentText(weight / total.weight))\n"
        }
        return text
    }

    private func decimal(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// Rows with all but the first column set to the right.
    private func columns(_ rows: [[String]]) -> String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.indices.map { column in
                let fill = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 0 ? row[column] + fill : fill + row[column]
            }
            return cells.joined(separator: "  ") + "\n"
        }.joined()
    }

    /// For programs.
    func document(
        comparing: Bool, _ shortfalls: [String: String]
    ) -> SimulationDocument {
        func group(_ share: Share) -> SimulationDocument.Group {
            .init(
                clients: share.weight,
                pools: Dictionary(
                    uniqueKeysWithValues: used.map {
                        (name($0), share.weight > 0 ? share.byPool[$0] / share.weight : 0)
                    }),
                meanKilometres: share.meanKilometres, percentile95Kilometres: share.percentile95,
                meanScope: share.meanScope)
        }
        return SimulationDocument(
            all: group(total),
            hosts: Dictionary(
                uniqueKeysWithValues: used.filter { $0 < pools.count && !hosts[$0].isEmpty }.map {
                    (pools[$0], hosts[$0].map(\.description))
                }),
            continents: continents.mapValues(group),
            countries: countries.mapValues(group),
            savedMilliseconds: Dictionary(
                uniqueKeysWithValues: pools.indices.compactMap { index in
                    savedMilliseconds(againstPool: index).map { (pools[index], $0) }
                }),
            shortfalls: shortfalls,
            moved: comparing ? movedShare : nil,
            moves: comparing
                ? moved.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
                    .init(
                        from: name($0.key[0]), to: name($0.key[1]), share: $0.value / total.weight)
                } : nil)
    }
}

/// What `simulate --json` prints: shares from 0 to 1, distances in kilometres.
struct SimulationDocument: Encodable {
    struct Group: Encodable {
        /// Addresses, or the weights of the file.
        var clients: Double
        var pools: [String: Double]
        var meanKilometres: Double?
        var percentile95Kilometres: Double?
        var meanScope: Double?

        enum CodingKeys: String, CodingKey {
            case clients, pools
            case meanKilometres = "mean_kilometres"
            case percentile95Kilometres = "percentile_95_kilometres"
            case meanScope = "mean_scope"
        }
    }

    struct Move: Encodable {
        var from: String
        var to: String
        var share: Double
    }

    var all: Group
    /// The hosts of the pools that answer by name.
    var hosts: [String: [String]]
    var continents: [String: Group]
    var countries: [String: Group]
    /// The estimated round trip saved against each pool alone.
    var savedMilliseconds: [String: Double]
    /// The pools that are not healthy, and why.
    var shortfalls: [String: String]
    var moved: Double?
    var moves: [Move]?

    enum CodingKeys: String, CodingKey {
        case all, hosts, continents, countries, shortfalls, moved, moves
        case savedMilliseconds = "saved_milliseconds"
    }
}
