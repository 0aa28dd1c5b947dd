// Monitors of type file: results that somebody else finds, in a file. Keys of its own, beside
// Monitor's, with their defaults unless marked:
//
//     monitors:
//       outside:
//         type: file
//         path: results.txt    # required; relative to this file's directory
//         max_age: 5m          # an older file says nothing: 1s to 30d
//
// A line of it is about an address or an origin, `up` or `down`, and why; `load=0.73` among the words
// after `up` is the load (`load_above`):
//
//     192.0.2.10          up     load=0.73
//     frankfurt/fra-2     down   replica is behind by 40 s    # pool/origin; # begins a comment
//
// Where an address has a line, that of its origin does not count. Where neither has one, or the file
// is missing, malformed or too old, the probe is inconclusive and verdicts stay as they are: that
// the messenger is gone is no news of the origin. Write a new file and rename it into place.

internal import DNSWire
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Settings

/// Looks a result up.
struct FileProbe: Probe {
    static let type = "file"
    static let keys = ["path", "max_age"]
    static let reportsLoad = true
    private static let ages = Duration.seconds(1)...Duration.seconds(30 * 86_400)

    let path: String
    let maximumAge: Duration
    var origin = ""

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let age = settings["max_age"].map { $0.duration(in: Self.ages, &diagnostics) }
        guard let path = settings.required("path", &diagnostics)?.filePath(&diagnostics),
            let maximumAge = age ?? .seconds(300)
        else { return nil }
        self.path = path
        self.maximumAge = maximumAge
    }

    var port: Int? { nil }

    func bound(toOrigin origin: String) -> FileProbe {
        var probe = self
        probe.origin = origin
        return probe
    }

    func start(_ attempt: ProbeAttempt) {
        attempt.enter(.status, "reading \(path)", isOwn: true)
        let read = attempt.trust.files.results(of: path, on: attempt.loop)
        // Whenever the disk answers: the attempt may have ended by its deadline.
        attempt.hold { attempt.finish() }
        read.assumeIsolated().whenComplete { result in
            guard !attempt.isDecided else { return }
            switch result {
            case .success(let results): judge(results, attempt)
            case .failure(let error): attempt.giveUp("\(path): \(error)")
            }
        }
    }

    private func judge(_ results: FileResults, _ attempt: ProbeAttempt) {
        let age = Duration.nanoseconds(
            max(0, Timestamp.now().nanoseconds - results.written.nanoseconds))
        guard age <= maximumAge else {
            return attempt.giveUp(
                "\(path) was written \(durationText(.seconds(age.components.seconds))) ago, "
                    + "max_age: \(durationText(maximumAge))")
        }
        let lines = results.lines
        guard let found = lines[attempt.address.description] ?? lines[origin] else {
            let who = origin.isEmpty ? "\(attempt.address)" : "\(attempt.address) or \(origin)"
            return attempt.giveUp("\(path) has no line for \(who)")
        }
        let reason = found.reason.isEmpty ? "" : ": \(found.reason)"
        if found.isUp {
            attempt.pass("marked up\(reason)", load: Load(in: found.reason))
        } else {
            attempt.fail(.status, "marked down\(reason)")
        }
    }
}

/// What a file of results says.
struct FileResults: Sendable, Equatable {
    struct Line: Sendable, Equatable {
        var isUp: Bool
        var reason: String
    }

    /// When the file was changed last.
    var written: Timestamp
    /// By address in its usual form, or by `pool/origin`.
    var lines: [String: Line] = [:]

    /// Lines for ten thousand origins with long reasons.
    static let sizeLimit = 4 << 20

    /// Why there are no results, in words.
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    init(_ octets: [UInt8], written: Timestamp) throws(Fault) {
        self.written = written
        for (index, line) in octets.split(separator: 10, omittingEmptySubsequences: false)
            .enumerated()
        {
            let text = String(decoding: line.prefix { $0 != UInt8(ascii: "#") }, as: UTF8.self)
            let words = text.split { $0.isWhitespace }
            guard let who = words.first else { continue }
            guard words.count > 1, words[1] == "up" || words[1] == "down" else {
                throw Fault(description: "line \(index + 1): expected \"ADDRESS up\" or \"down\"")
            }
            let key = IPAddress(String(who))?.description ?? String(who)
            let reason = words.dropFirst(2).joined(separator: " ").inOneLine
            lines[key] = Line(isUp: words[1] == "up", reason: reason)
        }
    }
}

/// Reads files of results when they have changed, off the loop, once for all that ask.
final class FileCache {
    /// What tells one state of a file from another.
    private struct Identity: Equatable, Sendable {
        var inode: UInt64
        var size: Int64
        var changed: Timestamp
    }

    private struct Entry: Sendable {
        var identity: Identity
        var results: FileResults
    }

    private var entries: [String: Entry] = [:]
    private var reading: [String: EventLoopFuture<FileResults>] = [:]

    func results(of path: String, on loop: any EventLoop) -> EventLoopFuture<FileResults> {
        if let reading = reading[path] { return reading }
        let known = entries[path]
        let read = NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            try Self.read(path, known: known)
        }
        let results = read.assumeIsolated().map { entry in
            self.entries[path] = entry
            return entry.results
        }.nonisolated()
        reading[path] = results
        results.assumeIsolated().whenComplete { _ in self.reading[path] = nil }
        return results
    }

    private static func read(_ path: String, known: Entry?) throws(FileResults.Fault) -> Entry {
        var status = stat()
        // Safe: the string is passed terminated, `status` outlives the call.
        guard unsafe stat(path, &status) == 0 else {
            throw FileResults.Fault(description: words(ofErrno: errno))
        }
        let changed = Timestamp(
            nanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000
                + Int64(status.st_mtim.tv_nsec))
        let identity = Identity(
            inode: UInt64(status.st_ino), size: Int64(status.st_size), changed: changed)
        if let known, known.identity == identity { return known }
        do {
            let octets = try readFile(path: path, limit: FileResults.sizeLimit)
            return Entry(
                identity: identity, results: try FileResults(octets, written: changed))
        } catch let error as FileError {
            throw FileResults.Fault(description: error.explanation)
        } catch let error as FileResults.Fault {
            throw error
        } catch {
            throw FileResults.Fault(description: "\(error)")
        }
    }
}
