// What a load is, and what came of it.

public import DNSWire

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
    /// Queries on their way at a time, over all sockets or on the one TCP connection.
    public var inFlight = 128
    /// UDP sockets, each with a port of its own, which is what a server spreads over its workers.
    public var sockets = 4
    /// How long to send.
    public var seconds = 10.0
    public var overTCP = false
    /// TCP: how many queries go over a connection before it is closed and the next one opened;
    /// nil for all.
    public var queriesPerConnection: Int?
    /// What is not answered by then is lost.
    public var patienceMilliseconds = 1_000

    public init(server: IPAddress, port: UInt16) {
        self.server = server
        self.port = port
    }
}

/// What came of a load.
public struct LoadResult: Sendable {
    /// From the first query to the last answer, or to the end of the patience for it.
    public var seconds = 0.0
    public var sent: UInt64 = 0
    /// Answers in time, wrong ones included.
    public var answered: UInt64 = 0
    /// Queries without an answer in time.
    public var lost: UInt64 = 0
    /// Open loop: queries that were due before the end and could not be sent.
    public var unsent: UInt64 = 0
    /// Answers that nobody waited for: late, or twice.
    public var stray: UInt64 = 0
    /// Answers with TC.
    public var truncated: UInt64 = 0
    /// Octets of all answers.
    public var octets: UInt64 = 0
    /// Answers by their response code's lower four bits.
    public var codes = [UInt64](repeating: 0, count: 16)
    /// By `AnswerFault`.
    public var faults = [UInt64](repeating: 0, count: AnswerFault.allCases.count)
    /// TCP: connections opened, and those that failed before their queries were answered.
    public var connections: UInt64 = 0
    public var failedConnections: UInt64 = 0
    /// From when a query was due to its answer: in a closed loop when it was sent.
    public var latencies = LatencyHistogram()

    public init() {}

    /// Answers that are not what was expected.
    public var wrong: UInt64 { faults.reduce(0, +) }

    /// Counts an answer to a query of the list.
    mutating func count(
        _ answer: Span<UInt8>, to query: Span<UInt8>, _ row: QueryList.Row, after latency: UInt64
    ) {
        answered += 1
        octets += UInt64(answer.count)
        latencies.add(nanoseconds: latency)
        if answer.count >= 4 {
            codes[Int(answer[3] & 0x0F)] += 1
            if answer[2] & 0x02 != 0 { truncated += 1 }
        }
        if let fault = fault(of: answer, to: query, row) { faults[Int(fault.rawValue)] += 1 }
    }
}

/// Why a load could not begin or go on.
public struct LoadError: Error, CustomStringConvertible {
    public let description: String

    init(_ call: String, _ code: Int32, _ plan: LoadPlan) {
        let server = plan.server.family == .ipv6 ? "[\(plan.server)]" : "\(plan.server)"
        description = "\(server):\(plan.port): \(call): \(systemMessage(code))"
    }
}
