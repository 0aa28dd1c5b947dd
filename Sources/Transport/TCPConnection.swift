// One TCP connection: collects octets until messages are complete (RFC 1035, section 4.2.2), has
// them answered in order, and stops reading while its client does not take the answers.
//
// It closes when the client has closed its half and everything is answered; in order on a length that
// no message has and at a total limit: answers, our FIN, then whatever still comes is discarded until
// the client's; at once on any error and when the service says so (idle, evicted, stop).

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
    /// No further query is taken; what still comes is discarded.
    private var isFinishing = false
    /// Our half closes when everything is answered, the other one when the client closes it.
    private var closesInOrder = false
    /// Our half is closed.
    private var isHalfClosed = false
    /// Guards against being called back from within a flush.
    private var isAnswering = false

    // Kept by the service: what counts against the total limits.
    var opened = NIODeadline.uptimeNanoseconds(0)
    var received = 0
    // Kept by the ConnectionTable: when it was last active, and its place there while it has one.
    var lastActive = NIODeadline.uptimeNanoseconds(0)
    var seats: ConnectionTable.Seats?

    init(peer: IPAddress, service: TCPService) {
        self.peer = peer
        self.service = service
    }

    /// Closes the connection at once.
    ///
    /// Answers that the kernel has are still delivered, and a FIN follows them. Where it does not
    /// take more, as the client does not, the connection is reset: or else it would keep what it
    /// has for as long as the client answers its probes.
    func close() {
        guard let context else { return }
        if pendingWrites > 0, let options = context.channel as? any SocketOptionProvider {
            _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        context.close(promise: nil)
    }

    /// Answers what has been received completely, then closes without waiting for the client.
    func finish() {
        guard let context else { return }
        isFinishing = true
        closesInOrder = false
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
        if isHalfClosed { return context.read() }
        if !isFinishing, service.isAtItsEnd(self) { finishInOrder() }
        answerQueries(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        answerQueries(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            isFinishing = true
            closesInOrder = false
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
            let rest = service.answer(
                &inbound, from: self, isEnding: isFinishing, into: &answers)
            if answers.readableBytes > 0 { write(answers, context) }
            switch rest {
            case .incomplete: wantsMore = true
            case .more: continue
            case .last:
                finishInOrder()
                inbound.clear()
                wantsMore = true
            }
        }
        if isFinishing {
            if wantsMore, pendingWrites == 0 { endAnswered(context) }
        } else if wantsMore {
            // An empty buffer keeps no memory for an idle connection.
            if inbound.readableBytes == 0 { inbound = ByteBuffer() }
            context.read()
        }
    }

    private func finishInOrder() {
        guard !isFinishing else { return }
        isFinishing = true
        closesInOrder = true
    }

    /// Ends a connection whose answers the kernel has.
    ///
    /// To close it while there is something unread would reset it, and a reset can destroy answers
    /// on their way (RFC 1122, section 4.2.2.13; RFC 7766, section 6.2.4). So our half closes first;
    /// clients close theirs when they see that, and the idle timeout ends the wait for others.
    private func endAnswered(_ context: ChannelHandlerContext) {
        if !closesInOrder {
            context.close(promise: nil)
        } else if !isHalfClosed {
            isHalfClosed = true
            context.close(mode: .output, promise: nil)
            context.read()
        }
    }

    private func write(_ answers: ByteBuffer, _ context: ChannelHandlerContext) {
        pendingWrites += 1
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in
            self.pendingWrites -= 1
            guard let context = self.context else { return }
            self.service.touch(self)
            // Within `answerQueries` this does nothing: it looks at pendingWrites afterwards.
            if self.pendingWrites == 0, self.isFinishing { self.answerQueries(context) }
        }
        context.writeAndFlush(wrapOutboundOut(answers), promise: written)
    }
}
