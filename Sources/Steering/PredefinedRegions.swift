// Thirteen regions of the world that rules may name without defining them: those of Cloudflare's
// load balancer, so that a configuration can move over.
//
// Source: developers.cloudflare.com, "Regions API" (load-balancing/reference/region-mapping-api)
// for codes and names, and the example response of "List Regions" (/load_balancers/regions) in the
// API's reference for what it has of WNAM: Mexico, Haiti, 2 Canadian provinces, 11 US states. What
// belongs to the other twelve is told to account holders alone, so the lines below are Rhumb's own
// choice; comments name the rule. They lean on the United Nations' standard country codes (M49)
// and regional groups.

/// A region by its code, with what is in it.
///
/// Every country is in one region, but for US and CA: those of their parts that a region lists are
/// in that one, and the remainder, which is also where a client's part is not known, in the one
/// that lists the country.
struct PredefinedRegion: Sendable {
    let code: String
    let name: String
    /// ISO 3166-1 alpha-2, as `Location.country`.
    let countries: Set<String>
    /// Parts of countries, each by its ISO 3166-2 code and by its English name: databases have one
    /// or the other, see `Location.subdivisions`.
    let subdivisions: Set<Subdivision>

    /// Whether a place is in the region.
    ///
    /// - Parameter subdivisions: of the country, as `Location.subdivisions`.
    func contains(country: String, subdivisions parts: [String]) -> Bool {
        PredefinedRegion.region(ofCountry: country, subdivisions: parts)?.code == code
    }

    /// The parts of `countries` that other regions have.
    var exceptions: Set<Subdivision> {
        var result: Set<Subdivision> = []
        for other in PredefinedRegion.all where other.code != code {
            result.formUnion(other.subdivisions.filter { countries.contains($0.country) })
        }
        return result
    }

    static func region(ofCountry country: String, subdivisions parts: [String]) -> Self? {
        all.first { region in
            parts.contains { region.subdivisions.contains(Subdivision(country: country, code: $0)) }
        } ?? all.first { $0.countries.contains(country) }
    }

    static func region(_ code: String) -> Self? { all.first { $0.code == code } }
}

// MARK: - The table

extension PredefinedRegion {
    static let all = [
        // Mexico is the source's. So are, of the parts, AB BC and AZ CA CO HI MN MO NV OR TX UT
        // WA. Silent on the other parts: chosen is what lies west of Ontario or of the
        // Mississippi, the states on its western bank included, as MN and MO are. Nunavut, whose
        // lines lead to Ottawa, is not.
        PredefinedRegion(
            "WNAM", "Western North America", "MX",
            parts: [
                "US": """
                AK Alaska, AR Arkansas, AZ Arizona, CA California, CO Colorado, HI Hawaii, \
                IA Iowa, ID Idaho, KS Kansas, LA Louisiana, MN Minnesota, MO Missouri, \
                MT Montana, ND North Dakota, NE Nebraska, NM New Mexico, NV Nevada, OK Oklahoma, \
                OR Oregon, SD South Dakota, TX Texas, UT Utah, WA Washington, WY Wyoming
                """,
                "CA": """
                AB Alberta, BC British Columbia, MB Manitoba, NT Northwest Territories, \
                SK Saskatchewan, YT Yukon
                """,
            ]),
        // Silent: the remainder of US and CA, and the remainder of the continent as `Geo` has it,
        // with Central America and the Caribbean, whose lines lead to Florida. Not as the source:
        // Haiti is in its WNAM, away from all its neighbours.
        PredefinedRegion(
            "ENAM", "Eastern North America",
            """
            AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS \
            NI PA PM PR SV SX TC TT US VC VG VI
            """),
        // Silent: Europe as `Geo` has it, less EEU; so Greece and Cyprus, not Turkey.
        PredefinedRegion(
            "WEU", "Western Europe",
            """
            AD AT AX BE CH CY DE DK ES FI FO FR GB GG GI GR IE IM IS IT JE LI LU MC MT NL NO PT \
            SE SJ SM VA
            """),
        // Silent: the United Nations' Eastern European Group, which has AM AZ GE, and Kosovo; and
        // the five of Central Asia, which no code speaks of, since their lines lead through
        // Russia.
        PredefinedRegion(
            "EEU", "Eastern Europe",
            """
            AL AM AZ BA BG BY CZ EE GE HR HU KG KZ LT LV MD ME MK PL RO RS RU SI SK TJ TM UA UZ \
            XK
            """),
        // Silent: the north and west of the continent as far as Peru; Brazil's people live in the
        // south.
        PredefinedRegion("NSAM", "Northern South America", "CO EC GF GY PE SR VE"),
        PredefinedRegion("SSAM", "Southern South America", "AR BO BR BV CL FK GS PY UY"),
        // Silent: Oceania of M49, which has CC CX HM NF UM; and Antarctica, which M49 has nowhere.
        PredefinedRegion(
            "OC", "Oceania",
            """
            AQ AS AU CC CK CX FJ FM GU HM KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU \
            WF WS
            """),
        // Silent: Western Asia of M49, less CY (WEU) and AM AZ GE (EEU); and Iran.
        PredefinedRegion("ME", "Middle East", "AE BH IL IQ IR JO KW LB OM PS QA SA SY TR YE"),
        // Silent: Northern and Western Africa of M49, less Saint Helena.
        PredefinedRegion(
            "NAF", "Northern Africa",
            "BF BJ CI CV DZ EG EH GH GM GN GW LR LY MA ML MR NE NG SD SL SN TG TN"),
        // Silent: Eastern, Middle and Southern Africa of M49, less the Chagos islands; Saint
        // Helena.
        PredefinedRegion(
            "SAF", "Southern Africa",
            """
            AO BI BW CD CF CG CM DJ ER ET GA GQ KE KM LS MG MU MW MZ NA RE RW SC SH SO SS ST SZ \
            TD TF TZ UG YT ZA ZM ZW
            """),
        // Silent, but that the region was India alone before: Southern Asia of M49, less Iran; and
        // the Chagos islands.
        PredefinedRegion("SAS", "Southern Asia", "AF BD BT IN IO LK MV NP PK"),
        // Silent: South-eastern Asia of M49, which has Timor-Leste.
        PredefinedRegion("SEAS", "Southeast Asia", "BN ID KH LA MM MY PH SG TH TL VN"),
        // Silent: Eastern Asia of M49 and Taiwan.
        PredefinedRegion("NEAS", "Northeast Asia", "CN HK JP KP KR MN MO TW"),
    ]

    private init(
        _ code: String, _ name: String, _ countries: String, parts: [String: String] = [:]
    ) {
        self.code = code
        self.name = name
        self.countries = Set(countries.split(separator: " ").map(String.init))
        var subdivisions: Set<Subdivision> = []
        for (country, list) in parts {
            for entry in list.split(separator: ",") {
                // `CODE name of one or more words`.
                for word in entry.drop(while: { $0 == " " })
                    .split(separator: " ", maxSplits: 1)
                {
                    subdivisions.insert(Subdivision(country: country, code: String(word)))
                }
            }
        }
        self.subdivisions = subdivisions
    }
}

extension Region {
    /// A predefined one: its countries less what other regions have of them, and its own parts.
    init(_ region: PredefinedRegion) {
        name = region.code
        var whole = Match(countries: region.countries)
        let exceptions = region.exceptions
        if !exceptions.isEmpty { whole.none = [Match(subdivisions: exceptions)] }
        parts = [whole]
        if !region.subdivisions.isEmpty { parts.append(Match(subdivisions: region.subdivisions)) }
    }
}
