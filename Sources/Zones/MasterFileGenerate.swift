// $GENERATE: one line that stands for a row of records. No RFC has it, all zone files may have it:
// this reads it as BIND does.
//
//     $GENERATE 1-254 host-$ 300 A 192.0.2.$
//     $GENERATE 0-30/2 p${100,3,d} CNAME q$

internal import DNSWire
internal import Settings

extension MasterFileReader {
    /// The most records that all $GENERATE lines of a zone make: those for the addresses of a /12.
    static let maximumGenerated = 1 << 20

    /// Reads `$GENERATE start-stop[/step] owner [ttl] [class] type data`.
    mutating func readGenerate(_ scanner: borrowing MasterFileScanner) {
        guard scanner.words.count >= 5 else {
            report(
                "write \"$GENERATE start-stop[/step] owner [ttl] type data\"",
                at: scanner.words.count, scanner)
            return
        }
        guard let range = GenerateRange(scanner.words[1].octets) else {
            report(
                "not a range; write start-stop or start-stop/step, as in 1-254", at: 1, scanner)
            return
        }
        guard generatedCount + range.count <= Self.maximumGenerated else {
            report("more than \(Self.maximumGenerated) records generated", at: 1, scanner)
            return
        }
        generatedCount += range.count
        var generated = scanner.generating()
        for number in range.numbers {
            var words: [RDataToken] = []
            for (index, word) in scanner.words.enumerated().dropFirst(2) {
                guard let octets = Self.substitute(number, in: word.octets) else {
                    report(
                        "not a use of $ that is known; write $, \\$ or ${offset,width,base} with "
                            + "base d, o, x, X, n or N, and a sum that is not negative",
                        at: index, scanner)
                    return
                }
                octetCount += octets.count
                words.append(
                    RDataToken(
                        octets[...], isQuoted: word.isQuoted, hasInnerQuotes: word.hasInnerQuotes))
            }
            guard octetCount <= maximumZoneFileLength else {
                report("the zone grows over \(maximumZoneFileLength) octets", at: 0, scanner)
                return
            }
            // The second record would have the same fault as the first, and so on.
            let errorCount = diagnostics.errorCount
            generated.generate(words)
            readRecord(generated)
            guard diagnostics.errorCount == errorCount else { return }
        }
    }

    /// Returns a word with each `$` replaced; nil if one is malformed.
    static func substitute(_ number: Int, in word: ArraySlice<UInt8>) -> [UInt8]? {
        let dollar = UInt8(ascii: "$")
        var result: [UInt8] = []
        var rest = word
        while let octet = rest.popFirst() {
            if octet == UInt8(ascii: "\\") {
                result.append(octet)
                if let escaped = rest.popFirst() { result.append(escaped) }
            } else if octet != dollar {
                result.append(octet)
            } else if rest.first == dollar {
                rest.removeFirst()
                result += [UInt8(ascii: "\\"), dollar]
            } else if rest.first == UInt8(ascii: "{") {
                guard let end = rest.firstIndex(of: UInt8(ascii: "}")),
                    let text = modified(number, by: rest[(rest.startIndex + 1)..<end])
                else { return nil }
                result += text
                rest = rest[(end + 1)...]
            } else {
                result += Array(String(number).utf8)
            }
        }
        return result
    }

    /// The number as `offset[,width[,base]]` wants it.
    private static func modified(_ number: Int, by modifier: ArraySlice<UInt8>) -> [UInt8]? {
        let parts = modifier.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count),
            let offset = Int32(String(decoding: parts[0], as: UTF8.self)),
            // A label has at most 63 octets, a name 255.
            let width = parts.count > 1 ? UInt8(String(decoding: parts[1], as: UTF8.self)) : 0
        else { return nil }
        let value = number + Int(offset)
        guard value >= 0 else { return nil }
        let base = parts.count > 2 ? String(decoding: parts[2], as: UTF8.self) : "d"
        switch base {
        case "d": return zeroPadded(String(value), width)
        case "o": return zeroPadded(String(value, radix: 8), width)
        case "x": return zeroPadded(String(value, radix: 16), width)
        case "X": return zeroPadded(String(value, radix: 16, uppercase: true), width)
        case "n", "N":
            // Hexadecimal digits as labels, the last first; the width counts the dots.
            let digits = zeroPadded(
                String(value, radix: 16, uppercase: base == "N"), UInt8((Int(width) + 1) / 2))
            return Array(digits.reversed().map { [$0] }.joined(separator: [UInt8(ascii: ".")]))
        default: return nil
        }
    }

    private static func zeroPadded(_ digits: String, _ width: UInt8) -> [UInt8] {
        Array(String(repeating: "0", count: max(0, Int(width) - digits.count)).utf8)
            + Array(digits.utf8)
    }
}

/// The numbers of `start-stop[/step]`.
private struct GenerateRange {
    let start: Int
    let stop: Int
    let step: Int

    var count: Int { (stop - start) / step + 1 }
    var numbers: StrideThrough<Int> { stride(from: start, through: stop, by: step) }

    init?(_ word: ArraySlice<UInt8>) {
        let parts = word.split(
            separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
        let bounds = (parts.first ?? []).split(
            separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
        guard bounds.count == 2, let start = Self.number(bounds[0]),
            let stop = Self.number(bounds[1]), start <= stop,
            let step = parts.count > 1 ? Self.number(parts[1]) : 1, step > 0
        else { return nil }
        (self.start, self.stop, self.step) = (start, stop, step)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
        return Int32(String(decoding: digits, as: UTF8.self)).map(Int.init)
    }
}
