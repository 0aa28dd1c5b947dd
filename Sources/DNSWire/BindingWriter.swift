// SVCB and HTTPS records whose address hints are those of one client: the one kind of record data that is
// put together for each answer (RFC 9460, section 7.3).

/// The addresses that one client gets, for the hints of SVCB and HTTPS records.
public struct AddressHints: Sendable {
    /// Addresses of one family: as many as an answer with A or AAAA may have.
    public static let limit = 32
    /// What all hints of one record may take, without their keys and lengths.
    public static let maximumOctets = limit * (4 + 16)

    fileprivate private(set) var ipv4 = InlineArray<32, UInt32>(repeating: 0)
    fileprivate private(set) var ipv6 = InlineArray<64, UInt64>(repeating: 0)
    fileprivate private(set) var ipv4Count = 0
    fileprivate private(set) var ipv6Count = 0

    public init() {}

    public mutating func removeAll() {
        ipv4Count = 0
        ipv6Count = 0
    }

    /// Adds an IPv4 address, 32 bits in host order; past the limit it is passed over.
    public mutating func append(_ address: UInt32) {
        guard ipv4Count < Self.limit else { return }
        ipv4[ipv4Count] = address
        ipv4Count += 1
    }

    /// Adds an IPv6 address, its two halves in host order; past the limit it is passed over.
    public mutating func append(_ address: (high: UInt64, low: UInt64)) {
        guard ipv6Count < Self.limit else { return }
        ipv6[2 * ipv6Count] = address.high
        ipv6[2 * ipv6Count + 1] = address.low
        ipv6Count += 1
    }
}

extension MessageWriter {
    /// Appends an RRset of SVCB or HTTPS to the answer section, with addresses in place of its automatic
    /// hints; false, with nothing written, if it doesn't fit.
    ///
    /// A hint of a family without addresses is left out, key and all. What is filled in stands where the
    /// zone has the key, so keys stay in their order (RFC 9460, section 2.2).
    ///
    /// - Parameters:
    ///   - octets: holds the block at `start`, `count` octets of `records` records, as `appendBlock`
    ///     takes it.
    ///   - owner: the pointer to the owner's name in this message.
    @_lifetime(self: copy self)
    public mutating func appendBindings(
        _ octets: Span<UInt8>, from start: Int, count: Int, records: Int, ttl: UInt32,
        owner: UInt16, hints: borrowing AddressHints
    ) -> Bool {
        let mark = length
        var position = start
        while position < start + count {
            let next = position + 12 + Int(octets.uint16(at: position + 10))
            guard
                appendBinding(
                    octets, from: position, to: next, ttl: ttl, owner: owner, hints: hints)
            else {
                rollBack(to: mark)
                return false
            }
            position = next
        }
        tally(records, in: .answer)
        return true
    }

    /// Writes one record; false, with part of it written, if it doesn't fit.
    @_lifetime(self: copy self)
    private mutating func appendBinding(
        _ octets: Span<UInt8>, from start: Int, to end: Int, ttl: UInt32, owner: UInt16,
        hints: borrowing AddressHints
    ) -> Bool {
        // The priority, then the target, which is never compressed (RFC 9460, section 2.2).
        var position = nameEnd(octets, from: start + 14)
        guard length + position - start <= limit else { return false }
        putUInt16(owner)
        put(octets, from: start + 2, count: 4)
        putUInt32(ttl)
        putUInt16(0)
        let dataStart = length
        put(octets, from: start + 12, count: position - start - 12)
        while position < end {
            let key = octets.uint16(at: position)
            let valueLength = Int(octets.uint16(at: position + 2))
            if valueLength == 0, key == ServiceKey.ipv4hint.code || key == ServiceKey.ipv6hint.code
            {
                guard appendHint(key, hints) else { return false }
            } else {
                guard length + 4 + valueLength <= limit else { return false }
                put(octets, from: position, count: 4 + valueLength)
            }
            position += 4 + valueLength
        }
        patchUInt16(UInt16(truncatingIfNeeded: length - dataStart), at: dataStart - 2)
        return true
    }

    @_lifetime(self: copy self)
    private mutating func appendHint(_ key: UInt16, _ hints: borrowing AddressHints) -> Bool {
        let isIPv4 = key == ServiceKey.ipv4hint.code
        let octets = isIPv4 ? 4 * hints.ipv4Count : 16 * hints.ipv6Count
        // An empty list is invalid (RFC 9460, section 7.3).
        guard octets > 0 else { return true }
        guard length + 4 + octets <= limit else { return false }
        putUInt16(key)
        putUInt16(UInt16(truncatingIfNeeded: octets))
        if isIPv4 {
            for index in 0..<hints.ipv4Count { putUInt32(hints.ipv4[index]) }
        } else {
            for index in 0..<2 * hints.ipv6Count { putUInt64(hints.ipv6[index]) }
        }
        return true
    }
}
