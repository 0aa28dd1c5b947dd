// How far apart two places are, on a sphere with the Earth's mean radius.
//
// Places become unit vectors first: then one distance is a dozen multiplications and one arc
// tangent, exact to the metre from touching points to opposite ends of the Earth, where the usual
// haversine and cosine formulas each lose digits at one end.

internal import Glibc

/// The Earth's mean radius, (2a + b) / 3 of the WGS 84 ellipsoid.
public let earthRadiusKilometres = 6371.0088

/// Returns the great-circle distance of two places: 0 for equal ones, half the Earth's
/// circumference for antipodes.
public func distanceKilometres(_ a: Coordinates, _ b: Coordinates) -> Double {
    SurfacePoint(a).distanceKilometres(to: SurfacePoint(b))
}

/// The detour that cables take from the great circle, by which estimates multiply.
public let detourFactor = 1.5

/// The estimated round trip over a great-circle distance: light in glass goes at two thirds of its speed
/// in vacuum, and cables take detours.
public func roundTripMilliseconds(_ kilometres: Double) -> Double {
    2 * kilometres * detourFactor / (299_792.458 * 2 / 3) * 1_000
}

/// A place prepared for many distances: the unit vector from the Earth's centre.
public struct SurfacePoint: Hashable, Sendable, BitwiseCopyable {
    private let x: Double
    private let y: Double
    private let z: Double

    public init(_ coordinates: Coordinates) {
        let (sinLatitude, cosLatitude) = sineAndCosine(degrees: coordinates.latitude)
        let (sinLongitude, cosLongitude) = sineAndCosine(degrees: coordinates.longitude)
        x = cosLatitude * cosLongitude
        y = cosLatitude * sinLongitude
        z = sinLatitude
    }

    /// The cosine of the angle to another place as seen from the Earth's centre: the nearer, the larger.
    public func cosine(to other: SurfacePoint) -> Double {
        x * other.x + y * other.y + z * other.z
    }

    /// The great-circle distance to another place.
    public func distanceKilometres(to other: SurfacePoint) -> Double {
        let crossX = y * other.z - z * other.y
        let crossY = z * other.x - x * other.z
        let crossZ = x * other.y - y * other.x
        let sine = (crossX * crossX + crossY * crossY + crossZ * crossZ).squareRoot()
        let cosine = x * other.x + y * other.y + z * other.z
        return earthRadiusKilometres * atan2(sine, cosine)
    }
}

/// Sine and cosine with the quarter turns taken off in degrees, where that is exact.
///
/// So 90 degrees has a cosine of 0 and not 6e-17, poles are one point whatever their longitude,
/// -180 and 180 are the same meridian, and antipodes are exact opposites.
private func sineAndCosine(degrees: Double) -> (sine: Double, cosine: Double) {
    let quarters = (degrees / 90).rounded(.toNearestOrEven)
    let rest = (degrees - 90 * quarters) * (Double.pi / 180)
    let sine = sin(rest)
    let cosine = cos(rest)
    switch Int(quarters) & 3 {
    case 0: return (sine, cosine)
    case 1: return (cosine, -sine)
    case 2: return (-sine, -cosine)
    default: return (-cosine, sine)
    }
}
