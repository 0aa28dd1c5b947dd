// Looks for a pattern in octets as they come: Thompson's simulation ("Regular expression search
// algorithm", 1968), with the sets of places it meets kept as states of an automaton.
//
// Each octet costs a look into a table or, where the state is new, a walk over the program. The table
// is bounded, and so are all walks together: no text makes it go back, or take long.

/// One search through one text.
final class PatternSearch {
    /// States kept; for others the set of places is made anew at every octet.
    private static let stateLimit = 128

    /// Steps of the program looked at in one search: some 50 ms. A pattern has to count in dozens of
    /// places at once (`a.{0,50}b`), and the text to be made for it, to come near.
    private static let workLimit = 4_000_000

    private let program: [Pattern.Step]
    /// Where a match may begin after the text's first octet.
    private var restart: [Int] = []
    private var states: [[Int]: Int] = [:]
    private var places: [[Int]] = []
    /// For each state and octet the next state; -1 is not known yet.
    private var table: [Int32] = []
    /// Nil where the set of places is none of the states.
    private var state: Int?
    private var current: [Int] = []
    private var work = 0
    private(set) var isFound = false

    /// Whether it has taken so long that it looks no further.
    var isExhausted: Bool { work > Self.workLimit }

    init(_ pattern: Pattern) {
        program = pattern.program
        restart = closure(of: [0], atBeginning: false, atEnd: false)
        let first = closure(of: [0], atBeginning: true, atEnd: false)
        isFound = isMatch(first)
        (state, current) = (add(first), first)
    }

    /// Takes the next octet, and returns whether a match has ended by now.
    func take(_ octet: UInt8) -> Bool {
        guard !isFound, !isExhausted else { return isFound }
        let entry = state.map { $0 << 8 | Int(octet) }
        if let entry, table[entry] >= 0 {
            let known = Int(table[entry])
            (state, current) = (known, places[known])
            return false
        }
        var next = restart
        for place in current {
            if case .octet(let set) = program[place], set.contains(octet) { next.append(place + 1) }
        }
        current = closure(of: next, atBeginning: false, atEnd: false)
        isFound = isMatch(current)
        state = states[current] ?? (places.count < Self.stateLimit ? add(current) : nil)
        if let entry, let state, !isFound { table[entry] = Int32(state) }
        return isFound
    }

    /// Whether the text matches if it ends here.
    var isFoundAtEnd: Bool {
        isFound || isMatch(closure(of: current, atBeginning: false, atEnd: true))
    }

    private func isMatch(_ places: [Int]) -> Bool { places.last == program.count - 1 }

    private func add(_ places: [Int]) -> Int {
        states[places] = self.places.count
        self.places.append(places)
        table += repeatElement(-1, count: 256)
        return self.places.count - 1
    }

    /// All places that are reached from some without an octet, in order; of those that lead on by
    /// themselves, only `end` is kept.
    private func closure(of starts: [Int], atBeginning: Bool, atEnd: Bool) -> [Int] {
        var seen = [Bool](repeating: false, count: program.count)
        var waiting = starts
        var reached: [Int] = []
        while let place = waiting.popLast() {
            work += 1
            guard !seen[place] else { continue }
            seen[place] = true
            switch program[place] {
            case .octet, .match: reached.append(place)
            case .jump(let next): waiting.append(next)
            case .split(let a, let b): waiting += [a, b]
            case .begin: if atBeginning { waiting.append(place + 1) }
            case .end:
                reached.append(place)
                if atEnd { waiting.append(place + 1) }
            }
        }
        return reached.sorted()
    }
}
