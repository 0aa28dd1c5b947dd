// One TCP connection's octets, apart from its socket: what was received and is not answered, what was
// answered and is not taken, and how it ends. `TCPAnswerer` turns the one into the other, `TCPWorker`
// moves both over the socket.

import DNSWire

/// The state of one connection.
struct TCPStream: ~Copyable {
    enum Phase {
        /// Queries are taken.
        case open
        /// No further query is taken; when all answers are taken, the connection closes.
        case finishing
        /// The same, but our half alone closes, and the client's is waited for: to close a
        /// connection while there is something unread would reset it, and a reset can destroy answers on
        /// their way (RFC 1122, section 4.2.2.13; RFC 7766, section 6.2.4).
        case finishingInOrder
        /// Our half is closed; what still comes is discarded.
        case halfClosed
    }

    let peer: IPAddress
    /// Octets received and not yet answered: at most one unfinished message and one read, or
    /// whole queries while the client does not take answers (then nothing is read).
    var inbound = OctetQueue()
    /// Answers that the kernel has not taken yet: at most what is gathered at a time.
    var outbound = OctetQueue()
    var phase = Phase.open
    /// Queries received, against the limit of a connection.
    var received = 0

    init(peer: IPAddress) { self.peer = peer }
}
