// Query in, answer out (stub until the codec lands: refuses everything).

public import DNSWire

/// How a query came; decides the size limit and which options make sense.
public enum Carrier: UInt8, Sendable, BitwiseCopyable {
    case udp
    case tcp
}

/// One worker's way from a query to its answer, with the space it reuses for every query.
public struct Responder: ~Copyable {
    /// The largest answer ever written, in octets: what TCP's length field can say.
    public static let maximumAnswerLength = 65_535

    /// - Parameter seed: starts this worker's random numbers (weighted draws).
    public init(seed: UInt64) {}

    /// Answers one message and returns the answer's length in octets; 0 means "send nothing".
    ///
    /// - Parameters:
    ///   - query: the message as received, without TCP's length.
    ///   - source: who sent it.
    ///   - answer: where the answer goes; 65,535 octets for TCP, at least 1,232 for UDP.
    public mutating func respond(
        to query: Span<UInt8>, from source: IPAddress, over carrier: Carrier,
        with snapshot: Snapshot, into answer: inout MutableSpan<UInt8>
    ) -> Int {
        guard query.count >= 12, answer.count >= 12, query[2] & 0x80 == 0 else { return 0 }
        for index in 0..<12 { answer[index] = query[index] }
        answer[2] |= 0x80
        answer[3] = 5
        for index in 4..<12 { answer[index] = 0 }
        return 12
    }
}
