// The end of an answer: OPT with its options, and the TSIG record of an error.

extension MessageWriter {
    /// Begins the OPT record in the reserved space (RFC 6891, section 6.1.2) and returns where its
    /// options begin, for `finishOptions`.
    ///
    /// - Parameters:
    ///   - reserved: what `init` kept back, so that it can be used now.
    ///   - extendedCode: the response code's upper eight bits.
    @_lifetime(self: copy self)
    public mutating func beginOPT(
        reserved: Int, payloadSize: UInt16, extendedCode: UInt8, dnssecOK: Bool
    ) -> Int {
        limit += reserved
        // The root; then type, payload size, upper code, version 0 and flags; then no data yet.
        putUInt8(0)
        putUInt64(
            UInt64(RecordType.opt.code) << 48 | UInt64(payloadSize) << 32
                | UInt64(extendedCode) << 24 | (dnssecOK ? 0x8000 : 0))
        putUInt16(0)
        additionalCount += 1
        return length
    }

    /// Appends one option with the given data.
    @_lifetime(self: copy self)
    public mutating func appendOption(_ code: UInt16, _ data: Span<UInt8>) {
        putUInt16(code)
        putUInt16(UInt16(truncatingIfNeeded: data.count))
        put(data, from: 0, count: data.count)
    }

    /// Appends the ECS option of a response: the query's family, length and address, and the scope
    /// (RFC 7871, section 7.2.1).
    @_lifetime(self: copy self)
    public mutating func appendSubnet(_ subnet: ClientSubnet, scope: UInt8) {
        let count = subnet.addressOctets
        putUInt64(
            UInt64(EDNSOption.clientSubnet) << 48 | UInt64(4 + count) << 32
                | UInt64(subnet.family) << 16 | UInt64(subnet.sourceLength) << 8 | UInt64(scope))
        var (word, next) = (subnet.address.high, subnet.address.low)
        for index in 0..<count {
            if index == 8 { swap(&word, &next) }
            putUInt8(UInt8(truncatingIfNeeded: word >> 56))
            word &<<= 8
        }
    }

    /// Appends the COOKIE option of a response: the client's cookie and this server's two halves
    /// (RFC 7873, section 4).
    @_lifetime(self: copy self)
    public mutating func appendCookie(client: UInt64, serverHigh: UInt64, serverLow: UInt64) {
        putUInt16(EDNSOption.cookie)
        putUInt16(24)
        putUInt64(client)
        putUInt64(serverHigh)
        putUInt64(serverLow)
    }

    /// Appends the idle timeout of a TCP connection, in units of 100 milliseconds (RFC 7828, section
    /// 3.1).
    @_lifetime(self: copy self)
    public mutating func appendKeepalive(_ timeout: UInt16) {
        putUInt16(EDNSOption.keepalive)
        putUInt16(2)
        putUInt16(timeout)
    }

    /// Appends an extended DNS error without text (RFC 8914).
    @_lifetime(self: copy self)
    public mutating func appendExtendedError(_ code: UInt16) {
        putUInt16(EDNSOption.extendedError)
        putUInt16(2)
        putUInt16(code)
    }

    /// Closes the OPT record that began its options at `start`.
    @_lifetime(self: copy self)
    public mutating func finishOptions(from start: Int) {
        patchUInt16(UInt16(truncatingIfNeeded: length - start), at: start - 2)
    }

    /// Appends the TSIG record of an unsigned error: the query's, with an empty MAC (RFC 8945, section
    /// 5.3.2). Comes last, after OPT; nothing is written where it doesn't fit.
    ///
    /// - Parameters:
    ///   - signature: where the query's record lies in `packet`.
    ///   - error: what is wrong with it.
    @_lifetime(self: copy self)
    public mutating func appendUnsignedError(
        _ error: UInt16, to signature: SignatureRecord, of packet: Span<UInt8>
    ) {
        let nameLength = signature.nameEnd - signature.start
        let dataStart = signature.nameEnd + 10
        // Algorithm, time and fudge as they came; then four numbers.
        let kept = signature.algorithmEnd + 8 - dataStart
        guard length + nameLength + 10 + kept + 8 <= limit else { return }
        put(packet, from: signature.start, count: nameLength)
        // Type, class and TTL.
        put(packet, from: signature.nameEnd, count: 8)
        putUInt16(UInt16(truncatingIfNeeded: kept + 8))
        put(packet, from: dataStart, count: kept)
        putUInt16(0)
        putUInt16(signature.originalID)
        putUInt16(error)
        putUInt16(0)
        additionalCount += 1
    }
}
