// EDNS options in a query that is otherwise right: an octet of switches, two for the payload size, one
// for the version, then options, each an octet for its code (from 128 on, one of the local ones), one
// for its length, and its data. So every input is a well-framed list of options; that of the packets
// whose framing is broken belongs to `message` and `respond`.

import Authority
import DNSWire
import TestSupport

extension FuzzTarget {
    static let edns = FuzzTarget(name: "edns", maximumLength: 600) {
        let server = try FuzzServer()
        let source = IPAddress(ipv4: 0xC633_6407)
        return { octets in
            var input = FuzzInput(octets)
            let switches = input.octet()
            let names = ["geo", "near", "mail", "nothing", "www", "c1", "child", "four"]
            var query = TestQuery("\(names[Int(switches >> 1 & 7)]).example.com.", .a)
            if switches & 0x10 != 0 { query.type = .aaaa }
            query.dnssecOK = switches & 0x20 != 0
            query.payloadSize = input.word()
            query.version = input.octet() & 1
            let options = readOptions(&input)
            let packet = withOptions(options, query)
            let carrier: Carrier = switches & 1 == 0 ? .udp : .tcp
            let answer = server.answer(
                to: packet, from: source, over: carrier, with: server.healthy)
            if let fault = answerFault(answer, to: packet, overTCP: carrier == .tcp) {
                return fault
            }
            guard let answer = TestAnswer(answer) else { return "no readable answer" }
            return optionsFault(options, query, carrier, answer)
        }
    }
}

private struct Option {
    var code: UInt16
    var data: [UInt8]
}

private func readOptions(_ input: inout FuzzInput) -> [Option] {
    var options: [Option] = []
    while !input.rest.isEmpty {
        let code = UInt16(input.octet())
        let data = input.octets(Int(input.octet()))
        options.append(Option(code: code < 128 ? code : 65_001 + code - 128, data: data))
    }
    return options
}

/// The query with these options in its OPT record, which is last.
private func withOptions(_ options: [Option], _ query: TestQuery) -> [UInt8] {
    let wire = options.flatMap { option in
        [option.code, UInt16(option.data.count)].flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
            + option.data
    }
    // In place of the length 0.
    let head = query.wire.prefix(query.wire.count - 2)
    return Array(head) + [UInt8(wire.count >> 8), UInt8(wire.count & 255)] + wire
}

/// Holds the answer against what RFC 6891 and the options' own RFCs say.
private func optionsFault(
    _ options: [Option], _ query: TestQuery, _ carrier: Carrier, _ answer: TestAnswer
) -> String? {
    guard answer.payloadSize != nil else { return "an OPT is not answered with one" }
    guard answer.dnssecOK == query.dnssecOK || answer.code != 0 else { return "DO is not copied" }
    guard query.version == 0 else { return answer.code == 16 ? nil : "BADVERS is not said" }
    let subnets = options.filter { $0.code == 8 }
    let subnet = subnets.first.flatMap(subnetText)
    let cookie = options.first { $0.code == 10 }?.data
    // RFC 7871, section 7.2.1; RFC 7873, section 5.2.2; RFC 7828, section 3.2.1.
    let isMalformed =
        subnets.count > (subnet == nil ? 0 : 1)
        || cookie.map { $0.count != 8 && !(16...40).contains($0.count) } ?? false
        || carrier == .tcp && options.contains { $0.code == 11 && !$0.data.isEmpty }
    guard (answer.code == 1) == isMalformed else { return "code \(answer.code) to such options" }
    if isMalformed { return nil }
    guard (answer.subnet == nil) == (subnet == nil) else { return "a subnet on one side only" }
    if let subnet, let echo = answer.subnet, let scope = answer.scope {
        guard echo == "\(subnet)/\(scope)" else { return "\(echo) echoes \(subnet)" }
        guard scope <= (subnet.contains(":") ? 128 : 32) else { return "a scope of \(scope)" }
    }
    guard answer.cookie?.count == cookie.map({ _ in 24 }),
        answer.cookie?.prefix(8) == cookie?.prefix(8)
    else { return "another cookie than the client's before one of 16 octets" }
    let hasKeepalive = carrier == .tcp && options.contains { $0.code == 11 }
    guard answer.keepalive == (hasKeepalive ? Int(FuzzServer.idleTimeout) : nil) else {
        return "a keepalive of \(answer.keepalive ?? -1)"
    }
    guard (answer.nsid != nil) == options.contains(where: { $0.code == 3 }) else {
        return "an NSID on one side only"
    }
    return nil
}

/// `ADDRESS/LENGTH` of a well-formed client subnet (RFC 7871, section 6); nil for any other.
private func subnetText(_ option: Option) -> String? {
    let data = option.data
    guard data.count >= 4, data[3] == 0, data[0] == 0 else { return nil }
    let bits = Int(data[2])
    let size: Int
    switch data[1] {
    case 0 where bits == 0: size = 4
    case 1 where bits <= 32: size = 4
    case 2 where bits <= 128: size = 16
    default: return nil
    }
    guard data.count == 4 + (bits + 7) / 8 else { return nil }
    if bits % 8 != 0, let last = data.last, last << UInt8(bits % 8) != 0 { return nil }
    let address = Array((data[4...] + Array(repeating: 0, count: 16)).prefix(size))
    return IPAddress(octets: address).map { "\($0)/\(bits)" }
}
