// The control entries of a master file: $ORIGIN, $TTL and $INCLUDE. ($GENERATE has its own file.)

internal import DNSWire
internal import Settings

extension MasterFileReader {
    mutating func readDirective(
        _ scanner: borrowing MasterFileScanner,
        include: IncludedFileReader
    ) {
        let word = scanner.words[0].octets
        switch String(decoding: word.prefix(16), as: UTF8.self).uppercased() {
        case "$ORIGIN": readOrigin(scanner)
        case "$TTL": readDefaultTTL(scanner)
        case "$INCLUDE": readInclude(scanner, include: include)
        case "$GENERATE": readGenerate(scanner)
        default:
            let word = Self.shown(word)
            let near = closestMatch(to: word, among: ["$ORIGIN", "$TTL", "$INCLUDE", "$GENERATE"])
            report(
                "unknown directive \"\(word)\"; "
                    + (near.map { "did you mean \($0)?" }
                        ?? "write \\$ if it is a name that starts with a dollar"),
                at: 0, scanner)
        }
    }

    /// Whether the entry has as many words as it may; reported if not.
    private mutating func hasWords(
        _ counts: ClosedRange<Int>, _ usage: String, _ scanner: borrowing MasterFileScanner
    ) -> Bool {
        if counts.contains(scanner.words.count) { return true }
        report("write \"\(usage)\"", at: min(scanner.words.count, counts.upperBound), scanner)
        return false
    }

    /// `$ORIGIN name` (RFC 1035, section 5.1).
    private mutating func readOrigin(_ scanner: borrowing MasterFileScanner) {
        guard hasWords(2...2, "$ORIGIN name", scanner), let name = readName(scanner, at: 1) else {
            return
        }
        setOrigin(name)
    }

    private mutating func setOrigin(_ name: Name) {
        origin = name
        // The same text would now be another name.
        ownerText = nil
    }

    private mutating func readName(
        _ scanner: borrowing MasterFileScanner, at index: Int
    ) -> Name? {
        do throws(NameError) {
            return try Name(octets: scanner.words[index].octets, origin: origin)
        } catch {
            report("not a domain name: \(error.explanation)", at: index, scanner)
            return nil
        }
    }

    /// `$TTL seconds` (RFC 2308, section 4).
    private mutating func readDefaultTTL(_ scanner: borrowing MasterFileScanner) {
        guard hasWords(2...2, "$TTL seconds", scanner) else { return }
        guard let seconds = parseSeconds(scanner.words[1].octets) else {
            report("not a time; write seconds, or units as in \"1h30m\"", at: 1, scanner)
            return
        }
        if let ttl = checkedTTL(seconds, at: 1, scanner) { defaultTTL = ttl }
    }

    /// `$INCLUDE file [origin]`: the file's $ORIGIN and last owner end with it (RFC 1035, 5.1), its $TTL
    /// goes on (RFC 2308, section 4). Any file that Rhumb may read can be included: zone files are the
    /// operator's own, as rhumb.yaml is.
    private mutating func readInclude(
        _ scanner: borrowing MasterFileScanner,
        include: IncludedFileReader
    ) {
        guard hasWords(2...3, "$INCLUDE file [origin]", scanner) else { return }
        var includedOrigin = origin
        if scanner.words.count == 3 {
            guard let name = readName(scanner, at: 2) else { return }
            includedOrigin = name
        }
        let written = String(decoding: scanner.words[1].octets, as: UTF8.self)
        let path = Self.path(of: written, includedFrom: scanner.file)
        if openFiles.contains(path) {
            report("\(path) includes itself; remove this $INCLUDE", at: 1, scanner)
            return
        }
        guard openFiles.count <= Self.maximumDepth, includeCount < Self.maximumIncludes else {
            report(
                "too many files included: at most \(Self.maximumIncludes), and "
                    + "\(Self.maximumDepth) deep; do they include each other by other paths?",
                at: 1,
                scanner)
            return
        }
        includeCount += 1
        do throws(FileError) {
            let octets = try include(path, max(0, maximumZoneFileLength - octetCount))
            let saved = (origin, owner, ownerText, hasBadOwner)
            setOrigin(includedOrigin)
            read(octets, file: path, include: include)
            (origin, owner, ownerText, hasBadOwner) = saved
        } catch {
            report(
                "cannot read \(path): \(error.explanation); a relative path starts at the folder of "
                    + "the file that it stands in", at: 1, scanner)
        }
    }

    /// A path as it is if absolute, else from the folder of the file that names it.
    static func path(of written: String, includedFrom file: String) -> String {
        guard !written.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return written }
        return file[...slash] + written
    }
}
