// A hash table for compiling: flat, and nothing is ever removed.

/// Numbers below 2^32 - 1 by keys of 64 bits.
struct PairTable {
    /// Side by side, so that a look-up is one cache line, which is what it costs.
    private struct Slot: BitwiseCopyable {
        var key: UInt64 = 0
        /// One more than the number; 0 is a free slot.
        var number: UInt32 = 0
    }

    private var slots: [Slot] = []
    private var count = 0
    private let hash = SeededHash()

    subscript(key: UInt64) -> UInt32? {
        @inline(__always)
        get {
            guard !slots.isEmpty else { return nil }
            let found = slots[index(of: key)].number
            return found == 0 ? nil : found &- 1
        }
        set {
            guard let newValue, newValue < .max else { return }
            if count * 4 >= slots.count * 3 { grow() }
            let index = index(of: key)
            if slots[index].number == 0 { count += 1 }
            slots[index] = Slot(key: key, number: newValue + 1)
        }
    }

    @inline(__always)
    private func index(of key: UInt64) -> Int {
        let mask = slots.count &- 1
        var index = hash(key) & mask
        while slots[index].number != 0, slots[index].key != key { index = (index &+ 1) & mask }
        return index
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: Slot(), count: max(16, old.count * 2))
        for slot in old where slot.number != 0 { slots[index(of: slot.key)] = slot }
    }
}

/// Spreads keys in a way of its own for each process, so that nobody can make a database whose keys
/// meet.
struct SeededHash: BitwiseCopyable {
    private let mask = Self.secret(0)
    private let factor = Self.secret(1) | 1

    /// What nobody else knows: of the standard library's secret, so that SWIFT_DETERMINISTIC_HASHING makes
    /// instructions countable here, too.
    private static func secret(_ number: Int) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(number)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// Multiplied to 128 bits and folded: each bit of a key reaches all of the lower half.
    @inline(__always)
    func callAsFunction(_ key: UInt64) -> Int {
        let product = (key ^ mask).multipliedFullWidth(by: factor)
        return Int(truncatingIfNeeded: product.high ^ product.low)
    }

    /// The same for two halves of a key.
    @inline(__always)
    func callAsFunction(_ first: UInt64, _ second: UInt64) -> Int {
        let product = (first ^ mask).multipliedFullWidth(by: second ^ factor)
        return Int(truncatingIfNeeded: product.high ^ product.low)
    }
}
