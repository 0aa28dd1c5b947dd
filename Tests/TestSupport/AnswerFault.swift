// What must hold of every answer, whatever was asked; read independently of the server's codec.

/// Returns what is wrong with what a server sent for a packet; nil if nothing is.
///
/// - Parameter answer: empty if nothing was sent.
public func answerFault(_ answer: [UInt8], to packet: [UInt8], overTCP: Bool) -> String? {
    if packet.count < 12 || packet[2] & 0x80 != 0 {
        return answer.isEmpty ? nil : "something was sent for no query"
    }
    guard let decoded = TestAnswer(answer) else {
        return "no readable answer: \(answer.count) octets"
    }
    guard answer[..<2] == packet[..<2] else { return "another query's ID" }
    guard decoded.flags & 0x8000 != 0 else { return "QR is clear" }
    guard answer[2] & 0x79 == packet[2] & 0x79 else { return "opcode or RD not as in the query" }
    guard decoded.flags & 0x00E0 == 0 else { return "RA, Z or AD is set" }
    guard [0, 1, 2, 3, 4, 5, 6, 9, 16, 23].contains(decoded.code) else {
        return "code \(decoded.code)"
    }
    if decoded.question != nil {
        let end = questionEnd(answer)
        guard packet.count >= end, answer[12..<end] == packet[12..<end] else {
            return "another question"
        }
    } else if packet[4..<6] != [0, 0], ![1, 4].contains(decoded.code) {
        return "an answer without question"
    }
    let isError = ![0, 3, 6].contains(decoded.code)
    // The refusal of a TSIG has one of its own.
    let additional = decoded.additional.count { !$0.contains(" ANY TSIG ") }
    let records = decoded.answer.count + decoded.authority.count + additional
    guard !isError && decoded.question != nil || records == 0 else {
        return "records beside an error"
    }
    // An OPT comes only where one was, and only an OPT makes room.
    let limit =
        overTCP
        ? 65_535 : decoded.payloadSize == nil ? 512 : min(max(512, largestPayload(packet)), 1_232)
    guard answer.count <= limit else { return "\(answer.count) octets, the limit is \(limit)" }
    return nil
}

/// The octet after the question of a readable message.
private func questionEnd(_ message: [UInt8]) -> Int {
    var position = 12
    while message[position] != 0 { position += Int(message[position]) + 1 }
    return position + 5
}

/// The largest size that any OPT record in the packet could state, wherever one may be read.
private func largestPayload(_ packet: [UInt8]) -> Int {
    guard packet.count >= 17 else { return 0 }
    var largest = 0
    for place in 12..<packet.count - 4
    where packet[place] == 0 && packet[place + 1] == 0 && packet[place + 2] == 41 {
        largest = max(largest, Int(packet[place + 3]) << 8 | Int(packet[place + 4]))
    }
    return largest
}
