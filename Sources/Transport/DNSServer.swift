// The transport as the rest of the house sees it: give it addresses and a publisher of snapshots,
// start it, stop it. Owns every socket and thread of the data plane.
//
//   per address: one SO_REUSEPORT UDP socket and thread a worker; one TCP listener
//   for all:     one TCP loop

public import Authority
import Glibc
import Synchronization

/// Serves DNS over UDP and TCP from the snapshots of one publisher.
///
/// A server object serves once: `start`, then `stop`. Both may block for a moment and can be called
/// from any thread.
public final class DNSServer: Sendable {
    /// Tries to find a port that is free for both carriers on all addresses, when any will do.
    private static let portAttempts = 16
    /// How long `stop` lets TCP clients take their answers; with what UDP needs it stays under 1 s.
    private static let stopPatience = Duration.milliseconds(700)

    private let listen: [ListenAddress]
    private let workers: Int
    private let limits: TransportLimits
    private let publisher: SnapshotPublisher
    private let seed: UInt64
    private let stopFlag = StopFlag()
    private let tcpCounters = TCPCounterCells()
    private let state = Mutex(State())

    private struct State {
        var phase = Phase.new
        var bound: [ListenAddress] = []
        var threads: [WorkerThread] = []
        var cells: [UDPCounterCells] = []
        var tcp: TCPServer?
        var shortage: ReceiveBufferShortage?
    }

    private enum Phase { case new, running, ended }

    /// Prepares a server; nothing is opened before `start`.
    ///
    /// - Parameters:
    ///   - listen: where to listen. Those with port 0 share one port, chosen at the start.
    ///   - workers: UDP threads for each address; nil for one per processor that is online.
    ///   - limits: what TCP clients may take.
    ///   - publisher: where the workers get their snapshots from.
    ///   - seed: starts the random numbers of all workers.
    public init(
        listen: [ListenAddress], workers: Int? = nil, limits: TransportLimits = .init(),
        publisher: SnapshotPublisher, seed: UInt64 = .random(in: .min ... .max)
    ) {
        self.listen = listen
        self.workers = max(1, workers ?? sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        self.limits = limits
        self.publisher = publisher
        self.seed = seed
    }

    deinit { stop() }

    /// Where the server listens, with the real ports, in the order given; empty before `start`.
    public var boundAddresses: [ListenAddress] { state.withLock { $0.bound } }

    /// The UDP sockets that the kernel gave too little room; nil if all have enough, and before `start`.
    public var receiveBufferShortage: ReceiveBufferShortage? { state.withLock { $0.shortage } }

    /// What has been done so far; may be asked at any time.
    public var counters: TransportCounters {
        var sum = TransportCounters(tcp: tcpCounters.current)
        for cells in state.withLock({ $0.cells }) { cells.add(to: &sum.udp) }
        return sum
    }
}

// MARK: - Start and stop

extension DNSServer {
    /// Opens all sockets, then starts to serve; on an error nothing stays open.
    ///
    /// Raises the process's limit on open files, and takes fewer TCP connections than the limits
    /// say where that is too low for them.
    public func start() throws(TransportError) {
        let isNew = state.withLock { state in
            defer { state.phase = .ended }
            return state.phase == .new
        }
        guard isNew else { throw .startedBefore }
        guard !listen.isEmpty else { throw .noAddress }
        var seen: Set<ListenAddress> = []
        for address in listen where !seen.insert(address).inserted {
            throw .listedTwice(address)
        }
        let descriptors = DescriptorLimit.raise()
        let sockets = try openSockets()
        var limits = limits
        limits.tcpConnections = DescriptorLimit.connections(
            wanted: limits.tcpConnections, descriptors: descriptors - sockets.udp.count)
        var running = State(phase: .running, bound: sockets.tcp.map(\.bound))
        do {
            running.tcp = try TCPServer(
                sockets: sockets.tcp, limits: limits, publisher: publisher, seed: seed,
                patience: Self.stopPatience, counters: tcpCounters)
            running.shortage = ReceiveBufferShortage(
                sockets.udp.map { ($0.bound, $0.receiveBufferOctets) })
            for socket in sockets.udp { try addWorker(on: socket, to: &running) }
        } catch {
            end(running)
            throw error
        }
        state.withLock { $0 = running }
    }

    /// Opens the TCP listener and the UDP sockets of every address.
    private func openSockets() throws(TransportError) -> (tcp: [OpenSocket], udp: [OpenSocket]) {
        let wantsAnyPort = listen.contains { $0.port == 0 }
        for _ in 1..<Self.portAttempts where wantsAnyPort {
            do {
                return try openSocketsOnce()
            } catch .cannotListen(_, _, _, EADDRINUSE) {
                // The port that one socket was given is taken for another: try the next.
                continue
            }
        }
        return try openSocketsOnce()
    }

    private func openSocketsOnce() throws(TransportError) -> (
        tcp: [OpenSocket], udp: [OpenSocket]
    ) {
        var tcp: [OpenSocket] = []
        var udp: [OpenSocket] = []
        var chosenPort: UInt16 = 0
        // Twice the idle time: the loop closes an idle connection first, and counts it.
        let timeout = Int32(clamping: limits.idleNanoseconds / 1_000_000 * 2)
        for var address in listen {
            let takesAnyPort = address.port == 0
            if takesAnyPort { address.port = chosenPort }
            // TCP first: it does not share its port, so it finds one that is really free.
            let listener = OpenSocket(try .tcp(address, timeoutMilliseconds: timeout))
            if takesAnyPort { chosenPort = listener.bound.port }
            tcp.append(listener)
            for _ in 0..<workers { udp.append(OpenSocket(try .udp(listener.bound))) }
        }
        return (tcp, udp)
    }

    private func addWorker(
        on socket: OpenSocket, to running: inout State
    ) throws(TransportError) {
        let cells = UDPCounterCells()
        let number = running.threads.count
        // Any odd constant keeps the workers' seeds apart; this one is 2^64 over the golden ratio.
        let seed = seed &+ UInt64(number + 1) &* 0x9E37_79B9_7F4A_7C15
        let thread = try WorkerThread(name: "rhumb-udp-\(number)") { [publisher, stopFlag] in
            var worker = UDPWorker(
                socket: socket, publisher: publisher, seed: seed, stop: stopFlag, counters: cells)
            worker.serve()
        }
        running.cells.append(cells)
        running.threads.append(thread)
    }

    /// Stops: answers what has arrived, lets TCP clients take their answers, closes everything.
    ///
    /// Takes at most about a second. Does nothing if the server is not running.
    public func stop() {
        let running = state.withLock { state -> State? in
            guard state.phase == .running else { return nil }
            state.phase = .ended
            return state
        }
        if let running { end(running) }
    }

    private func end(_ running: State) {
        stopFlag.set()
        running.tcp?.stop()
        for thread in running.threads { thread.join() }
    }
}
