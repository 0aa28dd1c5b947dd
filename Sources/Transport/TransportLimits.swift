// The limits an operator may set, each with its default's reason.

import NIOCore

/// What TCP clients may take of the server.
public struct TransportLimits: Sendable, Equatable {
    /// How long a connection may stay open without completing a query or taking its answers.
    ///
    /// "On the order of a few seconds" says RFC 7766, section 6.2.3; resolvers that pipeline come
    /// back well within this.
    public var tcpIdleTimeout: Duration = .seconds(10)
    /// Connections at a time. A newcomer takes the place of the one idle for longest. Each may
    /// hold some 200 KiB in its worst moment, so all of them 200 MiB.
    public var tcpConnections = 1_024
    /// Connections at a time from one network (/24 or /56): one site cannot take all places, and
    /// a large resolver's farm behind one network still has room.
    public var tcpConnectionsPerNetwork = 64

    public init() {}

    /// The idle timeout for timers: at least a millisecond, at most a day, as no longer one makes
    /// sense and sums of times then cannot overflow.
    var idleTime: TimeAmount {
        TimeAmount(max(.milliseconds(1), min(tcpIdleTimeout, .seconds(86_400))))
    }
}
