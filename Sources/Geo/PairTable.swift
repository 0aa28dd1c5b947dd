// A hash table for compiling, where millions of pairs are looked up: flat, and nothing is ever removed.

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
        var index = Self.hash(key) & mask
        while slots[index].number != 0, slots[index].key != key { index = (index &+ 1) & mask }
        return index
    }

    /// Spreads keys of two small numbers: folding and a multiplication (Fibonacci hashing).
    @inline(__always)
    static func hash(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: ((key ^ key >> 29) &* 0x9E37_79B9_7F4A_7C15) >> 32)
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: Slot(), count: max(16, old.count * 2))
        for slot in old where slot.number != 0 { slots[index(of: slot.key)] = slot }
    }
}
