// Monitors of type icmp: one echo request and its reply. It says that a machine is there, and nothing
// of what it serves. A request without a reply for half of the timeout is sent a second time. Keys of
// its own, beside Monitor's:
//
//     monitors:
//       router:
//         type: icmp
//         # source: 192.0.2.1      # ask from this address of this machine, or [IPv4, IPv6]
//
// The socket is the one that Linux gives to ordinary users (SOCK_DGRAM) whose group is within the
// range of the sysctl net.ipv4.ping_group_range; without that, such a monitor is an error.

internal import DNSWire
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Settings

/// Sends an echo request.
struct ICMPProbe: Probe {
    static let type = "icmp"
    static let keys = ["source"]

    let sources: [IPAddress]

    init?(_ settings: SettingsMapping, _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        sources = Endpoint.sources(settings, &diagnostics)
        if let fault = Self.fault {
            let subject = settings.path.isEmpty ? "" : "\(settings.path): "
            diagnostics.error(
                at: settings.position,
                "\(subject)this system lets us open no ICMP socket (\(fault)); widen the sysctl "
                    + "net.ipv4.ping_group_range to a group of rhumb's user, or use another type")
        }
        guard diagnostics.errorCount == errorsBefore else { return nil }
    }

    var port: Int? { nil }

    /// Why there is no socket to be had; nil if there is.
    static var fault: String? {
        let descriptor = socket(
            AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), Int32(IPPROTO_ICMP))
        guard descriptor >= 0 else { return words(ofErrno: errno) }
        close(descriptor)
        return nil
    }

    func start(_ attempt: ProbeAttempt) {
        let subtype = attempt.address.family == .ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6
        // ICMP has no ports, but without one the kernel would not tell NIO that it is connected.
        attempt.connectDatagrams(
            port: 7, sources: sources, NIOBSDSocket.ProtocolSubtype(rawValue: Int32(subtype))
        ) { [ICMPProbeHandler(attempt)] }
    }

    /// An echo request (RFC 792, RFC 4443, section 4.1); the kernel sets the identifier, and IPv6's
    /// checksum.
    static func request(family: IPAddress.Family, token: [UInt8]) -> [UInt8] {
        var message: [UInt8] = [family == .ipv4 ? 8 : 128, 0, 0, 0, 0, 0, 0, 1] + token
        guard family == .ipv4 else { return message }
        var sum: UInt32 = 0
        for index in stride(from: 0, to: message.count, by: 2) {
            let low = index + 1 < message.count ? message[index + 1] : 0
            sum += UInt32(message[index]) << 8 | UInt32(low)
        }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        message[2] = UInt8(~sum >> 8 & 0xFF)
        message[3] = UInt8(~sum & 0xFF)
        return message
    }
}

private final class ICMPProbeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let attempt: ProbeAttempt
    private let token = (0..<16).map { _ in UInt8.random(in: 0...255) }

    init(_ attempt: ProbeAttempt) {
        self.attempt = attempt
    }

    func channelActive(context: ChannelHandlerContext) {
        attempt.enter(.status, "waiting for the echo reply")
        let request = ICMPProbe.request(family: attempt.address.family, token: token)
        let message = ByteBuffer(bytes: request)
        context.writeAndFlush(wrapOutboundOut(message), promise: nil)
        attempt.resend { [self] in context.writeAndFlush(wrapOutboundOut(message), promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let message = unwrapInboundIn(data).readableBytesView
        let reply: UInt8 = attempt.address.family == .ipv4 ? 0 : 129
        // Others are not ours: the kernel hands out what has the identifier, the token is the proof.
        guard message.first == reply, message.dropFirst(8).elementsEqual(token) else { return }
        attempt.pass("echo reply")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        attempt.fail(error)
    }
}
