// The measured round trips of one list of rules, made ready for the one walk over all places: its
// columns beside each other, every key with what it says of each, networks as numbers.

internal import DNSWire
internal import Geo

/// What the columns of a table say of places.
struct Measurements {
    /// A round trip in milliseconds that a key tells to the pool of a column.
    private struct Cell: Hashable, BitwiseCopyable {
        var column: Int
        var milliseconds: Double
    }

    /// A row of a network.
    private struct Statement: BitwiseCopyable {
        var network: IPNetwork
        var column: UInt32
        var milliseconds: Double
    }

    /// What a network says, and the number of what the wider ones around it do; flat, as there may be a
    /// million: they cost what their rows do, however many columns there are.
    private struct Run: BitwiseCopyable {
        /// Where its cells begin, and how many there are.
        var first: UInt32
        var count: UInt32
        /// Negative for none.
        var wider: Int32
    }

    /// The columns that rules go by, each once; round trips are told in this order.
    private var columns: [LatencyColumn] = []
    /// What networks say, by their numbers.
    private var runs: [Run] = []
    private var cells: [Cell] = []
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
        var stated: [Statement] = []
        stated.reserveCapacity(self.columns.reduce(0) { $0 + $1.rows.count })
        for (index, column) in self.columns.enumerated() {
            for row in column.rows {
                if case .network(let network) = row.key {
                    stated.append(
                        Statement(
                            network: network, column: UInt32(index), milliseconds: row.milliseconds)
                    )
                } else {
                    places[row.key, default: []].append(
                        Cell(column: index, milliseconds: row.milliseconds))
                }
            }
        }
        stated.sort {
            $0.network == $1.network ? $0.column < $1.column : $0.network.precedes($1.network)
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
    ///
    /// - Parameter stated: in order of their networks.
    private mutating func number(_ stated: [Statement]) {
        // By what runs hash to; one that meets another's has its number to itself.
        var numbers: [Int: Int32] = [:]
        // Those around the present one, the widest first.
        var around: [NumberedNetwork] = []
        var rest = stated[...]
        while let network = rest.first?.network {
            while let last = around.last, !last.network.contains(network.address) {
                around.removeLast()
            }
            let first = cells.count
            while let row = rest.first, row.network == network {
                cells.append(Cell(column: Int(row.column), milliseconds: row.milliseconds))
                rest = rest.dropFirst()
            }
            let run = Run(
                first: UInt32(first), count: UInt32(cells.count - first),
                wider: around.last.map { Int32($0.number) } ?? -1)
            var hasher = Hasher()
            hasher.combine(run.wider)
            for cell in cells[first...] { hasher.combine(cell) }
            let digest = hasher.finalize()
            let number: Int
            if let known = numbers[digest], isSame(runs[Int(known)], run) {
                cells.removeLast(cells.count - first)
                number = Int(known)
            } else {
                number = runs.count
                numbers[digest] = Int32(number)
                runs.append(run)
            }
            let numbered = NumberedNetwork(network: network, number: number)
            around.append(numbered)
            networks.append(numbered)
        }
    }

    private func isSame(_ a: Run, _ b: Run) -> Bool {
        a.wider == b.wider && cells(of: a).elementsEqual(cells(of: b))
    }

    private func cells(of run: Run) -> ArraySlice<Cell> {
        cells[Int(run.first)..<Int(run.first + run.count)]
    }

    /// The round trips to each column's pool in milliseconds, nil where no row tells.
    ///
    /// - Parameter number: of the most specific of `networks` that holds the client.
    func roundTrips(_ location: Location?, _ matchedLists: [Int], number: Int?) -> [Double?] {
        guard !columns.isEmpty else { return [] }
        var result: [Double?] = Array(repeating: nil, count: columns.count)
        func take(_ cells: some Sequence<Cell>) {
            for cell in cells where result[cell.column] == nil {
                result[cell.column] = cell.milliseconds
            }
        }
        var next = number ?? -1
        while next >= 0 {
            take(cells(of: runs[next]))
            next = Int(runs[next].wider)
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
