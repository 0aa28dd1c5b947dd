// Whether one database may take another's place, and when a watcher looks.

import DNSWire
import Geo
import Glibc
import Testing

@Suite("replacing a database")
struct DatabaseFactsTests {
    private static let inForce = DatabaseFacts(
        kind: .city, type: "Test-City", buildDate: 1_700_000_000, nodeCount: 1_000, ipVersion: 6,
        landmarks: [0, 1, 2, 3])

    private static func changed(_ change: (inout DatabaseFacts) -> Void) -> DatabaseFacts {
        var facts = inForce
        change(&facts)
        return facts
    }

    @Test(
        "what is as good as the one in force is taken, and what is not is refused with the reason",
        arguments: [
            (changed { _ in }, nil),
            (changed { $0.buildDate += 86_400 }, nil),
            (changed { $0.buildDate -= 1 }, "is older than the one in force"),
            (changed { $0.nodeCount = 500 }, nil),
            (changed { $0.nodeCount = 499 }, "has less than half the networks of the one in force"),
            (changed { $0.nodeCount = 9_000_000 }, nil),
            (changed { $0.type = "Other-City" }, nil),
            (
                changed { $0.kind = .country },
                "is a Country database, without the coordinates of the one in force"
            ),
            (
                changed { $0.ipVersion = 4 },
                "knows nothing of IPv6 addresses, as the one in force does"
            ),
            (changed { $0.landmarks = [0, 1, 2, 3, 4] }, nil),
            (changed { $0.landmarks = [1, 2, 3] }, nil),
            (
                changed { $0.landmarks = [1, 2, 4] },
                "has only 2 of 4 test addresses where the one in force has them"
            ),
            (
                changed { $0.landmarks = [] },
                "has only 0 of 4 test addresses where the one in force has them"
            ),
        ] as [(DatabaseFacts, String?)])
    func judgement(new: DatabaseFacts, objection: String?) {
        #expect(Self.inForce.objection(to: new) == objection)
    }

    @Test(
        "a Country database may become a City one, and one that knows no landmark need not learn any"
    )
    func upgrades() {
        let country = Self.changed {
            $0.kind = .country
            $0.ipVersion = 4
            $0.landmarks = []
        }
        #expect(country.objection(to: Self.inForce) == nil)
        #expect(country.objection(to: country) == nil)
    }

    @Test("the facts of a file are those of its metadata, and its landmarks by their countries")
    func factsOfFile() throws {
        var writer = DatabaseWriter()
        writer.buildDate = 1_650_000_000
        let file = TemporaryFile(
            writer.octets([
                (net("133.11.0.0/16"), placeRecord("JP", continent: "AS")),
                (net("193.0.0.0/16"), placeRecord("DE")),
                (net("129.67.0.0/16"), placeRecord("GB")),
            ]))
        let facts = try LocationDatabase(path: file.path).facts
        #expect(facts.kind == .city && facts.type == "Test-City" && facts.ipVersion == 6)
        #expect(facts.buildDate == 1_650_000_000 && facts.nodeCount > 0)
        #expect(facts.landmarks.map { Landmark.all[$0].country }.sorted() == ["GB", "JP"])
        #expect(facts.summary.hasPrefix("Test-City of 2022-04-15, "))
    }

    @Test("a watcher opens what two polls in a row find the same, unless it is in force or refused")
    func watch() {
        let octets = DatabaseWriter().octets([(net("10.0.0.0/8"), placeRecord("DE"))])
        let (one, other) = (TemporaryFile(octets), TemporaryFile(octets))
        let inForce = DatabaseFiles(place: "geo", paths: [one.path])
        let both = DatabaseFiles(place: "geo", paths: [one.path, other.path])
        var watch = DatabaseWatch()
        func isDue(_ files: DatabaseFiles, refused: DatabaseFiles? = nil) -> Bool {
            watch.isDue(files, inForce: inForce, refused: refused)
        }
        #expect(!isDue(inForce))
        #expect(!isDue(inForce))
        #expect(!isDue(both), "it may be on its way")
        #expect(isDue(both))
        #expect(!isDue(both, refused: both))
        // Written to: another version.
        #expect(unsafe truncate(other.path, 100) == 0)
        let cut = DatabaseFiles(place: "geo", paths: [one.path, other.path])
        #expect(cut != both)
        #expect(!isDue(cut, refused: both))
        #expect(isDue(cut, refused: both))
        // Gone again.
        #expect(!isDue(inForce, refused: cut))
        #expect(!isDue(inForce, refused: cut))
    }

    @Test("a file that is cut off in place while it is in use knows nothing, and ends no process")
    func cutInPlace() throws {
        let networks = (0..<200).map { number in
            (
                network: net("10.\(number).0.0/16"),
                record: placeRecord("DE", latitude: Double(number) / 4, longitude: 9)
            )
        }
        let file = TemporaryFile(DatabaseWriter().octets(networks))
        let database = try LocationDatabase(path: file.path)
        #expect(database.isIntact)
        #expect(database.location(of: ip("10.7.0.1")).location?.country == "DE")
        #expect(unsafe truncate(file.path, 10) == 0)
        #expect(!database.isIntact)
        // Nor if another file has the name by now, as after the cure.
        let cure = TemporaryFile(DatabaseWriter().octets(networks))
        #expect(unsafe rename(cure.path, file.path) == 0)
        #expect(!database.isIntact)
        #expect(try LocationDatabase(path: file.path).isIntact)
        #expect(database.location(of: ip("10.7.0.1")).location == nil)
        #expect(database.location(of: ip("10.7.0.1")).network.length == 0)
        let error = #expect(throws: GeoError.self) {
            try Geography(database: database).compile(networks: []) { _, _ in 0 }
        }
        #expect(error?.message.contains("rename that into place") == true)
    }
}
