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
    /// Types at one name: they are looked through one by one. The limit that BIND has since
    /// CVE-2024-1737.
    static let maximumTypes = 100
    /// Octets of one RRset's block: with the header, the longest question and an OPT of 512 octets
    /// it has to fit into the 65,535 octets of a message over TCP, no name in it compressed. This
    /// bounds the number of its records as well: a block is copied whole, whatever it holds.
    static let maximumBlock = 65_535 - 12 - 259 - 512
    /// Octets of a record before its data: owner pointer, type, class, TTL, data length.
    static let recordHeader = 12

    let source: ZoneSource
    let apex: Int32
    /// In the order of their names' numbers.
    var nodes: [TreeNode] = []
    var sets: [SetDraft] = []
    /// Indexes of the source's records, grouped by name and type, duplicates left out.
    var order: [Int32] = []
    /// The names that NS records point at, if there are cuts or DNAMEs.
    var nameServers: Set<Int32> = []
    /// Nodes that have DS but no NS.
    private var nodesWithDSAlone: [Int] = []
    /// Whether all records of the file are here; faulty ones are left out.
    private(set) var isComplete: Bool

    init(_ source: ZoneSource, _ names: inout NameIndex, _ diagnostics: inout Diagnostics) {
        self.source = source
        isComplete = source.isComplete
        apex = names.intern(source.apex)
        let entries = sortedEntries(&names, &diagnostics)
        order.reserveCapacity(entries.count)
        nodes.reserveCapacity(source.records.ownerCount)
        sets.reserveCapacity(source.records.ownerCount)
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
        for index in nodesWithDSAlone { checkDS(nodes[index], &diagnostics) }
        warnAboutRepeatedApex(names, &diagnostics)
        addEmptyNonTerminals(names, &diagnostics)
    }

    /// A record's place in the order of the tree; STEER sorts as type 0.
    struct Entry {
        let name: Int32
        let type: UInt16
        let record: Int32
    }

    /// Numbers the owners of all records in the zone and sorts the records by name and type.
    private mutating func sortedEntries(
        _ names: inout NameIndex, _ diagnostics: inout Diagnostics
    ) -> [Entry] {
        var entries: [Entry] = []
        entries.reserveCapacity(source.records.count)
        for (index, row) in source.records.rows.enumerated() {
            guard !names.isFull else {
                diagnostics.error(
                    at: source.records.position(at: index),
                    "the names of all zones take too much room from here on; serve fewer names")
                break
            }
            let name = names.intern(source.records.octets, row.ownerRange)
            guard names.isSubdomain(name, of: apex) else {
                isComplete = false
                let record = record(Int32(index))
                diagnostics.error(
                    at: record.position,
                    "\(record.owner) is outside the zone \(source.apex) (RFC 1035, section 5.2); "
                        + "move it to its own zone, or check $ORIGIN and the final dot")
                continue
            }
            entries.append(Entry(name: name, type: row.type, record: Int32(index)))
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
        var typeCount = 0
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
                typeCount += 1
                if typeCount == Self.maximumTypes + 1 {
                    reportTypes(entries[position].record, &diagnostics)
                    isComplete = false
                }
                if typeCount <= Self.maximumTypes {
                    addSet(entries[position..<end], at: node, &diagnostics)
                }
            }
            position = end
        }
        node.sets = node.sets.lowerBound..<Int32(sets.count)
        var hasDS = false
        var hasAddress = node.steer >= 0
        for set in setDrafts(of: node) {
            switch set.type {
            case .a, .aaaa: hasAddress = true
            case .ns where name != apex && !names.isWildcard(name): node.flags.insert(.cut)
            case .cname: node.flags.insert(.cname)
            case .dname: node.flags.insert(.dname)
            case .ds: hasDS = true
            default: break
            }
        }
        if hasAddress { checkHostName(node, names, &diagnostics) }
        if hasDS, set(.ns, of: node) == nil { nodesWithDSAlone.append(nodes.count) }
        checkCompany(of: node, names, &diagnostics)
        nodes.append(node)
    }

    /// Adds one RRset, each of its records once, all with the lowest TTL of them.
    private mutating func addSet(
        _ entries: ArraySlice<Entry>, at node: TreeNode, _ diagnostics: inout Diagnostics
    ) {
        guard let first = entries.first else { return }
        let type = RecordType(first.type)
        guard isPossible(type, at: node, first: first.record, &diagnostics) else {
            isComplete = false
            return
        }
        let start = order.count
        var firstPlaces: [[UInt8]: Int32] = [:]
        let firstTTL = source.records.rows[Int(first.record)].ttl
        var ttl = firstTTL
        var hasToldTTL = type == .rrsig
        var length = 0
        for entry in entries {
            guard let data = checkedData(of: entry.record, type, &diagnostics) else {
                isComplete = false
                continue
            }
            if entries.count > 1,
                let same = firstPlaces.updateValue(entry.record, forKey: comparable(data, type))
            {
                reportDuplicate(entry.record, of: same, type, &diagnostics)
                continue
            }
            let recordTTL = source.records.rows[Int(entry.record)].ttl
            if recordTTL != firstTTL, !hasToldTTL {
                hasToldTTL = true
                reportTTL(entry.record, first.record, type, &diagnostics)
            }
            ttl = min(ttl, recordTTL)
            length += Self.recordHeader + data.count
            if type.hasAutomaticHints(in: data) { length += AddressHints.maximumOctets }
            order.append(entry.record)
        }
        if length > Self.maximumBlock {
            let record = record(first.record)
            diagnostics.error(
                at: record.position,
                "the \(type) records of \(record.owner) take \(length) octets, more than the "
                    + "\(Self.maximumBlock) that fit into a message; remove some")
            order.removeLast(order.count - start)
            isComplete = false
        }
        guard start < order.count else { return }
        sets.append(SetDraft(type: type, ttl: ttl, records: Int32(start)..<Int32(order.count)))
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
    func data(_ place: Int32) -> ArraySlice<UInt8> {
        source.records.data(at: Int(order[Int(place)]))
    }

    var hasSOA: Bool { node(of: apex).flatMap { set(.soa, of: $0) } != nil }

    func node(of name: Int32) -> TreeNode? {
        var (start, end) = (0, nodes.count)
        while start < end {
            let middle = (start + end) / 2
            if nodes[middle].name < name { start = middle + 1 } else { end = middle }
        }
        return start < nodes.count && nodes[start].name == name ? nodes[start] : nil
    }
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
        nameServers = nameServerTargets(names)
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

    /// The names that the zone mentions and its NS records point at.
    private func nameServerTargets(_ names: NameIndex) -> Set<Int32> {
        var targets: Set<Int32> = []
        for set in sets where set.type == .ns {
            for place in set.records {
                if let name = Name(wire: data(place)), let number = names.number(of: name) {
                    targets.insert(number)
                }
            }
        }
        return targets
    }

    /// Adds a node without records for every name between the apex and one that has records: it
    /// exists, with nothing at it (RFC 4592, section 2.2.2).
    private mutating func addEmptyNonTerminals(
        _ names: NameIndex, _ diagnostics: inout Diagnostics
    ) {
        var added: Set<Int32> = []
        // Most names have the parent of the one before.
        var last = apex
        for node in nodes where !node.isOccluded {
            var name = node.name
            while name != apex {
                name = names.parents[Int(name)]
                guard name >= 0 else { break }
                if names.isWildcard(name), name != apex {
                    warnAboutInnerAsterisk(node, &diagnostics)
                }
                guard name != last else { break }
                last = name
                guard self.node(of: name) == nil, added.insert(name).inserted else { break }
            }
        }
        guard !added.isEmpty else { return }
        let end = Int32(sets.count)
        nodes += added.map { TreeNode(name: $0, sets: end..<end) }
        nodes.sort { $0.name < $1.name }
    }
}
