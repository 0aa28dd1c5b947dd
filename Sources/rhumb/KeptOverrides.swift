// Overrides as `state/overrides.json` has them. Whatever is in that file, reading it ends in words of operators
// and in findings.

import Authority
import Health
import Settings
import Steering

/// The file's shape.
struct KeptOverrides: Codable {
    static let fileName = "overrides.json"
    /// As many overrides as there can be take less.
    static let fileLimit = 4 << 20

    var overrides: [Entry]

    /// One word. Times in nanoseconds since 1970.
    struct Entry: Codable {
        var word: String
        var pattern: String
        var by: String
        var time: Int64
        var until: Int64?
        var reason: String?
        var ttl: UInt32?
    }

    init(_ overrides: OperatorOverrides) {
        self.overrides = overrides.all.map {
            Entry(
                word: $0.word.rawValue, pattern: $0.pattern.description, by: $0.operatorName,
                time: $0.time.nanoseconds, until: $0.until?.nanoseconds, reason: $0.reason,
                ttl: $0.ttl)
        }
    }

    var octets: [UInt8] { encodeFile(self) }

    /// What a file's octets say.
    ///
    /// - Parameter findings: gets what is wrong; what is right beside it counts all the same.
    static func parse(_ octets: [UInt8], _ findings: inout [String]) -> [OperatorOverride] {
        let kept: [Lenient<Entry>]
        do {
            kept = try decodeFile(LenientFile.self, octets).overrides
        } catch {
            findings.append("not readable as overrides (\(error))")
            return []
        }
        return kept.enumerated().compactMap { index, entry in
            do {
                guard let entry = entry.value else { throw OperatorError("not an override") }
                return try entry.parse()
            } catch {
                findings.append("overrides[\(index)] is left out: \(error)")
                return nil
            }
        }
    }

    private struct LenientFile: Decodable {
        var overrides: [Lenient<Entry>]
    }
}

extension KeptOverrides.Entry {
    fileprivate func parse() throws(OperatorError) -> OperatorOverride {
        guard let word = OperatorOverride.Word(rawValue: word) else {
            throw OperatorError("its word is none of drain, down, up, clear")
        }
        return try OperatorOverride(
            word, try AddressPattern(pattern), by: by.inOneLine, at: Timestamp(nanoseconds: time),
            until: until.map { Timestamp(nanoseconds: $0) }, reason: reason?.inOneLine, ttl: ttl)
    }
}

extension Loader {
    /// Puts on top of a table what operators told the server of the directory, as far as it is to be read here.
    func applyKeptOverrides(to health: inout HealthTable, of loaded: Loaded) {
        let file = path(loaded.settings.state) + "/" + KeptOverrides.fileName
        guard let octets = try? readFile(path: file, limit: KeptOverrides.fileLimit) else { return }
        var findings: [String] = []
        var overrides = OperatorOverrides()
        overrides.restore(KeptOverrides.parse(octets, &findings))
        overrides.expire(at: .now())
        for finding in findings { printError("\(file): warning: \(finding)") }
        let steering = loaded.content.steering
        let verdicts = overrides.verdicts(
            in: steering.configuration, addresses: steering.addresses)
        for (index, verdict) in verdicts { health.override(index, with: verdict) }
    }
}
