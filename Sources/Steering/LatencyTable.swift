// Measured round trips, by who asks and which pool answers: what `geo/latency.csv` says, and what of
// it counts. `LatencyFile.swift` reads it; `Measurements.swift` lays it into location trees.
//
// The most specific key that a client has counts, for each pool by itself. A server that reads the
// file again keeps a value for as long as the new one is within the margin of it (`settled`): so a
// measurement that jitters moves nobody, and near ties do not flap.

internal import DNSWire
internal import Geo
internal import Settings

/// Whose round trips a row tells. Ascending order is from the most to the least specific kind.
enum LatencyKey: Hashable, Sendable {
    case network(IPNetwork)
    /// An autonomous system by its number.
    case system(UInt32)
    case subdivision(Subdivision)
    case country(String)
    /// The name of one that the pool files define, or that comes with Rhumb.
    case region(String)
    case continent(String)
    case everyone
}

/// One row that counts.
struct LatencyRow: Sendable {
    var key: LatencyKey
    /// The round trip that is gone by.
    var milliseconds: Double
    /// What the file says: within the margin of `milliseconds`.
    var measured: Double
    /// How many measurements it comes from; nil if the file does not say.
    var samples: Int?
    var line: Int
}

/// All rows of one pool; equal if they lead to the same decisions.
///
/// A class, so that comparing one with itself is no work: many rules share it.
final class LatencyColumn: Sendable, Hashable {
    /// In order of their keys, no key twice.
    let rows: [LatencyRow]
    /// The names of the regions that rows name, in alphabetical order.
    let regions: [String]
    private let digest: Int

    init(_ rows: [LatencyRow]) {
        self.rows = rows
        var hasher = Hasher()
        for row in rows {
            hasher.combine(row.key)
            hasher.combine(row.milliseconds)
        }
        digest = hasher.finalize()
        regions = rows.compactMap { if case .region(let name) = $0.key { name } else { nil } }
    }

    func row(for key: LatencyKey) -> LatencyRow? {
        var range = rows.indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            if rows[middle].key == key { return rows[middle] }
            range =
                rows[middle].key < key
                ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return nil
    }

    static func == (a: LatencyColumn, b: LatencyColumn) -> Bool {
        a === b
            || a.digest == b.digest
                && a.rows.elementsEqual(b.rows) {
                    $0.key == $1.key && $0.milliseconds == $1.milliseconds
                }
    }

    func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}

/// The table of one server.
public struct LatencyTable: Sendable {
    /// The least margin in milliseconds, unless there is none: what a wireless link or a busy
    /// machine adds to one measurement and not to the next.
    static let leastMargin = 2.0

    /// The file's name as messages show it.
    public let file: String
    /// By the pool's name.
    let columns: [String: LatencyColumn]

    /// None: all goes by distance.
    ///
    /// - Parameter file: where rows would be.
    public init(file: String = "geo/latency.csv") { self.init(file: file, columns: [:]) }

    init(file: String, columns: [String: LatencyColumn]) {
        self.file = file
        self.columns = columns
    }

    /// How many rows count.
    public var rowCount: Int { columns.values.reduce(0) { $0 + $1.rows.count } }

    /// The table without rows of fewer samples than that; rows that don't say are kept.
    func counting(minimumSamples: Int) -> LatencyTable {
        LatencyTable(
            file: file,
            columns: columns.compactMapValues { column in
                let rows = column.rows.filter { ($0.samples ?? .max) >= minimumSamples }
                if rows.count == column.rows.count { return column }
                return rows.isEmpty ? nil : LatencyColumn(rows)
            })
    }

    /// This table as a server takes it that went by another before: a value that differs from the one
    /// in force by no more than the margin leaves that in force.
    ///
    /// - Parameter margin: in percent of the value in force, at least `leastMargin`; 0 takes every
    ///   value as it comes.
    func settled(after previous: LatencyTable, margin: Int) -> LatencyTable {
        guard margin > 0 else { return self }
        return LatencyTable(
            file: file,
            columns: Dictionary(
                uniqueKeysWithValues: columns.map { name, column in
                    (
                        name,
                        previous.columns[name].map { column.settled(after: $0, margin) } ?? column
                    )
                }))
    }
}

extension LatencyColumn {
    fileprivate func settled(after previous: LatencyColumn, _ margin: Int) -> LatencyColumn {
        var before = previous.rows[...]
        var rows = rows
        for index in rows.indices {
            before = before.drop { $0.key < rows[index].key }
            guard let old = before.first, old.key == rows[index].key else { continue }
            let room = max(LatencyTable.leastMargin, old.milliseconds * Double(margin) / 100)
            if abs(rows[index].measured - old.milliseconds) <= room {
                rows[index].milliseconds = old.milliseconds
            }
        }
        return LatencyColumn(rows)
    }
}

// MARK: - Looking up

extension LatencyKey {
    /// The keys other than networks that clients of a place have, most specific first.
    ///
    /// - Parameter regions: the keys of the regions that hold the client, in the order of
    ///   `SteeringConfiguration.regions(named:)`.
    static func keys(of location: Location?, regions: [LatencyKey]) -> [LatencyKey] {
        var keys: [LatencyKey] = []
        if let asn = location?.asn { keys.append(.system(asn)) }
        if let country = location?.country {
            // The smallest part first.
            for code in (location?.subdivisions ?? []).reversed() {
                keys.append(.subdivision(Subdivision(country: country, code: code)))
            }
            keys.append(.country(country))
        }
        keys += regions
        if let continent = location?.continent { keys.append(.continent(continent)) }
        keys.append(.everyone)
        return keys
    }
}

extension Steering {
    /// Returns the row that tells how far a client is from a pool; nil if none does.
    ///
    /// For explanations: decisions have it from their location tree.
    func latencyRow(
        forPool pool: Int, _ address: IPAddress, _ location: Location?
    ) -> LatencyRow? {
        guard let column = configuration.latency.columns[configuration.pools[pool].name] else {
            return nil
        }
        for length in (0...Int(address.family.rawValue)).reversed() {
            if let network = IPNetwork(address, length: length),
                let row = column.row(for: .network(network))
            {
                return row
            }
        }
        let regions = configuration.regions(named: column.regions).filter { region in
            region.parts.contains { $0.firstMismatch(address, location) == nil }
        }
        return LatencyKey.keys(of: location, regions: regions.map { .region($0.name) })
            .lazy.compactMap { column.row(for: $0) }.first
    }
}

// MARK: - Order and text

extension LatencyKey: Comparable, CustomStringConvertible {
    private var rank: Int {
        switch self {
        case .network: 0
        case .system: 1
        case .subdivision: 2
        case .country: 3
        case .region: 4
        case .continent: 5
        case .everyone: 6
        }
    }

    static func < (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.network(let a), .network(let b)): a.precedes(b)
        case (.system(let a), .system(let b)): a < b
        case (.subdivision(let a), .subdivision(let b)): a < b
        case (.country(let a), .country(let b)), (.region(let a), .region(let b)),
            (.continent(let a), .continent(let b)):
            a < b
        default: a.rank < b.rank
        }
    }

    /// As the file has it.
    var description: String {
        switch self {
        case .network(let network): network.description
        case .system(let number): "AS\(number)"
        case .subdivision(let subdivision): subdivision.description
        case .country(let code): code
        case .region(let name): "region:\(name)"
        case .continent(let code): "continent:\(code)"
        case .everyone: "*"
        }
    }
}

extension IPNetwork {
    /// Order by family and address, wider networks before those inside them.
    func precedes(_ other: IPNetwork) -> Bool {
        (address.family.rawValue, address.high, address.low, length)
            < (other.address.family.rawValue, other.address.high, other.address.low, other.length)
    }
}
