// All zones in one compiled, immutable table, and the walk that finds what they say about a name:
// the fifth step of a query. One probe for a name that exists; for others a binary search for its
// closest encloser, for all ancestors of a name in the table are in the table. Everything that can
// be known at load (cuts, wildcards, negative TTLs, glue) is a number in a row. ZoneSetBuilder.swift
// makes it; nothing here allocates or counts references.

public import DNSWire
public import Settings
internal import Synchronization

/// The answer of `ZoneSet.lookup`: what is to be said, by which rows.
public struct Lookup: BitwiseCopyable, Sendable {
    public enum Outcome: UInt8, BitwiseCopyable, Sendable {
        /// No zone holds the name.
        case notAuthoritative
        /// `rrset` is the answer.
        case answer
        /// A service decides the addresses: `steer`, `steerTTL`.
        case steered
        /// `rrset` is the CNAME to follow.
        case cname
        /// `rrset` is the DNAME of an ancestor, by which the name has to be rewritten (RFC 6672).
        case dname
        /// `rrset` is the NS of the delegation that holds the name; `ZoneSet.glue` goes with it.
        case referral
        /// The name exists, the type does not (RFC 2308, section 2.2); at a steered name unless its service
        /// answers every type, which is not known here.
        case nodata
        /// The name does not exist, nor anything below it (RFC 8020).
        case nxdomain
    }

    public internal(set) var outcome: Outcome
    /// How many labels of the looked-up name, from the right, are the owner's of `rrset`; all of
    /// them when a wildcard made it, the closest encloser's with `nxdomain`.
    public internal(set) var ownerLabels: UInt8
    /// How many labels of the looked-up name, from the right, are the apex.
    public internal(set) var apexLabels: UInt8
    /// Whether the answer comes from a wildcard.
    public internal(set) var isSynthesised: Bool
    /// The RRset of `answer`, `cname`, `dname` and `referral`; -1 otherwise.
    public internal(set) var rrset: Int32
    /// The index in `ZoneSet.zones`; -1 for `notAuthoritative`.
    public internal(set) var zone: Int32
    /// The zone's SOA for negative answers, its TTL as RFC 2308, section 5, wants it; the owner is
    /// the apex. -1 for `notAuthoritative`.
    public internal(set) var soa: Int32
    /// The index in `ZoneSet.steerReferences`; -1 unless `steered`, or `nodata` at a steered name.
    public internal(set) var steer: Int32
    /// Seconds, from the STEER record.
    public internal(set) var steerTTL: UInt32
    /// The row that answered; for a referral the cut's.
    var node: Int32

    /// The same of a name whose service answers every type.
    public var steered: Lookup {
        var result = self
        result.outcome = .steered
        return result
    }

    @inline(__always)
    static var notAuthoritative: Lookup {
        Lookup(
            outcome: .notAuthoritative, ownerLabels: 0, apexLabels: 0, isSynthesised: false,
            rrset: -1, zone: -1, soa: -1, steer: -1, steerTTL: 0, node: -1)
    }
}

/// The compiled zones.
public final class ZoneSet: Sendable {
    /// The services that STEER records name, each once.
    public let steerReferences: [SteerReference]
    /// The zones in the order of their sources.
    public let zones: [ZoneSummary]
    /// The servers and mail hosts that are steered names; set once, while loading.
    private let steered = Mutex<[SteeredHost]>([])

    let slots: FlatArray<Slot>
    let nodes: FlatArray<Node>
    let sets: FlatArray<RRset>
    let zoneRows: FlatArray<ZoneRow>
    let glueRows: FlatArray<Glue>
    let additionalRows: FlatArray<Additional>
    let arena: FlatArray<UInt8>

    /// Checks the sources and compiles them; nil if they have errors, all of which are reported.
    public init?(_ sources: [ZoneSource], diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        guard let tables = ZoneSetBuilder.build(sources, &diagnostics) else { return nil }
        steerReferences = tables.steerReferences
        zones = tables.zones
        slots = FlatArray(tables.slots)
        nodes = FlatArray(tables.nodes)
        sets = FlatArray(tables.sets)
        zoneRows = FlatArray(tables.zoneRows)
        glueRows = FlatArray(tables.glue)
        additionalRows = FlatArray(tables.additional)
        arena = FlatArray(tables.arena)
        let hosts = checkTargets(sources, faulty: tables.faultyApexes, &diagnostics)
        steered.withLock { $0 = hosts }
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    /// The targets of NS, MX and SRV records that are steered names: no hosts if their service answers by
    /// host name. The first `SteerReference.maximumUses`.
    public var steeredHosts: [SteeredHost] { steered.withLock { $0 } }

    /// The RRset of an index from `Lookup` or `Glue`.
    public func rrset(_ index: Int32) -> RRset { sets[index] }

    /// The octets in which blocks and names lie.
    public var octets: Span<UInt8> {
        @_lifetime(borrow self)
        @inline(__always)
        get {
            // Safe: `self` owns the arena and never changes it.
            unsafe _overrideLifetime(arena.unboundSpan, borrowing: self)
        }
    }

    /// The addresses that go with a referral, those it can't do without first.
    ///
    /// Indexes for `glue(at:)`; empty for every other outcome.
    public func glue(of referral: Lookup) -> Range<Int> {
        guard referral.outcome == .referral else { return 0..<0 }
        let node = nodes[referral.node]
        return Int(node.extra)..<Int(node.extra) + Int(node.extraValue)
    }

    public func glue(at index: Int) -> Glue { glueRows[index] }

    /// What goes into the additional section where an RRset is the answer: indexes for
    /// `additional(at:)`.
    public func additional(of rrset: RRset) -> Range<Int> {
        guard rrset.additionalCount > 0 else { return 0..<0 }
        let prefix = rrset.blockStart - AdditionalDataBuilder.prefixLength
        let first = Int(octets.uint16(at: prefix)) << 16 | Int(octets.uint16(at: prefix + 2))
        return first..<first + Int(rrset.additionalCount)
    }

    public func additional(at index: Int) -> Additional { additionalRows[index] }
}

// MARK: - The walk

extension ZoneSet {
    /// Finds what the zones say about a name and a type (RFC 1034, section 4.3.2).
    ///
    /// The type ANY gets one RRset of the name, the one with the lowest type (RFC 8482, section
    /// 4.1), and at a steered name what A gets. Metatypes and classes are the caller's affair.
    public func lookup(_ name: borrowing NameBuffer, type: RecordType) -> Lookup {
        let labels = name.labelCount
        var found = find(name, labels: labels)
        if found >= 0 {
            let flags = nodes[found].flags
            if !flags.contains(.pathOnly) {
                return answer(at: found, type, ownerLabels: labels, isSynthesised: false)
            }
            found = nodes[found].link
        } else {
            found = closestEncloser(of: name)
        }
        return answer(below: found, type, labels: labels)
    }

    /// Returns the node of the longest suffix that exists, the name itself left out.
    ///
    /// The parent is tried first, for most that is missing is missing by one label; then existence
    /// is monotone in the number of labels, so that the search ends after seven more probes at most.
    @inline(__always)
    private func closestEncloser(of name: borrowing NameBuffer) -> Int32 {
        var missing = name.labelCount - 1
        // Only the root has no parent, and the root is always in the table.
        guard missing >= 0 else { return -1 }
        var best = find(name, labels: missing)
        if best < 0 {
            var existing = 0
            while missing - existing > 1 {
                let middle = (missing + existing) / 2
                let node = find(name, labels: middle)
                if node >= 0 {
                    existing = middle
                    best = node
                } else {
                    missing = middle
                }
            }
            if best < 0 { best = find(name, labels: 0) }
        }
        guard best >= 0 else { return -1 }
        let node = nodes[best]
        return node.flags.contains(.pathOnly) ? node.link : best
    }

    /// The node of the suffix with that many labels, or -1.
    @inline(__always)
    private func find(_ name: borrowing NameBuffer, labels: Int) -> Int32 {
        let start = name.start(ofSuffixWithLabels: labels)
        let hash = name.hash(from: start)
        let mask = slots.count &- 1
        var position = Int(hash) & mask
        // Ends: at least half of the slots are empty.
        while true {
            let slot = slots[position]
            if slot.node < 0 { return -1 }
            if slot.hash == hash,
                name.suffix(
                    from: start, equals: octets, at: Int(nodes[slot.node].nameStart))
            {
                return slot.node
            }
            position = (position &+ 1) & mask
        }
    }

    /// What a node says about a type: an exact match, or a source of synthesis.
    @inline(__always)
    private func answer(
        at index: Int32, _ type: RecordType, ownerLabels: Int, isSynthesised: Bool
    ) -> Lookup {
        var index = index
        var node = nodes[index]
        guard node.zone >= 0 else { return .notAuthoritative }
        // DS belongs to the parent's side of a cut (RFC 4035, section 3.1.4.1).
        if type == .ds, node.flags.contains(.apex), node.link >= 0 {
            index = node.link
            node = nodes[index]
        }
        let zone = zoneRows[node.zone]
        var result = Lookup(
            outcome: .answer, ownerLabels: UInt8(truncatingIfNeeded: ownerLabels),
            apexLabels: zone.apexLabels, isSynthesised: isSynthesised, rrset: -1, zone: node.zone,
            soa: zone.negativeSOA, steer: -1, steerTTL: 0, node: index)
        if node.flags.contains(.cut), type != .ds {
            result.outcome = .referral
            result.rrset = find(.ns, in: node)
            return result
        }
        if node.flags.contains(.steered), type == .a || type == .aaaa || type == .any {
            result.outcome = .steered
            result.steer = node.extra
            result.steerTTL = node.extraValue
            return result
        }
        result.rrset = find(type, in: node)
        if result.rrset >= 0 { return result }
        if node.flags.contains(.cname) {
            result.outcome = .cname
            result.rrset = find(.cname, in: node)
            return result
        }
        result.outcome = .nodata
        if node.flags.contains(.steered) {
            result.steer = node.extra
            result.steerTTL = node.extraValue
        }
        return result
    }

    /// What is said of a name that does not exist, by its closest encloser (RFC 4592, section 3.3.1).
    private func answer(below encloser: Int32, _ type: RecordType, labels: Int) -> Lookup {
        guard encloser >= 0 else { return .notAuthoritative }
        let node = nodes[encloser]
        guard node.zone >= 0 else { return .notAuthoritative }
        if node.flags.isDisjoint(with: [.cut, .dname]), node.wildcard >= 0 {
            return answer(at: node.wildcard, type, ownerLabels: labels, isSynthesised: true)
        }
        let zone = zoneRows[node.zone]
        var result = Lookup(
            outcome: .nxdomain, ownerLabels: node.labelCount, apexLabels: zone.apexLabels,
            isSynthesised: false, rrset: -1, zone: node.zone, soa: zone.negativeSOA, steer: -1,
            steerTTL: 0, node: encloser)
        if node.flags.contains(.cut) {
            result.outcome = .referral
            result.rrset = find(.ns, in: node)
        } else if node.flags.contains(.dname) {
            result.outcome = .dname
            result.rrset = find(.dname, in: node)
        }
        return result
    }

    /// The node's RRset of a type, its first for ANY, or -1; at most `ZoneTree.maximumTypes` rows.
    @inline(__always)
    private func find(_ type: RecordType, in node: Node) -> Int32 {
        let end = node.firstSet &+ Int32(node.setCount)
        var index = node.firstSet
        if type == .any, index < end { return index }
        while index < end {
            if sets[index].type == type { return index }
            index &+= 1
        }
        return -1
    }
}
