// One try to deliver an event to a program of yours: the JSON object on its standard input, the gist in
// its environment, no shell. Exit status 0 takes the event, 75 asks for another try.

internal import NIOCore
internal import Settings

/// A program to run, and its arguments.
struct Program: Sendable, Equatable {
    let words: [String]

    init?(_ setting: SettingsValue, _ diagnostics: inout Diagnostics) {
        guard let words = CommandProbe.words(setting, &diagnostics) else { return nil }
        self.words = words
    }
}

/// The program as it runs for one event, and what came of it.
final class CommandCall {
    /// EX_TEMPFAIL of sysexits.h, by which mailers' programs say the same.
    private static let tryAgain: Int32 = 75

    private let program: Program
    private let event: Event
    private let body: [UInt8]
    /// Whether it ended by itself, with a status that says that the event will never be taken.
    private var isRefused = false

    init(_ program: Program, _ event: Event, body: [UInt8]) {
        self.program = program
        self.event = event
        self.body = body
    }

    func start(_ attempt: ProbeAttempt) {
        attempt.enter(.status, "running \(program.words[0])")
        let environment = [
            "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
            "RHUMB_EVENT=\(event.kind.rawValue)",
            "RHUMB_SUBJECT=\("\(event.subject)".inOneLine)", "RHUMB_TEXT=\(event.sentence)",
        ]
        let (process, output) = spawn(program.words, environment, input: body)
        guard process > 0 else {
            attempt.giveUp("cannot run \(program.words[0]): \(words(ofErrno: -process))")
            return attempt.finish()
        }
        let command = RunningCommand(process, attempt) { status, line in
            let reason = line.isEmpty ? "" : ": \(line)"
            guard status != 0 else { return attempt.pass("exit status 0") }
            self.isRefused = (1...255).contains(status) && status != Self.tryAgain
            let ending = status < 256 ? "exit status \(status)" : "killed by signal \(status - 256)"
            attempt.fail(.status, ending + reason)
        }
        command.follow(output)
    }

    func outcome(_ result: ProbeResult.Outcome) -> EventOutbox.Outcome {
        if case .passed = result { return .delivered }
        return isRefused ? .refused("\(result)") : .failed("\(result)")
    }
}
