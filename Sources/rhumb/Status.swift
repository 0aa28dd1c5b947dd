// rhumb status: how a running server and its origins stand.

import ArgumentParser
import Glibc

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how a running server and its origins stand.",
        usage: "rhumb status [<pattern>] [--json] [--watch] [-C <directory>]",
        discussion: """
            Asks the server that runs on the directory. The exit status is 0 if all that is shown is well, \
            1 if a pool can't be used, an origin is down, degraded or unknown, or the server is isolated \
            (an operator's drain alone is well), and 2 if no server was asked.
            """)

    @Argument(help: "POOL, POOL/ORIGIN or POOL/ORIGIN/ADDRESS, with * and ?; all without.")
    var pattern: String?

    @Flag(help: "Print one JSON object, for programs.")
    var json = false

    @Flag(help: "Show it again every second, until Control-C.")
    var watch = false

    @OptionGroup var files: FileOptions

    func run() async throws {
        let client = try ControlClient(files)
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let style = StatusText(isColoured: isTerminal && !isSet("NO_COLOR"))
        if watch {
            try await show(client, style, clears: isTerminal && !json)
        } else {
            let status = try status(client)
            show(status, style)
            if !status.isWell { throw ControlExit.amiss }
        }
    }

    private func status(_ client: ControlClient) throws -> StatusDocument {
        let request = ControlRequest(command: "status", pattern: pattern)
        guard let status = try client.ask(request).status else { throw ControlExit.notDone }
        return status
    }

    private func show(_ status: StatusDocument, _ style: StatusText) {
        if json {
            printNow(String(decoding: encodeJSON(status, pretty: !watch), as: UTF8.self))
        } else {
            printNow(style.text(status))
        }
    }

    /// Shows the status every second. A server that goes away may come back: that is what one watches.
    private func show(_ client: ControlClient, _ style: StatusText, clears: Bool) async throws {
        while true {
            let current = try? status(client)
            if let current {
                // To the first line and column, and clear from there.
                if clears { print("\u{1B}[H\u{1B}[2J", terminator: "") }
                show(current, style)
            }
            try await Task.sleep(for: .seconds(1))
        }
    }
}

extension StatusDocument {
    /// Whether nothing has to be looked at.
    fileprivate var isWell: Bool {
        !isolation.frozen && !isolation.isolated && totals.usablePools == totals.pools
            && totals.down + totals.degraded + totals.unknown == unmonitored
    }

    /// How many addresses nobody probes and nobody speaks of: unknown, and well.
    private var unmonitored: Int {
        pools.flatMap(\.origins).flatMap(\.addresses).count {
            $0.verdict == "unknown" && $0.probes == nil
        }
    }
}

/// Whether a variable of the environment has a value (https://no-color.org).
private func isSet(_ name: String) -> Bool {
    // Safe: a terminated string, if it is there.
    guard let value = unsafe getenv(name) else { return false }
    return unsafe value.pointee != 0
}
