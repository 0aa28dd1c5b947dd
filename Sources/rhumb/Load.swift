// rhumb load: asks a server as fast as it answers, or at a rate, to see what a machine bears.

import ArgumentParser
import DNSWire
import Geo
import Glibc
import Load
import Settings
import Synchronization
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
            answer has to be: ANSWER, NODATA, NXDOMAIN or REFUSED. Where it doesn't, NOERROR and \
            NXDOMAIN are right, and any other code is wrong. With --clients each query \
            discloses a client (ECS): one drawn from the networks of a geo database (*.mmdb), or \
            the rows of a file: ADDRESS[/LENGTH]. What follows a "#" or ";" is a comment; "-" is \
            standard input, and pipes are read. Each answer is checked: its question, its code, \
            the client's prefix. What fails is "wrong".

            Without --rate so many queries are on their way all the time, and how many are \
            answered is the server's to say. With it each is sent when it is due, and latencies \
            count from then. It keeps one core busy; run it on another machine than the server, or \
            give each cores of its own (taskset).

            Control-C or SIGTERM ends it, and tells what there is by then. What kept a load with --rate \
            from its rate, the server or the machine that asks, is told as "limit", and so are a \
            machine that kept a load without --rate from asking for more, and a server that no \
            longer answers. Of the other words, "lost" had no answer within a second, "stray" are \
            answers that came twice or too late, "truncated" those with TC, and "dropped" found no \
            room in the sockets here; "no way" is how often the system said that nothing \
            listens there, or that there is no route.

            --rate excludes --in-flight and --tcp; --sockets is for UDP, --per-connection for \
            --tcp; --family, --draw and --seed are for a geo database, --type for --name.

            Exit status: 0, or 1 if an answer is wrong, none comes, a file is faulty, or the \
            server goes away; 64 if the command line is.
            """)

    @Argument(
        help: "ADDRESS or ADDRESS:PORT, as 192.0.2.53 or [::1]:5300.",
        transform: serverAddress)
    var server: ListenAddress

    @Option(help: ArgumentHelp("A file of queries, sent in its order.", valueName: "file"))
    var queries: String?

    @Option(
        help: ArgumentHelp("A name to ask for (repeatable).", valueName: "name"),
        transform: domainName)
    var name: [Name] = []

    @Option(help: "The type to ask the names for; A without.", transform: recordType)
    var type: RecordType?

    @Option(help: ArgumentHelp("Clients to disclose: a geo database, or rows.", valueName: "file"))
    var clients: String?

    @Option(
        help: ArgumentHelp(
            "The family of clients from a database; 4 without.", valueName: "4|6"))
    var family: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How many clients to draw from it; 100000 without.", valueName: "number")
    )
    var draw: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Each number draws other clients.", valueName: "number"))
    var seed: UInt64?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Send so many a second.", valueName: "queries/s"))
    var rate: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Queries on their way at a time; 128 without.", valueName: "number"))
    var inFlight: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("UDP sockets, each with a port; 4 without.", valueName: "number"))
    var sockets: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("How long to send.", valueName: "seconds"))
    var seconds = 10.0

    @Flag(help: "Ask over TCP, one connection at a time.")
    var tcp = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("TCP: queries until the connection is closed.", valueName: "number"))
    var perConnection: Int?

    @Flag(help: "Print one JSON object, for programs.")
    var json = false

    func validate() throws {
        func require(_ isTrue: Bool, _ text: String) throws {
            if !isTrue { throw ValidationError(text) }
        }
        try require(
            queries != nil || !name.isEmpty,
            "nothing to ask: give --name NAME, or --queries FILE with lines of NAME TYPE")
        try require(queries == nil || name.isEmpty, "--queries or --name, not both")
        try require(
            queries != "-" || clients != "-",
            "--queries and --clients can't both come from standard input (-)")
        try require(
            type == nil || !name.isEmpty, "--type is for --name; a file has a type in each line")
        try require(["4", "6"].contains(family ?? "4"), "--family is 4 or 6")
        try require(
            (1...QueryList.maximumCount).contains(draw ?? 1),
            "--draw is 1 to \(QueryList.maximumCount)")
        try require(
            clients?.hasSuffix(".mmdb") == true || family == nil && draw == nil && seed == nil,
            "--family, --draw and --seed are for --clients with a geo database (*.mmdb)")
        try require((0.1...1e8).contains(rate ?? 1), "--rate is from 0.1 to 100000000")
        try require(rate == nil || !tcp, "--rate is for UDP")
        try require(seconds > 0 && seconds <= 86_400, "--seconds is more than 0, at most a day")
        try require(
            LoadPlan.sockets.contains(sockets ?? 1),
            "--sockets is 1 to \(LoadPlan.sockets.upperBound)")
        try require(sockets == nil || !tcp, "--sockets is for UDP")
        try require(
            LoadPlan.inFlight.contains(inFlight ?? 1),
            "--in-flight is 1 to \(LoadPlan.inFlight.upperBound)")
        try require(
            inFlight == nil || rate == nil,
            "--rate sends whatever is on its way, so --in-flight can't be given with it")
        try require((perConnection ?? 1) > 0, "--per-connection is at least 1")
        try require(perConnection == nil || tcp, "--per-connection is for --tcp")
    }

    func run() throws {
        var diagnostics = Diagnostics()
        let questions = readQuestions(&diagnostics)
        let clients = try readClients(&diagnostics)
        guard !diagnostics.hasErrors else {
            report(diagnostics)
            throw ExitCode(1)
        }
        var plan = LoadPlan(server: server.address, port: server.port)
        plan.rate = rate
        plan.inFlight = inFlight ?? plan.inFlight
        plan.sockets = sockets ?? plan.sockets
        plan.seconds = seconds
        plan.overTCP = tcp
        plan.queriesPerConnection = perConnection
        endOnInterrupt()
        let result = runLoad(plan, QueryList(questions, clients: clients)) {
            isInterrupted.load(ordering: .relaxed)
        }
        let document = LoadDocument(result, limits: result.limits(of: plan))
        if json {
            try printJSON(document)
        } else if result.failure == nil || result.answered > 0 {
            print(document.report, terminator: "")
        }
        if let failure = result.failure {
            let prefix = result.answered > 0 ? "ended before its time: " : ""
            printError("rhumb: \(prefix)\(failure)")
        }
        let isGone = result.failure != nil || result.unreachable > 0 || result.wentSilent(plan)
        if result.wrong > 0 || result.answered == 0 || isGone { throw ExitCode(1) }
    }

    private func readQuestions(_ diagnostics: inout Diagnostics) -> [Question] {
        guard let queries else { return name.map { Question($0, type ?? .a) } }
        guard let text = readInput(queries, &diagnostics) else { return [] }
        return Question.read(text, file: inputName(queries), &diagnostics)
    }

    private func readClients(_ diagnostics: inout Diagnostics) throws -> [IPNetwork] {
        guard let clients else { return [] }
        guard clients.hasSuffix(".mmdb") else {
            guard let text = readInput(clients, &diagnostics) else { return [] }
            return ClientList.read(text, file: inputName(clients), &diagnostics)
        }
        do {
            let database = try LocationDatabase(path: clients)
            var random = RandomClients(seed: seed ?? 1)
            let (family, draw) = (family ?? "4", draw ?? 100_000)
            let drawn =
                family == "4"
                ? random.ipv4(draw, from: database)
                : try random.ipv6(draw, from: Geography(database: database))
            if drawn.isEmpty {
                printError(
                    "rhumb: \(clients): it knows the place of no IPv\(family) network, or of so few that "
                        + "none was found; take another database, or name clients in a file")
            } else {
                if drawn.count < draw {
                    printError(
                        "rhumb: \(clients): only \(counted(drawn.count, "client")) of \(draw), as it knows "
                            + "the place of few IPv\(family) networks; they are asked for in turn")
                }
                return drawn
            }
        } catch {
            printError("rhumb: \(error)")
        }
        throw ExitCode(1)
    }
}

/// Set by the first Control-C or SIGTERM: the load ends, and tells what there is.
private let isInterrupted = Atomic(false)

/// Ends the load at the first Control-C or SIGTERM (`timeout 60 rhumb load`), the program at the second.
private func endOnInterrupt() {
    // Made here, and not within the handler.
    isInterrupted.store(false, ordering: .relaxed)
    // The handler touches nothing but an atomic, and makes a call that handlers may (signal-safety(7)).
    for number in [SIGINT, SIGTERM] {
        _ = signal(number) { number in
            isInterrupted.store(true, ordering: .relaxed)
            _ = signal(number, SIG_DFL)
        }
    }
}

func serverAddress(_ text: String) throws -> ListenAddress {
    guard let address = ListenAddress(text) else { throw ValidationError(addressFault(text)) }
    guard address.port != 0 else {
        throw ValidationError("no server has port 0; give the one it listens on, or none for 53")
    }
    guard !address.isWildcard else {
        throw ValidationError("this stands for all addresses of a machine; give one of them")
    }
    return address
}

/// What keeps a text from being an address with or without a port.
private func addressFault(_ text: String) -> String {
    let example = "192.0.2.53, 127.0.0.1:5300 or [::1]:53"
    var host = text[...]
    var port: Substring?
    if text.hasPrefix("[") {
        guard let end = text.firstIndex(of: "]") else {
            return "the bracket is not closed; write [::1] or [::1]:53"
        }
        host = text[..<end].dropFirst()
        guard IPAddress(String(host))?.family == .ipv6 else {
            return "\"\(host)\" is not an IPv6 address, which brackets are for; write \(example)"
        }
        let rest = text[end...].dropFirst()
        guard rest.isEmpty || rest.hasPrefix(":") else {
            return "\"\(rest)\" is neither nothing nor a port; write [\(host)] or [\(host)]:53"
        }
        port = rest.dropFirst()
    } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
        host = text[..<colon]
        port = text[colon...].dropFirst()
    }
    if let port, IPAddress(String(host)) != nil {
        return "\"\(port)\" is not a port; one is from 1 to 65535, and none stands for 53"
    }
    guard host.contains(":") || host.allSatisfy({ $0.isNumber || $0 == "." }) else {
        return "a server is an address, not a name; write \(example)"
    }
    return "\"\(host)\" is not an address; write \(example)"
}
