// rhumb drain, down, up, clear: an operator's word on origins of a running server.

import ArgumentParser
import Health
import Settings

/// What these commands have in common.
struct OverrideOptions: ParsableArguments {
    @Argument(help: "POOL, POOL/ORIGIN or POOL/ORIGIN/ADDRESS, with * and ? in each part.")
    var pattern: String

    @Flag(help: "Print one JSON object, for programs.")
    var json = false

    @OptionGroup var files: FileOptions
}

/// How long, and why.
struct OverrideTerms: ParsableArguments {
    @Option(
        name: .customLong("for"),
        help: ArgumentHelp(
            "How long it holds, as 30m or 2h; until clear if not said.", valueName: "time"))
    var duration: String?

    @Option(help: ArgumentHelp("Why, for status and the log.", valueName: "text"))
    var reason: String?
}

struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take origins of a running server out of its answers.",
        usage: """
            rhumb drain <pattern> [--for <time>] [--reason <text>] [--wait] [--json]
                        [-C <directory>]
            """,
        discussion: """
            Says from when on it is safe to stop them: when the last answer that had them is forgotten. \
            Should nothing else be left, they are answered before what is down. The word holds through \
            reloads and restarts, until its time is over or rhumb clear. Of several words on an origin \
            the last counts.

            The exit status is 0 if it is done, 1 if they are answered all the same, and 2 if no server \
            was asked or it refused.
            """)

    @OptionGroup var options: OverrideOptions
    @OptionGroup var terms: OverrideTerms

    @Flag(help: "Wait until it is safe to stop them.")
    var wait = false

    func run() async throws {
        let client = try ControlClient(options.files)
        let change = try say(.drain, options, terms, client)
        guard change.stillAnswered.isEmpty || wait else { throw ControlExit.amiss }
        if wait { try await waitUntilSafe(client) }
    }

    /// Returns when all that was drained is in no answer that somebody may still have.
    private func waitUntilSafe(_ client: ControlClient) async throws {
        while true {
            let request = ControlRequest(command: "status", pattern: options.pattern)
            guard let status = try client.ask(request).status else { throw ControlExit.notDone }
            let addresses = status.pools.flatMap(\.origins).flatMap(\.addresses)
            guard
                addresses.allSatisfy({ $0.override?.word == "drain" || $0.override?.word == "down" }
                )
            else {
                printError("rhumb: meanwhile somebody has put some of them back; see rhumb status")
                throw ControlExit.amiss
            }
            let isStill = addresses.contains(where: \.stillAnswered)
            if !isStill, addresses.allSatisfy({ ($0.safe?.seconds ?? 0) == 0 }) { break }
            try await Task.sleep(for: .seconds(1))
        }
        if !options.json { printNow("safe to stop now") }
    }
}

struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take origins of a running server for down, whatever probes say.",
        usage: """
            rhumb down <pattern> [--for <time>] [--reason <text>] [--json]
                       [-C <directory>]
            """,
        discussion: """
            As rhumb drain, for origins that don't work: they are answered only if everything is down. \
            Exit statuses are those of rhumb drain.
            """)

    @OptionGroup var options: OverrideOptions
    @OptionGroup var terms: OverrideTerms

    func run() async throws {
        let change = try say(.down, options, terms, try ControlClient(options.files))
        guard change.stillAnswered.isEmpty else { throw ControlExit.amiss }
    }
}

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take origins of a running server for up, whatever probes say.",
        usage: """
            rhumb up <pattern> [--for <time>] [--reason <text>] [--json]
                     [-C <directory>]
            """,
        discussion: """
            Clients are sent there until rhumb clear, or until the time is over: state one. To end a \
            drain, use rhumb clear. Exit statuses are those of rhumb drain.
            """)

    @OptionGroup var options: OverrideOptions
    @OptionGroup var terms: OverrideTerms

    func run() async throws {
        _ = try say(.up, options, terms, try ControlClient(options.files))
    }
}

struct Clear: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Give origins of a running server back to the probes.",
        usage: "rhumb clear <pattern> [--json] [-C <directory>]",
        discussion: """
            Ends drain, down and up on all that the pattern means, and on nothing else: a word on a whole \
            pool stays for its other origins. Exit statuses are those of rhumb drain.
            """)

    @OptionGroup var options: OverrideOptions

    func run() async throws {
        _ = try say(.clear, options, nil, try ControlClient(options.files))
    }
}

/// Has a server put a word in force, and prints what came of it.
private func say(
    _ word: OperatorOverride.Word, _ options: OverrideOptions, _ terms: OverrideTerms?,
    _ client: ControlClient
) throws -> ChangeDocument {
    let request = ControlRequest(
        command: word.rawValue, pattern: options.pattern, for: terms?.duration,
        reason: terms?.reason, by: operatorName())
    guard let change = try client.ask(request).change else { throw ControlExit.notDone }
    if options.json {
        printNow(String(decoding: encodeJSON(change, pretty: true), as: UTF8.self))
    } else {
        printNow(text(change, word))
    }
    return change
}

private func text(_ change: ChangeDocument, _ word: OperatorOverride.Word) -> String {
    var lines: [String] = []
    let addresses = "\(change.addresses) address\(change.addresses == 1 ? "" : "es")"
    let until = change.until.map { " until \($0)" } ?? ""
    switch word {
    case .drain: lines.append("drained \(addresses) of \(change.pattern)\(until)")
    case .down: lines.append("\(addresses) of \(change.pattern) down\(until)")
    case .up: lines.append("\(addresses) of \(change.pattern) up\(until)")
    case .clear where change.changed == 0: lines.append("nothing to clear at \(change.pattern)")
    case .clear: lines.append("\(change.pattern): probes decide again")
    }
    lines += change.pools.map { "pool \($0.pool): \($0.state), \($0.reason)" }
    lines += change.services.map {
        "service \($0.service): \($0.usable) of \($0.pools) pools usable"
    }
    lines += change.warnings.map { "warning: \($0)" }
    if !change.stillAnswered.isEmpty {
        lines.append(
            "warning: not safe to stop, as nothing else is left: \(listed(change.stillAnswered))")
    }
    if !change.kept { lines.append("warning: a restart forgets this; the server's log says why") }
    if let safe = change.safe { lines.append(safeText(safe)) }
    return lines.joined(separator: "\n")
}
