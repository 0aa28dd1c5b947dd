import Testing

@testable import Geo

/// Places as numbers while trees are compiled.
struct PlaceTableTests {
    private let locations = [
        Location(continent: "EU", country: "DE", subdivisions: ["HE"]),
        Location(
            continent: "EU", country: "DE", subdivisions: ["HE", "Darmstadt"],
            city: "Frankfurt", coordinates: Coordinates(latitude: 50.11, longitude: 8.68)),
        Location(coordinates: Coordinates(latitude: 0, longitude: 0)),
        Location(country: "ZZ", city: "EU"),
        Location(continent: "EU", country: "DE", city: "HE"),
    ]

    @Test("equal places have one number, and come back as they were")
    func numbers() {
        var texts = PlaceTexts()
        var table = PlaceTable(capacity: 0)
        let numbers = locations.map { table.number(of: texts.record(of: $0)) }
        #expect(numbers == [1, 2, 3, 4, 5])
        #expect(numbers == locations.map { table.number(of: texts.record(of: $0)) })
        let negative = Location(coordinates: Coordinates(latitude: -0.0, longitude: 0))
        #expect(table.number(of: texts.record(of: negative)) == 3)
        table.texts = texts
        #expect(table.number(of: PlaceRecord()) == 0)
        #expect(table.location(0) == nil && table.coordinates(0) == nil && table.count == 6)
        #expect((1...5).map { table.location($0) } == locations)
        #expect((1...5).map { table.coordinates($0) } == locations.map(\.coordinates))
    }

    @Test("places that differ in their coordinates alone are worded alike, if they have any")
    func wordings() {
        var texts = PlaceTexts()
        var table = PlaceTable(capacity: 0)
        for location in locations {
            let place = table.number(of: texts.record(of: location))
            let wordings = [-33.9, 18.4].map { latitude in
                var moved = location
                moved.coordinates = Coordinates(latitude: latitude, longitude: 0)
                let number = table.number(of: texts.record(of: moved))
                return table.wording(number)
            }
            #expect(wordings[0] == wordings[1] && table.wording(place) > 0)
            #expect((wordings[0] == table.wording(place)) == (location.coordinates != nil))
        }
        // With and without coordinates, but for the third, which has nothing else.
        let all = Set((1..<UInt32(table.count)).map(table.wording))
        #expect(all.count == 8)
    }

    @Test("places come back as they were, and few have two numbers, however many there are")
    func many() {
        var table = PlaceTable(capacity: 0)
        var numbers: Set<UInt32> = []
        for index in 0..<300_000 as Range<UInt32> {
            let record = PlaceRecord(
                country: 1 + index / 1_000 % 7,
                coordinates: Coordinates(
                    latitude: Double(index / 3_000), longitude: Double(index / 3 % 1_000) / 100))
            let number = table.number(of: record)
            numbers.insert(number)
            #expect(table.coordinates(number) == record.coordinates)
        }
        // Three in a row are equal, but for some at the borders of a thousand.
        #expect(numbers.count == table.count - 1 && numbers.count < 101_000)
    }
}
