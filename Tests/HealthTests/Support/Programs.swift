// Programs that the tests run: servers that nobody here wrote, and openssl to make certificates.

import Foundation

/// A directory that goes away with the test.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory
            .appendingPathComponent("rhumb-health-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
    }
}

/// Why a program of a test did not do its work.
struct ProgramError: Error, CustomStringConvertible {
    let description: String
}

private func process(_ arguments: [String], in directory: String) -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    return process
}

/// Runs a program to its end; throws with what it said if it fails.
func run(_ arguments: [String], in directory: String) throws {
    let process = process(arguments, in: directory)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let said = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw ProgramError(description: "\(arguments): \(String(decoding: said, as: UTF8.self))")
    }
}

/// A server program that prints the port it listens on.
final class ServerProgram: @unchecked Sendable {
    let port: Int
    private let process: Process
    // Kept open: a program whose output is closed ends.
    private let output = Pipe()
    private let input = Pipe()

    /// - Parameter marker: what stands before the port in the program's output.
    init(_ arguments: [String], in directory: String, portAfter marker: String) throws {
        let process = HealthTests.process(arguments, in: directory)
        process.standardOutput = output
        process.standardError = output
        process.standardInput = input
        try process.run()
        self.process = process
        var said = ""
        while true {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else {
                throw ProgramError(description: "\(arguments) ended: \(said)")
            }
            said += String(decoding: data, as: UTF8.self)
            guard let start = said.range(of: marker)?.upperBound else { continue }
            let digits = said[start...].prefix { $0.isNumber }
            if let port = Int(digits), said[start...].count > digits.count {
                self.port = port
                return
            }
        }
    }

    /// For programs that print their port before they listen on it.
    func waitUntilItListens() throws {
        for _ in 0..<500 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            if unsafe loopbackAddress(port: port, { unsafe connect(descriptor, $0, $1) }) == 0 {
                return
            }
            usleep(10_000)
        }
        throw ProgramError(description: "it does not listen on \(port)")
    }

    /// Kills it: the test's threads block other signals, and programs inherit that.
    func stop() {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
}

/// Calls something with a port of 127.0.0.1 as the system has it.
private func loopbackAddress<R>(
    port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
) -> R {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    address.sin_port = UInt16(port).bigEndian
    // Safe: a sockaddr_in of that length, for the time of the call.
    return unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

/// An authority and certificates of it, made by openssl.
final class Certificates: Sendable {
    let directory: TemporaryDirectory

    /// Makes `ca.pem`, `other-ca.pem`, and the leaves `good`, `expired` and `self-signed`, all for
    /// good.test and 127.0.0.1, each as NAME.pem with its key in NAME.key; `nameless` has good.test
    /// as its common name alone.
    init() throws {
        directory = try TemporaryDirectory()
        try directory.write("subjectAltName=DNS:good.test,IP:127.0.0.1\n", to: "names")
        for authority in ["ca", "other-ca"] { try selfSign(authority, subject: "/CN=Test CA") }
        try selfSign(
            "self-signed", subject: "/CN=good.test", ["-addext", "subjectAltName=DNS:good.test"])
        try directory.write("basicConstraints=CA:FALSE\n", to: "no-names")
        for (leaf, days, names) in [
            ("good", "2", "names"), ("expired", "-1", "names"), ("nameless", "2", "no-names"),
        ] {
            try openssl(
                ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
                    + ["-keyout", "\(leaf).key", "-out", "\(leaf).csr", "-subj", "/CN=good.test"])
            try openssl(
                ["x509", "-req", "-in", "\(leaf).csr", "-CA", "ca.pem", "-CAkey", "ca.key"]
                    + ["-days", days, "-extfile", names, "-out", "\(leaf).pem"])
        }
    }

    private func selfSign(_ name: String, subject: String, _ more: [String] = []) throws {
        try openssl(
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
                + ["-keyout", "\(name).key", "-out", "\(name).pem", "-days", "2", "-subj", subject]
                + more)
    }

    private func openssl(_ arguments: [String]) throws {
        try run(["openssl"] + arguments, in: directory.path)
    }

    /// `openssl s_server` with that leaf, which answers any GET with a status page.
    func server(_ leaf: String, _ more: [String] = ["-www"]) throws -> ServerProgram {
        try ServerProgram(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "\(leaf).pem"]
                + ["-key", "\(leaf).key"] + more,
            in: directory.path, portAfter: "ACCEPT 127.0.0.1:")
    }

    var authority: [UInt8] { get throws { try directory.read("ca.pem") } }
}
