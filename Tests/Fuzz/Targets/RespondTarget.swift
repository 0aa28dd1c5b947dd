// The whole way of a query: an octet for how it comes (bit 0 TCP, bit 1 ailing origins, bits 2 and 3
// who asks), then the packet.

import Authority
import DNSWire
import TestSupport

extension FuzzTarget {
    static let respond = FuzzTarget(name: "respond", maximumLength: 1_500) {
        let server = try FuzzServer()
        let sources = ["198.51.100.7", "203.0.113.9", "2001:db8:a::1", "::ffff:198.51.100.200"]
            .compactMap { IPAddress($0) }
        return { octets in
            var input = FuzzInput(octets)
            let way = input.octet()
            let packet = Array(input.rest)
            let carrier: Carrier = way & 1 == 0 ? .udp : .tcp
            let snapshot = way & 2 == 0 ? server.healthy : server.ailing
            let source = sources[Int(way >> 2 & 3)]
            let answer = server.answer(to: packet, from: source, over: carrier, with: snapshot)
            if let fault = answerFault(answer, to: packet, overTCP: carrier == .tcp) {
                return "\(fault): \(TestAnswer(answer)?.text ?? "")"
            }
            let again = server.answer(
                to: packet, from: source, over: carrier, with: snapshot, fresh: true)
            guard answer == again || isDraw(again) else { return "the same query, another answer" }
            return nil
        }
    }
}

/// Whether the answer may come from a weighted draw: then its name says so.
private func isDraw(_ answer: [UInt8]) -> Bool {
    let question = TestAnswer(answer)?.question?.lowercased() ?? ""
    return question.contains("drawn")
}
