// What `geo/latency.csv` may say, and what is told of what it may not.

import DNSWire
import Settings
import Testing

@testable import Steering

private func read(_ text: String) -> (table: LatencyTable?, messages: [String]) {
    var diagnostics = Diagnostics()
    let table = LatencyTable.parse(Array(text.utf8), file: "l.csv", &diagnostics)
    return (table, diagnostics.sorted.map(\.description))
}

/// Rows as `LINE KEY POOL RTT`, in the order of lines.
private func rows(_ table: LatencyTable?) -> [String] {
    (table?.columns ?? [:]).flatMap { pool, column in
        column.rows.map { ($0.line, "\($0.line) \($0.key) \(pool) \($0.milliseconds)") }
    }.sorted { $0.0 < $1.0 }.map(\.1)
}

@Suite("the file of round trips")
struct LatencyFileTests {
    @Test(
        "every way to write a row is read",
        arguments: [
            ("key,pool,rtt_ms\n192.0.2.0/24,fra,12.5\n", ["2 192.0.2.0/24 fra 12.5"]),
            ("key,pool,rtt_ms\nAS64496,fra,.5", ["2 AS64496 fra 0.5"]),
            ("KEY,Pool,RTT_ms\r\nus-ca,fra,7.\r\n", ["2 US-CA fra 7.0"]),
            ("key,pool,rtt_ms\rde,fra,60000\r", ["2 DE fra 60000.0"]),
            (
                "\u{FEFF}# by hand\n\n key , pool , rtt_ms \n\t# more\n  * ,\tfra , 1 \n\n",
                ["5 * fra 1.0"]
            ),
            (
                "\"key\",\"pool\",\"rtt_ms\"\n\"continent:eu\", \"fra\" ,\"10\"",
                ["2 continent:EU fra 10.0"]
            ),
            (
                "samples,rtt_ms,pool,key\n3,1,fra,region:Gulf\n0,2,fra,192.0.2.1\n",
                ["2 region:Gulf fra 1.0", "3 192.0.2.1/32 fra 2.0"]
            ),
            (
                "key,pool,rtt_ms\n2001:DB8:0::/32,a,1\n::/0,a,2\n2001:db8::1,a,3\n*,b,1\n",
                [
                    "2 2001:db8::/32 a 1.0", "3 ::/0 a 2.0", "4 2001:db8::1/128 a 3.0", "5 * b 1.0",
                ]
            ),
            // American Samoa is no continent, and AS alone no autonomous system.
            ("key,pool,rtt_ms\nAS,a,1\nas4294967295,a,2", ["2 AS a 1.0", "3 AS4294967295 a 2.0"]),
            ("key,pool,rtt_ms", []),
        ])
    func reads(text: String, expected: [String]) {
        let (table, messages) = read(text)
        #expect(messages == [])
        #expect(rows(table) == expected)
    }

    private static let keys =
        "; a key is a network (192.0.2.0/24), an autonomous system (AS64496), a subdivision (US-CA),"
        + " a country (DE), region:NAME, continent:EU, or * for everyone"

    @Test(
        "what is wrong with a row is told with its place and its cure",
        arguments: [
            (
                "192.0.2.1/24,a,1",
                "1: \"192.0.2.1/24\" has bits set after its length; did you mean 192.0.2.0/24?"
            ),
            (
                "192.0.2.0/33,a,1",
                "1: \"192.0.2.0/33\" is no network; write ADDRESS/LENGTH, as 192.0.2.0/24 or 2001:db8::/32"
            ),
            (
                "::ffff:192.0.2.0/120,a,1",
                "1: \"::ffff:192.0.2.0/120\" never holds a client: addresses in ::ffff:0.0.0.0/96 are"
                    + " located by the IPv4 address they carry; write 192.0.2.0/24"
            ),
            ("AS0,a,1", "1: \"AS0\" is no autonomous system; those are AS1 to AS4294967295"),
            (
                "AS4294967296,a,1",
                "1: \"AS4294967296\" is no autonomous system; those are AS1 to AS4294967295"
            ),
            ("UK,a,1", "1: \"UK\" is no country; did you mean GB?"),
            ("EU,a,1", "1: \"EU\" is no country; write continent:EU"),
            ("XX,a,1", "1: \"XX\" is no key" + keys),
            (",a,1", "1: an empty field is no key" + keys),
            (
                "US-CALI,a,1",
                "1: \"US-CALI\" is no part of US; write its code of ISO 3166-2, as US-CA"
            ),
            (
                "continent:XX,a,1",
                "1: \"continent:XX\" is no continent; those are AF, AN, AS, EU, NA, OC, SA"
            ),
            (
                "country:DE,a,1",
                "1: \"country:DE\" is no key; with a colon there are region:NAME and continent:EU"
            ),
            (
                "region:,a,1",
                "1: \"region:\" is no key; with a colon there are region:NAME and continent:EU"
            ),
            (
                "DE,a b,1",
                "4: \"a b\" cannot name a pool; use 1 to 63 of the letters a to z, digits, hyphen, underscore and full stop"
            ),
            (
                "DE, a,0",
                "7: \"0\" is no round trip in milliseconds; write a decimal above 0 and up to 60000, as 12.5"
            ),
            (
                "DE,a,60000.1",
                "6: \"60000.1\" is no round trip in milliseconds; write a decimal above 0 and up to 60000, as 12.5"
            ),
            (
                "DE,a,1e3",
                "6: \"1e3\" is no round trip in milliseconds; write a decimal above 0 and up to 60000, as 12.5"
            ),
            (
                "DE,a,-1",
                "6: \"-1\" is no round trip in milliseconds; write a decimal above 0 and up to 60000, as 12.5"
            ),
            (
                "DE,a,nan",
                "6: \"nan\" is no round trip in milliseconds; write a decimal above 0 and up to 60000, as 12.5"
            ),
            (
                "DE,a,",
                "6: an empty field is no round trip in milliseconds; write a decimal above 0 and up to 60000, as 12.5"
            ),
            (
                "DE,a,\"12,5\"",
                "6: \"12,5\" is no round trip in milliseconds; write a decimal above 0 and up to 60000, as 12.5"
            ),
            (
                "DE,a,12,5",
                "1: 4 fields where the first line names 3 columns; write key,pool,rtt_ms, with a full stop in decimals"
            ),
            (
                "DE,\"a,1",
                "4: a quote that does not end here; a field in quotes ends with one, before a comma or the line's end"
            ),
            (
                "DE,\"a\"b,1",
                "4: a quote that does not end here; a field in quotes ends with one, before a comma or the line's end"
            ),
        ])
    func refuses(row: String, finding: String) {
        let (table, messages) = read("key,pool,rtt_ms\n" + row + "\nFR,a,3\n")
        #expect(table == nil)
        let place = finding.split(separator: ":", maxSplits: 1).map(String.init)
        #expect(messages == ["l.csv:2:\(place[0]): error:\(place[1])"])
    }

    @Test(
        "what is wrong with the file is told",
        arguments: [
            (
                "",
                [
                    "l.csv: error: the file is empty; its first line is key,pool,rtt_ms or key,pool,rtt_ms,samples"
                ]
            ),
            (
                "# nothing\n",
                [
                    "l.csv: error: the file is empty; its first line is key,pool,rtt_ms or key,pool,rtt_ms,samples"
                ]
            ),
            (
                "DE,a,1\nFR,b,2\n",
                [
                    "l.csv:1:1: error: \"DE\" is no column; the first line names them: key,pool,rtt_ms or key,pool,rtt_ms,samples"
                ]
            ),
            (
                "key,pol,rtt_ms\n",
                [
                    "l.csv:1:5: error: \"pol\" is no column; the first line names them: key,pool,rtt_ms or key,pool,rtt_ms,samples (did you mean pool?)"
                ]
            ),
            (
                "key,pool\n",
                [
                    "l.csv:1:1: error: the column rtt_ms is missing; the first line names the columns, as key,pool,rtt_ms,samples"
                ]
            ),
            ("key,pool,rtt_ms,key\n", ["l.csv:1:17: error: the column key occurs twice"]),
            (
                "key,pool,rtt_ms,samples\nDE,a,1,\nDE,a,1,-1\nDE,a,1,1.5",
                ["an empty field", "\"-1\"", "\"1.5\""].enumerated().map {
                    "l.csv:\($0 + 2):8: error: \($1) is no number of samples; write a whole number"
                }
            ),
            (
                "key,pool,rtt_ms\nde,a,1\n2001:db8:0::/32,a,1\nDE,b,1\n2001:db8::/32,a,1\nDE,a,1\n",
                [
                    "l.csv:5:1: error: 2001:db8::/32 and \"a\" are already on line 3; keep one of both",
                    "l.csv:6:1: error: DE and \"a\" are already on line 2; keep one of both",
                ]
            ),
        ])
    func refusesFile(text: String, expected: [String]) {
        let (table, messages) = read(text)
        #expect(table == nil)
        #expect(messages == expected)
    }

    @Test("a file of garbage is not read to its end, and a row too many is refused")
    func limits() {
        let garbage = Array(String(repeating: "x,y\n", count: 100_000).utf8)
        var diagnostics = Diagnostics()
        #expect(
            LatencyTable.parse(
                Array("key,pool,rtt_ms\n".utf8) + garbage, file: "l.csv", &diagnostics) == nil)
        #expect(diagnostics.errorCount == Diagnostics.limit)

        for (limit, expected) in [
            (2, []),
            (
                1,
                [
                    "l.csv:4:1: error: more than 1 rows, the limit; leave out what is nearly as its"
                        + " country or AS is, or join neighbouring networks"
                ]
            ),
        ] {
            diagnostics = Diagnostics()
            let text = "key,pool,rtt_ms\n# two\nDE,a,1\nFR,a,1\n"
            _ = LatencyTable.parse(
                Array(text.utf8), file: "l.csv", rowLimit: limit, &diagnostics)
            #expect(diagnostics.sorted.map(\.description) == expected)
        }
    }

    @Test("names that are not there are warned of once, with the number of rows")
    func unknownNames() {
        let text =
            worldPools + """
                regions: { gulf: { countries: AE } }
                services: { web: { rules: [{ policy: latency, pools: [frankfurt, tokyo] }, ], fallback: virginia } }
                """
        let (_, messages) = parse(
            text,
            latency: """
                key,pool,rtt_ms
                DE,franfurt,1
                DE,tokyo,9
                FR,franfurt,1
                DE,paris,1
                region:gulf,tokyo,1
                region:golf,tokyo,1
                region:SEAS,tokyo,1
                region:moon-base-alpha,tokyo,1
                """)
        #expect(
            messages.filter { !$0.contains("no service uses") } == [
                "a.yaml:3:3: warning: no row of l.csv names the pool \"frankfurt\", so that its round"
                    + " trips are estimated from distances under policy \"latency\" at a.yaml:18:28;"
                    + " add rows for it",
                "l.csv:2:1: warning: there is no pool \"franfurt\"; its 2 rows are passed over; did you"
                    + " mean \"frankfurt\"?",
                "l.csv:5:1: warning: there is no pool \"paris\"; this row is passed over",
                "l.csv:7:1: warning: there is no region \"golf\"; its rows are passed over; did you mean"
                    + " \"gulf\"?",
                "l.csv:9:1: warning: there is no region \"moon-base-alpha\"; its rows are passed over;"
                    + " define it under \"regions:\"",
            ])
    }

    @Test("a rule that has nothing to go by but distance is warned of")
    func noRows() {
        let text =
            worldPools + """
                services: { web: { rules: [{ policy: latency, pools: [frankfurt, virginia, tokyo, saopaulo, sydney, capetown] }] } }
                """
        #expect(
            parse(text).messages == [
                "a.yaml:17:28: warning: policy \"latency\" goes by distance alone, as there is no"
                    + " geo/latency.csv; write measured round trips into it, key,pool,rtt_ms, or use"
                    + " \"policy: proximity\""
            ])
        let other = parse(text, latency: "key,pool,rtt_ms\nDE,elsewhere,1\n").messages
        #expect(
            other.first?.contains("as no row of l.csv names a pool of this rule; add some") == true)
        let few = parse(
            text + "\nlatency: { min_samples: 9 }\n",
            latency: "key,pool,rtt_ms,samples\nDE,tokyo,1,8\n"
        ).messages
        #expect(
            few.last
                == "l.csv: warning: none of the 1 rows counts, as all have fewer than 9 samples; lower"
                + " \"min_samples\" under \"latency:\"")
    }

    @Test(
        "what is wrong with the settings is told",
        arguments: [
            (
                "latency: { min_samples: -1 }",
                "latency.min_samples: expected a whole number from 0 to 1000000000, found \"-1\""
            ),
            (
                "latency: { margin: 101% }",
                "latency.margin: expected a share in percent, as 20%, found \"101%\""
            ),
            (
                "latency: { margin: }",
                "latency.margin: has no value; give it one, or remove the key"
            ),
            (
                "latency: { margins: 2% }",
                "latency: unknown key \"margins\"; did you mean \"margin\"?"
            ),
            ("latency: [1]", "latency: expected a mapping (key: value), found a list"),
        ])
    func settings(text: String, finding: String) {
        let messages = parse(text).messages
        #expect(messages.count == 1 && messages[0].hasSuffix(": error: " + finding), "\(messages)")
    }

    @Test("the settings are stated once for all files")
    func settingsTwice() {
        #expect(
            parse("latency: { margin: 5% }", "latency: { min_samples: 5 }").messages == [
                "b.yaml:1:10: error: \"latency\" is already stated at a.yaml:1:10; it holds for all"
                    + " files, so state it in one"
            ])
    }
}
