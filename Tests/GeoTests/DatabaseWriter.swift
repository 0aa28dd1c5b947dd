// Writes small MaxMind databases, sound and hostile ones, for the tests of this target.
//
// It shares nothing with the reader in Sources/Geo: the format is written down here a second time.

import DNSWire
import Glibc

/// A value of a data section.
indirect enum DataValue {
    case map([(String, DataValue)])
    case array([DataValue])
    case text(String)
    case double(Double)
    case float(Float)
    case uint32(UInt32)
    case uint16(UInt16)
    case uint64(UInt64)
    case boolean(Bool)
    /// Octets as they are, for what no writer would write.
    case raw([UInt8])
}

/// Makes the octets of a database.
struct DatabaseWriter {
    var recordBits = 24
    var ipVersion = 6
    var type = "Test-City"
    /// In seconds since 1970.
    var buildDate: UInt64 = 1_700_000_000
    /// Keys and texts that were written before become pointers, as vendors do it.
    var usesPointers = true

    /// A database of networks with their records; of nested networks the longest holds.
    func octets(_ networks: [(network: IPNetwork, record: DataValue)]) -> [UInt8] {
        var data = DataEncoder(usesPointers: usesPointers)
        var tree = TreeBuilder()
        let paths = networks.map { (bits: pathBits(of: $0.network), record: $0.record) }
        for path in paths.sorted(by: { $0.bits.count < $1.bits.count }) where !path.bits.isEmpty {
            tree.insert(path.bits, offset: data.record(path.record))
        }
        return file(nodes: tree.records(), data: data.octets)
    }

    /// A database with these nodes: each record as it shall stand in the file.
    func file(nodes: [(UInt32, UInt32)], data: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        for (left, right) in nodes { result += node(left, right) }
        result += Array(repeating: 0, count: 16) + data
        result += [0xAB, 0xCD, 0xEF] + Array("MaxMind.com".utf8)
        var metadata = DataEncoder(usesPointers: false)
        _ = metadata.record(
            .map([
                ("binary_format_major_version", .uint16(2)),
                ("binary_format_minor_version", .uint16(0)),
                ("build_epoch", .uint64(buildDate)),
                ("database_type", .text(type)),
                ("description", .map([("en", .text("made by a test"))])),
                ("ip_version", .uint16(UInt16(ipVersion))),
                ("languages", .array([.text("en")])),
                ("node_count", .uint32(UInt32(nodes.count))),
                ("record_size", .uint16(UInt16(recordBits))),
            ]))
        return result + metadata.octets
    }

    /// The path to a network, from the root that this database has.
    private func pathBits(of network: IPNetwork) -> [Bool] {
        let address = network.address
        var bits = (0..<network.length).map { bit in
            (bit < 64 ? address.high >> (63 - bit) : address.low >> (127 - bit)) & 1 == 1
        }
        if ipVersion == 6, address.family == .ipv4 {
            bits = Array(repeating: false, count: 96) + bits
        }
        return ipVersion == 4 && address.family == .ipv6 ? [] : bits
    }

    private func node(_ left: UInt32, _ right: UInt32) -> [UInt8] {
        let octet = { (value: UInt32, shift: UInt32) in UInt8(truncatingIfNeeded: value >> shift) }
        switch recordBits {
        case 24: return [16, 8, 0].map { octet(left, $0) } + [16, 8, 0].map { octet(right, $0) }
        case 28:
            let middle = octet(left, 24) << 4 | octet(right, 24) & 15
            return [16, 8, 0].map { octet(left, $0) } + [middle]
                + [16, 8, 0].map { octet(right, $0) }
        default:
            return [24, 16, 8, 0].map { octet(left, $0) } + [24, 16, 8, 0].map { octet(right, $0) }
        }
    }
}

/// Encodes values one after another.
struct DataEncoder {
    var usesPointers: Bool
    private(set) var octets: [UInt8] = []
    private var written: [String: Int] = [:]

    init(usesPointers: Bool) { self.usesPointers = usesPointers }

    /// Appends a record and returns its offset.
    mutating func record(_ value: DataValue) -> Int {
        let offset = octets.count
        encode(value)
        return offset
    }

    private mutating func encode(_ value: DataValue) {
        switch value {
        case .map(let entries):
            control(7, entries.count)
            for (key, value) in entries {
                encode(.text(key))
                encode(value)
            }
        case .array(let elements):
            control(11, elements.count)
            for element in elements { encode(element) }
        case .text(let text):
            if usesPointers, let offset = written[text] {
                octets +=
                    [0x38] + (0..<4).map { UInt8(truncatingIfNeeded: offset >> (24 - 8 * $0)) }
                return
            }
            written[text] = octets.count
            control(2, text.utf8.count)
            octets += Array(text.utf8)
        case .double(let number): scalar(3, number.bitPattern, 8)
        case .float(let number): scalar(15, UInt64(number.bitPattern), 4)
        case .uint16(let number): scalar(5, UInt64(number), 2)
        case .uint32(let number): scalar(6, UInt64(number), 4)
        case .uint64(let number): scalar(9, number, 8)
        case .boolean(let flag): control(14, flag ? 1 : 0)
        case .raw(let raw): octets += raw
        }
    }

    private mutating func scalar(_ type: UInt8, _ bits: UInt64, _ length: Int) {
        control(type, length)
        octets += (0..<length).map { UInt8(truncatingIfNeeded: bits >> (8 * (length - 1 - $0))) }
    }

    private mutating func control(_ type: UInt8, _ size: Int) {
        let short = size < 29 ? size : size < 285 ? 29 : 30
        octets.append((type < 8 ? type << 5 : 0) | UInt8(short))
        if type >= 8 { octets.append(type - 7) }
        if short == 29 { octets.append(UInt8(size - 29)) }
        if short == 30 { octets += [UInt8((size - 285) >> 8), UInt8((size - 285) & 255)] }
    }
}

/// A binary tree of networks; longer ones must be inserted after shorter ones.
private struct TreeBuilder {
    private enum Record {
        case empty
        case node(Int)
        case data(Int)
    }
    private var nodes: [[Record]] = [[.empty, .empty]]

    mutating func insert(_ bits: [Bool], offset: Int) {
        var node = 0
        for (index, bit) in bits.enumerated() {
            let side = bit ? 1 : 0
            if index == bits.count - 1 {
                nodes[node][side] = .data(offset)
            } else if case .node(let next) = nodes[node][side] {
                node = next
            } else {
                // A shorter network is split, both halves keep its record.
                let record = nodes[node][side]
                nodes.append([record, record])
                nodes[node][side] = .node(nodes.count - 1)
                node = nodes.count - 1
            }
        }
    }

    func records() -> [(UInt32, UInt32)] {
        let number = { (record: Record) -> UInt32 in
            switch record {
            case .empty: UInt32(nodes.count)
            case .node(let index): UInt32(index)
            case .data(let offset): UInt32(nodes.count + 16 + offset)
            }
        }
        return nodes.map { (number($0[0]), number($0[1])) }
    }
}

/// A file that is there as long as this is.
final class TemporaryFile {
    let path: String

    init(_ octets: [UInt8]) {
        var template = Array("/tmp/rhumb-geo-XXXXXX".utf8CString)
        let descriptor = unsafe mkstemp(&template)
        precondition(descriptor >= 0, "a temporary file can be made")
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var done = 0
        while done < octets.count {
            // Safe: as many octets are written as the array has left.
            let count = unsafe octets.withUnsafeBytes { bytes in
                unsafe write(descriptor, bytes.baseAddress! + done, bytes.count - done)
            }
            precondition(count > 0, "a temporary file can be written")
            done += count
        }
        close(descriptor)
    }

    deinit {
        // Safe: the path is a string.
        unsafe unlink(path)
    }
}

/// Small random numbers that are the same in every run (SplitMix64).
struct Randomness: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// A record of a country with coordinates, as MaxMind writes it.
func placeRecord(
    _ country: String, continent: String = "EU", latitude: Double? = nil, longitude: Double? = nil
) -> DataValue {
    var entries: [(String, DataValue)] = [
        ("continent", .map([("code", .text(continent)), ("geoname_id", .uint32(6_255_148))])),
        ("country", .map([("geoname_id", .uint32(7)), ("iso_code", .text(country))])),
    ]
    if let latitude, let longitude {
        entries.append(
            (
                "location",
                .map([("latitude", .double(latitude)), ("longitude", .double(longitude))])
            ))
    }
    return .map(entries)
}

/// A record of an autonomous system, as MaxMind writes it.
func systemRecord(_ number: UInt32, _ organization: String? = "Example") -> DataValue {
    var entries: [(String, DataValue)] = [("autonomous_system_number", .uint32(number))]
    if let organization {
        entries.append(("autonomous_system_organization", .text(organization)))
    }
    return .map(entries)
}

/// A network from text that is known to be one.
func net(_ text: String) -> IPNetwork { IPNetwork(text)! }

/// An address from text that is known to be one.
func ip(_ text: String) -> IPAddress { IPAddress(text)! }
