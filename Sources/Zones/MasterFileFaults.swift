// What a person most likely did where a record can't be read: a comment that starts with "#", a blank
// before the owner, a misspelt type. The plain message of the reader stands where none of it fits.

internal import DNSWire
internal import Settings

extension MasterFileReader {
    /// Reports a fault in a record at a word, with the slip that explains it if one does.
    mutating func reportRecord(
        _ message: String, at index: Int, typeAt typeIndex: Int,
        _ scanner: borrowing MasterFileScanner
    ) {
        if let comment = Self.misspeltComment(in: scanner.words, upTo: index, typeAt: typeIndex) {
            report("a comment starts with \";\"; write that before it", at: comment, scanner)
            return
        }
        guard let owner = blankBeforeOwner(scanner, typeAt: typeIndex) else {
            report(message, at: index, scanner)
            return
        }
        report(
            "\(message); if \"\(owner)\" is the owner, remove the blank before it", at: index,
            scanner)
    }

    /// Reports a word that is no type where the type should be.
    mutating func reportUnknownType(_ scanner: borrowing MasterFileScanner, at index: Int) {
        // Past the limit nobody sees the suggestion, which takes a while to find.
        guard diagnostics.all.count < Diagnostics.limit else {
            report("unknown record type", at: index, scanner)
            return
        }
        let word = Self.shown(scanner.words[index].octets)
        if blankBeforeOwner(scanner, typeAt: index) != nil {
            report(
                "\"\(word)\" is no record type, and a line that starts with a blank goes on with the "
                    + "owner before; remove the blank if \"\(word)\" is the owner", at: index,
                scanner)
            return
        }
        let first = scanner.words[index].octets.first ?? 0
        if first &- 0x30 < 10 || first == UInt8(ascii: "+") || first == UInt8(ascii: "-") {
            report(
                "\"\(word)\" stands where the type belongs; write one TTL, as 300 or 1h30m, then the type, "
                    + "then its data", at: index, scanner)
            return
        }
        if Self.isInternetClass(scanner.words[index].octets) != nil {
            report("a second class; a record has one, so remove it", at: index, scanner)
            return
        }
        let near = closestMatch(to: word, among: RecordType.dataMnemonics + ["STEER"])
        reportRecord(
            "unknown record type \"\(word)\"; "
                + (near.map { "did you mean \($0)?" }
                    ?? "a type without a name here is written TYPEnnn \\# length hex"),
            at: index, typeAt: index, scanner)
    }

    /// The first word that starts as comments do elsewhere, with no comment's place ruled out.
    private static func misspeltComment(
        in words: [RDataToken], upTo index: Int, typeAt typeIndex: Int
    ) -> Int? {
        words.indices.first { place in
            // An owner may start so if the record goes on well; "#" behind the type is a "\#" that
            // lacks its backslash.
            guard place <= index, place != typeIndex + 1, place > 0 || index <= typeIndex else {
                return false
            }
            let word = words[place]
            return !word.isQuoted
                && (word.octets.first == UInt8(ascii: "#") || word.octets.starts(with: "//".utf8))
        }
    }

    /// The word that was read as the type of a line that starts with a blank, if a type follows it as it
    /// follows an owner.
    private func blankBeforeOwner(
        _ scanner: borrowing MasterFileScanner, typeAt typeIndex: Int
    ) -> String? {
        guard scanner.startsWithBlank, typeIndex == 0 else { return nil }
        let words = scanner.words
        for word in words.dropFirst().prefix(3) where !word.isQuoted {
            if RecordType(mnemonic: word.octets) != nil || Self.isWord(word.octets, "steer") {
                return Self.shown(words[0].octets)
            }
            guard parseSeconds(word.octets) != nil || Self.isInternetClass(word.octets) != nil
            else {
                return nil
            }
        }
        return nil
    }
}
