// The answer, written in place: sections in order, names compressed, whole RRsets or nothing.
//
// An RRset comes as a block that was made ready at load: each record begins with a pointer to the
// question's name, which is the owner in almost every answer, so most RRsets are one copy.

/// The sections of a message that records go into.
public enum Section: Sendable {
    case answer, authority, additional
}

/// Writes one response into a given space.
public struct MessageWriter: ~Copyable, ~Escapable {
    /// Names of a message that later ones may point at. The question has at most 127 labels, but names
    /// worth a pointer are few; past this many, names are written out.
    static let compressionLimit = 32
    /// The pointer to a question's name, which always begins at octet 12.
    public static let questionPointer: UInt16 = 0xC00C

    private var message: MutableRawSpan
    /// Octets written so far.
    var length = 0
    /// Octets that records may fill; what is above is kept for OPT.
    var limit: Int
    private var answerCount: UInt16 = 0
    private var authorityCount: UInt16 = 0
    private var additionalCount: UInt16 = 0
    /// Where known suffixes stand, and their uncompressed lengths, which tell most of them apart.
    private var suffixOffsets = InlineArray<32, UInt16>(repeating: 0)
    private var suffixLengths = InlineArray<32, UInt8>(repeating: 0)
    private var suffixCount = 0
    /// The pointer to the name that was written last: the target of an alias just appended. Zero if
    /// it lies past the 14 bits that a pointer can say.
    public private(set) var lastName: UInt16 = 0

    /// Begins a response: the header's place and the question's octets as they came, 0x20 case and all.
    ///
    /// - Parameters:
    ///   - questionEnd: the octet after the question in `packet`; 12 copies none.
    ///   - limit: how long the message may become, at most `message.count`.
    ///   - reserved: octets of it to keep for the OPT record.
    /// - Precondition: the limit leaves room for header, question and reserve.
    @_lifetime(copy message)
    public init(
        _ message: consuming MutableRawSpan, replyingTo packet: Span<UInt8>, questionEnd: Int,
        limit: Int, reserving reserved: Int
    ) {
        precondition(
            limit <= message.byteCount && questionEnd + reserved <= limit
                && questionEnd <= packet.count, "room for header, question and OPT")
        self.message = message
        self.limit = limit - reserved
        put(packet, from: 0, count: questionEnd)
    }

    /// Makes the question's name and its suffixes known to compression.
    ///
    /// Of very many labels the name itself and the shortest suffixes, which others may share, so
    /// that room is left for the names that follow. Apart from `init` because the commonest answers
    /// compress nothing but the owner.
    @_lifetime(self: copy self)
    public mutating func registerQuestion(_ name: borrowing NameBuffer) {
        guard suffixCount == 0 else { return }
        let known = min(name.labelCount, Self.compressionLimit / 2)
        if known < name.labelCount { register(offset: 12, length: name.length) }
        for labels in stride(from: known, to: 0, by: -1) {
            let start = name.start(ofSuffixWithLabels: labels)
            register(offset: 12 + start, length: name.length - start)
        }
    }

    // MARK: Records

    /// Appends an RRset from its ready block; false, with nothing written, if it doesn't fit.
    ///
    /// - Parameters:
    ///   - octets: holds the block at `start`, `count` octets of `records` records, each
    ///     `C00C type class ttl rdlength rdata`.
    ///   - owner: the pointer to the owner's name in this message.
    @_lifetime(self: copy self)
    public mutating func appendBlock(
        _ octets: Span<UInt8>, from start: Int, count: Int, records: Int,
        layout: NameLayout, owner: UInt16, section: Section
    ) -> Bool {
        let mark = length
        if layout == .none {
            guard length + count <= limit else { return false }
            put(octets, from: start, count: count)
            if owner != Self.questionPointer { patchOwners(from: mark, to: length, owner) }
        } else {
            guard appendRecords(octets, from: start, to: start + count, layout, owner) else {
                rollBack(to: mark)
                return false
            }
        }
        tally(records, in: section)
        return true
    }

    /// Appends an RRset whose owner is the name `name[nameStart..<nameEnd]`, written out if it has to be.
    @_lifetime(self: copy self)
    public mutating func appendBlock(
        _ octets: Span<UInt8>, from start: Int, count: Int, records: Int, layout: NameLayout,
        ownerName name: Span<UInt8>, from nameStart: Int, to nameEnd: Int, section: Section
    ) -> Bool {
        if let known = pointer(to: name, from: nameStart, to: nameEnd) {
            return appendBlock(
                octets, from: start, count: count, records: records, layout: layout, owner: known,
                section: section)
        }
        let mark = length
        guard
            appendRecords(octets, from: start, to: start + count, layout, name, nameStart, nameEnd)
        else {
            rollBack(to: mark)
            return false
        }
        tally(records, in: section)
        return true
    }

    /// Whether that many more records of one data length fit, their owners being pointers.
    public func hasRoom(forRecords count: Int, ofData dataLength: Int) -> Bool {
        length + count * (12 + dataLength) <= limit
    }

    /// Appends an A record to the answer section, for which `hasRoom` has to be sure.
    ///
    /// - Parameter address: 32 bits in host order.
    @_lifetime(self: copy self)
    public mutating func appendA(_ address: UInt32, ttl: UInt32, owner: UInt16) {
        putUInt16(owner)
        putUInt32(UInt32(RecordType.a.code) << 16 | 1)
        putUInt32(ttl)
        putUInt16(4)
        putUInt32(address)
        tally(1, in: .answer)
    }

    /// Appends an AAAA record to the answer section, for which `hasRoom` has to be sure.
    ///
    /// - Parameter address: its two halves in host order.
    @_lifetime(self: copy self)
    public mutating func appendAAAA(
        _ address: (high: UInt64, low: UInt64), ttl: UInt32, owner: UInt16
    ) {
        putUInt16(owner)
        putUInt32(UInt32(RecordType.aaaa.code) << 16 | 1)
        putUInt32(ttl)
        putUInt16(16)
        putUInt64(address.high)
        putUInt64(address.low)
        tally(1, in: .answer)
    }

    /// Appends one TXT record owned by the question's name with one string of at most 255 octets.
    @_lifetime(self: copy self)
    public mutating func appendText(_ text: Span<UInt8>, recordClass: UInt16, ttl: UInt32) -> Bool {
        guard text.count <= 255, length + 13 + text.count <= limit else { return false }
        putUInt16(Self.questionPointer)
        putUInt16(RecordType.txt.code)
        putUInt16(recordClass)
        putUInt32(ttl)
        putUInt16(UInt16(truncatingIfNeeded: text.count + 1))
        putUInt8(UInt8(truncatingIfNeeded: text.count))
        put(text, from: 0, count: text.count)
        tally(1, in: .answer)
        return true
    }

    /// Appends the CNAME that a DNAME makes (RFC 6672, section 3.1), its target compressed; false, with
    /// nothing written, if it doesn't fit.
    @_lifetime(self: copy self)
    public mutating func appendAlias(
        ttl: UInt32, target: borrowing NameBuffer, owner: UInt16, section: Section
    ) -> Bool {
        let mark = length
        guard length + 12 <= limit else { return false }
        putUInt16(owner)
        putUInt16(RecordType.cname.code)
        putUInt16(1)
        putUInt32(ttl)
        putUInt16(0)
        let dataStart = length
        guard putName(target.span, from: 0, to: target.length) else {
            rollBack(to: mark)
            return false
        }
        patchUInt16(UInt16(truncatingIfNeeded: length - dataStart), at: dataStart - 2)
        tally(1, in: section)
        return true
    }

    /// The pointer to the name at octet `start` of `octets`, if the message holds it whole; nil if not.
    private func pointer(to octets: Span<UInt8>, from start: Int, to end: Int) -> UInt16? {
        for index in 0..<suffixCount where Int(suffixLengths[index]) == end - start {
            if holds(octets, from: start, atMessage: Int(suffixOffsets[index])) {
                return 0xC000 | suffixOffsets[index]
            }
        }
        return nil
    }

    // MARK: EDNS and the end

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
        putUInt8(0)
        putUInt16(RecordType.opt.code)
        putUInt16(payloadSize)
        putUInt8(extendedCode)
        putUInt8(0)
        putUInt16(dnssecOK ? 0x8000 : 0)
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
        putUInt16(EDNSOption.clientSubnet)
        putUInt16(UInt16(truncatingIfNeeded: 4 + subnet.addressOctets))
        putUInt16(subnet.family)
        putUInt8(subnet.sourceLength)
        putUInt8(scope)
        for index in 0..<subnet.addressOctets {
            let word = index < 8 ? subnet.address.high : subnet.address.low
            putUInt8(UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * (index & 7))))
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

    /// Writes flags and counts over the header and returns the message's length.
    @_lifetime(self: copy self)
    public mutating func finish(flags: UInt16, questions: UInt16) -> Int {
        patchUInt16(flags, at: 2)
        patchUInt16(questions, at: 4)
        patchUInt16(answerCount, at: 6)
        patchUInt16(authorityCount, at: 8)
        patchUInt16(additionalCount, at: 10)
        return length
    }

    // MARK: Names

    /// Writes a name with its longest known suffix as a pointer, and makes it `lastName`.
    ///
    /// Case counts for nothing in the comparison (RFC 1035, section 4.1.4; RFC 4343). False, with part
    /// of it written, if it doesn't fit: the caller rolls back.
    @_lifetime(self: copy self)
    private mutating func putName(_ octets: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        let nameStart = length
        lastName = nameStart < 0x4000 ? 0xC000 | UInt16(nameStart) : 0
        var position = start
        while position < end, octets[position] != 0 {
            if let known = pointer(to: octets, from: position, to: end) {
                guard length + 2 <= limit else { return false }
                if length == nameStart { lastName = known }
                putUInt16(known)
                return true
            }
            let labelLength = Int(octets[position]) + 1
            // One more octet for the root that may follow.
            guard length + labelLength + 1 <= limit, position + labelLength < end else {
                return false
            }
            register(offset: length, length: end - position)
            put(octets, from: position, count: labelLength)
            position += labelLength
        }
        guard length + 1 <= limit else { return false }
        putUInt8(0)
        return true
    }

    /// Whether the message has at `offset` the name `octets[start...]`, pointers followed.
    private func holds(_ octets: Span<UInt8>, from start: Int, atMessage offset: Int) -> Bool {
        var mine = offset
        var theirs = start
        // Every pointer was written here and points backwards, so this ends.
        while true {
            let length = octet(at: mine)
            if length >= 0xC0 {
                mine = Int(length & 0x3F) << 8 | Int(octet(at: mine + 1))
                continue
            }
            guard length == octets[theirs] else { return false }
            if length == 0 { return true }
            for index in 1...Int(length)
            where asciiLowercased(octet(at: mine + index))
                != asciiLowercased(octets[theirs + index])
            {
                return false
            }
            mine += Int(length) + 1
            theirs += Int(length) + 1
        }
    }

    @_lifetime(self: copy self)
    private mutating func register(offset: Int, length: Int) {
        guard suffixCount < Self.compressionLimit, offset < 0x4000 else { return }
        suffixOffsets[suffixCount] = UInt16(truncatingIfNeeded: offset)
        suffixLengths[suffixCount] = UInt8(truncatingIfNeeded: length)
        suffixCount += 1
    }

    // MARK: Records one by one

    /// Writes the records of a block one by one, with the names in their data compressed.
    @_lifetime(self: copy self)
    private mutating func appendRecords(
        _ octets: Span<UInt8>, from start: Int, to end: Int, _ layout: NameLayout, _ owner: UInt16
    ) -> Bool {
        var position = start
        while position < end {
            let next = position + 12 + Int(octets.uint16(at: position + 10))
            guard length + 2 <= limit else { return false }
            putUInt16(owner)
            guard appendFields(of: octets, from: position, to: next, layout) else { return false }
            position = next
        }
        return true
    }

    /// Writes the records of a block under a name that the message does not hold yet: whole for the
    /// first, and for all where it lies past the 14 bits that a pointer can say.
    @_lifetime(self: copy self)
    private mutating func appendRecords(
        _ octets: Span<UInt8>, from start: Int, to end: Int, _ layout: NameLayout,
        _ name: Span<UInt8>, _ nameStart: Int, _ nameEnd: Int
    ) -> Bool {
        var position = start
        while position < end {
            let next = position + 12 + Int(octets.uint16(at: position + 10))
            guard putName(name, from: nameStart, to: nameEnd), case let owner = lastName,
                appendFields(of: octets, from: position, to: next, layout)
            else { return false }
            position = next
            if owner != 0 { return appendRecords(octets, from: next, to: end, layout, owner) }
        }
        return true
    }

    /// Writes all of a block's record that follows its owner.
    @_lifetime(self: copy self)
    private mutating func appendFields(
        of octets: Span<UInt8>, from start: Int, to end: Int, _ layout: NameLayout
    ) -> Bool {
        guard length + 10 <= limit else { return false }
        put(octets, from: start + 2, count: 10)
        let dataStart = length
        guard appendData(octets, from: start + 12, to: end, layout) else { return false }
        patchUInt16(UInt16(truncatingIfNeeded: length - dataStart), at: dataStart - 2)
        return true
    }

    /// Writes one record's data: fixed octets and names as the layout says.
    @_lifetime(self: copy self)
    private mutating func appendData(
        _ octets: Span<UInt8>, from start: Int, to end: Int, _ layout: NameLayout
    ) -> Bool {
        switch layout {
        case .none, .automaticHints:
            guard length + end - start <= limit else { return false }
            put(octets, from: start, count: end - start)
            return true
        case .name:
            return putName(octets, from: start, to: end)
        case .preferenceThenName:
            guard length + 2 <= limit else { return false }
            put(octets, from: start, count: 2)
            return putName(octets, from: start + 2, to: end)
        case .twoNamesThenFixed:
            let first = nameEnd(octets, from: start)
            let second = nameEnd(octets, from: first)
            guard putName(octets, from: start, to: first),
                putName(octets, from: first, to: second),
                length + end - second <= limit
            else { return false }
            put(octets, from: second, count: end - second)
            return true
        }
    }

    func nameEnd(_ octets: Span<UInt8>, from start: Int) -> Int {
        var position = start
        while octets[position] != 0 { position += Int(octets[position]) + 1 }
        return position + 1
    }

    /// Puts another owner into the verbatim records between two octets of the message.
    @_lifetime(self: copy self)
    private mutating func patchOwners(from start: Int, to end: Int, _ owner: UInt16) {
        var position = start
        while position < end {
            patchUInt16(owner, at: position)
            position += 12 + Int(octet(at: position + 10)) << 8 + Int(octet(at: position + 11))
        }
    }

    @_lifetime(self: copy self)
    mutating func rollBack(to mark: Int) {
        length = mark
        while suffixCount > 0, Int(suffixOffsets[suffixCount - 1]) >= mark { suffixCount -= 1 }
    }

    @_lifetime(self: copy self)
    mutating func tally(_ records: Int, in section: Section) {
        switch section {
        case .answer: answerCount &+= UInt16(truncatingIfNeeded: records)
        case .authority: authorityCount &+= UInt16(truncatingIfNeeded: records)
        case .additional: additionalCount &+= UInt16(truncatingIfNeeded: records)
        }
    }

    // MARK: Octets

    @_lifetime(self: copy self)
    private mutating func putUInt8(_ value: UInt8) {
        message.storeBytes(of: value, toByteOffset: length, as: UInt8.self)
        length += 1
    }

    @_lifetime(self: copy self)
    mutating func putUInt16(_ value: UInt16) {
        message.storeBytes(of: value.bigEndian, toByteOffset: length, as: UInt16.self)
        length += 2
    }

    @_lifetime(self: copy self)
    mutating func putUInt32(_ value: UInt32) {
        message.storeBytes(of: value.bigEndian, toByteOffset: length, as: UInt32.self)
        length += 4
    }

    @_lifetime(self: copy self)
    mutating func putUInt64(_ value: UInt64) {
        message.storeBytes(of: value.bigEndian, toByteOffset: length, as: UInt64.self)
        length += 8
    }

    @_lifetime(self: copy self)
    mutating func patchUInt16(_ value: UInt16, at position: Int) {
        message.storeBytes(of: value.bigEndian, toByteOffset: position, as: UInt16.self)
    }

    private func octet(at position: Int) -> UInt8 {
        // Safe: bounds-checked, and an octet has no invalid values.
        unsafe message.bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
    }

    /// Copies octets to the end of the message.
    @_lifetime(self: copy self)
    @inline(__always)
    mutating func put(_ source: Span<UInt8>, from start: Int, count: Int) {
        precondition(
            start >= 0 && count >= 0 && start + count <= source.count
                && length + count <= message.byteCount, "a copy stays inside both")
        let offset = length
        // Safe: both ranges were checked just above, and a message never overlaps its source.
        unsafe source.withUnsafeBytes { from in
            unsafe message.withUnsafeMutableBytes { to in
                unsafe UnsafeMutableRawBufferPointer(rebasing: to[offset..<offset + count])
                    .copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: from[start..<start + count]))
            }
        }
        length += count
    }
}
