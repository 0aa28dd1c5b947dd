// The data section of a MaxMind database: what a record says of a place.
//
// Compiling decodes half a million distinct records, and libmaxminddb's lookup by path, nine per
// record, would take most of a second for that. What records share (countries, subdivisions) is
// decoded once. Format: MaxMind DB File Format Specification 2.0, "Output Data Section"; its values
// are read in `DataSection`.

/// Decodes places, remembering the parts that records share; for one thread, while the database
/// lives.
struct RecordDecoder {
    /// What is read of a record.
    enum Content {
        /// All of a place but its city's name, which compiling has no use for unless rules ask for it.
        case place
        case placeWithCity
        /// The AS number alone.
        case asn
    }

    private let section: DataSection
    private let content: Content
    /// How many values the record may still have, and how many all records together.
    private var budget = 0
    private var totalBudget: Int

    /// What the places that it returned are made of.
    var texts = PlaceTexts()
    /// Numbers of texts and of lists, by the place of what says them.
    private var codes = PairTable()
    private var subdivisionLists = PairTable()

    /// More values than any record has: MaxMind's largest have some 300. Bounds the work on a
    /// record that claims millions of entries.
    static let maximumValues = 5_000
    /// How many values all records may have together, for each octet of the section: records that
    /// stand for themselves have less than one, and shared parts are decoded once. Bounds the work
    /// on a million records that share one large map.
    static let maximumValuesPerOctet = 4
    /// The largest first, then what lies inside it; no vendor gives more than two.
    static let maximumSubdivisions = 4
    /// Names longer than this are no names.
    static let maximumTextLength = 1_000

    init(_ section: DataSection, _ content: Content) {
        self.section = section
        self.content = content
        totalBudget = section.count * Self.maximumValuesPerOctet + Self.maximumValues
    }

    /// What the record at `offset` says of its network; nil if nothing that steering could use.
    mutating func location(at offset: Int) throws(DataFault) -> Location? {
        content == .asn
            ? try systemNumber(at: offset).map { Location(asn: $0) }
            : try place(at: offset).map { texts.location($0) }
    }

    /// The place that the record at `offset` says; nil if none that steering could use.
    mutating func place(at offset: Int) throws(DataFault) -> PlaceRecord? {
        let granted = grant()
        defer { totalBudget -= granted - budget }
        var place = PlaceRecord()
        let map = try section.value(at: offset)
        guard map.type == .map else { return nil }
        var cursor = map.payload
        for _ in 0..<map.size {
            let key = try section.key(at: &cursor)
            switch key {
            case .country: place.country = try code(in: cursor, key: .isoCode)
            case .continent: place.continent = try code(in: cursor, key: .code)
            case .location: place.coordinates = try coordinates(at: cursor)
            case .subdivisions: place.subdivisions = try subdivisions(at: cursor)
            case .city where content == .placeWithCity:
                place.city = texts.number(of: city(at: cursor))
            default: break
            }
            try section.skip(&cursor, &budget)
        }
        if place.continent == 0 {
            place.continent = texts.number(
                of: texts[place.country].flatMap(continent(ofCountry:)))
        }
        return place == PlaceRecord() ? nil : place
    }

    /// The number of the autonomous system that the record at `offset` says, if it says any.
    mutating func systemNumber(at offset: Int) throws(DataFault) -> UInt32? {
        let granted = grant()
        defer { totalBudget -= granted - budget }
        return try autonomousSystem(at: offset)?.number
    }

    /// Gives a record what it may cost.
    private mutating func grant() -> Int {
        budget = min(Self.maximumValues, totalBudget)
        return budget
    }

    /// What the record at `offset` says of an autonomous system, with the place of its organisation's
    /// name; nil if it has no number, or 0, which is nobody's (RFC 7607).
    private mutating func autonomousSystem(
        at offset: Int
    ) throws(DataFault) -> (number: UInt32, organization: Int?)? {
        let map = try section.value(at: offset)
        guard map.type == .map else { return nil }
        var number: Int?
        var organization: Int?
        var cursor = map.payload
        for _ in 0..<map.size {
            switch try section.key(at: &cursor) {
            case .asNumber: number = try section.integer(at: cursor)
            case .asOrganization: organization = cursor
            default: break
            }
            try section.skip(&cursor, &budget)
        }
        guard let number, number > 0 else { return nil }
        return (UInt32(truncatingIfNeeded: number), organization)
    }

    /// The same for people, with the organisation's name.
    mutating func namedSystem(at offset: Int) throws(DataFault) -> AutonomousSystem? {
        budget = Self.maximumValues
        guard let (number, place) = try autonomousSystem(at: offset) else { return nil }
        let name = try place.flatMap { place throws(DataFault) in
            try section.text(at: place, maximumLength: Self.maximumTextLength)
        }
        return AutonomousSystem(number: number, organization: name)
    }

    // MARK: - Parts of a record

    /// The number of a two-letter code; `ZZ` and all that isn't two letters mean "unknown".
    private mutating func code(in map: Int, key: DataKey) throws(DataFault) -> UInt32 {
        let target = try section.target(of: map)
        if let known = codes[UInt64(target)] { return known }
        var code = try text(in: map, key: key)?.uppercased()
        if let text = code,
            text.utf8.count != 2 || text == "ZZ"
                || !text.utf8.allSatisfy({ (0x41...0x5A).contains($0) })
        {
            code = nil
        }
        let number = texts.number(of: code)
        codes[UInt64(target)] = number
        return number
    }

    /// The number of a list of subdivisions.
    private mutating func subdivisions(at offset: Int) throws(DataFault) -> UInt32 {
        let target = try section.target(of: offset)
        if let known = subdivisionLists[UInt64(target)] { return known }
        let array = try section.value(at: offset)
        guard array.type == .array else { return 0 }
        var result: [String] = []
        var cursor = array.payload
        for _ in 0..<min(array.size, Self.maximumSubdivisions) {
            if let code = try text(in: cursor, key: .isoCode) {
                result.append(code.uppercased())
            } else if let name = try englishName(in: cursor) {
                result.append(name)
            }
            try section.skip(&cursor, &budget)
        }
        let number = texts.number(of: result)
        subdivisionLists[UInt64(target)] = number
        return number
    }

    private mutating func coordinates(at offset: Int) throws(DataFault) -> Coordinates? {
        let map = try section.value(at: offset)
        guard map.type == .map else { return nil }
        var latitude: Double?
        var longitude: Double?
        var cursor = map.payload
        for _ in 0..<map.size {
            switch try section.key(at: &cursor) {
            case .latitude: latitude = try section.number(at: cursor)
            case .longitude: longitude = try section.number(at: cursor)
            default: break
            }
            try section.skip(&cursor, &budget)
        }
        // Comparisons are false for NaN.
        guard let latitude, let longitude, abs(latitude) <= 90, abs(longitude) <= 180 else {
            return nil
        }
        return Coordinates(latitude: latitude, longitude: longitude)
    }

    /// The city's name, for people alone: where it can't be read the place is the one that was
    /// compiled without it, and it takes nothing off the record's budget either.
    private mutating func city(at offset: Int) -> String? {
        let granted = budget
        defer { budget = granted }
        return (try? englishName(in: offset)) ?? nil
    }

    private mutating func englishName(in map: Int) throws(DataFault) -> String? {
        guard let names = try value(of: .names, in: map) else { return nil }
        return try text(in: names, key: .en)
    }

    private mutating func text(in map: Int, key: DataKey) throws(DataFault) -> String? {
        guard let place = try value(of: key, in: map) else { return nil }
        return try section.text(at: place, maximumLength: Self.maximumTextLength)
    }

    /// The place of a key's value in the map at `offset`; nil if the key or the map isn't there.
    private mutating func value(of key: DataKey, in offset: Int) throws(DataFault) -> Int? {
        let map = try section.value(at: offset)
        guard map.type == .map else { return nil }
        var cursor = map.payload
        for _ in 0..<map.size {
            if try section.key(at: &cursor) == key { return cursor }
            try section.skip(&cursor, &budget)
        }
        return nil
    }
}
