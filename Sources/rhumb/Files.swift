// The little that the commands need of the file system, by libc: Foundation stays out.

import ArgumentParser
import Glibc
import Settings
import Zones

/// The most octets of a settings or pool file: far beyond any that a person keeps.
private let textFileLimit = 64 << 20

/// Whether there is anything of that name; what can't be read is there too, and is reported by its
/// reader.
func fileExists(_ path: String) -> Bool {
    var status = stat()
    // Safe: `status` outlives the call.
    return unsafe lstat(path, &status) == 0 || errno != ENOENT
}

func directoryExists(_ path: String) -> Bool {
    var status = stat()
    // Safe: `status` outlives the call.
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// Whether a file's mode lets everyone read it.
func isReadableByOthers(_ path: String) -> Bool {
    var status = stat()
    // Safe: `status` outlives the call.
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IROTH != 0
}

/// The files of a directory with that ending, sorted by name, as `directory/name`; nil if the directory
/// can't be read. Hidden files, such as editors leave, are passed over.
func listDirectory(_ path: String, suffix: String) -> [String]? {
    guard let handle = unsafe opendir(path) else { return nil }
    defer { unsafe closedir(handle) }
    var names: [String] = []
    while let entry = unsafe readdir(handle) {
        // Safe: readdir's name is a terminated string inside its entry.
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
            unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                unsafe String(cString: $0)
            }
        }
        if name.hasSuffix(suffix), !name.hasPrefix(".") { names.append(path + "/" + name) }
    }
    return names.sorted()
}

/// The directory part of a path; "." if it has none.
func parentDirectory(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// The text of a file, or nil after reporting why it can't be had.
func readText(_ path: String, _ diagnostics: inout Diagnostics) -> String? {
    decoded(path, &diagnostics) { () throws(FileError) in
        try readFile(path: path, limit: textFileLimit)
    }
}

/// The same of what comes through a pipe or, for `-`, the standard input, too.
func readInput(_ path: String, _ diagnostics: inout Diagnostics) -> String? {
    decoded(inputName(path), &diagnostics) { () throws(FileError) in
        try readInput(path: path, limit: textFileLimit)
    }
}

/// What messages call that input.
func inputName(_ path: String) -> String { path == "-" ? "standard input" : path }

private func decoded(
    _ name: String, _ diagnostics: inout Diagnostics, _ read: () throws(FileError) -> [UInt8]
) -> String? {
    do {
        let octets = try read()
        if let text = String(validating: octets, as: UTF8.self) { return text }
        diagnostics.error(
            at: positionOutsideUTF8(octets, name), "not UTF-8; save the file as UTF-8 text")
    } catch {
        diagnostics.error(at: SourcePosition(file: name), "not readable: \(error.explanation)")
    }
    return nil
}

/// Where octets cease to be UTF-8.
private func positionOutsideUTF8(_ octets: [UInt8], _ name: String) -> SourcePosition {
    var decoder = UTF8()
    var rest = octets.makeIterator()
    var (line, column) = (1, 1)
    while case .scalarValue(let scalar) = decoder.decode(&rest) {
        (line, column) = scalar == "\n" ? (line + 1, 1) : (line, column + UTF8.width(scalar))
    }
    return SourcePosition(file: name, line: line, column: column)
}

/// The machine's name, for `id.server`.
func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&buffer, buffer.count - 1) == 0 else { return "" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// Prints to standard error.
func printError(_ text: String) {
    var octets = Array(text.utf8)
    octets.append(10)
    _ = unsafe write(STDERR_FILENO, octets, octets.count)
}

/// Prints to standard output, at once also where that is a pipe or a file.
func printNow(_ text: String) {
    print(text)
    // Nil means all streams: `stdout` itself is a global variable.
    fflush(nil)
}

/// Writes octets to standard output; false if they can't be written, as on a full disk.
func writeOutput(_ octets: [UInt8]) -> Bool { writeAll(octets, to: STDOUT_FILENO) }

func writeAll(_ octets: [UInt8], to descriptor: Int32) -> Bool {
    var start = 0
    while start < octets.count {
        let count = unsafe octets.withUnsafeBytes { buffer in
            // Safe: the rest of the array, which outlives the call.
            unsafe write(
                descriptor, buffer.baseAddress?.advanced(by: start), buffer.count - start)
        }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        start += count
    }
    return true
}

/// Writes a text to a file, in the place of what was there.
///
/// - Throws: after saying why on standard error.
func writeText(_ text: String, to path: String) throws {
    // Safe: the string is passed terminated.
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
        printError("rhumb: cannot write \(path): \(systemMessage(errno))")
        throw ExitCode(1)
    }
    defer { close(descriptor) }
    guard writeAll(Array(text.utf8), to: descriptor) else {
        printError("rhumb: cannot write \(path): \(systemMessage(errno))")
        throw ExitCode(1)
    }
}

/// This process's number, for `kill`.
func processNumber() -> Int32 { getpid() }

/// The system's words for an error number.
func systemMessage(_ number: Int32) -> String {
    // Safe: strerror returns a terminated string, copied before any other call.
    unsafe String(cString: strerror(number))
}

/// A number with its noun: `1 zone`, `2 zones`.
func counted(_ number: some BinaryInteger, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
}

/// Raises the number of files that this process may open as far as it is allowed to, and returns it:
/// what a login gives is less than connections and probes can need.
func raiseFileLimit() -> Int {
    var limit = rlimit()
    // Safe: `limit` outlives both calls.
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
        return 0
    }
    let allowed = limit.rlim_cur
    limit.rlim_cur = limit.rlim_max
    let raised = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
    return Int(clamping: raised ? limit.rlim_max : allowed)
}
