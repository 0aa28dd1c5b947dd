// A connection's octets in arbitrary pieces: an octet for the number of steps, one for each step (0
// turns the client's taking of answers on or off, N gives N octets), then the octets; what the steps
// leave comes in one piece, and the client closes its half.

import Authority
import DNSWire
import NIOCore
import NIOEmbedded

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
            let connection = FuzzConnection(publisher)
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

/// A `TCPConnection` without a socket.
private final class FuzzConnection {
    private let channel = EmbeddedChannel()
    private(set) var sent: [UInt8] = []

    init(_ publisher: SnapshotPublisher) {
        // Draws have to come out as those of `FuzzServer` do.
        let service = TCPService(
            loop: channel.embeddedEventLoop, limits: TransportLimits(), publisher: publisher,
            seed: 1,
            counters: TCPCounterCells())
        let connection = TCPConnection(peer: peer, service: service)
        try? channel.pipeline.syncOperations.addHandler(connection)
        guard let address = try? SocketAddress(ipAddress: "127.0.0.1", port: 53) else {
            preconditionFailure("an address of this machine is one")
        }
        channel.connect(to: address, promise: nil)
    }

    var isClosed: Bool { !channel.isActive }

    func receive(_ stream: [UInt8], in steps: [UInt8]) {
        var rest = stream[...]
        for step in steps {
            if step == 0 { setWritable(!channel.isWritable) }
            give(rest.prefix(Int(step)))
            rest = rest.dropFirst(Int(step))
        }
        give(rest)
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        setWritable(true)
        channel.embeddedEventLoop.run()
        collect()
    }

    private func give(_ octets: ArraySlice<UInt8>) {
        guard !octets.isEmpty, channel.isActive else { return }
        _ = try? channel.writeInbound(ByteBuffer(bytes: octets))
        collect()
    }

    private func setWritable(_ isWritable: Bool) {
        guard channel.isWritable != isWritable else { return }
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
        collect()
    }

    private func collect() {
        while let buffer = try? channel.readOutbound(as: ByteBuffer.self) {
            sent += Array(buffer.readableBytesView)
        }
    }
}
