import Testing

@testable import Geo

/// Places as numbers while a database is laid out.
struct PlaceTableTests {
    @Test("equal places have one number, and come back as they were")
    func numbers() {
        var texts = PlaceTexts()
        let locations = [
            Location(continent: "EU", country: "DE", subdivisions: ["HE"]),
            Location(
                continent: "EU", country: "DE", subdivisions: ["HE", "Darmstadt"],
                city: "Frankfurt", coordinates: Coordinates(latitude: 50.11, longitude: 8.68)),
            Location(coordinates: Coordinates(latitude: 0, longitude: 0)),
            Location(country: "ZZ", city: "EU"),
            Location(continent: "EU", country: "DE", city: "HE"),
        ]
        var table = PlaceTable()
        let numbers = locations.map { table.number(of: texts.record(of: $0)) }
        #expect(numbers == [1, 2, 3, 4, 5])
        #expect(numbers == locations.map { table.number(of: texts.record(of: $0)) })
        let negative = Location(coordinates: Coordinates(latitude: -0.0, longitude: 0))
        #expect(table.number(of: texts.record(of: negative)) == 3)
        table.texts = texts
        #expect(table.location(0) == nil && table.count == 6)
        #expect((1...5).map { table.location($0) } == locations)
    }

    @Test("places that differ in one part alone cost no more than others", arguments: 0..<3)
    func oneSided(part: Int) {
        var table = PlaceTable()
        let took = ContinuousClock().measure {
            for number in 0..<100_000 as Range<UInt32> {
                var record = PlaceRecord(coordinates: Coordinates(latitude: 0, longitude: 0))
                switch part {
                case 0: record.city = number
                case 1: record.country = number
                default: record.coordinates?.longitude = Double(number) / 1_000
                }
                #expect(table.number(of: record) == number + 1)
            }
        }
        // Thousands of times that if all had one hash.
        #expect(took < .seconds(20))
    }
}
