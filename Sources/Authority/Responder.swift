// Query in, answer out: the whole way of a query, top to bottom.
//
//   1 accept   2 client   3 class   4-5 zone and lookup   6 steer   7 write   8 options   9 fit
//
// What the zones say is written by ZoneAnswers.swift, what a service decides by SteeredAnswers.swift, OPT by
// AnswerOptions.swift.
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

    var query = Query()
    /// The name that the chain has come to.
    var target = NameBuffer()
    var chain = AliasChain()
    /// What the query's cookie showed; the verdict is for limits that spare clients who are where they
    /// say, too. Kept here as a copy of it in `Verdict` costs every query.
    var cookie = CookieReply()
    var random: RandomBits
    var hints = AddressHints()

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
    func isAnsweredApart(_ hop: Int) -> Bool {
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
}
