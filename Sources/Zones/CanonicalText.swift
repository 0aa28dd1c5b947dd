// A zone as text in canonical form: what `rhumb check --print` writes. One record a line, as
// `owner TTL IN type data` with tabs between them and names absolute; the SOA first, then by owner, type
// and data (RFC 4034, section 6), each record once. Reading it gives the same zone.

internal import DNSWire

extension ZoneSource {
    /// Hands the lines to `write`, each with its line end, in pieces of some 64 KiB.
    ///
    /// STEER comes behind all other types of its owner. Records of one owner and type all get the TTL
    /// that is answered, the lowest of theirs.
    public func writeCanonically(to write: (_ text: [UInt8]) -> Void) {
        let pieceLength = 64 << 10
        var text: [UInt8] = []
        text.reserveCapacity(pieceLength + 4096)
        let entries = canonicalEntries()
        var start = 0
        while start < entries.count {
            let end =
                entries[start...].firstIndex { !$0.isSameSet(as: entries[start]) } ?? entries.count
            let set = entries[start..<end]
            let ttl = set.reduce(UInt32.max) { min($0, records.rows[$1.record].ttl) }
            for index in set.indices
            where index == set.startIndex || entries[index] != entries[index - 1] {
                let record = records[entries[index].record]
                // Each signature has the TTL of the set it covers (RFC 4034, section 3).
                let isSignature = entries[index].type == UInt32(RecordType.rrsig.code)
                text += record.text(ttl: isSignature ? record.ttl : ttl).utf8
                text.append(UInt8(ascii: "\n"))
            }
            start = end
            if text.count >= pieceLength {
                write(text)
                text.removeAll(keepingCapacity: true)
            }
        }
        if !text.isEmpty { write(text) }
    }

    /// The whole text, for zones known to be small.
    public var canonicalText: String {
        var text: [UInt8] = []
        writeCanonically { text += $0 }
        return String(decoding: text, as: UTF8.self)
    }

    private func canonicalEntries() -> [CanonicalEntry] {
        records.indices.map { CanonicalEntry(records[$0], at: $0, apex: apex) }.sorted()
    }
}

/// What a record is sorted by.
private struct CanonicalEntry: Comparable {
    /// Labels from the right, each ended by a zero octet that is less than all others: its octet order is
    /// that of RFC 4034, section 6.1. Empty for the SOA of the apex.
    var ownerKey: [UInt8]
    /// The type's number; past all of them for STEER.
    var type: UInt32
    /// Octets in canonical form, names in small letters (RFC 4034, section 6.2).
    var data: [UInt8]
    var record: Int

    init(_ record: ZoneRecord, at index: Int, apex: Name) {
        self.record = index
        switch record.content {
        case .data(let type, let octets):
            self.type = UInt32(type.code)
            data = octets
            for (offset, length) in type.embeddedNames(in: octets[...]) {
                for place in offset..<offset + length { data[place] = asciiLowercased(data[place]) }
            }
            ownerKey =
                type == .soa && record.owner == apex ? [] : Self.key(of: record.owner)
        case .steer(let service):
            type = UInt32(UInt16.max) + 1
            data = Array(service.utf8)
            ownerKey = Self.key(of: record.owner)
        }
    }

    private static func key(of owner: Name) -> [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(owner.wire.count + 8)
        for label in owner.labels.reversed() {
            for octet in label {
                // The two least octets make room for the one that ends a label.
                if octet <= 1 { key += [1, octet] } else { key.append(octet) }
            }
            key.append(0)
        }
        return key.isEmpty ? [0] : key
    }

    func isSameSet(as other: Self) -> Bool { type == other.type && ownerKey == other.ownerKey }

    static func == (a: Self, b: Self) -> Bool { a.isSameSet(as: b) && a.data == b.data }

    static func < (a: Self, b: Self) -> Bool {
        if a.ownerKey != b.ownerKey { return a.ownerKey.lexicographicallyPrecedes(b.ownerKey) }
        if a.type != b.type { return a.type < b.type }
        return a.data.lexicographicallyPrecedes(b.data)
    }
}

extension ZoneRecord {
    fileprivate func text(ttl: UInt32) -> String {
        switch content {
        case .data(let type, let octets):
            "\(owner)\t\(ttl)\tIN\t\(type)\t\(type.presentation(of: octets[...]))"
        case .steer(let service): "\(owner)\t\(ttl)\tIN\tSTEER\t\(service)"
        }
    }
}
