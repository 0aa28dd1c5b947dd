// MaxMind databases: the input is the file. It is opened as the server opens it, through
// libmaxminddb; Rhumb's own reader then gets it once more in memory that the sanitizer guards, which a
// mapped file is not.

import DNSWire
import Glibc

@testable import Geo

extension FuzzTarget {
    static let mmdb = FuzzTarget(name: "mmdb", maximumLength: 16_384) {
        let file = FuzzFile()
        return { octets in
            file.write(octets)
            guard let database = try? LocationDatabase(path: file.path, [.city, .country, .asn])
            else { return nil }
            if let fault = readerFault(octets, database) { return fault }
            return compilerFault(database)
        }
    }
}

private let clients = [
    "0.0.0.0", "192.0.2.1", "198.51.100.7", "255.255.255.255", "::", "2001:db8::1",
    "2001:db8:ffff::", "8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
].compactMap { IPAddress($0) }

/// Compiles the database and holds the tree against libmaxminddb's own walk.
private func compilerFault(_ database: LocationDatabase) -> String? {
    for client in clients { _ = database.location(of: client) }
    var known: [Location?: UInt32] = [:]
    let isOfSystems = database.kind == .asn
    let geography = Geography(
        database: isOfSystems ? nil : database, asnDatabase: isOfSystems ? database : nil)
    var asns: Set<UInt32> = []
    database.forEachRecord { location in
        if let asn = location.asn { asns.insert(asn) }
    }
    let tree = try? geography.compile(networks: [], asns: asns) { location, _ in
        let next = UInt32(known.count)
        known[location, default: next] = known[location] ?? next
        return known[location] ?? next
    }
    guard let tree else { return nil }
    for client in clients {
        let found = tree.lookup(client)
        var location = geography.find(client).location
        // Compiling does not read cities; a record of nothing else is no place then.
        location?.city = nil
        if location == Location() { location = nil }
        guard known[location] == found.outcome else {
            return "\(client): the tree says \(found.outcome), the library \(location as Any)"
        }
        guard found.scope <= client.family.rawValue else { return "too long a scope" }
    }
    return nil
}

/// Walks the file's tree and decodes what it leads to, in memory of exactly the file's length.
private func readerFault(_ octets: [UInt8], _ database: LocationDatabase) -> String? {
    let bits = database.tree.length / database.nodeCount * 4
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: octets.count, alignment: 1)
    // Safe: nothing that reads it outlives this function.
    defer { unsafe memory.deallocate() }
    unsafe memory.copyBytes(from: octets)
    let file = UnsafeRawBufferPointer(memory)
    guard
        let tree = unsafe SearchTree(
            section: file, nodeCount: UInt32(database.nodeCount), recordBits: bits,
            isIPv6: database.ipVersion == 6)
    else { return "a tree that fits the mapped file does not fit its copy" }
    let start = tree.length + SearchTree.separatorLength
    guard let data = unsafe DataSection(.init(rebasing: file[start...])) else { return nil }
    var decoder = RecordDecoder(data, database.kind == .asn ? .asn : .placeWithCity)
    for node in 0..<min(tree.nodeCount, 2_000) {
        let children = tree.children(of: node)
        for record in [children.left, children.right] where record > tree.nodeCount {
            let offset = Int(record) - Int(tree.nodeCount) - SearchTree.separatorLength
            _ = try? decoder.location(at: offset)
        }
    }
    // Any octet may be where a record is said to begin.
    for offset in stride(from: 0, to: data.count, by: 1 + data.count / 256) {
        _ = try? decoder.location(at: offset)
    }
    return nil
}

/// A file in memory that is written again for each input.
private final class FuzzFile: Sendable {
    let path: String
    private let descriptor: Int32

    init() {
        var template = Array("/dev/shm/rhumb-fuzz-XXXXXX".utf8CString)
        // Safe: the template is terminated and ours.
        descriptor = unsafe mkstemp(&template)
        precondition(descriptor >= 0, "a file can be made in /dev/shm")
        let name = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // Safe: the path is a string. The descriptor's own path leads to it, and nothing stays behind.
        unsafe unlink(name)
        path = "/proc/self/fd/\(descriptor)"
    }

    func write(_ octets: [UInt8]) {
        ftruncate(descriptor, 0)
        // Safe: as many octets are written as the array has.
        let count = unsafe octets.withUnsafeBytes { bytes in
            unsafe pwrite(descriptor, bytes.baseAddress, bytes.count, 0)
        }
        precondition(count == octets.count, "the file can be written")
    }
}
