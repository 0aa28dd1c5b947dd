// What is known of every address's health, as one value: the health checker makes it, and a new
// `SteeringState` is built from it for each group of flips.

public import DNSWire

/// What the checker says of an address.
public enum Verdict: UInt8, Sendable, BitwiseCopyable {
    /// Not checked yet. Counts as down, but as up in a pool without a monitor: the checker ends its
    /// first round before the first answer, so an address that stays unknown cannot be checked.
    case unknown
    case up
    /// Up, but slower or more loaded than its monitor wants: used where not enough is up.
    case degraded
    case down
    /// Taken out of the answers by an operator, though it may well work: where nothing else does, it is
    /// used before what is down.
    case drained

    /// How far clients may be sent there.
    ///
    /// - Parameter monitored: whether the address's pool has a monitor. Without one, only an
    ///   operator's word takes an address out.
    func fitness(monitored: Bool) -> Fitness {
        switch self {
        case .up: .up
        case .degraded: .degraded
        case .drained: .drained
        case .down: .down
        case .unknown: monitored ? .down : .up
        }
    }
}

/// How soon a verdict could be another: whichever, as each may change an answer.
public struct Horizon: Sendable, Hashable, BitwiseCopyable {
    /// How many probes in a row have to contradict it yet; 0 if none ever will.
    public var probes: Int32
    /// The seconds that these take at the least, as if the first of them ended right now: a number that
    /// changes with the count of probes alone, not with the time.
    public var seconds: UInt32
    /// Whether what is up would be degraded then: it is slow or loaded, and for that it need not fail.
    public var isDegrading: Bool

    public init(probes: Int32, seconds: UInt32, isDegrading: Bool = false) {
        self.probes = probes
        self.seconds = seconds
        self.isDegrading = isDegrading
    }

    /// Of what nobody probes, or where it matters to no answer.
    public static let never = Horizon(probes: 0, seconds: .max)
}

/// The verdicts of all addresses, by the indexes of `Steering.addresses`, and how soon they could flip.
public struct HealthTable: Sendable, Hashable {
    public private(set) var verdicts: [Verdict]
    public private(set) var horizons: [Horizon]
    /// The places whose verdict is an operator's word.
    public private(set) var overridden: Set<Int> = []
    /// Whether the checker suspects its own network, so that the verdicts are those from before.
    public var isIsolated = false

    /// A table where every address has the same verdict, for good.
    public init(count: Int, verdict: Verdict = .unknown) {
        verdicts = Array(repeating: verdict, count: count)
        horizons = Array(repeating: .never, count: count)
    }

    public var count: Int { verdicts.count }

    public subscript(index: Int) -> Verdict {
        get { verdicts[index] }
        set { verdicts[index] = newValue }
    }

    /// Puts an operator's word in a place, whatever the probes say; nothing else will flip it.
    public mutating func override(_ index: Int, with verdict: Verdict) {
        verdicts[index] = verdict
        horizons[index] = .never
        overridden.insert(index)
    }

    public mutating func setHorizon(_ horizon: Horizon, of index: Int) {
        horizons[index] = horizon
    }
}

/// One address of an origin, or its host: what the checker probes and the health table knows by index.
public struct SteeredAddress: Hashable, Sendable {
    /// Of a host, where it is checked; unspecified (0.0.0.0) if that is for its name to say.
    public var address: IPAddress
    /// Indexes into `SteeringConfiguration.pools`, and the pool's `origins`.
    public var pool: Int
    public var origin: Int
    /// The names of the pool's monitors; empty if it has none.
    public var monitors: [String]

    public var isMonitored: Bool { !monitors.isEmpty }
}
