// The TCP side of the server as the rest of the transport sees it: a thread that serves until it is
// stopped.

import Authority
import Glibc
import Synchronization

/// The TCP thread, while it runs.
struct TCPServer: Sendable {
    private let thread: WorkerThread
    private let stopPipe: StopPipe

    /// Starts to listen and to accept connections.
    ///
    /// - Parameter patience: how long `stop` lets connections finish.
    init(
        sockets: [OpenSocket], limits: TransportLimits, publisher: SnapshotPublisher,
        seed: UInt64, patience: Duration, counters: TCPCounterCells
    ) throws(TransportError) {
        guard let first = sockets.first?.bound else { throw .noAddress }
        let stopPipe = try StopPipe()
        guard let poll = SocketPoll(), poll.add(stopPipe.reader, tag: TCPWorker.stopTag) else {
            throw .cannotListen(first, .tcp, call: "epoll", code: errno)
        }
        for (index, socket) in sockets.enumerated() {
            try socket.listen()
            // Who is told of a newcomer may find it gone.
            guard fcntl(socket.descriptor, F_SETFL, O_NONBLOCK) == 0,
                poll.add(socket.descriptor, tag: TCPWorker.listenerTag | UInt64(index))
            else { throw .cannotListen(socket.bound, .tcp, call: "epoll", code: errno) }
        }
        self.stopPipe = stopPipe
        // Handed over, so that the thread's closure keeps none of them open: the shutdown at the stop refuses
        // newcomers, but only a closed socket gives its port back while connections finish.
        let handover = Mutex(sockets)
        thread = try WorkerThread(name: "rhumb-tcp-0") {
            let listeners = handover.withLock { sockets in
                defer { sockets = [] }
                return sockets
            }
            let worker = TCPWorker(
                listeners: listeners, poll: poll, limits: limits, publisher: publisher, seed: seed,
                counters: counters)
            worker.serve(until: stopPipe, patience: patience)
        }
    }

    /// Stops accepting, lets connections finish, closes them, and returns when all are closed.
    func stop() {
        stopPipe.signal()
        thread.join()
    }
}
