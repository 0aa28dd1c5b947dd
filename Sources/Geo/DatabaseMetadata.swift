// The end of a MaxMind database's file, looked at before libmaxminddb opens it.
//
// The library multiplies the number of nodes that the metadata state by their size in 32 bits (1.7.1, as
// in Debian 12): for a file that states 2^32 - 1 of them it walks a tree that is not there, and reads
// outside of the mapping. Format: MaxMind DB File Format Specification 2.0, "Database Metadata".

internal import Glibc

enum DatabaseMetadata {
    /// Where the metadata can begin: in the last 128 KiB, by the specification.
    private static let maximumLength = 131_072
    private static let marker = [0xAB, 0xCD, 0xEF] + Array("MaxMind.com".utf8)

    /// Whether the metadata state a search tree, and one that can lie in the file before them; nil if the
    /// file can't be read or has no metadata, which the library tells well.
    static func treeFits(_ descriptor: Int32, octets size: Int) -> Bool? {
        let start = max(0, size - maximumLength)
        var octets = [UInt8](repeating: 0, count: size - start)
        let count = unsafe octets.withUnsafeMutableBytes { buffer in
            // Safe: the buffer is as long as is asked for.
            unsafe pread(descriptor, buffer.baseAddress, buffer.count, off_t(start))
        }
        guard count == octets.count, let place = lastMarker(in: octets) else { return nil }
        return unsafe octets.withUnsafeBytes { buffer -> Bool in
            // Safe: the section is used within this closure alone.
            let metadata = unsafe UnsafeRawBufferPointer(
                rebasing: buffer[(place + marker.count)...])
            guard let section = unsafe DataSection(metadata),
                let (nodes, bits) = (try? sizes(section)) ?? nil
            else { return false }
            let tree = nodes.multipliedReportingOverflow(by: bits / 4)
            return !tree.overflow
                && tree.partialValue <= start + place - SearchTree.separatorLength
        }
    }

    private static func lastMarker(in octets: [UInt8]) -> Int? {
        guard octets.count >= marker.count else { return nil }
        return (0...octets.count - marker.count).last { octets[$0...].starts(with: marker) }
    }

    /// How many nodes there are, and how many bits a record has; nil without both.
    private static func sizes(_ section: DataSection) throws(DataFault) -> (Int, Int)? {
        let map = try section.value(at: 0)
        guard map.type == .map else { return nil }
        var nodes: Int?
        var bits: Int?
        var cursor = map.payload
        var budget = RecordDecoder.maximumValues
        for _ in 0..<map.size {
            // The first of several counts, as in the library.
            switch try section.key(at: &cursor) {
            case .nodeCount where nodes == nil: nodes = try section.integer(at: cursor)
            case .recordSize where bits == nil: bits = try section.integer(at: cursor)
            default: break
            }
            try section.skip(&cursor, &budget)
        }
        guard let nodes, let bits else { return nil }
        return (nodes, bits)
    }
}
