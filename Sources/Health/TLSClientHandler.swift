// TLS in a channel: moves octets between NIO and the TLSClient, and hides the handshake.
//
// Handlers behind it see `channelActive` when the handshake is done, and plaintext after it; also
// where it comes into a connection that has begun without TLS.

internal import Cryptography
internal import NIOCore

final class TLSClientHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var client: TLSClient
    private let attempt: ProbeAttempt
    private let leastDays: Int?
    private var isReady = false
    private var isOver = false

    /// - Parameter leastDays: for how many days the certificates have to hold yet.
    init(_ client: consuming TLSClient, _ attempt: ProbeAttempt, leastDays: Int?) {
        self.client = client
        self.attempt = attempt
        self.leastDays = leastDays
    }

    /// When a certificate ends first, in words: `certificate ends in 30 days`.
    private(set) var endInWords = ""

    /// Looks at the certificates' days; false if they are too few, which is then decided.
    private func judgeDays() -> Bool {
        guard let end = client.certificateEnd else {
            attempt.fail(.handshake, "the server showed no certificate")
            return false
        }
        let days = Self.days(until: end.seconds, now: .now())
        let whose = end.authority.map { "certificate of the authority \($0.quoted)" }
        endInWords =
            (whose ?? "certificate")
            + (days < 0 ? " has expired" : " ends in \(days) day\(days == 1 ? "" : "s")")
        guard let leastDays, days < leastDays else { return true }
        attempt.fail(.handshake, "\(endInWords), expected at least \(leastDays)")
        return false
    }

    /// Whole days from `now` to a certificate's end, in seconds since 1970; negative after it.
    static func days(until end: Int64, now: Timestamp) -> Int {
        let seconds = Double(end) - Double(now.nanoseconds) / 1e9
        return Int((seconds / 86_400).rounded(.down))
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) { begin(context) }

    private func begin(_ context: ChannelHandlerContext) {
        attempt.enter(.handshake)
        advance(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        client.feed(Array(unwrapInboundIn(data).readableBytesView))
        advance(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard isReady else {
            return attempt.fail(
                .handshake, "connection closed by the origin in the TLS handshake")
        }
        // Handlers behind hear of one end only: close_notify or this.
        guard !isOver else { return }
        isOver = true
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        isReady ? context.fireErrorCaught(error) : attempt.fail(error)
    }

    /// Does all that the octets so far allow: handshake, then plaintext up the pipeline.
    private func advance(_ context: ChannelHandlerContext) {
        do throws(TLSError) {
            if !isReady {
                let isDone = try client.handshake()
                flush(context)
                guard isDone else { return }
                isReady = true
                guard judgeDays() else { return }
                context.fireChannelActive()
            }
            while !isOver, !attempt.isDecided {
                switch try client.read() {
                case .data(let plaintext):
                    context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: plaintext)))
                case .needsMore:
                    return flush(context)
                case .closed:
                    isOver = true
                    context.fireChannelInactive()
                }
            }
        } catch {
            // An alert for the other side, if there is one.
            flush(context)
            isOver = true
            attempt.fail(error)
        }
    }

    private func flush(_ context: ChannelHandlerContext, promise: EventLoopPromise<Void>? = nil) {
        let ciphertext = client.takeCiphertext()
        guard !ciphertext.isEmpty else {
            promise?.succeed()
            return
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: ciphertext)), promise: promise)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        do throws(TLSError) {
            try client.write(Array(unwrapOutboundIn(data).readableBytesView))
            flush(context, promise: promise)
        } catch {
            promise?.fail(error)
            attempt.fail(error)
        }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if isReady, !isOver {
            isOver = true
            client.close()
            flush(context)
        }
        context.close(mode: mode, promise: promise)
    }
}
