// Which clients a rule is for. Within a field any entry will do; every stated field must hold.

public import DNSWire
internal import Geo

/// A rule's condition on the client's address and place; at least one field is stated.
public struct Match: Hashable, Sendable {
    public var networks: Set<IPNetwork>?
    /// Codes as `Location.continent` has them.
    public var continents: Set<String>?
    /// ISO 3166-1 alpha-2, upper case.
    public var countries: Set<String>?
    public var subdivisions: Set<Subdivision>?

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
    /// - Parameters:
    ///   - inNetworks: whether the client is in one of `networks`; the caller knows, since networks
    ///     are laid into the location tree.
    ///   - location: what is known of the client's place; what is not known matches nothing.
    func firstMismatch(inNetworks: Bool, location: Location?) -> String? {
        if networks != nil, !inNetworks { return "networks" }
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
        return nil
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
        add("continents", continents?.sorted())
        add("countries", countries?.sorted())
        add("subdivisions", subdivisions?.sorted().map(\.description))
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
        return each(networks, \.networks) || each(continents, \.continents)
            || each(countries, \.countries) || each(subdivisions, \.subdivisions)
    }

    private func isCovered(by other: Match, _ trustingContinents: Bool) -> Bool {
        // A subdivision is in its country, whether or not the country is stated.
        let narrowCountries = countries ?? subdivisions.map { Set($0.map(\.country)) }
        if let wide = other.networks {
            guard let networks, networks.allSatisfy({ $0.isInside(anyOf: wide) }) else {
                return false
            }
        }
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
