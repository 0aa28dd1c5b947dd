// How a load asks, and why one can't.

public import DNSWire
import Glibc

/// How to ask.
public struct LoadPlan: Sendable {
    /// What `sockets` may be.
    public static let sockets = 1...256
    /// What `inFlight` may be: each socket has as many IDs, and some are kept free for what is late.
    public static let inFlight = 1...32_768

    public var server: IPAddress
    public var port: UInt16
    /// Queries a second, sent when they are due whatever comes back; nil keeps `inFlight` of them
    /// on their way (UDP).
    public var rate: Double?
    /// Queries on their way at a time, over all sockets or on the one TCP connection, where there is no
    /// `rate`.
    public var inFlight = 128
    /// UDP sockets, each with a port of its own, which is what a server spreads over its workers;
    /// without a `rate` no more are opened than there are queries on their way.
    public var sockets = 4
    /// How long to send.
    public var seconds = 10.0
    public var overTCP = false
    /// TCP: how many queries go over a connection before it is closed and the next one opened;
    /// nil for all.
    public var queriesPerConnection: Int?
    /// What is not answered by then is lost.
    public var patienceMilliseconds = 1_000
    /// IDs of a socket that are in use at most, of 65,536: the rest were free for longest before they
    /// are used again, so that an answer to a lost query is not taken for the next of its ID.
    var window = 60_000

    public init(server: IPAddress, port: UInt16) {
        self.server = server
        self.port = port
    }

    /// Address and port of the server, as `[::1]:53`.
    var endpoint: String {
        server.family == .ipv6 ? "[\(server)]:\(port)" : "\(server):\(port)"
    }

    /// How many queries each UDP socket may have on their way: all of them together as many as the plan
    /// says, shared as equally as whole numbers are.
    var shares: [Int] {
        guard rate == nil else { return Array(repeating: .max, count: sockets) }
        let count = min(sockets, inFlight)
        return (0..<count).map { inFlight / count + ($0 < inFlight % count ? 1 : 0) }
    }
}

/// Why a load could not begin or go on.
public struct LoadError: Error, CustomStringConvertible {
    public let description: String

    init(_ text: String, _ plan: LoadPlan) {
        description = "\(plan.endpoint): \(text)"
    }

    /// - Parameters:
    ///   - call: what failed.
    ///   - code: the errno; 0 for the server's end of a connection.
    ///   - connections: how many were opened before.
    init(_ call: String, _ code: Int32, _ plan: LoadPlan, connections: UInt64 = 0) {
        self.init("\(call): \(Self.reason(code, plan, connections))", plan)
    }

    /// The system's words for an error, with the cure where it is known.
    private static func reason(_ code: Int32, _ plan: LoadPlan, _ connections: UInt64) -> String {
        let words = systemMessage(code)
        return switch code {
        case 0:
            "it closed the connection before it had answered; does it limit queries on a connection? "
                + "try --per-connection"
        case ECONNREFUSED: "\(words); nothing listens there: is the server running, on that port?"
        case ENETUNREACH, EHOSTUNREACH: "\(words); is the address right?"
        // What a connect and a receive say whose time is up.
        case EINPROGRESS, EAGAIN: "nothing came back within \(plan.patienceMilliseconds) ms"
        case EADDRNOTAVAIL where connections == 0:
            "\(words); has this machine an \(plan.server.family == .ipv6 ? "IPv6" : "IPv4") address?"
        case EADDRNOTAVAIL:
            "no port is left here: each closed connection keeps its own for a minute; ask for more "
                + "queries on a connection, or for fewer seconds"
        case EMFILE: "\(words); raise the limit (ulimit -n) or use fewer sockets"
        default: words
        }
    }
}
