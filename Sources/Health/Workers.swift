// Threads for what may block and cannot be asked not to: reading files, resolving names, starting programs.
// They are the checker's own, so that a hung disk or resolver takes no thread of anybody else.

internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// A few threads, and the way back to the loop.
final class Workers: Sendable {
    private let count: Int
    /// Made at the first work: most checkers need none.
    private let pool = Mutex<NIOThreadPool?>(nil)
    private let isOpen = Mutex(true)

    /// - Parameter count: how many may block at a time; what comes after waits its turn.
    init(_ count: Int) { self.count = count }

    // Those that hang end when they are through.
    deinit { pool.withLock { $0?.shutdownGracefully { _ in } } }

    /// Does work on one of the threads, and hands what comes of it to `next` on the loop; not any more
    /// once it is closed.
    func run<Value: Sendable>(
        on loop: any EventLoop, _ work: @escaping @Sendable () -> Value,
        next: @escaping (Value) -> Void
    ) {
        let bound = NIOLoopBound(next, eventLoop: loop)
        threads().submit { [self] state in
            guard case .active = state else { return }
            let value = work()
            // Not after the loop has ended: it would be a fault of ours.
            isOpen.withLock { if $0 { loop.execute { bound.value(value) } } }
        }
    }

    private func threads() -> NIOThreadPool {
        pool.withLock { pool in
            if let pool { return pool }
            let made = NIOThreadPool(numberOfThreads: count)
            made.start()
            pool = made
            return made
        }
    }

    /// Leaves the loop alone from now on.
    func close() { isOpen.withLock { $0 = false } }
}

/// Makes one question of all that are asked before its answer is there.
final class SharedWork<Key: Hashable, Answer: Sendable> {
    private var waiting: [Key: [(Answer) -> Void]] = [:]

    /// - Parameter work: begins the work; is not called where it is under way for the key.
    func join(
        _ key: Key, _ next: @escaping (Answer) -> Void,
        orBegin work: (_ end: @escaping (Answer) -> Void) -> Void
    ) {
        guard waiting[key] == nil else {
            waiting[key]?.append(next)
            return
        }
        waiting[key] = [next]
        work { answer in
            for next in self.waiting.removeValue(forKey: key) ?? [] { next(answer) }
        }
    }
}
