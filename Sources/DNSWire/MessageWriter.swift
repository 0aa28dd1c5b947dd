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
    var additionalCount: UInt16 = 0
    /// Where known suffixes stand, and their uncompressed lengths, which tell most of them apart.
    var suffixOffsets = InlineArray<32, UInt16>(repeating: 0)
    var suffixLengths = InlineArray<32, UInt8>(repeating: 0)
    var suffixCount = 0
    /// The lengths that occur, each by its lower six bits: most names looked for have another.
    var suffixLengthBits: UInt64 = 0
    /// Which of them stand there whole, without a pointer; the first is bit 0.
    var wholeSuffixes: UInt32 = 0
    /// Names in the data of records written so far: where each stands in its source, and the pointer to it.
    var dataSources = InlineArray<16, UInt32>(repeating: 0)
    var dataPointers = InlineArray<16, UInt16>(repeating: 0)
    var dataNameCount = 0
    /// The pointer to the name that was written last: the target of an alias just appended. Zero if
    /// it lies past the 14 bits that a pointer can say.
    public internal(set) var lastName: UInt16 = 0

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

    /// Appends an RRset whose owner stands in the data of another record of `octets`, at `owner`: as a
    /// rule of one that was just written, so that its name need not be compared.
    ///
    /// - Precondition: all blocks of a message come from the same octets.
    @_lifetime(self: copy self)
    public mutating func appendBlock(
        _ octets: Span<UInt8>, from start: Int, count: Int, records: Int, layout: NameLayout,
        ownerInData owner: Range<Int>, section: Section
    ) -> Bool {
        if let known = pointer(toData: owner.lowerBound) {
            return appendBlock(
                octets, from: start, count: count, records: records, layout: layout, owner: known,
                section: section)
        }
        return appendBlock(
            octets, from: start, count: count, records: records, layout: layout,
            ownerName: octets, from: owner.lowerBound, to: owner.upperBound, section: section)
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
        putFields(.a, ttl: ttl, owner: owner, dataLength: 4)
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
        putFields(.aaaa, ttl: ttl, owner: owner, dataLength: 16)
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

    // MARK: The end

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
    mutating func tally(_ records: Int, in section: Section) {
        switch section {
        case .answer: answerCount &+= UInt16(truncatingIfNeeded: records)
        case .authority: authorityCount &+= UInt16(truncatingIfNeeded: records)
        case .additional: additionalCount &+= UInt16(truncatingIfNeeded: records)
        }
    }

    // MARK: Octets

    /// Writes all of a record that precedes its data: twelve octets in two stores.
    @_lifetime(self: copy self)
    @inline(__always)
    private mutating func putFields(
        _ type: RecordType, ttl: UInt32, owner: UInt16, dataLength: UInt16
    ) {
        let (owner, type, high) = (UInt64(owner), UInt64(type.code), UInt64(ttl >> 16))
        putUInt64(owner << 48 | type << 32 | 1 << 16 | high)
        putUInt32(ttl << 16 | UInt32(dataLength))
    }

    @_lifetime(self: copy self)
    mutating func putUInt8(_ value: UInt8) {
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

    func octet(at position: Int) -> UInt8 {
        // Safe: bounds-checked, and an octet has no invalid values.
        unsafe message.bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
    }

    /// Eight octets of the message as a number in network order.
    func word(at position: Int) -> UInt64 {
        // Safe: bounds-checked, and octets have no invalid values.
        unsafe UInt64(
            bigEndian: message.bytes.unsafeLoadUnaligned(
                fromByteOffset: position, as: UInt64.self))
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
