// The addresses of a host, by the system's resolver: for origins that are known by their name alone.
//
// A name is looked up anew for each probe, since the resolver's cache knows best how long an answer
// holds; probes that ask at the same time share one lookup.

internal import DNSWire
internal import Glibc
internal import NIOCore

/// Why a host has no address.
struct ResolverFault: Error, Equatable, CustomStringConvertible {
    let description: String
    /// Whether this machine could not even ask.
    var isOwn = false
}

/// Looks hosts up, off the loop.
final class HostResolver {
    typealias LookUp = @Sendable (_ host: String) -> Result<[IPAddress], ResolverFault>

    /// The resolver may take 10 seconds and more for each name, where its servers are silent.
    private static let lookups = 8
    /// More than a host needs; with each further one, there is less time to connect to each.
    static let mostAddresses = 8

    private let lookUp: LookUp
    private let workers = Workers(HostResolver.lookups)
    private let shared = SharedWork<String, Result<[IPAddress], ResolverFault>>()

    /// - Parameter lookUp: what blocks until it knows; not more than a few at a time.
    init(lookUp: @escaping LookUp) { self.lookUp = lookUp }

    /// Calls `next` with one address or more, in the order in which to try them.
    func addresses(
        of host: String, on loop: any EventLoop,
        _ next: @escaping (Result<[IPAddress], ResolverFault>) -> Void
    ) {
        shared.join(host, next) { [lookUp] end in
            workers.run(on: loop, { lookUp(host) }, next: end)
        }
    }

    func close() { workers.close() }

    /// Asks `getaddrinfo` for an origin's host, which is absolute (no search list), as it is for the
    /// clients that a CNAME leads there.
    static let ofOrigins: LookUp = { askSystem($0 + ".", as: $0) }

    /// Asks `getaddrinfo` for a host of the operator's own, as all programs of this machine do.
    static let ofOperators: LookUp = { askSystem($0, as: $0) }

    /// For the families that this machine has (RFC 6724 orders them).
    private static func askSystem(
        _ name: String, as host: String
    ) -> Result<[IPAddress], ResolverFault> {
        // Safe: all zero, without pointers to follow.
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        // Safe: the strings are passed terminated; the list is freed below, and only if there is one.
        let code = unsafe getaddrinfo(name, nil, &hints, &list)
        let systemError = errno
        guard code == 0 else {
            return .failure(fault(code, systemError, host))
        }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var entry = unsafe list
        while let info = unsafe entry?.pointee, addresses.count < mostAddresses {
            // Safe: the address belongs to the list, and is as long as the list says.
            let octets = unsafe [UInt8](
                UnsafeRawBufferPointer(start: info.ai_addr, count: Int(info.ai_addrlen)))
            let place = unsafe info.ai_family == AF_INET ? 4..<8 : 8..<24
            if octets.count >= place.upperBound, let address = IPAddress(octets: octets[place]),
                !addresses.contains(address)
            {
                addresses.append(address)
            }
            unsafe entry = info.ai_next
        }
        return addresses.isEmpty
            ? .failure(ResolverFault(description: "\(host) has no address")) : .success(addresses)
    }

    // glibc's EAI_NODATA and EAI_ADDRFAMILY, which its headers hide.
    private static let noData: CInt = -5
    private static let noAddressOfFamily: CInt = -9

    private static func fault(_ code: CInt, _ systemError: CInt, _ host: String) -> ResolverFault {
        switch code {
        case EAI_NONAME, noData, noAddressOfFamily:
            return ResolverFault(description: "\(host) has no address")
        case EAI_SYSTEM:
            return ResolverFault(
                description: "cannot resolve \(host): \(words(ofErrno: systemError))", isOwn: true)
        default:
            // Safe: glibc's texts are static.
            let text = unsafe gai_strerror(code).map { unsafe String(cString: $0) } ?? "error"
            return ResolverFault(
                description: "\(host): \(text.lowercased())", isOwn: code == EAI_MEMORY)
        }
    }
}
