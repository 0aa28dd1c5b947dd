// The measured round trips of one list of rules, made ready for the one walk over all places: its
// columns beside each other, every key with what it says of each, networks as numbers.

internal import DNSWire
internal import Geo

/// What the columns of a table say of places.
struct Measurements {
    /// A round trip in milliseconds that a key tells to the pool of a column.
    private struct Cell: Hashable {
        var column: Int
        var milliseconds: Double
    }

    /// What a network says, and the number of what the wider ones around it do. A million of them cost
    /// what their rows do, however many columns there are.
    private struct Run: Hashable {
        var cells: [Cell]
        var wider: Int?
    }

    /// The columns that rules go by, each once; round trips are told in this order.
    private var columns: [LatencyColumn] = []
    /// What networks say, by their numbers.
    private var runs: [Run] = []
    /// What all other keys say.
    private var places: [LatencyKey: [Cell]] = [:]
    private var regions: [(key: LatencyKey, parts: [PreparedMatch])] = []
    /// Each with the number of its run.
    private(set) var networks: [NumberedNetwork] = []

    /// - Parameters:
    ///   - regions: those that rows name, in the order in which they count.
    init(_ columns: some Sequence<LatencyColumn>, regions: [Region], _ lists: inout NetworkLists) {
        var seen: Set<LatencyColumn> = []
        self.columns = columns.filter { seen.insert($0).inserted }
        guard !self.columns.isEmpty else { return }
        var stated: [IPNetwork: [Cell]] = [:]
        for (index, column) in self.columns.enumerated() {
            for row in column.rows {
                let cell = Cell(column: index, milliseconds: row.milliseconds)
                if case .network(let network) = row.key {
                    stated[network, default: []].append(cell)
                } else {
                    places[row.key, default: []].append(cell)
                }
            }
        }
        number(stated)
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

    /// Numbers networks: those that say the same within the same share one.
    private mutating func number(_ stated: [IPNetwork: [Cell]]) {
        var numbers: [Run: Int] = [:]
        // Those around the present one, the widest first.
        var around: [NumberedNetwork] = []
        for (network, cells) in stated.sorted(by: { $0.key.precedes($1.key) }) {
            while let last = around.last, !last.network.contains(network.address) {
                around.removeLast()
            }
            let run = Run(cells: cells, wider: around.last?.number)
            let number = numbers[run] ?? runs.count
            if number == runs.count {
                numbers[run] = number
                runs.append(run)
            }
            around.append(NumberedNetwork(network: network, number: number))
            networks.append(NumberedNetwork(network: network, number: number))
        }
    }

    /// The round trips to each column's pool in milliseconds, nil where no row tells.
    ///
    /// - Parameter number: of the most specific of `networks` that holds the client.
    func roundTrips(_ location: Location?, _ matchedLists: [Int], number: Int?) -> [Double?] {
        guard !columns.isEmpty else { return [] }
        var result: [Double?] = Array(repeating: nil, count: columns.count)
        func take(_ cells: [Cell]) {
            for cell in cells where result[cell.column] == nil {
                result[cell.column] = cell.milliseconds
            }
        }
        var next = number
        while let number = next {
            take(runs[number].cells)
            next = runs[number].wider
        }
        guard result.contains(where: { $0 == nil }) else { return result }
        let holding = regions.filter { region in
            region.parts.contains { $0.holds(location, matchedLists) }
        }
        for key in LatencyKey.keys(of: location, regions: holding.map(\.key)) {
            take(places[key] ?? [])
        }
        return result
    }
}
