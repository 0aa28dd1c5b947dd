// The commands. Each is a file; what they share is Loader (files to content) and Server (content to
// answers).

import ArgumentParser

/// What `--version` prints, and `version.server` where the settings want that.
let programVersion = "0.1.0"

@main
struct Rhumb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rhumb",
        abstract:
            "An authoritative DNS server that answers each client with its nearest healthy origin.",
        discussion: """
            Rhumb reads rhumb.yaml (optional), zones/*.zone, zones/*.yaml and geo/*.mmdb from one \
            directory. Try "rhumb demo" first, then "rhumb check" and "rhumb serve" on your own files.
            """,
        version: programVersion,
        subcommands: [
            Serve.self, Check.self, Explain.self, Test.self, Simulate.self, Load.self, Demo.self,
            Status.self, Drain.self, Down.self, Up.self, Clear.self, Report.self,
        ])
}

/// Where the files are: the options that all commands have in common.
struct FileOptions: ParsableArguments {
    @Option(
        name: [.customShort("C"), .long],
        help: "The directory that holds rhumb.yaml, zones/ and geo/.")
    var directory = "."

    @Option(
        help: ArgumentHelp(
            "The settings file; by default rhumb.yaml in the directory, if there is one.",
            valueName: "file"))
    var config: String?
}
