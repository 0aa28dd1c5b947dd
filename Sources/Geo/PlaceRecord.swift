// Places in few octets: a City database has half a million records, and what they say of a place are a
// few thousand texts in ever new combinations.

/// A place whose texts are numbers in a `PlaceTexts`; 0 where it has none.
struct PlaceRecord: Hashable, BitwiseCopyable {
    var continent: UInt32 = 0
    var country: UInt32 = 0
    var subdivisions: UInt32 = 0
    var city: UInt32 = 0
    var coordinates: Coordinates?
}

/// The texts of places, and their lists of subdivisions, each once.
struct PlaceTexts {
    private var texts: [String?] = [nil]
    private var textNumbers: [String: UInt32] = [:]
    private var lists: [[String]] = [[]]
    private var listNumbers: [[String]: UInt32] = [[]: 0]

    subscript(number: UInt32) -> String? { texts[Int(number)] }

    mutating func number(of text: String?) -> UInt32 {
        guard let text else { return 0 }
        if let known = textNumbers[text] { return known }
        texts.append(text)
        textNumbers[text] = UInt32(texts.count - 1)
        return UInt32(texts.count - 1)
    }

    mutating func number(of list: [String]) -> UInt32 {
        if let known = listNumbers[list] { return known }
        lists.append(list)
        listNumbers[list] = UInt32(lists.count - 1)
        return UInt32(lists.count - 1)
    }

    /// What a location says of its place.
    mutating func record(of location: Location) -> PlaceRecord {
        PlaceRecord(
            continent: number(of: location.continent), country: number(of: location.country),
            subdivisions: number(of: location.subdivisions), city: number(of: location.city),
            coordinates: location.coordinates)
    }

    func location(_ record: PlaceRecord) -> Location {
        Location(
            continent: self[record.continent], country: self[record.country],
            subdivisions: lists[Int(record.subdivisions)], city: self[record.city],
            coordinates: record.coordinates)
    }
}

/// Distinct places with numbers; 0 is what nobody knows.
struct PlaceTable {
    /// What the records' texts are.
    var texts = PlaceTexts()
    private var records = [PlaceRecord()]
    /// A hash table: the upper half of a record's hash, and its number; 0 is a free slot.
    private var slots = [UInt64](repeating: 0, count: 1 << 10)
    /// Unknown to who makes a file in which all records have one hash.
    private let factors = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))

    var count: Int { records.count }

    func location(_ number: Int) -> Location? {
        number == 0 ? nil : texts.location(records[number])
    }

    /// The number of a place, a new one if it has none.
    mutating func number(of record: PlaceRecord) -> UInt32 {
        let hash = hash(record)
        var slot = firstSlot(hash)
        while slots[slot] != 0 {
            let number = UInt32(truncatingIfNeeded: slots[slot])
            if slots[slot] & Self.hashBits == hash, records[Int(number)] == record {
                return number
            }
            slot = (slot &+ 1) & (slots.count &- 1)
        }
        let number = UInt32(truncatingIfNeeded: records.count)
        slots[slot] = hash | UInt64(number)
        records.append(record)
        if records.count * 4 > slots.count * 3 { grow() }
        return number
    }

    private static let hashBits: UInt64 = 0xFFFF_FFFF_0000_0000

    /// Multiplied to 128 bits and folded, twice: enough for a table, and a quarter of what `Hasher` takes.
    private func hash(_ record: PlaceRecord) -> UInt64 {
        // A negative zero is equal to the other one; the sum makes it that.
        let latitude = ((record.coordinates?.latitude ?? 0) + 0).bitPattern
        let longitude = ((record.coordinates?.longitude ?? 0) + 0).bitPattern
        let codes = UInt64(record.continent) << 32 | UInt64(record.country)
        let names = UInt64(record.subdivisions) << 32 | UInt64(record.city)
        let place = (latitude ^ factors.0).multipliedFullWidth(by: longitude ^ factors.1)
        let texts = (codes ^ factors.1).multipliedFullWidth(by: names ^ factors.0)
        let mixed = (place.high ^ texts.low).multipliedFullWidth(
            by: place.low ^ texts.high ^ factors.0)
        return (mixed.high ^ mixed.low) & Self.hashBits
    }

    private func firstSlot(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash >> 32) & (slots.count &- 1)
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: 0, count: old.count * 2)
        for entry in old where entry != 0 {
            var slot = firstSlot(entry)
            while slots[slot] != 0 { slot = (slot &+ 1) & (slots.count &- 1) }
            slots[slot] = entry
        }
    }
}
