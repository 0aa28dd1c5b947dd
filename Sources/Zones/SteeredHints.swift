// `ipv4hint=auto` and `ipv6hint=auto` of SVCB and HTTPS records: which service has the addresses. Found at
// load, and kept in the octets before the RRset's block, so that rows do not grow by it.

import DNSWire
import Settings

/// Where the hints of one RRset come from.
public struct HintSource: BitwiseCopyable, Sendable {
    /// Octets that say it, before those of the additional data.
    static let length = 8

    /// The index in `ZoneSet.steerReferences`.
    public let steer: Int32
    /// Seconds, from the STEER record; of several the least.
    public let steerTTL: UInt32
}

extension ZoneSet {
    /// What decides the hints of an RRset whose layout is `automaticHints`.
    public func hintSource(of rrset: RRset) -> HintSource {
        let start = rrset.blockStart - AdditionalDataBuilder.prefixLength - HintSource.length
        let word = { (offset: Int) in
            UInt32(self.octets.uint16(at: offset)) << 16
                | UInt32(self.octets.uint16(at: offset + 2))
        }
        return HintSource(steer: Int32(bitPattern: word(start)), steerTTL: word(start + 4))
    }

    /// What decides a lookup's answer for each client: of addresses and of bindings with automatic hints;
    /// nil for an answer that is the same for everyone.
    public func steering(of lookup: Lookup) -> HintSource? {
        switch lookup.outcome {
        case .steered: return HintSource(steer: lookup.steer, steerTTL: lookup.steerTTL)
        case .answer where rrset(lookup.rrset).layout == .automaticHints:
            return hintSource(of: rrset(lookup.rrset))
        default: return nil
        }
    }
}

// MARK: - At load

extension ZoneTree {
    func hasAutomaticHints(_ set: SetDraft) -> Bool {
        (set.type == .svcb || set.type == .https)
            && set.records.contains { set.type.hasAutomaticHints(in: data($0)) }
    }
}

extension ZoneSetBuilder {
    /// Finds the service of every RRset with automatic hints, and reports those that have none.
    mutating func linkHints(
        _ targets: AdditionalDataBuilder, _ diagnostics: inout Diagnostics
    ) {
        for (zone, tree) in trees.enumerated() {
            for (index, set) in tree.sets.enumerated() {
                let row = setRows[zone][index]
                guard row >= 0, tree.hasAutomaticHints(set) else { continue }
                var source: HintSource?
                for place in set.records {
                    let data = tree.data(place)
                    guard set.type.hasAutomaticHints(in: data) else { continue }
                    let record = tree.record(tree.order[Int(place)])
                    guard
                        let found = hintSource(of: record, data, targets, tree, &diagnostics)
                    else { continue }
                    if let source, source.steer != found.steer {
                        reportServices(record, set.type, source, found, &diagnostics)
                    }
                    source = HintSource(
                        steer: found.steer, steerTTL: min(found.steerTTL, source?.steerTTL ?? .max))
                }
                if let source { store(source, before: tables.sets[Int(row)]) }
            }
        }
    }

    /// The service at a record's target, "." being its owner; nil, with a reason reported, if there is
    /// none.
    private func hintSource(
        of record: ZoneRecord, _ data: ArraySlice<UInt8>, _ targets: AdditionalDataBuilder,
        _ tree: ZoneTree,
        _ diagnostics: inout Diagnostics
    ) -> HintSource? {
        guard !data.starts(with: [0, 0]) else {
            diagnostics.error(
                at: record.position,
                "an alias (priority 0) has no hints; remove \"auto\" (RFC 9460, section 2.4.2)")
            return nil
        }
        guard let target = Name(wire: data.dropFirst(2).prefix(nameLength(data))) else {
            return nil
        }
        let name = target.isRoot ? record.owner : target
        if let node = targets.node(answeringFor: name.wire, tables), node.zone >= 0,
            node.flags.contains(.steered), !node.flags.contains(.cut)
        {
            return HintSource(steer: node.extra, steerTTL: node.extraValue)
        }
        // The STEER may stand in a line with an error, which is reported.
        guard tree.isComplete else { return nil }
        diagnostics.error(
            at: record.position,
            "\"auto\" takes the addresses of \(name), which has no STEER record here; add one, or "
                + "write the addresses (RFC 9460, section 7.3)")
        return nil
    }

    private func nameLength(_ data: ArraySlice<UInt8>) -> Int {
        RecordType.svcb.embeddedNames(in: data).first?.length ?? 0
    }

    private func reportServices(
        _ record: ZoneRecord, _ type: RecordType, _ first: HintSource, _ second: HintSource,
        _ diagnostics: inout Diagnostics
    ) {
        let names = [first, second].map { tables.steerReferences[Int($0.steer)].service }
        diagnostics.error(
            at: record.position,
            "the \(type) records of \(record.owner) take hints from two services, \"\(names[0])\" and "
                + "\"\(names[1])\", and an answer has one decision; use \"auto\" for one of them")
    }

    private mutating func store(_ source: HintSource, before set: RRset) {
        let start = set.blockStart - AdditionalDataBuilder.prefixLength - HintSource.length
        let words = [UInt32(bitPattern: source.steer), source.steerTTL]
        for octet in 0..<HintSource.length {
            tables.arena[start + octet] = UInt8(
                truncatingIfNeeded: words[octet / 4] >> UInt32(24 - 8 * (octet % 4)))
        }
    }
}
