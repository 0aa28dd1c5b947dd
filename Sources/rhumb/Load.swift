// rhumb load: asks a server as fast as it answers, or at a rate, to see what a machine bears.

import ArgumentParser
import DNSWire
import Geo
import Load
import Settings
import Transport

struct Load: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a server as fast as it answers, or at a rate, and check the answers.",
        usage: """
            rhumb load <server> (--queries <file> | --name <name> ...)
                       [--type <type>] [--clients <file>] [--family <4|6>]
                       [--draw <number>] [--seed <number>] [--rate <queries/s>]
                       [--in-flight <number>] [--sockets <number>]
                       [--seconds <seconds>] [--tcp] [--per-connection <number>]
                       [--json]
            """,
        discussion: """
            A file of queries has lines of NAME TYPE, as dnsperf reads them, and may say what the \
            answer has to be: ANSWER, NODATA, NXDOMAIN or REFUSED. With --clients each query \
            discloses a client (ECS): one drawn from the networks of a geo database (*.mmdb), or \
            the rows of a file: ADDRESS[/LENGTH]. Each answer is checked: its question, its code, \
            the client's prefix.

            Without --rate so many queries are on their way all the time, and how many are \
            answered is the server's to say. With it each is sent when it is due, and latencies \
            count from then. It keeps one core busy; run it on another machine than the server, or \
            give each cores of its own (taskset).

            Exit status: 0, or 1 if an answer is wrong or none comes.
            """)

    @Argument(
        help: "ADDRESS or ADDRESS:PORT, as 192.0.2.53 or [::1]:5300",
        transform: serverAddress)
    var server: ListenAddress

    @Option(help: ArgumentHelp("A file of queries, sent in its order.", valueName: "file"))
    var queries: String?

    @Option(
        help: ArgumentHelp("A name to ask for (repeatable).", valueName: "name"),
        transform: domainName)
    var name: [Name] = []

    @Option(help: "The type to ask the names for.", transform: recordType)
    var type: RecordType = .a

    @Option(help: ArgumentHelp("Clients: a geo database, or rows.", valueName: "file"))
    var clients: String?

    @Option(help: ArgumentHelp("The family of clients from a database.", valueName: "4|6"))
    var family = "4"

    @Option(help: ArgumentHelp("How many clients to draw.", valueName: "number"))
    var draw = 100_000

    @Option(help: ArgumentHelp("Draws the same clients again.", valueName: "number"))
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("Send so many a second.", valueName: "queries/s"))
    var rate: Double?

    @Option(help: ArgumentHelp("Queries on their way at a time.", valueName: "number"))
    var inFlight = 128

    @Option(help: ArgumentHelp("UDP sockets, each a port.", valueName: "number"))
    var sockets = 4

    @Option(help: ArgumentHelp("How long to send.", valueName: "seconds"))
    var seconds = 10.0

    @Flag(help: "Ask over TCP, one connection at a time.")
    var tcp = false

    @Option(
        help: ArgumentHelp("TCP: queries until the connection is closed.", valueName: "number"))
    var perConnection: Int?

    @Flag(help: "Print one JSON object, for programs.")
    var json = false

    func validate() throws {
        func require(_ isTrue: Bool, _ text: String) throws {
            if !isTrue { throw ValidationError(text) }
        }
        try require(queries != nil || !name.isEmpty, "name --queries or --name, to have questions")
        try require(queries == nil || name.isEmpty, "--queries or --name, not both")
        try require(family == "4" || family == "6", "--family is 4 or 6")
        try require(
            (1...QueryList.maximumCount).contains(draw), "--draw is 1 to \(QueryList.maximumCount)")
        try require((0.1...1e8).contains(rate ?? 1), "--rate is from 0.1 to 100000000")
        try require(rate == nil || !tcp, "--rate is for UDP")
        try require(seconds > 0 && seconds <= 86_400, "--seconds is more than 0, at most a day")
        try require(LoadPlan.sockets.contains(sockets), "--sockets is 1 to 256")
        try require(
            LoadPlan.inFlight.contains(inFlight),
            "--in-flight is 1 to \(LoadPlan.inFlight.upperBound)")
        try require((perConnection ?? 1) > 0, "--per-connection is at least 1")
        try require(perConnection == nil || tcp, "--per-connection is for --tcp")
    }

    func run() throws {
        var diagnostics = Diagnostics()
        let questions = readQuestions(&diagnostics)
        let clients = try readClients(&diagnostics)
        guard !diagnostics.hasErrors, !questions.isEmpty else {
            report(diagnostics)
            if !diagnostics.hasErrors { printError("rhumb: \(queries ?? ""): no queries in it") }
            throw ExitCode(1)
        }
        var plan = LoadPlan(server: server.address, port: server.port)
        plan.rate = rate
        plan.inFlight = inFlight
        plan.sockets = sockets
        plan.seconds = seconds
        plan.overTCP = tcp
        plan.queriesPerConnection = perConnection
        let result: LoadResult
        do {
            result = try runLoad(plan, QueryList(questions, clients: clients))
        } catch {
            printError("rhumb: \(error)")
            throw ExitCode(1)
        }
        if json {
            try printJSON(LoadDocument(result))
        } else {
            print(LoadDocument(result).report(result), terminator: "")
        }
        if result.wrong > 0 || result.answered == 0 { throw ExitCode(1) }
    }

    private func readQuestions(_ diagnostics: inout Diagnostics) -> [Question] {
        guard let queries else { return name.map { Question($0, type) } }
        guard let text = readText(queries, &diagnostics) else { return [] }
        return Question.read(text, file: queries, &diagnostics)
    }

    private func readClients(_ diagnostics: inout Diagnostics) throws -> [IPNetwork] {
        guard let clients else { return [] }
        guard clients.hasSuffix(".mmdb") else { return readRows(clients, &diagnostics) }
        do {
            let database = try LocationDatabase(path: clients)
            var random = RandomClients(seed: seed)
            let drawn =
                family == "4"
                ? random.ipv4(draw, from: database)
                : try random.ipv6(draw, from: Geography(database: database))
            if !drawn.isEmpty { return drawn }
            printError("rhumb: \(clients): no IPv\(family) network with a place in it")
        } catch {
            printError("rhumb: \(error)")
        }
        throw ExitCode(1)
    }

    private func readRows(_ file: String, _ diagnostics: inout Diagnostics) -> [IPNetwork] {
        var rows: [IPNetwork] = []
        let text = readText(file, &diagnostics) ?? ""
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let words = line.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" || $0 == "\r" }
            guard let first = words.first else { continue }
            guard words.count == 1, let network = try? parseClient(String(first)) else {
                diagnostics.error(
                    at: SourcePosition(file: file, line: index + 1, column: 1),
                    "a row is ADDRESS[/LENGTH], as 192.0.2.0/24")
                continue
            }
            rows.append(network)
        }
        return rows
    }
}

private func serverAddress(_ text: String) throws -> ListenAddress {
    guard let address = ListenAddress(text), address.port != 0, !address.isWildcard else {
        throw ValidationError("a server is ADDRESS or ADDRESS:PORT, as 127.0.0.1:5300 or [::1]:53")
    }
    return address
}

/// What `load --json` prints: microseconds, octets, counts.
struct LoadDocument: Encodable {
    struct Latency: Encodable {
        var p50, p90, p99, p999, max: Double
    }

    var seconds: Double
    var sent, answered, wrong, lost, unsent, stray, truncated: UInt64
    var answersPerSecond: Double
    var meanOctets: Double
    var codes: [String: UInt64]
    var faults: [String: UInt64]
    var connections, failedConnections: UInt64
    var latencyMicroseconds: Latency

    enum CodingKeys: String, CodingKey {
        case seconds, sent, answered, wrong, lost, unsent, stray, truncated, codes, faults
        case connections
        case answersPerSecond = "answers_per_second"
        case meanOctets = "mean_octets"
        case failedConnections = "failed_connections"
        case latencyMicroseconds = "latency_microseconds"
    }

    init(_ result: LoadResult) {
        func latency(_ share: Double) -> Double {
            Double(result.latencies.percentile(share) / 100) / 10
        }
        seconds = result.seconds
        sent = result.sent
        answered = result.answered
        wrong = result.wrong
        lost = result.lost
        unsent = result.unsent
        stray = result.stray
        truncated = result.truncated
        answersPerSecond = result.seconds > 0 ? Double(result.answered) / result.seconds : 0
        meanOctets = result.answered > 0 ? Double(result.octets) / Double(result.answered) : 0
        codes = [:]
        for (code, count) in result.codes.enumerated() where count > 0 {
            codes[Self.codeName(code)] = count
        }
        faults = [:]
        for (fault, count) in zip(AnswerFault.allCases, result.faults) where count > 0 {
            faults[fault.text] = count
        }
        connections = result.connections
        failedConnections = result.failedConnections
        latencyMicroseconds = Latency(
            p50: latency(0.5), p90: latency(0.9), p99: latency(0.99), p999: latency(0.999),
            max: latency(1))
    }

    private static func codeName(_ code: Int) -> String {
        let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]
        return code < names.count ? names[code] : "RCODE\(code)"
    }

    /// For people.
    func report(_ result: LoadResult) -> String {
        func listed(_ counts: [String: UInt64]) -> String {
            counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                .map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        }
        var text = """
            sent      \(sent) queries in \(decimal(seconds)) seconds\(unsent > 0 ? ", \(unsent) could not be sent in time" : "")
            answered  \(answered): \(Int(answersPerSecond)) a second, \(decimal(meanOctets)) octets in the mean
            codes     \(listed(codes))
            lost      \(lost)
            wrong     \(wrong)\(wrong > 0 ? ": " + listed(faults) : "")

            """
        if stray > 0 { text += "stray     \(stray)\n" }
        if truncated > 0 { text += "truncated \(truncated)\n" }
        if connections > 0 {
            text += "tcp       \(connections) connections, \(failedConnections) failed\n"
        }
        let latency = latencyMicroseconds
        text +=
            "latency   50 % \(decimal(latency.p50)) µs, 90 % \(decimal(latency.p90)), "
            + "99 % \(decimal(latency.p99)), 99.9 % \(decimal(latency.p999)), "
            + "longest \(decimal(latency.max))\n"
        return text
    }

    private func decimal(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
