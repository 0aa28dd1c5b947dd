// Which origins an operator means: `tokyo`, `tokyo/nrt-1`, `*/fra-*`, `*/*/2001:db8::*`.

internal import DNSWire
internal import Settings
public import Steering

/// A pattern over `POOL/ORIGIN/ADDRESS`; what is left out at the end means all of it.
///
/// In each part `*` stands for any characters and `?` for one. The last part is an address, or the host name
/// of an origin that is given by one, without its final dot.
public struct AddressPattern: Sendable, Hashable, CustomStringConvertible {
    /// Octets of a pattern: three of the longest names, or a host's, fit well.
    public static let lengthLimit = 512

    public let description: String
    private let pool: Glob
    private let origin: Glob
    private let address: Glob

    /// Reads a pattern.
    ///
    /// - Throws: what is wrong with it, in words.
    public init(_ text: String) throws(OperatorError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard text.utf8.count <= Self.lengthLimit else {
            throw OperatorError(
                "a pattern of more than \(Self.lengthLimit) octets; write a shorter one")
        }
        let shown = text.unicodeScalars.map { $0.misleads ? $0.escaped(asASCII: true) : "\($0)" }
            .joined()
        guard parts.count <= 3, !parts.contains(""), shown == text else {
            throw OperatorError(
                "\"\(shown)\" is no pattern; write POOL, POOL/ORIGIN or POOL/ORIGIN/ADDRESS, with * and ?"
                    + " in each part")
        }
        description = text
        pool = Glob(parts[0])
        origin = Glob(parts.count > 1 ? parts[1] : "*")
        // Addresses have several texts; the files' may be another one.
        address = Glob(parts.count > 2 ? IPAddress(parts[2])?.description ?? parts[2] : "*")
    }

    /// Whether it means that address.
    public func matches(pool: String, origin: String, address: String) -> Bool {
        self.pool.matches(pool) && self.origin.matches(origin) && self.address.matches(address)
    }

    /// The indexes of all addresses that it means.
    ///
    /// - Parameter addresses: `Steering.addresses` of the configuration.
    public func indexes(
        in configuration: SteeringConfiguration, addresses: [SteeredAddress]
    ) -> [Int] {
        let pools = configuration.pools
        let isMeant = pools.map { pool.matches($0.name) }
        return addresses.indices.filter { index in
            let steered = addresses[index]
            guard isMeant[steered.pool] else { return false }
            let origin = pools[steered.pool].origins[steered.origin]
            return self.origin.matches(origin.name)
                && (address.isAny || address.matches(steered.text(in: configuration)))
        }
    }

    /// Does the same, where nothing would be a mistake.
    ///
    /// - Throws: that there is none, with what may be meant.
    public func found(
        in configuration: SteeringConfiguration, addresses: [SteeredAddress]
    ) throws(OperatorError) -> [Int] {
        let found = indexes(in: configuration, addresses: addresses)
        guard !found.isEmpty else {
            throw nothingFound(in: configuration, addresses: addresses)
        }
        return found
    }

    /// Whether what it says stands for all that another one says, as texts: `*` for `fra-*`.
    func covers(_ other: AddressPattern) -> Bool {
        matches(
            pool: other.pool.text, origin: other.origin.text, address: other.address.text)
    }

    /// Whether any address could be meant by both; false only if none ever is.
    func mayMeet(_ other: AddressPattern) -> Bool {
        pool.mayMeet(other.pool) && origin.mayMeet(other.origin) && address.mayMeet(other.address)
    }

    /// Why nothing is meant, with what may be.
    func nothingFound(
        in configuration: SteeringConfiguration, addresses: [SteeredAddress]
    ) -> OperatorError {
        let near = near(configuration, addresses)
        let pools = configuration.pools.prefix(8).map(\.name).joined(separator: ", ")
        let more = configuration.pools.count > 8 ? ", …" : ""
        return OperatorError(
            "no origin is \"\(self)\"; "
                + (near.map { "did you mean \"\($0)\"?" } ?? "the pools are \(pools)\(more)"))
    }

    private func near(
        _ configuration: SteeringConfiguration, _ addresses: [SteeredAddress]
    ) -> String? {
        let pools = configuration.pools
        let hasOrigin = description.contains("/")
        if !hasOrigin {
            // An origin, or an address, without what it is in.
            for pool in pools {
                if let origin = pool.origins.first(where: { $0.name == description }) {
                    return "\(pool.name)/\(origin.name)"
                }
            }
            let text = IPAddress(description)?.description ?? description
            if let found = addresses.first(where: { $0.text(in: configuration) == text }) {
                return found.name(in: configuration)
            }
            return closestMatch(to: description, among: pools.map(\.name))
        }
        let origins = pools.lazy.flatMap { pool in pool.origins.map { "\(pool.name)/\($0.name)" } }
        let name = "\(pool.text)/\(origin.text)"
        return closestMatch(to: name, among: origins.prefix(Self.suggestions))
    }

    /// As many names are compared for a suggestion.
    private static let suggestions = 5_000
}

/// One part of a pattern.
struct Glob: Sendable, Hashable {
    let text: String
    /// Whether it stands for itself alone, as most do.
    private let isLiteral: Bool

    init(_ text: String) {
        self.text = text
        isLiteral = !text.contains { $0 == "*" || $0 == "?" }
    }

    /// Whether everything fits it.
    var isAny: Bool { text == "*" }

    /// Whether a text may fit both.
    func mayMeet(_ other: Glob) -> Bool {
        if isLiteral { return other.matches(text) }
        return other.isLiteral ? matches(other.text) : true
    }

    /// Whether a text fits it. Time is at most the product of their lengths: of the stars only the last one
    /// that was met can still give way.
    func matches(_ text: String) -> Bool {
        if isLiteral { return self.text == text }
        if isAny { return true }
        let (pattern, text) = (Array(self.text.unicodeScalars), Array(text.unicodeScalars))
        var (p, t) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while t < text.count {
            if p < pattern.count, pattern[p] == "*" {
                star = (p, t)
                p += 1
            } else if p < pattern.count, pattern[p] == "?" || pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                p = last.pattern + 1
                t = last.text + 1
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == "*" }
    }
}

/// Why an operator's word is not taken, and what to do.
public struct OperatorError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

extension SteeredAddress {
    /// The address, or the host name without its final dot.
    public func text(in configuration: SteeringConfiguration) -> String {
        let origin = configuration.pools[pool].origins[self.origin]
        guard let host = origin.host else { return address.description }
        return String(host.description.dropLast())
    }

    /// `pool/origin/address`.
    public func name(in configuration: SteeringConfiguration) -> String {
        let pool = configuration.pools[pool]
        return "\(pool.name)/\(pool.origins[origin].name)/\(text(in: configuration))"
    }
}
