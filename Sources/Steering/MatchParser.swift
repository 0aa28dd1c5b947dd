// A rule's `match:`, read and checked: networks, AS numbers, places, and sets of them.

internal import DNSWire
internal import Geo
internal import Settings

extension PoolFileParser {
    private static let fields = [
        "networks", "asns", "continents", "countries", "subdivisions", "cities",
    ]

    /// Returns the match, or nil after reporting a fault in it.
    func parseMatch(
        _ value: SettingsValue, depth: Int = 0, _ diagnostics: inout Diagnostics
    ) -> Match? {
        let errorsBefore = diagnostics.errorCount
        let fields = Self.fields + ["regions", "any", "not"]
        guard let settings = value.mapping(fields, &diagnostics) else { return nil }
        settings.refuseEmpty(&diagnostics)
        var match = parseFields(settings, &diagnostics)
        match.regions = settings["regions"].map { parseSet($0, parseRegion, &diagnostics) }
        match.any = settings["any"].map { parseInner($0, depth, &diagnostics) }
        match.none = settings["not"].map { parseInner($0, depth, &diagnostics) }
        guard diagnostics.errorCount == errorsBefore else { return nil }
        if !fields.contains(where: { settings[$0] != nil }) {
            diagnostics.error(
                at: value.position,
                "\(value.path): a match states at least one of \(fields.joined(separator: ", "));"
                    + " leave \"match\" out to match everyone")
            return nil
        }
        if depth == 0, match.everyMatch.count > SteeringLimit.matchParts {
            diagnostics.error(
                at: value.position,
                "\(value.path): more than \(SteeringLimit.matchParts) parts, those of regions counted;"
                    + " write it as several rules")
            return nil
        }
        if let wide = match.continents, let countries = match.countries,
            let field = settings["countries"]
        {
            for country in countries.sorted() {
                guard let continent = continent(ofCountry: country), !wide.contains(continent)
                else { continue }
                diagnostics.warning(
                    at: field.position,
                    "\(field.path): \(country) will hardly match, since \"continents\" has to match"
                        + " too and lacks \(continent)")
            }
        }
        if let countries = match.countries, let subdivisions = match.subdivisions,
            let field = settings["subdivisions"]
        {
            // Both fields have to hold, so a subdivision elsewhere, or a country without one, is idle.
            for subdivision in subdivisions.sorted() where !countries.contains(subdivision.country)
            {
                diagnostics.error(
                    at: field.position,
                    "\(field.path): \(subdivision) never matches, since \"countries\" has to match"
                        + " too and lacks \(subdivision.country)")
            }
            for country in countries.sorted()
            where !subdivisions.contains(where: { $0.country == country }) {
                diagnostics.error(
                    at: field.position,
                    "\(field.path): no subdivision of \(country), so \(country) in \"countries\""
                        + " never matches; to match all of it, give it a rule of its own")
            }
        }
        return diagnostics.errorCount == errorsBefore ? match : nil
    }

    /// The fields that say who a client is by themselves.
    private func parseFields(
        _ settings: SettingsMapping, _ diagnostics: inout Diagnostics
    ) -> Match {
        var match = Match(
            networks: settings["networks"].map { parseSet($0, parseNetwork, &diagnostics) },
            continents: settings["continents"].map { parseSet($0, parseContinent, &diagnostics) },
            countries: settings["countries"].map { parseSet($0, parseCountry, &diagnostics) },
            subdivisions: settings["subdivisions"].map {
                parseSet($0, parseSubdivision, &diagnostics)
            })
        match.asns = settings["asns"].map { parseSet($0, parseASN, &diagnostics) }
        match.cities = settings["cities"].map { parseSet($0, parseCity, &diagnostics) }
        return match
    }

    /// The matches of `any` or `not`: a list of them, or one.
    private func parseInner(
        _ value: SettingsValue, _ depth: Int, _ diagnostics: inout Diagnostics
    ) -> [Match] {
        guard depth < SteeringLimit.matchDepth else {
            diagnostics.error(
                at: value.position,
                "\(value.path): deeper than \(SteeringLimit.matchDepth) levels; write it as several"
                    + " rules")
            return []
        }
        let elements = value.elements(&diagnostics)
        if elements.isEmpty || elements.count > SteeringLimit.matchParts {
            diagnostics.error(
                at: value.position,
                "\(value.path): give 1 to \(SteeringLimit.matchParts) matches")
            return []
        }
        return elements.compactMap { parseMatch($0, depth: depth + 1, &diagnostics) }
    }

    // MARK: - Regions

    /// Reads an entry of `regions:`: whoever one of its fields names is in it.
    func parseRegionEntry(_ entry: NamedEntry, _ diagnostics: inout Diagnostics) -> Region? {
        let errorsBefore = diagnostics.errorCount
        guard let settings = entry.value.mapping(Self.fields, &diagnostics) else { return nil }
        settings.refuseEmpty(&diagnostics)
        let match = parseFields(settings, &diagnostics)
        var parts: [Match] = []
        if match.networks != nil { parts.append(Match(networks: match.networks)) }
        if match.continents != nil { parts.append(Match(continents: match.continents)) }
        if match.countries != nil { parts.append(Match(countries: match.countries)) }
        if match.subdivisions != nil { parts.append(Match(subdivisions: match.subdivisions)) }
        if match.asns != nil {
            var part = Match()
            part.asns = match.asns
            parts.append(part)
        }
        if match.cities != nil {
            var part = Match()
            part.cities = match.cities
            parts.append(part)
        }
        if PredefinedRegion.region(entry.name) != nil {
            diagnostics.error(
                at: entry.position,
                "the region \"\(entry.name)\" comes with Rhumb; give yours another name")
        } else if parts.isEmpty {
            diagnostics.error(
                at: entry.value.position,
                "\(entry.value.path): a region names at least one of"
                    + " \(Self.fields.joined(separator: ", "))")
        }
        return diagnostics.errorCount == errorsBefore
            ? Region(name: entry.name, parts: parts) : nil
    }

    private func parseRegion(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> Region? {
        if let name = value.text, let predefined = PredefinedRegion.region(name.uppercased()),
            regions.index[name] == nil
        {
            return Region(predefined)
        }
        guard let index = regions.find(value, &diagnostics) else { return nil }
        // One that could not be read is reported there.
        return parsedRegions[index] ?? Region(name: regions.entries[index].name, parts: [])
    }

    private func parseCity(_ value: SettingsValue, _ diagnostics: inout Diagnostics) -> City? {
        let parts =
            value.text?.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false) ?? []
        if parts.count == 2, continent(ofCountry: parts[0].uppercased()) != nil, !parts[1].isEmpty {
            return City(country: parts[0].uppercased(), name: String(parts[1]))
        }
        value.expected(
            "a city with its country, as DE/Berlin, by the name that the database has",
            &diagnostics)
        return nil
    }

    private func parseSet<Entry: Hashable>(
        _ value: SettingsValue, _ parse: (SettingsValue, inout Diagnostics) -> Entry?,
        _ diagnostics: inout Diagnostics
    ) -> Set<Entry> {
        let elements = value.elements(&diagnostics)
        if elements.isEmpty || elements.count > SteeringLimit.entriesPerMatch {
            diagnostics.error(
                at: value.position,
                "\(value.path): give 1 to \(SteeringLimit.entriesPerMatch) entries")
            return []
        }
        var entries: Set<Entry> = []
        for element in elements {
            guard let entry = parse(element, &diagnostics) else { continue }
            if !entries.insert(entry).inserted {
                diagnostics.warning(at: element.position, "\(element.path): \(entry) occurs twice")
            }
        }
        return entries
    }

    private func parseNetwork(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> IPNetwork? {
        guard let text = value.text else {
            value.expected("a network, as 192.0.2.0/24", &diagnostics)
            return nil
        }
        if let network = IPNetwork(text) {
            guard let objection = FoldedSpace.objection(to: network) else { return network }
            diagnostics.error(at: value.position, "\(value.path): \(network): \(objection)")
            return nil
        }
        // The usual slip: an address inside the network instead of its first.
        let parts = text.split(separator: "/", maxSplits: 1)
        if parts.count == 2, let address = IPAddress(String(parts[0])), let length = Int(parts[1]),
            let network = IPNetwork(address, length: length)
        {
            diagnostics.error(
                at: value.position,
                "\(value.path): \(text) has bits set after its length; did you mean \(network)?")
        } else {
            value.expected("a network, as 192.0.2.0/24 or 2001:db8::/32", &diagnostics)
        }
        return nil
    }

    private func parseContinent(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> String? {
        if let code = value.text?.uppercased(), continents.contains(code) { return code }
        value.expected("a continent: \(continents.joined(separator: ", "))", &diagnostics)
        return nil
    }

    private func parseCountry(_ value: SettingsValue, _ diagnostics: inout Diagnostics) -> String? {
        if let code = value.text?.uppercased(), continent(ofCountry: code) != nil { return code }
        let hint = value.text.map(countryHint) ?? ""
        value.expected("a country code of ISO 3166-1, as DE\(hint)", &diagnostics)
        return nil
    }

    private func parseSubdivision(
        _ value: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> Subdivision? {
        let parts =
            value.text?.uppercased().split(separator: "-", omittingEmptySubsequences: false)
            .map(String.init) ?? []
        if parts.count == 2, continent(ofCountry: parts[0]) != nil, isSubdivisionCode(parts[1]) {
            return Subdivision(country: parts[0], code: parts[1])
        }
        let hint = parts.first.map(countryHint) ?? ""
        value.expected("a subdivision of ISO 3166-2, as US-CA\(hint)", &diagnostics)
        return nil
    }

    /// What is written for a country and is none in ISO 3166-1.
    private func countryHint(_ text: String) -> String {
        if continents.contains(text.uppercased()) {
            return "; \(text.uppercased()) is a continent: write it under \"continents\""
        }
        return ["UK": " (did you mean GB?)", "EL": " (did you mean GR?)"][text.uppercased()] ?? ""
    }
}
