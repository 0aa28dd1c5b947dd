// Which clients a rule is for. Within a field any entry will do; every stated field must hold.

public import DNSWire
internal import Geo

/// A rule's condition on the client's address and place; at least one field is stated.
public struct Match: Hashable, Sendable {
    public var networks: Set<IPNetwork>?
    /// The numbers of the autonomous systems that announce the client's network.
    public var asns: Set<UInt32>?
    /// Codes as `Location.continent` has them.
    public var continents: Set<String>?
    /// ISO 3166-1 alpha-2, upper case.
    public var countries: Set<String>?
    public var subdivisions: Set<Subdivision>?
    public var cities: Set<City>?
    /// The client is in one of these.
    public var regions: Set<Region>?
    /// One of these holds.
    public var any: [Match]?
    /// None of these holds.
    public var none: [Match]?

    public init(
        networks: Set<IPNetwork>? = nil, continents: Set<String>? = nil,
        countries: Set<String>? = nil, subdivisions: Set<Subdivision>? = nil
    ) {
        self.networks = networks
        self.continents = continents
        self.countries = countries
        self.subdivisions = subdivisions
    }
}

/// A named part of the world: whoever one of its parts holds.
public struct Region: Hashable, Sendable {
    public var name: String
    public var parts: [Match]
}

/// A city by its country and the English name that databases have: `DE/Berlin`.
public struct City: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var country: String
    /// In lower case: it compares without case.
    public var name: String

    public init(country: String, name: String) {
        self.country = country
        self.name = name.lowercased()
    }

    public static func < (a: Self, b: Self) -> Bool { (a.country, a.name) < (b.country, b.name) }

    public var description: String { "\(country)/\(name)" }
}

/// A part of a country by its ISO 3166-2 code: `US-CA`.
public struct Subdivision: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var country: String
    /// What follows the hyphen: one to three letters or digits.
    public var code: String

    public init(country: String, code: String) {
        self.country = country
        self.code = code
    }

    public static func < (a: Self, b: Self) -> Bool {
        (a.country, a.code) < (b.country, b.code)
    }

    public var description: String { "\(country)-\(code)" }
}

extension Match {
    /// Returns the first field that does not hold, by its name in the file; nil if all hold.
    ///
    /// What is not known of a place matches nothing.
    func firstMismatch(_ address: IPAddress, _ location: Location?) -> String? {
        if let networks, !networks.contains(where: { $0.contains(address) }) { return "networks" }
        if let field = firstMismatchOfPlace(location) { return field }
        let holds = { (match: Match) in match.firstMismatch(address, location) == nil }
        if let regions, !regions.contains(where: { $0.parts.contains(where: holds) }) {
            return "regions"
        }
        if let any, !any.contains(where: holds) { return "any" }
        if let none, none.contains(where: holds) { return "not" }
        return nil
    }

    /// The same of the fields that a place alone decides.
    func firstMismatchOfPlace(_ location: Location?) -> String? {
        if let asns, !(location?.asn.map(asns.contains) ?? false) { return "asns" }
        if let continents, !(location?.continent.map(continents.contains) ?? false) {
            return "continents"
        }
        if let countries, !(location?.country.map(countries.contains) ?? false) {
            return "countries"
        }
        if let subdivisions {
            guard let location, let country = location.country,
                location.subdivisions.contains(where: {
                    subdivisions.contains(Subdivision(country: country, code: $0))
                })
            else { return "subdivisions" }
        }
        if let cities {
            guard let country = location?.country, let city = location?.city,
                cities.contains(City(country: country, name: city))
            else { return "cities" }
        }
        return nil
    }

    /// Whether a field of its own asks where a client is.
    var namesPlaces: Bool {
        continents != nil || countries != nil || subdivisions != nil || cities != nil
    }

    /// All matches within this one, itself first.
    var everyMatch: [Match] {
        let inner = (regions?.flatMap(\.parts) ?? []) + (any ?? []) + (none ?? [])
        return [self] + inner.flatMap(\.everyMatch)
    }

    /// The match as the file's own words, the fields in fixed order; long lists are cut short.
    var text: String {
        var parts: [String] = []
        func add(_ field: String, _ entries: [String]?) {
            guard let entries else { return }
            let shown = entries.prefix(6).joined(separator: " ")
            parts.append(
                "\(field) \(shown)" + (entries.count > 6 ? " and \(entries.count - 6) more" : ""))
        }
        add("networks", networks?.sorted(by: addressOrder).map(\.description))
        add("asns", asns?.sorted().map { "AS\($0)" })
        add("continents", continents?.sorted())
        add("countries", countries?.sorted())
        add("subdivisions", subdivisions?.sorted().map(\.description))
        add("cities", cities?.sorted().map(\.description))
        add("regions", regions?.map(\.name).sorted())
        add("any of", any?.map { "(\($0.text))" })
        add("not", none?.map { "(\($0.text))" })
        return parts.joined(separator: ", ")
    }
}

private func addressOrder(_ a: IPNetwork, _ b: IPNetwork) -> Bool {
    (a.address.family.rawValue, a.address.high, a.address.low, a.length)
        < (b.address.family.rawValue, b.address.high, b.address.low, b.length)
}

// MARK: - Rules that can never match

extension Match {
    /// Whether every client that this matches is matched by one of `earlier`.
    ///
    /// - Parameter trustingContinents: whether to take a country's continent from the usual table;
    ///   a database or an override may see it otherwise.
    func isCovered(by earlier: [Match], trustingContinents: Bool = false) -> Bool {
        if earlier.contains(where: { isCovered(by: $0, trustingContinents) }) { return true }
        // Several rules may share the work: look along one field, entry by entry. Where that would
        // take long, a needless rule stays unnoticed, which harms nobody.
        func each<Entry>(
            _ entries: Set<Entry>?, _ field: WritableKeyPath<Match, Set<Entry>?>
        ) -> Bool {
            guard let entries, entries.count > 1, entries.count * earlier.count <= 100_000 else {
                return false
            }
            return entries.allSatisfy { entry in
                var part = self
                part[keyPath: field] = [entry]
                return earlier.contains { part.isCovered(by: $0, trustingContinents) }
            }
        }
        return each(networks, \.networks) || each(asns, \.asns) || each(continents, \.continents)
            || each(countries, \.countries) || each(subdivisions, \.subdivisions)
    }

    private func isCovered(by other: Match, _ trustingContinents: Bool) -> Bool {
        // A subdivision is in its country, whether or not the country is stated.
        let narrowCountries = countries ?? subdivisions.map { Set($0.map(\.country)) }
        // Of these only the same is known to be covered.
        if other.regions != nil, other.regions != regions { return false }
        if other.any != nil, other.any != any { return false }
        if other.none != nil, other.none != none { return false }
        if let wide = other.cities, !(cities?.isSubset(of: wide) ?? false) { return false }
        if let wide = other.networks {
            guard let networks, networks.allSatisfy({ $0.isInside(anyOf: wide) }) else {
                return false
            }
        }
        if let wide = other.asns, !(asns?.isSubset(of: wide) ?? false) { return false }
        if let wide = other.continents {
            var narrow = continents
            if narrow == nil, trustingContinents {
                narrow = narrowCountries.map { Set($0.compactMap(continent(ofCountry:))) }
            }
            guard let narrow, narrow.isSubset(of: wide) else { return false }
        }
        if let wide = other.countries {
            guard let narrowCountries, narrowCountries.isSubset(of: wide) else { return false }
        }
        if let wide = other.subdivisions {
            guard let subdivisions, subdivisions.isSubset(of: wide) else { return false }
        }
        return true
    }
}

extension IPNetwork {
    fileprivate func isInside(anyOf others: Set<IPNetwork>) -> Bool {
        (0...length).contains { shorter in
            IPNetwork(address, length: shorter).map(others.contains) ?? false
        }
    }
}
