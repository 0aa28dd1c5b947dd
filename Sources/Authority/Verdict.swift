// What a response says apart from its records: what the responder decides on the way, and writes into
// header and OPT at the end.

import DNSWire

struct Verdict {
    var code: UInt16 = ResponseCode.noError
    var isAuthoritative = false
    var isTruncated = false
    /// How much of the client's prefix the answer depended on.
    var scope: UInt8 = 0
    var extendedError = ExtendedError.none

    mutating func fail(_ code: UInt16, _ error: ExtendedError) {
        self.code = code
        isAuthoritative = false
        extendedError = error
    }

    mutating func refuse(_ error: ExtendedError) { fail(ResponseCode.refused, error) }

    /// The scope for the ECS option; zero where the prefix was not used (RFC 7871, section 7.2.1).
    func answeredScope(_ query: borrowing Query) -> UInt8 {
        query.subnet.sourceLength > 0 ? scope : 0
    }

    /// The header's second pair of octets: QR, the query's opcode and RD, and what was decided.
    ///
    /// RA and AD stay clear as nothing is resolved here, and so does CD (RFC 4035, section 3.1.6).
    func flags(_ packet: Span<UInt8>) -> UInt16 {
        let kept = packet.uint16(at: 2) & 0x7900
        return 0x8000 | kept
            | (isAuthoritative ? 0x0400 : 0)
            | (isTruncated ? 0x0200 : 0)
            | (code & 0x000F)
    }
}

/// Info codes (RFC 8914, section 4).
enum ExtendedError: UInt16 {
    case none = 0xFFFF
    case other = 0
    case prohibited = 18
    case notAuthoritative = 20
    case notSupported = 21
    /// RFC 9824, section 9.
    case invalidQueryType = 30
}

/// What to answer to a question that is none about data in a zone.
enum QuestionKind {
    /// Types that zones hold, and ANY.
    case data
    /// AXFR and IXFR.
    case transfer
    /// Types that stand in messages but are never asked for.
    case invalid
    /// Query types that nothing here answers: MAILA, MAILB, TKEY, and what is not assigned yet.
    case unsupported

    init(_ type: RecordType) {
        guard type.isMeta else {
            self = .data
            return
        }
        switch type {
        case .any: self = .data
        case .ixfr, .axfr: self = .transfer
        case RecordType(0), .opt, .nxname, .tsig: self = .invalid
        default: self = .unsupported
        }
    }
}
