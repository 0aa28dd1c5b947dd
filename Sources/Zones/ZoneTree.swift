// One zone's records, grouped by name and type: which names the zone has, which are cuts, aliases or
// steered, and what lies out of sight below a cut. The rules about records that stand together are
// in ZoneRules.swift; ZoneSetBuilder.swift joins the trees of all zones.

import DNSWire
import Settings

/// The records of one type at one name, before they are packed.
struct SetDraft {
    let type: RecordType
    var ttl: UInt32
    /// Which of `ZoneTree.order`.
    var records: Range<Int32>
    /// The row in the compiled set, once there is one.
    var row: Int32 = -1
}

/// What one zone has at one name.
struct TreeNode {
    let name: Int32
    var flags: Node.Flags = []
    /// Which of `ZoneTree.sets`, sorted by type.
    var sets: Range<Int32>
    /// The record that is the name's STEER, or -1.
    var steer: Int32 = -1
    /// Whether a cut hides it: at most glue.
    var isOccluded = false
}

/// One zone's names and RRsets.
struct ZoneTree {
    /// Types at one name: they are looked through one by one. The limit that BIND has, too.
    static let maximumTypes = 100
    /// Octets of one RRset's block: with the header, the longest question and an OPT of 512 octets
    /// it has to fit into the 65,535 octets of a message over TCP.
    static let maximumBlock = 65_535 - 12 - 259 - 512
    /// Octets of a record before its data: owner pointer, type, class, TTL, data length.
    static let recordHeader = 12

    let source: ZoneSource
    let apex: Int32
    var nodes: [TreeNode] = []
    var sets: [SetDraft] = []
    /// Indexes of the source's records, grouped by name and type, duplicates left out.
    var order: [Int32] = []
    /// The node of each name that the zone has.
    var nodeOfName: [Int32: Int32] = [:]

    init(_ source: ZoneSource, _ names: inout NameIndex, _ diagnostics: inout Diagnostics) {
        self.source = source
        apex = names.intern(source.apex)
        let entries = sortedEntries(&names, &diagnostics)
        var position = 0
        while position < entries.count {
            let first = position
            while position < entries.count, entries[position].name == entries[first].name {
                position += 1
            }
            addNode(entries[first..<position], names, &diagnostics)
        }
        checkApex(names, &diagnostics)
        occlude(names, &diagnostics)
        addEmptyNonTerminals(names)
    }

    /// A record's place in the order of the tree; STEER sorts as type 0.
    struct Entry {
        let name: Int32
        let type: UInt16
        let record: Int32
    }

    /// Numbers the owners of all records in the zone and sorts the records by name and type.
    private func sortedEntries(
        _ names: inout NameIndex, _ diagnostics: inout Diagnostics
    ) -> [Entry] {
        var entries: [Entry] = []
        entries.reserveCapacity(source.records.count)
        for (index, record) in source.records.enumerated() {
            guard record.owner.isSubdomain(of: source.apex) else {
                diagnostics.error(
                    at: record.position,
                    "\(record.owner) is outside the zone \(source.apex); "
                        + "move it to its own zone, or check $ORIGIN and the final dot")
                continue
            }
            guard !names.isFull else {
                diagnostics.error(
                    at: record.position,
                    "the names of all zones take too much room from here on; serve fewer names")
                break
            }
            var type: UInt16 = 0
            if case .data(let data, _) = record.content { type = data.code }
            entries.append(
                Entry(name: names.intern(record.owner), type: type, record: Int32(index)))
        }
        entries.sort { ($0.name, $0.type, $0.record) < ($1.name, $1.type, $1.record) }
        return entries
    }

    /// Adds what stands at one name.
    private mutating func addNode(
        _ entries: ArraySlice<Entry>, _ names: NameIndex, _ diagnostics: inout Diagnostics
    ) {
        guard let name = entries.first?.name else { return }
        var node = TreeNode(name: name, sets: Int32(sets.count)..<Int32(sets.count))
        if name == apex { node.flags.insert(.apex) }
        var position = entries.startIndex
        while position < entries.endIndex {
            let type = entries[position].type
            var end = position
            while end < entries.endIndex, entries[end].type == type { end += 1 }
            if type == 0 {
                node.steer = entries[position].record
                node.flags.insert(.steered)
                checkSteers(entries[position..<end], &diagnostics)
            } else {
                addSet(entries[position..<end], at: node, &diagnostics)
            }
            position = end
        }
        node.sets = node.sets.lowerBound..<Int32(sets.count)
        for set in setDrafts(of: node) {
            switch set.type {
            case .ns where name != apex && !names.isWildcard(name): node.flags.insert(.cut)
            case .cname: node.flags.insert(.cname)
            case .dname: node.flags.insert(.dname)
            default: break
            }
        }
        checkCompany(of: node, names, &diagnostics)
        nodeOfName[name] = Int32(nodes.count)
        nodes.append(node)
    }

    /// Adds one RRset, each of its records once, all with the lowest TTL of them.
    private mutating func addSet(
        _ entries: ArraySlice<Entry>, at node: TreeNode, _ diagnostics: inout Diagnostics
    ) {
        guard let first = entries.first else { return }
        let type = RecordType(first.type)
        guard isPossible(type, at: node, first: first.record, &diagnostics) else { return }
        let start = Int32(order.count)
        var seen: Set<[UInt8]> = []
        var ttl = record(first.record).ttl
        var length = 0
        for entry in entries {
            let record = record(entry.record)
            guard let data = checkedData(of: record, &diagnostics) else { continue }
            if entries.count > 1, !seen.insert(comparable(data, type)).inserted {
                diagnostics.warning(
                    at: record.position, "this \(type) record is here twice; remove one of them")
                continue
            }
            if record.ttl != ttl, type != .rrsig {
                diagnostics.warning(
                    at: record.position,
                    "the \(type) records of \(record.owner) have TTL \(record.ttl) and \(ttl); "
                        + "they share one, so give them the same (RFC 2181, section 5.2): "
                        + "the lower one is used")
            }
            ttl = min(ttl, record.ttl)
            length += Self.recordHeader + data.count
            order.append(entry.record)
        }
        if length > Self.maximumBlock {
            diagnostics.error(
                at: record(first.record).position,
                "the \(type) records of \(record(first.record).owner) take \(length) octets, more "
                    + "than the \(Self.maximumBlock) that fit into a message; remove some")
        }
        guard start < order.count else { return }
        sets.append(SetDraft(type: type, ttl: ttl, records: start..<Int32(order.count)))
    }

    func record(_ index: Int32) -> ZoneRecord { source.records[Int(index)] }

    func setDrafts(of node: TreeNode) -> ArraySlice<SetDraft> {
        sets[Int(node.sets.lowerBound)..<Int(node.sets.upperBound)]
    }

    /// Which of `sets` is a node's RRset of a type; nil if it has none.
    func set(_ type: RecordType, of node: TreeNode) -> Int? {
        (Int(node.sets.lowerBound)..<Int(node.sets.upperBound)).first { sets[$0].type == type }
    }

    /// Wire data of the record at a place of `order`.
    func data(_ place: Int32) -> [UInt8] {
        guard case .data(_, let data) = record(order[Int(place)]).content else { return [] }
        return data
    }

    func node(of name: Int32) -> TreeNode? { nodeOfName[name].map { nodes[Int($0)] } }
}

// MARK: - Cuts and empty non-terminals

extension ZoneTree {
    /// The topmost cut or DNAME above a name inside the zone, or nil.
    func occluder(of name: Int32, _ names: NameIndex) -> TreeNode? {
        var topmost: TreeNode?
        var ancestor = name
        while ancestor != apex {
            ancestor = names.parents[Int(ancestor)]
            guard ancestor >= 0 else { break }
            if let node = node(of: ancestor), !node.flags.isDisjoint(with: [.cut, .dname]) {
                topmost = node
            }
        }
        return topmost
    }

    /// Marks what lies below a cut and reports what can't be seen there.
    private mutating func occlude(_ names: NameIndex, _ diagnostics: inout Diagnostics) {
        let hides = nodes.contains { !$0.flags.isDisjoint(with: [.cut, .dname]) }
        guard hides else { return }
        for index in nodes.indices where nodes[index].name != apex {
            let node = nodes[index]
            if let occluder = occluder(of: node.name, names) {
                nodes[index].isOccluded = true
                if occluder.flags.contains(.cut) {
                    reportBelowCut(node, cut: names.name(occluder.name), &diagnostics)
                } else {
                    reportBelowDNAME(node, dname: names.name(occluder.name), &diagnostics)
                }
            } else if node.flags.contains(.cut) {
                reportBelowCut(node, cut: names.name(node.name), &diagnostics)
            }
        }
    }

    /// Adds a node without records for every name between the apex and one that has records: it
    /// exists, with nothing at it (RFC 4592, section 2.2.2).
    private mutating func addEmptyNonTerminals(_ names: NameIndex) {
        let end = Int32(sets.count)
        for index in nodes.indices where !nodes[index].isOccluded {
            var name = nodes[index].name
            while name != apex {
                name = names.parents[Int(name)]
                guard name >= 0, nodeOfName[name] == nil else { break }
                nodeOfName[name] = Int32(nodes.count)
                nodes.append(TreeNode(name: name, sets: end..<end))
            }
        }
    }
}
