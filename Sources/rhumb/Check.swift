// rhumb check: reads everything that `serve` would and says what is wrong.

import ArgumentParser
import Settings

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read all files and report every finding.",
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
            printError("rhumb: \(diagnostics.errorCount) errors, \(warnings) warnings")
            throw ExitCode(1)
        }
        print("ok: \(loaded.summary)" + (warnings > 0 ? " (\(warnings) warnings)" : ""))
    }
}
