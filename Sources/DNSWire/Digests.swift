// The digests in record data, whose type says how long they are.

extension RecordType {
    /// Says what is wrong with the length of a digest in well-formed data; nil if nothing is, or there is none.
    ///
    /// Nothing can match such a digest, but it is data like any other: a server may answer with it.
    public func digestFault(in rdata: [UInt8]) -> String? {
        guard let (headerLength, lengths) = digests, rdata.count > headerLength else { return nil }
        let digestType = rdata[headerLength - 1]
        let length = rdata.count - headerLength
        if let expected = lengths[digestType], length != expected {
            return "a digest of \(Self.octets(length)) where type \(digestType) has \(expected); "
                + "is it cut off?"
        }
        // RFC 8976, section 2.2.4, for every type of digest.
        return code == 63 && length < 12
            ? "a digest of \(Self.octets(length)) where the least is 12; is it cut off?" : nil
    }

    private static func octets(_ count: Int) -> String {
        count == 1 ? "1 octet" : "\(count) octets"
    }

    /// How many octets stand before a digest, the last of which is its type, and the lengths of the types
    /// that are assigned.
    private var digests: (headerLength: Int, lengths: [UInt8: Int])? {
        switch code {
        // DS and CDS: SHA-1, SHA-256, GOST, SHA-384 (RFC 3658, 4509, 5933, 6605).
        case 43, 59: (4, [1: 20, 2: 32, 3: 32, 4: 48])
        // SSHFP: SHA-1, SHA-256 (RFC 4255, 6594).
        case 44: (2, [1: 20, 2: 32])
        // TLSA and SMIMEA by a digest: SHA-256, SHA-512 (RFC 6698, section 2.1.3; RFC 8162).
        case 52, 53: (3, [1: 32, 2: 64])
        // ZONEMD: SHA-384, SHA-512 (RFC 8976, section 5.3).
        case 63: (6, [1: 48, 2: 64])
        default: nil
        }
    }
}
