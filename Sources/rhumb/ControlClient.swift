// The other end of the control socket: how the commands ask a running server.

import ArgumentParser
import Glibc
import Settings

/// Asks the server of a directory.
struct ControlClient {
    private let path: String

    /// - Parameter files: whose settings say where the state is.
    init(_ files: FileOptions) throws {
        var diagnostics = Diagnostics()
        let loader = Loader(files)
        let settings = loader.loadSettings(&diagnostics)
        guard !diagnostics.hasErrors else {
            report(diagnostics)
            throw ControlExit.notDone
        }
        path = loader.path(settings.state) + "/control"
    }

    /// Sends a request and returns what the server did about it.
    ///
    /// - Throws: `ControlExit.notDone`, after saying why on standard error.
    func ask(_ request: ControlRequest) throws -> ControlAnswer {
        let answer: ControlAnswer
        do throws(StateError) {
            answer = try decodeJSON(ControlAnswer.self, try exchange(encodeJSON(request)))
        } catch {
            printError("rhumb: \(error)")
            throw ControlExit.notDone
        }
        guard answer.ok else {
            printError("rhumb: \(answer.error ?? "the server refuses")")
            throw ControlExit.notDone
        }
        return answer
    }

    private func exchange(_ request: [UInt8]) throws(StateError) -> [UInt8] {
        let descriptor = try connect()
        defer { close(descriptor) }
        let line = request + [UInt8(ascii: "\n")]
        // Safe: the array outlives the call. A server that has gone is an error, and no signal.
        guard unsafe send(descriptor, line, line.count, Int32(MSG_NOSIGNAL)) == line.count
        else {
            throw StateError(
                errno == EPIPE
                    ? "\(path): the server has closed the connection, for it stops, or takes no more than"
                        + " \(ControlLimit.connections) at a time; try again"
                    : "\(path): \(systemMessage(errno))")
        }
        var answer: [UInt8] = []
        var hasWaited = false
        var part = [UInt8](repeating: 0, count: 64 << 10)
        while answer.count <= ControlLimit.answer {
            // Safe: the array outlives the call, which is given its length.
            let count = unsafe read(descriptor, &part, part.count)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN, !hasWaited {
                hasWaited = true
                printError(
                    "rhumb: \(path): no answer for \(durationText(Self.patience)); waiting "
                        + "\(durationText(Self.longPatience)) more"
                )
                setTimeout(SO_RCVTIMEO, Self.longPatience, on: descriptor)
                continue
            }
            guard count > 0 else { break }
            answer += part[..<count]
            if answer.last == UInt8(ascii: "\n") { return answer }
        }
        throw StateError("\(path): the server has not answered; its log may say why")
    }

    /// Until it is said that there is a wait: a server that works answers at once.
    private static let patience = Duration.seconds(2)
    /// And then: one that puts a word in force waits for its disk.
    private static let longPatience = Duration.seconds(28)

    /// Has a call on a socket wait for no longer.
    ///
    /// - Parameter duration: whole seconds.
    private func setTimeout(_ option: Int32, _ duration: Duration, on descriptor: Int32) {
        var time = timeval(tv_sec: Int(duration.components.seconds), tv_usec: 0)
        // Safe: the value outlives the call, which is given its size.
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    private func connect() throws(StateError) -> Int32 {
        guard path.utf8.count <= ControlLimit.path else {
            throw StateError(
                "\(path): longer than the \(ControlLimit.path) octets of a socket's path")
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // Safe: the length is checked above, and zeros follow.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw StateError("no socket: \(systemMessage(errno))") }
        setTimeout(SO_SNDTIMEO, Self.patience + Self.longPatience, on: descriptor)
        setTimeout(SO_RCVTIMEO, Self.patience, on: descriptor)
        // Safe: the value outlives the call, which is given its size.
        let isConnected = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isConnected else {
            let reason = errno
            close(descriptor)
            switch reason {
            case ENOENT, ENOTDIR, ECONNREFUSED:
                let directory = parentDirectory(path)
                throw StateError(
                    "no server runs on this directory (\(path)); start one with \"rhumb serve\", or name"
                        + " its directory with -C"
                        + (fileExists(directory)
                            ? "" : "; if one runs, its log says why it has no \(directory)"))
            case EACCES:
                throw StateError(
                    "\(path): permission denied; run this as the server's user, or state control: { mode,"
                        + " group } in rhumb.yaml")
            default: throw StateError("\(path): \(systemMessage(reason))")
            }
        }
        return descriptor
    }
}

/// The exit statuses of commands that ask a server.
enum ControlExit {
    /// Something is down, or what was taken out is answered all the same.
    static let amiss = ExitCode(1)
    /// No server was asked, or it refused.
    static let notDone = ExitCode(2)
}

/// Who runs this, for the log: through sudo, who ran that.
func operatorName() -> String? {
    if let name = unsafe getenv("SUDO_USER") {
        // Safe: the environment's strings are terminated, and nothing changes them here.
        return unsafe String(cString: name)
    }
    // Safe: a terminated string in the entry, copied before any other call.
    guard let entry = unsafe getpwuid(getuid()), let name = unsafe entry.pointee.pw_name else {
        return nil
    }
    return unsafe String(cString: name)
}
