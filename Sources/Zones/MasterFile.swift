// Zone files: RFC 1035 master format with $TTL (RFC 2308), and the pseudo record STEER. Text comes
// in, records with their places go out to the zone builder; every fault is reported, and reading
// goes on behind it. Words come from MasterFileScanner, record data from DNSWire's type table.

public import DNSWire
public import Settings

/// The largest zone file, its included files together, in octets: over ten million records.
public let maximumZoneFileLength = 512 << 20

/// The most that a zone's records may come to, owners and data in wire format, in octets. Only a file
/// with a long origin behind short names grows much when it is read.
let maximumZoneRecordsLength = 1 << 30

/// Returns the octets of an included file, of which there are at most `limit`.
typealias IncludedFileReader = (_ path: String, _ limit: Int) throws(FileError) -> [UInt8]

/// Reads the master file of one zone.
///
/// - Parameters:
///   - file: its path, for places and for the folder that `$INCLUDE` starts from.
///   - apex: the zone's name, which is the first `$ORIGIN`.
///   - include: returns the octets of an included file, given the path from the folder above.
public func readMasterFile(
    _ octets: [UInt8], file: String, apex: Name,
    include: (_ path: String) throws(FileError) -> [UInt8], diagnostics: inout Diagnostics
) -> ZoneSource {
    readMasterFile(
        octets, file: file, apex: apex,
        boundedInclude: { (path, _) throws(FileError) in try include(path) },
        diagnostics: &diagnostics)
}

private func readMasterFile(
    _ octets: [UInt8], file: String, apex: Name, boundedInclude: IncludedFileReader,
    diagnostics: inout Diagnostics
) -> ZoneSource {
    var reader = MasterFileReader(apex: apex, diagnostics: diagnostics)
    reader.read(octets, file: file, include: boundedInclude)
    let isComplete = reader.diagnostics.errorCount == diagnostics.errorCount
    diagnostics = reader.diagnostics
    return ZoneSource(apex: apex, records: reader.records, file: file, isComplete: isComplete)
}

/// Reads a zone file from disk; nil if it cannot be read at all.
///
/// The apex is the file's name without `.zone`: `example.com.zone` is `example.com.`, and `@.zone`
/// is the root.
public func loadZoneFile(path: String, diagnostics: inout Diagnostics) -> ZoneSource? {
    let suffix = ".zone"
    let fileName = path.split(separator: "/").last.map(String.init) ?? path
    let position = SourcePosition(file: path)
    guard fileName.hasSuffix(suffix), fileName != suffix else {
        diagnostics.error(at: position, "the name of a zone file is the zone's name and \".zone\"")
        return nil
    }
    let apex: Name
    do throws(NameError) {
        apex = try Name(fileName.dropLast(suffix.count), origin: .root)
    } catch {
        diagnostics.error(
            at: position, "the file's name, without .zone, is no domain name: \(error.explanation)")
        return nil
    }
    do throws(FileError) {
        let octets = try readFile(path: path, limit: maximumZoneFileLength)
        return readMasterFile(
            octets, file: path, apex: apex,
            boundedInclude: { (path, limit) throws(FileError) in
                try readFile(path: path, limit: limit)
            }, diagnostics: &diagnostics)
    } catch {
        diagnostics.error(at: position, "cannot read it: \(error.explanation)")
        return nil
    }
}

/// What is carried from line to line.
struct MasterFileReader {
    /// How deep files may include files; more is a loop that the path check missed.
    static let maximumDepth = 16
    /// How many files may be included in all: each may include others several times over.
    static let maximumIncludes = 1_000
    /// RFC 2181, section 8.
    static let maximumTTL: UInt64 = 1 << 31 - 1

    let apex: Name
    var diagnostics: Diagnostics
    var records = ZoneRecords()
    /// What completes relative names: `$ORIGIN`.
    var origin: Name
    /// The owner that a line starting with a blank takes over, with its text as written.
    var owner: Name?
    var ownerText: ArraySlice<UInt8>?
    /// Whether the last owner was faulty: its records are read for their faults and dropped.
    var hasBadOwner = false
    /// `$TTL`; without it the last TTL that was written; without that, the SOA's minimum.
    var defaultTTL: UInt32?
    var lastTTL: UInt32?
    var hasReportedMissingTTL = false
    /// The files being read, outermost first.
    var openFiles: [String] = []
    var includeCount = 0
    var octetCount = 0
    /// What the records come to, and how much they may.
    var recordsLength = 0
    var recordsLimit = maximumZoneRecordsLength
    var generatedCount = 0

    init(apex: Name, diagnostics: Diagnostics) {
        self.apex = apex
        self.origin = apex
        self.diagnostics = diagnostics
    }

    /// Reads one file to its end.
    mutating func read(
        _ octets: [UInt8], file: String, include: IncludedFileReader
    ) {
        if octets.starts(with: [0xFF, 0xFE]) || octets.starts(with: [0xFE, 0xFF]) {
            diagnostics.error(
                at: SourcePosition(file: file), "the file is UTF-16; save it as ASCII or UTF-8")
            return
        }
        if octetCount == 0 { records.reserveCapacity(forText: octets.count) }
        octetCount += octets.count
        openFiles.append(file)
        var scanner = MasterFileScanner(octets, file: file)
        while recordsLength <= recordsLimit, scanner.readEntry(&diagnostics) {
            if scanner.words[0].octets.first == UInt8(ascii: "$"), !scanner.words[0].isQuoted {
                readDirective(scanner, include: include)
            } else {
                readRecord(scanner)
            }
        }
        openFiles.removeLast()
    }

    /// Reports a fault at a word of the current entry.
    mutating func report(_ message: String, at word: Int, _ scanner: borrowing MasterFileScanner) {
        diagnostics.error(at: scanner.place(ofWord: word), message)
    }

    // MARK: - Records

    /// Reads `[owner] [ttl] [class] type data`, TTL and class in either order.
    mutating func readRecord(_ scanner: borrowing MasterFileScanner) {
        var next = 0
        if !scanner.startsWithBlank {
            hasBadOwner = !readOwner(scanner)
            next = 1
        } else if owner == nil, !hasBadOwner {
            report(
                "a line that starts with a blank goes on with the owner before, and there is none; "
                    + "write an owner, or @ for the origin", at: 0, scanner)
            hasBadOwner = true
        }
        guard let (typeIndex, ttl) = readTTLAndClass(scanner, from: next) else { return }
        guard typeIndex < scanner.words.count else {
            reportRecord(
                "the record has no type; write \"[owner] [ttl] type data\"", at: typeIndex,
                typeAt: typeIndex, scanner)
            return
        }
        if let ttl { lastTTL = ttl }
        guard let content = readContent(scanner, typeAt: typeIndex) else { return }
        let position = scanner.place(ofWord: 0)
        let finalTTL = ttl ?? impliedTTL(for: content, at: position)
        guard let owner else { return }
        recordsLength += owner.wire.count
        if case .data(_, let data) = content { recordsLength += data.count }
        guard recordsLength <= recordsLimit else {
            report(
                "the records up to here come to over \(recordsLimit) octets, so the rest is not read; "
                    + "split the zone", at: 0, scanner)
            return
        }
        records.append(
            ZoneRecord(
                owner: owner, ttl: finalTTL, hasOwnTTL: ttl != nil, content: content,
                position: position))
    }

    /// Passes TTL and class, in either order, up to the type; nil if one of them is refused.
    mutating func readTTLAndClass(
        _ scanner: borrowing MasterFileScanner, from start: Int
    ) -> (typeIndex: Int, ttl: UInt32?)? {
        var next = start
        var ttl: UInt32?
        var hasClass = false
        while next < scanner.words.count {
            let word = scanner.words[next].octets
            if ttl == nil, let first = word.first, first &- 0x30 < 10, let time = parseSeconds(word)
            {
                guard let valid = checkedTTL(time, at: next, scanner) else { return nil }
                ttl = valid
            } else if !hasClass, let isInternet = Self.isInternetClass(word) {
                guard isInternet else {
                    report("only class IN is served; write IN or nothing", at: next, scanner)
                    return nil
                }
                hasClass = true
            } else {
                break
            }
            next += 1
        }
        return (next, ttl)
    }

    /// Takes the first word as the owner.
    private mutating func readOwner(_ scanner: borrowing MasterFileScanner) -> Bool {
        let text = scanner.words[0].octets
        // Most records have the owner of the record before.
        if let ownerText, text.elementsEqual(ownerText) { return true }
        owner = nil
        ownerText = nil
        if scanner.words[0].hasInnerQuotes {
            report("quotes inside a name; write \\\" for a quote in it", at: 0, scanner)
            return false
        }
        do throws(NameError) {
            owner = try Name(octets: text, origin: origin)
            ownerText = text
        } catch {
            report("the owner is not a domain name: \(error.explanation)", at: 0, scanner)
            return false
        }
        if text.contains(where: { $0 >= 0x80 }) {
            diagnostics.warning(
                at: scanner.place(ofWord: 0),
                "a name with octets outside ASCII; write an international name as xn--...")
        }
        return true
    }

    /// Whether a word is the class IN; nil if it is no class.
    static func isInternetClass(_ word: ArraySlice<UInt8>) -> Bool? {
        // Types that begin like classes: none of two letters, and CLASSnnn has digits.
        guard word.count == 2 || word.count > 5, let first = word.first else { return nil }
        switch asciiLowercased(first) {
        case UInt8(ascii: "i"), UInt8(ascii: "c"), UInt8(ascii: "h"): break
        default: return nil
        }
        switch String(decoding: word, as: UTF8.self).uppercased() {
        case "IN", "CLASS1": return true
        case "CH", "HS", "CS": return false
        case let name:
            guard name.hasPrefix("CLASS"), UInt16(name.dropFirst(5)) != nil else { return nil }
            return false
        }
    }

    /// Reads the type and the data behind it.
    private mutating func readContent(
        _ scanner: borrowing MasterFileScanner, typeAt index: Int
    ) -> ZoneRecord.Content? {
        let word = scanner.words[index].octets
        guard let type = RecordType(mnemonic: word) else {
            if Self.isWord(word, "steer") { return readSteer(scanner, typeAt: index) }
            reportUnknownType(scanner, at: index)
            return nil
        }
        guard !type.isMeta else {
            report("\(type) is for messages; no zone can hold it, so remove it", at: index, scanner)
            return nil
        }
        do throws(RDataError) {
            let rdata = try type.rdata(
                from: scanner.words[(index + 1)...], origin: origin, allowingAutomaticHints: true)
            // An alias has no use for parameters (RFC 9460, section 2.4.2).
            if type == .svcb || type == .https, rdata.starts(with: [0, 0]),
                let target = type.embeddedNames(in: rdata[...]).first,
                rdata.count > target.offset + target.length
            {
                diagnostics.warning(
                    at: scanner.place(ofWord: index + 3),
                    "parameters of an alias (priority 0) are ignored by all clients; remove them")
            }
            if let fault = type.digestFault(in: rdata) {
                diagnostics.warning(at: scanner.place(ofWord: scanner.words.count - 1), fault)
            }
            return .data(type, rdata)
        } catch {
            reportRecord(error.explanation, at: error.tokenIndex, typeAt: index, scanner)
            return nil
        }
    }

    private mutating func readSteer(
        _ scanner: borrowing MasterFileScanner, typeAt index: Int
    ) -> ZoneRecord.Content? {
        let words = scanner.words
        guard words.count == index + 2 else {
            let place = min(index + 2, words.count)
            report(
                "STEER takes the name of one service; write \"STEER service\"", at: place, scanner)
            return nil
        }
        let service = words[index + 1].octets
        let isValid = service.allSatisfy { octet in
            octet &- 0x30 < 10 || asciiLowercased(octet) &- 0x61 < 26 || octet == UInt8(ascii: ".")
                || octet == UInt8(ascii: "_") || octet == UInt8(ascii: "-")
        }
        guard isValid, !service.isEmpty else {
            report(
                "a service's name has letters, digits, \".\", \"_\" and \"-\" only", at: index + 1,
                scanner)
            return nil
        }
        return .steer(service: String(decoding: service, as: UTF8.self))
    }

    /// Whether a word is this lower-case one, in any case.
    static func isWord(_ octets: ArraySlice<UInt8>, _ word: StaticString) -> Bool {
        octets.lazy.map(asciiLowercased).elementsEqual(word.description.utf8)
    }

    /// A word for a message: printable, at most 40 octets of it.
    static func shown(_ octets: ArraySlice<UInt8>) -> String {
        let printable = octets.prefix(40).map {
            (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?")
        }
        return String(decoding: printable, as: UTF8.self) + (octets.count > 40 ? "…" : "")
    }

    // MARK: - TTL

    mutating func checkedTTL(
        _ seconds: UInt64, at word: Int, _ scanner: borrowing MasterFileScanner
    ) -> UInt32? {
        guard seconds <= Self.maximumTTL else {
            report(
                "the TTL is over \(Self.maximumTTL) seconds, the limit (RFC 2181, section 8); write "
                    + "less, as in 1d", at: word, scanner)
            return nil
        }
        return UInt32(seconds)
    }

    /// The TTL of a record that has none written: `$TTL`, else the last written (RFC 1035, section
    /// 5.1), else the SOA's minimum.
    private mutating func impliedTTL(
        for content: ZoneRecord.Content, at position: SourcePosition
    ) -> UInt32 {
        if let ttl = defaultTTL ?? lastTTL { return ttl }
        if case .data(.soa, let rdata) = content {
            let minimum = rdata.suffix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            lastTTL = UInt32(min(UInt64(minimum), Self.maximumTTL))
            diagnostics.warning(
                at: position, "no TTL; the SOA's minimum is taken, write $TTL before the SOA")
        } else if !hasReportedMissingTTL {
            hasReportedMissingTTL = true
            diagnostics.error(
                at: position, "no TTL for this record and those after it; write $TTL at the top")
        }
        return lastTTL ?? 0
    }
}
