// The trees of distinct lists of rules: the dear part of loading. `TreeMaker` goes over all places; this
// says what each of them comes out as, in positions of the rules' own lists, so that it holds whatever
// pools stand there.

internal import DNSWire
internal import Dispatch
internal import Geo
internal import Synchronization

/// Shapes with their trees.
///
/// Nothing in them names a pool or its health, so they hold for as long as geography is the same: a reload
/// of anything else keeps those it still needs.
struct ShapeTable: Sendable {
    private var shapes: [ServiceShape: Shape] = [:]
    /// How many trees were compiled for this table; the others are from the one before.
    private(set) var compiledTrees = 0

    subscript(shape: ServiceShape) -> Shape? { shapes[shape] }

    /// A table of these shapes alone: what is missing is compiled.
    ///
    /// - Parameter count: how many may be compiled at once.
    func holding(
        _ wanted: [ServiceShape], _ geography: Geography, atOnce count: Int
    ) throws(GeoError) -> ShapeTable {
        var result = ShapeTable()
        var missing: [ServiceShape] = []
        var seen: Set<ServiceShape> = []
        for shape in wanted where seen.insert(shape).inserted {
            if let known = shapes[shape] {
                result.shapes[shape] = known
            } else {
                missing.append(shape)
            }
        }
        let new = try Self.compile(missing, TreeMaker(geography), atOnce: count)
        for (shape, compiled) in zip(missing, new) { result.shapes[shape] = compiled }
        result.compiledTrees = new.count { $0.tree != nil }
        return result
    }

    /// Compiles several shapes, each on one thread, and returns them in their order.
    ///
    /// - Throws: the error of the first that has one, as if they had come one after the other.
    private static func compile(
        _ list: [ServiceShape], _ maker: TreeMaker, atOnce count: Int
    ) throws(GeoError) -> [Shape] {
        let results = Mutex<[Result<Shape, GeoError>?]>(Array(repeating: nil, count: list.count))
        let next = Atomic(0)
        let hasFailed = Atomic(false)
        DispatchQueue.concurrentPerform(iterations: min(count, list.count)) { _ in
            while !hasFailed.load(ordering: .relaxed) {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < list.count else { return }
                let result = Result { () throws(GeoError) in try Shape(list[index], maker) }
                if case .failure = result { hasFailed.store(true, ordering: .relaxed) }
                results.withLock { $0[index] = result }
            }
        }
        // They were begun in order: all before the first that failed are there.
        var shapes: [Shape] = []
        for result in results.withLock({ $0 }) {
            guard let result else { break }
            shapes.append(try result.get())
        }
        return shapes
    }
}

extension Shape {
    fileprivate init(_ shape: ServiceShape, _ maker: TreeMaker) throws(GeoError) {
        var lists = NetworkLists()
        let everyRule = shape.rules.flatMap(\.withNested)
        let measurements = Measurements(
            everyRule.lazy.flatMap(\.columns), regions: shape.regions, &lists)
        let prepared = shape.rules.map { PreparedRule($0, measurements, &lists) }
        if shape.rules.first?.isSameForEveryone == true {
            // Nobody's place matters, so the scope is 0 and no database need be walked.
            self.init(outcomes: [RuleChoice(prepared, ClientFacts()).outcome(nil)])
            return
        }
        let usesPlaces = shape.rules.contains(where: \.usesPlaces)
        let asns = shape.rules.reduce(into: Set()) { $0.formUnion($1.asns) }
        let fallback = maker.geography.overrides.fallback?.location
        // One list more, to know what is in special-purpose space.
        let special = lists.all.count
        let numbers = OutcomeNumbers()
        let tree = try maker.compile(
            networks: lists.all + [SpecialSpace.networks.map(\.network)],
            numbered: measurements.networks, asns: asns.union(measurements.systems),
            withCities: shape.rules.contains(where: \.usesCities)
        ) { location, matchedLists, number in
            let isSpecial = matchedLists.last == special
            let matchedLists = isSpecial ? Array(matchedLists.dropLast()) : matchedLists
            // Where no place is asked for, a public address is as good as any other.
            let prefersResolver =
                location == nil && number == nil && matchedLists.isEmpty
                && (isSpecial || usesPlaces)
            let assumed = location?.isPlace == true ? nil : fallback
            let located = assumed == nil ? location : assumed?.with(asn: location?.asn)
            let choice = RuleChoice(
                prepared,
                ClientFacts(
                    location: located, matchedLists: matchedLists,
                    measured: measurements.roundTrips(located, matchedLists, number: number)))
            let outcomes = numbers.outcomes(of: choice, prefersResolver: prefersResolver)
            guard let assumed else { return outcomes }
            return { _ in outcomes(assumed.coordinates) }
        }
        self.init(tree: tree, outcomes: numbers.keys)
    }
}

/// A match whose networks are among the lists that are laid into the location tree.
final class PreparedMatch: Sendable {
    private let match: Match
    /// The index of its list of networks.
    private let networks: Int?
    private let regions: [PreparedMatch]
    private let any: [PreparedMatch]
    private let none: [PreparedMatch]

    init(_ match: Match, _ lists: inout NetworkLists) {
        self.match = match
        networks = match.networks.map { lists.index(of: $0) }
        regions = match.regions?.flatMap(\.parts).map { PreparedMatch($0, &lists) } ?? []
        any = match.any?.map { PreparedMatch($0, &lists) } ?? []
        none = match.none?.map { PreparedMatch($0, &lists) } ?? []
    }

    /// As `Match.firstMismatch`, for a place and the lists that hold the client.
    func holds(_ location: Location?, _ matchedLists: [Int]) -> Bool {
        if let networks, !matchedLists.contains(networks) { return false }
        guard match.firstMismatchOfPlace(location) == nil else { return false }
        let holds = { (inner: PreparedMatch) in inner.holds(location, matchedLists) }
        return (match.regions == nil || regions.contains(where: holds))
            && (match.any == nil || any.contains(where: holds)) && !none.contains(where: holds)
    }
}

/// Lists of networks, each distinct one once.
struct NetworkLists {
    private(set) var all: [[IPNetwork]] = []
    private var indexes: [Set<IPNetwork>: Int] = [:]

    mutating func index(of networks: Set<IPNetwork>) -> Int {
        if let known = indexes[networks] { return known }
        indexes[networks] = all.count
        all.append(Array(networks))
        return all.count - 1
    }
}
