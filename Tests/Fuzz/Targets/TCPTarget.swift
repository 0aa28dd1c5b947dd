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
        let publisher = SnapshotPublisher(server.healthy)
        return { octets in
            var input = FuzzInput(octets)
            let steps = input.octets(Int(input.octet()))
            let stream = Array(input.rest)
            let connection = FuzzConnection(publisher)
            connection.receive(stream, in: steps)
            guard connection.isClosed else { return "not closed after the client's half was" }
            let expected = framedAnswers(to: stream, server)
            guard connection.sent == expected else {
                return "\(connection.sent.count) octets were sent, not these \(expected.count)"
            }
            return nil
        }
    }
}

private let peer = IPAddress(ipv4: 0xC633_6407)

/// The answers to a stream's messages, one by one; a length that no message has ends it.
private func framedAnswers(to stream: [UInt8], _ server: FuzzServer) -> [UInt8] {
    var answers: [UInt8] = []
    var rest = stream[...]
    var isFirst = true
    while rest.count >= 2 {
        let head = rest.prefix(2).map(Int.init)
        let length = head[0] << 8 | head[1]
        guard length >= 12, rest.count >= 2 + length else { break }
        let answer = server.answer(
            to: Array(rest.dropFirst(2).prefix(length)), from: peer, over: .tcp,
            with: server.healthy, fresh: isFirst)
        isFirst = false
        rest = rest.dropFirst(2 + length)
        guard !answer.isEmpty else { continue }
        answers += [UInt8(answer.count >> 8), UInt8(answer.count & 255)] + answer
    }
    return answers
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
        channel.connect(to: try! SocketAddress(ipAddress: "127.0.0.1", port: 53), promise: nil)
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
