// Writes what the zones say: RRsets with their additional data, denials, referrals, aliases.

internal import DNSWire
internal import Zones

extension Responder {
    /// Writes an RRset that answers, and the addresses of what it points at as far as they fit.
    func write(
        _ rrset: RRset, _ owner: UInt16, _ writer: inout MessageWriter, _ verdict: inout Verdict,
        _ zones: ZoneSet
    ) {
        if rrset.layout != .none || rrset.additionalCount > 0 {
            writer.registerQuestion(query.name)
        }
        guard append(rrset, owner, .answer, zones, &writer) else {
            verdict.isTruncated = true
            return
        }
        writeAdditional(of: rrset, owner, &writer, zones)
    }

    @inline(__always)
    func writeAdditional(
        of rrset: RRset, _ owner: UInt16, _ writer: inout MessageWriter, _ zones: ZoneSet
    ) {
        // ANY is to be small (RFC 8482, section 4.1).
        guard rrset.additionalCount > 0, query.type != .any else { return }
        for index in zones.additional(of: rrset) {
            // Nothing is truncated by what does not fit here (RFC 2181, section 9).
            guard appendAdditional(zones.additional(at: index), owner, zones, &writer) else {
                return
            }
        }
    }

    func appendAdditional(
        _ additional: Additional, _ owner: UInt16, _ zones: ZoneSet,
        _ writer: inout MessageWriter
    ) -> Bool {
        let rrset = zones.rrset(additional.rrset)
        guard additional.targetLength > 0 else {
            return append(rrset, owner, .additional, zones, &writer)
        }
        let start = Int(additional.targetStart)
        return writer.appendBlock(
            zones.octets, from: rrset.blockStart, count: rrset.blockLength,
            records: Int(rrset.recordCount), layout: rrset.layout,
            ownerInData: start..<start + Int(additional.targetLength), section: .additional)
    }

    /// Writes the SOA of a negative answer with its negative TTL (RFC 2308, section 3).
    ///
    /// After an alias the code speaks of the chain's last name (RFC 6604, section 3).
    mutating func deny(
        _ lookup: Lookup, _ hop: Int, _ writer: inout MessageWriter, _ verdict: inout Verdict,
        _ zones: ZoneSet
    ) {
        if lookup.outcome == .nxdomain { verdict.code = ResponseCode.nameError }
        writer.registerQuestion(query.name)
        let soa = zones.rrset(lookup.soa)
        verdict.isTruncated = !appendUnder(
            labels: Int(lookup.apexLabels), hop, soa, .authority, zones, &writer)
    }

    /// Writes the NS RRset of a zone cut and the addresses that it can't be reached without.
    mutating func refer(
        _ lookup: Lookup, _ hop: Int, _ writer: inout MessageWriter, _ verdict: inout Verdict,
        _ zones: ZoneSet
    ) {
        // AA speaks of the question's name, which an alias before the cut has answered.
        if hop == 0 { verdict.isAuthoritative = false }
        writer.registerQuestion(query.name)
        guard
            appendUnder(
                labels: Int(lookup.ownerLabels), hop, zones.rrset(lookup.rrset), .authority, zones,
                &writer)
        else {
            verdict.isTruncated = true
            return
        }
        for index in zones.glue(of: lookup) {
            let glue = zones.glue(at: index)
            let isWhole =
                appendGlue(glue.a, of: glue, zones, &writer)
                && appendGlue(glue.aaaa, of: glue, zones, &writer)
            // Glue that the referral is useless without has to be whole (RFC 9471, section 3.1).
            if !isWhole, glue.isRequired { verdict.isTruncated = true }
            if !isWhole { return }
        }
    }

    /// Appends one address RRset of a name server; true if there is none to append.
    func appendGlue(
        _ index: Int32, of glue: Glue, _ zones: ZoneSet, _ writer: inout MessageWriter
    ) -> Bool {
        guard index >= 0 else { return true }
        let rrset = zones.rrset(index)
        let nameStart = Int(glue.targetStart)
        return writer.appendBlock(
            zones.octets, from: rrset.blockStart, count: rrset.blockLength,
            records: Int(rrset.recordCount), layout: rrset.layout,
            ownerInData: nameStart..<nameStart + Int(glue.targetLength), section: .additional)
    }

    /// Writes a CNAME, or a DNAME and the CNAME it makes, and loads its target; nil ends the chain.
    ///
    /// Returns the pointer to the target's name in the message.
    mutating func follow(
        _ lookup: Lookup, _ owner: UInt16, _ hop: Int, _ writer: inout MessageWriter,
        _ verdict: inout Verdict, _ zones: ZoneSet
    ) -> UInt16? {
        writer.registerQuestion(query.name)
        if hop == 0 { chain.removeAll() }
        let isWritten = chain.add(owner: owner, rrset: lookup.rrset)
        let rrset = zones.rrset(lookup.rrset)
        let dataStart = rrset.blockStart + 12
        if lookup.outcome == .cname {
            guard append(rrset, owner, .answer, zones, &writer) else {
                verdict.isTruncated = true
                return nil
            }
            guard target.load(zones.octets, at: dataStart) != nil else { return nil }
            return writer.lastName == 0 ? nil : writer.lastName
        }
        // A DNAME that the chain comes to again stands in the answer already.
        guard
            isWritten
                || appendUnder(
                    labels: Int(lookup.ownerLabels), hop, rrset, .answer, zones, &writer)
        else {
            verdict.isTruncated = true
            return nil
        }
        if hop == 0 { target.copy(query.name) }
        let kept = target.labelCount - Int(lookup.ownerLabels)
        guard target.replaceSuffix(keeping: kept, with: zones.octets, at: dataStart) else {
            // The new name would be longer than a name can be (RFC 6672, section 2.2).
            verdict.code = ResponseCode.yxdomain
            return nil
        }
        // The synthesised CNAME's TTL is the DNAME's (RFC 6672, section 3.1).
        guard writer.appendAlias(ttl: rrset.ttl, target: target, owner: owner, section: .answer)
        else {
            verdict.isTruncated = true
            return nil
        }
        return writer.lastName == 0 ? nil : writer.lastName
    }

    // MARK: - Writing RRsets

    /// Appends an RRset whose owner stands in the message already.
    func append(
        _ rrset: RRset, _ owner: UInt16, _ section: Section, _ zones: ZoneSet,
        _ writer: inout MessageWriter
    ) -> Bool {
        writer.appendBlock(
            zones.octets, from: rrset.blockStart, count: rrset.blockLength,
            records: Int(rrset.recordCount), layout: rrset.layout, owner: owner, section: section)
    }

    /// Appends an RRset owned by the last `labels` labels of the name looked up: an apex, a cut.
    func appendUnder(
        labels: Int, _ hop: Int, _ rrset: RRset, _ section: Section, _ zones: ZoneSet,
        _ writer: inout MessageWriter
    ) -> Bool {
        if hop == 0 {
            let start = query.name.start(ofSuffixWithLabels: labels)
            if labels > 0 {
                return append(rrset, 0xC000 | UInt16(12 + start), section, zones, &writer)
            }
        }
        let name = hop == 0 ? query.name.span : target.span
        let start =
            hop == 0
            ? query.name.start(ofSuffixWithLabels: labels)
            : target.start(ofSuffixWithLabels: labels)
        return writer.appendBlock(
            zones.octets, from: rrset.blockStart, count: rrset.blockLength,
            records: Int(rrset.recordCount), layout: rrset.layout, ownerName: name, from: start,
            to: name.count, section: section)
    }
}
