// Places in few octets: a City database has half a million records, and what they say of a place
// are a few thousand texts in ever new combinations.

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

/// Places with numbers, of which 0 is what nobody knows. Few have two: what is alike lies together
/// in files, and a look through all places for the rest would cost more than it saves.
struct PlaceTable {
    /// What the wordings' texts are.
    var texts = PlaceTexts()
    /// What is said of each place in words, by number: the same for thousands.
    private var wordings: [UInt32] = [0]
    /// Where exactly each is; of those that have no coordinates, nothing.
    private var points = [Self.nowhere]
    /// The places that came last, by hash: its upper half, and the number.
    private var recent = [UInt64](repeating: 0, count: 1 << 16)
    private let hash = SeededHash()

    /// Each wording once, with coordinates if its places have some; 0 is that nothing is known.
    private var words = [PlaceRecord()]
    private var wordNumbers = [PlaceRecord(): 0 as UInt32]
    private var lastWording: UInt32 = 0

    private static let nowhere = Coordinates(latitude: 0, longitude: 0)

    /// - Parameter capacity: how many places there may be.
    init(capacity: Int) {
        wordings.reserveCapacity(capacity + 1)
        points.reserveCapacity(capacity + 1)
    }

    var count: Int { wordings.count }

    /// The number of all that is said of a place but where exactly it is; 0 if it is nothing at
    /// all.
    func wording(_ place: UInt32) -> UInt32 { wordings[Int(place)] }

    func coordinates(_ place: UInt32) -> Coordinates? {
        words[Int(wordings[Int(place)])].coordinates == nil ? nil : points[Int(place)]
    }

    func location(_ place: UInt32) -> Location? {
        let wording = wordings[Int(place)]
        guard wording > 0 else { return nil }
        var location = texts.location(words[Int(wording)])
        location.coordinates = coordinates(place)
        return location
    }

    /// The number of a place: a new one, unless it is among the recent ones.
    mutating func number(of place: PlaceRecord) -> UInt32 {
        let wording = wording(of: place)
        guard wording > 0 else { return 0 }
        let point = place.coordinates ?? Self.nowhere
        // A negative zero is equal to the other one; the sum makes it that.
        let hash = hash(
            (point.latitude + 0).bitPattern,
            (point.longitude + 0).bitPattern ^ UInt64(wording) &* 0x9E37_79B9_7F4A_7C15)
        let tag = UInt32(truncatingIfNeeded: hash >> 32)
        let slot = hash & (recent.count &- 1)
        let known = UInt32(truncatingIfNeeded: recent[slot])
        if recent[slot] >> 32 == UInt64(tag), points[Int(known)] == point,
            wordings[Int(known)] == wording
        {
            return known
        }
        let number = UInt32(truncatingIfNeeded: count)
        recent[slot] = UInt64(tag) << 32 | UInt64(number)
        wordings.append(wording)
        points.append(point)
        return number
    }

    private mutating func wording(of place: PlaceRecord) -> UInt32 {
        var wording = place
        if wording.coordinates != nil { wording.coordinates = Self.nowhere }
        // Neighbours in the file are often worded alike.
        if words[Int(lastWording)] == wording { return lastWording }
        if let known = wordNumbers[wording] {
            lastWording = known
        } else {
            lastWording = UInt32(words.count)
            wordNumbers[wording] = lastWording
            words.append(wording)
        }
        return lastWording
    }
}
