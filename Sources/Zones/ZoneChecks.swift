// What only shows when all zones stand together: the names that records point at, looked up as a
// resolver would. What a zone served elsewhere has is not known, and nothing is said of it.

public import DNSWire
import Settings

extension ZoneSet {
    /// Checks what the records of all sources point at.
    ///
    /// - Parameter faulty: the apexes of zones of which records are missing here, for they had errors.
    /// - Returns: the hosts that are steered, of which only their services know what they are.
    func checkTargets(
        _ sources: [ZoneSource], faulty: [Name], _ diagnostics: inout Diagnostics
    ) -> [SteeredHost] {
        var checks = TargetChecks(zones: self, faulty: faulty, diagnostics: diagnostics)
        for source in sources { checks.check(source) }
        diagnostics = checks.diagnostics
        return checks.steered
    }
}

extension ZoneSet {
    /// Puts what an alias points at in the place of the name that was looked up.
    ///
    /// - Parameter found: its outcome is `cname` or `dname`.
    /// - Returns: false if the new name would be longer than a name can be (RFC 6672, section 2.2).
    public func follow(_ found: Lookup, _ name: inout NameBuffer) -> Bool {
        let target = rrset(found.rrset).blockStart + ZoneTree.recordHeader
        if found.outcome == .cname { return name.load(octets, at: target) != nil }
        let kept = name.labelCount - Int(found.ownerLabels)
        return name.replaceSuffix(keeping: kept, with: octets, at: target)
    }
}

/// Goes through the records of one source after the other.
struct TargetChecks: ~Copyable {
    /// How many CNAMEs a chain may have without a warning: resolvers give up somewhere above, BIND
    /// and unbound at 11, and `Responder.aliasLimit` is 12.
    static let maximumChain = 8

    private let zones: ZoneSet
    private let faulty: Set<Name>
    fileprivate private(set) var diagnostics: Diagnostics
    fileprivate private(set) var steered: [SteeredHost] = []
    private var buffer = NameBuffer()
    /// Of the source in hand.
    private var records = ZoneRecords()
    private var apex = Name.root
    private var repeatedApex: Name?
    private var isReverse = false

    fileprivate init(zones: ZoneSet, faulty: [Name], diagnostics: Diagnostics) {
        self.zones = zones
        self.faulty = Set(faulty)
        self.diagnostics = diagnostics
    }

    fileprivate mutating func check(_ source: ZoneSource) {
        apex = source.apex
        repeatedApex = apex.repeated
        isReverse = Self.reverseTrees.contains { apex.isSubdomain(of: $0) }
        records = source.records
        for (record, row) in source.records.rows.enumerated() {
            let type = RecordType(row.type)
            let start: Int
            switch type {
            case .ns, .cname, .dname, .ptr, .soa: start = 0
            case .mx, .svcb, .https: start = 2
            case .srv: start = 6
            default: continue
            }
            let data = records.data(at: record)
            guard buffer.load(data.span, at: start) != nil, buffer.length > 1,
                !isWithoutFinalDot(record, type)
            else { continue }
            switch type {
            case .ns, .mx, .srv: checkHost(record, type)
            case .svcb, .https: checkService(record, type, isAlias: data.starts(with: [0, 0]))
            case .cname, .dname: checkAlias(record, type)
            case .soa:
                // The mailbox follows the primary's name.
                let mailbox = buffer.length
                if buffer.load(data.span, at: mailbox) != nil {
                    _ = isWithoutFinalDot(record, type)
                }
            default: break
            }
        }
    }

    /// Where addresses are names (RFC 1035, section 3.5; RFC 3596, section 2.5).
    private static let reverseTrees = ["in-addr.arpa.", "ip6.arpa."].compactMap { try? Name($0) }

    private var target: Name { Name(buffer) }

    /// Whether what was just looked up may be missing only because its zone has errors.
    private func isUncertain(_ found: Lookup) -> Bool {
        guard !faulty.isEmpty else { return false }
        var ancestor: Name? = target
        while let name = ancestor, name.labelCount >= Int(found.apexLabels) {
            if faulty.contains(name) { return true }
            ancestor = name.parent
        }
        return false
    }

    private func ends(with name: Name) -> Bool {
        let start = buffer.length - name.wire.count
        guard start >= 0, buffer.suffix(from: start, equals: name.wire.span, at: 0) else {
            return false
        }
        return target.isSubdomain(of: name)
    }
}

// MARK: - Names that are not what was meant

extension TargetChecks {
    /// Reports a target that the zone's name was put behind though it was written in full.
    private mutating func isWithoutFinalDot(_ record: Int, _ type: RecordType) -> Bool {
        if let repeatedApex, ends(with: repeatedApex) {
            diagnostics.warning(
                at: records.position(at: record),
                "\(type) points at \(target), which ends in the zone's name twice; end the name as "
                    + "written with a final dot (RFC 1035, section 5.1)")
            return true
        }
        guard type == .ptr, isReverse, ends(with: apex) else { return false }
        diagnostics.warning(
            at: records.position(at: record),
            "PTR points at \(target), among the addresses; end the host's name with a final dot "
                + "(RFC 1035, section 5.1)")
        return true
    }

    /// Whether the name begins as an address is written: four labels that are numbers up to 255, or
    /// one with two colons; and then ends or goes on in the zone itself.
    private var looksLikeAddress: Bool {
        let name = buffer.span
        let first = 1..<1 + Int(name[0])
        if first.count(where: { name[$0] == 0x3A }) > 1 { return true }
        guard first.allSatisfy({ name[$0] &- 0x30 < 10 }) else { return false }
        let labels = target.labels
        guard labels.count >= 4 else { return false }
        let areNumbers = labels.prefix(4).allSatisfy {
            $0.count <= 3 && UInt8(String(decoding: $0, as: UTF8.self)) != nil
        }
        return areNumbers && (labels.count == 4 || !isReverse && ends(with: apex))
    }

    private mutating func reportAddress(_ record: Int, _ type: RecordType) {
        let cure =
            switch type {
            case .cname: "write A or AAAA in place of CNAME"
            default: "give that host a name with an A or AAAA record, and name it here"
            }
        diagnostics.error(
            at: records.position(at: record),
            "\(type) takes a name, and \(target) looks like an address; \(cure) "
                + "(RFC 1035, section 3.3)")
    }
}

// MARK: - Hosts

extension TargetChecks {
    /// A name server, mail host or service host has addresses and is no alias (RFC 2181, section 10.3;
    /// RFC 2782).
    private mutating func checkHost(_ record: Int, _ type: RecordType) {
        let a = zones.lookup(buffer, type: .a)
        let isExact = !a.isSynthesised && [.answer, .steered, .nodata].contains(a.outcome)
        if !isExact, looksLikeAddress {
            reportAddress(record, type)
            return
        }
        switch a.outcome {
        case .cname, .dname:
            diagnostics.warning(
                at: records.position(at: record),
                "\(type) points at \(target), which is an alias "
                    + "(\(a.outcome == .cname ? "CNAME" : "below a DNAME")); many refuse that, so name "
                    + "the alias's target "
                    + (type == .srv ? "(RFC 2782)" : "(RFC 2181, section 10.3)"))
        case .nxdomain where !isUncertain(a):
            reportMissing(record, type)
        case .steered where type == .ns:
            diagnostics.warning(
                at: records.position(at: record),
                "NS points at \(target), whose addresses differ by client (STEER), so that resolvers may "
                    + "come to a server that has not this zone; give name servers fixed addresses")
        case .nodata where zones.lookup(buffer, type: .aaaa).outcome == .nodata && !isUncertain(a):
            reportNoAddress(record, type)
        case .steered:
            if steered.count < SteerReference.maximumUses {
                steered.append(
                    SteeredHost(
                        type: type, target: target, position: records.position(at: record),
                        steer: a.steer))
            }
            checkCharacters(record, type)
        default: checkCharacters(record, type)
        }
    }

    private mutating func reportMissing(_ record: Int, _ type: RecordType) {
        diagnostics.warning(
            at: records.position(at: record),
            "\(type) points at \(target), which does not exist; add its A or AAAA record, or check "
                + "the final dot")
    }

    private mutating func reportNoAddress(_ record: Int, _ type: RecordType) {
        diagnostics.warning(
            at: records.position(at: record),
            "\(type) points at \(target), which has no A or AAAA record; add one")
    }

    private mutating func checkCharacters(_ record: Int, _ type: RecordType) {
        guard !isHostName(buffer.span) else { return }
        diagnostics.warning(
            at: records.position(at: record),
            "\(type) points at \(target), but no host can have that name; use letters, digits and "
                + "hyphens (RFC 1123, section 2.1)")
    }

    /// The target of a service has addresses; that of an alias exists (RFC 9460, section 2.4).
    private mutating func checkService(_ record: Int, _ type: RecordType, isAlias: Bool) {
        let a = zones.lookup(buffer, type: .a)
        guard !isUncertain(a) else { return }
        if a.outcome == .nxdomain {
            reportMissing(record, type)
        } else if !isAlias, a.outcome == .nodata,
            zones.lookup(buffer, type: .aaaa).outcome == .nodata
        {
            reportNoAddress(record, type)
        }
    }
}

// MARK: - Aliases

extension TargetChecks {
    /// A chain of aliases leads to something, ends, and soon.
    private mutating func checkAlias(_ record: Int, _ type: RecordType) {
        let a = zones.lookup(buffer, type: .a)
        if a.outcome == .nxdomain {
            if type == .cname, looksLikeAddress {
                reportAddress(record, type)
            } else if !isUncertain(a), !isMadeOnDemand(record) {
                diagnostics.warning(
                    at: records.position(at: record),
                    "\(type) points at \(target), which does not exist; add it, or check the final dot"
                )
            }
            return
        }
        if type == .cname, a.outcome != .cname, a.outcome != .dname { return }
        guard load(records.owner(at: record), type) else { return }
        followChain(record, type)
    }

    /// Certificates are proved by names that exist while they are proved (RFC 8555, section 8.4).
    private func isMadeOnDemand(_ record: Int) -> Bool {
        records.owner(at: record).labels.first?.elementsEqual("_acme-challenge".utf8) == true
    }

    /// Loads the name by which the walk begins: that of a CNAME, or one below a DNAME.
    private mutating func load(_ owner: Name, _ type: RecordType) -> Bool {
        let start = type == .dname ? owner.prepending(label: "x".utf8) : owner
        guard let start else { return false }
        return buffer.load(start.wire.span, at: 0) != nil
    }

    private mutating func followChain(_ record: Int, _ type: RecordType) {
        let zones = zones
        var visited: [Int32] = []
        while visited.count <= 2 * Self.maximumChain {
            let found = zones.lookup(buffer, type: .a)
            guard found.outcome == .cname || found.outcome == .dname else {
                // Of a longer chain the alias is told that is this far from its end.
                if visited.count == Self.maximumChain + 1 { reportChain(record, type) }
                return
            }
            if let start = visited.firstIndex(of: found.rrset) {
                // Each loop is told once: at the first of its records that was compiled.
                guard visited[start...].min() == visited.first else { return }
                let others = visited.count - 1
                diagnostics.warning(
                    at: records.position(at: record),
                    "the \(type) of \(records.owner(at: record)) leads back to itself"
                        + (others > 0 ? " over \(others) other\(others > 1 ? "s" : "")" : "")
                        + "; point one of them at a name with addresses")
                return
            }
            visited.append(found.rrset)
            guard zones.follow(found, &buffer) else { return }
        }
        // So long that it may be a loop.
        reportChain(record, type)
    }

    private mutating func reportChain(_ record: Int, _ type: RecordType) {
        diagnostics.warning(
            at: records.position(at: record),
            "the \(type) of \(records.owner(at: record)) begins a chain of more than \(Self.maximumChain) aliases, "
                + "which resolvers may not follow (RFC 1034, section 3.6.2); point it nearer to the end"
        )
    }
}
