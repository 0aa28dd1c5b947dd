// One TCP connection: collects octets until messages are complete (RFC 1035, section 4.2.2), has
// them answered in order, and stops reading while its client does not take the answers.
//
// It closes when the client has closed its half and everything is answered, on a length that no
// message has, on any error, and when the service says so (idle, evicted, stop).

import DNSWire
import Glibc
import NIOCore

/// The last handler of a connection's channel; all of it runs on the channel's event loop.
final class TCPConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let peer: IPAddress
    private let service: TCPService
    private var context: ChannelHandlerContext?

    /// Octets received and not yet answered: at most one unfinished message and one read, or
    /// whole queries while the client does not take answers (then nothing is read).
    private var inbound = ByteBuffer()
    /// Writes that the kernel has not taken yet.
    private var pendingWrites = 0
    /// The client sends no more, or is not listened to any more.
    private var isFinishing = false
    /// Guards against being called back from within a flush.
    private var isAnswering = false

    // The connection's place in the ConnectionTable, which alone changes these.
    var lastActive = NIODeadline.uptimeNanoseconds(0)
    var isListed = false
    var idler: TCPConnection?
    var busier: TCPConnection?

    init(peer: IPAddress, service: TCPService) {
        self.peer = peer
        self.service = service
    }

    /// Closes the connection at once; answers that the kernel has not taken are lost.
    func close() {
        context?.close(promise: nil)
    }

    /// Answers what has been received completely, then closes.
    func finish() {
        guard let context else { return }
        isFinishing = true
        answerQueries(context)
    }

    // MARK: Events

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        service.opened(self)
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        service.closed(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isFinishing else { return }
        var chunk = unwrapInboundIn(data)
        if inbound.readableBytes == 0 {
            inbound = chunk
        } else {
            inbound.discardReadBytes()
            inbound.writeBuffer(&chunk)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        answerQueries(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        answerQueries(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            isFinishing = true
            answerQueries(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Resets and the like are the client's business; there is nobody left to tell. ETIMEDOUT
        // is the kernel's word for a client that took nothing for twice the idle timeout.
        if (error as? IOError)?.errnoCode == ETIMEDOUT { service.counters.timedOut.add(1) }
        context.close(promise: nil)
    }

    // MARK: Answering

    /// Answers complete messages as long as the client takes answers, then reads on or closes.
    private func answerQueries(_ context: ChannelHandlerContext) {
        guard !isAnswering else { return }
        isAnswering = true
        defer { isAnswering = false }
        var wantsMore = false
        while context.channel.isWritable, !wantsMore {
            var answers = context.channel.allocator.buffer(capacity: 0)
            let rest = service.answer(&inbound, from: self, into: &answers)
            if answers.readableBytes > 0 { write(answers, context) }
            switch rest {
            case .incomplete: wantsMore = true
            case .more: continue
            case .malformed:
                isFinishing = true
                inbound.clear()
                wantsMore = true
            }
        }
        if isFinishing {
            if wantsMore, pendingWrites == 0 { context.close(promise: nil) }
        } else if wantsMore {
            // An empty buffer keeps no memory for an idle connection.
            if inbound.readableBytes == 0 { inbound = ByteBuffer() }
            context.read()
        }
    }

    private func write(_ answers: ByteBuffer, _ context: ChannelHandlerContext) {
        pendingWrites += 1
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in
            self.pendingWrites -= 1
            guard self.pendingWrites == 0, let context = self.context else { return }
            self.service.touch(self)
            // Within `answerQueries` this does nothing: it looks at pendingWrites afterwards.
            if self.isFinishing { self.answerQueries(context) }
        }
        context.writeAndFlush(wrapOutboundOut(answers), promise: written)
    }
}
