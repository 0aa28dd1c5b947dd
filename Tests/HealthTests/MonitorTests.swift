import Cryptography
import Foundation
import Settings
import Testing

@testable import Health

struct MonitorTests {
    @Test("what a monitor leaves out has the documented default")
    func defaults() throws {
        let tcp = try monitor("{type: tcp, port: 5432}")
        #expect(tcp.interval == .seconds(10) && tcp.timeout == .seconds(2))
        #expect(tcp.rules == VerdictRules() && tcp.type == "tcp")
        #expect(tcp.port == 5432)

        let http = try #require(try monitor("{type: http}").probe as? HTTPProbe).exchange
        #expect(http.request.endpoint.port == 80 && http.request.path == "/")
        #expect(http.request.host == nil && http.method == .get && http.redirects == 0)
        #expect(http.expectedStatuses == [200...299] && http.expectedBody == nil)

        let https = try #require(
            try monitor("{type: https, host: www.example.com}").probe as? HTTPSProbe)
        #expect(https.port == 443 && https.tls.trust == .system)
        #expect(https.exchange.request.host == "www.example.com")
    }

    @Test("a timeout that is not given is at most the interval")
    func shortInterval() throws {
        let short = try monitor("{type: tcp, port: 1, interval: 500ms}")
        #expect(short.timeout == .milliseconds(500))
    }

    @Test("statuses are single ones and ranges, the body is a text")
    func expectations() throws {
        let yaml = "{type: http, expect: {status: [200-204, 301], body: ok}, method: HEAD}"
        #expect(findings(yaml).contains("a response to HEAD has no body; use method: GET"))
        let probe = try monitor("{type: http, expect: {status: [200-204, 301], body: ok}}").probe
        let exchange = try #require(probe as? HTTPProbe).exchange
        #expect(exchange.expectedStatuses == [200...204, 301...301])
        #expect(exchange.expectedBody?.words == "\"ok\"")
        #expect(exchange.expectedStatusesInWords == "200-204, 301")
        #expect(exchange.accepts(status: 204) && !exchange.accepts(status: 205))
    }

    @Test(
        "a mistake is told with its place and its cure",
        arguments: [
            ("{port: 1}", "f:1:1: error: the key \"type\" is missing; one of tcp, tls, http"),
            (
                "{type: htps}",
                "(did you mean https?), found \"htps\""
            ),
            ("{type: tcp}", "f:1:1: error: the key \"port\" is missing"),
            ("{type: tcp, port: 0}", "expected a whole number from 1 to 65535, found \"0\""),
            ("{type: tcp, port: 1, path: /x}", "f:1:22: error: unknown key \"path\""),
            ("{type: tcp, port: 1, fal: 2}", "unknown key \"fal\"; did you mean \"fall\"?"),
            ("{type: tcp, port: 1, interval: 10}", "expected a duration with its unit"),
            ("{type: tcp, port: 1, interval: 50ms}", "expected a duration from 100ms to 1h"),
            (
                "{type: tcp, port: 1, timeout: 4s, retries: 2}",
                "f:1:44: error: retries: 3 probes with a timeout of 4s may take 12s, which is longer "
                    + "than the interval of 10s; lower retries or timeout"
            ),
            ("{type: tcp, port: 1, retries: 4}", "expected a whole number from 0 to 3"),
            (
                "{type: tcp, port: 1, start: dwon}",
                "start: expected one of last, up, down (did you mean down?), found \"dwon\""
            ),
            ("{type: tcp, port: 1, hold_down: 2h}", "expected a duration from 0s to 1h"),
            (
                "{type: tcp, port: 1, flaps: 5/10m}",
                "f:1:29: error: flaps: expected a count from 1 to 20 per a time from 10s to 1d, "
                    + "as 5 per 10m, or off, found \"5/10m\""
            ),
            ("{type: tcp, port: 1, flaps: 21 per 10m}", "flaps: expected a count from 1 to 20"),
            ("{type: tcp, port: 1, flaps: 5 per 2d}", "flaps: expected a count from 1 to 20"),
            (
                "{type: tcp, port: 1, degraded_above: 2s}",
                "degraded_above: 2s is not below the timeout of 2s; a probe that takes so long fails"
            ),
            (
                "{type: tcp, port: 1, degraded_above: 1s, degraded_below: 1100ms}",
                "degraded_below: 1s100ms is more than the 1s of degraded_above"
            ),
            (
                "{type: tcp, port: 1, degraded_below: 1s}",
                "degraded_below: says nothing without degraded_above"
            ),
            (
                "{type: tcp, port: 1, degraded_for: 1s}",
                "degraded_for: says nothing without degraded_above or load_above"
            ),
            (
                "{type: tcp, port: 1, load_above: 0.8}",
                "load_above: monitors of type tcp learn of no load; those of type command, file"
            ),
            (
                "{type: command, command: [/bin/true], load_above: 80%}",
                "load_above: expected a load from 0 to 1000, as 0.8, found \"80%\""
            ),
            (
                "{type: command, command: [/bin/true], load_above: 0.8, load_below: 0.9}",
                "load_below: 0.9 is more than the 0.8 of load_above"
            ),
            (
                "{type: tcp, port: 1, timeout: 11s}",
                "timeout: 11s is longer than the interval of 10s"
            ),
            ("{type: tcp, port: 1, rise: 0}", "expected a whole number from 1 to 100, found \"0\""),
            ("{type: tcp, port: 1, fall: 101}", "expected a whole number from 1 to 100"),
            ("{type: http, path: healthz}", "path: expected a path from / on"),
            ("{type: http, path: \"/a b\"}", "others written as %20"),
            ("{type: http, path: \"/a\\r\\nX: y\"}", "path: expected a path from / on"),
            ("{type: http, host: \"a.test:80\"}", "without a port, found \"a.test:80\""),
            ("{type: http, host: \"a\\r\\nb\"}", "host: expected a host name in ASCII"),
            ("{type: http, host: bücher.test}", "xn-- for others"),
            (
                "{type: http, method: TRACE}",
                "expected one of GET, HEAD, POST, PUT, OPTIONS, found \"TRACE\""
            ),
            ("{type: http, body: x}", "a GET request has no body; use method: POST"),
            ("{type: http, redirects: 6}", "expected a whole number from 0 to 5, found \"6\""),
            ("{type: http, headers: {Host: a}}", "headers.Host: this field is made from the other"),
            ("{type: http, headers: {\"a b\": c}}", "expected the name of a header field"),
            (
                "{type: http, headers: {A: \"b\\r\\nC: d\"}}",
                "headers.A: expected a text of at most 4096 ASCII characters in one line"
            ),
            ("{type: http, expect: {status: [99]}}", "expected a final status from 200 to 599"),
            // Interim responses are skipped, so that none of them can be waited for.
            ("{type: http, expect: {status: [100]}}", "expected a final status from 200 to 599"),
            ("{type: http, expect: {status: [300-200]}}", "expected a final status from"),
            ("{type: http, expect: {status: 2xx}}", "expected a final status from 200 to 599"),
            ("{type: http, expect: {matches: \"(\"}}", "expect.matches: a ( without its )"),
            (
                "{type: http, expect: {matches: a, body: b}}",
                "either \"body\" (a text) or \"matches\" (a regular expression); remove one"
            ),
            ("{type: tcp, port: 1, send: 'a\\q'}", "send: expected \\r, \\n, \\t"),
            ("{type: tcp, port: 1, expect: '\\x0'}", "expected two hexadecimal digits after"),
            ("{type: tcp, port: 1, expect: ''}", "expect: expected a text of 1 to 1024 octets"),
            ("{type: tcp, port: 1, source: eth0}", "source: expected an address of this machine"),
            (
                "{type: tcp, port: 1, source: [127.0.0.1, 127.0.0.2]}",
                "source[1]: expected one address of each family at the most"
            ),
            ("{type: tls}", "the key \"host\" is missing; it names whom the certificate"),
            ("{type: tls, host: a.test, min_days: -1}", "min_days: expected a whole number"),
            ("{type: http, min_days: 9}", "unknown key \"min_days\""),
            ("{type: smtp, min_days: 9}", "min_days: there is no TLS here; set starttls: true"),
            (
                "{type: https, insecure: true, ca_file: /none}",
                "ca_file: insecure: true asks no authority; remove one of the two"
            ),
            (
                "{type: dns, name: a.test, expect: {rcode: NXDOMAIN, answer: 192.0.2.1}}",
                "expect.answer: only an answer with NOERROR has records"
            ),
            (
                "{type: websocket, origin: https://a.test, headers: {origin: x}}",
                "origin: there is a header Origin, too; remove one of the two"
            ),
            ("{type: push, max_age: 0s}", "max_age: expected a duration from 1s to 30d"),
            ("{type: push, stale: up}", "stale: expected one of keep, down, found \"up\""),
            ("{type: tls, insecure: true}", "f:1:23: warning: insecure: any certificate passes"),
            ("{type: websocket, insecure: true}", "insecure: there is no TLS here; set tls: true"),
            ("{type: websocket, tls: true}", "the key \"host\" is missing; it names whom"),
            ("{type: websocket, subprotocol: \"a, b\"}", "expected the name of one subprotocol"),
            ("{type: dns}", "f:1:1: error: the key \"name\" is missing"),
            ("{type: dns, name: a..b}", "name: two dots in a row"),
            ("{type: dns, name: a, record: AAAAA}", "expected a record type, as A or TXT (did you"),
            ("{type: dns, name: a, record: ANY}", "expected a record type, as A or TXT"),
            ("{type: dns, name: a, transport: tls}", "expected one of udp, tcp, found \"tls\""),
            ("{type: dns, name: a, expect: {rcode: OK}}", "expected one of NOERROR, FORMERR, SERV"),
            ("{type: dns, name: a, expect: {answer: x}}", "expect.answer: "),
            ("{type: smtp, ca_file: x}", "ca_file: there is no TLS here; set starttls: true"),
            ("{type: smtp, starttls: true}", "the key \"host\" is missing; it names whom"),
            ("{type: grpc}", "f:1:1: error: the key \"port\" is missing"),
            ("{type: grpc, port: 1, insecure: true}", "there is no TLS here; set tls: true"),
            ("{type: command}", "f:1:1: error: the key \"command\" is missing"),
            ("{type: command, command: []}", "expected a program and at most 63 arguments"),
            ("{type: command, command: [sleep, 1]}", "expected the whole path of a program"),
            ("{type: command, command: /none}", "cannot run /none: no such file or directory"),
            ("{type: command, command: /etc/passwd}", "/etc/passwd: permission denied"),
            ("{type: command, command: /bin/true, port: 1}", "unknown key \"port\""),
            ("{type: file}", "f:1:1: error: the key \"path\" is missing"),
            ("{type: file, path: a, max_age: 10}", "max_age: expected a duration with its unit"),
            ("{type: websocket, origin: \"a b\"}", "origin: expected an origin, as https://"),
            ("{type: http, expect: {status: []}}", "expected at least one status"),
            ("{type: http, expect: {body: \"\"}}", "expected a text of 1 to 65536 octets"),
            ("{type: http, expect: {bdy: x}}", "unknown key \"bdy\"; did you mean \"body\"?"),
            (
                "{type: https}",
                "the key \"host\" is missing; it names whom the certificate has to be for (or set insecure: true"
            ),
            ("{type: https, insecure: true}", "f:1:25: warning: insecure: any certificate passes"),
            (
                "{type: https, host: a.test, ca_file: /nowhere/ca.pem}",
                "f:1:38: error: ca_file: /nowhere/ca.pem: no such file or directory"
            ),
            (
                "{type: https, host: a.test, ca_file: /dev/null}",
                "ca_file: /dev/null: it is not a regular file"
            ),
            ("[tcp]", "expected a mapping"),
        ])
    func mistakes(yaml: String, expected: String) {
        let findings = findings(yaml)
        #expect(findings.contains(expected), "\(findings)")
    }

    @Test("a mistake has the path of its monitor")
    func path() throws {
        var diagnostics = Diagnostics()
        let file = try #require(
            parseSettings(
                "monitors:\n  web: {type: https, path: x}\n  db: {type: tcp}\n", file: "app.yaml",
                diagnostics: &diagnostics))
        let monitors = try #require(file.mapping(["monitors"], &diagnostics)?["monitors"])
        for (name, _, value) in try #require(monitors.namedEntries(&diagnostics)) {
            #expect(Monitor(name: name, value, &diagnostics) == nil)
        }
        let texts = diagnostics.sorted.map(\.description)
        #expect(texts.count == 3, "\(texts)")
        #expect(
            texts[0].hasPrefix("app.yaml:2:8: error: monitors.web: the key \"host\" is missing"))
        #expect(texts[1].hasPrefix("app.yaml:2:28: error: monitors.web.path: expected a path"))
        #expect(texts[2].hasPrefix("app.yaml:3:7: error: monitors.db: the key \"port\" is missing"))
    }

    @Test(
        "a broken authority file is told with what is wrong in it",
        arguments: [
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""),
            ("", "no certificate in it (PEM expected)"),
        ])
    func brokenAuthority(pem: String, words: String) throws {
        let directory = try TemporaryDirectory()
        try directory.write(pem, to: "ca.pem")
        var diagnostics = Diagnostics()
        let value = try #require(
            parseSettings(
                "{type: https, host: a.test, ca_file: ca.pem}", file: "\(directory.path)/f.yaml",
                diagnostics: &diagnostics))
        #expect(Monitor(name: "test", value, &diagnostics) == nil)
        let text = try #require(diagnostics.sorted.first).message
        #expect(text.hasPrefix("ca_file: \(directory.path)/ca.pem: \(words)"))
    }

    @Test("an authority file that is a pipe nobody writes to is refused, not waited for")
    func authorityPipe() throws {
        let directory = try TemporaryDirectory()
        try run(["mkfifo", "ca.pem"], in: directory.path)
        let findings = findings("{type: https, host: a.test, ca_file: \(directory.path)/ca.pem}")
        #expect(findings.contains("ca.pem: it is not a regular file"), "\(findings)")
    }

    @Test("monitors are equal when all their settings are")
    func equality() throws {
        let base = try monitor("{type: http, path: /a}")
        #expect(try base == monitor("{type: http, path: /a}"))
        for other in [
            "{type: http, path: /b}", "{type: http, path: /a, rise: 3}", "{type: tcp, port: 80}",
        ] {
            #expect(try base != monitor(other))
        }
    }

    @Test("the rules of verdicts are read, and what they leave out follows from the rest")
    func rules() throws {
        let stated = try monitor(
            """
            {type: command, command: [/bin/true], interval: 20s, timeout: 4s, rise: 4, fall: 5,
            retries: 3, start: down, degraded_above: 1s, degraded_below: 500ms, load_above: 0.8,
            load_below: 0.25, degraded_for: 1m, hold_down: 5m, flaps: 5 per 10m}
            """)
        var expected = VerdictRules()
        (expected.rise, expected.fall, expected.retries, expected.start) = (4, 5, 3, .down)
        expected.responseTime = .init(above: .seconds(1), below: .milliseconds(500))
        expected.load = .init(above: Load(thousandths: 800), below: Load(thousandths: 250))
        (expected.degradedFor, expected.holdDown) = (.seconds(60), .seconds(300))
        expected.flaps = .init(budget: 5, window: .seconds(600))
        #expect(stated.rules == expected)
        #expect(stated.longestRound == .seconds(16) && stated.detectionTime == .seconds(116))

        let half = try monitor(
            "{type: command, command: [/bin/true], degraded_above: 1s, load_above: 0.8}"
        ).rules
        #expect(half.responseTime?.below == .milliseconds(800))
        #expect(half.load?.below == Load(thousandths: 640) && half.degradedFor == .seconds(30))
        // A round fits into the interval if the timeout is not given.
        let short = try monitor("{type: tcp, port: 1, interval: 2s, retries: 3}")
        #expect(short.timeout == .milliseconds(500) && short.detectionTime == .seconds(8))
        // Of what others find: too old first, or not at all by silence.
        #expect(
            try monitor("{type: push, max_age: 20s, stale: down}").detectionTime == .seconds(32))
        #expect(try monitor("{type: push}").detectionTime == nil)
        #expect(try monitor("{type: tcp, port: 1}").detectionTime == .seconds(32))
        #expect(try monitor("{type: tcp, port: 1, flaps: off}").rules == VerdictRules())
    }

    @Test("every key of the rules is documented with its default, in the head and in the manual")
    func documentedRules() throws {
        let head = try head(of: "Monitor")
        let manual = try String(
            contentsOf: sources.appendingPathComponent("docs/monitors.md"), encoding: .utf8)
        for key in VerdictRules.keys {
            #expect(head.contains { $0.hasPrefix("     \(key):") }, "\(key)")
            #expect(manual.contains("`\(key)"), "\(key)")
        }
        // Those with a default, together, are a monitor of defaults.
        let stated = head.filter { $0.hasPrefix("     ") }
            .map { $0.prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces) }
            .filter { line in
                let silent = ["type", "degraded_for"].contains { line.hasPrefix($0) }
                return !silent && !line.isEmpty && !line.hasSuffix(":")
            }
        #expect(stated.count == 8)
        let monitor = try monitor("{type: tcp, port: 1, \(stated.joined(separator: ", "))}")
        #expect(monitor.rules == VerdictRules() && monitor.interval == .seconds(10))
        #expect(monitor.timeout == .seconds(2))
    }

    private var sources: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    /// The head of a source file: its first comment, without the slashes.
    private func head(of file: String) throws -> [Substring] {
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/Health/\(file).swift")
        return try String(contentsOf: source, encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
            .prefix { $0.hasPrefix("//") }.map { $0.dropFirst(2) }
    }

    /// A monitor that says no more than its example has to beside defaults.
    private static let minimal = [
        "tcp": "{type: tcp, port: 5432}",
        "tls": "{type: tls, host: imap.example.com}",
        "http": "{type: http, host: www.example.com, expect: {body: ok}}",
        "https": "{type: https, host: www.example.com}",
        "websocket": "{type: websocket, host: chat.example.com}",
        "dns": "{type: dns, name: www.example.com}",
        "smtp": "{type: smtp}",
        "grpc": "{type: grpc, port: 50051}",
        "command": "{type: command, command: [/usr/bin/test, -n, '{address}']}",
        "file": "{type: file, path: results.txt}",
        "push": "{type: push}", "icmp": "{type: icmp}",
    ]

    @Test("the example in the head of each probe's file loads, and has the defaults")
    func examples() throws {
        for type in probeTypes where type != ICMPProbe.self || ICMPProbe.fault == nil {
            let yaml = try head(of: "\(type)").drop { !$0.hasPrefix("     ") }
                .prefix { $0.hasPrefix("     ") }
                .map { $0.dropFirst(5) }.joined(separator: "\n")
            var diagnostics = Diagnostics()
            let file = try #require(parseSettings(yaml, file: "f", diagnostics: &diagnostics))
            let entries = file.mapping(["monitors"], &diagnostics)?["monitors"]?
                .namedEntries(&diagnostics)
            let entry = try #require(entries?.first)
            let example = try #require(
                Monitor(name: entry.name, entry.value, &diagnostics), "\(diagnostics.sorted)")
            #expect(diagnostics.all.filter { $0.severity == .error }.isEmpty)
            let minimal = try monitor(try #require(Self.minimal[type.type], "\(type.type)"))
            #expect(example.probe.equals(minimal.probe), "\(type.type)")
        }
    }

    @Test("the examples of docs/monitors.md load, and there is one of each type")
    func documentedExamples() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let file = folder.appendingPathComponent("docs/monitors.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let yaml = try #require(text.split(separator: "```yaml\n").dropFirst().first)
            .split(separator: "```")[0]
        var diagnostics = Diagnostics()
        let value = try #require(
            parseSettings(String(yaml), file: "monitors.md", diagnostics: &diagnostics))
        let entries = value.mapping(["monitors"], &diagnostics)?["monitors"]?
            .namedEntries(&diagnostics)
        let monitors = (entries ?? []).compactMap {
            Monitor(name: $0.name, $0.value, &diagnostics)
        }
        let faults = diagnostics.sorted.map(\.description)
        // Where this system allows no ICMP, that one is an error.
        #expect(faults.allSatisfy { $0.contains("monitors.reachable") }, "\(faults)")
        let types = Set(monitors.map(\.type)).union(["icmp"])
        #expect(types == Set(probeTypes.map { $0.type }))
    }

    @Test("every key of a probe is documented in the head of its file, or where it is shared")
    func documented() throws {
        for type in probeTypes {
            var text = try head(of: "\(type)")
            if type == HTTPSProbe.self { text += try head(of: "HTTPProbe") }
            if text.contains(where: { $0.contains("TLSSettings") }) {
                text += try head(of: "TLSSettings")
            }
            for key in type.keys {
                #expect(
                    text.contains {
                        $0.contains(" \(key):") || $0.contains("`\(key): ")
                            || $0.contains("`\(key)`")
                    },
                    "\(type.type): \(key)")
            }
        }
    }
}
