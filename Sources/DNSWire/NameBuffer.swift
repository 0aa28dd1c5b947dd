// The name that is being looked up: one buffer per worker, filled from the question and again from
// each CNAME or DNAME target on the way. Lower case, with the place of every label, so that the
// zones can hash and compare any of its suffixes eight octets at a time.

/// Reused space for one canonical name.
public struct NameBuffer: ~Copyable {
    /// Room for the longest name and for eight-octet loads at its last octet.
    @usableFromInline static let capacity = 264

    @usableFromInline var octets: InlineArray<264, UInt8>
    /// Where each label's length octet stands, from the left; the root's is not among them.
    @usableFromInline var labelStarts: InlineArray<128, UInt8>
    /// Octets in wire format, the root's included; 1 for the root.
    public private(set) var length: Int
    /// Labels, the root's not counted: at most 127.
    public private(set) var labelCount: Int

    public init() {
        octets = .init(repeating: 0)
        labelStarts = .init(repeating: 0)
        length = 1
        labelCount = 0
    }

    /// Fills the buffer from an uncompressed name and returns its length; nil if it isn't one, and
    /// the buffer holds the root then.
    ///
    /// A compression pointer is refused: nothing precedes a question that it could point at, and
    /// loaded names have none (RFC 1035, section 4.1.4; RFC 9619 leaves one question).
    public mutating func load(_ source: Span<UInt8>, at start: Int) -> Int? {
        // Until all is checked, and where the check fails, the name is the root.
        length = 1
        labelCount = 0
        octets[0] = 0
        guard start >= 0, start < source.count else { return nil }
        var position = start
        let end = min(source.count, start + Name.maximumLength)
        var labels = 0
        while true {
            guard position < end else { return nil }
            let labelLength = Int(source[position])
            if labelLength == 0 { break }
            guard labelLength <= Name.maximumLabelLength else { return nil }
            // At most 127 labels of two octets each fit before `end`.
            labelStarts[labels] = UInt8(truncatingIfNeeded: position - start)
            labels += 1
            position += labelLength + 1
        }
        let total = position + 1 - start
        fill(from: source, at: start, count: total)
        length = total
        labelCount = labels
        return total
    }

    /// Copies the octets in lower case and clears the eight that follow.
    @inline(__always)
    private mutating func fill(from source: Span<UInt8>, at start: Int, count: Int) {
        var offset = 0
        // Safe: octets are trivial; `load` checked the range that is read.
        let bytes = unsafe source.bytes
        var target = octets.mutableSpan
        var targetBytes = unsafe target.mutableBytes
        while offset + 8 <= count {
            // Safe: `load` checked that `count` octets follow `start`; the target has 264.
            unsafe targetBytes.storeBytes(
                of: lowercased(
                    bytes.unsafeLoadUnaligned(
                        fromUncheckedByteOffset: start &+ offset, as: UInt64.self)),
                toByteOffset: offset, as: UInt64.self)
            offset &+= 8
        }
        var tail: UInt64 = 0
        var shift: UInt64 = 0
        while offset &+ Int(shift / 8) < count {
            tail |= UInt64(source[start &+ offset &+ Int(shift / 8)]) << shift
            shift += 8
        }
        targetBytes.storeBytes(of: lowercased(tail), toByteOffset: offset, as: UInt64.self)
        if offset + 16 <= Self.capacity {
            targetBytes.storeBytes(of: 0, toByteOffset: offset + 8, as: UInt64.self)
        }
    }

    /// Takes over another buffer's name.
    public mutating func copy(_ other: borrowing NameBuffer) {
        octets = other.octets
        labelStarts = other.labelStarts
        length = other.length
        labelCount = other.labelCount
    }

    /// Puts a name in the place of all but the leftmost `kept` labels, as a DNAME demands.
    ///
    /// False, with the buffer unchanged, if the result would be longer than a name can be
    /// (RFC 6672, section 2.2).
    public mutating func replaceSuffix(
        keeping kept: Int, with source: Span<UInt8>, at start: Int
    ) -> Bool {
        let prefixLength = self.start(ofSuffixWithLabels: labelCount - kept)
        var end = start
        while end < source.count, source[end] != 0 { end += Int(source[end]) + 1 }
        guard end < source.count, prefixLength + end + 1 - start <= Name.maximumLength else {
            return false
        }
        var joined = InlineArray<264, UInt8>(repeating: 0)
        for index in 0..<prefixLength { joined[index] = octets[index] }
        for index in start...end { joined[prefixLength + index - start] = source[index] }
        return load(joined.span, at: 0) != nil
    }

    /// Where the suffix of that many labels begins: 0 labels is the root.
    @inlinable
    public func start(ofSuffixWithLabels count: Int) -> Int {
        count == 0 ? length - 1 : Int(labelStarts[labelCount - count])
    }

    /// The octets, lower case, `length` of them.
    @inlinable
    public var span: Span<UInt8> {
        @_lifetime(borrow self)
        get { octets.span.extracting(0..<length) }
    }

    /// Whether this is that name.
    public func equals(_ name: Name) -> Bool {
        name.wire.count == length && suffix(from: 0, equals: name.wire.span, at: 0)
    }

    /// Returns the hash of the suffix that begins at octet `start`: `wireHash` of its octets.
    @inlinable
    public func hash(from start: Int) -> UInt32 {
        wireHash(octets.span, from: start, to: length)
    }

    /// Whether the suffix that begins at octet `start` is the octets `range` of `other`.
    @inlinable
    public func suffix(from start: Int, equals other: Span<UInt8>, at offset: Int) -> Bool {
        let count = length &- start
        guard offset >= 0, start >= 0, count > 0, offset &+ count <= other.count else {
            return false
        }
        let mine = unsafe octets.span.bytes
        let theirs = unsafe other.bytes
        var position = 0
        // Safe: both ranges were checked above; the loop and the tail stay inside `count`.
        while position &+ 8 <= count {
            if unsafe mine.unsafeLoadUnaligned(
                fromUncheckedByteOffset: start &+ position, as: UInt64.self)
                != theirs.unsafeLoadUnaligned(
                    fromUncheckedByteOffset: offset &+ position, as: UInt64.self)
            {
                return false
            }
            position &+= 8
        }
        while position < count {
            if octets[start &+ position] != other[offset &+ position] { return false }
            position &+= 1
        }
        return true
    }
}

/// Returns eight octets with their ASCII capitals made small.
///
/// Length octets are at most 63, below "A", so a whole name in wire format can pass through.
@inlinable
@inline(__always)
func lowercased(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let low = word & (ones &* 0x7F)
    let atLeastA = low &+ ones &* (0x80 - 0x41)
    let aboveZ = low &+ ones &* (0x80 - 0x5B)
    let capitals = (atLeastA & ~aboveZ & ~word) & (ones &* 0x80)
    return word | capitals >> 2
}

/// Returns a hash of the octets `start..<end`, for the name tables: fast, not secret.
///
/// What is hashed into tables comes from the operator's files; a client can only look up.
@inlinable
public func wireHash(_ octets: Span<UInt8>, from start: Int, to end: Int) -> UInt32 {
    precondition(start >= 0 && start < end && end <= octets.count, "a suffix lies in its name")
    let bytes = unsafe octets.bytes
    let count = end &- start
    var hash: UInt64 = UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15
    if count < 8 {
        var word: UInt64 = 0
        for position in start..<end { word = word << 8 | UInt64(octets[position]) }
        hash = mixed(hash, word)
    } else {
        // Safe: the range was checked above; the last load overlaps so that it ends at `end`.
        var position = start
        while position &+ 8 < end {
            hash = mixed(
                hash,
                unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
            )
            position &+= 8
        }
        hash = mixed(
            hash,
            unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: end &- 8, as: UInt64.self))
    }
    return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
}

/// One multiply to 128 bits, folded: every input bit reaches every output bit.
@inlinable
@inline(__always)
func mixed(_ hash: UInt64, _ word: UInt64) -> UInt64 {
    let (high, low) = (hash ^ word).multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    return high ^ low
}
