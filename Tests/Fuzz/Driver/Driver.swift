// Runs one fuzz target under libFuzzer: `scripts/fuzz` builds and calls it.
//
// usage: RHUMB_FUZZ_TARGET=NAME Fuzz [LIBFUZZER OPTION...] [FILE OR FOLDER...]

import Glibc

@main
struct Driver {
    /// Set once before the first input.
    nonisolated(unsafe) static var run: FuzzTarget.Run = { _ in nil }

    static func main() throws {
        let name = unsafe getenv("RHUMB_FUZZ_TARGET").map { unsafe String(cString: $0) }
        guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
            // scripts/fuzz knows the targets by this.
            for target in FuzzTarget.all { print(target.name, target.maximumLength) }
            exit(2)
        }
        unsafe run = try target.prepare()
        var count = CommandLine.argc
        var arguments = unsafe CommandLine.unsafeArgv
        // Safe: the process's own arguments.
        exit(unsafe runLibFuzzer(&count, &arguments, testOneInput))
    }
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runLibFuzzer(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ octets: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    // Safe: libFuzzer's octets live through the call.
    let input = unsafe Array(UnsafeBufferPointer(start: octets, count: count))
    if let fault = unsafe Driver.run(input) { fatalError(fault) }
    return 0
}

/// libmaxminddb 1.7 loses some kilobytes where a database's description can't be read: once for each
/// damaged file that an operator loads.
@_cdecl("__lsan_default_suppressions")
func leakSuppressions() -> UnsafePointer<CChar> {
    // Safe: a literal's octets stay for as long as the process.
    unsafe UnsafeRawPointer(leaks.utf8Start).assumingMemoryBound(to: CChar.self)
}

private let leaks: StaticString = "leak:libmaxminddb.so\n"
