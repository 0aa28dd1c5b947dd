// `min_healthy` of a pool: how many of its origins it takes. Shares are worked out when the file is read, so
// that decisions count in whole numbers.
//
// ```yaml
// pools:
//   some: { min_healthy: 2, origins: { a: { addresses: 192.0.2.1 }, b: { addresses: 192.0.2.2 } } }
//   half: { min_healthy: 50%, origins: { a: { addresses: 192.0.2.3 } } }      # rounded up
//   each:
//     min_healthy: { total: 1, ipv4: 1, ipv6: 50% }     # all of those that are stated
//     origins: { a: { addresses: [192.0.2.4, "2001:db8::4"] } }
// ```

internal import DNSWire
internal import Settings

/// How many origins a pool wants, of all of them or of those with addresses of a family.
public struct MinimumHealthy: Sendable, Hashable {
    /// Which origins count, by its word in the file.
    public enum Kind: String, CaseIterable, Sendable {
        /// All of them.
        case total
        /// Those with addresses of the family; an origin is up by one that is.
        case ipv4, ipv6

        /// What follows "origins up".
        var inWords: String {
            switch self {
            case .total: ""
            case .ipv4: " by IPv4"
            case .ipv6: " by IPv6"
            }
        }
    }

    public var kind: Kind
    /// How many; at least 1, and no more than there are.
    public var count: Int
    /// As the file has it: `2`, `50%`.
    public var text: String

    /// What a pool wants that states nothing.
    static let standard = MinimumHealthy(kind: .total, count: 1, text: "1")

    /// The rule as explanations name it: `min_healthy wants 2`, `min_healthy.ipv6 50% wants 3`.
    var inWords: String {
        "min_healthy" + (kind == .total ? "" : ".\(kind.rawValue)")
            + (text.hasSuffix("%") ? " \(text)" : "") + " wants \(count)"
    }
}

extension Pool {
    /// How many origins count for a minimum.
    func origins(_ kind: MinimumHealthy.Kind) -> Int { Self.count(origins, kind) }

    fileprivate static func count(_ origins: [Origin], _ kind: MinimumHealthy.Kind) -> Int {
        switch kind {
        case .total: origins.count
        case .ipv4: origins.count { $0.addresses.contains { $0.family == .ipv4 } }
        case .ipv6: origins.count { $0.addresses.contains { $0.family == .ipv6 } }
        }
    }
}

// MARK: - Reading

extension PoolFileParser {
    /// Reads the value of `min_healthy`, if any; what is wrong is reported, and left out.
    func parseMinimumHealthy(
        _ value: SettingsValue?, _ origins: [Origin], _ diagnostics: inout Diagnostics
    ) -> [MinimumHealthy] {
        guard let value else { return [.standard] }
        guard case .mapping(let entries) = value.content else {
            return [parseMinimum(value, .total, origins, &diagnostics)].compactMap(\.self)
        }
        let kinds = MinimumHealthy.Kind.allCases
        guard let settings = value.mapping(kinds.map(\.rawValue), &diagnostics) else { return [] }
        settings.refuseEmpty(&diagnostics)
        let stated = kinds.compactMap { kind in settings[kind.rawValue].map { (kind, $0) } }
        if entries.isEmpty {
            diagnostics.error(
                at: value.position,
                "\(value.path): states no minimum; write a number or a share, as 2 or 50%, or some of"
                    + " total, ipv4 and ipv6")
        }
        return stated.compactMap { parseMinimum($1, $0, origins, &diagnostics) }
    }

    private func parseMinimum(
        _ value: SettingsValue, _ kind: MinimumHealthy.Kind, _ origins: [Origin],
        _ diagnostics: inout Diagnostics
    ) -> MinimumHealthy? {
        let having = Pool.count(origins, kind)
        let family = kind == .ipv4 ? "IPv4" : "IPv6"
        guard having > 0 else {
            let why =
                origins.contains { $0.host != nil }
                ? "the pool's origins are host names, whose addresses Rhumb does not know"
                : "no origin of the pool has an \(family) address"
            diagnostics.error(
                at: value.position, "\(value.path): \(why); remove this, or it could never be used")
            return nil
        }
        let text = value.text ?? ""
        if let count = Int(text), count > having {
            let what =
                kind == .total ? "the pool has \(having)" : "\(having) of the pool have \(family)"
            diagnostics.error(
                at: value.position,
                "\(value.path): \(count) healthy origins are wanted, but \(what);"
                    + " it could never be used")
            return nil
        }
        let percent = text.hasSuffix("%") ? Int(text.dropLast()) : nil
        let count =
            percent.map { (1...100).contains($0) ? (having * $0 + 99) / 100 : 0 } ?? Int(text)
        guard let count, count > 0 else {
            value.expected(
                "a whole number from 1 to \(having), or a share from 1% to 100%", &diagnostics)
            return nil
        }
        return MinimumHealthy(kind: kind, count: count, text: text)
    }
}
