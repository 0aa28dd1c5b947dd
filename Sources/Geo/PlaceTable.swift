// Distinct places with numbers: a City database has half a million records, and many of them say the
// same of a place.

/// Numbers places; equal ones have one number, and 0 is what nobody knows.
struct PlaceTable {
    private(set) var places: [Location?] = [nil]
    /// A hash table: the upper half of a place's hash, and its number; 0 is a free slot.
    private var slots: [UInt64] = Array(repeating: 0, count: 1 << 10)
    /// Places without a slot in reach of their hash's, as in a file where all have the same coordinates.
    private var crowded: [Location: UInt32] = [:]
    private static let reach = 32

    /// The number of a place, a new one if it has none.
    mutating func number(of place: Location?) -> UInt32 {
        guard let place else { return 0 }
        if places.count * 4 > slots.count * 3 { grow() }
        let hash = Self.hash(place) & Self.hashBits
        let first = firstSlot(hash)
        var free: Int?
        for step in 0..<Self.reach {
            let slot = (first &+ step) & (slots.count &- 1)
            guard slots[slot] != 0 else {
                free = slot
                break
            }
            let number = UInt32(truncatingIfNeeded: slots[slot])
            if slots[slot] & Self.hashBits == hash, places[Int(number)] == place { return number }
        }
        if !crowded.isEmpty, let number = crowded[place] { return number }
        let number = UInt32(truncatingIfNeeded: places.count)
        if let free { slots[free] = hash | UInt64(number) } else { crowded[place] = number }
        places.append(place)
        return number
    }

    private static let hashBits: UInt64 = 0xFFFF_FFFF_0000_0000

    /// Coordinates tell nearly all places apart that have them, and texts are slow to hash.
    private static func hash(_ place: Location) -> UInt64 {
        guard let coordinates = place.coordinates else {
            return UInt64(truncatingIfNeeded: place.hashValue)
        }
        // A negative zero is equal to the other one; this makes it that.
        let latitude = (coordinates.latitude + 0).bitPattern
        let longitude = (coordinates.longitude + 0).bitPattern
        return (latitude ^ longitude << 32 ^ longitude >> 32) &* 0x9E37_79B9_7F4A_7C15
    }

    private func firstSlot(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash >> 32) & (slots.count &- 1)
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: 0, count: old.count * 2)
        for entry in old where entry != 0 {
            let first = firstSlot(entry)
            var step = 0
            while step < Self.reach, slots[(first &+ step) & (slots.count &- 1)] != 0 { step += 1 }
            if step < Self.reach {
                slots[(first &+ step) & (slots.count &- 1)] = entry
            } else {
                let number = UInt32(truncatingIfNeeded: entry)
                if let place = places[Int(number)] { crowded[place] = number }
            }
        }
    }
}
