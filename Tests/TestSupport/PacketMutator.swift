// Broken packets, made from whole ones by a seeded generator: the same seed, the same packets.

/// SplitMix64, so that a failure comes again with its seed.
public struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
    }
}

/// Makes packets that are nearly queries.
public struct PacketMutator: Sendable {
    private let queries: [[UInt8]]
    private var random: SeededRandom

    /// - Parameter queries: whole ones to start from, not empty.
    public init(_ queries: [[UInt8]], seed: UInt64) {
        precondition(!queries.isEmpty, "something to mutate")
        self.queries = queries
        random = SeededRandom(seed: seed)
    }

    /// Returns a query with one to four changes; one in sixteen stays whole.
    public mutating func next() -> [UInt8] {
        var packet = queries[Int.random(in: 0..<queries.count, using: &random)]
        if Int.random(in: 0..<16, using: &random) == 0 { return packet }
        for _ in 0..<Int.random(in: 1...4, using: &random) { change(&packet) }
        return packet
    }

    private mutating func change(_ packet: inout [UInt8]) {
        guard !packet.isEmpty else { return }
        let place = Int.random(in: 0..<packet.count, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1: packet[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        // What lengths, counts and pointers look like at their limits.
        case 2, 3:
            packet[place] = [0, 1, 12, 63, 64, 127, 128, 192, 255].randomElement(using: &random)!
        case 4: packet[place] = .random(in: 0...255, using: &random)
        case 5: packet.removeLast(packet.count - place)
        case 6:
            packet += (0..<Int.random(in: 1...40, using: &random)).map { _ in UInt8(place & 255) }
        // The beginning of one query, the end of another.
        case 7:
            let other = queries.randomElement(using: &random)!
            packet =
                packet.prefix(place) + other.suffix(Int.random(in: 0...other.count, using: &random))
        // A part twice, or not at all.
        case 8: packet.insert(contentsOf: packet[place...], at: place)
        default:
            packet.removeSubrange(
                place..<min(packet.count, place + Int.random(in: 1...8, using: &random)))
        }
        // What a datagram to a name server may be; longer ones come by the tests of transport.
        if packet.count > 1_232 { packet.removeLast(packet.count - 1_232) }
    }
}
