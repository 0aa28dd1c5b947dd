// A rule's `match:`, read and checked: networks, continents, countries, subdivisions.

internal import DNSWire
internal import Geo
internal import Settings

extension PoolFileParser {
    /// Returns the match, or nil after reporting a fault in it.
    func parseMatch(_ value: SettingsValue, _ diagnostics: inout Diagnostics) -> Match? {
        let errorsBefore = diagnostics.errorCount
        let fields = ["networks", "continents", "countries", "subdivisions"]
        guard let settings = value.mapping(fields, &diagnostics) else { return nil }
        settings.refuseEmpty(&diagnostics)
        let match = Match(
            networks: settings["networks"].map { parseSet($0, parseNetwork, &diagnostics) },
            continents: settings["continents"].map { parseSet($0, parseContinent, &diagnostics) },
            countries: settings["countries"].map { parseSet($0, parseCountry, &diagnostics) },
            subdivisions: settings["subdivisions"].map {
                parseSet($0, parseSubdivision, &diagnostics)
            })
        guard diagnostics.errorCount == errorsBefore else { return nil }
        if !fields.contains(where: { settings[$0] != nil }) {
            diagnostics.error(
                at: value.position,
                "\(value.path): a match states at least one of \(fields.joined(separator: ", "));"
                    + " leave \"match\" out to match everyone")
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
