// WebSocket frames (RFC 6455, section 5.2), as far as a probe needs them: a total reader of what a server
// sends, which keeps no more than a control frame, and a ping with its pong.

internal import NIOCore

/// Reads frames as they come, and passes over the payload of those with data.
struct WebSocketReader {
    struct Frame: Equatable {
        var opcode: UInt8
        /// Of a control frame; empty for data.
        var payload: [UInt8]
    }

    enum Opcode {
        static let close: UInt8 = 8
        static let ping: UInt8 = 9
        static let pong: UInt8 = 10
        fileprivate static let known: Set<UInt8> = [0, 1, 2, close, ping, pong]
    }

    /// What a server must not send, in words.
    struct Fault: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    /// Section 5.5.
    static let controlLimit = 125

    private var received: ArraySlice<UInt8> = []
    /// Octets of data that are still to come, and to be passed over.
    private var passing: UInt64 = 0

    mutating func feed(_ octets: some Sequence<UInt8>) { received += octets }

    /// The next frame that is whole, or of data and begun.
    mutating func next() throws(Fault) -> Frame? {
        let passed = min(passing, UInt64(received.count))
        received = received.dropFirst(Int(passed))
        passing -= passed
        guard passing == 0, received.count >= 2 else { return nil }
        let head = Array(received.prefix(10))
        try check(head[0], head[1])
        let width = head[1] == 127 ? 8 : head[1] == 126 ? 2 : 0
        guard head.count >= 2 + width else { return nil }
        let length =
            width == 0
            ? UInt64(head[1]) : head[2..<2 + width].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard width == 0 || length > (width == 2 ? UInt64(Self.controlLimit) : 0xFFFF),
            length <= Int64.max
        else { throw Fault(description: "a frame whose length is not written as it must be") }
        let opcode = head[0] & 0xF
        guard opcode >= Opcode.close else {
            received = received.dropFirst(2 + width)
            passing = length
            return Frame(opcode: opcode, payload: [])
        }
        guard received.count >= 2 + Int(length) else { return nil }
        let payload = Array(received.dropFirst(2).prefix(Int(length)))
        received = received.dropFirst(2 + payload.count)
        return Frame(opcode: opcode, payload: payload)
    }

    private func check(_ first: UInt8, _ second: UInt8) throws(Fault) {
        let opcode = first & 0xF
        guard first & 0x70 == 0, Opcode.known.contains(opcode) else {
            throw Fault(description: "a frame with bits that no extension was agreed on for")
        }
        guard second & 0x80 == 0 else {
            throw Fault(description: "a masked frame, which servers must not send")
        }
        let isWhole = first & 0x80 != 0 && second <= UInt8(Self.controlLimit)
        guard opcode < Opcode.close || isWhole else {
            throw Fault(description: "a control frame that is too long, or in parts")
        }
    }
}

/// Speaks in frames: a ping if there is to be one, and a goodbye.
final class WebSocketFrames: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let attempt: ProbeAttempt
    private let sendsPing: Bool
    private let token = Array("rhumb".utf8)
    private var reader = WebSocketReader()
    /// From when on it may send, until it is gone.
    private var context: ChannelHandlerContext?
    private var hasBegun = false

    init(_ attempt: ProbeAttempt, sendsPing: Bool) {
        self.attempt = attempt
        self.sendsPing = sendsPing
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// The connection is all its own.
    func begin() {
        guard let context, !attempt.isDecided else { return }
        hasBegun = true
        guard sendsPing else { return leave(context, "upgraded") }
        attempt.enter(.body, "waiting for the pong")
        send(WebSocketReader.Opcode.ping, token, context)
        hear(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reader.feed(unwrapInboundIn(data).readableBytesView)
        hear(context)
    }

    private func hear(_ context: ChannelHandlerContext) {
        do throws(WebSocketReader.Fault) {
            while hasBegun, !attempt.isDecided, let frame = try reader.next() {
                switch frame.opcode {
                case WebSocketReader.Opcode.pong where frame.payload == token:
                    leave(context, "upgraded, ping answered")
                case WebSocketReader.Opcode.ping:
                    send(WebSocketReader.Opcode.pong, frame.payload, context)
                case WebSocketReader.Opcode.close:
                    attempt.fail(.body, "the origin closed the websocket before the pong")
                default: break
                }
            }
        } catch {
            attempt.fail(.body, error.description)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        attempt.fail(.body, "connection closed by the origin before the pong")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        attempt.fail(error)
    }

    private func leave(_ context: ChannelHandlerContext, _ words: String) {
        // Status 1000, a normal closure.
        send(WebSocketReader.Opcode.close, [0x03, 0xE8], context)
        attempt.pass(words)
    }

    /// Payloads are masked, as those of clients have to be (RFC 6455, section 5.3).
    private func send(_ opcode: UInt8, _ payload: [UInt8], _ context: ChannelHandlerContext) {
        let mask = (0..<4).map { _ in UInt8.random(in: 0...255) }
        let masked = payload.enumerated().map { $1 ^ mask[$0 & 3] }
        let frame = [0x80 | opcode, 0x80 | UInt8(payload.count)] + mask + masked
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: frame)), promise: nil)
    }
}
