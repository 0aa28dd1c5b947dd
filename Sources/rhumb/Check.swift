// rhumb check: reads everything that `serve` would and says what is wrong; with --print it writes the
// zones back as one canonical text.

import ArgumentParser
import DNSWire
import Glibc
import Settings
import Zones

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read all files and report every finding.",
        usage: "rhumb check [--strict] [--print [<zone> ...]] [-C <directory>]",
        discussion: """
            --print writes zones to standard output as master files, and findings to standard error: one \
            record a line, names absolute, TTL and class stated, $INCLUDE and $GENERATE resolved, the SOA \
            first and the rest in the order of DNSSEC (RFC 4034, section 6). A zone whose text \
            can't be read whole is not printed; what else is wrong, here or in other files, is no hindrance.

            Exit status: 0 if a server would start with these files, 1 if not, and with --strict also if \
            there is a warning.
            """)

    @OptionGroup var files: FileOptions

    @Flag(help: "Take warnings as errors.")
    var strict = false

    @Flag(
        name: .customLong("print"),
        help: "Print all zones, or those that are named, in canonical form.")
    var printsZones = false

    @Argument(help: "The zones to print, as example.com", transform: domainName)
    var zones: [Name] = []

    func validate() throws {
        if !zones.isEmpty, !printsZones {
            throw ValidationError("zones are named with --print only")
        }
    }

    func run() async throws {
        var diagnostics = Diagnostics()
        var isPrinted = true
        let loaded = Loader(files).load(&diagnostics) { sources in
            if printsZones { isPrinted = printZones(sources) }
        }
        report(diagnostics)
        let warnings = diagnostics.all.count + diagnostics.omittedCount - diagnostics.errorCount
        guard let loaded, !strict || warnings == 0 else {
            printError(
                "rhumb: \(counted(diagnostics.errorCount, "error")), \(counted(warnings, "warning"))"
                    + (diagnostics.hasErrors ? "" : "; --strict takes warnings as errors"))
            throw ExitCode(1)
        }
        guard isPrinted else { throw ExitCode(1) }
        let summary =
            "ok: \(loaded.summary)" + (warnings > 0 ? " (\(counted(warnings, "warning")))" : "")
        if printsZones {
            printError(summary)
        } else {
            printNow(([summary] + loaded.failoverLines).joined(separator: "\n"))
        }
    }

    /// Prints the zones that are wanted; false if one of them is not there, is not whole, or can't be
    /// written.
    private func printZones(_ sources: [ZoneSource]) -> Bool {
        var isComplete = true
        var isWritable = true
        for name in zones where !sources.contains(where: { $0.apex == name }) {
            let near = closestMatch(to: name.description, among: sources.map(\.apex.description))
            printError(
                "rhumb: no zone \(name) here" + (near.map { "; did you mean \($0)?" } ?? ""))
            isComplete = false
        }
        for source in sources where zones.isEmpty || zones.contains(source.apex) {
            guard source.isComplete else {
                printError("rhumb: \(source.apex) is not printed, as its text has errors")
                isComplete = false
                continue
            }
            source.writeCanonically { text in
                guard isWritable, !writeOutput(text) else { return }
                printError("rhumb: cannot write to standard output: \(systemMessage(errno))")
                isWritable = false
            }
        }
        return isComplete && isWritable
    }
}
