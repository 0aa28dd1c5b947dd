// Databases that lie: every reader ends with an error or an answer, in bounded time.

import DNSWire
import Geo
import Testing

@Suite("hostile databases")
struct HostileDatabaseTests {
    /// Opens and uses a file in all ways there are; returns what refused it, if anything did.
    private func use(_ octets: [UInt8]) -> GeoError? {
        let file = TemporaryFile(octets)
        do throws(GeoError) {
            let database = try LocationDatabase(path: file.path, [.city, .asn])
            for text in ["192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "ffff::"] {
                _ = database.location(of: ip(text))
                _ = database.system(of: ip(text))
            }
            let geography =
                database.kind == .asn
                ? Geography(database: nil, asnDatabase: database) : Geography(database: database)
            let tree = try geography.compile(
                networks: [[net("10.0.0.0/8")]], asns: [64_500, 64_501]
            ) { location, lists in UInt32(lists.count) + (location == nil ? 0 : 2) }
            _ = tree.lookup(ip("192.0.2.1"))
            return nil
        } catch {
            #expect(error.path == file.path)
            return error
        }
    }

    private func sample(recordBits: Int, ofSystems: Bool = false) -> [UInt8] {
        if ofSystems {
            return DatabaseWriter(recordBits: recordBits, type: "Test-ASN").octets([
                (net("192.0.2.0/24"), systemRecord(64_500)),
                (net("198.51.100.0/22"), systemRecord(64_501, nil)),
                (net("2001:db8::/32"), systemRecord(64_502)),
            ])
        }
        return DatabaseWriter(recordBits: recordBits).octets([
            (net("192.0.2.0/24"), placeRecord("DE", latitude: 50.11, longitude: 8.68)),
            (net("198.51.100.0/22"), placeRecord("FR", latitude: 48.85, longitude: 2.35)),
            (net("2001:db8::/32"), placeRecord("JP", continent: "AS")),
        ])
    }

    @Test(
        "the sample is sound, so that what follows tests damage", arguments: [24, 28, 32],
        [false, true])
    func sound(recordBits: Int, ofSystems: Bool) {
        #expect(use(sample(recordBits: recordBits, ofSystems: ofSystems)) == nil)
    }

    @Test("a file cut off anywhere is refused or read", arguments: [24, 28, 32], [false, true])
    func truncated(recordBits: Int, ofSystems: Bool) {
        let octets = sample(recordBits: recordBits, ofSystems: ofSystems)
        for length in 0..<octets.count {
            let error = use(Array(octets.prefix(length)))
            // Without its metadata a file is no database.
            if length < octets.count - 150 { #expect(error != nil, "\(length)") }
        }
    }

    @Test(
        "a tree larger than the file is refused before the library opens it",
        arguments: [24, 28, 32], [UInt32.max, UInt32.max / 2, 1 << 30, 1 << 20, 1_000])
    func hugeTree(recordBits: Int, nodes: UInt32) throws {
        var octets = sample(recordBits: recordBits)
        let key = Array("node_count".utf8)
        let place = try #require(
            (0..<octets.count - key.count).last { octets[$0...].starts(with: key) })
        // A control octet of 4 octets of the type uint32 follows the key.
        #expect(octets[place + key.count] == 0xC4 || octets[place + key.count] == 0xC1)
        let length = Int(octets[place + key.count] & 0x1F)
        let value = (0..<4).map { UInt8(truncatingIfNeeded: nodes >> (24 - 8 * UInt32($0))) }
        octets.replaceSubrange(
            place + key.count..<place + key.count + 1 + length, with: [0xC4] + value)
        #expect(try #require(use(octets)).message.contains("state no search tree that fits"))
    }

    @Test("flipped octets in tree and data do no harm", arguments: UInt64(0)..<12)
    func flipped(seed: UInt64) {
        var random = Randomness(seed: seed)
        let octets = sample(recordBits: [24, 28, 32][Int(seed % 3)], ofSystems: seed % 2 > 0)
        // Past this the metadata begins, which libmaxminddb reads.
        let end = octets.count - 200
        for _ in 0..<150 {
            var damaged = octets
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                damaged[Int.random(in: 0..<end, using: &random)] = random.next(upperBound: 255)
            }
            _ = use(damaged)
        }
    }

    private static let record = DataEncoder.octets(of: placeRecord("DE"))

    @Test(
        "search trees that are no trees are refused",
        arguments: [
            // A node that leads to itself, one that leads back, one that points behind the data,
            // and one that points into the separator.
            ([(0, 0)], "runs in circles"),
            ([(2, 1), (2, 0)], "runs in circles"),
            ([(1, 0xFF_FFFF), (2, 2)], "points outside its data"),
            ([(1, 1), (2 + 5, 2)], "points outside its data"),
        ] as [([(UInt32, UInt32)], String)])
    func tangled(nodes: [(UInt32, UInt32)], reason: String) throws {
        for type in ["Test-City", "Test-ASN"] {
            let octets = DatabaseWriter(type: type).file(nodes: nodes, data: Self.record)
            #expect(try #require(use(octets)).message.contains(reason))
        }
    }

    @Test("a tree whose branches meet again on every level ends soon")
    func doubling() throws {
        // 2^128 ways from the root, in 128 nodes.
        let nodes = (0..<128).map { (UInt32($0 + 1), UInt32($0 + 1)) }
        for type in ["Test-City", "Test-ASN"] {
            let octets = DatabaseWriter(type: type).file(nodes: nodes, data: Self.record)
            #expect(try #require(use(octets)).message.contains("runs in circles"))
        }
    }

    @Test(
        "records that contradict the format are refused",
        arguments: [
            // A map of 16 million entries; keys that are numbers; a text longer than the file; a
            // pointer to a pointer, one behind the end; an array in an array without end.
            [0xFF, 0xFF, 0xFF, 0xFF], [0xE1, 0xA1, 0x01, 0xA1, 0x01],
            [0xE1, 0x5F, 0xFF, 0xFF, 0xFF],
            [0x20, 0x02, 0x20, 0x04, 0xE0], [0x3F, 0xFF, 0xFF, 0xFF, 0xFF],
            [0xE1, 0x41, 0x61] + Array(repeating: [0x01, 0x04], count: 10_000).flatMap(\.self),
        ] as [[UInt8]])
    func corruptRecords(data: [UInt8]) throws {
        for type in ["Test-City", "Test-ASN"] {
            let octets = DatabaseWriter(type: type).file(nodes: [(17, 1)], data: data)
            #expect(try #require(use(octets)).message.contains("can't be decoded"))
        }
    }

    @Test("thousands of records that share one huge map end soon")
    func sharedMap() throws {
        // A map of 4,000 entries, each key and value a pointer of two octets to an empty text.
        let entries = Array(repeating: [0x20, 0x00] as [UInt8], count: 8_000).flatMap(\.self)
        let map: [UInt8] = [0x40, 0xFE, 0x0E, 0x83] + entries
        // Records that are pointers to it, each at an offset of its own.
        let pointer: [UInt8] = [0x20, 0x01]
        let start = map.count
        let count = 20_000
        let data = map + Array(repeating: pointer, count: count).flatMap(\.self)
        // A chain of nodes would be too deep: a full tree over the pointers.
        var nodes: [(UInt32, UInt32)] = []
        let inner = 1 << 14
        for index in 1..<inner {
            let child = { (number: Int) -> UInt32 in
                number < inner
                    ? UInt32(number - 1) : UInt32(inner - 1 + 16 + start + 2 * (number - inner))
            }
            nodes.append((child(2 * index), child(2 * index + 1)))
        }
        for type in ["Test-City", "Test-ASN"] {
            let octets = DatabaseWriter(ipVersion: 4, type: type).file(nodes: nodes, data: data)
            #expect(try #require(use(octets)).message.contains("can't be decoded"))
        }
    }
}

extension DataEncoder {
    /// The octets of one record.
    static func octets(of value: DataValue) -> [UInt8] {
        var encoder = DataEncoder(usesPointers: false)
        _ = encoder.record(value)
        return encoder.octets
    }
}

extension Randomness {
    fileprivate mutating func next(upperBound: UInt8) -> UInt8 {
        UInt8.random(in: 0...upperBound, using: &self)
    }
}
