// A checker whose time the test turns, and whose origins do what it says: no sockets, no waiting.

import DNSWire
import NIOCore
import NIOEmbedded
import Settings
import Steering
import Synchronization

@testable import Health

/// What origins and references do.
enum Behaviour: Sendable {
    case pass, fail, stall
    /// This machine cannot even try.
    case inconclusive
}

/// What everybody does at the moment, and how often each was asked.
final class Script: Sendable {
    private struct State {
        var behaviours: [String: Behaviour] = [:]
        var asked: [String: Int] = [:]
    }

    private let state = Mutex(State())

    /// By `ADDRESS monitor`, by `ADDRESS`, or all that nothing is said about; passes by default.
    subscript(who: String) -> Behaviour? {
        get { state.withLock { $0.behaviours[who] } }
        set { state.withLock { $0.behaviours[who] = newValue } }
    }

    func asked(_ who: String) -> Int { state.withLock { $0.asked[who] ?? 0 } }

    func behaviour(_ address: IPAddress, _ monitor: String) -> Behaviour {
        state.withLock {
            $0.asked["\(address) \(monitor)", default: 0] += 1
            return $0.behaviours["\(address) \(monitor)"] ?? $0.behaviours["\(address)"] ?? .pass
        }
    }

    func play(_ attempt: ProbeAttempt, _ monitor: String) {
        attempt.hold { attempt.finish() }
        switch behaviour(attempt.address, monitor) {
        case .pass: attempt.pass("status 200")
        case .fail: attempt.fail(.connect, "connection refused")
        case .stall: break
        case .inconclusive: attempt.giveUp("network is unreachable")
        }
    }
}

struct ScriptedProbe: Probe {
    static let type = "scripted"
    static let keys: [String] = []
    var name = ""
    var script = Script()

    init(_ name: String, _ script: Script) {
        self.name = name
        self.script = script
    }

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {}

    var port: Int? { nil }

    func start(_ attempt: ProbeAttempt) { script.play(attempt, name) }

    static func == (a: Self, b: Self) -> Bool { a.name == b.name && a.script === b.script }
}

/// Use it from one thread: in tests that are not asynchronous.
final class ScriptedChecker {
    let script = Script()
    let loop = EmbeddedEventLoop()
    let state: CheckerState
    private let published = Published()

    final class Published: Sendable {
        let updates = Mutex<[HealthUpdate]>([])
    }

    init() {
        let published = published
        state = CheckerState(loop: loop) { update in
            published.updates.withLock { $0.append(update) }
        }
        let script = script
        state.connect = { attempt, port in script.play(attempt, "\(port)") }
    }

    deinit {
        _ = state.stop()
        try? loop.syncShutdownGracefully()
    }

    /// All that came into force, in order.
    var updates: [HealthUpdate] { published.updates.withLock { $0 } }
    var transitions: [Transition] { updates.flatMap(\.transitions) }
    var notices: [IsolationNotice] { updates.flatMap(\.isolationNotices) }
    /// What is published, by key.
    var standings: [String: Verdict] {
        Dictionary(state.states().map { ($0.key, $0.standing.verdict) }) { first, _ in first }
    }
    var isFrozen: Bool { state.isolation.isFrozen }

    /// A monitor of this checker; the settings as in a pool file.
    func monitor(_ name: String, _ settings: String = "interval: 10s, timeout: 2s") throws
        -> Monitor
    {
        var diagnostics = Diagnostics()
        guard
            let value = parseSettings(
                "{type: tcp, port: 1, \(settings)}", file: "f", diagnostics: &diagnostics),
            var monitor = Monitor(name: name, value, &diagnostics)
        else { throw ProgramError(description: "\(diagnostics.sorted)") }
        monitor.probe = ScriptedProbe(name, script)
        return monitor
    }

    /// Puts targets in force; their ids follow their order.
    func replace(_ targets: [ProbeTarget], isolation: IsolationSettings = IsolationSettings()) {
        var targets = targets
        for index in targets.indices { targets[index].id = index }
        let published = published
        _ = state.replace(
            targets, base: HealthTable(count: targets.count), isolation: isolation,
            adopt: { update in published.updates.withLock { $0.append(update) } })
        loop.run()
    }

    func advance(_ duration: Duration) { loop.advanceTime(by: TimeAmount(duration)) }
}

/// One address, `192.0.2.N`, of the origin `pool/oN`.
func scriptedTarget(_ number: Int, pool: String, _ monitors: [Monitor], needed: Int? = nil)
    -> ProbeTarget
{
    ProbeTarget(
        id: 0, pool: pool, origin: "o\(number)",
        address: IPAddress(ipv4: 0xC000_0200 + UInt32(number)),
        monitors: monitors, needed: needed ?? monitors.count)
}
