// What a server keeps beside its files: a directory that one server at a time has, and files in it that are
// replaced whole. A crash at any moment leaves the old file or the new one.

import Glibc
import Settings

/// The state directory of a running server.
final class StateDirectory: Sendable {
    let path: String
    /// Holds the lock, for as long as it is open.
    private let lock: Int32
    private let directory: Int32

    /// Why there is none.
    enum Failure: Error, CustomStringConvertible {
        /// It can't be made or written: the server works all the same, and keeps nothing.
        case unusable(String)
        /// Another server has it.
        case inUse(String)

        var description: String {
            switch self {
            case .unusable(let words), .inUse(let words): words
            }
        }
    }

    /// Makes the directory if there is none, and takes its lock.
    init(_ path: String) throws(Failure) {
        self.path = path
        // Safe, here and below: paths are passed terminated.
        if unsafe mkdir(path, 0o750) == 0 {
            Self.synchronize(parentDirectory(path))
        } else if errno != EEXIST {
            throw .unusable("\(path) cannot be made: \(systemMessage(errno))")
        }
        directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else {
            throw .unusable("\(path) cannot be used: \(systemMessage(errno))")
        }
        let file = path + "/lock"
        lock = unsafe open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard lock >= 0 else {
            let reason = systemMessage(errno)
            close(directory)
            throw .unusable("\(file) cannot be written: \(reason)")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            guard reason == EWOULDBLOCK else {
                close(lock)
                close(directory)
                throw .unusable("\(file) cannot be locked: \(systemMessage(reason))")
            }
            let owner = (try? readFile(path: file, limit: 32)).flatMap {
                Int32(String(decoding: $0, as: UTF8.self).filter(\.isNumber))
            }
            close(lock)
            close(directory)
            throw .inUse(
                "\(path) is in use by another server"
                    + (owner.map { " (process \($0))" } ?? "")
                    + "; stop that one, or name another directory with state: in rhumb.yaml")
        }
        ftruncate(lock, 0)
        let number = Array("\(processNumber())\n".utf8)
        // Safe: the array outlives the call. Should it fail, the number is missing in a message.
        _ = unsafe pwrite(lock, number, number.count, 0)
    }

    deinit {
        close(lock)
        close(directory)
    }

    func file(_ name: String) -> String { path + "/" + name }

    /// Puts a file in the place of the one of that name, and returns when it is on the disk.
    ///
    /// - Throws: why it could not, in words; the old file is still there then.
    func write(_ octets: [UInt8], to name: String) throws(StateError) {
        let aside = file("." + name)
        let descriptor = unsafe open(
            aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard descriptor >= 0 else { throw StateError("\(aside): \(systemMessage(errno))") }
        // What is not on the disk before the name is there may be empty after a power failure.
        let isWritten = writeAll(octets, to: descriptor) && fsync(descriptor) == 0
        let reason = systemMessage(errno)
        guard close(descriptor) == 0, isWritten else { throw StateError("\(aside): \(reason)") }
        guard unsafe rename(aside, file(name)) == 0, fsync(directory) == 0 else {
            throw StateError("\(file(name)): \(systemMessage(errno))")
        }
    }

    /// The octets of a file; nil if there is none.
    ///
    /// - Throws: why it can't be read, in words.
    func read(_ name: String, limit: Int) throws(StateError) -> [UInt8]? {
        do {
            return try readFile(path: file(name), limit: limit)
        } catch {
            if error.isMissing { return nil }
            throw StateError(error.explanation)
        }
    }

    /// Gives a file the ending `.bad`, so that a new one can take its place and somebody can look at it.
    func setAside(_ name: String) {
        _ = unsafe rename(file(name), file(name + ".bad"))
    }

    private static func synchronize(_ path: String) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}

/// What is wrong with kept state, in words.
struct StateError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
