// The compiled tree against libmaxminddb, asked directly, on a database that vendors made:
// geo/world.mmdb, or a full one named by the environment's RHUMB_CITY_DATABASE.

import CMaxMindDB
import DNSWire
import Geo
import Glibc
import Testing

/// What both sides are compared by.
private struct Place: Hashable {
    var continent: String?
    var country: String?
    var coordinates: Coordinates?
    /// The first subdivision's code, or its name.
    var subdivision: String?
}

/// libmaxminddb by its text interface: nothing of Sources/Geo is used.
@safe private final class Oracle {
    private let handle = UnsafeMutablePointer<MMDB_s>.allocate(capacity: 1)

    init(path: String) {
        let status = unsafe MMDB_open(path, UInt32(MMDB_MODE_MMAP), handle)
        precondition(status == MMDB_SUCCESS, "the database opens")
    }

    deinit {
        unsafe MMDB_close(handle)
        unsafe handle.deallocate()
    }

    func place(of address: IPAddress) -> Place? {
        var addressError: Int32 = 0
        var status: Int32 = 0
        let result = unsafe MMDB_lookup_string(
            handle, address.description, &addressError, &status)
        precondition(addressError == 0 && status == MMDB_SUCCESS, "the lookup succeeds")
        guard unsafe result.found_entry else { return nil }
        var entry = unsafe result.entry
        var place = Place()
        place.continent = unsafe text(&entry, "continent", "code")
        place.country = unsafe text(&entry, "country", "iso_code")
        place.subdivision = unsafe text(&entry, "subdivisions", "0", "iso_code")
        if place.subdivision == nil {
            place.subdivision = unsafe text(&entry, "subdivisions", "0", "names", "en")
        }
        if let latitude = unsafe number(&entry, "location", "latitude"),
            let longitude = unsafe number(&entry, "location", "longitude")
        {
            place.coordinates = Coordinates(latitude: latitude, longitude: longitude)
        }
        return place == Place() ? nil : place
    }

    private func value(_ entry: inout MMDB_entry_s, _ path: [String]) -> MMDB_entry_data_s? {
        var strings: [UnsafePointer<CChar>?] = unsafe path.map { unsafe UnsafePointer(strdup($0)) }
        unsafe strings.append(nil)
        defer { unsafe strings.forEach { unsafe free(.init(mutating: $0)) } }
        var data = unsafe MMDB_entry_data_s()
        let status = unsafe MMDB_aget_value(&entry, &data, strings)
        return unsafe status == MMDB_SUCCESS && data.has_data ? data : nil
    }

    private func text(_ entry: inout MMDB_entry_s, _ path: String...) -> String? {
        guard let data = unsafe value(&entry, path),
            unsafe data.type == UInt32(MMDB_DATA_TYPE_UTF8_STRING), unsafe data.data_size > 0
        else { return nil }
        let octets = unsafe UnsafeRawBufferPointer(
            start: data.utf8_string, count: Int(data.data_size))
        let text = unsafe String(decoding: octets, as: UTF8.self)
        return text == "ZZ" ? nil : text
    }

    private func number(_ entry: inout MMDB_entry_s, _ path: String...) -> Double? {
        guard let data = unsafe value(&entry, path) else { return nil }
        switch unsafe Int32(data.type) {
        case MMDB_DATA_TYPE_DOUBLE: return unsafe data.double_value
        case MMDB_DATA_TYPE_FLOAT: return unsafe Double(data.float_value)
        default: return nil
        }
    }
}

@Suite("real database")
struct RealDatabaseTests {
    private let path: String = {
        if let given = unsafe getenv("RHUMB_CITY_DATABASE") { return unsafe String(cString: given) }
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.joined(separator: "/") + "/geo/world.mmdb"
    }()

    /// Addresses of all IPv4, and of IPv6 where it is in use.
    private func addresses(_ count: Int, _ random: inout Randomness) -> [IPAddress] {
        (0..<count).map { index in
            if index % 2 == 0 { return IPAddress(ipv4: .random(in: .min ... .max, using: &random)) }
            let start: [UInt64] = [0x2001, 0x2003, 0x2400, 0x2600, 0x2804, 0x2A00, 0x2A02, 0x2C0F]
            let high = start.randomElement(using: &random)! << 48
            // Half of them near the start of allocations, where records are.
            let mask: UInt64 = index % 4 == 1 ? 0x0FFF_FFFF_FFFF : 0xFFFF_FFFF_FFFF
            return IPAddress(
                family: .ipv6, high: high | random.next() & mask, low: random.next())
        }
    }

    @Test("the shipped database makes each continent's clients tell their country")
    func shipped() throws {
        let database = try LocationDatabase(path: path)
        let geography = Geography(database: database)
        let rows = [
            ("133.11.0.1", "AS", "JP"), ("129.67.242.154", "EU", "GB"), ("200.160.2.3", "SA", "BR"),
            ("18.18.18.18", "NA", "US"),
        ]
        for (text, continent, country) in rows {
            let location = try #require(geography.find(ip(text)).location)
            #expect(location.continent == continent && location.country == country, "\(text)")
            #expect(location.coordinates != nil)
        }
    }

    @Test("countries are in the continents that the shipped database sees them in")
    func continentTable() throws {
        let parts = #filePath.split(separator: "/").dropLast(3)
        let path = "/" + parts.joined(separator: "/") + "/geo/world.mmdb"
        var seen: [String: String] = [:]
        _ = try Geography(database: try LocationDatabase(path: path)).compile(networks: []) {
            location, _ in
            if let country = location?.country { seen[country] = location?.continent }
            return 0
        }
        #expect(seen.count > 200)
        for (country, expected) in seen {
            #expect(continent(ofCountry: country) == expected, "\(country)")
        }
    }

    @Test("outcomes and scopes agree with libmaxminddb")
    func agreement() throws {
        let database = try LocationDatabase(path: path)
        let oracle = Oracle(path: path)
        var places: [Place?] = []
        var numbers: [Place?: UInt32] = [:]
        let tree = try Geography(database: database).compile(networks: []) { location, _ in
            let place = location.map {
                Place(
                    continent: $0.continent, country: $0.country, coordinates: $0.coordinates,
                    subdivision: $0.subdivisions.first)
            }
            if let number = numbers[place] { return number }
            numbers[place] = UInt32(places.count)
            places.append(place)
            return UInt32(places.count - 1)
        }
        var random = Randomness(seed: 7)
        var found = 0
        for address in addresses(20_000, &random) {
            let located = FoldedSpace.ipv4(in: address) ?? address
            let expected = oracle.place(of: located)
            if expected != nil { found += 1 }
            let match = tree.lookup(address)
            #expect(places[Int(match.outcome)] == expected, "\(address)")
            #expect(database.location(of: located).location?.country == expected?.country)
            let network = try #require(IPNetwork(address, length: Int(match.scope)))
            for _ in 0..<3 {
                let other = randomAddress(in: network, &random)
                #expect(tree.lookup(other) == match, "\(other) in \(network)")
                let inner = FoldedSpace.ipv4(in: other) ?? other
                #expect(oracle.place(of: inner) == expected, "\(other) in \(network)")
            }
        }
        // Most of IPv4 is somewhere: else this test would have compared nothing with nothing.
        #expect(found > 8_000)
    }
}
