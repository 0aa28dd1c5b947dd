// Regular expressions for what origins answer, read into a program of small steps.
//
//     abc  .  [a-z_]  [^"]  \d \w \s \D \W \S  \. \r \n \t  (…)  (?:…)  a|b  *  +  ?  {2}  {2,}  {2,5}
//     ^ and $: the beginning and the end of what is looked at; (?i) in front: ASCII letters of either case
//
// They are about octets: `.` is any but a line feed, `ü` is two. There is nothing that needs to go
// back, as \1 or (?=…) would: PatternSearch looks at every octet once, whoever sends it.

/// A regular expression.
struct Pattern: Sendable, Hashable {
    /// What a search does at one place of a program.
    enum Step: Sendable, Hashable {
        /// Goes on to the next step with an octet of the set.
        case octet(OctetSet)
        /// Goes on at both places.
        case split(Int, Int)
        case jump(Int)
        /// Goes on at the beginning of the text only.
        case begin
        /// Goes on at the end of the text only.
        case end
        case match
    }

    /// Steps of a program, repetitions written out: it bounds what one octet can cost.
    static let largestProgram = 300
    /// Groups within groups; it bounds the reader's own stack.
    fileprivate static let deepestGroup = 20

    let text: String
    let program: [Step]

    /// - Throws: what is wrong with it, and the cure.
    init(_ text: String) throws(PatternError) {
        var reader = PatternReader(text)
        self.text = text
        program = try reader.read()
    }
}

/// Why a text is no pattern, in words.
struct PatternError: Error {
    let description: String
}

/// A set of octets.
struct OctetSet: Sendable, Hashable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    static func == (a: Self, b: Self) -> Bool { a.words == b.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }

    init(_ octets: some Sequence<UInt8> = []) {
        for octet in octets { insert(octet) }
    }

    func contains(_ octet: UInt8) -> Bool {
        let bit = UInt64(1) << UInt64(octet & 63)
        return switch octet >> 6 {
        case 0: words.0 & bit != 0
        case 1: words.1 & bit != 0
        case 2: words.2 & bit != 0
        default: words.3 & bit != 0
        }
    }

    mutating func insert(_ octet: UInt8) {
        let bit = UInt64(1) << UInt64(octet & 63)
        switch octet >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    mutating func formUnion(_ other: OctetSet) {
        words.0 |= other.words.0
        words.1 |= other.words.1
        words.2 |= other.words.2
        words.3 |= other.words.3
    }

    var inverted: OctetSet { OctetSet((0...255).filter { !contains($0) }) }

    /// With the other case of every ASCII letter in it.
    var caseless: OctetSet {
        var set = self
        for letter in UInt8(ascii: "a")...UInt8(ascii: "z") {
            if contains(letter) { set.insert(letter - 32) }
            if contains(letter - 32) { set.insert(letter) }
        }
        return set
    }

    static let digits = OctetSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
    static let spaces = OctetSet([9, 10, 11, 12, 13, 32])
    static let wordOctets = OctetSet(
        Array("_0123456789abcdefghijklmnopqrstuvwxyz".utf8)
    ).caseless
}

// MARK: - Reading

/// Reads a pattern from left to right; programs of parts have places relative to their start.
private struct PatternReader {
    private typealias Step = Pattern.Step

    private var rest: ArraySlice<UInt8>
    private var isCaseless = false
    private var depth = 0

    init(_ text: String) { rest = Array(text.utf8)[...] }

    mutating func read() throws(PatternError) -> [Pattern.Step] {
        let flag = Array("(?i)".utf8)
        if rest.starts(with: flag) {
            isCaseless = true
            rest = rest.dropFirst(flag.count)
        }
        let program = try alternatives()
        guard rest.isEmpty else { throw PatternError(description: "a ) without its (") }
        return try bounded(program + [.match])
    }

    private func bounded(_ program: [Step]) throws(PatternError) -> [Step] {
        guard program.count <= Pattern.largestProgram else {
            throw PatternError(
                description: "more than \(Pattern.largestProgram) steps with its repetitions "
                    + "written out; make it shorter")
        }
        return program
    }

    private mutating func take(_ character: Character) -> Bool {
        guard let octet = rest.first, octet == character.asciiValue else { return false }
        rest = rest.dropFirst()
        return true
    }

    private mutating func alternatives() throws(PatternError) -> [Step] {
        var program = try sequence()
        while take("|") {
            let other = try sequence()
            program = try bounded(
                [.split(1, program.count + 2)] + shifted(program, 1)
                    + [.jump(program.count + 2 + other.count)]
                    + shifted(other, program.count + 2))
        }
        return program
    }

    private mutating func sequence() throws(PatternError) -> [Step] {
        var program: [Step] = []
        while let octet = rest.first, octet != UInt8(ascii: "|"), octet != UInt8(ascii: ")") {
            let piece = try repeated(try atom())
            program = try bounded(program + shifted(piece, program.count))
        }
        return program
    }

    private func shifted(_ program: [Step], _ distance: Int) -> [Step] {
        program.map { step in
            switch step {
            case .split(let a, let b): .split(a + distance, b + distance)
            case .jump(let a): .jump(a + distance)
            default: step
            }
        }
    }

    // MARK: Repetition

    private mutating func repeated(_ atom: [Step]) throws(PatternError) -> [Step] {
        var program = atom
        while let (least, most) = try repetition() {
            var copies: [Step] = []
            for _ in 0..<least { copies = try bounded(copies + shifted(program, copies.count)) }
            if let most {
                // Each further one may be left out with all that follow.
                let end = copies.count + (most - least) * (program.count + 1)
                for _ in least..<max(most, least) {
                    let start = copies.count
                    copies = try bounded(
                        copies + [.split(start + 1, end)] + shifted(program, start + 1))
                }
            } else {
                let start = copies.count
                copies +=
                    [.split(start + 1, start + program.count + 2)] + shifted(program, start + 1)
                    + [.jump(start)]
            }
            program = try bounded(copies)
        }
        return program
    }

    /// How often what stands before it is wanted; nil if no repetition follows.
    private mutating func repetition() throws(PatternError) -> (least: Int, most: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        guard take("{") else { return nil }
        let fault = PatternError(
            description: "{ has to begin a count as {2}, {2,} or {2,5}; or write \\{")
        guard let least = number() else { throw fault }
        guard take(",") else {
            guard take("}") else { throw fault }
            return (least, least)
        }
        if take("}") { return (least, nil) }
        guard let most = number(), most >= least, take("}") else { throw fault }
        return (least, most)
    }

    private mutating func number() -> Int? {
        let digits = rest.prefix { OctetSet.digits.contains($0) }
        rest = rest.dropFirst(digits.count)
        return digits.count <= 3 ? Int(String(decoding: digits, as: UTF8.self)) : nil
    }

    // MARK: Atoms

    private mutating func atom() throws(PatternError) -> [Step] {
        let octet = rest.removeFirst()
        switch octet {
        case UInt8(ascii: "("): return try group()
        case UInt8(ascii: "["): return [.octet(try brackets())]
        case UInt8(ascii: "."): return [.octet(OctetSet([10]).inverted)]
        case UInt8(ascii: "^"): return [.begin]
        case UInt8(ascii: "$"): return [.end]
        case UInt8(ascii: "\\"): return [set(try escaped())]
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"):
            throw PatternError(
                description: "nothing to repeat before \(Character(Unicode.Scalar(octet))); "
                    + "write \\\(Character(Unicode.Scalar(octet))) for the character itself")
        case 0xC0...:
            // A character of several octets is one thing to repeat.
            let tail = rest.prefix { $0 & 0xC0 == 0x80 }
            rest = rest.dropFirst(tail.count)
            return ([octet] + tail).map { .octet(OctetSet([$0])) }
        default: return [set(OctetSet([octet]))]
        }
    }

    private func set(_ set: OctetSet) -> Step { .octet(isCaseless ? set.caseless : set) }

    private mutating func group() throws(PatternError) -> [Step] {
        if take("?") {
            guard take(":") else {
                throw PatternError(
                    description: "only (?:…) and, in front of all, (?i) may follow \"(?\"")
            }
        }
        depth += 1
        guard depth <= Pattern.deepestGroup else {
            throw PatternError(
                description: "more than \(Pattern.deepestGroup) groups in each other")
        }
        let program = try alternatives()
        guard take(")") else { throw PatternError(description: "a ( without its )") }
        depth -= 1
        return program
    }

    /// What a backslash and the next octet stand for.
    private mutating func escaped() throws(PatternError) -> OctetSet {
        guard let octet = rest.popFirst() else {
            throw PatternError(description: "it ends in a backslash; write \\\\ for one")
        }
        switch octet {
        case UInt8(ascii: "d"): return .digits
        case UInt8(ascii: "D"): return OctetSet.digits.inverted
        case UInt8(ascii: "w"): return .wordOctets
        case UInt8(ascii: "W"): return OctetSet.wordOctets.inverted
        case UInt8(ascii: "s"): return .spaces
        case UInt8(ascii: "S"): return OctetSet.spaces.inverted
        case UInt8(ascii: "r"): return OctetSet([13])
        case UInt8(ascii: "n"): return OctetSet([10])
        case UInt8(ascii: "t"): return OctetSet([9])
        default:
            guard !OctetSet.wordOctets.contains(octet), octet < 0x80 else {
                throw PatternError(
                    description: "\\\(String(decoding: [octet], as: UTF8.self)) means nothing here")
            }
            return OctetSet([octet])
        }
    }

    private mutating func brackets() throws(PatternError) -> OctetSet {
        let isInverted = take("^")
        var set = OctetSet()
        var isFirst = true
        while isFirst || !take("]") {
            isFirst = false
            guard let (octet, several) = try member() else {
                throw PatternError(description: "a [ without its ]")
            }
            if let several { set.formUnion(several) }
            guard let octet else { continue }
            guard rest.first == UInt8(ascii: "-"), rest.dropFirst().first != UInt8(ascii: "]")
            else {
                set.insert(octet)
                continue
            }
            rest = rest.dropFirst()
            guard let last = try member()?.octet, last >= octet else {
                throw PatternError(description: "a range in [ ] that does not rise, as a-z does")
            }
            for octet in octet...last { set.insert(octet) }
        }
        if isCaseless { set = set.caseless }
        return isInverted ? set.inverted : set
    }

    /// The next of a bracket: an octet, or several by their class; nil at the end of the text.
    private mutating func member() throws(PatternError) -> (octet: UInt8?, several: OctetSet?)? {
        guard let octet = rest.popFirst() else { return nil }
        guard octet < 0x80 else {
            throw PatternError(description: "only ASCII in [ ]; write (?:ä|ö) for others")
        }
        // POSIX's classes would be read as the letters that they are written with.
        if octet == UInt8(ascii: "["), let next = rest.first, ":.=".utf8.contains(next) {
            throw PatternError(
                description: "classes as [:digit:] are not known; write \\d, \\w, \\s or a-z, and "
                    + "\\[ for the character itself")
        }
        guard octet == UInt8(ascii: "\\") else { return (octet, nil) }
        let next = rest.first
        let set = try escaped()
        // What an escape stands for alone may begin and end a range.
        let single = next.flatMap { OctetSet.wordOctets.contains($0) ? nil : $0 }
        return single.map { ($0, nil) } ?? (nil, set)
    }
}
