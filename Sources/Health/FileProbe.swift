// Monitors of type file: results that somebody else finds, in a file. Keys of its own, beside
// Monitor's, with their defaults unless marked:
//
//     monitors:
//       outside:
//         type: file
//         path: results.txt    # required; relative to this file's directory
//         max_age: 5m          # an older file says nothing: 1s to 30d
//         stale: keep          # then keep the verdict; `down`: that it is old, or gone, or has no
//                              # line is a failure
//
// A line of it is about an address or an origin, `up` or `down`, and why; `load=0.73` among the words
// after `up` is the load (`load_above`):
//
//     192.0.2.10          up     load=0.73
//     frankfurt/fra-2     down   replica is behind by 40 s    # pool/origin; # begins a comment
//
// Where an address has a line, that of its origin does not count. Where neither has one, or the file
// is missing, malformed or too old, the probe is inconclusive and verdicts stay as they are, unless
// `stale` says otherwise. Write a new file and rename it into place.

internal import DNSWire
internal import Glibc
internal import NIOCore
internal import Settings

/// Looks a result up.
struct FileProbe: Probe {
    static let type = "file"
    static let keys = ["path"] + Staleness.keys
    static let reportsLoad = true
    static let asksAnAddress = false

    let path: String
    let staleness: Staleness
    var origin = ""

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let staleness = Staleness(settings, &diagnostics)
        guard let path = settings.required("path", &diagnostics)?.filePath(&diagnostics),
            let staleness
        else { return nil }
        self.path = path
        self.staleness = staleness
    }

    var port: Int? { nil }

    /// Until the last result of one that is silent is too old.
    var blindness: Duration? { staleness.isFailure ? staleness.maximumAge : nil }

    func bound(toOrigin origin: String) -> FileProbe {
        var probe = self
        probe.origin = origin
        return probe
    }

    func start(_ attempt: ProbeAttempt) {
        attempt.enter(.status, "reading \(path)", isOwn: true)
        // Whenever the disk answers: the attempt may have ended by its deadline.
        attempt.hold { attempt.finish() }
        attempt.trust.files.results(of: path, on: attempt.loop) { result in
            guard !attempt.isDecided else { return }
            switch result {
            case .success(let results): judge(results, attempt)
            case .failure(let fault) where fault.isMissing:
                staleness.judge("\(path): \(fault)", attempt)
            case .failure(let fault): attempt.giveUp("\(path): \(fault)")
            }
        }
    }

    private func judge(_ results: FileResults, _ attempt: ProbeAttempt) {
        let now = Timestamp.now()
        guard staleness.accepts(written: results.written, now: now) else {
            let age = Staleness.age(of: results.written, now: now)
            return staleness.judge("\(path) was written \(age), \(staleness.words)", attempt)
        }
        let lines = results.lines
        guard let found = lines[attempt.address.description] ?? lines[origin] else {
            let who = origin.isEmpty ? "\(attempt.address)" : "\(attempt.address) or \(origin)"
            return staleness.judge("\(path) has no line for \(who)", attempt)
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
        var isMissing = false
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

    typealias Answer = Result<FileResults, FileResults.Fault>

    /// A disk that hangs takes one for each file on it.
    private static let readers = 4

    private let workers = Workers(FileCache.readers)
    private let shared = SharedWork<String, Answer>()
    private var entries: [String: Entry] = [:]

    func results(of path: String, on loop: any EventLoop, _ next: @escaping (Answer) -> Void) {
        let known = entries[path]
        shared.join(path, next) { end in
            workers.run(on: loop, { Self.read(path, known: known) }) { read in
                if case .success(let entry) = read { self.entries[path] = entry }
                end(read.map(\.results))
            }
        }
    }

    func removeAll() { entries = [:] }

    func close() { workers.close() }

    private static func read(_ path: String, known: Entry?) -> Result<Entry, FileResults.Fault> {
        var status = stat()
        // Safe: the string is passed terminated, `status` outlives the call.
        guard unsafe stat(path, &status) == 0 else {
            let code = errno
            return .failure(
                FileResults.Fault(description: words(ofErrno: code), isMissing: code == ENOENT))
        }
        // Whoever owns a file may set its time to any year.
        let changed = Timestamp(nanoseconds: 0).advanced(
            by: .seconds(status.st_mtim.tv_sec) + .nanoseconds(status.st_mtim.tv_nsec))
        let identity = Identity(
            inode: UInt64(status.st_ino), size: Int64(status.st_size), changed: changed)
        if let known, known.identity == identity { return .success(known) }
        let octets: [UInt8]
        do throws(FileError) {
            octets = try readFile(path: path, limit: FileResults.sizeLimit)
        } catch {
            return .failure(
                FileResults.Fault(description: error.explanation, isMissing: error.isMissing))
        }
        do throws(FileResults.Fault) {
            return .success(
                Entry(identity: identity, results: try FileResults(octets, written: changed)))
        } catch {
            return .failure(error)
        }
    }
}
