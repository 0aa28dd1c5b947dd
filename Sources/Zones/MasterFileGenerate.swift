// $GENERATE: one line that stands for a row of records. No RFC has it, all zone files may have it:
// this reads it as BIND does, and beyond it takes data of several words without quotes around them.
//
//     $GENERATE 1-254 host-$ 300 A 192.0.2.$
//     $GENERATE 0-30/2 p${100,3,d} CNAME q$
//     $GENERATE 1-3 @ MX "$ mail-$"

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
            report(
                "more than \(Self.maximumGenerated) records generated in this zone; write a shorter "
                    + "range", at: 1, scanner)
            return
        }
        generatedCount += range.count
        guard let data = quotedData(scanner) else { return }
        // The owner of what follows is the one before, not the last generated.
        let saved = (owner, ownerText, hasBadOwner)
        defer { (owner, ownerText, hasBadOwner) = saved }
        var generated = scanner.generating()
        for number in range.numbers {
            guard let words = generatedWords(number, scanner, quotedData: data) else { return }
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

    /// Where the data is one quoted word, that is text to be cut into words: its index. Past the end
    /// where it is not; nil after a refused TTL or class.
    private mutating func quotedData(_ scanner: borrowing MasterFileScanner) -> Int? {
        guard let typeIndex = readTTLAndClass(scanner, from: 3)?.typeIndex else { return nil }
        let isQuoted = scanner.words.count == typeIndex + 2 && scanner.words[typeIndex + 1].isQuoted
        return isQuoted ? typeIndex + 1 : scanner.words.count
    }

    /// The words of one record, `$` replaced; nil after reporting a malformed one.
    private mutating func generatedWords(
        _ number: Int, _ scanner: borrowing MasterFileScanner, quotedData: Int
    ) -> [RDataToken]? {
        var words: [RDataToken] = []
        for (index, word) in scanner.words.enumerated().dropFirst(2) {
            guard let octets = Self.substitute(number, in: word.octets) else {
                report(
                    "not a use of $ that is known; write $, \\$ or ${offset,width,base} with "
                        + "base d, o, x, X, n or N, and a sum that is not negative",
                    at: index, scanner)
                return nil
            }
            // Empty words are written with a blank and take room as well.
            octetCount += octets.count + 1
            guard index == quotedData else {
                words.append(
                    RDataToken(
                        octets[...], isQuoted: word.isQuoted, hasInnerQuotes: word.hasInnerQuotes))
                continue
            }
            var findings = Diagnostics()
            var text = MasterFileScanner(Self.withPlainQuotes(octets), file: scanner.file)
            if text.readEntry(&findings) { words += text.words }
            if let finding = findings.all.first {
                report(finding.message, at: index, scanner)
                return nil
            }
        }
        return words
    }

    /// The text with `\"` as `"`: a quoted word's own quotes.
    private static func withPlainQuotes(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var rest = text[...]
        while let octet = rest.popFirst() {
            guard octet == UInt8(ascii: "\\"), let next = rest.popFirst() else {
                result.append(octet)
                continue
            }
            result += next == UInt8(ascii: "\"") ? [next] : [octet, next]
        }
        return result
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
            // Hexadecimal digits as labels, the last first. The width counts the dots; where it is even
            // and not exceeded, a dot is the last.
            let digits = zeroPadded(
                String(value, radix: 16, uppercase: base == "N"), UInt8((Int(width) + 1) / 2))
            let labels = Array(digits.reversed().map { [$0] }.joined(separator: [0x2E]))
            return labels + (labels.count < width ? [UInt8(ascii: ".")] : [])
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
