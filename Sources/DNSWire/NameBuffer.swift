// The name that is being looked up: one buffer per worker, filled from the question and again from
// each CNAME or DNAME target on the way. Lower case, with the place of every label, so that the
// zones can hash and compare any of its suffixes eight octets at a time.

/// Reused space for one canonical name.
///
/// The space is allocated once, with the buffer: as inline storage it would be copied to the stack
/// at every view of it (Swift 6.3).
@safe
public struct NameBuffer: ~Copyable, @unchecked Sendable {
    /// Room for the longest name, and for eight-octet stores and loads that begin inside it.
    @usableFromInline static let capacity = 264
    /// Room for where the labels begin: at most 127, and one that turns out to be too many.
    private static let labelCapacity = 128

    /// `capacity` octets, and after them where each label's length octet stands, from the left; the
    /// root's is not among them.
    @usableFromInline let base: UnsafeMutablePointer<UInt8>
    /// Octets in wire format, the root's included; 1 for the root.
    public private(set) var length: Int
    /// Labels, the root's not counted: at most 127.
    public private(set) var labelCount: Int

    public init() {
        let size = Self.capacity + Self.labelCapacity
        unsafe base = .allocate(capacity: size)
        // Safe: the memory was just allocated with that size.
        unsafe base.initialize(repeating: 0, count: size)
        length = 1
        labelCount = 0
    }

    deinit {
        // Safe: octets are trivial; nothing else keeps the pointer.
        unsafe base.deallocate()
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
        // Safe: the first of `capacity` octets.
        unsafe base[0] = 0
        guard start >= 0, start < source.count else { return nil }
        let end = min(source.count &- start, Name.maximumLength)
        var position = 0
        var labels = 0
        while true {
            guard position < end else { return nil }
            let labelLength = Int(source[start &+ position])
            if labelLength == 0 { break }
            guard labelLength <= Name.maximumLabelLength else { return nil }
            // Safe: at most 128 labels of at least two octets begin before octet 255.
            unsafe base[Self.capacity &+ labels] = UInt8(truncatingIfNeeded: position)
            labels &+= 1
            position &+= labelLength &+ 1
        }
        fill(from: source, at: start, count: position &+ 1)
        length = position &+ 1
        labelCount = labels
        return length
    }

    /// Copies the octets in lower case and clears the eight that follow.
    ///
    /// `load` has checked that 1 to 255 octets follow `start`.
    @inline(__always)
    private mutating func fill(from source: Span<UInt8>, at start: Int, count: Int) {
        // Safe, here and below: octets are trivial; loads stay between the source's begin and the name's
        // end, and stores begin at octet 256 at the latest.
        let bytes = unsafe source.bytes
        let target = unsafe UnsafeMutableRawPointer(base)
        var offset = 0
        while offset &+ 8 <= count {
            let word = unsafe bytes.unsafeLoadUnaligned(
                fromUncheckedByteOffset: start &+ offset, as: UInt64.self)
            unsafe target.storeBytes(of: lowercased(word), toByteOffset: offset, as: UInt64.self)
            offset &+= 8
        }
        let remaining = count &- offset
        if remaining > 0 {
            var word: UInt64 = 0
            if start &+ count >= 8 {
                // With what stands before them, which is shifted out.
                word = unsafe bytes.unsafeLoadUnaligned(
                    fromUncheckedByteOffset: start &+ count &- 8, as: UInt64.self)
                word &>>= UInt64(8 &* (8 &- remaining))
            } else {
                // So few that these are all there are: `offset` is 0.
                for index in 0..<remaining {
                    word |= UInt64(source[start &+ index]) &<< UInt64(8 &* index)
                }
            }
            unsafe target.storeBytes(of: lowercased(word), toByteOffset: offset, as: UInt64.self)
            offset &+= 8
        }
        // `offset` is at most 256.
        unsafe target.storeBytes(of: 0, toByteOffset: offset, as: UInt64.self)
    }

    /// Takes over another buffer's name.
    public mutating func copy(_ other: borrowing NameBuffer) {
        // Safe: both have the same size.
        unsafe base.update(from: other.base, count: Self.capacity + Self.labelCapacity)
        length = other.length
        labelCount = other.labelCount
    }

    /// Puts a name in the place of all but the leftmost `kept` labels, as a DNAME demands.
    ///
    /// False, with the buffer unchanged, if the source is no uncompressed name or the result would
    /// be longer than a name can be (RFC 6672, section 2.2).
    public mutating func replaceSuffix(
        keeping kept: Int, with source: Span<UInt8>, at start: Int
    ) -> Bool {
        guard start >= 0, start < source.count else { return false }
        let prefix = self.start(ofSuffixWithLabels: labelCount - kept)
        let room = min(source.count - start, Name.maximumLength - prefix)
        var count = 0
        while count < room, source[start + count] != 0 {
            guard source[start + count] <= Name.maximumLabelLength else { return false }
            count += Int(source[start + count]) + 1
        }
        guard count < room else { return false }
        labelCount = kept
        var nextLabel = 0
        // Safe, here and below: `prefix + count` is at most 254, so at most octet 262 is stored, and
        // at most 127 labels of two octets begin before it.
        for index in 0..<count {
            if index == nextLabel {
                unsafe base[Self.capacity + labelCount] = UInt8(prefix + index)
                labelCount += 1
                nextLabel += Int(source[start + index]) + 1
            }
            unsafe base[prefix + index] = asciiLowercased(source[start + index])
        }
        for index in 0...8 { unsafe base[prefix + count + index] = 0 }
        length = prefix + count + 1
        return true
    }

    /// Where the suffix of that many labels begins: 0 labels is the root.
    ///
    /// - Precondition: 0 to `labelCount` labels.
    @inlinable
    public func start(ofSuffixWithLabels count: Int) -> Int {
        precondition(count >= 0 && count <= labelCount, "a suffix has at most the name's labels")
        // Safe: the index was checked on the line above.
        return count == 0 ? length &- 1 : Int(unsafe base[Self.capacity &+ labelCount &- count])
    }

    /// The octets, lower case, `length` of them.
    @inlinable
    public var span: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            // Safe: the memory lives as long as `self`, and `length` is at most its size.
            unsafe _overrideLifetime(Span(_unsafeStart: base, count: length), borrowing: self)
        }
    }

    /// Whether this is that name.
    public func equals(_ name: Name) -> Bool {
        name.wire.count == length && suffix(from: 0, equals: name.wire.span, at: 0)
    }

    /// Whether the name begins with these octets, in lower case: labels with their lengths.
    public func begins(with octets: StaticString) -> Bool {
        let count = octets.utf8CodeUnitCount
        guard count < length else { return false }
        for index in 0..<count {
            // Safe: below the text's length.
            let octet = unsafe octets.utf8Start[index]
            guard span[index] == octet else { return false }
        }
        return true
    }

    /// Returns the hash of the suffix that begins at octet `start`: `wireHash` of its octets.
    @inlinable
    public func hash(from start: Int) -> UInt32 {
        wireHash(span, from: start, to: length)
    }

    /// Whether the suffix that begins at octet `start` is the octets of `other` at `offset`.
    @inlinable
    public func suffix(from start: Int, equals other: Span<UInt8>, at offset: Int) -> Bool {
        let count = length &- start
        guard offset >= 0, start >= 0, count > 0, offset <= other.count &- count else {
            return false
        }
        let mine = unsafe UnsafeRawPointer(base)
        let theirs = unsafe other.bytes
        var position = 0
        // Safe, here and below: both ranges were checked above, and nothing beyond is read.
        while position &+ 8 <= count {
            if unsafe mine.loadUnaligned(fromByteOffset: start &+ position, as: UInt64.self)
                != theirs.unsafeLoadUnaligned(
                    fromUncheckedByteOffset: offset &+ position, as: UInt64.self)
            {
                return false
            }
            position &+= 8
        }
        if count >= 8 {
            // The last eight once more, so that no octet is compared alone.
            return unsafe mine.loadUnaligned(
                fromByteOffset: start &+ count &- 8, as: UInt64.self)
                == theirs.unsafeLoadUnaligned(
                    fromUncheckedByteOffset: offset &+ count &- 8, as: UInt64.self)
        }
        while position < count {
            if unsafe mine.load(fromByteOffset: start &+ position, as: UInt8.self)
                != other[offset &+ position]
            {
                return false
            }
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

extension Name {
    /// The name that a buffer holds.
    public init(_ buffer: borrowing NameBuffer) {
        let span = buffer.span
        var octets: [UInt8] = []
        for index in 0..<buffer.length { octets.append(span[index]) }
        self.init(uncheckedWire: octets)
    }
}
