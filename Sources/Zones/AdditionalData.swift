// What goes into the additional section of an answer: the addresses of the names that NS, MX, SRV, SVCB
// and HTTPS records point at, found at load. An answer's RRset says how many there are, and the four
// octets before its block where they begin, so that rows do not grow by it.

import DNSWire

/// One RRset of an answer's additional section.
public struct Additional: BitwiseCopyable, Sendable {
    /// Where the RRset's owner stands in `ZoneSet.octets`: in the data of one of the answer's records.
    public let targetStart: UInt32
    /// The owner's octets; 0 for the answer's own owner.
    public let targetLength: UInt8
    public let rrset: Int32
}

extension RecordType {
    /// Where in a record's data the name begins whose addresses a client wants next; nil for types
    /// without (RFC 1035, sections 3.3.9 and 3.3.11; RFC 2782; RFC 9460, section 4.1).
    var targetOffset: Int? {
        switch self {
        case .ns: 0
        case .mx, .svcb, .https: 2
        case .srv: 6
        default: nil
        }
    }
}

/// Adds the additional data to the tables of a zone set whose nodes are complete.
struct AdditionalDataBuilder {
    /// RRsets that go with one answer: the addresses of 13 name servers, which fit the smallest
    /// priming answer, and a few more. Large sets must not make large answers (CVE-2024-11187).
    static let maximumRRsets = 32
    /// Octets before a block that say where its additional data begins.
    static let prefixLength = 4

    let names: NameIndex
    /// For each name its final node, or -1.
    let finalNode: [Int32]

    func add(to tables: inout ZoneSetBuilder.Tables) {
        for node in tables.nodes where !node.flags.contains(.cut) {
            for index in node.firstSet..<node.firstSet + Int32(node.setCount) {
                guard let offset = tables.sets[Int(index)].type.targetOffset else { continue }
                let rows = rows(for: index, at: node, offset, tables)
                guard !rows.isEmpty else { continue }
                let start = Int(tables.sets[Int(index)].start)
                let first = UInt32(tables.additional.count)
                for octet in 0..<Self.prefixLength {
                    tables.arena[start - Self.prefixLength + octet] = UInt8(
                        truncatingIfNeeded: first >> UInt32(24 - 8 * octet))
                }
                tables.sets[Int(index)].additionalCount = UInt8(rows.count)
                tables.additional += rows
            }
        }
    }

    /// The RRsets that go with one answer, each once.
    private func rows(
        for index: Int32, at owner: Node, _ offset: Int, _ tables: ZoneSetBuilder.Tables
    ) -> [Additional] {
        let set = tables.sets[Int(index)]
        let isBinding = set.type == .svcb || set.type == .https
        var rows: [Additional] = []
        var target: [UInt8] = []
        var position = set.blockStart
        while position < set.blockStart + set.blockLength {
            let data = position + ZoneTree.recordHeader
            let length = Int(tables.arena[data - 2]) << 8 | Int(tables.arena[data - 1])
            position = data + length
            let start = data + offset
            load(&target, from: start, tables)
            let isAlias =
                isBinding && tables.arena[data] == 0 && tables.arena[data + 1] == 0
            // "." as a service's target is the owner; as an alias's or elsewhere it is nothing.
            let isOwner = isBinding && !isAlias && target.count == 1
            guard isOwner || target.count > 1,
                let node = isOwner ? owner : self.node(answeringFor: target, tables).flatMap(usable)
            else { continue }
            // What a service's alias leads to is its binding there, then the addresses.
            for type in isAlias ? [set.type, .a, .aaaa] : [.a, .aaaa] {
                guard let rrset = rrset(type, of: node, tables), rrset != index,
                    !rows.contains(where: { $0.rrset == rrset })
                else { continue }
                guard rows.count < Self.maximumRRsets else { return rows }
                rows.append(
                    Additional(
                        targetStart: UInt32(start),
                        targetLength: isOwner ? 0 : UInt8(target.count), rrset: rrset))
            }
        }
        return rows
    }

    /// Copies the name that begins at a place of the arena, in small letters.
    private func load(
        _ target: inout [UInt8], from start: Int, _ tables: ZoneSetBuilder.Tables
    ) {
        var end = start
        while tables.arena[end] != 0 { end += Int(tables.arena[end]) + 1 }
        target.removeAll(keepingCapacity: true)
        for place in start...end { target.append(asciiLowercased(tables.arena[place])) }
    }

    /// The node whose data answers for a name in small letters: its own, or that of the wildcard that
    /// covers it; nil if there is none.
    ///
    /// Walks as `ZoneSet.lookup` does.
    func node(answeringFor target: [UInt8], _ tables: ZoneSetBuilder.Tables) -> Node? {
        if let node = final(target, from: 0, tables), !node.flags.contains(.pathOnly) {
            return node
        }
        var start = 0
        while target[start] != 0 {
            start += Int(target[start]) + 1
            guard var node = final(target, from: start, tables) else { continue }
            if node.flags.contains(.pathOnly) {
                guard node.link >= 0 else { return nil }
                node = tables.nodes[Int(node.link)]
            }
            guard node.flags.isDisjoint(with: [.cut, .dname]), node.wildcard >= 0 else {
                return nil
            }
            return tables.nodes[Int(node.wildcard)]
        }
        return nil
    }

    /// The final node of what follows the labels before `start`.
    private func final(
        _ target: [UInt8], from start: Int, _ tables: ZoneSetBuilder.Tables
    ) -> Node? {
        guard let number = names.number(of: target, from: start), finalNode[Int(number)] >= 0
        else { return nil }
        return tables.nodes[Int(finalNode[Int(number)])]
    }

    /// The node, unless its data is not authoritative or depends on the client.
    private func usable(_ node: Node) -> Node? {
        node.zone >= 0 && node.flags.isDisjoint(with: [.cut, .steered]) ? node : nil
    }

    private func rrset(
        _ type: RecordType, of node: Node, _ tables: ZoneSetBuilder.Tables
    ) -> Int32? {
        (node.firstSet..<node.firstSet + Int32(node.setCount)).first {
            let set = tables.sets[Int($0)]
            return set.type == type && set.layout != .automaticHints
        }
    }
}
