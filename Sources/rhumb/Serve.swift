// rhumb serve: answers queries until it is stopped.

import ArgumentParser
import Logging
import Settings
import Transport

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answer queries with the files of a directory.",
        discussion: """
            SIGHUP reads all files again: if anything is wrong, every finding is logged and nothing \
            changes. SIGTERM and SIGINT end the server.
            """)

    @OptionGroup var files: FileOptions

    @Option(
        name: .shortAndLong,
        help: "ADDRESS or ADDRESS:PORT to listen on, in place of the settings' (repeatable).",
        transform: listenAddress)
    var listen: [ListenAddress] = []

    func run() async throws {
        let loader = Loader(files)
        var diagnostics = Diagnostics()
        let loaded = loader.load(&diagnostics)
        report(diagnostics)
        guard let loaded else {
            printError("rhumb: not started: \(diagnostics.errorCount) errors in the files")
            throw ExitCode(1)
        }
        let server = Server(loaded, loader: loader, listen: listen, logger: Logger(label: "rhumb"))
        do {
            try await server.start(loaded)
        } catch {
            printError("rhumb: \(error)")
            await server.stop()
            throw ExitCode(1)
        }
        await server.runUntilStopped()
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
