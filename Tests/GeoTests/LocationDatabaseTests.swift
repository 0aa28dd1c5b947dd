// Opening databases of all shapes, and what their records come out as.

import DNSWire
import Geo
import Glibc
import Testing

@Suite("location database")
struct LocationDatabaseTests {
    /// Writes one record and reads it back, by lookup and by compiling.
    private func read(
        _ record: DataValue, _ writer: DatabaseWriter = DatabaseWriter()
    ) throws -> Location? {
        let file = TemporaryFile(writer.octets([(net("192.0.2.0/24"), record)]))
        let database = try LocationDatabase(path: file.path)
        let located = database.location(of: ip("192.0.2.1"))
        #expect(located.network == net("192.0.2.0/24"))
        var compiled: [Location?] = []
        _ = try Geography(database: database).compile(networks: []) { location, _ in
            compiled.append(location)
            return UInt32(compiled.count)
        }
        var expected = located.location
        expected?.city = nil
        #expect(compiled.contains(expected == Location() ? nil : expected))
        return located.location
    }

    private let frankfurt: DataValue = .map([
        (
            "city",
            .map([("geoname_id", .uint32(1)), ("names", .map([("en", .text("Frankfurt"))]))])
        ),
        ("continent", .map([("code", .text("EU"))])),
        ("country", .map([("iso_code", .text("DE"))])),
        (
            "location",
            .map([
                ("accuracy_radius", .uint16(5)), ("latitude", .double(50.11)),
                ("longitude", .double(8.68)),
            ])
        ),
        ("registered_country", .map([("iso_code", .text("FR"))])),
        ("subdivisions", .array([.map([("iso_code", .text("HE")), ("names", .map([]))])])),
        ("traits", .map([("is_anycast", .boolean(true))])),
    ])

    @Test(
        "a full record is read alike from every layout",
        arguments: [24, 28, 32], [(4, true), (6, true), (6, false)])
    func layouts(recordBits: Int, shape: (ipVersion: Int, pointers: Bool)) throws {
        let writer = DatabaseWriter(
            recordBits: recordBits, ipVersion: shape.ipVersion, usesPointers: shape.pointers)
        let location = try read(frankfurt, writer)
        #expect(
            location
                == Location(
                    continent: "EU", country: "DE", subdivisions: ["HE"], city: "Frankfurt",
                    coordinates: Coordinates(latitude: 50.11, longitude: 8.68)))
    }

    @Test("coordinates may be floats, as DB-IP writes them, and subdivisions names alone")
    func floats() throws {
        let location = try read(
            .map([
                ("location", .map([("latitude", .float(37.5)), ("longitude", .float(-122.25))])),
                (
                    "subdivisions",
                    .array([
                        .map([
                            (
                                "names",
                                .map([("de", .text("Kalifornien")), ("en", .text("California"))])
                            )
                        ]),
                        .map([("iso_code", .text("x1"))]), .text("neither"),
                    ])
                ),
            ]))
        #expect(location?.coordinates == Coordinates(latitude: 37.5, longitude: -122.25))
        #expect(location?.subdivisions == ["California", "X1"])
    }

    @Test("a country's continent is known where the database leaves it out")
    func continentOfCountry() throws {
        let location = try read(.map([("country", .map([("iso_code", .text("JP"))]))]))
        #expect(location == Location(continent: "AS", country: "JP"))
        // What the database says holds, and what nobody knows stays unknown.
        #expect(try read(placeRecord("JP", continent: "OC"))?.continent == "OC")
        let nowhere = try read(.map([("country", .map([("iso_code", .text("QQ"))]))]))
        #expect(nowhere == Location(country: "QQ"))
    }

    @Test("a city whose name can't be decoded hides nothing else of the place")
    func corruptCity() throws {
        // A map whose key is a number.
        let names = DataValue.raw([0xE1, 0xA1, 0x01, 0xA1, 0x01])
        let location = try read(
            .map([
                ("city", .map([("names", names)])),
                ("country", .map([("iso_code", .text("DE"))])),
            ]))
        #expect(location == Location(continent: "EU", country: "DE"))
    }

    private static func place(_ latitude: DataValue, _ longitude: DataValue) -> DataValue {
        .map([("location", .map([("latitude", latitude), ("longitude", longitude)]))])
    }

    @Test(
        "parts that say nothing are absent, never 0,0",
        arguments: [
            .map([]),
            .text("not a map"),
            .map([("country", .text("DE"))]),
            .map([("country", .map([("iso_code", .uint32(7))]))]),
            .map([("country", .map([("iso_code", .text(""))]))]),
            .map([("country", .map([("iso_code", .text("ZZ"))]))]),
            .map([("country", .map([("iso_code", .text("D1"))]))]),
            .map([("country", .map([("iso_code", .text("DEU"))]))]),
            .map([("registered_country", .map([("iso_code", .text("DE"))]))]),
            .map([("continent", .map([("code", .text("Europe"))]))]),
            .map([("subdivisions", .map([]))]),
            .map([("location", .map([("latitude", .double(1))]))]),
            place(.double(.nan), .double(0)),
            place(.double(0), .double(.infinity)),
            place(.double(90.001), .double(0)),
            place(.double(0), .float(-180.5)),
            place(.text("1"), .uint32(1)),
        ] as [DataValue])
    func absent(record: DataValue) throws {
        #expect(try read(record) == nil)
    }

    @Test("0,0 is a place where the database gives it")
    func nullIsland() throws {
        #expect(
            try read(Self.place(.double(0), .double(-0.0)))?.coordinates
                == Coordinates(latitude: 0, longitude: 0))
        #expect(
            try read(Self.place(.double(-90), .double(180)))?.coordinates
                == Coordinates(latitude: -90, longitude: 180))
    }

    @Test("a database of IPv4 knows nothing of IPv6, but folded addresses are IPv4")
    func ipv4Only() throws {
        let file = TemporaryFile(
            DatabaseWriter(ipVersion: 4, type: "Test-Country").octets([
                (net("128.0.0.0/1"), placeRecord("DE"))
            ]))
        let database = try LocationDatabase(path: file.path)
        #expect(database.kind == .country && database.ipVersion == 4)
        #expect(database.nodeCount == 1 && database.buildDate == 1_700_000_000)
        #expect(database.location(of: ip("2001:db8::1")).location == nil)
        #expect(database.location(of: ip("1.2.3.4")) == (nil, net("0.0.0.0/1")))
        let geography = Geography(database: database)
        let tree = try geography.compile(networks: []) { location, _ in
            location?.country == "DE" ? 1 : 0
        }
        // Of 192.0.0.0/8 parts are private: what the database says of them does not count.
        #expect(tree.lookup(ip("200.0.0.1")) == LocationMatch(outcome: 1, scope: 5))
        #expect(tree.lookup(ip("2001:db8::1")).outcome == 0)
        #expect(tree.lookup(ip("::ffff:200.0.0.1")) == LocationMatch(outcome: 1, scope: 101))
        #expect(geography.find(ip("2001:db8::1")).source == .unknown)
    }

    @Test("a record that spans more than IPv4 is all of IPv4")
    func wideRecord() throws {
        let file = TemporaryFile(DatabaseWriter().octets([(net("::/8"), placeRecord("DE"))]))
        let database = try LocationDatabase(path: file.path)
        #expect(database.location(of: ip("1.2.3.4")).network == net("0.0.0.0/0"))
        #expect(database.location(of: ip("1.2.3.4")).location?.country == "DE")
        let tree = try Geography(database: database).compile(networks: []) { location, _ in
            location == nil ? 0 : 1
        }
        #expect(tree.lookup(ip("1.2.3.4")) == LocationMatch(outcome: 1, scope: 8))
        #expect(tree.lookup(ip("100::1")).outcome == 0)
    }

    @Test(
        "what isn't a City or Country database is refused with the cure",
        arguments: [
            ("GeoLite2-ASN", false), ("GeoIP2-Anonymous-IP", false), ("", false),
            ("GeoLite2-City", true), ("GeoIP2-Enterprise", true), ("DBIP-Country-Lite", true),
            ("DBIP-Location (compat=City)", true),
        ])
    func kinds(type: String, isGood: Bool) throws {
        var writer = DatabaseWriter()
        writer.type = type
        let file = TemporaryFile(writer.octets([(net("192.0.2.0/24"), frankfurt)]))
        if isGood {
            #expect(try LocationDatabase(path: file.path).type == type)
        } else {
            let error = #expect(throws: GeoError.self) { try LocationDatabase(path: file.path) }
            #expect(error?.message.contains("use a City or Country database") == true)
            #expect(error?.path == file.path)
        }
    }

    @Test(
        "what is no file of octets is refused and not waited for", .timeLimit(.minutes(1)),
        arguments: ["a pipe", "a directory", "a pipe behind a link"])
    func irregular(what: String) throws {
        let place = TemporaryFile([])
        let path = what.hasSuffix("link") ? place.path + ".pipe" : place.path
        #expect(unsafe unlink(place.path) == 0)
        #expect(unsafe what == "a directory" ? mkdir(path, 0o700) == 0 : mkfifo(path, 0o600) == 0)
        if path != place.path { #expect(unsafe symlink(path, place.path) == 0) }
        defer { _ = unsafe remove(path) }
        let error = #expect(throws: GeoError.self) { try LocationDatabase(path: place.path) }
        #expect(error?.message == "is not a regular file; give an unpacked .mmdb file")
    }

    @Test("of several databases the newest City one is used, other kinds are passed over")
    func best() throws {
        let write = { (type: String, built: UInt64) in
            var writer = DatabaseWriter()
            writer.type = type
            writer.buildDate = built
            return TemporaryFile(writer.octets([(net("192.0.2.0/24"), placeRecord("DE"))]))
        }
        let asn = write("GeoLite2-ASN", 9)
        let country = write("GeoLite2-Country", 8)
        let old = write("GeoLite2-City", 6)
        let new = write("GeoLite2-City", 7)
        for (files, expected) in [
            ([asn, country, old, new], new), ([new, old, country, asn], new),
            ([asn, country], country), ([asn], nil), ([], nil),
        ] {
            let best = try LocationDatabase.best(among: files.map(\.path))
            #expect(best?.path == expected?.path)
        }
        let damaged = TemporaryFile(Array("hello".utf8))
        #expect(throws: GeoError.self) {
            try LocationDatabase.best(among: [new.path, damaged.path])
        }
    }

    @Test("of several ASN databases the newest is used, and what it says is read")
    func systems() throws {
        let write = { (type: String, built: UInt64, record: DataValue) in
            TemporaryFile(
                DatabaseWriter(type: type, buildDate: built).octets([
                    (net("192.0.2.0/24"), record),
                    (net("2001:db8::/32"), systemRecord(64_501, nil)),
                ]))
        }
        let city = write("GeoLite2-City", 9, systemRecord(1))
        let old = write("GeoLite2-ASN", 6, systemRecord(2))
        let new = write("DBIP-ASN-Lite (compat=GeoLite2-ASN)", 7, systemRecord(64_500, "Example"))
        let paths = [city, new, old].map(\.path)
        let database = try #require(try LocationDatabase.best(among: paths, [.asn]))
        #expect(database.path == new.path && database.kind == .asn)
        #expect(
            database.system(of: ip("192.0.2.7"))
                == (AutonomousSystem(number: 64_500, organization: "Example"), net("192.0.2.0/24")))
        #expect(database.location(of: ip("192.0.2.7")).location == Location(asn: 64_500))
        #expect(database.system(of: ip("2001:db8::1")).system == AutonomousSystem(number: 64_501))
        #expect(database.system(of: ip("198.51.100.1")).system == nil)
        // Whoever asks for places gets none of them, and a City database announces nothing.
        #expect(try LocationDatabase.best(among: [new.path, old.path]) == nil)
        let other = try LocationDatabase(path: city.path)
        #expect(other.system(of: ip("192.0.2.7")).system == nil)
        #expect(other.location(of: ip("192.0.2.7")).location == nil)
        let error = #expect(throws: GeoError.self) {
            try LocationDatabase(path: city.path, [.asn])
        }
        #expect(error?.message.contains("use an ASN database") == true)
    }

    @Test(
        "numbers that nobody has, or that are none, are absent",
        arguments: [
            .map([("autonomous_system_number", .uint32(0))]),
            .map([("autonomous_system_number", .text("64500"))]),
            .map([("autonomous_system_number", .uint64(64_500))]),
            .map([("autonomous_system_organization", .text("Example"))]),
            .text("AS64500"),
        ] as [DataValue])
    func noSystem(record: DataValue) throws {
        let file = TemporaryFile(
            DatabaseWriter(type: "X-ASN").octets([(net("192.0.2.0/24"), record)]))
        let database = try LocationDatabase(path: file.path, [.asn])
        #expect(database.system(of: ip("192.0.2.1")).system == nil)
        let tree = try Geography(database: nil, asnDatabase: database).compile(
            networks: [], asns: [64_500]
        ) { location, _ in location == nil ? 0 : 1 }
        #expect(tree.lookup(ip("192.0.2.1")).outcome == 0)
    }

    @Test("files that are none, or not there, are refused with the reason")
    func noDatabase() throws {
        let missing = #expect(throws: GeoError.self) {
            try LocationDatabase(path: "/nonexistent/x.mmdb")
        }
        #expect(missing?.message.contains("No such file or directory") == true)
        for octets in [[], Array("hello".utf8), Array(repeating: 0, count: 100_000)] as [[UInt8]] {
            let file = TemporaryFile(octets)
            #expect(throws: GeoError.self) { try LocationDatabase(path: file.path) }
        }
    }
}
