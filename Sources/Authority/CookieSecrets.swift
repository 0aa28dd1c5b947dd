// DNS cookies (RFC 7873) as RFC 9018 makes them, so that all servers of an anycast set, of whatever
// make, know each other's: the secrets they share, and the verdict on what a client sent.

public import Cryptography
internal import DNSWire
public import Settings

/// What a query's COOKIE option showed.
public enum CookieVerdict: UInt8, Sendable, BitwiseCopyable {
    /// There was none, or cookies are off.
    case absent
    /// No cookie by its length: FORMERR (RFC 7873, section 5.2.2).
    case malformed
    /// The client knows no server cookie yet.
    case clientOnly
    /// A server cookie that is not ours, for another address, or too old.
    case invalid
    /// The client gets what is sent to its address.
    case valid
}

/// The verdict on a query's cookie, and the server cookie for its answer.
struct CookieReply: BitwiseCopyable {
    var verdict = CookieVerdict.absent
    var serverHigh: UInt64 = 0
    var serverLow: UInt64 = 0
}

/// The secrets by which server cookies are made and known again.
public struct CookieSecrets: Sendable, BitwiseCopyable, Equatable {
    /// A cookie is renewed when it is older than this (RFC 9018, section 4.3), in seconds.
    static let renewalAge: Int32 = 1_800
    /// The oldest cookie that is good, and how far ahead another server's clock may be (RFC 9018,
    /// section 4.3), in seconds.
    static let oldestAge: Int32 = 3_600
    static let largestLead: Int32 = 300
    /// Version 1 and three reserved octets, above the timestamp.
    private static let version: UInt64 = 1 << 56

    /// Makes cookies.
    let current: SipHashKey
    /// Makes none, but those it has made are good: the one before or the one to come.
    let other: SipHashKey?

    public init(current: SipHashKey, other: SipHashKey? = nil) {
        self.current = current
        self.other = other
    }

    /// Judges a query's cookie; the reply's cookie is the client's own where that is good and young.
    ///
    /// - Parameter now: seconds since 1970, 32 bits of them.
    func judge(_ cookie: Cookie, from source: IPAddress, at now: UInt32) -> CookieReply {
        guard cookie.isWellFormed else { return CookieReply(verdict: .malformed) }
        var reply = CookieReply(verdict: cookie.length == 8 ? .clientOnly : .invalid)
        if cookie.length == 24, cookie.serverHigh >> 56 == 1 {
            // Serial number arithmetic (RFC 1982): the clock may pass 2^32.
            let age = Int32(
                bitPattern: now &- UInt32(truncatingIfNeeded: cookie.serverHigh))
            if age <= Self.oldestAge, age >= -Self.largestLead {
                if hash(current, cookie.client, cookie.serverHigh, source) == cookie.serverLow {
                    reply.verdict = .valid
                    if age <= Self.renewalAge {
                        reply.serverHigh = cookie.serverHigh
                        reply.serverLow = cookie.serverLow
                        return reply
                    }
                } else if let other,
                    hash(other, cookie.client, cookie.serverHigh, source) == cookie.serverLow
                {
                    reply.verdict = .valid
                }
            }
        }
        reply.serverHigh = Self.version | UInt64(now)
        reply.serverLow = hash(current, cookie.client, reply.serverHigh, source)
        return reply
    }

    /// The hash of client cookie, version to timestamp, and the client's address (RFC 9018, section
    /// 4.4), with its first octet the highest.
    private func hash(
        _ key: SipHashKey, _ client: UInt64, _ head: UInt64, _ source: IPAddress
    ) -> UInt64 {
        var hash = SipHash24(key: key)
        hash.absorb(client.byteSwapped)
        hash.absorb(head.byteSwapped)
        if source.family == .ipv4 {
            return hash.finish(UInt64(source.ipv4Bits.byteSwapped), count: 4).byteSwapped
        }
        hash.absorb(source.high.byteSwapped)
        hash.absorb(source.low.byteSwapped)
        return hash.finish().byteSwapped
    }
}

// MARK: - The secret file

extension CookieSecrets {
    /// The most octets of a secret file: two lines and room for comments.
    public static let fileLimit = 4_096

    /// Reads a secret file: one or two lines of 32 hexadecimal digits, the first of which makes cookies.
    ///
    /// Lines that are empty or begin with `#` are passed over. Returns nil after reporting what is
    /// wrong, without the secrets.
    public static func parse(
        _ octets: [UInt8], file: String, diagnostics: inout Diagnostics
    ) -> CookieSecrets? {
        var keys: [SipHashKey] = []
        let errorsBefore = diagnostics.errorCount
        let lines = octets.split(separator: 10, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let blanks: [UInt8] = [9, 13, 32]
            let word = line.drop { blanks.contains($0) }.prefix { !blanks.contains($0) }
            guard let first = word.first, first != UInt8(ascii: "#") else { continue }
            let position = SourcePosition(
                file: file, line: index + 1, column: word.startIndex - line.startIndex + 1)
            guard line[word.endIndex...].allSatisfy(blanks.contains) else {
                diagnostics.error(
                    at: position,
                    "more than one word in this line; write the 32 digits alone, each secret on a line"
                )
                continue
            }
            guard let key = key(word, at: position, &diagnostics) else { continue }
            guard keys.count < 2 else {
                diagnostics.error(
                    at: position,
                    "a third secret; keep the one that makes cookies and one that is accepted too")
                break
            }
            if keys.first == key {
                diagnostics.warning(
                    at: position,
                    "the same secret as before; remove one, or make a new one with "
                        + "\"openssl rand -hex 16\"")
                continue
            }
            keys.append(key)
        }
        guard diagnostics.errorCount == errorsBefore else { return nil }
        guard let current = keys.first else {
            diagnostics.error(
                at: SourcePosition(file: file),
                "no secret in it; write 32 hexadecimal digits, as \"openssl rand -hex 16\" makes them"
            )
            return nil
        }
        return CookieSecrets(current: current, other: keys.dropFirst().first)
    }

    private static func key(
        _ word: ArraySlice<UInt8>, at position: SourcePosition, _ diagnostics: inout Diagnostics
    ) -> SipHashKey? {
        var octets: [UInt8] = []
        var high: UInt8?
        for (index, character) in word.enumerated() {
            guard let digit = Character(UnicodeScalar(character)).hexDigitValue, character < 128
            else {
                diagnostics.error(
                    at: SourcePosition(
                        file: position.file, line: position.line, column: position.column + index),
                    "not a hexadecimal digit; a secret is 32 of 0-9 and a-f")
                return nil
            }
            if let first = high {
                octets.append(first << 4 | UInt8(digit))
                high = nil
            } else {
                high = UInt8(digit)
            }
        }
        guard word.count == 32 else {
            diagnostics.error(
                at: position,
                "\(word.count) hexadecimal digits; a secret is 32, as \"openssl rand -hex 16\" makes "
                    + "them")
            return nil
        }
        return SipHashKey(octets)
    }
}
