// `geo/overrides.yaml`: "these networks are here", said by who runs them; beats the database.
//
//     networks:
//       198.51.100.0/24: { country: DE, city: Frankfurt, coordinates: [50.11, 8.68] }
//       "2001:db8:100::/40": { country: US, subdivision: VA, coordinates: [39.04, -77.49] }
//       10.0.0.0/8: { continent: EU, asn: 64496 }
//     default: { country: DE, coordinates: [50.11, 8.68] }
//
// The most specific network that states a place holds, and replaces all that the database says of the
// place: a country from here with coordinates from there would contradict each other. The same goes for
// AS numbers, apart from places. The default is for clients whom nobody locates.

public import DNSWire
public import Settings

/// The networks whose location is stated by hand.
public struct LocationOverrides: Sendable {
    /// One stated network.
    public struct Entry: Hashable, Sendable {
        public var network: IPNetwork
        public var location: Location
        public var position: SourcePosition

        public init(network: IPNetwork, location: Location, position: SourcePosition) {
            self.network = network
            self.location = location
            self.position = position
        }
    }

    /// In file order; no network occurs twice.
    public private(set) var entries: [Entry] = []
    /// Where clients are whom nobody locates, with its place in the file.
    public private(set) var fallback: (location: Location, position: SourcePosition)?

    /// None.
    public init() {}

    /// The entry with the longest network that holds `address`, of those that say something of that
    /// kind; walks them all.
    public func entry(
        for address: IPAddress, where says: (Location) -> Bool = { _ in true }
    ) -> Entry? {
        entries.filter { $0.network.contains(address) && says($0.location) }.max {
            $0.network.length < $1.network.length
        }
    }

    /// Reads the file's root; everything that is wrong is reported with its place.
    public static func parse(
        _ root: SettingsValue, _ diagnostics: inout Diagnostics
    ) -> LocationOverrides {
        var result = LocationOverrides()
        var places: [IPNetwork: SourcePosition] = [:]
        let sections = root.mapping(["networks", "default"], &diagnostics)
        if let value = sections?["default"],
            let location = parseLocation(value, placeKeys, &diagnostics)
        {
            result.fallback = (location, value.position)
        }
        let networks = sections?["networks"]
        for (name, key, value) in networks?.namedEntries(&diagnostics) ?? [] {
            let location = parseLocation(value, placeKeys + ["asn"], &diagnostics)
            guard let network = parseNetwork(name, at: key, &diagnostics) else { continue }
            if let first = places[network] {
                diagnostics.error(
                    at: key,
                    "the network \(network) is already stated at \(first); keep one of both")
                continue
            }
            places[network] = key
            guard let location else { continue }
            result.entries.append(Entry(network: network, location: location, position: key))
        }
        return result
    }
}

// MARK: - Networks

private func parseNetwork(
    _ text: String, at position: SourcePosition, _ diagnostics: inout Diagnostics
) -> IPNetwork? {
    guard let network = IPNetwork(text) else {
        var message = "\"\(text)\" is not a network; write ADDRESS/LENGTH, as 192.0.2.0/24"
        if let meant = maskedNetwork(text) {
            message = "\"\(text)\" has bits set after its length; did you mean \(meant)?"
        }
        diagnostics.error(at: position, message)
        return nil
    }
    if let objection = FoldedSpace.objection(to: network) {
        diagnostics.error(at: position, "\(network) never holds a client: \(objection)")
        return nil
    }
    return network
}

/// The network that `ADDRESS/LENGTH` lies in; nil if it is neither part.
private func maskedNetwork(_ text: String) -> IPNetwork? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let address = IPAddress(String(parts[0])), let length = Int(parts[1])
    else { return nil }
    return IPNetwork(address, length: length)
}

// MARK: - Locations

/// The keys that say where a network is.
private let placeKeys = ["continent", "country", "subdivision", "city", "coordinates"]

private func parseLocation(
    _ value: SettingsValue, _ keys: [String], _ diagnostics: inout Diagnostics
) -> Location? {
    let errors = diagnostics.errorCount
    guard let mapping = value.mapping(keys, &diagnostics) else { return nil }
    var location = Location()
    if let country = mapping["country"] {
        location.country = parseCountry(country, &diagnostics)
        location.continent = location.country.flatMap(continent(ofCountry:))
    }
    if let text = mapping["continent"]?.string(&diagnostics) {
        location.continent = text.uppercased()
        if let value = mapping["continent"], !continents.contains(text.uppercased()) {
            value.expected("one of \(continents.joined(separator: ", "))", &diagnostics)
        }
    }
    if let subdivisions = mapping["subdivision"] {
        if let country = location.country {
            location.subdivisions = subdivisions.elements(&diagnostics).compactMap {
                parseSubdivision($0, of: country, &diagnostics)
            }
        } else if mapping["country"] == nil {
            diagnostics.error(
                at: subdivisions.position,
                "\(subdivisions.path): names a part of a country; state the country too")
        }
    }
    location.city = mapping["city"]?.string(&diagnostics)
    if let coordinates = mapping["coordinates"] {
        location.coordinates = parseCoordinates(coordinates, &diagnostics)
    }
    location.asn = mapping["asn"].flatMap { parseASN($0, &diagnostics) }
    guard diagnostics.errorCount == errors else { return nil }
    guard location != Location() else {
        diagnostics.error(
            at: value.position,
            "\(value.path): says nothing; give at least a country or coordinates"
                + (keys.contains("asn") ? ", or an asn" : ""))
        return nil
    }
    return location
}

private func parseCountry(_ value: SettingsValue, _ diagnostics: inout Diagnostics) -> String? {
    guard let text = value.string(&diagnostics) else { return nil }
    let code = text.uppercased()
    if continent(ofCountry: code) != nil { return code }
    // The two that people write and ISO 3166-1 doesn't have.
    let hint = ["UK": " (did you mean GB?)", "EL": " (did you mean GR?)"][code] ?? ""
    value.expected("a two-letter country code of ISO 3166-1\(hint)", &diagnostics)
    return nil
}

/// `VA` or `US-VA`; what rules would not find is reported.
private func parseSubdivision(
    _ value: SettingsValue, of country: String, _ diagnostics: inout Diagnostics
) -> String? {
    if let text = value.text?.uppercased() {
        let code = text.hasPrefix(country + "-") ? String(text.dropFirst(3)) : text
        if isSubdivisionCode(code) { return code }
    }
    value.expected(
        "the code of a part of \(country), as in ISO 3166-2 (\(country)-XX or XX)", &diagnostics)
    return nil
}

/// `[latitude, longitude]` in degrees.
public func parseCoordinates(
    _ value: SettingsValue, _ diagnostics: inout Diagnostics
) -> Coordinates? {
    guard case .list(let elements) = value.content, elements.count == 2,
        let latitude = elements[0].text.flatMap(Double.init),
        let longitude = elements[1].text.flatMap(Double.init)
    else {
        value.expected("[latitude, longitude] in degrees, as [50.11, 8.68]", &diagnostics)
        return nil
    }
    if abs(latitude) <= 90, abs(longitude) <= 180 {
        return Coordinates(latitude: latitude, longitude: longitude)
    }
    let swapped = abs(latitude) <= 180 && abs(longitude) <= 90
    let hint = swapped ? "; did you swap latitude and longitude?" : ""
    diagnostics.error(
        at: value.position,
        "\(value.path): latitude \(latitude) must be from -90 to 90, longitude \(longitude) "
            + "from -180 to 180\(hint)")
    return nil
}
