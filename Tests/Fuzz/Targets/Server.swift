// What answers in the targets `edns`, `tcp` and `respond`: a responder before the content of
// content.scenario.

import Authority
import Cryptography
import DNSWire
import Settings
import TestSupport

/// One worker, in two states of health.
final class FuzzServer {
    /// What clients are told of a connection's patience: the default, in units of 100 milliseconds.
    static let idleTimeout: UInt16 = 100
    private let idleTimeout: UInt16

    let healthy: Snapshot
    /// Half of the origins are down.
    let ailing: Snapshot
    /// Answers packet after packet, as a worker does.
    private var responder = Responder(seed: 1)
    /// As long as a worker's slots for the two carriers, so that the sanitizer sees what goes beyond.
    private var datagram = [UInt8](repeating: 0, count: AnswerSettings.datagramLengths.upperBound)
    private var message = [UInt8](repeating: 0, count: Responder.maximumAnswerLength)

    /// - Parameter cookies: whether it answers cookies, which depend on the time.
    init(cookies: Bool = true, idleTimeout: UInt16 = FuzzServer.idleTimeout) throws {
        self.idleTimeout = idleTimeout
        let folder = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
        let text = try readFile(path: "/\(folder)/content.scenario", limit: 1 << 20)
        var answers = AnswerSettings(identity: "fuzz")
        answers.version = "1"
        answers.cookies = cookies ? CookieSecrets(current: SipHashKey(0..<16)) : nil
        let scenario = try Scenario(String(decoding: text, as: UTF8.self))
        let test = try TestContent(scenario, answers: answers)
        healthy = test.snapshot()
        ailing = test.snapshot { _, origin, _ in origin == "one" }
    }

    /// What the worker sends for a packet, or a responder that has seen no other; empty for nothing.
    func answer(
        to packet: [UInt8], from source: IPAddress, over carrier: Carrier,
        with snapshot: Snapshot, fresh: Bool = false
    ) -> [UInt8] {
        if fresh { responder = Responder(seed: 1) }
        switch carrier {
        case .udp: return answer(packet, source, carrier, snapshot, &datagram)
        case .tcp: return answer(packet, source, carrier, snapshot, &message)
        }
    }

    private func answer(
        _ packet: [UInt8], _ source: IPAddress, _ carrier: Carrier, _ snapshot: Snapshot,
        _ space: inout [UInt8]
    ) -> [UInt8] {
        var answer = space.mutableSpan
        let arrival = Arrival(
            from: source, over: carrier, at: 1_559_731_985, idleTimeout: idleTimeout)
        let length = responder.respond(
            to: packet.span, arrival, with: snapshot, into: &answer)
        return Array(space.prefix(length))
    }
}
