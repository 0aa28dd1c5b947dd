// The end of an answer, OPT and TSIG, and the options of a query that decide about it: cookies (RFC 7873),
// keepalive (RFC 7828).

internal import DNSWire

extension Responder {
    /// Octets that the OPT record may need, so that no answer pushes it out.
    ///
    /// `mutating` as a borrow of the responder would be a copy of it (Swift 6.3).
    mutating func optionsLength(_ carrier: Carrier, _ snapshot: Snapshot) -> Int {
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
    mutating func judgeOptions(
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
    func answerCookie(_ verdict: inout Verdict) {
        switch cookie.verdict {
        case .clientOnly, .valid: break
        case .invalid: verdict.fail(ResponseCode.badCookie, .none)
        // Cookies are off, so there was nothing in the query.
        case .absent, .malformed: verdict.fail(ResponseCode.formatError, .none)
        }
    }

    // MARK: - The end of the message

    /// TSIG error 17: a key that is not known (RFC 8945, section 3).
    private static let badKey: UInt16 = 17

    @inline(never)
    func writeSignature(_ writer: inout MessageWriter, _ packet: Span<UInt8>) {
        guard let signature = query.signature else { return }
        writer.appendUnsignedError(Self.badKey, to: signature, of: packet)
    }

    func writeOptions(
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
