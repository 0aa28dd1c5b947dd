// rhumb report: a result from outside, for monitors of type push of a running server.

import ArgumentParser

struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Report an origin of a running server up or down.",
        usage: """
            rhumb report <origin> up|down [--reason <text>] [--load <number>] [--json]
                         [-C <directory>]
            """,
        discussion: """
            For monitors of type push, which look at it at once; their verdict follows as their rise and \
            fall say. It counts for their max_age: report again before that. To overrule probes, use \
            rhumb up or down.

            The exit status is 0 if a monitor took it, and 2 if none asks for it, no server was asked, or \
            it refused.
            """)

    @Argument(help: "POOL/ORIGIN or POOL/ORIGIN/ADDRESS.")
    var origin: String

    @Argument(help: "up or down.")
    var result: ReportedResult

    @Option(help: ArgumentHelp("Why, for status and events.", valueName: "text"))
    var reason: String?

    @Option(
        help: ArgumentHelp("Of one that is up, for load_above: 0.73.", valueName: "number"))
    var load: String?

    @Flag(help: "Print one JSON object, for programs.")
    var json = false

    @OptionGroup var files: FileOptions

    func run() throws {
        let request = ControlRequest(
            command: "report", pattern: origin, reason: reason, result: result, load: load)
        guard let report = try ControlClient(files).ask(request).report else {
            throw ControlExit.notDone
        }
        if json {
            printNow(String(decoding: encodeJSON(report, pretty: true), as: UTF8.self))
        } else {
            printNow(
                "reported \(report.name) \(report.result.rawValue) to "
                    + counted(report.monitors, "monitor"))
        }
    }
}

extension ReportedResult: ExpressibleByArgument {}
