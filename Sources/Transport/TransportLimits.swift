// The limits an operator may set, each with its default's reason.

/// What TCP clients may take of the server.
public struct TransportLimits: Sendable, Equatable {
    /// How long a connection may stay open without completing a query or taking its answers.
    ///
    /// "On the order of a few seconds" says RFC 7766, section 6.2.3; resolvers that pipeline come
    /// back well within this.
    public var tcpIdleTimeout: Duration = .seconds(10)
    /// Connections at a time. A newcomer takes the place of the one idle for longest. Each may
    /// hold `worstConnectionOctets`, so all of them 384 MiB.
    public var tcpConnections = 1_024
    /// Connections at a time from one network (/24 or /56): one site cannot take all places, and
    /// a large resolver's farm behind one network still has room.
    public var tcpConnectionsPerNetwork = 64

    /// How long a connection may stay open in all; nil: as long as it is used.
    ///
    /// Off, as in all peers: RFC 9210, section 4.5, advises no value, a resolver that keeps one busy
    /// connection costs less than one that opens many, and newcomers take the place of the idle
    /// anyway. Worth setting where connections should find their way to other machines again.
    public var tcpLifetime: Duration?
    /// Queries that one connection may ask; nil: any number. Off for the same reasons.
    public var tcpQueries: Int?

    /// What one connection holds in its worst moment, with a client that asks for the longest answers
    /// and takes none.
    public static let worstConnectionOctets = 384 << 10

    public init() {}

    /// The idle timeout for timers.
    var idleNanoseconds: UInt64 { Self.bounded(tcpIdleTimeout) }

    /// The lifetime for timers.
    var lifetimeNanoseconds: UInt64? { tcpLifetime.map(Self.bounded) }

    /// At least a millisecond, at most thirty days, as no longer time makes sense and sums then cannot
    /// overflow.
    private static func bounded(_ time: Duration) -> UInt64 {
        nanoseconds(max(.milliseconds(1), min(time, .seconds(30 * 86_400))))
    }
}

/// A duration that is not negative, and at most some hundred years.
func nanoseconds(_ time: Duration) -> UInt64 {
    let (seconds, attoseconds) = time.components
    return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
}
