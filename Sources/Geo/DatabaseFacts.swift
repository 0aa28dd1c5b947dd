// Whether a database may take the place of another: what a running server asks of a file that appeared
// while it served. Pure, so that a table of rows tests it.

public import DNSWire
internal import Glibc

/// What is known of a database without going through it.
public struct DatabaseFacts: Hashable, Sendable {
    public var kind: LocationDatabase.Kind
    /// What the vendor calls it.
    public var type: String
    /// In seconds since 1970.
    public var buildDate: UInt64
    public var nodeCount: Int
    public var ipVersion: Int
    /// The indices of those landmarks that it has where they are.
    public var landmarks: Set<Int>

    public init(
        kind: LocationDatabase.Kind, type: String, buildDate: UInt64, nodeCount: Int,
        ipVersion: Int, landmarks: Set<Int>
    ) {
        self.kind = kind
        self.type = type
        self.buildDate = buildDate
        self.nodeCount = nodeCount
        self.ipVersion = ipVersion
        self.landmarks = landmarks
    }

    /// As `GeoLite2-City of 2026-11-17, 5,012,345 nodes`.
    public var summary: String { "\(type) of \(dayText(buildDate)), \(grouped(nodeCount)) nodes" }
}

/// Addresses that have been where they are for decades; `scripts/fetch-geo` asks for the same.
public enum Landmark {
    public static let all: [(address: IPAddress, country: String)] = [
        ("8.8.8.8", "US"), ("133.11.0.1", "JP"), ("193.0.6.139", "NL"), ("200.160.2.3", "BR"),
        ("129.67.242.154", "GB"),
    ].compactMap { text, country in IPAddress(text).map { ($0, country) } }
}

extension DatabaseFacts {
    /// Fewer nodes than one in this many is another database, or a part of one: from month to month vendors'
    /// grow and shrink by a few per cent.
    public static let leastShareOfNodes = 2
    /// Of the landmarks that the old one had right, so many in five have to be: a provider may move.
    public static let landmarksNeededInFive = 3

    /// Returns why another database should not take this one's place; nil if it may.
    public func objection(to new: DatabaseFacts) -> String? {
        if kind == .city, new.kind != .city {
            return "is a \(new.kind.rawValue) database, without the coordinates of the one in force"
        }
        if new.ipVersion < ipVersion {
            return "knows nothing of IPv6 addresses, as the one in force does"
        }
        if new.buildDate < buildDate {
            return "is older than the one in force"
        }
        if new.nodeCount < nodeCount / Self.leastShareOfNodes {
            return "has less than half the networks of the one in force"
        }
        let kept = landmarks.intersection(new.landmarks).count
        if kept * 5 < landmarks.count * Self.landmarksNeededInFive {
            return
                "has only \(kept) of \(landmarks.count) test addresses where the one in force has"
                + " them"
        }
        return nil
    }
}

extension LocationDatabase {
    /// Looks the landmarks up; of an ASN database those count that are anybody's.
    func lookUpFacts() -> DatabaseFacts {
        let known = Landmark.all.indices.filter { index in
            let landmark = Landmark.all[index]
            return kind == .asn
                ? system(of: landmark.address).system != nil
                : location(of: landmark.address).location?.country == landmark.country
        }
        return DatabaseFacts(
            kind: kind, type: type, buildDate: buildDate, nodeCount: nodeCount,
            ipVersion: ipVersion, landmarks: Set(known))
    }
}

/// The day of a Unix time, as `2026-11-22`.
public func dayText(_ seconds: UInt64) -> String {
    var time = time_t(clamping: seconds)
    var parts = unsafe tm()
    // Safe: both outlive the call; the time zone, a pointer, is not looked at.
    guard unsafe gmtime_r(&time, &parts) != nil else { return "?" }
    let padded = { (value: Int32) in value < 10 ? "0\(value)" : "\(value)" }
    return unsafe "\(parts.tm_year + 1900)-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))"
}

/// A count with commas.
private func grouped(_ count: Int) -> String {
    let digits = String(count)
    guard digits.count > 3 else { return digits }
    return grouped(count / 1_000) + "," + digits.suffix(3)
}
