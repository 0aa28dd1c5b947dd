// A City or ASN database asked by libmaxminddb directly, for single addresses and for networks to test.
// Nothing of Sources/Geo is used.

import CMaxMindDB
import DNSWire
import Glibc

/// An open database. Immutable, and the library's readers take it as const.
@safe final class CityDatabase: @unchecked Sendable {
    private let handle = UnsafeMutablePointer<MMDB_s>.allocate(capacity: 1)
    private let continentCode = LookupPath("continent", "code")
    private let countryCode = LookupPath("country", "iso_code")
    private let latitude = LookupPath("location", "latitude")
    private let longitude = LookupPath("location", "longitude")
    private let asn = LookupPath("autonomous_system_number")
    private let city = LookupPath("city", "names", "en")
    private let subdivisions = (0..<4).map { index in
        (
            code: LookupPath("subdivisions", "\(index)", "iso_code"),
            name: LookupPath("subdivisions", "\(index)", "names", "en")
        )
    }

    init(path: String) {
        let status = unsafe MMDB_open(path, UInt32(MMDB_MODE_MMAP), handle)
        precondition(status == MMDB_SUCCESS, "\(path) is a MaxMind database")
    }

    var type: String { unsafe String(cString: handle.pointee.metadata.database_type) }

    // MARK: - Places

    /// What the database says of an address; by that of the IPv4 address if it carries one.
    func place(of address: IPAddress) -> ClientPlace {
        let located = carriedIPv4(address) ?? address
        var storage = sockaddr_in6()
        // sockaddr_in and sockaddr_in6 octet by octet: the address comes after family and port, and
        // the flow label of IPv6.
        unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            let isIPv4 = located.family == .ipv4
            let family = UInt16(isIPv4 ? AF_INET : AF_INET6)
            unsafe bytes.storeBytes(of: family, as: UInt16.self)
            for (index, octet) in located.octets.enumerated() {
                unsafe bytes[(isIPv4 ? 4 : 8) + index] = octet
            }
        }
        var status: Int32 = 0
        let result = unsafe withUnsafePointer(to: &storage) { storage in
            unsafe MMDB_lookup_sockaddr(
                handle, UnsafeRawPointer(storage).assumingMemoryBound(to: sockaddr.self), &status)
        }
        guard status == MMDB_SUCCESS else { return ClientPlace() }
        var place = ClientPlace()
        place.length = unsafe Int(result.netmask)
        // The library counts from the root for IPv6, where IPv4 is below ::/96.
        if located.family == .ipv4, unsafe handle.pointee.metadata.ip_version == 6 {
            place.length = max(place.length - 96, 0)
        }
        guard unsafe result.found_entry else { return place }
        var entry = unsafe result.entry
        place.continent = unsafe code(&entry, continentCode)
        place.country = unsafe code(&entry, countryCode)
        place.city = unsafe text(&entry, city)
        if let data = unsafe value(&entry, asn), unsafe data.type == UInt32(MMDB_DATA_TYPE_UINT32) {
            place.asn = unsafe Int(data.uint32)
        }
        for path in subdivisions {
            guard
                let name = unsafe text(&entry, path.code)?.uppercased() ?? text(&entry, path.name)
            else { break }
            place.subdivisions.append(name)
        }
        place.latitude = unsafe number(&entry, latitude)
        place.longitude = unsafe number(&entry, longitude)
        return place
    }

    private func value(_ entry: inout MMDB_entry_s, _ path: LookupPath) -> MMDB_entry_data_s? {
        var data = unsafe MMDB_entry_data_s()
        let status = unsafe MMDB_aget_value(&entry, &data, path.keys)
        return unsafe status == MMDB_SUCCESS && data.has_data ? data : nil
    }

    private func text(_ entry: inout MMDB_entry_s, _ path: LookupPath) -> String? {
        guard let data = unsafe value(&entry, path),
            unsafe data.type == UInt32(MMDB_DATA_TYPE_UTF8_STRING)
        else { return nil }
        let octets = unsafe UnsafeRawBufferPointer(
            start: data.utf8_string, count: Int(data.data_size))
        return unsafe String(decoding: octets, as: UTF8.self)
    }

    /// Two letters; `ZZ` stands for nowhere.
    private func code(_ entry: inout MMDB_entry_s, _ path: LookupPath) -> String? {
        let code = unsafe text(&entry, path)?.uppercased()
        return code?.utf8.count == 2 && code != "ZZ" ? code : nil
    }

    /// MaxMind writes doubles, DB-IP floats.
    private func number(_ entry: inout MMDB_entry_s, _ path: LookupPath) -> Double? {
        guard let data = unsafe value(&entry, path) else { return nil }
        switch unsafe Int32(data.type) {
        case MMDB_DATA_TYPE_DOUBLE: return unsafe data.double_value
        case MMDB_DATA_TYPE_FLOAT: return unsafe Double(data.float_value)
        default: return nil
        }
    }

    // MARK: - Networks

    /// Draws an address from the networks that the database tells apart, and their length.
    ///
    /// Walks down by a coin at each fork. Where one way ends and the other goes on it is mostly the
    /// other one: a tree with much empty space would else yield little but that.
    func drawAddress<Random: RandomNumberGenerator>(
        _ family: IPAddress.Family, _ random: inout Random
    ) -> (address: IPAddress, length: Int) {
        let bits = Int(family.rawValue)
        var high = UInt64.random(in: .min ... .max, using: &random)
        let low = family == .ipv4 ? 0 : UInt64.random(in: .min ... .max, using: &random)
        var node: UInt32 = 0
        // All that is public in IPv6 is in 2000::/3 (RFC 4291, section 2.4).
        let first = family == .ipv4 ? 0 : 3
        if family == .ipv4 {
            unsafe node = handle.pointee.ipv4_start_node.node_value
        } else {
            high = high >> 3 | 1 << 61
        }
        for depth in 0..<bits {
            var fork = unsafe MMDB_search_node_s()
            guard unsafe MMDB_read_node(handle, node, &fork) == MMDB_SUCCESS else {
                return (masked(family, high, low), depth)
            }
            let ends = unsafe [fork.left_record_type, fork.right_record_type].map {
                Int32($0) != MMDB_RECORD_TYPE_SEARCH_NODE
            }
            var side = bit(depth, high, low)
            if depth >= first, ends[side], !ends[1 - side],
                Int.random(in: 0..<4, using: &random) > 0, depth < 64
            {
                side = 1 - side
                high ^= 1 << UInt64(63 - depth)
            }
            let next = unsafe side == 0 ? fork.left_record : fork.right_record
            guard !ends[side] else { return (masked(family, high, low), depth + 1) }
            node = UInt32(next)
        }
        return (masked(family, high, low), bits)
    }

    private func bit(_ index: Int, _ high: UInt64, _ low: UInt64) -> Int {
        Int((index < 64 ? high >> UInt64(63 - index) : low >> UInt64(127 - index)) & 1)
    }

    private func masked(_ family: IPAddress.Family, _ high: UInt64, _ low: UInt64) -> IPAddress {
        IPAddress(family: family, high: high, low: low).masked(to: Int(family.rawValue))
    }
}

/// A path of keys as libmaxminddb takes it; lives as long as the process.
@safe private struct LookupPath {
    let keys: UnsafePointer<UnsafePointer<CChar>?>

    init(_ names: String...) {
        let keys = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: names.count + 1)
        for (index, name) in names.enumerated() {
            unsafe (keys + index).initialize(to: UnsafePointer(strdup(name)))
        }
        unsafe (keys + names.count).initialize(to: nil)
        unsafe self.keys = unsafe UnsafePointer(keys)
    }
}

// MARK: - IPv4 inside IPv6

/// The ways to write an IPv4 client as an IPv6 one: the prefix, and whether the address is inverted.
enum Carrying: CaseIterable {
    case compatible, mapped, translated, wellKnownPrefix, sixToFour, teredo

    var prefix: [UInt8] {
        switch self {
        case .compatible: Array(repeating: 0, count: 12)
        case .mapped: Array(repeating: 0, count: 10) + [255, 255]
        case .translated: Array(repeating: 0, count: 8) + [255, 255, 0, 0]
        case .wellKnownPrefix: [0, 0x64, 0xFF, 0x9B] + Array(repeating: 0, count: 8)
        case .sixToFour: [0x20, 0x02]
        case .teredo: [0x20, 0x01, 0, 0]
        }
    }

    var firstAddress: IPAddress {
        ipv6(prefix + Array(repeating: 0, count: 16 - prefix.count))
    }

    /// The IPv6 address of this kind, with noise in the bits that do not matter.
    func address<Random: RandomNumberGenerator>(
        of ipv4: IPAddress, _ random: inout Random
    ) -> IPAddress {
        var octets = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
        octets.replaceSubrange(0..<prefix.count, with: prefix)
        let start = self == .sixToFour ? 2 : 12
        octets.replaceSubrange(
            start..<start + 4, with: ipv4.octets.map { self == .teredo ? ~$0 : $0 })
        return ipv6(octets)
    }
}

private func ipv6(_ octets: [UInt8]) -> IPAddress {
    guard let address = IPAddress(octets: octets) else {
        preconditionFailure("an IPv6 address has 16 octets")
    }
    return address
}

/// The IPv4 address that an IPv6 address carries; nil for all others.
func carriedIPv4(_ address: IPAddress) -> IPAddress? {
    guard address.family == .ipv6 else { return nil }
    let octets = address.octets
    guard let kind = Carrying.allCases.first(where: { octets.starts(with: $0.prefix) }) else {
        return nil
    }
    let start = kind == .sixToFour ? 2 : 12
    return IPAddress(octets: octets[start..<start + 4].map { kind == .teredo ? ~$0 : $0 })
}

// MARK: - Space that everybody uses for himself

/// Whether no database can know where an address is (RFC 6890); documentation prefixes are left to them.
func isSpecial(_ address: IPAddress) -> Bool { specialNetworks.contains { $0.contains(address) } }

private let specialNetworks = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b:1::/48", "100::/64",
    "2001::/23", "5f00::/16", "fc00::/7", "fe80::/10",
].compactMap { IPNetwork($0) }
