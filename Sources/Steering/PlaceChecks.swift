// What only shows when rules and geography come together: rules that depend on what no database here
// knows, and rules that nobody comes to.

internal import Geo
public import Settings

extension Steering {
    /// Reports rules that depend on what the databases do not know, or on one that is not there, and
    /// rules that match nobody.
    public func checkPlaces(_ diagnostics: inout Diagnostics) {
        // One finding for each rule is enough, where it says why nobody comes to it.
        var told = Set(diagnostics.all.map(\.position))
        checkDatabases(&diagnostics)
        warnOfIdleSystems(&diagnostics)
        guard !diagnostics.hasErrors else { return }
        let count = diagnostics.all.count
        warnOfUnknownSystems(&diagnostics)
        if let database = geography.database {
            configuration.warnOfMissingPlaces(in: database.kind, &diagnostics)
        }
        told.formUnion(diagnostics.all[count...].map(\.position))
        warnOfIdleRules(notAt: told, &diagnostics)
    }

    /// Reports the first rule that needs a database which is not there.
    private func checkDatabases(_ diagnostics: inout Diagnostics) {
        let rules = configuration.services.flatMap(\.rules)
        let stated = geography.overrides.entries.map(\.location)
        // Rows of the table of round trips may do without places.
        let isMeasured = rules.filter(\.steersByPlace).allSatisfy {
            configuration.isMeasured($0)
                && !($0.match?.everyMatch.contains(where: \.namesPlaces) ?? false)
        }
        for (isMissing, needs, fault, cure, stated) in [
            (
                geography.database == nil, \Rule.steersByPlace,
                "this rule steers by place, but there is no geo database (*.mmdb)",
                "; scripts/fetch-geo gets one, and geo/world.mmdb comes with Rhumb",
                stated.contains(where: \.isPlace)
                    ? "overrides" : isMeasured ? "measured round trips" : nil
            ),
            (
                geography.asnDatabase == nil, \Rule.steersByASN,
                "this rule matches AS numbers, but there is no ASN database (*.mmdb)",
                "; scripts/fetch-geo gets one",
                stated.contains { $0.asn != nil } ? "overrides" : nil
            ),
        ] {
            guard isMissing, let rule = rules.first(where: { $0[keyPath: needs] }) else { continue }
            if let stated {
                diagnostics.warning(at: rule.position, fault + ", only \(stated)" + cure)
            } else {
                diagnostics.error(at: rule.position, fault + cure)
            }
        }
    }
}

extension Rule {
    /// Whether it asks where a client is, apart from its network.
    fileprivate var steersByPlace: Bool {
        policy.dependsOnPlace || match?.everyMatch.contains(where: \.namesPlaces) ?? false
    }

    /// Whether it asks who announces a client's network.
    fileprivate var steersByASN: Bool { match?.everyMatch.contains { $0.asns != nil } ?? false }
}

extension SteeringConfiguration {
    /// Warns of rules that depend on what a database of that kind does not know.
    func warnOfMissingPlaces(
        in kind: LocationDatabase.Kind, _ diagnostics: inout Diagnostics
    ) {
        guard kind == .country else { return }
        let cure = "; use a City database (scripts/fetch-geo gets one)"
        for rule in services.flatMap(\.rules) {
            let matches = rule.match?.everyMatch ?? []
            for (field, isUsed) in [
                ("subdivisions", matches.contains { $0.subdivisions != nil }),
                ("cities", matches.contains { $0.cities != nil }),
            ] where isUsed {
                diagnostics.warning(
                    at: rule.position,
                    "this rule matches \(field), and a Country database knows none\(cure)")
            }
            if rule.policy.dependsOnPlace {
                diagnostics.warning(
                    at: rule.position,
                    "policy \"\(rule.policy)\" needs the clients' coordinates"
                        + (isMeasured(rule) ? " where no row tells" : "")
                        + ", and a Country database has none: they get the pools in file order\(cure)"
                )
            }
        }
    }
}

// MARK: - AS numbers

extension Steering {
    /// Warns of AS numbers that no network has.
    private func warnOfUnknownSystems(_ diagnostics: inout Diagnostics) {
        let rules = configuration.services.flatMap(\.rules).filter(\.steersByASN)
        guard !rules.isEmpty else { return }
        let stated = Set(geography.overrides.entries.compactMap(\.location.asn))
        var known = stated
        geography.asnDatabase?.forEachRecord { location in
            if let asn = location.asn { known.insert(asn) }
        }
        for rule in rules {
            let asked = Set(rule.match?.everyMatch.flatMap { $0.asns ?? [] } ?? []).sorted()
            let unstated = Dictionary(
                grouping: asked.filter { !stated.contains($0) }, by: privateASN)
            for (use, asns) in unstated.compactMap({ use, asns in use.map { ($0, asns) } }) {
                diagnostics.warning(
                    at: rule.position,
                    "this rule matches \(listed(asns.map { "AS\($0)" })), \(use), and no override"
                        + " states who has that"
                )
            }
            let missing = asked.filter { !known.contains($0) && privateASN($0) == nil }
            guard !missing.isEmpty, let database = geography.asnDatabase else { continue }
            diagnostics.warning(
                at: rule.position,
                "this rule matches \(listed(missing.map { "AS\($0)" })), of which \(database.type)"
                    + " has no network")
        }
    }
}

/// Texts in a row, the first six of them.
private func listed(_ texts: [String]) -> String {
    texts.prefix(6).joined(separator: ", ")
        + (texts.count > 6 ? " and \(texts.count - 6) more" : "")
}

// MARK: - Rules that match nobody

extension Steering {
    /// Warns of rules that no network comes to, with the reason if a field of the match is to blame.
    private func warnOfIdleRules(
        notAt told: Set<SourcePosition>, _ diagnostics: inout Diagnostics
    ) {
        var known: KnownPlaces?
        for (service, indices) in zip(configuration.services, idleRules) {
            for index in indices where !told.contains(service.rules[index].position) {
                guard let match = service.rules[index].match else { continue }
                let places = known ?? KnownPlaces(geography, withCities: usesCities)
                known = places
                let reason = places.reason(against: match)
                diagnostics.warning(
                    at: service.rules[index].position,
                    "this rule matches no network of \(places.source) (\(match.text))"
                        + (reason.map { ": \($0)" } ?? "; earlier rules may take all its clients"))
            }
        }
    }

    private var usesCities: Bool {
        configuration.services.flatMap(\.rules).compactMap(\.match).flatMap(\.everyMatch)
            .contains { $0.cities != nil }
    }
}

/// Everything that databases and overrides name.
private struct KnownPlaces {
    /// Where it is from.
    let source: String
    private var continents: Set<String> = []
    private var countries: Set<String> = []
    private var subdivisions: Set<Subdivision> = []
    private var cities: Set<City> = []
    private var asns: Set<UInt32> = []

    init(_ geography: Geography, withCities: Bool) {
        let names = [geography.database?.type, geography.asnDatabase?.type].compactMap(\.self)
        source = names.isEmpty ? "the overrides" : names.joined(separator: " and ")
        let stated = geography.overrides.entries.map(\.location)
        for location in stated + [geography.overrides.fallback?.location].compactMap(\.self) {
            add(location)
        }
        geography.database?.forEachRecord(withCities: withCities) { add($0) }
        geography.asnDatabase?.forEachRecord { add($0) }
    }

    private mutating func add(_ location: Location) {
        if let asn = location.asn { asns.insert(asn) }
        if let continent = location.continent { continents.insert(continent) }
        guard let country = location.country else { return }
        countries.insert(country)
        for code in location.subdivisions {
            subdivisions.insert(Subdivision(country: country, code: code))
        }
        if let name = location.city { cities.insert(City(country: country, name: name)) }
    }

    /// Why a match can't hold for anybody, by itself; nil if each of its fields names something known.
    func reason(against match: Match) -> String? {
        if let entries = match.continents, entries.isDisjoint(with: continents) {
            return "no network is in \(listed(entries.sorted()))"
        }
        if let entries = match.countries, entries.isDisjoint(with: countries) {
            return "no network is in \(listed(entries.sorted()))"
        }
        if let entries = match.subdivisions, entries.isDisjoint(with: subdivisions) {
            return reason(againstSubdivisions: entries)
        }
        if let entries = match.cities, entries.isDisjoint(with: cities) {
            return reason(againstCities: entries)
        }
        if let entries = match.asns, entries.isDisjoint(with: asns) {
            return "no network has \(listed(entries.sorted().map { "AS\($0)" }))"
        }
        if let regions = match.regions {
            let reasons = regions.map { region in
                (region.name, region.parts.map { reason(against: $0) })
            }
            if reasons.allSatisfy({ !$0.1.contains(nil) }) {
                let names = reasons.map(\.0).sorted().map { "\"\($0)\"" }
                return "nothing is in the region \(listed(names))"
            }
        }
        if let any = match.any {
            let reasons = any.map { reason(against: $0) }
            if !reasons.contains(nil) { return reasons.compactMap(\.self).first }
        }
        return nil
    }

    private func reason(againstSubdivisions entries: Set<Subdivision>) -> String {
        let countries = Set(entries.map(\.country))
        let others = subdivisions.filter { countries.contains($0.country) }
        let names = listed(entries.sorted().map(\.description))
        // Some vendors write out names alone.
        if !others.isEmpty, !others.contains(where: { isSubdivisionCode($0.code) }) {
            return "it has names in place of codes as \(names); use MaxMind's data or overrides"
        }
        return "no network is in \(names)"
    }

    private func reason(againstCities entries: Set<City>) -> String {
        let names = listed(entries.sorted().map(\.description))
        // Each is held against all cities of its country.
        for city in entries.sorted().prefix(3) {
            let others = cities.filter { $0.country == city.country }.map(\.name)
            guard let near = closestMatch(to: city.name, among: others) else { continue }
            return
                "no network is in \(names); did you mean \(City(country: city.country, name: near))?"
        }
        return "no network is in \(names)"
    }
}
