// Parent and child, both served here: what the two sides of a zone cut say of each other. Findings are
// warnings, for each zone is sound by itself.

import DNSWire
import Settings

extension ZoneSetBuilder {
    func checkFamilies(_ diagnostics: inout Diagnostics) {
        for tree in trees {
            guard let parent = parentZone(of: tree) else { continue }
            checkDelegation(of: tree, by: trees[Int(parent)], &diagnostics)
        }
        guard trees.count > 1 else { return }
        for (zone, tree) in trees.enumerated() {
            for node in tree.nodes where zoneOfName[Int(node.name)] != Int32(zone) {
                let owner = trees[Int(zoneOfName[Int(node.name)])]
                if node.isOccluded {
                    checkGlue(node, in: tree, against: owner, &diagnostics)
                } else if !node.flags.contains(.cut) {
                    warnAboutHidden(node, in: tree, by: owner, &diagnostics)
                }
            }
        }
    }

    /// The parent's NS records are those of the child (RFC 1034, section 4.2.2), and its DS is for a
    /// child that is signed.
    private func checkDelegation(
        of child: ZoneTree, by parent: ZoneTree, _ diagnostics: inout Diagnostics
    ) {
        let node = parent.node(of: child.apex)
        guard let node, node.flags.contains(.cut) else {
            if parent.occluder(of: child.apex, names) == nil, parent.isComplete {
                diagnostics.warning(
                    at: SourcePosition(file: parent.source.file),
                    "\(parent.source.apex) has no NS records for \(child.source.apex), which is "
                        + "served here from \(child.source.file); add them, or resolvers may not "
                        + "find it (RFC 1034, section 4.2.1)")
            }
            return
        }
        guard !node.isOccluded, let apex = child.node(of: child.apex) else { return }
        if let above = parent.set(.ns, of: node), let below = child.set(.ns, of: apex) {
            let (stated, own) = (parent.targets(of: above), child.targets(of: below))
            if stated != own, parent.isComplete, child.isComplete {
                diagnostics.warning(
                    at: parent.position(of: above),
                    "the NS records of \(child.source.apex) differ from its own in "
                        + "\(child.source.file): \(difference(stated, own)); "
                        + "make them the same (RFC 1034, section 4.2.2)")
            }
        }
        if let ds = parent.set(.ds, of: node), child.set(.dnskey, of: apex) == nil,
            child.isComplete
        {
            diagnostics.warning(
                at: parent.position(of: ds),
                "DS says that \(child.source.apex) is signed, but it has no DNSKEY in "
                    + "\(child.source.file), so validating resolvers refuse all of it; remove the DS "
                    + "until the zone is signed (RFC 4035, section 2.4)")
        }
    }

    /// "only here ns1.; only there ns2.", with the first three names of each side.
    private func difference(_ here: Set<Name>, _ there: Set<Name>) -> String {
        let list = { (side: String, names: Set<Name>) -> String? in
            guard !names.isEmpty else { return nil }
            let shown = names.sorted().prefix(3).map(\.description).joined(separator: ", ")
            return "only \(side) \(shown)" + (names.count > 3 ? " and \(names.count - 3) more" : "")
        }
        return [list("here", here.subtracting(there)), list("there", there.subtracting(here))]
            .compactMap(\.self).joined(separator: "; ")
    }

    /// Glue repeats what the zone says that the name belongs to (RFC 1034, section 4.2.1).
    private func checkGlue(
        _ node: TreeNode, in tree: ZoneTree, against owner: ZoneTree,
        _ diagnostics: inout Diagnostics
    ) {
        guard tree.nameServers.contains(node.name), owner.isComplete,
            let own = owner.node(of: node.name), !own.isOccluded
        else { return }
        for type in [RecordType.a, .aaaa] {
            guard let glue = tree.set(type, of: node), let data = owner.set(type, of: own),
                Set(tree.sets[glue].records.map(tree.data))
                    != Set(owner.sets[data].records.map(owner.data))
            else { continue }
            diagnostics.warning(
                at: tree.position(of: glue),
                "the glue \(type) of \(names.name(node.name)) differs from the records at "
                    + "\(owner.position(of: data)); make them the same (RFC 1034, section 4.2.1)")
        }
    }

    /// Reports what a parent zone has where a child zone answers.
    private func warnAboutHidden(
        _ node: TreeNode, in tree: ZoneTree, by owner: ZoneTree, _ diagnostics: inout Diagnostics
    ) {
        guard let record = tree.firstRecord(of: node) else { return }
        diagnostics.warning(
            at: record.position,
            "\(record.owner) is never answered from here, as the zone \(owner.source.apex) is served "
                + "from \(owner.source.file); move the record there (RFC 1034, section 4.3.2)")
    }
}

extension ZoneTree {
    /// The names that an NS RRset points at.
    fileprivate func targets(of set: Int) -> Set<Name> {
        Set(sets[set].records.compactMap { Name(wire: data($0)) })
    }
}
