// rhumb check: reads everything that `serve` would and says what is wrong.

import ArgumentParser
import Settings

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read all files and report every finding.",
        usage: "rhumb check [--strict] [-C <directory>] [--config <file>]",
        discussion: "Exit status: 0 if a server would start with these files, 1 if not.")

    @OptionGroup var files: FileOptions

    @Flag(help: "Take warnings as errors.")
    var strict = false

    func run() async throws {
        var diagnostics = Diagnostics()
        let loaded = Loader(files).load(&diagnostics)
        report(diagnostics)
        let warnings = diagnostics.all.count + diagnostics.omittedCount - diagnostics.errorCount
        guard let loaded, !strict || warnings == 0 else {
            printError(
                "rhumb: \(counted(diagnostics.errorCount, "error")), \(counted(warnings, "warning"))"
            )
            throw ExitCode(1)
        }
        print("ok: \(loaded.summary)" + (warnings > 0 ? " (\(counted(warnings, "warning")))" : ""))
    }
}
