// Joins the trees of all zones into the tables of a `ZoneSet`: which zone each name belongs to, which
// names are seen, the links between nodes, and the packed records. Runs at load only.

import DNSWire
import Settings

struct ZoneSetBuilder {
    /// What a `ZoneSet` is made of.
    struct Tables {
        var slots: [Slot] = []
        var nodes: [Node] = []
        var sets: [RRset] = []
        var zoneRows: [ZoneRow] = []
        var glue: [Glue] = []
        var additional: [Additional] = []
        var arena: [UInt8] = []
        var zones: [ZoneSummary] = []
        var steerReferences: [SteerReference] = []
        /// The apexes of zones of which records were left out: what they don't have may be among those.
        var faultyApexes: [Name] = []
    }

    /// Octets of names and records together: what a row can say.
    static let maximumArena = Int(Int32.max)

    private(set) var names: NameIndex
    let trees: [ZoneTree]
    var tables = Tables()
    /// The zone that each name belongs to: that of the nearest apex above it; -1 for none.
    private(set) var zoneOfName: [Int32]
    /// Whether each name is one that its zone sees.
    private var isSeen: [Bool]
    /// For each name its final node, or -1.
    private var finalNode: [Int32]
    /// For each zone the rows of its tree's sets; -1 for those that are not packed.
    private(set) var setRows: [[Int32]]
    private var nodeCount: Int32 = 0
    /// The parent zone's final node for the apex of each zone, or -1.
    private var parentSide: [Int32]
    private var steerIndexes: [String: Int32] = [:]

    /// Returns the tables; nil if there can be none.
    ///
    /// Zones with errors are compiled as far as they go, so that their errors hide no finding of
    /// others: the tables are to be used only if no error was reported.
    static func build(
        _ sources: [ZoneSource], names: consuming NameIndex = NameIndex(),
        _ diagnostics: inout Diagnostics
    ) -> Tables? {
        guard let trees = plant(sources, &names, &diagnostics) else { return nil }
        let octets = trees.reduce(names.octets.count) { sum, tree in
            tree.order.indices.reduce(sum) {
                $0 + ZoneTree.recordHeader + tree.data(Int32($1)).count
            }
        }
        guard octets <= maximumArena else {
            diagnostics.error(
                at: SourcePosition(file: sources.first?.file ?? ""),
                "the zones take \(octets) octets together; the limit is \(maximumArena)")
            return nil
        }
        // Without an SOA there is no zone to speak of.
        var builder = ZoneSetBuilder(names, trees.filter(\.hasSOA))
        builder.tables.faultyApexes = trees.filter { !$0.isComplete || !$0.hasSOA }.map(
            \.source.apex)
        builder.assignZones()
        builder.assignNodes()
        builder.checkFamilies(&diagnostics)
        builder.tables.arena.reserveCapacity(octets)
        builder.tables.sets.reserveCapacity(trees.reduce(0) { $0 + $1.sets.count + 1 })
        builder.addNodes()
        builder.addSlots()
        builder.addZones()
        builder.addGlue(&diagnostics)
        let targets = AdditionalDataBuilder(names: builder.names, finalNode: builder.finalNode)
        builder.linkHints(targets, &diagnostics)
        targets.add(to: &builder.tables)
        return builder.tables
    }

    /// Sorts the records of every source into its tree; nil if they are too many.
    private static func plant(
        _ sources: [ZoneSource], _ names: inout NameIndex, _ diagnostics: inout Diagnostics
    ) -> [ZoneTree]? {
        names.reserveCapacity(
            sources.reduce(names.count) { $0 + $1.records.ownerCount },
            octets: sources.reduce(names.octets.count) { $0 + $1.records.octets.count })
        var firstFile: [Name: String] = [:]
        var trees: [ZoneTree] = []
        for (index, source) in sources.enumerated() {
            if names.isFull {
                let more = sources.count - index - 1
                diagnostics.error(
                    at: SourcePosition(file: source.file),
                    "the zone \(source.apex)\(more > 0 ? " and \(more) more" : "") were not looked at, as "
                        + "the names of the zones before take all the room there is; serve fewer names"
                )
                break
            }
            if let first = firstFile.updateValue(source.file, forKey: source.apex) {
                diagnostics.error(
                    at: SourcePosition(file: source.file),
                    "the zone \(source.apex) is here and in \(first); keep one of them")
                continue
            }
            trees.append(ZoneTree(source, &names, &diagnostics))
        }
        return names.isFull ? nil : trees
    }

    private init(_ names: NameIndex, _ trees: [ZoneTree]) {
        self.names = names
        self.trees = trees
        zoneOfName = Array(repeating: -1, count: names.count)
        isSeen = Array(repeating: false, count: names.count)
        finalNode = Array(repeating: -1, count: names.count)
        setRows = trees.map { Array(repeating: -1, count: $0.sets.count) }
        parentSide = Array(repeating: -1, count: trees.count)
    }
}

// MARK: - Which names are seen

extension ZoneSetBuilder {
    /// Gives each name the zone of the nearest apex (RFC 1034, section 4.3.2, step 2).
    private mutating func assignZones() {
        for (zone, tree) in trees.enumerated() { zoneOfName[Int(tree.apex)] = Int32(zone) }
        // Parents come before children.
        for name in 1..<max(1, names.count) where zoneOfName[name] < 0 {
            zoneOfName[name] = zoneOfName[Int(names.parents[name])]
        }
    }

    /// Numbers the final nodes: every name that its zone sees, all their ancestors, and then the
    /// parents' sides of the cuts between zones that are all served here.
    private mutating func assignNodes() {
        var isNeeded = [Bool](repeating: false, count: names.count)
        isNeeded[0] = true
        for (zone, tree) in trees.enumerated() {
            for node in tree.nodes where isSeen(node, in: zone) {
                isSeen[Int(node.name)] = true
                var ancestor = node.name
                while ancestor >= 0, !isNeeded[Int(ancestor)] {
                    isNeeded[Int(ancestor)] = true
                    ancestor = names.parents[Int(ancestor)]
                }
            }
        }
        for name in 0..<names.count where isNeeded[name] {
            finalNode[name] = nodeCount
            nodeCount += 1
        }
        for (child, tree) in trees.enumerated() {
            guard let parent = parentZone(of: tree) else { continue }
            if trees[Int(parent)].node(of: tree.apex)?.isOccluded == false {
                parentSide[child] = nodeCount
                nodeCount += 1
            }
        }
    }

    /// Whether a zone's node is what is answered from at its name.
    private func isSeen(_ node: TreeNode, in zone: Int) -> Bool {
        !node.isOccluded && zoneOfName[Int(node.name)] == Int32(zone)
    }

    /// The nearest zone above another zone's apex, or nil.
    func parentZone(of tree: ZoneTree) -> Int32? {
        let above = names.parents[Int(tree.apex)]
        guard above >= 0 else { return nil }
        let zone = zoneOfName[Int(above)]
        return zone < 0 ? nil : zone
    }
}

// MARK: - Nodes

extension ZoneSetBuilder {
    private mutating func addNodes() {
        addPaths()
        for (zone, tree) in trees.enumerated() {
            for node in tree.nodes where isSeen(node, in: zone) {
                addNode(
                    node, of: tree, zone, at: finalNode[Int(node.name)],
                    link: node.name == tree.apex ? parentSide[zone] : -1)
            }
        }
        for (child, tree) in trees.enumerated() where parentSide[child] >= 0 {
            guard let parent = parentZone(of: tree).map(Int.init),
                let node = trees[parent].node(of: tree.apex)
            else { continue }
            addNode(node, of: trees[parent], parent, at: parentSide[child], link: -1)
        }
        linkWildcards()
    }

    /// Makes room for all nodes, and fills in those that are only on the way to others.
    private mutating func addPaths() {
        let empty = Node(
            nameStart: 0, zone: -1, firstSet: 0, wildcard: -1, link: -1, extra: -1, extraValue: 0,
            setCount: 0, labelCount: 0, flags: .pathOnly)
        tables.nodes = Array(repeating: empty, count: Int(nodeCount))
        for name in 0..<names.count where finalNode[name] >= 0 && !isSeen[name] {
            // Parents come before children.
            let parent = names.parents[name]
            var link: Int32 = -1
            if parent >= 0 {
                let above = finalNode[Int(parent)]
                link = isSeen[Int(parent)] ? above : tables.nodes[Int(above)].link
            }
            tables.nodes[Int(finalNode[name])] = Node(
                nameStart: appendName(Int32(name)), zone: -1, firstSet: 0, wildcard: -1, link: link,
                extra: -1, extraValue: 0, setCount: 0, labelCount: names.labelCounts[name],
                flags: .pathOnly)
        }
    }

    /// Fills in the final node of a tree's node, its name and records side by side in the arena.
    private mutating func addNode(
        _ node: TreeNode, of tree: ZoneTree, _ zone: Int, at final: Int32, link: Int32
    ) {
        let nameStart = appendName(node.name)
        let firstSet = Int32(tables.sets.count)
        for set in node.sets { setRows[zone][Int(set)] = appendSet(Int(set), of: tree) }
        var steer: Int32 = -1
        var steerTTL: UInt32 = 0
        if node.steer >= 0 {
            let record = tree.record(node.steer)
            steer = reference(record, besides: tree.setDrafts(of: node).map(\.type))
            steerTTL = record.ttl
        }
        tables.nodes[Int(final)] = Node(
            nameStart: nameStart, zone: Int32(zone), firstSet: firstSet, wildcard: -1, link: link,
            extra: steer, extraValue: steerTTL, setCount: UInt8(node.sets.count),
            labelCount: names.labelCounts[Int(node.name)], flags: node.flags)
    }

    /// Links every wildcard to its parent, in its own zone.
    private mutating func linkWildcards() {
        for (zone, tree) in trees.enumerated() {
            for node in tree.nodes where !node.isOccluded && names.isWildcard(node.name) {
                let parent = names.parents[Int(node.name)]
                guard zoneOfName[Int(parent)] == Int32(zone) else { continue }
                let owner = zoneOfName[Int(node.name)]
                // The wildcard may be a zone of its own: then the parent's side of it is meant.
                let target =
                    owner == Int32(zone) ? finalNode[Int(node.name)] : parentSide[Int(owner)]
                // An apex is no wildcard of its own zone.
                guard node.name != tree.apex else { continue }
                tables.nodes[Int(finalNode[Int(parent)])].wildcard = target
            }
        }
    }

    /// The slots of all names; at most half of them are taken, so that probing is short.
    private mutating func addSlots() {
        var capacity = 16
        while capacity < tables.nodes.count * 2 { capacity *= 2 }
        tables.slots = Array(repeating: Slot(hash: 0, node: -1), count: capacity)
        for name in finalNode.indices where finalNode[name] >= 0 {
            let hash = names.hashes[name]
            var position = Int(hash) & (capacity - 1)
            while tables.slots[position].node >= 0 { position = (position + 1) & (capacity - 1) }
            tables.slots[position] = Slot(hash: hash, node: finalNode[name])
        }
    }

    private mutating func reference(_ record: ZoneRecord, besides company: [RecordType]) -> Int32 {
        guard case .steer(let service) = record.content else { return -1 }
        let use = SteerReference.Use(record, besides: company)
        let index = steerIndexes[service] ?? Int32(tables.steerReferences.count)
        if steerIndexes.updateValue(index, forKey: service) == nil {
            tables.steerReferences.append(SteerReference(service: service, uses: []))
        }
        tables.steerReferences[Int(index)].add(use)
        return index
    }
}

// MARK: - Records

extension ZoneSetBuilder {
    private mutating func appendName(_ name: Int32) -> UInt32 {
        let start = UInt32(tables.arena.count)
        tables.arena += names.octets[names.range(of: name)]
        return start
    }

    /// Packs an RRset and returns its row.
    private mutating func appendSet(_ set: Int, of tree: ZoneTree, ttl: UInt32? = nil) -> Int32 {
        let draft = tree.sets[set]
        let records = tree.source.records
        let hasHints = tree.hasAutomaticHints(draft)
        if hasHints { tables.arena += [UInt8](repeating: 0, count: HintSource.length) }
        if draft.type.targetOffset != nil {
            tables.arena += [UInt8](repeating: 0, count: AdditionalDataBuilder.prefixLength)
        }
        let start = tables.arena.count
        for place in draft.records {
            let row = records.rows[Int(tree.order[Int(place)])]
            // RRSIG records at a name belong to different RRsets, so each keeps its TTL.
            let recordTTL = ttl ?? (draft.type == .rrsig ? row.ttl : draft.ttl)
            tables.arena += [0xC0, 0x0C]
            appendInteger(draft.type.code)
            appendInteger(UInt16(1))
            appendInteger(recordTTL)
            appendInteger(UInt16(row.dataLength))
            tables.arena += records.octets[row.dataRange]
        }
        tables.sets.append(
            RRset(
                type: draft.type, recordCount: UInt16(draft.records.count), ttl: ttl ?? draft.ttl,
                start: UInt32(start), length: UInt16(tables.arena.count - start),
                layout: hasHints ? .automaticHints : draft.type.nameLayout))
        return Int32(tables.sets.count - 1)
    }

    private mutating func appendInteger(_ value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            tables.arena.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Adds what is known of each zone, with the SOA of its negative answers: their TTL is the lower
    /// of the SOA's own and its MINIMUM field (RFC 2308, section 5).
    private mutating func addZones() {
        for tree in trees {
            guard let apex = tree.node(of: tree.apex), let soa = tree.set(.soa, of: apex) else {
                preconditionFailure("a zone without SOA is left out before")
            }
            let fields = SOAFields(tree.data(tree.sets[soa].records.lowerBound))
            let row = appendSet(soa, of: tree, ttl: min(tree.sets[soa].ttl, fields.minimum))
            tables.zoneRows.append(
                ZoneRow(negativeSOA: row, apexLabels: names.labelCounts[Int(tree.apex)]))
            tables.zones.append(
                ZoneSummary(
                    apex: tree.source.apex, file: tree.source.file, serial: fields.serial,
                    recordCount: tree.order.count + tree.nodes.count { $0.steer >= 0 }))
        }
    }
}

// MARK: - Glue

extension ZoneSetBuilder {
    private mutating func addGlue(_ diagnostics: inout Diagnostics) {
        for zone in trees.indices {
            for index in trees[zone].nodes.indices {
                let node = trees[zone].nodes[index]
                guard node.flags.contains(.cut), !node.isOccluded,
                    zoneOfName[Int(node.name)] == Int32(zone)
                else { continue }
                addGlue(zone, node, &diagnostics)
            }
        }
    }

    /// Adds the addresses that the zone has for the servers of one delegation: glue, or data of the
    /// zone itself (RFC 1034, section 4.3.2, step 3b).
    private mutating func addGlue(
        _ zone: Int, _ cut: TreeNode, _ diagnostics: inout Diagnostics
    ) {
        guard let set = trees[zone].set(.ns, of: cut) else { return }
        let row = tables.sets[Int(setRows[zone][set])]
        let cutName = names.name(cut.name)
        var required: [Glue] = []
        var others: [Glue] = []
        var position = Int(row.start)
        for place in trees[zone].sets[set].records {
            let record = trees[zone].record(trees[zone].order[Int(place)])
            let data = trees[zone].data(place)
            let start = position + ZoneTree.recordHeader
            position = start + data.count
            guard let target = Name(wire: data) else { continue }
            let isRequired = target.isSubdomain(of: cutName)
            let a = addressRow(.a, of: target, zone)
            let aaaa = addressRow(.aaaa, of: target, zone)
            guard a >= 0 || aaaa >= 0 else {
                if isRequired {
                    diagnostics.warning(
                        at: record.position,
                        "\(target) serves \(cutName) from inside it, but has no address here; add "
                            + "its A or AAAA record as glue, or nobody can find it "
                            + "(RFC 1034, section 4.2.1)")
                }
                continue
            }
            let glue = Glue(
                targetStart: UInt32(start), targetLength: UInt8(data.count),
                isRequired: isRequired, a: a, aaaa: aaaa)
            if isRequired { required.append(glue) } else { others.append(glue) }
        }
        let final = Int(finalNode[Int(cut.name)])
        tables.nodes[final].extra = Int32(tables.glue.count)
        tables.nodes[final].extraValue = UInt32(required.count + others.count)
        tables.glue += required + others
    }

    /// The row of a zone's A or AAAA RRset at a name, glue included; -1 if it has none.
    private mutating func addressRow(_ type: RecordType, of target: Name, _ zone: Int) -> Int32 {
        guard let name = names.number(of: target), let node = trees[zone].node(of: name),
            let set = trees[zone].set(type, of: node)
        else { return -1 }
        if setRows[zone][set] < 0 { setRows[zone][set] = appendSet(set, of: trees[zone]) }
        return setRows[zone][set]
    }
}
