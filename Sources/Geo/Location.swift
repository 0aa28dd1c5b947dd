// What geography knows of a client. Any part may be missing, and missing is never 0,0.

/// A point on the Earth in degrees: latitude -90...90, longitude -180...180.
public struct Coordinates: Hashable, Sendable, BitwiseCopyable {
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
    /// The number of the autonomous system that announces the network; compiling a tree tells only
    /// those that were asked for.
    public var asn: UInt32?

    public init(
        continent: String? = nil, country: String? = nil, subdivisions: [String] = [],
        city: String? = nil, coordinates: Coordinates? = nil, asn: UInt32? = nil
    ) {
        self.continent = continent
        self.country = country
        self.subdivisions = subdivisions
        self.city = city
        self.coordinates = coordinates
        self.asn = asn
    }

    /// Whether anything of it says where the network is: an AS number alone does not.
    public var isPlace: Bool {
        coordinates != nil || country != nil || continent != nil || !subdivisions.isEmpty
            || city != nil
    }

    /// The same place in another autonomous system; nil if that leaves nothing.
    public func with(asn: UInt32?) -> Location? {
        var result = self
        result.asn = asn
        return asn != nil || isPlace ? result : nil
    }
}

/// Who announces a network.
public struct AutonomousSystem: Hashable, Sendable {
    /// Never 0, which is nobody's (RFC 7607).
    public var number: UInt32
    public var organization: String?

    public init(number: UInt32, organization: String? = nil) {
        self.number = number
        self.organization = organization
    }
}
