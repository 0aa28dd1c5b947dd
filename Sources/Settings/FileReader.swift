// Whole files from disk or through pipes, with a limit on their size.

internal import Glibc

/// Why a file could not be read, in words that follow "cannot read PATH: ".
public struct FileError: Error, Hashable, Sendable {
    public var explanation: String
    /// Whether there is no such file, as against one that can't be read.
    public var isMissing = false

    public init(explanation: String) {
        self.explanation = explanation
    }

    /// What the system said; where rights are missing, with the cure.
    fileprivate init(systemError: Int32) {
        explanation = systemMessage(systemError)
        isMissing = systemError == ENOENT
        if systemError == EACCES { explanation += "; let the user that runs rhumb read it" }
    }
}

/// Returns a regular file's octets.
///
/// - Parameter limit: the most octets; a larger file is refused.
public func readFile(path: String, limit: Int) throws(FileError) -> [UInt8] {
    // Not to wait for a writer if it is a pipe; that is refused below.
    // Safe: the string is passed terminated.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileError(systemError: errno) }
    defer { close(descriptor) }
    var status = stat()
    // Safe: `status` outlives the call.
    guard unsafe fstat(descriptor, &status) == 0 else {
        throw FileError(systemError: errno)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
        throw FileError(explanation: "it is not a regular file")
    }
    return try readAll(descriptor, expecting: Int(status.st_size), limit: limit)
}

/// Returns what there is to read at a path until its end, a regular file's octets or what comes
/// through a pipe; `-` is the standard input.
///
/// Waits for whoever writes into a pipe.
///
/// - Parameter limit: the most octets; more are refused.
public func readInput(path: String, limit: Int) throws(FileError) -> [UInt8] {
    if path == "-" { return try readAll(STDIN_FILENO, expecting: 0, limit: limit) }
    // Safe: the string is passed terminated.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError(systemError: errno) }
    defer { close(descriptor) }
    return try readAll(descriptor, expecting: 0, limit: limit)
}

/// Reads to the end.
///
/// - Parameter expected: how many octets there are likely to be.
private func readAll(
    _ descriptor: Int32, expecting expected: Int, limit: Int
) throws(FileError) -> [UInt8] {
    var octets = [UInt8](repeating: 0, count: min(max(0, expected), limit) + 1)
    var count = 0
    while true {
        if count == octets.count {
            // It grew since fstat, or nobody knew how much comes.
            octets += [UInt8](repeating: 0, count: max(65_536, octets.count))
        }
        let received = unsafe octets.withUnsafeMutableBytes { buffer in
            // Safe: the rest of the buffer, whose length is the limit given.
            unsafe read(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
        }
        if received < 0 {
            if errno == EINTR { continue }
            throw FileError(systemError: errno)
        }
        if received == 0 { break }
        count += received
        guard count <= limit else {
            throw FileError(explanation: "it has more than \(limit) octets, the limit")
        }
    }
    octets.removeLast(octets.count - count)
    return octets
}

/// The system's words for an error number, in lower case: `no such file or directory`.
private func systemMessage(_ number: Int32) -> String {
    // Safe: strerror returns a terminated string, copied before any other call.
    let words = unsafe String(cString: strerror(number))
    return words.prefix(1).lowercased() + words.dropFirst()
}
