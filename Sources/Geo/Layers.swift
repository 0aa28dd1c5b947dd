// What a descent goes through beside databases: networks, each with what holds in it.

import DNSWire

/// Why compiling stopped.
enum CompileFault: Error {
    /// A record of the search tree that points nowhere.
    case strayRecord
    /// The search tree is deeper than addresses have bits, or its branches meet again.
    case tangledTree
    /// The same of the ASN database, where both are walked together.
    case straySystem, tangledSystems
    /// A data record that contradicts the format.
    case corruptRecord
    /// More outcomes or networks than the tree can number.
    case tooLarge
}

/// What is read of a data record, unless that contradicts the format.
func readSoundly<Value>(_ read: () throws(DataFault) -> Value) throws(CompileFault) -> Value {
    do throws(DataFault) { return try read() } catch { throw .corruptRecord }
}

/// What holds in a network.
enum Layer: BitwiseCopyable {
    case fold(FoldedSpace)
    /// What databases say in here does not count.
    case special
    /// The number of a place that holds in place of the database's.
    case place(UInt32)
    /// The same for AS numbers.
    case system(UInt32)
    /// The network is in the list of that index.
    case list(Int)
    /// The network has that number.
    case numbered(Int)
}

/// One network that a descent has to look at; sorted, they stand in descent order, IPv4 first.
struct LayerEntry: BitwiseCopyable {
    var network: IPNetwork
    var layer: Layer

    static func precedes(_ a: LayerEntry, _ b: LayerEntry) -> Bool {
        let families = (a.network.address.family.rawValue, b.network.address.family.rawValue)
        guard families.0 == families.1 else { return families.0 < families.1 }
        return (a.network.address.high, a.network.address.low, a.network.length)
            < (b.network.address.high, b.network.address.low, b.network.length)
    }

    /// The index of the first entry of a sorted range whose address has a one at that bit.
    static func first(
        of entries: [LayerEntry], in range: Range<Int>, withBit bit: Int
    ) -> Int {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = low + (high - low) / 2
            let address = entries[middle].network.address
            let word = bit < 64 ? address.high : address.low
            if word >> UInt64(63 - (bit & 63)) & 1 == 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
