// What geography knows of a client. Any part may be missing, and missing is never 0,0.

/// A point on the Earth in degrees: latitude -90...90, longitude -180...180.
public struct Coordinates: Hashable, Sendable {
    public var latitude: Double
    public var longitude: Double

    public init(latitude: Double, longitude: Double) {
        self.latitude = latitude
        self.longitude = longitude
    }
}

/// What a database record or an override says of a network. Codes are upper case.
public struct Location: Hashable, Sendable {
    /// Two letters: AF, AN, AS, EU, NA, OC, SA; the country's where only that is stated.
    public var continent: String?
    /// ISO 3166-1 alpha-2.
    public var country: String?
    /// ISO 3166-2 codes without the country (`CA` for US-CA), or names where the vendor has no codes; largest first.
    public var subdivisions: [String]
    public var city: String?
    public var coordinates: Coordinates?

    public init(
        continent: String? = nil, country: String? = nil, subdivisions: [String] = [],
        city: String? = nil, coordinates: Coordinates? = nil
    ) {
        self.continent = continent
        self.country = country
        self.subdivisions = subdivisions
        self.city = city
        self.coordinates = coordinates
    }
}
