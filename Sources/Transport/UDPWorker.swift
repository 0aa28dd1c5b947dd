// One UDP worker: receive a batch, answer it, send it, again. The whole data plane of UDP runs in
// `serve`, on one thread with its own socket, responder and memory; it shares with others only the
// publisher's generation number and flag, the stop flag and its own counters.

import Authority
import CLinux
import Glibc
import Synchronization

/// What a worker's thread works with.
struct UDPWorker: ~Copyable {
    /// Batches still answered after a stop was asked for: what waits in the socket then, but no
    /// more than a flood can prolong (8,192 queries, some tens of milliseconds).
    private static let lastBatches = 256
    /// How long to rest after an error that is none of the usual: no busy loop whatever it is.
    private static let restAfterErrorMicroseconds: UInt32 = 10_000

    private let socket: OpenSocket
    private let publisher: SnapshotPublisher
    private let stop: StopFlag
    private let counters: UDPCounterCells
    private var batch: DatagramBatch
    private var responder: Responder
    private var snapshot: Snapshot
    private var generation: UInt64
    private var lending = Lending()

    init(
        socket: OpenSocket, publisher: SnapshotPublisher, seed: UInt64,
        stop: StopFlag, counters: UDPCounterCells
    ) {
        batch = DatagramBatch(wantsControl: socket.bound.isWildcard)
        self.socket = socket
        self.publisher = publisher
        self.stop = stop
        self.counters = counters
        responder = Responder(seed: seed)
        (snapshot, generation) = publisher.current
    }

    /// Serves until the stop flag is set, then answers what has arrived and returns.
    mutating func serve() {
        while !stop.isSet {
            turn(waits: true)
        }
        for _ in 0..<Self.lastBatches where turn(waits: false) == 0 {
            return
        }
    }

    /// One batch; returns how many datagrams it had.
    @discardableResult
    private mutating func turn(waits: Bool) -> Int {
        let count = batch.receive(from: socket.descriptor, waits: waits)
        // After the wait, so that a query sees what was published before it came; and also when
        // the wait was in vain, so that an idle worker lets go of an old snapshot.
        if publisher.generation != generation {
            (snapshot, generation) = publisher.current
        }
        guard count > 0 else {
            rest(after: -Int32(count))
            return 0
        }
        lending.begin(isPreparing: publisher.isPreparing)
        let time = currentTime()
        var tally = UDPCounters()
        tally.received = UInt64(count)
        for slot in 0..<count {
            switch batch.answer(slot, by: &responder, with: snapshot, at: time) {
            case .answered: break
            case .oversized: tally.oversized += 1
            case .silent: tally.unanswered += 1
            }
        }
        tally.answered = UInt64(batch.send(to: socket.descriptor))
        tally.sendErrors = UInt64(batch.answerCount) - tally.answered
        counters.add(tally)
        lending.pauseIfDue()
        return count
    }

    private func rest(after error: Int32) {
        switch error {
        case 0, EAGAIN, EINTR: break
        default:
            counters.add(UDPCounters(receiveErrors: 1))
            usleep(Self.restAfterErrorMicroseconds)
        }
    }
}

/// Asks threads to end; set once.
final class StopFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    var isSet: Bool { flag.load(ordering: .relaxed) }

    func set() { flag.store(true, ordering: .relaxed) }
}

/// Seconds since 1970, of which DNS has 32 bits; read once a batch, by the clock that costs least.
func currentTime() -> UInt32 {
    var time = timespec()
    // Safe: `time` outlives the call.
    unsafe clock_gettime(CLOCK_REALTIME_COARSE, &time)
    return UInt32(truncatingIfNeeded: time.tv_sec)
}
