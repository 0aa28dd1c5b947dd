// rhumb serve: answers queries until it is stopped.

import ArgumentParser
import Settings
import Transport

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answer queries with the files of a directory.",
        usage: "rhumb serve [--listen <address> ...] [-C <directory>] [--config <file>]",
        discussion: """
            SIGHUP reads all files again: if anything is wrong, every finding is logged and nothing \
            changes. New geo databases are put in force by themselves, or refused with a reason (geo_watch \
            in rhumb.yaml). SIGTERM and SIGINT end the server.
            """)

    @OptionGroup var files: FileOptions

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "ADDRESS or ADDRESS:PORT to listen on, in place of the settings' (repeatable).",
            valueName: "address"),
        transform: listenAddress)
    var listen: [ListenAddress] = []

    func run() async throws {
        let signals = await Server.trapSignals()
        let loader = Loader(files)
        let (loaded, diagnostics) = try await loader.loadAside()
        report(diagnostics)
        guard let loaded else {
            printError(
                "rhumb: not started: \(counted(diagnostics.errorCount, "error")) in the files")
            throw ExitCode(1)
        }
        let server = Server(loaded, loader: loader, listen: listen, logger: LineLog.logger())
        do {
            try await server.run(loaded, until: signals)
        } catch {
            printError("rhumb: \(error)")
            throw ExitCode(1)
        }
    }
}

/// Prints findings, in order, to standard error.
func report(_ diagnostics: Diagnostics) {
    for finding in diagnostics.sorted { printError("\(finding)") }
    if diagnostics.omittedCount > 0 { printError("… and \(diagnostics.omittedCount) more") }
}

private func listenAddress(_ text: String) throws -> ListenAddress {
    guard let address = ListenAddress(text) else {
        throw ValidationError("not ADDRESS or ADDRESS:PORT, as 127.0.0.1:5300 or [::1]:53")
    }
    return address
}
