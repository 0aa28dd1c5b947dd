// A MaxMind database on disk, opened through libmaxminddb: the one file that knows the library.
//
// Queries never come here. `Geography` compiles the tree once, and asks for single addresses to
// explain a decision.

internal import CMaxMindDB
public import DNSWire
internal import Glibc
internal import Synchronization

/// An open database of the City, Country or ASN kind, any vendor's.
///
/// The file is mapped, not read: replace it by renaming another over it, never by writing into it. Where one
/// is cut off all the same, it counts as one that knows nothing (`isIntact`), and nothing is compiled of
/// one that was written into (`checkFile`).
@safe public final class LocationDatabase: Sendable {
    /// What the records can hold.
    public enum Kind: String, Sendable {
        /// Countries with subdivisions, cities and coordinates.
        case city = "City"
        /// Countries and continents alone: nothing to measure a distance to.
        case country = "Country"
        /// The autonomous systems that announce networks, and nothing of places.
        case asn = "ASN"

        /// The kinds that say where an address is.
        public static let places: Set<Kind> = [.city, .country]
    }

    public let path: String
    public let kind: Kind
    /// What the vendor calls it, as `GeoLite2-City`.
    public let type: String
    /// When the vendor made it, in seconds since 1970.
    public let buildDate: UInt64
    public let nodeCount: Int
    /// 4 or 6; a database of 4 knows nothing of IPv6 addresses.
    public let ipVersion: Int

    /// The file itself, whatever its name leads to by now; for `isIntact`.
    private let descriptor: Int32
    private let mappedOctets: Int64
    private let opened: FileVersion
    private let knownFacts = Mutex<DatabaseFacts?>(nil)
    let tree: SearchTree
    let data: DataSection
    /// Never written after `init`; the library's readers take it as const.
    private nonisolated(unsafe) let handle: UnsafeMutablePointer<MMDB_s>

    /// Opens and checks a database.
    ///
    /// Whole trees are checked while they are compiled, where each node is read anyway.
    ///
    /// - Parameter kinds: what it may be; another kind is an error that says so (`isOtherKind`).
    public init(path: String, _ kinds: Set<Kind> = Kind.places) throws(GeoError) {
        let (descriptor, opened) = try Self.open(path)
        let handle: UnsafeMutablePointer<MMDB_s>
        do throws(GeoError) {
            unsafe handle = try Self.map(path, opened)
        } catch {
            close(descriptor)
            throw error
        }
        do throws(GeoError) {
            // Safe: opened above; the mapping has `file_size` octets and lives until `deinit`.
            let file = unsafe UnsafeRawBufferPointer(
                start: handle.pointee.file_content, count: Int(handle.pointee.file_size))
            let metadata = unsafe handle.pointee.metadata
            let type = unsafe metadata.database_type.map { unsafe String(cString: $0) } ?? ""
            let version = unsafe Int(metadata.ip_version)
            let kind = try Self.kind(ofType: type, among: kinds, path: path)
            guard version == 4 || version == 6,
                let tree = unsafe SearchTree(
                    section: file, nodeCount: metadata.node_count,
                    recordBits: Int(metadata.record_size), isIPv6: version == 6)
            else { throw Self.damaged(path, "its search tree doesn't fit into the file") }
            let start = tree.length + SearchTree.separatorLength
            guard let data = unsafe DataSection(.init(rebasing: file[start...]))
            else { throw Self.damaged(path, "it has no data") }
            self.path = path
            self.descriptor = descriptor
            mappedOctets = Int64(file.count)
            self.opened = opened
            self.kind = kind
            self.type = type
            buildDate = unsafe metadata.build_epoch
            nodeCount = Int(tree.nodeCount)
            ipVersion = version
            self.tree = tree
            self.data = data
            unsafe self.handle = handle
        } catch {
            close(descriptor)
            // Safe: opened above and not used after.
            unsafe MMDB_close(handle)
            unsafe handle.deallocate()
            throw error
        }
        let facts = lookUpFacts()
        knownFacts.withLock { $0 = facts }
    }

    /// What is known of it since it was opened, whatever was written into the file since.
    public var facts: DatabaseFacts {
        guard let facts = knownFacts.withLock({ $0 }) else {
            preconditionFailure("`init` looks them up")
        }
        return facts
    }

    /// Opens the file and looks whether the library can be given it.
    ///
    /// - Returns: the descriptor, and the file as it was before anything of it was read.
    private static func open(_ path: String) throws(GeoError) -> (Int32, FileVersion) {
        // Not to wait for a writer if it is a pipe.
        // Safe: the path lives through the call.
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw GeoError(path: path, message(status: MMDB_FILE_OPEN_ERROR, systemError: errno))
        }
        let fault: GeoError
        if let opened = FileVersion(descriptor), opened.isRegular {
            if DatabaseMetadata.treeFits(descriptor, octets: Int(opened.octets)) != false {
                return (descriptor, opened)
            }
            fault = damaged(path, "its metadata state no search tree that fits into the file")
        } else {
            fault = GeoError(path: path, "is not a regular file; give an unpacked .mmdb file")
        }
        close(descriptor)
        throw fault
    }

    /// Has the library map the file, which takes a name alone: so it is seen to that it still leads there.
    private static func map(
        _ path: String, _ opened: FileVersion
    ) throws(GeoError) -> UnsafeMutablePointer<MMDB_s> {
        let handle = UnsafeMutablePointer<MMDB_s>.allocate(capacity: 1)
        // Safe: the path lives through the call, and the handle is only read if the call succeeded.
        let status = unsafe MMDB_open(path, UInt32(MMDB_MODE_MMAP), handle)
        guard status == MMDB_SUCCESS else {
            let systemError = errno
            unsafe handle.deallocate()
            throw GeoError(path: path, message(status: status, systemError: systemError))
        }
        guard let mapped = FileVersion(path), mapped.isOfFile(of: opened) else {
            // Safe: opened above and not used after.
            unsafe MMDB_close(handle)
            unsafe handle.deallocate()
            throw GeoError(path: path, "was replaced while it was opened; load it once more")
        }
        return unsafe handle
    }

    /// Opens the database to use among several: City before Country, then the one built last.
    ///
    /// Databases of other kinds than asked for may lie beside it and are passed over.
    ///
    /// - Throws: for a file that can't be read at all.
    public static func best(
        among paths: [String], _ kinds: Set<Kind> = Kind.places
    ) throws(GeoError) -> LocationDatabase? {
        var best: LocationDatabase?
        for path in paths {
            do throws(GeoError) {
                let database = try LocationDatabase(path: path, kinds)
                guard let other = best else {
                    best = database
                    continue
                }
                let isBetter =
                    database.kind == other.kind
                    ? database.buildDate >= other.buildDate : database.kind == .city
                if isBetter { best = database }
            } catch {
                guard error.isOtherKind else { throw error }
            }
        }
        return best
    }

    /// Whether the file still has all that was mapped of it: what is cut off can't be read without the
    /// process ending (SIGBUS). A file that was renamed or removed stays whole for those who have it open.
    public var isIntact: Bool { state.map { $0.octets >= mappedOctets } ?? false }

    /// The file as it is now.
    private var state: FileVersion? { FileVersion(descriptor) }

    /// Makes sure that all that was read of the file is of the version that was opened.
    func checkFile() throws(GeoError) {
        guard let state, state.octets >= mappedOctets else {
            throw GeoError(path: path, "was cut off while it was in use; \(Self.renaming)")
        }
        guard state == opened else {
            throw GeoError(path: path, "was written into while it was in use; \(Self.renaming)")
        }
    }

    private static let renaming =
        "put a database beside it under another name and rename that into place (mv), as"
        + " scripts/fetch-geo does"

    deinit {
        close(descriptor)
        // Safe: opened in `init`; nothing that reads the mapping outlives its database.
        unsafe MMDB_close(handle)
        unsafe handle.deallocate()
    }

    /// Looks one address up, by libmaxminddb's own walk; no space is folded here.
    ///
    /// - Returns: what is known, and the network that shares the record, or that shares knowing
    ///   nothing.
    public func location(of address: IPAddress) -> (location: Location?, network: IPNetwork) {
        let (offset, network) = record(of: address)
        var decoder = RecordDecoder(data, kind == .asn ? .asn : .placeWithCity)
        return (offset.flatMap { (try? decoder.location(at: $0)) ?? nil }, network)
    }

    /// Looks up who announces an address; nobody, unless the database is of the kind `asn`.
    public func system(of address: IPAddress) -> (system: AutonomousSystem?, network: IPNetwork) {
        let (offset, network) = record(of: address)
        var decoder = RecordDecoder(data, .asn)
        guard kind == .asn, let offset else { return (nil, network) }
        return ((try? decoder.namedSystem(at: offset)) ?? nil, network)
    }

    /// Goes through what the records say, each once, in no order; ends where one can't be decoded.
    ///
    /// All of them are walked, which takes half a second with a full City database: for warnings.
    public func forEachRecord(withCities: Bool = false, _ body: (Location) -> Void) {
        var decoder = RecordDecoder(
            data, kind == .asn ? .asn : withCities ? .placeWithCity : .place)
        guard isIntact, let records = try? RecordIndex(self) else { return }
        try? records.forEachOffset { offset throws(CompileFault) in
            let location = try readSoundly { () throws(DataFault) in
                try decoder.location(at: offset)
            }
            if let location { body(location) }
        }
    }

    /// The offset of an address's record, and the network that shares it.
    private func record(of address: IPAddress) -> (offset: Int?, network: IPNetwork) {
        let bits = Int(address.family.rawValue)
        var status: Int32 = 0
        let isIntact = isIntact
        let result = isIntact ? unsafe lookup(address, &status) : unsafe MMDB_lookup_result_s()
        var length = unsafe Int(result.netmask)
        // The library counts from the IPv6 root; an IPv4 space that is one record ends above /96.
        if address.family == .ipv4, ipVersion == 6 { length -= 96 }
        if status != MMDB_SUCCESS || !isIntact { length = 0 }
        guard let network = IPNetwork(address, length: min(max(length, 0), bits)) else {
            preconditionFailure("a length within the family's bits makes a network")
        }
        guard status == MMDB_SUCCESS, unsafe result.found_entry else { return (nil, network) }
        return (unsafe Int(result.entry.offset), network)
    }

    private func lookup(_ address: IPAddress, _ status: inout Int32) -> MMDB_lookup_result_s {
        var storage = sockaddr_storage()
        // Safe: the storage is large and aligned enough for each family, and outlives the call.
        return unsafe withUnsafeMutablePointer(to: &storage) { storage in
            let raw = UnsafeMutableRawPointer(storage)
            switch address.family {
            case .ipv4:
                let socket = unsafe raw.bindMemory(to: sockaddr_in.self, capacity: 1)
                unsafe socket.pointee.sin_family = sa_family_t(AF_INET)
                unsafe socket.pointee.sin_addr.s_addr = address.ipv4Bits.bigEndian
            case .ipv6:
                let socket = unsafe raw.bindMemory(to: sockaddr_in6.self, capacity: 1)
                unsafe socket.pointee.sin6_family = sa_family_t(AF_INET6)
                unsafe withUnsafeMutableBytes(of: &socket.pointee.sin6_addr) { octets in
                    unsafe octets.storeBytes(of: address.high.bigEndian, as: UInt64.self)
                    unsafe octets.storeBytes(
                        of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
                }
            }
            return unsafe MMDB_lookup_sockaddr(
                handle, raw.assumingMemoryBound(to: sockaddr.self), &status)
        }
    }
}

// MARK: - What can be wrong

extension LocationDatabase {
    /// Types in the vendors' names that have the records of these kinds.
    private static func kind(
        ofType type: String, among kinds: Set<Kind>, path: String
    ) throws(GeoError) -> Kind {
        let words = type.lowercased()
        let kind: Kind? =
            words.contains("city") || words.contains("enterprise")
            ? .city
            : words.contains("country") ? .country : words.contains("asn") ? .asn : nil
        if let kind, kinds.contains(kind) { return kind }
        let need =
            kinds == [.asn]
            ? "who announces an address; use an ASN database, as GeoLite2-ASN or dbip-asn-lite"
            : "where an address is; use a City or Country database, as GeoLite2-City or"
                + " dbip-city-lite"
        var error = GeoError(
            path: path,
            "holds \"\(type)\", which doesn't say \(need) (scripts/fetch-geo gets one)")
        error.isOtherKind = true
        throw error
    }

    static func damaged(_ path: String, _ what: String) -> GeoError {
        GeoError(path: path, "\(what); the file is damaged: fetch it again")
    }

    private static func message(status: Int32, systemError: Int32) -> String {
        switch status {
        case MMDB_FILE_OPEN_ERROR, MMDB_IO_ERROR:
            // Safe: strerror never returns null, and the text is copied at once.
            let reason = unsafe String(cString: strerror(systemError))
            return "can't be opened (\(reason)); scripts/fetch-geo gets a database"
        case MMDB_INVALID_METADATA_ERROR, MMDB_UNKNOWN_DATABASE_FORMAT_ERROR:
            return "is not a MaxMind database, or cut off; give an unpacked .mmdb file "
                + "(scripts/fetch-geo gets one)"
        case MMDB_OUT_OF_MEMORY_ERROR: return "can't be opened: out of memory"
        default:
            // Safe: the library returns static texts.
            let reason = unsafe String(cString: MMDB_strerror(status))
            return "is damaged (\(reason)); fetch it again"
        }
    }
}
