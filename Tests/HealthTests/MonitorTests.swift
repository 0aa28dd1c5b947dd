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
        #expect(tcp.rise == 2 && tcp.fall == 3 && tcp.type == "tcp")
        #expect((tcp.probe as? TCPProbe)?.port == 5432)

        let http = try #require(try monitor("{type: http}").probe as? HTTPProbe).exchange
        #expect(http.port == 80 && http.path == "/" && http.host == nil && http.method == .get)
        #expect(http.expectedStatuses == [200...299] && http.expectedBody == nil)

        let https = try #require(
            try monitor("{type: https, host: www.example.com}").probe as? HTTPSProbe)
        #expect(https.exchange.port == 443 && https.trust == .system)
        #expect(https.exchange.host == "www.example.com")
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
        #expect(exchange.expectedBody == "ok")
        #expect(exchange.expectedStatusesInWords == "200-204, 301")
        #expect(exchange.accepts(status: 204) && !exchange.accepts(status: 205))
    }

    @Test(
        "a mistake is told with its place and its cure",
        arguments: [
            ("{port: 1}", "f:1:1: error: the key \"type\" is missing; one of tcp, http, https"),
            (
                "{type: htps}",
                "f:1:8: error: type: expected one of tcp, http, https (did you mean https?), found \"htps\""
            ),
            ("{type: tcp}", "f:1:1: error: the key \"port\" is missing"),
            ("{type: tcp, port: 0}", "expected a whole number from 1 to 65535, found \"0\""),
            ("{type: tcp, port: 1, path: /x}", "f:1:22: error: unknown key \"path\""),
            ("{type: tcp, port: 1, fal: 2}", "unknown key \"fal\"; did you mean \"fall\"?"),
            ("{type: tcp, port: 1, interval: 10}", "expected a duration with its unit"),
            ("{type: tcp, port: 1, interval: 50ms}", "expected a duration from 100ms to 1h"),
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
            ("{type: http, method: POST}", "expected one of GET, HEAD, found \"POST\""),
            ("{type: http, expect: {status: [99]}}", "expected a status from 100 to 599"),
            ("{type: http, expect: {status: [300-200]}}", "expected a status from 100 to 599"),
            ("{type: http, expect: {status: 2xx}}", "expected a status from 100 to 599"),
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
        #expect(texts.count == 2, "\(texts)")
        #expect(texts[0].hasPrefix("app.yaml:2:"))
        #expect(texts[1].hasPrefix("app.yaml:3:7: error: monitors.db: the key \"port\" is missing"))
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

    @Test(
        "the example in the head of each probe's file loads", arguments: ["TCP", "HTTP", "HTTPS"])
    func examples(probe: String) throws {
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/Health/\(probe)Probe.swift")
        let yaml = try String(contentsOf: sources, encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
            .prefix { $0.hasPrefix("//") }.filter { $0.hasPrefix("//     ") }
            .map { $0.dropFirst(7) }.joined(separator: "\n")
        var diagnostics = Diagnostics()
        let file = try #require(parseSettings(yaml, file: probe, diagnostics: &diagnostics))
        let entries = file.mapping(["monitors"], &diagnostics)?["monitors"]?
            .namedEntries(&diagnostics)
        let entry = try #require(entries?.first)
        let example = try #require(
            Monitor(name: entry.name, entry.value, &diagnostics), "\(diagnostics.sorted)")
        #expect(diagnostics.all.filter { $0.severity == .error }.isEmpty)
        // What the example says beside the required keys are the defaults.
        let minimal =
            switch probe {
            case "TCP": "{type: tcp, port: 5432}"
            case "HTTP": "{type: http, host: www.example.com, expect: {body: ok}}"
            default: "{type: https, host: www.example.com}"
            }
        #expect(try example.probe.equals(monitor(minimal).probe))
    }
}
