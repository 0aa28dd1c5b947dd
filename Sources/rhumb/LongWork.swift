// What takes long and logs nothing meanwhile looks as if it hung: so it is said that it goes on.

/// Does work, and tells when it takes long: after `first`, and whenever it has taken twice as long.
///
/// - Parameter tell: gets how long it has taken; never called after the return.
func withWord<Value>(
    after first: Duration, _ tell: @escaping @Sendable (Duration) -> Void,
    _ work: () async -> Value
) async -> Value {
    let start = ContinuousClock.now
    let teller = Task {
        var passed = first
        while (try? await Task.sleep(until: start + passed)) != nil {
            tell(passed)
            passed *= 2
        }
    }
    let value = await work()
    teller.cancel()
    await teller.value
    return value
}
