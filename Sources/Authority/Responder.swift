// Query in, answer out: the whole way of a query, top to bottom.
//
//   1 accept   2 client   3 class   4-5 zone and lookup   6 steer   7 write   8 options   9 fit
//
// Plain calls in fixed order on one thread: no lock, no allocation, no reference counting. What to
// answer is decided by `ZoneSet.lookup` and `SteeringState.decide`; this file only writes it down.

internal import DNSWire
internal import Steering
internal import Zones

/// One worker's way from a query to its answer, with the space it reuses for every query.
public struct Responder: ~Copyable {
    /// The largest answer ever written, in octets: what TCP's length field can say.
    public static let maximumAnswerLength = 65_535
    /// The longest chain of CNAME and DNAME that is followed inside the zones served here. Resolvers
    /// give up at about as many; what is left of the chain they ask for themselves.
    static let aliasLimit = 12

    private var query = Query()
    /// The name that the chain has come to.
    private var target = NameBuffer()
    private var chain = AliasChain()
    /// What the query's cookie showed; the verdict is for limits that spare clients who are where they
    /// say, too. Kept here as a copy of it in `Verdict` costs every query.
    private var cookie = CookieReply()
    private var random: RandomBits
    private var hints = AddressHints()

    /// - Parameter seed: starts this worker's random numbers (weighted draws).
    public init(seed: UInt64) {
        random = RandomBits(seed: seed)
    }

    /// Answers one message and returns the answer's length in octets; 0 means "send nothing".
    ///
    /// - Parameters:
    ///   - packet: the message as received, without TCP's length.
    ///   - arrival: how and from whom it came.
    ///   - answer: where the answer goes; 65,535 octets for TCP, for UDP as many as the snapshot's
    ///     answers may have.
    public mutating func respond(
        to packet: Span<UInt8>, _ arrival: Arrival, with snapshot: Snapshot,
        into answer: inout MutableSpan<UInt8>
    ) -> Int {
        var status = query.read(packet)
        if status == .ignore { return 0 }
        var verdict = Verdict()
        cookie.verdict = .absent
        if query.hasCookie || query.hasKeepalive { judgeOptions(arrival, snapshot, &status) }
        let reserved = optionsLength(arrival.carrier, snapshot)
        let limit = min(answer.count, messageLimit(arrival.carrier, snapshot))
        // Safe: octets are trivial, and the writer checks every range.
        var writer = MessageWriter(
            unsafe answer.mutableBytes, replyingTo: packet, questionEnd: query.questionEnd,
            limit: limit, reserving: reserved)
        switch status {
        case .query:
            switch query.recordClass {
            case 1: answerInternet(&writer, &verdict, arrival.source, snapshot, snapshot.zones)
            case 3: answerChaos(&writer, &verdict, snapshot)
            default: verdict.refuse(.notSupported)
            }
        case .cookieOnly: answerCookie(&verdict)
        case .unknownOpcode: verdict.fail(ResponseCode.notImplemented, .notSupported)
        case .unknownKey: verdict.fail(ResponseCode.notAuthoritative, .none)
        case .unknownVersion: verdict.fail(ResponseCode.badVersion, .none)
        case .malformed, .ignore: verdict.fail(ResponseCode.formatError, .none)
        }
        if query.hasEDNS { writeOptions(&writer, verdict, arrival, reserved: reserved, snapshot) }
        if status == .unknownKey { writeSignature(&writer, packet) }
        return writer.finish(
            flags: verdict.flags(packet), questions: query.questionEnd > 12 ? 1 : 0)
    }

    // MARK: - Limits

    /// How long the answer may be (RFC 6891, section 6.2.3; RFC 1035, section 4.2.1).
    private func messageLimit(_ carrier: Carrier, _ snapshot: Snapshot) -> Int {
        if carrier == .tcp { return Self.maximumAnswerLength }
        guard query.hasEDNS else { return 512 }
        return min(max(512, Int(query.payloadSize)), snapshot.datagramLength)
    }

    /// Octets that the OPT record may need, so that no answer pushes it out.
    private func optionsLength(_ carrier: Carrier, _ snapshot: Snapshot) -> Int {
        guard query.hasEDNS else { return 0 }
        // An extended error needs no room: it goes with answers that have no records.
        var length = 11
        if query.hasSubnet { length += 8 + query.subnet.addressOctets }
        if query.wantsNSID { length += 4 + snapshot.content.identity.count }
        if hasCookie { length += 28 }
        if query.hasKeepalive, carrier == .tcp { length += 6 }
        return length
    }

    /// Judges the options whose rules depend on settings or the carrier.
    @inline(never)
    private mutating func judgeOptions(
        _ arrival: Arrival, _ snapshot: Snapshot, _ status: inout QueryStatus
    ) {
        if query.hasCookie, let secrets = snapshot.cookies {
            cookie = secrets.judge(query.cookie, from: arrival.source, at: arrival.time)
        }
        let isMisused =
            cookie.verdict == .malformed
            || query.hasKeepalive && query.hasKeepaliveTimeout && arrival.carrier == .tcp
        if isMisused, status == .query || status == .cookieOnly { status = .malformed }
    }

    /// Whether the answer has a cookie.
    private var hasCookie: Bool { cookie.verdict.rawValue > CookieVerdict.malformed.rawValue }

    /// Answers a query that asks for a server cookie alone (RFC 7873, section 5.4).
    private func answerCookie(_ verdict: inout Verdict) {
        switch cookie.verdict {
        case .clientOnly, .valid: break
        case .invalid: verdict.fail(ResponseCode.badCookie, .none)
        // Cookies are off, so there was nothing in the query.
        case .absent, .malformed: verdict.fail(ResponseCode.formatError, .none)
        }
    }

    // MARK: - Class IN

    /// Looks the name up and writes what was found, following aliases as far as the zones here go.
    @inline(__always)
    private mutating func answerInternet(
        _ writer: inout MessageWriter, _ verdict: inout Verdict, _ source: IPAddress,
        _ snapshot: Snapshot, _ zones: ZoneSet
    ) {
        let type = query.type
        let kind = QuestionKind(type)
        guard kind == .data else { return turnDown(kind, &verdict, zones) }
        if type == .txt, isExplained(&writer, &verdict, source, snapshot) { return }
        var lookup = zones.lookup(query.name, type: type)
        var owner = MessageWriter.questionPointer
        verdict.isAuthoritative = true
        for hop in 0... {
            switch lookup.outcome {
            case .notAuthoritative:
                // Beyond the question itself: the chain leaves what is served here, which is its end.
                if hop == 0 { verdict.refuse(.notAuthoritative) }
                return
            case .answer:
                // What was asked for is a DNAME that the chain went by: it is written already.
                if hop > 0, !lookup.isSynthesised, chain.holds(lookup.rrset) { return }
                let rrset = zones.rrset(lookup.rrset)
                guard rrset.layout != .automaticHints else {
                    return steerBindings(
                        rrset, owner, hop, &writer, &verdict, source, snapshot, zones)
                }
                return write(rrset, owner, &writer, &verdict, zones)
            // An alias answers every type, of which the zones alone say NODATA.
            case .steered,
                .nodata where snapshot.content.isAlias(lookup):
                if isAnsweredApart(hop) { return }
                guard snapshot.content.isAlias(lookup) else {
                    return steer(lookup, owner, hop, &writer, &verdict, source, snapshot)
                }
                guard hop < Self.aliasLimit,
                    let next = alias(lookup, owner, hop, &writer, &verdict, source, snapshot),
                    // ANY gets one RRset of the name, which a CNAME is (RFC 8482, section 4.1).
                    type != .cname, type != .any, chain.isNew(owner: next),
                    // A CNAME of this client's network stands alone (RFC 7871, section 7.2.1).
                    !query.hasSubnet || verdict.answeredScope(query) == 0
                else { return }
                owner = next
                lookup = zones.lookup(target, type: type)
            case .nodata, .nxdomain:
                return deny(lookup, hop, &writer, &verdict, zones)
            case .referral:
                return refer(lookup, hop, &writer, &verdict, zones)
            case .cname, .dname:
                guard hop < Self.aliasLimit else { return }
                guard let next = follow(lookup, owner, hop, &writer, &verdict, zones) else {
                    return
                }
                // The CNAME that a DNAME made is what was asked for, as NSD and BIND have it. ANY
                // goes on from there (RFC 6672, section 3.2); it never comes to a CNAME of a zone.
                guard type != .cname else { return }
                // The target was an owner before: the loop is closed, and all of it written.
                guard chain.isNew(owner: next) else { return }
                owner = next
                lookup = zones.lookup(target, type: type)
            }
        }
    }

    /// Whether what depends on the client is left to a question of its own: aliases are the same for all
    /// clients, and are kept as such (RFC 7871, section 7.2.1).
    private func isAnsweredApart(_ hop: Int) -> Bool {
        hop > 0 && query.hasSubnet && query.subnet.sourceLength > 0
    }

    /// Says why a question about no data gets none.
    private func turnDown(_ kind: QuestionKind, _ verdict: inout Verdict, _ zones: ZoneSet) {
        switch kind {
        // RFC 9824, section 3.5, for NXNAME, and for all types like it.
        case .invalid: verdict.fail(ResponseCode.formatError, .invalidQueryType)
        case .transfer:
            let apex = zones.lookup(query.name, type: .soa)
            guard apex.outcome == .answer, !apex.isSynthesised else {
                // Not the name of a zone here (RFC 5936, section 2.2.1).
                return verdict.fail(ResponseCode.notAuthoritative, .notAuthoritative)
            }
            verdict.refuse(.prohibited)
        case .unsupported, .data: verdict.fail(ResponseCode.notImplemented, .notSupported)
        }
    }

    /// Decides for this client and writes the addresses: all of them, or none and TC.
    private mutating func steer(
        _ lookup: Lookup, _ owner: UInt16, _ hop: Int, _ writer: inout MessageWriter,
        _ verdict: inout Verdict, _ source: IPAddress, _ snapshot: Snapshot
    ) {
        let state = snapshot.steering
        let decision = state.decide(
            service: snapshot.content.service(at: lookup.steer), client: client(source),
            random: random.next())
        // ANY gets one RRset of those there are (RFC 8482, section 4.1).
        let isIPv6 = query.type == .aaaa || query.type == .any && decision.ipv4.isEmpty
        let family: IPAddress.Family = isIPv6 ? .ipv6 : .ipv4
        let range = family == .ipv6 ? decision.ipv6 : decision.ipv4
        guard range.count > 0 else {
            if decision.reason == .failure,
                query.type == .any || state.steering.serves(decision.service, family)
            {
                // As the service wants it: another name server may know an origin that works. After an
                // alias the alias alone is answered, and this when its target is asked for.
                return hop > 0 ? () : verdict.fail(ResponseCode.serverFailure, .other)
            }
            // No pool of the service has this family: the same for every client, so scope 0.
            return deny(lookup, hop, &writer, &verdict, snapshot.zones)
        }
        verdict.scope = decision.scope
        let ttl = ttl(of: decision, orElse: lookup.steerTTL, state)
        if decision.hasSeveralRuns {
            let runs = state.runs(decision, family)
            guard writer.hasRoom(forRecords: runs.addressCount, ofData: family == .ipv6 ? 16 : 4)
            else {
                verdict.isTruncated = true
                return
            }
            for run in 0..<runs.count {
                append(runs[run], family, ttl, owner, state, &writer)
            }
            return
        }
        guard writer.hasRoom(forRecords: Int(range.count), ofData: family == .ipv6 ? 16 : 4) else {
            verdict.isTruncated = true
            return
        }
        append(range, family, ttl, owner, state, &writer)
    }

    /// Decides for this client and writes SVCB or HTTPS records whose hints are its addresses: those that
    /// A and AAAA would carry, both families of one draw.
    @inline(never)
    private mutating func steerBindings(
        _ rrset: RRset, _ owner: UInt16, _ hop: Int, _ writer: inout MessageWriter,
        _ verdict: inout Verdict, _ source: IPAddress, _ snapshot: Snapshot, _ zones: ZoneSet
    ) {
        if isAnsweredApart(hop) { return }
        let hintSource = zones.hintSource(of: rrset)
        let state = snapshot.steering
        let decision = state.decide(
            service: snapshot.content.service(at: hintSource.steer), client: client(source),
            random: random.next())
        if decision.reason == .failure {
            // As for the addresses.
            return hop > 0 ? () : verdict.fail(ResponseCode.serverFailure, .other)
        }
        verdict.scope = decision.scope
        fillHints(decision, state)
        if rrset.additionalCount > 0 { writer.registerQuestion(query.name) }
        guard
            writer.appendBindings(
                zones.octets, from: rrset.blockStart, count: rrset.blockLength,
                records: Int(rrset.recordCount),
                ttl: min(rrset.ttl, ttl(of: decision, orElse: hintSource.steerTTL, state)),
                owner: owner, hints: hints
            )
        else {
            verdict.isTruncated = true
            return
        }
        writeAdditional(of: rrset, owner, &writer, zones)
    }

    private mutating func fillHints(_ decision: Decision, _ state: SteeringState) {
        hints.removeAll()
        guard decision.hasSeveralRuns else {
            for index in decision.ipv4.indices { hints.append(state.ipv4Address(index)) }
            for index in decision.ipv6.indices { hints.append(state.ipv6Address(index)) }
            return
        }
        let (ipv4, ipv6) = (state.runs(decision, .ipv4), state.runs(decision, .ipv6))
        for run in 0..<ipv4.count {
            for index in ipv4[run].indices { hints.append(state.ipv4Address(index)) }
        }
        for run in 0..<ipv6.count {
            for index in ipv6[run].indices { hints.append(state.ipv6Address(index)) }
        }
    }

    /// The TTL of what was decided: the service's, or else the STEER record's.
    @inline(__always)
    private func ttl(
        of decision: Decision, orElse stated: UInt32, _ state: SteeringState
    ) -> UInt32 {
        decision.hasTTL ? state.ttl(of: decision) ?? stated : stated
    }

    /// Decides for this client, writes the CNAME to the host chosen, and loads its name; nil ends the chain.
    ///
    /// Returns the pointer to the host's name in the message. Never inlined, so that answers without it
    /// don't pay for its registers.
    @inline(never)
    private mutating func alias(
        _ lookup: Lookup, _ owner: UInt16, _ hop: Int, _ writer: inout MessageWriter,
        _ verdict: inout Verdict, _ source: IPAddress, _ snapshot: Snapshot
    ) -> UInt16? {
        let state = snapshot.steering
        let decision = state.decide(
            service: snapshot.content.service(at: lookup.steer), client: client(source),
            random: random.next())
        guard decision.host >= 0 else {
            // All down, and the service wants an error; after an alias as in `steer`.
            if hop == 0 { verdict.fail(ResponseCode.serverFailure, .other) }
            return nil
        }
        verdict.scope = decision.scope
        writer.registerQuestion(query.name)
        if hop == 0 { chain.removeAll() }
        _ = chain.add(owner: owner, rrset: -1)
        state.loadHost(decision.host, into: &target)
        guard
            writer.appendAlias(
                ttl: ttl(of: decision, orElse: lookup.steerTTL, state), target: target,
                owner: owner, section: .answer)
        else {
            verdict.isTruncated = true
            return nil
        }
        return writer.lastName == 0 ? nil : writer.lastName
    }

    /// Appends a run of addresses, for which there is room.
    @inline(__always)
    private func append(
        _ range: AddressRange, _ family: IPAddress.Family, _ ttl: UInt32, _ owner: UInt16,
        _ state: SteeringState, _ writer: inout MessageWriter
    ) {
        for index in range.indices {
            if family == .ipv6 {
                writer.appendAAAA(state.ipv6Address(index), ttl: ttl, owner: owner)
            } else {
                writer.appendA(state.ipv4Address(index), ttl: ttl, owner: owner)
            }
        }
    }

    /// Answers why a client gets its answer, for `_explain.` before a steered name and for those who may
    /// ask (`AnswerSettings.explainers`); false for all else, which is answered as the zone has it.
    ///
    /// The one answer that allocates: it is for people.
    @inline(never)
    private mutating func isExplained(
        _ writer: inout MessageWriter, _ verdict: inout Verdict, _ source: IPAddress,
        _ snapshot: Snapshot
    ) -> Bool {
        let label: StaticString = "\u{8}_explain"
        guard query.name.begins(with: label),
            snapshot.content.explainers.contains(where: { $0.contains(source) })
        else { return false }
        var name = NameBuffer()
        guard name.load(query.name.span, at: label.utf8CodeUnitCount) != nil else { return false }
        let lookup = snapshot.zones.lookup(name, type: .a)
        guard lookup.outcome == .steered else { return false }
        let explanation = snapshot.explain(
            lookup, client: client(source), random: random.next())
        verdict.isAuthoritative = true
        verdict.scope = explanation.decision.scope
        let lines = explanation.text.split(separator: "\n").map { Array($0.utf8.prefix(255)) }
        let octets = lines.reduce(0) { $0 + $1.count + 13 }
        guard writer.hasRoom(forRecords: 1, ofData: octets - 12) else {
            verdict.isTruncated = true
            return true
        }
        for line in lines { _ = writer.appendText(line.span, recordClass: 1, ttl: 0) }
        return true
    }

    /// Who is steered: the ECS prefix if the resolver disclosed one, else the resolver.
    private func client(_ source: IPAddress) -> Client {
        guard query.hasSubnet, query.subnet.sourceLength > 0 else { return Client(source) }
        return Client(
            query.subnet.address, knownBits: query.subnet.sourceLength, resolver: source)
    }

    /// Writes an RRset that answers, and the addresses of what it points at as far as they fit.
    private func write(
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
    private func writeAdditional(
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

    private func appendAdditional(
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
            records: Int(rrset.recordCount), layout: rrset.layout, ownerName: zones.octets,
            from: start, to: start + Int(additional.targetLength), section: .additional)
    }

    /// Writes the SOA of a negative answer with its negative TTL (RFC 2308, section 3).
    ///
    /// After an alias the code speaks of the chain's last name (RFC 6604, section 3).
    private mutating func deny(
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
    private mutating func refer(
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
    private func appendGlue(
        _ index: Int32, of glue: Glue, _ zones: ZoneSet, _ writer: inout MessageWriter
    ) -> Bool {
        guard index >= 0 else { return true }
        let rrset = zones.rrset(index)
        let nameStart = Int(glue.targetStart)
        return writer.appendBlock(
            zones.octets, from: rrset.blockStart, count: rrset.blockLength,
            records: Int(rrset.recordCount), layout: rrset.layout, ownerName: zones.octets,
            from: nameStart, to: nameStart + Int(glue.targetLength), section: .additional)
    }

    /// Writes a CNAME, or a DNAME and the CNAME it makes, and loads its target; nil ends the chain.
    ///
    /// Returns the pointer to the target's name in the message.
    private mutating func follow(
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
    private func append(
        _ rrset: RRset, _ owner: UInt16, _ section: Section, _ zones: ZoneSet,
        _ writer: inout MessageWriter
    ) -> Bool {
        writer.appendBlock(
            zones.octets, from: rrset.blockStart, count: rrset.blockLength,
            records: Int(rrset.recordCount), layout: rrset.layout, owner: owner, section: section)
    }

    /// Appends an RRset owned by the last `labels` labels of the name looked up: an apex, a cut.
    private func appendUnder(
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

    // MARK: - Class CH

    /// Answers who and what this server is (RFC 4892, section 2); other names are refused.
    private func answerChaos(
        _ writer: inout MessageWriter, _ verdict: inout Verdict, _ snapshot: Snapshot
    ) {
        guard query.type == .txt || query.type == .any else {
            return verdict.refuse(.notSupported)
        }
        let content = snapshot.content
        let asksIdentity =
            query.name.equals(ChaosName.idServer) || query.name.equals(ChaosName.hostnameBind)
        let asksVersion =
            query.name.equals(ChaosName.versionServer) || query.name.equals(ChaosName.versionBind)
        if asksIdentity, content.identity.count > 0 {
            writeText(content.identity, &writer, &verdict)
        } else if asksVersion, content.version.count > 0 {
            writeText(content.version, &writer, &verdict)
        } else {
            verdict.refuse(.notSupported)
        }
    }

    private func writeText(
        _ text: [UInt8], _ writer: inout MessageWriter, _ verdict: inout Verdict
    ) {
        verdict.isAuthoritative = true
        verdict.isTruncated = !writer.appendText(text.span, recordClass: 3, ttl: 0)
    }

    // MARK: - The end of the message

    /// TSIG error 17: a key that is not known (RFC 8945, section 3).
    private static let badKey: UInt16 = 17

    @inline(never)
    private func writeSignature(_ writer: inout MessageWriter, _ packet: Span<UInt8>) {
        guard let signature = query.signature else { return }
        writer.appendUnsignedError(Self.badKey, to: signature, of: packet)
    }

    private func writeOptions(
        _ writer: inout MessageWriter, _ verdict: Verdict, _ arrival: Arrival, reserved: Int,
        _ snapshot: Snapshot
    ) {
        let start = writer.beginOPT(
            reserved: reserved, payloadSize: UInt16(snapshot.datagramLength),
            extendedCode: UInt8(truncatingIfNeeded: verdict.code >> 4), dnssecOK: query.dnssecOK)
        if query.hasSubnet {
            writer.appendSubnet(query.subnet, scope: verdict.answeredScope(query))
        }
        if hasCookie {
            writer.appendCookie(
                client: query.cookie.client, serverHigh: cookie.serverHigh,
                serverLow: cookie.serverLow)
        }
        if query.wantsNSID, snapshot.content.identity.count > 0 {
            let identity = snapshot.content.identity
            writer.appendOption(EDNSOption.nsid, identity.span)
        }
        if query.hasKeepalive, arrival.carrier == .tcp {
            writer.appendKeepalive(arrival.idleTimeout)
        }
        if verdict.extendedError != .none {
            writer.appendExtendedError(verdict.extendedError.rawValue)
        }
        writer.finishOptions(from: start)
    }
}

/// Names of class CH that are answered.
private enum ChaosName {
    static let idServer = Name(uncheckedWire: Array("\u{2}id\u{6}server\0".utf8))
    static let hostnameBind = Name(uncheckedWire: Array("\u{8}hostname\u{4}bind\0".utf8))
    static let versionServer = Name(uncheckedWire: Array("\u{7}version\u{6}server\0".utf8))
    static let versionBind = Name(uncheckedWire: Array("\u{7}version\u{4}bind\0".utf8))
}
