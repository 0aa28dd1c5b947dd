// Which countries and continents there are: to catch misspelt codes, and to know a country's
// continent where only the country is stated.

/// The continents' codes, as databases use them.
public let continents = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"]

/// The continent of a country, as GeoNames and the databases assign them; nil if there is no such
/// country.
///
/// - Parameter code: ISO 3166-1 alpha-2, or XK for Kosovo, in upper case.
public func continent(ofCountry code: String) -> String? {
    continentsByCountry[code]
}

/// All countries' codes, in alphabetical order.
public let countries = continentsByCountry.keys.sorted()

/// Whether a text can be what follows the hyphen of an ISO 3166-2 code: one to three letters or
/// digits, in upper case.
public func isSubdivisionCode(_ text: String) -> Bool {
    (1...3).contains(text.utf8.count)
        && text.utf8.allSatisfy { (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) }
}

private let continentsByCountry: [String: String] = {
    var result: [String: String] = [:]
    for (continent, countries) in countriesByContinent {
        for country in countries.split(separator: " ") { result[String(country)] = continent }
    }
    return result
}()

/// ISO 3166-1 alpha-2 and XK.
private let countriesByContinent = [
    "AF": """
    AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML \
    MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW
    """,
    "AN": "AQ BV GS HM TF",
    "AS": """
    AE AF AM AZ BD BH BN BT CC CN GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK \
    MM MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE
    """,
    "EU": """
    AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU \
    LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK
    """,
    "NA": """
    AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA \
    PM PR SV SX TC TT US VC VG VI
    """,
    "OC": "AS AU CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS",
    "SA": "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
]
