// The data records that a database's tree points at, numbered in the order in which they lie in the
// file.
//
// Millions of leaves lead to hundreds of thousands of records. One bit for each octet of the data
// section says where a record begins, and a record's number is how many begin before it: no
// hashing, so no file can make it slow, and neighbours in the file, which are neighbours in the
// tree for the most part, are neighbours here.

import DNSWire

/// What a database says of a part of the address space.
enum Finding: BitwiseCopyable {
    /// What a record of its tree leads to.
    case record(UInt32)
    /// The same in all of the part, by its number.
    case number(UInt32)
}

/// The tree of one database with the numbers of its records; of no database, nothing is known
/// anywhere.
///
/// Safe to use while its `LocationDatabase` lives.
struct RecordIndex {
    let tree: SearchTree?
    /// Records of the tree below this are nodes.
    let nodeCount: UInt32
    /// One bit for each octet of the data section, the lowest first.
    private var starts: [UInt64] = []
    /// How many records begin before each word of `starts`.
    private var counts: [UInt32] = []
    /// How many records there are. They are numbered from 1 on; 0 is that nothing is known.
    private(set) var count = 0

    /// Goes through all nodes as they lie.
    init(_ database: LocationDatabase?) throws(CompileFault) {
        tree = database?.tree
        nodeCount = database?.tree.nodeCount ?? 0
        guard let database, let tree else { return }
        starts = Array(repeating: 0, count: database.data.count / 64 + 1)
        for node in 0..<nodeCount {
            let (left, right) = tree.children(of: node)
            if left > nodeCount { try mark(left, database.data.count) }
            if right > nodeCount { try mark(right, database.data.count) }
        }
        counts.reserveCapacity(starts.count)
        for word in starts {
            counts.append(UInt32(truncatingIfNeeded: self.count))
            self.count += word.nonzeroBitCount
        }
    }

    @inline(__always)
    private mutating func mark(_ record: UInt32, _ octets: Int) throws(CompileFault) {
        let offset = Int(record) - Int(nodeCount) - SearchTree.separatorLength
        guard offset >= 0, offset < octets else { throw .strayRecord }
        starts[offset >> 6] |= 1 << UInt64(offset & 63)
    }

    /// Goes through the places of the records in the data section, in the order of their numbers.
    func forEachOffset(_ body: (Int) throws(CompileFault) -> Void) throws(CompileFault) {
        for (index, word) in starts.enumerated() {
            var rest = word
            while rest != 0 {
                try body(index << 6 | rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
    }

    /// The number of what a record of the tree that is no node leads to.
    @inline(__always)
    func number(of record: UInt32) throws(CompileFault) -> UInt32 {
        guard record != nodeCount else { return 0 }
        let offset = Int(record) - Int(nodeCount) - SearchTree.separatorLength
        let word = offset >> 6
        // Each that the tree has was seen: this is one that was written while the file was in use.
        guard offset >= 0, word < starts.count else { throw .strayRecord }
        let bit = 1 << UInt64(offset & 63) as UInt64
        guard starts[word] & bit != 0 else { throw .strayRecord }
        return counts[word] &+ UInt32((starts[word] & (bit &- 1)).nonzeroBitCount) &+ 1
    }

    // MARK: - Going down

    /// What is found of a whole family.
    func root(_ family: IPAddress.Family) -> Finding {
        guard let tree else { return .number(0) }
        guard family == .ipv6 else { return .record(tree.ipv4Root) }
        return tree.ipv6Root.map { .record($0) } ?? .number(0)
    }

    /// What is found of the halves of a part; nil if its halves are alike.
    @inline(__always)
    func halves(of finding: Finding) -> (left: Finding, right: Finding)? {
        guard case .record(let record) = finding, record < nodeCount, let tree else { return nil }
        let (left, right) = tree.children(of: record)
        return (.record(left), .record(right))
    }
}
