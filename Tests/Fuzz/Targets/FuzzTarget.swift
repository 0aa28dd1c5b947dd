// What a fuzz target is: octets in, a fault in words or nothing out. The driver has libFuzzer give the
// octets, the replay takes the checked-in seeds.

/// One reader of hostile octets, and what must hold of it.
struct FuzzTarget: Sendable {
    /// The name on the command line, and of the folders of its seeds and findings.
    let name: String
    /// The longest input that makes sense, in octets.
    let maximumLength: Int
    /// Makes ready what all inputs share, and returns what to call for each.
    let prepare: @Sendable () throws -> Run

    /// Says what is wrong, or nil. A trap or a sanitizer's report is a fault as well.
    typealias Run = (_ input: [UInt8]) -> String?

    static let all: [FuzzTarget] = [
        .message, .name, .edns, .rdata, .zone, .pools, .overrides, .latency, .mmdb, .tcp, .respond,
        .probes,
    ]
}

/// Takes an input apart: what is missing at its end reads as zero, so that every input is one.
struct FuzzInput {
    private(set) var rest: ArraySlice<UInt8>

    init(_ octets: [UInt8]) { rest = octets[...] }

    mutating func octet() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func word() -> UInt16 { UInt16(octet()) << 8 | UInt16(octet()) }

    /// The next octets, fewer if there aren't as many.
    mutating func octets(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}
