// How and from whom a message came: made where it is received, asked wherever an answer depends on it.

public import DNSWire

/// What a message came over; decides the size limit and which options make sense.
public enum Carrier: UInt8, Sendable, BitwiseCopyable {
    case udp
    case tcp
}

/// The circumstances of one message.
///
/// `source` is the one address that everything about the client goes by: steering without ECS, its
/// cookies, limits. Whoever finds a better one than the socket's says so here and nowhere else.
public struct Arrival: Sendable, BitwiseCopyable {
    /// Who sent it, as an address that it was sent from and is answered at.
    public var source: IPAddress
    public var carrier: Carrier
    /// Seconds since 1970, of which the lower 32 bits matter (RFC 9018, section 4.3); as old as the
    /// batch that the message came in.
    public var time: UInt32
    /// TCP: how long the connection may be idle, in units of 100 milliseconds (RFC 7828, section 3.1).
    public var idleTimeout: UInt16

    public init(
        from source: IPAddress, over carrier: Carrier, at time: UInt32, idleTimeout: UInt16 = 0
    ) {
        self.source = source
        self.carrier = carrier
        self.time = time
        self.idleTimeout = idleTimeout
    }
}
