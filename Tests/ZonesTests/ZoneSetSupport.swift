// Zones written in a few lines, and lookups told in a line: what the tests of `ZoneSet` share.

import DNSWire
import Settings
import Testing

@testable import Zones

/// A zone from lines of `owner [TTL] type data…`; owners and names are relative to the apex.
///
/// Much less than a master file: every line has an owner, `;` and quotes mean nothing.
func zone(_ apex: String, _ text: String, soa: Bool = true) throws -> ZoneSource {
    let apexName = try Name(apex)
    let file = apex + "zone"
    var records: [ZoneRecord] = []
    let start = soa ? "@ 3600 SOA ns.invalid. host.invalid. 1 3 2 9 300\n@ NS ns.invalid.\n" : ""
    for (index, line) in (start + text).split(separator: "\n").enumerated() {
        var words = line.split(separator: " ").map(String.init)[...]
        guard let owner = words.popFirst() else { continue }
        var ttl: UInt32 = 3_600
        if let number = words.first.flatMap({ UInt32($0) }) {
            ttl = number
            words.removeFirst()
        }
        guard let mnemonic = words.popFirst() else { continue }
        let content: ZoneRecord.Content
        if mnemonic == "STEER" {
            content = .steer(service: try #require(words.first))
        } else {
            let type = try #require(RecordType(mnemonic: mnemonic))
            let tokens = words.map { RDataToken(Array($0.utf8)[...]) }
            content = .data(
                type,
                try type.rdata(from: tokens[...], origin: apexName, allowingAutomaticHints: true))
        }
        records.append(
            ZoneRecord(
                owner: try Name(owner, origin: apexName), ttl: ttl, content: content,
                position: SourcePosition(file: file, line: index + 1, column: 1)))
    }
    return ZoneSource(apex: apexName, records: records, file: file)
}

/// A set from sources without errors.
func zoneSet(_ sources: ZoneSource...) throws -> ZoneSet {
    var diagnostics = Diagnostics()
    let set = ZoneSet(sources, diagnostics: &diagnostics)
    return try #require(set, "\(diagnostics.sorted)")
}

extension ZoneSet {
    func find(_ name: String, _ type: String) throws -> Lookup {
        let type = try #require(type == "ANY" ? .any : RecordType(mnemonic: type))
        return lookup(try loaded(Name(name)), type: type)
    }

    /// A lookup in words: outcome, then the RRset's owner and type or the service, then the zone.
    func told(_ name: String, _ type: String) throws -> String {
        let name = try Name(name)
        let found = try find(name.description, type)
        var words = ["\(found.outcome)"]
        if found.rrset >= 0 {
            words.append(suffix(of: name, labels: Int(found.ownerLabels)).description)
            words.append(rrset(found.rrset).type.description)
        }
        if found.outcome == .steered { words.append(steerReferences[Int(found.steer)].service) }
        if found.isSynthesised { words.append("synthesised") }
        if found.zone >= 0 {
            words.append("in \(suffix(of: name, labels: Int(found.apexLabels)))")
            #expect(zones[Int(found.zone)].apex == suffix(of: name, labels: Int(found.apexLabels)))
        }
        return words.joined(separator: " ")
    }

    /// The data of an RRset's records in presentation-free form, in the block's order.
    func data(_ index: Int32) -> [[UInt8]] {
        let set = rrset(index)
        var result: [[UInt8]] = []
        var position = set.blockStart
        for _ in 0..<set.recordCount {
            let header = (0..<12).map { octets[position + $0] }
            #expect(header[0..<2] == [0xC0, 0x0C])
            #expect(UInt16(header[2]) << 8 | UInt16(header[3]) == set.type.code)
            #expect(header[4..<6] == [0, 1])
            #expect(header[6..<10].reduce(0) { $0 << 8 | UInt32($1) } == set.ttl)
            let length = Int(header[10]) << 8 | Int(header[11])
            result.append((0..<length).map { octets[position + 12 + $0] })
            position += 12 + length
        }
        #expect(position == set.blockStart + set.blockLength)
        return result
    }
}

func loaded(_ name: Name) -> NameBuffer {
    var buffer = NameBuffer()
    let length = buffer.load(name.wire.span, at: 0)
    #expect(length == name.wire.count)
    return buffer
}

func suffix(of name: Name, labels: Int) -> Name {
    var name = name
    while name.labelCount > labels, let parent = name.parent { name = parent }
    return name
}
