// The queue of one sink: order, bounds, pauses; and the reading of `events:`.

import Settings
import Steering
import Testing

@testable import Health

@Suite("The queue of a sink")
struct EventOutboxTests {
    private func telling(_ number: Int) -> Telling {
        Telling(
            event: Event(
                .poolDown, .pool("\(number)"), from: .up, to: .down, reason: "r",
                time: EventTests.time))
    }

    private func name(_ telling: Telling?) -> String? { telling?.event.subject.pool }

    @Test("events leave in order, one at a time")
    func order() throws {
        var outbox = EventOutbox()
        #expect(outbox.add([telling(1), telling(2)], at: .zero) == 0)
        #expect(name(outbox.begin(at: .zero)?.telling) == "1")
        #expect(outbox.begin(at: .zero) == nil)
        #expect(outbox.wait(at: .zero) == nil)
        #expect(outbox.end(.delivered, at: .zero, random: 0) == nil)
        #expect(outbox.wait(at: .zero) == .zero)
        #expect(name(outbox.begin(at: .zero)?.telling) == "2")
        _ = outbox.end(.delivered, at: .zero, random: 0)
        #expect(outbox.begin(at: .zero) == nil)
        #expect(outbox.wait(at: .zero) == nil)
    }

    @Test("pauses double from one second to five minutes, less up to half of that")
    func pauses() throws {
        for random in [0.0, 1.0] {
            var outbox = EventOutbox()
            _ = outbox.add([telling(1)], at: .zero)
            var now = Duration.zero
            var pauses: [Double] = []
            var notices: [EventOutbox.Notice?] = []
            for _ in 0..<12 {
                #expect(outbox.begin(at: now) != nil)
                notices.append(outbox.end(.failed("x"), at: now, random: random))
                let wait = try #require(outbox.wait(at: now))
                #expect(outbox.begin(at: now + wait - .milliseconds(1)) == nil)
                pauses.append(wait / .seconds(1))
                now += wait
            }
            let whole = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300].map(Double.init)
            #expect(pauses == whole.map { $0 * (0.5 + random / 2) })
            #expect(notices == [.failing("x")] + Array(repeating: nil, count: 11))
            #expect(outbox.begin(at: now) != nil)
            #expect(
                outbox.end(.delivered, at: now, random: 0) == .deliveredAgain(failures: 12))
        }
    }

    @Test("a receiver may ask for a longer pause, up to an hour")
    func askedPause() {
        for (asked, pause) in [(30, 30), (7_200, 3_600), (0, 1)] {
            var outbox = EventOutbox()
            _ = outbox.add([telling(1)], at: .zero)
            _ = outbox.begin(at: .zero)
            _ = outbox.end(.failed("x", askedPause: .seconds(asked)), at: .zero, random: 1)
            #expect(outbox.wait(at: .zero) == .seconds(pause))
        }
    }

    @Test("what is refused is given up; the next follows at once")
    func refused() {
        var outbox = EventOutbox()
        _ = outbox.add([telling(1), telling(2)], at: .zero)
        _ = outbox.begin(at: .zero)
        #expect(
            outbox.end(.refused("404"), at: .zero, random: 0) == .gaveUp(telling(1).event, "404"))
        #expect(name(outbox.begin(at: .zero)?.telling) == "2")
    }

    @Test("what failed for a day is given up")
    func old() {
        var outbox = EventOutbox()
        _ = outbox.add([telling(1)], at: .zero)
        let day = EventOutbox.longestTrying
        _ = outbox.begin(at: day)
        #expect(outbox.end(.failed("x"), at: day, random: 0) == .failing("x"))
        let later = day + EventOutbox.longestPause
        _ = outbox.begin(at: later)
        #expect(outbox.end(.failed("x"), at: later, random: 0) == .gaveUp(telling(1).event, "x"))
        #expect(outbox.count == 0)
    }

    @Test(
        "a full queue drops the oldest that is not under way, and the next delivery tells how many")
    func full() {
        var outbox = EventOutbox()
        let capacity = EventOutbox.capacity
        #expect(outbox.add((0..<capacity).map { telling($0) }, at: .zero) == 0)
        _ = outbox.begin(at: .zero)
        #expect(outbox.add([telling(-1), telling(-2)], at: .zero) == 2)
        #expect(outbox.count == capacity)
        _ = outbox.end(.failed("x"), at: .zero, random: 0)
        let again = outbox.begin(at: .seconds(1))
        #expect(name(again?.telling) == "0")
        #expect(again?.dropped == 2)
        // One more while the delivery that tells of two is under way.
        #expect(outbox.add([telling(-3)], at: .zero) == 1)
        _ = outbox.end(.delivered, at: .seconds(1), random: 0)
        let next = outbox.begin(at: .seconds(1))
        #expect(name(next?.telling) == "4")
        #expect(next?.dropped == 1)
    }

    @Test("any sequence keeps the order and loses nothing but what it counts", arguments: 0..<50)
    func random(seed: Int) {
        var random = SystemRandomNumberGenerator()
        var outbox = EventOutbox()
        var (added, delivered, lost, now) = (0, [Int](), 0, Duration.zero)
        var underWay: Int?
        for _ in 0..<400 {
            now += .seconds(Int.random(in: 0...400, using: &random))
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                let count = Int.random(in: 0...600, using: &random)
                lost += outbox.add((added..<added + count).map { telling($0) }, at: now)
                added += count
            case 1:
                if let (telling, _) = outbox.begin(at: now) {
                    #expect(underWay == nil)
                    underWay = name(telling).flatMap { Int($0) }
                }
            default:
                guard let number = underWay else { continue }
                underWay = nil
                let outcome: EventOutbox.Outcome =
                    [.delivered, .failed("x"), .refused("y")].randomElement(using: &random)
                    ?? .delivered
                switch (outbox.end(outcome, at: now, random: 0.5), outcome) {
                case (.gaveUp, _): lost += 1
                case (_, .delivered): delivered.append(number)
                default: break
                }
            }
            #expect(outbox.count <= EventOutbox.capacity)
        }
        #expect(delivered == delivered.sorted())
        #expect(Set(delivered).count == delivered.count)
        #expect(delivered.count + lost + outbox.count == added)
    }
}

@Suite("The settings of sinks")
struct EventSettingsTests {
    static func read(_ yaml: String) -> (sinks: [EventSink], findings: String) {
        var diagnostics = Diagnostics()
        let value = parseSettings("events: \(yaml)", file: "f", diagnostics: &diagnostics)
        let map = value?.mapping(["events"], &diagnostics)
        let sinks = map?["events"].map { EventSink.read($0, &diagnostics) } ?? []
        return (sinks, diagnostics.sorted.map(\.description).joined(separator: "\n"))
    }

    private func hook(_ sink: EventSink?) -> Webhook? {
        if case .webhook(let webhook)? = sink?.way { webhook } else { nil }
    }

    @Test(
        "the parts of a URL",
        arguments: [
            (
                "https://hooks.example.com/a/b?c=d", "hooks.example.com", 443, "/a/b?c=d",
                "hooks.example.com"
            ),
            ("http://h", "h", 80, "/", "h"), ("HTTPS://h:8443?x", "h", 8443, "/?x", "h:8443"),
            ("http://192.0.2.1:8080/", "192.0.2.1", 8080, "/", "192.0.2.1:8080"),
            ("https://[2001:db8::1]/x", "2001:db8::1", 443, "/x", "[2001:db8::1]"),
            ("http://[::1]:81", "::1", 81, "/", "[::1]:81"),
        ])
    func url(text: String, host: String, port: Int, path: String, authority: String) throws {
        let (sinks, findings) = Self.read("[{webhook: \"\(text)\"}]")
        #expect(findings == "")
        let webhook = try #require(hook(sinks.first))
        #expect(webhook.host == host)
        #expect(webhook.port == port)
        #expect(webhook.path == path)
        #expect(webhook.authority == authority)
        #expect((webhook.tls != nil) == text.lowercased().hasPrefix("https"))
    }

    @Test(
        "what is no URL is refused, and not repeated: there may be a secret in it",
        arguments: [
            "example.com/x", "ftp://h/", "https://", "https://u:p@h/", "https://h/#f",
            "https://h:0/",
            "https://h:99999/", "https://[h]/", "https://[::1/", "https://h o/", "https://-ü/",
            "http://::1/",
            "https://h..x/",
        ])
    func noURL(text: String) {
        let (sinks, findings) = Self.read("[{webhook: \"\(text)\"}]")
        #expect(sinks.isEmpty)
        #expect(
            findings
                == "f:1:20: error: events[0].webhook: expected a URL of visible ASCII characters, as"
                + " https://hooks.example.com/x, without user name or fragment")
    }

    @Test("all keys, and their defaults")
    func keys() throws {
        let (sinks, findings) = Self.read(
            """
            [{webhook: "https://h/", insecure: true, headers: {A: b}, timeout: 3s, on: [pool_down, origin_up],
              pools: [a, "b*"], delay: 30s, repeat: 1h, mute: ["22:00-06:00", "12:00-13:00"]},
             {command: [/bin/cat, x]}, {webhook: "http://h", repeat: off}]
            """)
        #expect(findings.contains("f:2:") == false)
        #expect(findings.contains("warning: events[0].insecure: any certificate passes"))
        let first = try #require(sinks.first)
        #expect(first.name == "webhook h")
        #expect(first.timeout == .seconds(3))
        #expect(first.rules.kinds == [.poolDown, .originUp])
        #expect(first.rules.pools == [Glob("a"), Glob("b*")])
        #expect(first.rules.delay == .seconds(30))
        #expect(first.rules.repetition == .seconds(3_600))
        #expect(first.rules.mutes.count == 2)
        #expect(hook(first)?.fields == [HTTPRequest.Field(name: "A", value: "b")])
        #expect(sinks[1].name == "command cat")
        #expect(sinks[1].timeout == .seconds(10))
        #expect(sinks[1].rules == TellingRules())
        #expect(sinks[2].rules.repetition == nil)
    }

    @Test(
        "every fault is told with its place and cure",
        arguments: [
            (
                "[{}]",
                "f:1:10: error: events[0]: expected either \"webhook\" (a URL) or \"command\" (a program)"
            ),
            (
                "[{webhook: \"http://h\", command: /bin/cat}]",
                "f:1:10: error: events[0]: expected either \"webhook\" (a URL) or \"command\" (a program)"
            ),
            (
                "[{webhok: \"http://h\"}]",
                "f:1:11: error: events[0]: unknown key \"webhok\"; did you mean \"webhook\"?"
            ),
            (
                "[{webhook: \"http://h\", on: [pool_dwon]}]",
                "f:1:37: error: events[0].on[0]: expected one of \(Event.Kind.allCases.map(\.rawValue).joined(separator: ", "))"
                    + " (did you mean pool_down?), found \"pool_dwon\""
            ),
            (
                "[{webhook: \"http://h\", on: []}]",
                "f:1:36: error: events[0].on: name 1 to 100, or remove the key"
            ),
            (
                "[{webhook: \"http://h\", mute: 22-6}]",
                "f:1:38: error: events[0].mute: expected a time of the day in UTC, as \"22:00-06:00\", found \"22-6\""
            ),
            (
                "[{webhook: \"http://h\", repeat: 1s}]",
                "f:1:40: error: events[0].repeat: expected a duration from 1m to 7d, found \"1s\""
            ),
            (
                "[{webhook: \"http://h\", insecure: true}]",
                "f:1:42: error: events[0].insecure: there is no TLS here; use https://, or remove this"
            ),
            (
                "[{webhook: \"https://h\", headers: {Content-Type: x}}]",
                "f:1:43: error: events[0].headers.Content-Type: this field is made from the other settings; remove it"
            ),
            (
                "[{command: cat}]",
                "f:1:20: error: events[0].command: expected the whole path of a program, and its arguments, found \"cat\""
            ),
            (
                "[{command: /bin/cat, headers: {A: b}}]",
                "f:1:39: error: events[0].headers: is for a webhook; remove this"
            ),
            (
                "[{webhook: \"https://h\", ca_file: /nowhere/ca.pem}]",
                "f:1:42: error: events[0].ca_file: /nowhere/ca.pem: no such file or directory"
            ),
        ])
    func faults(yaml: String, finding: String) {
        let (sinks, findings) = Self.read(yaml)
        #expect(sinks.isEmpty)
        #expect(findings.split(separator: "\n").map(String.init).contains(finding), "\(findings)")
    }

    @Test("more sinks than are told are an error")
    func tooMany() {
        let sinks = Array(repeating: "{webhook: \"http://h\"}", count: 17).joined(separator: ", ")
        #expect(
            Self.read("[\(sinks)]").findings
                == "f:1:9: error: events: 17 sinks; at most 16 are told")
    }

    @Test("a pattern that no pool fits is a warning")
    func patterns() throws {
        let sink = try #require(
            Self.read("[{webhook: \"http://h\", pools: [frankfrt, \"eu-*\", t*]}]").sinks.first)
        var diagnostics = Diagnostics()
        sink.checkPatterns(among: ["frankfurt", "tokyo"], &diagnostics)
        #expect(
            diagnostics.sorted.map(\.description) == [
                "f:1:40: warning: events[0].pools[0]: no pool is \"frankfrt\"; did you mean \"frankfurt\"?",
                "f:1:50: warning: events[0].pools[1]: no pool is \"eu-*\"",
            ])
    }
}
