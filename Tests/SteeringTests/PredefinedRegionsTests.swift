// The regions that come predefined cover the world once.

import Geo
import Testing

@testable import Steering

@Suite("Predefined regions")
struct PredefinedRegionsTests {
    @Test("every country is in exactly one region, and no region has another")
    func partition() {
        let listed = PredefinedRegion.all.flatMap(\.countries)
        #expect(listed.sorted() == countries)
        #expect(PredefinedRegion.all.count == 13)
        #expect(Set(PredefinedRegion.all.map(\.code)).count == 13)
    }

    @Test(
        "US and CA are split by code or name, the remainder goes east",
        arguments: [
            ("US", ["CA"], "WNAM"), ("US", ["California"], "WNAM"),
            ("US", ["North Dakota"], "WNAM"),
            ("US", ["VA"], "ENAM"), ("US", ["Virginia"], "ENAM"), ("US", [], "ENAM"),
            ("CA", ["BC"], "WNAM"), ("CA", ["British Columbia"], "WNAM"), ("CA", ["QC"], "ENAM"),
            ("CA", [], "ENAM"), ("MX", ["CHP"], "WNAM"),
            // Codes of other countries that look like a listed part.
            ("IT", ["CA"], "WEU"), ("GB", ["MT"], "WEU"),
        ])
    func parts(country: String, subdivisions: [String], code: String) {
        let holders = PredefinedRegion.all.filter {
            $0.contains(country: country, subdivisions: subdivisions)
        }
        #expect(holders.map(\.code) == [code])
    }

    @Test("what a region lists of a country is what the country's own region leaves out")
    func exceptions() throws {
        let west = try #require(PredefinedRegion.region("WNAM"))
        let east = try #require(PredefinedRegion.region("ENAM"))
        #expect(west.subdivisions.count == 2 * (24 + 6))
        #expect(east.exceptions == west.subdivisions)
        #expect(west.exceptions.isEmpty)
        #expect(PredefinedRegion.region("XYZ")?.code == nil)
    }
}
