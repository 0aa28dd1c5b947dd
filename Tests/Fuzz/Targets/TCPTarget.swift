// A connection's octets in arbitrary pieces: an octet for the number of steps, one for each step (0
// turns the client's taking of answers on or off, N gives N octets), then the octets; what the steps
// leave comes in one piece, and the client closes its half.

import Authority
import DNSWire

@testable import Transport

extension FuzzTarget {
    static let tcp = FuzzTarget(name: "tcp", maximumLength: 2_048) {
        let server = try FuzzServer(cookies: false)
        // What an ending connection says of its patience.
        let ending = try FuzzServer(cookies: false, idleTimeout: 0)
        let publisher = SnapshotPublisher(server.healthy)
        return { octets in
            var input = FuzzInput(octets)
            let steps = input.octets(Int(input.octet()))
            let stream = Array(input.rest)
            var connection = FuzzConnection(publisher)
            connection.receive(stream, in: steps)
            guard connection.isClosed else { return "not closed after the client's half was" }
            let (sent, rest) = split(connection.sent)
            guard rest == 0 else { return "an answer is cut off, or not as long as it says" }
            let expected = (open: answers(to: stream, server), ending: answers(to: stream, ending))
            guard sent.count == expected.open.count else {
                return "\(sent.count) answers, not \(expected.open.count)"
            }
            // From where the connection ends, its answers tell clients so (RFC 7828, section 3.2.2).
            let end = sent.indices.first { sent[$0] != expected.open[$0] } ?? sent.count
            guard sent[end...] == expected.ending[end...] else { return "answer \(end) is another" }
            return nil
        }
    }
}

private let peer = IPAddress(ipv4: 0xC633_6407)

/// The messages of a stream, up to a length that no message has, and how many octets are left.
private func split(_ stream: [UInt8]) -> (messages: [[UInt8]], rest: Int) {
    var messages: [[UInt8]] = []
    var rest = stream[...]
    while rest.count >= 2 {
        let head = rest.prefix(2).map(Int.init)
        let length = head[0] << 8 | head[1]
        guard length >= 12, rest.count >= 2 + length else { break }
        messages.append(Array(rest.dropFirst(2).prefix(length)))
        rest = rest.dropFirst(2 + length)
    }
    return (messages, rest.count)
}

/// The answers to a stream's messages, one by one.
private func answers(to stream: [UInt8], _ server: FuzzServer) -> [[UInt8]] {
    split(stream).messages.enumerated().map { index, message in
        server.answer(
            to: message, from: peer, over: .tcp, with: server.healthy, fresh: index == 0)
    }.filter { !$0.isEmpty }
}

/// A connection without a socket: what `TCPWorker` does with one, and a client that takes answers or not.
private struct FuzzConnection: ~Copyable {
    private var stream = TCPStream(peer: peer)
    private var answerer: TCPAnswerer
    private var takes = true
    private(set) var sent: [UInt8] = []
    private(set) var isClosed = false

    init(_ publisher: SnapshotPublisher) {
        // Draws have to come out as those of `FuzzServer` do.
        answerer = TCPAnswerer(
            limits: TransportLimits(), publisher: publisher, seed: 1, counters: TCPCounterCells())
    }

    mutating func receive(_ octets: [UInt8], in steps: [UInt8]) {
        var rest = octets[...]
        for step in steps {
            if step == 0 { setTakes(!takes) }
            give(rest.prefix(Int(step)))
            rest = rest.dropFirst(Int(step))
        }
        give(rest)
        stream.phase = .finishing
        if takes { answer() } else { setTakes(true) }
    }

    private mutating func give(_ octets: ArraySlice<UInt8>) {
        guard !octets.isEmpty, stream.phase == .open else { return }
        stream.inbound.append(Array(octets).span)
        answer()
    }

    private mutating func setTakes(_ takes: Bool) {
        self.takes = takes
        guard takes else { return }
        sent += octets(of: stream.outbound)
        stream.outbound = OctetQueue()
        answer()
    }

    private mutating func answer() {
        guard stream.outbound.isEmpty else { return }
        var rest = TCPAnswerer.Rest.more
        while rest == .more {
            rest = answerer.answer(&stream)
            if rest == .last {
                stream.inbound.removeAll()
                if stream.phase == .open { stream.phase = .finishingInOrder }
            }
            guard takes else {
                stream.outbound.append(octets(of: answerer.gathered).span)
                return
            }
            sent += octets(of: answerer.gathered)
        }
        isClosed = stream.phase != .open
    }
}

private func octets(of queue: borrowing OctetQueue) -> [UInt8] {
    let span = queue.span
    return span.indices.map { span[$0] }
}
