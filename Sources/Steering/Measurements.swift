// The measured round trips of one list of rules, made ready for the one walk over all places: its
// columns beside each other, every key with what it says of each, networks as numbers.

internal import DNSWire
internal import Geo

/// What the columns of a table say of places.
struct Measurements {
    /// The columns that rules go by, each once; round trips are told in this order.
    private var columns: [LatencyColumn] = []
    /// Runs of a round trip for each column, nil where it has no row.
    private var values: [Double?] = []
    /// Where the run of each key but networks begins.
    private var places: [LatencyKey: Int] = [:]
    private var regions: [(key: LatencyKey, parts: [PreparedMatch])] = []
    /// Each with the start of its run, which has what wider networks say, too.
    private(set) var networks: [NumberedNetwork] = []

    /// - Parameters:
    ///   - regions: those that rows name, in the order in which they count.
    init(_ columns: some Sequence<LatencyColumn>, regions: [Region], _ lists: inout NetworkLists) {
        var seen: Set<LatencyColumn> = []
        self.columns = columns.filter { seen.insert($0).inserted }
        guard !self.columns.isEmpty else { return }
        var stated: [LatencyKey: Int] = [:]
        for (index, column) in self.columns.enumerated() {
            for row in column.rows {
                let start = stated[row.key] ?? values.count
                if start == values.count {
                    stated[row.key] = start
                    values += repeatElement(nil, count: self.columns.count)
                }
                values[start + index] = row.milliseconds
            }
        }
        var networks: [(IPNetwork, Int)] = []
        for (key, start) in stated {
            if case .network(let network) = key {
                networks.append((network, start))
            } else {
                places[key] = start
            }
        }
        self.networks = inherited(networks)
        for region in regions where places[.region(region.name)] != nil {
            self.regions.append(
                (.region(region.name), region.parts.map { PreparedMatch($0, &lists) }))
        }
    }

    /// The AS numbers that rows name.
    var systems: Set<UInt32> {
        Set(places.keys.compactMap { if case .system(let number) = $0 { number } else { nil } })
    }

    func index(of column: LatencyColumn) -> Int? { columns.firstIndex(of: column) }

    /// Gives each network what the wider ones around it say where it says nothing, and networks that
    /// then say the same one number.
    private mutating func inherited(_ networks: [(IPNetwork, Int)]) -> [NumberedNetwork] {
        var result: [NumberedNetwork] = []
        var around: [NumberedNetwork] = []
        var runs: [[Double?]: Int] = [:]
        for (network, start) in networks.sorted(by: { $0.0.precedes($1.0) }) {
            while let last = around.last, !last.network.contains(network.address) {
                around.removeLast()
            }
            if let wider = around.last {
                for index in columns.indices where values[start + index] == nil {
                    values[start + index] = values[wider.number + index]
                }
            }
            let run = Array(values[start..<start + columns.count])
            let number = runs[run] ?? start
            runs[run] = number
            around.append(NumberedNetwork(network: network, number: number))
            result.append(NumberedNetwork(network: network, number: number))
        }
        return result
    }

    /// The round trips to each column's pool in milliseconds, nil where no row tells.
    ///
    /// - Parameter number: of the most specific of `networks` that holds the client.
    func roundTrips(_ location: Location?, _ matchedLists: [Int], number: Int?) -> [Double?] {
        guard !columns.isEmpty else { return [] }
        var result =
            number.map { Array(values[$0..<$0 + columns.count]) }
            ?? Array(repeating: nil, count: columns.count)
        guard result.contains(where: { $0 == nil }) else { return result }
        let holding = regions.filter { region in
            region.parts.contains { $0.holds(location, matchedLists) }
        }
        for key in LatencyKey.keys(of: location, regions: holding.map(\.key)) {
            guard let start = places[key] else { continue }
            for index in result.indices where result[index] == nil {
                result[index] = values[start + index]
            }
        }
        return result
    }
}
