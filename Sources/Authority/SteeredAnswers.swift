// Writes what a service decides for a client: addresses, the CNAME of a host, hints of SVCB and HTTPS
// records, and why.

internal import DNSWire
internal import Steering
internal import Zones

extension Responder {
    /// Decides for this client and writes the addresses: all of them, or none and TC.
    mutating func steer(
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
    mutating func steerBindings(
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

    mutating func fillHints(_ decision: Decision, _ state: SteeringState) {
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
    func ttl(
        of decision: Decision, orElse stated: UInt32, _ state: SteeringState
    ) -> UInt32 {
        decision.hasTTL ? state.ttl(of: decision) ?? stated : stated
    }

    /// Decides for this client, writes the CNAME to the host chosen, and loads its name; nil ends the chain.
    ///
    /// Returns the pointer to the host's name in the message. Never inlined, so that answers without it
    /// don't pay for its registers.
    @inline(never)
    mutating func alias(
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
    func append(
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
    mutating func isExplained(
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
    func client(_ source: IPAddress) -> Client {
        guard query.hasSubnet, query.subnet.sourceLength > 0 else { return Client(source) }
        return Client(
            query.subnet.address, knownBits: query.subnet.sourceLength, resolver: source)
    }
}
