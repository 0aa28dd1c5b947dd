// What takes seconds of CPU beside threads that answer: a reload compiles what is new, and the scheduler
// alone would let it have the core for a whole tick, 4 ms, whenever it is its turn.

import CLinux

/// Does work so that it hardly delays what others do: whoever wants this thread's core has it within a tenth
/// of a millisecond, or a sixteenth of what it took before.
///
/// Where a core is idle this costs the timer's interrupts, 1 or 2 % of the work. Where all are busy the work
/// has a sixteenth of one, and answers take hardly longer than without it.
func givingWay<Result>(_ work: () -> Result) -> Result {
    var timer: UnsafeMutableRawPointer?
    // Safe: the timer lives until the same thread ends it. Without one the work is done all the same.
    let code = unsafe cln_begin_turns(&timer)
    defer { if code == 0 { unsafe cln_end_turns(timer) } }
    return work()
}
