// Master files: the input is the file; what follows a line `%%` is included by `$INCLUDE 1`, and so on.

import DNSWire
import Settings
import Zones

extension FuzzTarget {
    static let zone = FuzzTarget(name: "zone", maximumLength: 4_096) {
        { octets in
            guard !generatesMany(octets) else { return nil }
            let parts = splitFiles(octets)
            var diagnostics = Diagnostics()
            let source = readMasterFile(
                parts[0], file: "example.zone", apex: apex,
                include: { (path: String) throws(FileError) in
                    guard let index = Int(path), parts.indices.contains(index) else {
                        throw FileError(explanation: "no such file")
                    }
                    return parts[index]
                }, diagnostics: &diagnostics)
            if let fault = rereadFault(source) { return fault }
            // Faulty zones are compiled as well, but not used.
            let zones = ZoneSet([source], diagnostics: &diagnostics)
            guard !diagnostics.hasErrors else { return nil }
            guard let zones else { return "no zone, and no error either" }
            return lookupFault(source, zones)
        }
    }
}

private let apex = Name(uncheckedWire: [7] + Array("example".utf8) + [0])

/// Whether `$GENERATE` may make more than some thousand records: bounded, but slow to fuzz.
private func generatesMany(_ octets: [UInt8]) -> Bool {
    let directives = octets.split(separator: 10).filter {
        $0.prefix(9).map(asciiLowercased).elementsEqual("$generate".utf8)
    }
    return directives.count > 8 || directives.contains(where: hasLongNumber)
}

/// Whether there are more than three digits in a row.
private func hasLongNumber(_ line: ArraySlice<UInt8>) -> Bool {
    var digits = 0
    for octet in line {
        digits = octet &- 0x30 < 10 ? digits + 1 : 0
        if digits > 3 { return true }
    }
    return false
}

private func splitFiles(_ octets: [UInt8]) -> [[UInt8]] {
    var parts: [[UInt8]] = [[]]
    for line in octets.split(separator: 10, omittingEmptySubsequences: false) {
        if line.elementsEqual("%%".utf8) {
            parts.append([])
        } else {
            parts[parts.count - 1] += line + [10]
        }
    }
    return parts
}

/// What `rhumb check --print` writes is read back as the same records.
private func rereadFault(_ source: ZoneSource) -> String? {
    let text = source.canonicalText
    var diagnostics = Diagnostics()
    let again = readMasterFile(
        Array(text.utf8), file: "written", apex: source.apex,
        include: { _ throws(FileError) in throw FileError(explanation: "none") },
        diagnostics: &diagnostics)
    guard !diagnostics.hasErrors else {
        return "what was written is not read: \(diagnostics.all.first?.description ?? "")"
    }
    guard again.canonicalText == text else { return "written again it is another text" }
    let written = Set(again.records.map { KnownRecord($0, isFolded: false) })
    guard written.isSubset(of: source.records.map { KnownRecord($0, isFolded: false) }) else {
        return "a record is read back as another"
    }
    // Of records that differ in the case of a name in their data, one is written.
    guard
        Set(again.records.map { KnownRecord($0, isFolded: true) })
            == Set(source.records.map { KnownRecord($0, isFolded: true) })
    else { return "a record is not written" }
    return nil
}

/// A record without its place and TTL.
private struct KnownRecord: Hashable {
    var owner: Name
    var content: ZoneRecord.Content

    /// - Parameter isFolded: whether letters in the data are made small, whatever they are there.
    init(_ record: ZoneRecord, isFolded: Bool) {
        owner = record.owner
        content = record.content
        if isFolded, case .data(let type, let rdata) = content {
            content = .data(type, rdata.map(asciiLowercased))
        }
    }
}

/// Every owner in the zone exists in what was built of it.
private func lookupFault(_ source: ZoneSource, _ zones: ZoneSet) -> String? {
    var buffer = NameBuffer()
    for record in source.records.prefix(1_000) {
        guard buffer.load(record.owner.wire.span, at: 0) != nil else {
            return "\(record.owner) is no name"
        }
        for type in [RecordType.a, .ns, .any, .ds] {
            let lookup = zones.lookup(buffer, type: type)
            guard lookup.outcome != .nxdomain, lookup.outcome != .notAuthoritative else {
                return "\(record.owner) \(type): \(lookup.outcome)"
            }
            if lookup.rrset >= 0 {
                let rrset = zones.rrset(lookup.rrset)
                guard rrset.blockStart + rrset.blockLength <= zones.octets.count else {
                    return "an RRset outside of the zones' octets"
                }
            }
        }
    }
    return nil
}
