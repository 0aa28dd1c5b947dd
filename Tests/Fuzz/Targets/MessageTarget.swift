// The query reader: the input is a packet.

import DNSWire

extension FuzzTarget {
    static let message = FuzzTarget(name: "message", maximumLength: 1_500) {
        let reused = QueryHolder()
        return { packet in
            var query = Query()
            let status = query.read(packet.span)
            let fault = messageFault(query, status, packet)
            if fault != nil { return fault }
            // What one packet leaves behind must not show in the next.
            guard reused.query.read(packet.span) == status, isSame(query, reused.query) else {
                return "read after another packet it means something else"
            }
            return nil
        }
    }
}

/// A query that is used for packet after packet, as a worker does.
private final class QueryHolder {
    var query = Query()
}

private func messageFault(
    _ query: borrowing Query, _ status: QueryStatus, _ packet: [UInt8]
) -> String? {
    let isQuery = packet.count >= 12 && packet[2] & 0x80 == 0
    guard (status == .ignore) != isQuery else { return "\(status) for \(packet.count) octets" }
    guard isQuery else { return nil }
    if status != .malformed, status != .unknownOpcode {
        let questions: UInt8 = query.questionEnd > 12 ? 1 : 0
        // IXFR has the client's SOA in authority.
        let authority: UInt8 = query.questionEnd > 12 && query.type == .ixfr ? packet[9] & 1 : 0
        guard packet[2] & 0x78 == 0,
            packet[4..<10].elementsEqual([0, questions, 0, 0, 0, authority])
        else { return "\(status), though opcode and counts are no query's" }
        if status == .query, questions == 0 { return "a query without a question" }
        if status == .cookieOnly, questions > 0 || !query.hasCookie || !query.cookie.isWellFormed {
            return "cookieOnly for something else"
        }
    }
    if !query.hasEDNS, status == .unknownVersion || query.hasCookie || query.hasSubnet {
        return "what an OPT holds without an OPT"
    }
    if status == .unknownKey, let fault = signatureFault(query.signature, packet) { return fault }
    if query.hasSubnet {
        let subnet = query.subnet
        guard subnet.sourceLength <= subnet.address.family.rawValue,
            subnet.address.masked(to: Int(subnet.sourceLength)) == subnet.address
        else { return "a subnet with bits after its length" }
    }
    return query.questionEnd == 12 ? nil : questionFault(query, packet)
}

/// What is wrong with where a TSIG record's parts are said to lie.
private func signatureFault(_ signature: SignatureRecord?, _ packet: [UInt8]) -> String? {
    guard let signature else { return nil }
    guard signature.start >= 12, signature.nameEnd <= signature.algorithmEnd,
        signature.algorithmEnd <= packet.count,
        Name(wire: packet[signature.start..<signature.nameEnd]) != nil,
        Name(wire: packet[signature.nameEnd + 10..<signature.algorithmEnd]) != nil
    else { return "a TSIG's names lie elsewhere" }
    return nil
}

/// What is wrong with a question that counts as readable.
private func questionFault(_ query: borrowing Query, _ packet: [UInt8]) -> String? {
    let end = query.questionEnd
    guard end >= 17, end <= packet.count else { return "the question ends at \(end)" }
    guard let name = Name(wire: packet[12..<end - 4]) else { return "the question has no name" }
    guard query.name.equals(name), query.name.length == end - 16,
        query.name.labelCount == name.labelCount
    else { return "another name was read than \(name)" }
    guard (try? Name(name.description)) == name else { return "\(name) is not read back" }
    let last = packet[end - 4..<end].map(UInt16.init)
    guard query.type.code == last[0] << 8 | last[1], query.recordClass == last[2] << 8 | last[3]
    else { return "another type or class was read" }
    return nil
}

private func isSame(_ a: borrowing Query, _ b: borrowing Query) -> Bool {
    guard a.questionEnd == b.questionEnd, a.hasEDNS == b.hasEDNS, a.hasSubnet == b.hasSubnet,
        a.dnssecOK == b.dnssecOK, a.wantsNSID == b.wantsNSID, a.hasCookie == b.hasCookie,
        a.hasKeepalive == b.hasKeepalive
    else { return false }
    if a.questionEnd > 12 {
        guard a.name.length == b.name.length, a.name.suffix(from: 0, equals: b.name.span, at: 0),
            a.type == b.type, a.recordClass == b.recordClass
        else { return false }
    }
    if a.hasEDNS, a.payloadSize != b.payloadSize { return false }
    if a.hasKeepalive, a.hasKeepaliveTimeout != b.hasKeepaliveTimeout { return false }
    if a.hasCookie {
        guard a.cookie.length == b.cookie.length, a.cookie.client == b.cookie.client,
            a.cookie.serverHigh == b.cookie.serverHigh, a.cookie.serverLow == b.cookie.serverLow
        else { return false }
    }
    return !a.hasSubnet
        || a.subnet.family == b.subnet.family && a.subnet.sourceLength == b.subnet.sourceLength
            && a.subnet.address == b.subnet.address
}
