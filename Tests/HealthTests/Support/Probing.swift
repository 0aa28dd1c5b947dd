// Short ways to make monitors from their YAML and to run one probe.

import DNSWire
import NIOCore
import NIOPosix
import Settings

@testable import Health

/// The monitor that a flow mapping such as `{type: tcp, port: 1}` states.
func monitor(_ yaml: String, file: String = "test.yaml") throws -> Monitor {
    var diagnostics = Diagnostics()
    guard let value = parseSettings(yaml, file: file, diagnostics: &diagnostics),
        let monitor = Monitor(name: "test", value, &diagnostics)
    else { throw ProgramError(description: "\(diagnostics.sorted)") }
    return monitor
}

/// All findings about a monitor, one a line.
func findings(_ yaml: String) -> String {
    var diagnostics = Diagnostics()
    if let value = parseSettings(yaml, file: "f", diagnostics: &diagnostics) {
        _ = Monitor(name: "test", value, &diagnostics)
    }
    return diagnostics.sorted.map(\.description).joined(separator: "\n")
}

/// What a monitor finds of a server that behaves so, as the texts that status and logs show.
///
/// - Parameter speaksFirst: whether the server begins with no octet heard.
func outcome(
    _ yaml: String, against behaviour: FaultServer.Behaviour, speaksFirst: Bool = false
) async throws -> (text: String, duration: Duration, whole: Duration) {
    let server = try await FaultServer(behaviour, speaksFirst: speaksFirst)
    let keys = yaml.contains("timeout") ? yaml : yaml + ", timeout: 2s"
    let result = try await probe(monitor("{\(keys), port: \(server.port)}"))
    await server.stop()
    return (result.outcome.description, result.duration, result.whole)
}

/// Runs one probe against a loopback address, to its end.
///
/// Returns what it found, and how long it took until nothing of it was left.
///
/// - Parameter lookUp: what resolves `host`, where the address is 0.0.0.0.
func probe(
    _ monitor: Monitor, address: String = "127.0.0.1", host: String? = nil,
    on loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next(),
    lookUp: @escaping HostResolver.LookUp = HostResolver.ofOrigins
) async throws -> (outcome: ProbeResult.Outcome, duration: Duration, whole: Duration) {
    guard let address = IPAddress(address) else { throw ProgramError(description: address) }
    let start = ContinuousClock.now
    let (outcome, duration) = try await loop.flatSubmit {
        let promise = loop.makePromise(of: (ProbeResult.Outcome, Duration).self)
        var decision: (ProbeResult.Outcome, Duration)?
        let attempt = ProbeAttempt(
            address, host: host, timeout: monitor.timeout, loop: loop,
            trust: TrustCache(resolver: HostResolver(lookUp: lookUp)),
            decide: { decision = ($0, $1) },
            end: {
                if let decision {
                    promise.succeed(decision)
                } else {
                    promise.fail(ProgramError(description: "ended without a decision"))
                }
            })
        attempt.run(monitor.probe)
        return promise.futureResult
    }.get()
    return (outcome, duration, .now - start)
}
