// The transport as the rest of the house sees it: give it addresses and a publisher of snapshots,
// open it, start it, stop it. Owns every socket and thread of the data plane.
//
//   per address: one SO_REUSEPORT UDP socket and thread a worker; one TCP listener
//   for all:     one TCP loop

public import Authority
import Glibc
import Synchronization

/// Serves DNS over UDP and TCP from the snapshots of one publisher.
///
/// A server object serves once: `open`, `start`, then `stop`. They may block for a moment and can be called
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
        /// Those that nobody reads yet.
        var opened: (tcp: [OpenSocket], udp: [OpenSocket])?
        var bound: [ListenAddress] = []
        var threads: [WorkerThread] = []
        var cells: [UDPCounterCells] = []
        var tcp: TCPServer?
        var shortage: ReceiveBufferShortage?
    }

    private enum Phase { case new, opened, running, ended }

    /// Prepares a server; nothing is opened before `open`.
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

    /// Where the server listens, with the real ports, in the order given; empty before `open`.
    public var boundAddresses: [ListenAddress] { state.withLock { $0.bound } }

    /// The UDP sockets that the kernel gave too little room; nil if all have enough, and before `open`.
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
    /// Opens all sockets, so that whatever is wrong with addresses and ports is known before anything else
    /// is done; on an error nothing stays open.
    ///
    /// Until `start`, TCP clients are refused, and UDP queries wait for it, as many as the buffers hold.
    public func open() throws(TransportError) {
        guard take(.new).phase == .new else { throw .startedBefore }
        guard !listen.isEmpty else { throw .noAddress }
        var seen: Set<ListenAddress> = []
        for address in listen where !seen.insert(address).inserted {
            throw .listedTwice(address)
        }
        _ = DescriptorLimit.raise()
        let sockets = try openSockets()
        let shortage = ReceiveBufferShortage(
            sockets.udp.map { ($0.bound, $0.receiveBufferOctets) })
        state.withLock {
            $0 = State(
                phase: .opened, opened: sockets, bound: sockets.tcp.map(\.bound),
                shortage: shortage)
        }
    }

    /// Starts to serve, and opens the sockets before that if they are not open; on an error nothing stays
    /// open.
    ///
    /// Raises the process's limit on open files, and takes fewer TCP connections than the limits
    /// say where that is too low for them.
    public func start() throws(TransportError) {
        if state.withLock({ $0.phase == .new }) { try open() }
        var running = take(.opened)
        guard running.phase == .opened, let sockets = running.opened else {
            throw .startedBefore
        }
        running.phase = .running
        running.opened = nil
        var limits = limits
        limits.tcpConnections = DescriptorLimit.connections(
            wanted: limits.tcpConnections,
            descriptors: DescriptorLimit.raise() - sockets.udp.count)
        do {
            running.tcp = try TCPServer(
                sockets: sockets.tcp, limits: limits, publisher: publisher, seed: seed,
                patience: Self.stopPatience, counters: tcpCounters)
            for socket in sockets.udp { try addWorker(on: socket, to: &running) }
        } catch {
            end(running)
            throw error
        }
        state.withLock { $0 = running }
    }

    /// What a server is that has come as far as `phase`; nobody else gets that any more.
    private func take(_ phase: Phase) -> State {
        state.withLock { state in
            let taken = state
            if state.phase == phase { state = State(phase: .ended) }
            return taken
        }
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
            try ListeningSocket.requireFree(listener.bound)
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
    /// Takes at most about a second. What was only opened is closed; nothing else is done to a server that
    /// does not run.
    public func stop() {
        let stopped = state.withLock { state in
            let stopped = state
            if stopped.phase != .new { state.phase = .ended }
            state.opened = nil
            return stopped
        }
        if stopped.phase == .running { end(stopped) }
    }

    private func end(_ running: State) {
        stopFlag.set()
        running.tcp?.stop()
        for thread in running.threads { thread.join() }
    }
}
