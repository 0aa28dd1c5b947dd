// Great-circle distance: known values, and the ends where formulas lose digits.

import Geo
import Testing

@Suite("distance")
struct DistanceTests {
    private static let halfway = Double.pi * earthRadiusKilometres

    @Test(
        "known distances come out",
        arguments: [
            // New York JFK to London LHR, Frankfurt to Tokyo, the equator's quarter, pole to pole.
            (40.639751, -73.778925, 51.4775, -0.461389, 5540.0, 2.0),
            (50.11, 8.68, 35.68, 139.69, 9330.0, 20.0),
            (0, 0, 0, 90, halfway / 2, 1e-9),
            (90, 17, -90, 99, halfway, 1e-9),
            (0, 179.5, 0, -179.5, halfway / 180, 1e-9),
        ] as [(Double, Double, Double, Double, Double, Double)])
    func known(a: (Double, Double, Double, Double, Double, Double)) {
        let from = Coordinates(latitude: a.0, longitude: a.1)
        let to = Coordinates(latitude: a.2, longitude: a.3)
        #expect(abs(distanceKilometres(from, to) - a.4) <= a.5, "\(distanceKilometres(from, to))")
    }

    @Test("distance is symmetric, exact for equal points and for antipodes")
    func symmetric() {
        var random = Randomness(seed: 1)
        for _ in 0..<2_000 {
            let a = Coordinates(
                latitude: .random(in: -90...90, using: &random),
                longitude: .random(in: -180...180, using: &random))
            let b = Coordinates(
                latitude: .random(in: -90...90, using: &random),
                longitude: .random(in: -180...180, using: &random))
            #expect(distanceKilometres(a, b) == distanceKilometres(b, a))
            #expect((0...Self.halfway).contains(distanceKilometres(a, b)))
            #expect(distanceKilometres(a, a) == 0)
            let opposite = Coordinates(
                latitude: -a.latitude,
                longitude: a.longitude > 0 ? a.longitude - 180 : a.longitude + 180)
            #expect(abs(distanceKilometres(a, opposite) - Self.halfway) < 1e-8)
        }
    }

    @Test("a meter is a meter, here and at the other end of the Earth")
    func small() {
        let degree = Self.halfway / 180
        for latitude in [0.0, 45, 89] {
            let a = Coordinates(latitude: latitude, longitude: 10)
            let b = Coordinates(latitude: latitude + 0.00001, longitude: 10)
            #expect(abs(distanceKilometres(a, b) - 0.00001 * degree) < 1e-9)
            let opposite = Coordinates(latitude: -latitude, longitude: -170)
            #expect(
                abs(Self.halfway - distanceKilometres(b, opposite) - 0.00001 * degree) < 1e-9)
        }
    }

    @Test("one meridian has two names, and poles have no longitude")
    func edges() {
        let point = { Coordinates(latitude: $0, longitude: $1) }
        #expect(distanceKilometres(point(12.5, 180), point(12.5, -180)) == 0)
        #expect(distanceKilometres(point(90, 0), point(90, 123)) == 0)
        #expect(distanceKilometres(point(-90, -45), point(-90, 45)) == 0)
        #expect(distanceKilometres(point(0, 0), point(0, 180)) == Self.halfway)
    }
}
