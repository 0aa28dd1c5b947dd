// Octets on their way in or out of a TCP connection, in memory that is there only while they are.

/// Octets that are added at the end and taken from the front.
@safe
struct OctetQueue: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>?
    private var capacity = 0
    private var start = 0
    private var end = 0

    init() { unsafe base = nil }

    deinit {
        // Safe: allocated by `reserve`, used by nobody else.
        unsafe base?.deallocate()
    }

    var count: Int { end - start }
    var isEmpty: Bool { start == end }
    var hasMemory: Bool { capacity > 0 }

    /// What is there.
    var span: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            guard let base = unsafe base else { return Span() }
            // Safe: `start` to `end` were written, and the memory lives as long as `self`.
            return unsafe _overrideLifetime(
                Span(_unsafeStart: base + start, count: end - start), borrowing: self)
        }
    }

    /// Makes room for so many octets at the end.
    mutating func reserve(_ room: Int) {
        guard capacity - end < room else { return }
        let count = count
        // To the front, into more memory if all of it is not enough: twice of it, or a client that sends an
        // octet at a time would have all that came before copied for each.
        var size = capacity
        var target = unsafe base
        if capacity < count + room {
            size = max(count + room, 2 * capacity)
            unsafe target = .allocate(capacity: size)
            // Safe: just allocated with that size.
            unsafe target?.initialize(repeating: 0, count: size)
        }
        if let target = unsafe target, let base = unsafe base {
            // Safe: both hold `count` octets; `update` lets them overlap.
            unsafe target.update(from: base + start, count: count)
            if unsafe target != base { unsafe base.deallocate() }
        }
        capacity = size
        unsafe base = target
        start = 0
        end = count
    }

    /// The room at the end, but for its first octets; what is written there counts after `commit`.
    @_lifetime(&self)
    mutating func room(after skipped: Int = 0) -> MutableSpan<UInt8> {
        guard let base = unsafe base, skipped <= capacity - end else { return MutableSpan() }
        // Safe: the room from `end` to `capacity` is this queue's and initialized.
        return unsafe _overrideLifetime(
            MutableSpan(
                _unsafeStart: base + end + skipped, count: capacity - end - skipped),
            mutating: &self)
    }

    /// Adds the first octets of the room.
    mutating func commit(_ number: Int) {
        precondition((0...capacity - end).contains(number), "no more than there is room")
        end += number
    }

    mutating func append(_ octets: Span<UInt8>) {
        reserve(octets.count)
        var room = room()
        for index in octets.indices { room[index] = octets[index] }
        commit(octets.count)
    }

    /// Adds 16 bits in network order.
    mutating func append(_ value: UInt16) {
        reserve(2)
        var room = room()
        room[0] = UInt8(value >> 8)
        room[1] = UInt8(truncatingIfNeeded: value)
        commit(2)
    }

    mutating func removeFirst(_ number: Int) {
        precondition((0...count).contains(number), "no more than there is")
        start += number
        if start == end {
            start = 0
            end = 0
        }
    }

    mutating func removeAll() {
        start = 0
        end = 0
    }
}
