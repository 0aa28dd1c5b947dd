import Health
import Steering
import Testing

@testable import rhumb

@Suite("state on disk")
struct KeptStateTests {
    private func words(_ text: String) -> (words: [OperatorOverride], findings: [String]) {
        var findings: [String] = []
        return (KeptOverrides.parse(Array(text.utf8), &findings), findings)
    }

    @Test("overrides are read as they were written")
    func overrides() throws {
        var overrides = OperatorOverrides()
        overrides.restore(
            [
                try OperatorOverride(
                    .drain, try AddressPattern("tokyo/*"), by: "ada",
                    at: Timestamp(nanoseconds: 1_234_567_890_123_456_789),
                    until: Timestamp(nanoseconds: .max), reason: "disk \"sda\" / ü", ttl: 60),
                try OperatorOverride(
                    .clear, try AddressPattern("tokyo/nrt-1"), by: "user 0",
                    at: Timestamp(nanoseconds: 5)),
            ])
        var findings: [String] = []
        let read = KeptOverrides.parse(KeptOverrides(overrides).octets, &findings)
        #expect(read == overrides.all && read.count == 2)
        #expect(findings.isEmpty)
    }

    @Test(
        "a damaged file of overrides ends in findings",
        arguments: [
            ("", "not JSON"), ("{", "not JSON"), ("[]", "something else is expected"),
            ("{}", "\"overrides\" is missing"), ("{\"overrides\":3}", "expected in overrides"),
            (String(repeating: "[", count: 100_000), "not JSON"), ("\u{0}\u{1}", "not JSON"),
            (String(repeating: "{\"overrides\":", count: 5_000), "not JSON"),
        ])
    func damaged(_ row: (text: String, finding: String)) {
        let (words, findings) = words(row.text)
        #expect(words.isEmpty)
        #expect(findings.count == 1 && findings[0].contains(row.finding), "\(findings)")
    }

    @Test(
        "one override that is wrong does not take the others with it",
        arguments: [
            "3", "{}", #"{"word":"stop","pattern":"a","by":"x","time":1}"#,
            #"{"word":"drain","pattern":"a//","by":"x","time":1}"#,
            #"{"word":"drain","pattern":"a","by":"x","time":1e40}"#,
            #"{"word":"drain","pattern":"a\u0007","by":"x","time":1}"#,
            #"{"word":"drain","pattern":"a","by":"x","time":1,"ttl":-1}"#,
        ])
    func lenient(_ wrong: String) {
        let right = #"{"word":"down","pattern":"b","by":"x","time":1}"#
        let (words, findings) = words(#"{"overrides":[\#(wrong),\#(right)]}"#)
        #expect(words.map(\.pattern.description) == ["b"])
        #expect(findings.count == 1 && findings[0].hasPrefix("overrides[0] is left out"))
    }

    @Test("a word is not lost for characters in its name and reason that are not taken any more")
    func oldCharacters() {
        let (words, findings) = words(
            #"{"overrides":[{"word":"drain","pattern":"a","by":"x\u0007","time":1,"reason":"\u200fb"}]}"#
        )
        #expect(words.map(\.operatorName) == ["x "] && words.map(\.reason) == [" b"])
        #expect(findings.isEmpty)
    }

    @Test("every prefix of a file of overrides is read to its end, and no half word is taken")
    func cutOff() throws {
        var overrides = OperatorOverrides()
        overrides.restore(
            [
                try OperatorOverride(
                    .drain, try AddressPattern("tokyo"), by: "ada", at: Timestamp(nanoseconds: 9))
            ])
        let octets = KeptOverrides(overrides).octets
        for count in 0..<octets.count {
            var findings: [String] = []
            #expect(KeptOverrides.parse(Array(octets[..<count]), &findings).isEmpty)
            #expect(findings.count == 1, "\(count) of \(octets.count)")
        }
    }

    @Test("verdicts are read as they were written, with their age")
    func health() throws {
        var health = TargetHealth()
        let time = Timestamp(nanoseconds: 1_700_000_000_000_000_001)
        _ = health.record(
            ProbeResult(
                .failed(.connect, "connection refused"), duration: .milliseconds(3), time: time),
            under: VerdictRules())
        var kept = KeptHealth([], at: time)
        kept.targets = ["tokyo/nrt-1/192.0.2.1 web": health]
        var findings: [String] = []
        let read = KeptHealth.parse(kept.octets, &findings)
        #expect(read.targets == kept.targets && read.time == time && findings.isEmpty)
    }

    @Test(
        "a damaged file of verdicts ends in findings, and what is right in it counts",
        arguments: [
            ("", 0, 1), ("{\"targets\":[]}", 0, 1), ("{\"time\":1}", 0, 1),
            (#"{"time":"now","targets":{}}"#, 0, 0),
            (#"{"time":1,"targets":{"a":{"verdict":"drained"},"b":{"verdict":"up"},"c":7}}"#, 1, 1),
        ])
    func damagedHealth(_ row: (text: String, targets: Int, findings: Int)) {
        var findings: [String] = []
        let read = KeptHealth.parse(Array(row.text.utf8), &findings)
        #expect(read.targets.count == row.targets && findings.count == row.findings, "\(findings)")
    }
}
