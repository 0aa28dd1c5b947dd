// What may stand in one zone, and what beside what: the checks that need a record's neighbours but
// no other zone. Each finding says where, what, by which rule, and what to do.

import DNSWire
import Settings

extension ZoneTree {
    /// Whether a type may stand at a name at all; false leaves its records out.
    func isPossible(
        _ type: RecordType, at node: TreeNode, first: Int32, _ diagnostics: inout Diagnostics
    ) -> Bool {
        if type == .soa, node.name != apex {
            let record = record(first)
            diagnostics.error(
                at: record.position,
                "an SOA at \(record.owner), but the zone's apex is \(source.apex); "
                    + "a zone has one SOA, at its apex (RFC 1035, section 5.2)")
            return false
        }
        if type == .ds, node.name == apex {
            diagnostics.warning(
                at: position(ofRecord: first),
                "DS at the apex is never answered; it belongs into the parent zone "
                    + "(RFC 4035, section 2.4)")
            return false
        }
        if type.isMeta {
            diagnostics.error(
                at: position(ofRecord: first),
                "\(type) is a type of messages, not of zones; remove it")
            return false
        }
        return true
    }

    /// The record's data, if it is what the lookup relies on.
    func checkedData(
        of record: Int32, _ type: RecordType, _ diagnostics: inout Diagnostics
    ) -> ArraySlice<UInt8>? {
        let data = source.records.data(at: Int(record))
        guard type.isValid(rdata: data, allowingAutomaticHints: true) else {
            diagnostics.error(
                at: position(ofRecord: record), "this is not the data of a \(type) record")
            return nil
        }
        return data
    }

    /// The octets by which two records are the same: names in any case (RFC 4034, section 6.2).
    func comparable(_ data: ArraySlice<UInt8>, _ type: RecordType) -> [UInt8] {
        var data = Array(data)
        for (offset, length) in type.embeddedNames(in: data[...]) {
            for index in offset..<offset + length { data[index] = asciiLowercased(data[index]) }
        }
        return data
    }

    func checkSteers(_ entries: ArraySlice<Entry>, _ diagnostics: inout Diagnostics) {
        for entry in entries.dropFirst() {
            let record = record(entry.record)
            diagnostics.error(
                at: record.position,
                "\(record.owner) has more than one STEER; keep one, and let its service's rules "
                    + "choose between pools")
        }
    }

    /// Checks what stands together at one name.
    func checkCompany(
        of node: TreeNode, _ names: NameIndex, _ diagnostics: inout Diagnostics
    ) {
        for set in setDrafts(of: node) {
            warnAboutCount(of: set, &diagnostics)
            switch set.type {
            case .soa:
                checkSingle(set, &diagnostics)
                checkSOA(set, &diagnostics)
            case .cname: checkSingle(set, &diagnostics)
            case .dname:
                checkSingle(set, &diagnostics)
                checkWildcard(set, at: node, names, &diagnostics)
            case .ns: checkWildcard(set, at: node, names, &diagnostics)
            case .mx: checkNullMX(set, &diagnostics)
            default: break
            }
        }
        checkAlias(node, &diagnostics)
        if node.flags.contains(.dname), node.flags.contains(.cut),
            let dname = set(.dname, of: node)
        {
            diagnostics.error(
                at: position(of: dname),
                "DNAME beside NS below the apex; a name is delegated or rewritten, not both "
                    + "(RFC 6672, section 2.3)")
        }
        guard node.flags.contains(.steered) else { return }
        for type in [RecordType.a, .aaaa] {
            guard let set = set(type, of: node) else { continue }
            diagnostics.error(
                at: position(of: set),
                "\(type) beside STEER at \(names.name(node.name)); addresses come from the service, "
                    + "so remove one of the two")
        }
    }

    /// A CNAME stands alone but for its DNSSEC records (RFC 1034, 3.6.2; RFC 2181, section 10.1).
    private func checkAlias(_ node: TreeNode, _ diagnostics: inout Diagnostics) {
        guard let alias = set(.cname, of: node) else { return }
        let companions = setDrafts(of: node).filter {
            ![.cname, .rrsig, .nsec].contains($0.type)
        }
        guard !companions.isEmpty || node.steer >= 0 else { return }
        let types = (node.steer >= 0 ? ["STEER"] : []) + companions.map { $0.type.description }
        diagnostics.error(
            at: position(of: alias),
            "CNAME beside \(types.joined(separator: ", ")); a name with a CNAME can have nothing "
                + "else (RFC 1034, section 3.6.2)"
                + (node.name == apex ? "; at an apex use A, AAAA or STEER" : ""))
    }

    /// There is at most one SOA, CNAME and DNAME at a name (RFC 1035, section 5.2; RFC 2181, section
    /// 10.1; RFC 6672, section 2.4).
    private func checkSingle(_ set: SetDraft, _ diagnostics: inout Diagnostics) {
        let section =
            switch set.type {
            case .soa: "RFC 1035, section 5.2"
            case .cname: "RFC 2181, section 10.1"
            default: "RFC 6672, section 2.4"
            }
        for place in set.records.dropFirst() {
            let record = record(order[Int(place)])
            diagnostics.error(
                at: record.position,
                "\(record.owner) has more than one \(set.type); there can be only one (\(section)), "
                    + "remove the others")
        }
    }

    /// NS and DNAME have no effect at a wildcard (RFC 4592, sections 4.2 and 4.4).
    private func checkWildcard(
        _ set: SetDraft, at node: TreeNode, _ names: NameIndex, _ diagnostics: inout Diagnostics
    ) {
        guard names.isWildcard(node.name) else { return }
        let record = record(order[Int(set.records.lowerBound)])
        let (does, section, each) =
            set.type == .ns ? ("delegate", "4.2", "delegation") : ("rewrite", "4.4", "DNAME")
        diagnostics.warning(
            at: record.position,
            "\(set.type) at the wildcard \(record.owner) is answered as plain data, it does not "
                + "\(does) what the wildcard matches (RFC 4592, section \(section)); name each \(each)"
        )
    }

    /// "This domain takes no mail" stands alone (RFC 7505, section 3).
    private func checkNullMX(_ set: SetDraft, _ diagnostics: inout Diagnostics) {
        guard set.records.count > 1, let null = set.records.first(where: { data($0).count == 3 })
        else { return }
        let record = record(order[Int(null)])
        diagnostics.warning(
            at: record.position,
            "\"MX 0 .\" says that \(record.owner) takes no mail, beside MX records that say it does; "
                + "keep one or the others (RFC 7505, section 3)")
    }

    /// A zone has an SOA and name servers at its apex (RFC 1035, section 5.2; RFC 2181, section 6.1).
    func checkApex(_ names: NameIndex, _ diagnostics: inout Diagnostics) {
        // What is missing may stand in a line with an error, which is reported.
        guard source.isComplete else { return }
        let file = SourcePosition(file: source.file)
        let node = node(of: apex)
        if node.flatMap({ set(.soa, of: $0) }) == nil {
            diagnostics.error(
                at: file,
                "the zone \(source.apex) has no SOA (RFC 1035, section 5.2); "
                    + "add \"@ SOA ns1 hostmaster 1 1h 15m 1w 1m\"")
        }
        if node.flatMap({ set(.ns, of: $0) }) == nil {
            diagnostics.error(
                at: file,
                "the zone \(source.apex) has no NS at its apex (RFC 2181, section 6.1); add \"@ NS\" "
                    + "for every server that it is delegated to")
        }
    }

    /// DS stands beside the NS records of a delegation (RFC 4034, section 5).
    func checkDS(_ node: TreeNode, _ diagnostics: inout Diagnostics) {
        guard !node.isOccluded, let ds = set(.ds, of: node) else { return }
        let record = record(order[Int(sets[ds].records.lowerBound)])
        diagnostics.warning(
            at: record.position,
            "DS at \(record.owner), which has no NS records, so that nothing is delegated there "
                + "(RFC 4034, section 5); add them, or remove it")
    }

    /// Reports what a cut hides: all but NS, DS and glue.
    func reportBelowCut(_ node: TreeNode, cut: Name, _ diagnostics: inout Diagnostics) {
        if node.steer >= 0 {
            diagnostics.error(
                at: record(node.steer).position,
                "STEER at or below \(cut), which its NS records delegate to other servers; remove "
                    + "the STEER or the delegation")
        }
        let atCut = node.flags.contains(.cut) && !node.isOccluded
        for set in setDrafts(of: node) {
            let isAddress = set.type == .a || set.type == .aaaa
            if isAddress, nameServers.contains(node.name) { continue }
            // A DNAME at a cut is an error already.
            if atCut, [.ns, .ds, .rrsig, .nsec, .dname].contains(set.type) { continue }
            let record = record(order[Int(set.records.lowerBound)])
            diagnostics.warning(
                at: record.position,
                "\(set.type) of \(record.owner) is never answered, as the NS records of \(cut) "
                    + "delegate that name\(isAddress ? " and none points at it, as glue" : ""); "
                    + "move it to the other zone (RFC 1034, section 4.2.1)")
        }
    }

    /// Nothing can exist below a DNAME (RFC 6672, section 2.4).
    func reportBelowDNAME(_ node: TreeNode, dname: Name, _ diagnostics: inout Diagnostics) {
        let first =
            node.steer >= 0
            ? node.steer : setDrafts(of: node).first.map { order[Int($0.records.lowerBound)] }
        guard let first else { return }
        let record = record(first)
        diagnostics.error(
            at: record.position,
            "\(record.owner) is below the DNAME of \(dname), where nothing can exist "
                + "(RFC 6672, section 2.4); remove it or the DNAME")
    }

    func position(of set: Int) -> SourcePosition {
        position(ofRecord: order[Int(sets[set].records.lowerBound)])
    }

    func position(ofRecord record: Int32) -> SourcePosition {
        source.records.position(at: Int(record))
    }
}

/// The five 32-bit numbers at the end of SOA data (RFC 1035, section 3.3.13).
struct SOAFields {
    let serial, refresh, retry, expire, minimum: UInt32

    /// - Precondition: the data is well formed.
    init(_ data: ArraySlice<UInt8>) {
        let word = { (start: Int) in
            data[data.endIndex + start..<data.endIndex + start + 4].reduce(0) {
                $0 << 8 | UInt32($1)
            }
        }
        (serial, refresh, retry) = (word(-20), word(-16), word(-12))
        (expire, minimum) = (word(-8), word(-4))
    }
}
