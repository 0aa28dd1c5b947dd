// Monitors of type command: a program of your own, as monitoring plugins are. Exit status 0 passes,
// any other fails, and the first line it prints is the reason; `load=0.73` among its words is the load
// (`load_above`). One that a signal ends has said nothing. Keys of its own, beside Monitor's:
//
//     monitors:
//       replication:
//         type: command
//         command: [/usr/bin/test, -n, "{address}"]  # required; the program's whole path, and its
//                                                     # arguments, in which {address} is replaced
//
// No shell takes part. The program runs as Rhumb's user in "/", with nothing on its standard input
// and no more in its environment than PATH, LANG, RHUMB_ADDRESS and RHUMB_ORIGIN (pool/origin). At the
// timeout, and when it has ended, all that is left of its process group is killed. Of all programs
// 32 run at a time; waiting for a turn is part of the timeout, but no failure of the origin.

internal import CLinux
internal import DNSWire
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Settings

/// Runs a program.
struct CommandProbe: Probe {
    static let type = "command"
    static let keys = ["command"]
    static let reportsLoad = true
    private static let argumentCount = 64
    private static let argumentLimit = 4_096

    let words: [String]
    var origin = ""

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        guard let setting = settings.required("command", &diagnostics),
            let words = Self.words(setting, &diagnostics)
        else { return nil }
        self.words = words
    }

    /// Reads a program that can be run, and its arguments; nil after reporting what is wrong.
    static func words(
        _ setting: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> [String]? {
        let errorsBefore = diagnostics.errorCount
        let words = setting.elements(&diagnostics).compactMap { $0.string(&diagnostics) }
        let isUsable =
            words.count <= Self.argumentCount
            && words.allSatisfy { $0.utf8.count <= Self.argumentLimit && !$0.utf8.contains(0) }
        if let program = words.first, isUsable {
            if !program.hasPrefix("/") {
                setting.expected("the whole path of a program, and its arguments", &diagnostics)
            } else if let fault = Self.fault(ofProgram: program) {
                diagnostics.error(
                    at: setting.position, "\(setting.path): cannot run \(program): \(fault)")
            }
        } else {
            setting.expected(
                "a program and at most \(Self.argumentCount - 1) arguments of "
                    + "\(Self.argumentLimit) octets", &diagnostics)
        }
        return diagnostics.errorCount == errorsBefore ? words : nil
    }

    /// Why a file is no program for us, in words.
    private static func fault(ofProgram path: String) -> String? {
        var status = stat()
        // Safe: the string is passed terminated, `status` outlives the call.
        guard unsafe stat(path, &status) == 0, unsafe access(path, X_OK) == 0 else {
            return Health.words(ofErrno: errno)
        }
        // Directories may be "executed" as well.
        return status.st_mode & S_IFMT == S_IFREG ? nil : "it is not a regular file"
    }

    var port: Int? { nil }

    func bound(toOrigin origin: String) -> CommandProbe {
        var probe = self
        probe.origin = origin
        return probe
    }

    func start(_ attempt: ProbeAttempt) {
        attempt.enter(.connect, "waiting for a turn", isOwn: true)
        let turns = attempt.trust.commands
        let ticket = turns.wait { run(attempt, hasWaited: $0) }
        guard !attempt.isDecided, attempt.step == .connect else { return }
        attempt.hold {
            // The deadline came first.
            if turns.leave(ticket) { attempt.finish() }
        }
    }

    private func run(_ attempt: ProbeAttempt, hasWaited: Bool) {
        // One that began late cannot be blamed for what it had no time for.
        let late = hasWaited ? "waiting for a turn and " : ""
        attempt.enter(.status, "\(late)running \(words[0])", isOwn: hasWaited)
        let address = attempt.address.description
        let environment = [
            "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "RHUMB_ADDRESS=\(address)",
            "RHUMB_ORIGIN=\(origin)",
        ]
        let arguments = words.map { $0.replacing("{address}", with: address) }
        // A file system that hangs lets it begin late, or never.
        attempt.hold { attempt.finish() }
        let turns = attempt.trust.commands
        turns.workers.run(on: attempt.loop, { spawn(arguments, environment) }) { spawned in
            guard spawned.process > 0 else {
                let reason = Health.words(ofErrno: -spawned.process)
                attempt.giveUp("cannot run \(words[0]): \(reason)")
                turns.end()
                return attempt.finish()
            }
            let command = RunningCommand(spawned.process, attempt) { status, line in
                let reason = line.isEmpty ? "" : ": " + line
                switch status {
                case 0: attempt.pass("exit status 0\(reason)", load: Load(in: line))
                case 1...255: attempt.fail(.status, "exit status \(status)\(reason)")
                // By the system for want of memory, say.
                case 256...: attempt.giveUp("killed by signal \(status - 256)\(reason)")
                default: attempt.giveUp("its exit status is lost")
                }
                turns.end()
            }
            command.follow(spawned.output)
        }
    }
}

/// Starts a program in "/".
///
/// - Parameter input: what it finds on its standard input.
/// - Returns: its number, or an error's below zero, and the end of a pipe that it writes to.
func spawn(
    _ arguments: [String], _ environment: [String], input: [UInt8] = []
) -> (process: Int32, output: Int32) {
    var output: Int32 = -1
    // Safe: both lists end in null and live through the call, as the input does; it fills `output`.
    let process = unsafe withTerminated(arguments) { arguments in
        unsafe withTerminated(environment) { environment in
            unsafe cln_spawn(
                arguments[0], arguments, environment, input, UInt(input.count), &output)
        }
    }
    return (process, output)
}

/// Calls something with strings as C's `argv` has them.
private func withTerminated<R>(
    _ words: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R
) -> R {
    // Safe: each copy is freed after the call, and the array is not empty: it ends in null.
    let copies = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
    return unsafe copies.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("a list ends in null") }
        return unsafe body(base)
    }
}

/// A program that runs: reads what it prints, and sees it to its end.
final class RunningCommand: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// Of what it prints, the beginning of the first line is kept.
    private static let lineLimit = 200
    /// How often it is looked whether it has ended.
    private static let pauses = (
        first: TimeAmount.milliseconds(1), last: TimeAmount.milliseconds(50)
    )
    /// How long after its end what it printed may need to get here.
    private static let delay = TimeAmount.milliseconds(50)

    private let process: Int32
    private let attempt: ProbeAttempt
    private let judge: (Int32, String) -> Void
    private var output: [UInt8] = []
    private var count = 0
    private var channel: (any Channel)?
    private var status: Int32?
    private var isOver = false

    /// - Parameter judge: decides, by what `cln_reap` returned and the first line of the output.
    init(
        _ process: Int32, _ attempt: ProbeAttempt, judge: @escaping (Int32, String) -> Void
    ) {
        self.process = process
        self.attempt = attempt
        self.judge = judge
    }

    /// Follows the program to its end.
    ///
    /// - Parameter descriptor: the end of a pipe that it writes to.
    func follow(_ descriptor: Int32) {
        attempt.isDecided ? kill() : attempt.hold { self.kill() }
        let bound = NIOLoopBound(self, eventLoop: attempt.loop)
        let opened = NIOPipeBootstrap(group: attempt.loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    bound.value.channel = channel
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .takingOwnershipOfDescriptor(input: descriptor)
        opened.assumeIsolated().whenFailure { error in
            close(descriptor)
            self.channel = nil
            self.attempt.fail(error)
        }
        look(again: Self.pauses.first)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let piece = unwrapInboundIn(data)
        count += piece.readableBytes
        output += piece.readableBytesView.prefix(Self.lineLimit - output.count)
        if count > ProbeLimit.received {
            attempt.fail(.body, "more than \(ProbeLimit.received) octets and no end")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        channel = nil
        end()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        attempt.fail(error)
    }

    /// Ends it, if it has not ended, and all it has started.
    private func kill() {
        guard status == nil else { return }
        _ = Glibc.kill(-process, SIGKILL)
    }

    /// Looks until it has ended; one that the kernel does not let die keeps its place.
    private func look(again pause: TimeAmount) {
        let status = cln_reap(process)
        guard status == CLN_RUNNING else {
            self.status = status
            end()
            // Somebody outside of the group may hold the other end of the pipe.
            attempt.loop.assumeIsolated().scheduleTask(in: Self.delay) {
                self.channel?.close(promise: nil)
            }
            return
        }
        attempt.loop.assumeIsolated().scheduleTask(in: pause) {
            self.look(again: min(pause * 2, Self.pauses.last))
        }
    }

    /// Judges when both the program and its output have ended.
    private func end() {
        guard let status, channel == nil, !isOver else { return }
        isOver = true
        let line = String(decoding: output.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
        judge(status, line.inOneLine)
        attempt.finish()
    }
}

/// Lets so many programs run at a time, first come, first served.
final class CommandTurns {
    /// Programs cost what no probe over the network does: a process, its memory, its start.
    private static let most = 32
    /// Starting one takes a millisecond, unless its file system hangs.
    private static let starters = 4

    let workers = Workers(CommandTurns.starters)
    private var running = 0
    private var waiting = CircularBuffer<(ticket: Int, begin: (Bool) -> Void)>()
    private var nextTicket = 0

    /// Begins at once or later; each that begins has to end by `end()`.
    ///
    /// - Parameter begin: is told whether it had to wait.
    func wait(_ begin: @escaping (Bool) -> Void) -> Int {
        nextTicket += 1
        if running < Self.most {
            running += 1
            begin(false)
        } else {
            waiting.append((nextTicket, begin))
        }
        return nextTicket
    }

    /// Gives up waiting; false if it is not waiting any more.
    func leave(_ ticket: Int) -> Bool {
        guard let index = waiting.firstIndex(where: { $0.ticket == ticket }) else { return false }
        waiting.remove(at: index)
        return true
    }

    func close() { workers.close() }

    func end() {
        running -= 1
        if let next = waiting.popFirst() {
            running += 1
            next.begin(true)
        }
    }
}
