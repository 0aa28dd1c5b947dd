// Databases that are written into while a tree is compiled of them: nothing that is half of each is taken,
// and the file that was written is the one that is named.

import DNSWire
import Glibc
import Testing

@testable import Geo

@Suite("databases written in place")
struct WrittenInPlaceTests {
    /// What happens to a file while it is compiled.
    enum Act: CaseIterable {
        /// As `cp` over it does; that is to be noticed.
        case written, grown, cutOff
        case read, linked, modeChanged, renamedAway, replaced
    }

    private static let places = DatabaseWriter().octets([
        (net("192.0.2.0/24"), placeRecord("DE", latitude: 50.11, longitude: 8.68)),
        (net("2001:db8::/32"), placeRecord("JP", continent: "AS")),
    ])
    private static let systems = DatabaseWriter(type: "Test-ASN").octets([
        (net("192.0.2.0/24"), systemRecord(64_500)),
        (net("198.51.100.0/22"), systemRecord(64_501)),
    ])

    /// A file whose times are such that a change shows, however coarse the clock is.
    private func settledFile(_ octets: [UInt8]) -> TemporaryFile {
        let file = TemporaryFile(octets)
        setTime(file.path, 1_700_000_000)
        return file
    }

    private func setTime(_ path: String, _ seconds: Int) {
        let time = timespec(tv_sec: seconds, tv_nsec: 5)
        // Safe: both times outlive the call.
        #expect(unsafe utimensat(AT_FDCWD, path, [time, time], 0) == 0)
    }

    private func perform(_ act: Act, _ path: String) {
        let other = path + ".other"
        func write(at offset: Int, _ octets: [UInt8]) {
            let descriptor = unsafe open(path, O_WRONLY)
            // Safe: as many octets are written as the array has.
            let count = unsafe octets.withUnsafeBytes {
                unsafe pwrite(descriptor, $0.baseAddress, $0.count, offset)
            }
            #expect(count == octets.count)
            close(descriptor)
        }
        switch act {
        case .written: write(at: 0, [0])
        case .grown:
            write(at: Self.places.count + Self.systems.count, [0])
            setTime(path, 1_700_000_000)
        case .cutOff: #expect(unsafe truncate(path, 100) == 0)
        case .read: _ = try? LocationDatabase(path: path, [.city, .asn])
        case .linked: #expect(unsafe link(path, other) == 0)
        case .modeChanged: #expect(unsafe chmod(path, 0o640) == 0)
        case .renamedAway: #expect(unsafe rename(path, other) == 0)
        case .replaced:
            let new = TemporaryFile([1, 2, 3])
            #expect(unsafe rename(new.path, path) == 0)
        }
    }

    @Test(
        "content that changed while it was read is refused, a file replaced by renaming is not",
        arguments: Act.allCases, [false, true])
    func whileCompiling(act: Act, inSystems: Bool) throws {
        let files = [settledFile(Self.places), settledFile(Self.systems)]
        let file = files[inSystems ? 1 : 0]
        defer { _ = unsafe unlink(file.path + ".other") }
        let geography = Geography(
            database: try LocationDatabase(path: files[0].path),
            asnDatabase: try LocationDatabase(path: files[1].path, [.asn]))
        let maker = TreeMaker(geography)
        var hasActed = false
        let compile = { () throws(GeoError) in
            try maker.compile(networks: [], numbered: [], asns: [64_500, 64_501]) {
                location, _, _ in
                if !hasActed { perform(act, file.path) }
                hasActed = true
                return { _ in location == nil ? 0 : 1 }
            }
        }
        switch act {
        case .written, .grown, .cutOff:
            // The second is refused before anything is read.
            for _ in 0..<2 {
                let error = try #require(throws: GeoError.self) { _ = try compile() }
                #expect(error.path == file.path)
                let word = act == .cutOff ? "was cut off" : "was written into"
                #expect(error.message.contains(word))
                #expect(error.message.contains("rename that into place"))
            }
        case .read, .linked, .modeChanged, .renamedAway, .replaced:
            #expect(try compile().lookup(ip("192.0.2.1")).outcome == 1)
        }
        #expect(hasActed)
    }

    @Test("a file that is being copied over is refused, and once it is whole it is not")
    func copied() throws {
        let file = settledFile(Self.places)
        let database = try LocationDatabase(path: file.path)
        perform(.written, file.path)
        let geography = Geography(database: database)
        #expect(throws: GeoError.self) {
            try geography.compile(networks: []) { _, _ in 0 }
        }
        let again = try LocationDatabase(path: file.path)
        _ = try Geography(database: again).compile(networks: []) { _, _ in 0 }
    }

    @Test("either tree has its own visits and its own fault", arguments: [false, true])
    func blame(inSystems: Bool) throws {
        let files = [settledFile(Self.places), settledFile(Self.systems)]
        let databases = [
            try LocationDatabase(path: files[0].path),
            try LocationDatabase(path: files[1].path, [.asn]),
        ]
        var places = PlaceTable(capacity: 4)
        var decoder = RecordDecoder(databases[0].data, .place)
        var numbers: [UInt32] = [0]
        let records = try RecordIndex(databases[0])
        try records.forEachOffset { offset throws(CompileFault) in
            let place = try readSoundly { () throws(DataFault) in try decoder.place(at: offset) }
            numbers.append(place.map { places.number(of: $0) } ?? 0)
        }
        places.texts = decoder.texts
        let layout = PlaceLayout(records: records, numbers: numbers, overrides: [], places: places)
        let systems = SystemLayout(
            records: try RecordIndex(databases[1]), asns: [0, 64_500, 64_501])
        let node = [UInt8](repeating: 0, count: 6)
        for (fault, octets) in [
            // The root leads to itself; then, on its other side, far behind the data.
            (inSystems ? CompileFault.tangledSystems : .tangledTree, node),
            (inSystems ? .straySystem : .strayRecord, [UInt8](repeating: 0xFF, count: 6)),
        ] {
            let descriptor = unsafe open(files[inSystems ? 1 : 0].path, O_WRONLY)
            // Safe: as many octets are written as the array has.
            #expect(
                unsafe octets.withUnsafeBytes {
                    unsafe pwrite(descriptor, $0.baseAddress, $0.count, 0)
                } == octets.count)
            close(descriptor)
            var compiler = TreeCompiler(layout, systems) { _, _, _ in { _ in 0 } }
            #expect(throws: fault) { _ = try compiler.compile([]) }
        }
    }
}
