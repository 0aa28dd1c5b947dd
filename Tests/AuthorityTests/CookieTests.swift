// DNS cookies: RFC 9018's appendix, the window of time, the secret file, and cookies in whole answers.

import Cryptography
import DNSWire
import Settings
import TestSupport
import Testing

@testable import Authority

/// Octets from hexadecimal digits.
private func octets(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
}

private func hexadecimal(_ octets: some Collection<UInt8>) -> String {
    octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

private func secrets(_ current: String, _ other: String? = nil) -> CookieSecrets {
    CookieSecrets(current: SipHashKey(octets(current)), other: other.map { SipHashKey(octets($0)) })
}

private let secret = "e5e973e5a6b2a43f48e7dc849e37bfcf"
/// Made with it at 1559731985 for 198.51.100.100.
private let made = "2464c4abcf10c957010000005cf79f111f8130c3eee29480"

/// A zone, a secret, and what a COOKIE option gets.
private struct CookieServer: ~Copyable {
    private var fixture: Fixture

    init(_ secrets: CookieSecrets?) throws {
        var answers = AnswerSettings(identity: "test")
        answers.cookies = secrets
        fixture = try Fixture(
            zones: [
                ("example.com.", "@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.53\n")
            ],
            answers: answers)
    }

    mutating func ask(
        _ cookie: String?, from source: String = "198.51.100.100", at time: UInt32,
        change: (inout TestQuery) -> Void = { _ in }
    ) throws -> TestAnswer {
        var query = TestQuery("ns.example.com.", .a)
        query.payloadSize = 1_232
        if let cookie { query.options = [(10, octets(cookie))] }
        change(&query)
        return try #require(TestAnswer(fixture.answer(to: query.wire, from: source, at: time)))
    }
}

@Suite struct CookieTests {
    @Test(
        "the examples of RFC 9018, appendix A, come out",
        arguments: [
            (
                "A.1", "2464c4abcf10c957", 1_559_731_985, "198.51.100.100",
                "2464c4abcf10c957010000005cf79f111f8130c3eee29480"
            ),
            (
                "A.2", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1_559_734_385,
                "198.51.100.100", "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"
            ),
            (
                "A.3", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1_559_734_700,
                "203.0.113.203", "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"
            ),
        ])
    func appendix(
        _ section: String, _ sent: String, _ time: UInt32, _ source: String, _ expected: String
    ) throws {
        var server = try CookieServer(secrets(secret))
        let answer = try server.ask(sent, from: source, at: time)
        #expect(answer.cookie == octets(expected))
        #expect(answer.code == 0)
    }

    @Test("RFC 9018, appendix A.4: an IPv6 client, and a secret that was rolled over")
    func rolledOver() throws {
        let old = "dd3bdf9344b678b185a6f5cb60fca715"
        let new = "445536bcd2513298075a5d379663c962"
        let sent = "22681ab97d52c298010000005cf7c57926556bd0934c72f8"
        let source = "2001:db8:220:1:59de:d0f4:8769:82b8"
        var server = try CookieServer(secrets(new, old))
        let answer = try server.ask(sent, from: source, at: 1_559_741_961)
        #expect(
            answer.cookie == octets("22681ab97d52c298010000005cf7c609a6bb79d16625507a"))
        // The other secret makes the cookie good, though not for the answer.
        #expect(verdict(of: sent, by: secrets(new, old), source, 1_559_741_961) == .valid)
        #expect(verdict(of: sent, by: secrets(new), source, 1_559_741_961) == .invalid)
    }

    @Test("reserved octets that another server set are hashed as they came (RFC 9018, section 4.2)")
    func reservedOctets() {
        let sent = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"
        #expect(verdict(of: sent, by: secrets(secret), "203.0.113.203", 1_559_727_985) == .valid)
        let other = "fc93fc62807ddb8601abcdee5cf78f71a314227b6679ebf5"
        #expect(verdict(of: other, by: secrets(secret), "203.0.113.203", 1_559_727_985) == .invalid)
    }

    private func verdict(
        of option: String, by secrets: CookieSecrets, _ source: String, _ time: UInt32
    ) -> CookieVerdict {
        secrets.judge(cookie(option), from: IPAddress(source)!, at: time).verdict
    }

    private func cookie(_ option: String) -> Cookie {
        let words = octets(option)
        var cookie = Cookie(length: words.count)
        guard cookie.isWellFormed else { return cookie }
        cookie.client = words.span.uint64(at: 0)
        guard words.count == 24 else { return cookie }
        cookie.serverHigh = words.span.uint64(at: 8)
        cookie.serverLow = words.span.uint64(at: 16)
        return cookie
    }

    @Test(
        "a cookie is good from 5 minutes ahead to an hour back, and kept for the first half hour",
        arguments: [
            (-301, CookieVerdict.invalid, false), (-300, .valid, true), (0, .valid, true),
            (1_800, .valid, true), (1_801, .valid, false), (3_600, .valid, false),
            (3_601, .invalid, false), (Int(Int32.max), .invalid, false),
            (Int(Int32.max) + 1, .invalid, false),
        ])
    func window(_ age: Int, _ expected: CookieVerdict, _ isKept: Bool) throws {
        let time = UInt32(truncatingIfNeeded: 1_559_731_985 + age)
        #expect(verdict(of: made, by: secrets(secret), "198.51.100.100", time) == expected)
        var server = try CookieServer(secrets(secret))
        let answer = try server.ask(made, at: time)
        #expect((answer.cookie == octets(made)) == isKept)
        // Whatever it was: the query is answered (never BADCOOKIE), with a cookie good from now on.
        #expect(answer.code == 0 && answer.answer.count == 1)
        let fresh = try #require(answer.cookie)
        #expect(
            verdict(of: hexadecimal(fresh), by: secrets(secret), "198.51.100.100", time) == .valid)
    }

    @Test("the window holds where the clock passes 2^32 (RFC 1982)")
    func serialArithmetic() throws {
        var server = try CookieServer(secrets(secret))
        let before = try server.ask("2464c4abcf10c957", at: UInt32.max - 10)
        let latest = hexadecimal(try #require(before.cookie))
        #expect(verdict(of: latest, by: secrets(secret), "198.51.100.100", 100) == .valid)
        #expect(verdict(of: latest, by: secrets(secret), "198.51.100.100", 4_000) == .invalid)
    }

    @Test(
        "a cookie is good from its address, with its client cookie and in its version alone",
        arguments: [
            ("198.51.100.101", made),
            ("2001:db8::1", made),
            ("198.51.100.100", "2464c4abcf10c958010000005cf79f111f8130c3eee29480"),
            ("198.51.100.100", "2464c4abcf10c957020000005cf79f111f8130c3eee29480"),
            ("198.51.100.100", "2464c4abcf10c957010000005cf79f121f8130c3eee29480"),
            ("198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29481"),
            ("198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee2948000"),
        ])
    func forged(_ source: String, _ option: String) {
        #expect(verdict(of: option, by: secrets(secret), source, 1_559_731_985) == .invalid)
    }

    @Test(
        "a COOKIE option is 8 or 16 to 40 octets, others are FORMERR without a cookie",
        arguments: 0...44)
    func lengths(_ length: Int) throws {
        var server = try CookieServer(secrets(secret))
        let option = String(repeating: "ab", count: length)
        let isRight = length == 8 || (16...40).contains(length)
        let answer = try server.ask(option, at: 1_559_731_985)
        #expect(answer.code == (isRight ? 0 : 1))
        #expect((answer.cookie != nil) == isRight)
        // Off, the option is one that nobody knows.
        var without = try CookieServer(nil)
        let plain = try without.ask(option, at: 1_559_731_985)
        #expect(plain.code == 0 && plain.cookie == nil)
    }

    @Test("of two COOKIE options the first counts (RFC 7873, section 5.2)")
    func repeated() throws {
        var server = try CookieServer(secrets(secret))
        let answer = try server.ask(nil, at: 1_559_731_985) {
            $0.options = [(10, octets("2464c4abcf10c957")), (10, [1, 2, 3])]
        }
        #expect(answer.cookie == octets(made))
    }

    @Test(
        "errors have a cookie, too",
        arguments: [
            ("BADVERS", 16), ("NOTIMP", 4), ("REFUSED", 5), ("FORMERR", 1), ("NXNAME", 1),
        ])
    func errors(_ what: String, _ code: UInt16) throws {
        var server = try CookieServer(secrets(secret))
        let answer = try server.ask("2464c4abcf10c957", at: 1_559_731_985) {
            switch what {
            case "BADVERS": $0.version = 1
            case "NOTIMP": $0.opcode = 5
            case "REFUSED": $0.name = "example.org."
            // A client subnet with a family that does not exist, before the cookie.
            case "FORMERR": $0.subnet = [0, 9, 8, 0, 1]
            default: $0.type = .nxname
            }
        }
        #expect(answer.code == code)
        #expect(answer.cookie == octets(made))
    }

    @Test(
        "a query without question gets a cookie alone (RFC 7873, section 5.4)",
        arguments: [
            ("2464c4abcf10c957", 0), (made, 0),
            ("2464c4abcf10c957010000005cf79f111f8130c3eee29481", 23), ("2464c4abcf10c9", 1),
        ] as [(String, UInt16)])
    func withoutQuestion(_ option: String, _ code: UInt16) throws {
        var server = try CookieServer(secrets(secret))
        let answer = try server.ask(option, at: 1_559_731_985) { $0.hasQuestion = false }
        #expect(answer.code == code && answer.question == nil)
        #expect((answer.cookie == octets(made)) == (code != 1))
        // Neither without a cookie nor where cookies are off.
        let plain = try server.ask(nil, at: 1_559_731_985) { $0.hasQuestion = false }
        #expect(plain.code == 1 && plain.cookie == nil)
        var without = try CookieServer(nil)
        let off = try without.ask(option, at: 1_559_731_985) { $0.hasQuestion = false }
        #expect(off.code == 1 && off.cookie == nil)
    }

    // MARK: - The secret file

    @Test(
        "a secret file is one or two lines of 32 hexadecimal digits",
        arguments: [
            (secret, false), ("\(secret)\n", false), ("# first\r\n\r\n  \(secret)\t\r\n", false),
            ("\(secret)\n445536BCD2513298075A5D379663C962\n", true),
        ])
    func secretFile(_ text: String, _ hasOther: Bool) {
        var diagnostics = Diagnostics()
        let read = CookieSecrets.parse(Array(text.utf8), file: "s", diagnostics: &diagnostics)
        #expect(diagnostics.all == [])
        #expect(
            read == secrets(secret, hasOther ? "445536bcd2513298075a5d379663c962" : nil))
    }

    @Test(
        "what is wrong with a secret file is told with its place, and never the secret",
        arguments: [
            ("", "s: error: no secret in it; write 32 hexadecimal digits"),
            ("# none\n", "s: error: no secret in it"),
            ("e5e9", "s:1:1: error: 4 hexadecimal digits; a secret is 32"),
            (secret + "00", "s:1:1: error: 34 hexadecimal digits; a secret is 32"),
            ("\n  e5x9", "s:2:5: error: not a hexadecimal digit"),
            ("\u{e9}5", "s:1:1: error: not a hexadecimal digit"),
            ("\(secret) \(secret)", "s:1:1: error: more than one word in this line"),
            (
                "\(secret)\n445536bcd2513298075a5d379663c962\ndd3bdf9344b678b185a6f5cb60fca715",
                "s:3:1: error: a third secret"
            ),
            ("\(secret)\n\(secret)", "s:2:1: warning: the same secret as before"),
        ])
    func secretFileFaults(_ text: String, _ expected: String) throws {
        var diagnostics = Diagnostics()
        let read = CookieSecrets.parse(Array(text.utf8), file: "s", diagnostics: &diagnostics)
        let messages = diagnostics.sorted.map(\.description)
        #expect(messages.count == 1)
        let message = try #require(messages.first)
        #expect(message.hasPrefix(expected))
        #expect(!message.contains("e5e9"))
        #expect((read == nil) == message.contains("error"))
    }
}
