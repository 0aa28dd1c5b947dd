// All names that the sources of a zone set mention, each with a number: what the builder works with
// instead of `Name` values, so that a million names are a few arrays.

import DNSWire

/// Numbers names; a name's ancestors have smaller numbers than itself, the root has 0.
struct NameIndex {
    /// The names' wire format, one after the other.
    private(set) var octets: [UInt8] = []
    private(set) var starts: [UInt32] = []
    /// The name without its leftmost label; -1 for the root.
    private(set) var parents: [Int32] = []
    private(set) var labelCounts: [UInt8] = []
    private(set) var hashes: [UInt32] = []
    private var slots: [Int32] = Array(repeating: -1, count: 1_024)

    /// Octets that all names together may take, by default: what `Node.nameStart` can say. The last
    /// name and its ancestors, 16,384 octets at most, may go beyond.
    static let maximumOctets = Int(Int32.max)
    private let octetLimit: Int

    init(octetLimit: Int = Self.maximumOctets) {
        self.octetLimit = octetLimit
        _ = intern(.root)
    }

    /// Makes room for so many names and their octets.
    mutating func reserveCapacity(_ count: Int, octets length: Int) {
        octets.reserveCapacity(length)
        starts.reserveCapacity(count)
        parents.reserveCapacity(count)
        labelCounts.reserveCapacity(count)
        hashes.reserveCapacity(count)
    }

    /// Whether no more names may be added.
    var isFull: Bool { octets.count > octetLimit }

    var count: Int { starts.count }

    /// Returns the number of a name; it and its ancestors get one if they have none.
    mutating func intern(_ name: Name) -> Int32 {
        intern(name.wire, from: 0, to: name.wire.count)
    }

    /// The same of a name in canonical wire format that stands among other octets.
    mutating func intern(_ octets: [UInt8], _ range: Range<Int>) -> Int32 {
        intern(octets, from: range.lowerBound, to: range.upperBound)
    }

    /// Returns the number of a name, or nil if nothing mentions it.
    func number(of name: Name) -> Int32? { number(of: name.wire, from: 0) }

    /// The same of the name that begins at a place of a longer one in canonical wire format.
    func number(of wire: [UInt8], from start: Int) -> Int32? {
        let hash = wireHash(wire.span, from: start, to: wire.count)
        let found = find(wire, from: start, to: wire.count, hash: hash)
        return found < 0 ? nil : found
    }

    /// Where the name's octets lie in `octets`.
    func range(of name: Int32) -> Range<Int> {
        let start = Int(starts[Int(name)])
        let next = Int(name) + 1
        return start..<(next < starts.count ? Int(starts[next]) : octets.count)
    }

    func name(_ number: Int32) -> Name { Name(uncheckedWire: octets[range(of: number)]) }

    /// Whether a name is another or below it.
    func isSubdomain(_ name: Int32, of other: Int32) -> Bool {
        var ancestor = name
        while labelCounts[Int(ancestor)] > labelCounts[Int(other)] {
            ancestor = parents[Int(ancestor)]
        }
        return ancestor == other
    }

    /// Whether the leftmost label is a lone asterisk.
    func isWildcard(_ name: Int32) -> Bool {
        let range = range(of: name)
        return range.count > 2 && octets[range.lowerBound] == 1
            && octets[range.lowerBound + 1] == UInt8(ascii: "*")
    }

    /// Recurses once a label, so at most 127 deep.
    private mutating func intern(_ wire: [UInt8], from start: Int, to end: Int) -> Int32 {
        let hash = wireHash(wire.span, from: start, to: end)
        let found = find(wire, from: start, to: end, hash: hash)
        if found >= 0 { return found }
        let isRoot = wire[start] == 0
        let parent = isRoot ? -1 : intern(wire, from: start + 1 + Int(wire[start]), to: end)
        let number = Int32(count)
        starts.append(UInt32(octets.count))
        octets += wire[start..<end]
        parents.append(parent)
        labelCounts.append(isRoot ? 0 : labelCounts[Int(parent)] + 1)
        hashes.append(hash)
        if count * 2 > slots.count { grow() } else { insert(number) }
        return number
    }

    private func find(_ wire: [UInt8], from start: Int, to end: Int, hash: UInt32) -> Int32 {
        let mask = slots.count - 1
        var position = Int(hash) & mask
        while true {
            let name = slots[position]
            if name < 0 { return -1 }
            if hashes[Int(name)] == hash, octets[range(of: name)] == wire[start..<end] {
                return name
            }
            position = (position + 1) & mask
        }
    }

    private mutating func insert(_ name: Int32) {
        let mask = slots.count - 1
        var position = Int(hashes[Int(name)]) & mask
        while slots[position] >= 0 { position = (position + 1) & mask }
        slots[position] = name
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        for name in 0..<Int32(count) { insert(name) }
    }
}
