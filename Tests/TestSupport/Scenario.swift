// Scenario files: zones, pools, places and health, then queries with the whole message expected.
//
//     ; a comment                     anywhere a directive may stand
//     $ZONE example.                  a master file follows, up to the next directive
//     $POOLS                          a pool file follows
//     $PLACES                         overrides follow (geo/overrides.yaml)
//     $LATENCY                        measured round trips follow (geo/latency.csv)
//     $DOWN POOL/ORIGIN ...           the origins that are down from here on; alone: none
//     $SOON POOL/ORIGIN=SECONDS ...   how soon verdicts could flip, from here on; alone: never
//     $QUERY NAME TYPE [OPTION ...]   then the expected message, as `TestAnswer.text` prints it
//     $PACKET OCTETS [OPTION ...]     the same for a message that is written out: in hexadecimal
//                                     and "text", with blanks where they please
//
// A message is sent over UDP and over TCP, and gets the same from both; only over UDP with +notcp or
// where TC is expected, only over TCP with +tcp. `;; NOTHING` expects no answer. A last line
// `;; 512 octets` expects that length as well.
//
// Options of both: +tcp +notcp from=ADDRESS
// The header's and question's: +aa +tc +rd +ra +z +ad +cd +opcode=N +class=CH +noquestion
// Those that add an OPT: +edns=SIZE +version=N +dnssec +ednsflags=HEX (dig's, of OPT's last 16 bits)
//   +subnet=NET +nsid +cookie=HEX +keepalive +ednsopt=CODE:HEX (any, again and again, in this order)

public import DNSWire

/// One scenario file, taken apart.
public struct Scenario: Sendable {
    public struct Query: Sendable {
        public var line: Int
        /// The message to send.
        public var packet: [UInt8]
        public var overUDP = true
        public var overTCP = true
        public var source = IPAddress(ipv4: 0x7F00_0001)
        /// `POOL/ORIGIN` of every origin that is down.
        public var down: [String] = []
        /// By `POOL/ORIGIN`, how soon its verdict could flip, in seconds.
        public var soon: [String: UInt32] = [:]
        public var expected: String = ""
        /// Whether no answer is expected.
        public var isSilent: Bool { expected == Scenario.nothing }
    }

    /// What is expected where no answer is.
    public static let nothing = ";; NOTHING"

    public var zones: [(apex: String, text: String)] = []
    public var pools = ""
    public var places = ""
    public var latency = ""
    public var queries: [Query] = []

    /// What a scenario file says that can't be understood.
    public struct Fault: Error {
        public var line: Int
        public var message: String
    }

    public init(_ text: String) throws {
        var down: [String] = []
        var soon: [String: UInt32] = [:]
        var append: ((inout Scenario, Substring) -> Void)?
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            guard line.hasPrefix("$"), let words = Self.directive(line) else {
                // A comment is none in YAML; its line stays, for the places of diagnostics.
                let isComment = line.hasPrefix("; ") || line == ";"
                append?(&self, isComment ? "" : line)
                continue
            }
            switch words[0] {
            case "$ZONE":
                zones.append((String(words[1]), ""))
                append = { $0.zones[$0.zones.count - 1].text += $1 + "\n" }
            case "$POOLS": append = { $0.pools += $1 + "\n" }
            case "$PLACES": append = { $0.places += $1 + "\n" }
            case "$LATENCY": append = { $0.latency += $1 + "\n" }
            case "$DOWN":
                down = words.dropFirst().map(String.init)
                append = nil
            case "$SOON":
                soon = [:]
                for word in words.dropFirst() {
                    let parts = word.split(separator: "=")
                    guard parts.count == 2, let seconds = UInt32(parts[1]) else {
                        throw Fault(line: index + 1, message: "not POOL/ORIGIN=SECONDS: \(word)")
                    }
                    soon[String(parts[0])] = seconds
                }
                append = nil
            default:
                var query = Query(line: index + 1, packet: [], down: down, soon: soon)
                if words[0] == "$QUERY" {
                    try Self.readQuery(words, &query)
                } else {
                    try Self.readPacket(words, &query)
                }
                queries.append(query)
                append = { scenario, line in
                    // Blank lines between queries are no part of a message.
                    guard !line.isEmpty else { return }
                    let last = scenario.queries.count - 1
                    let separator = scenario.queries[last].expected.isEmpty ? "" : "\n"
                    scenario.queries[last].expected += separator + line
                    // There is no TC over TCP.
                    if separator.isEmpty, line.split(separator: " ").contains("tc") {
                        scenario.queries[last].overTCP = false
                    }
                }
            }
        }
    }

    /// The words of a directive; nil for `$TTL` and its like, which belong to a zone.
    private static func directive(_ line: Substring) -> [Substring]? {
        let words = line.split(separator: " ")
        let known = [
            "$ZONE": 2, "$POOLS": 1, "$PLACES": 1, "$LATENCY": 1, "$DOWN": 1, "$SOON": 1,
            "$QUERY": 3,
            "$PACKET": 2,
        ]
        guard let least = known[String(words[0])], words.count >= least else { return nil }
        return words
    }

    private static func readQuery(_ words: [Substring], _ result: inout Query) throws {
        guard let type = RecordType(mnemonic: words[2]) else {
            throw Fault(line: result.line, message: "unknown type \(words[2])")
        }
        var query = TestQuery(String(words[1]), type)
        for option in words.dropFirst(3) {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            let value = parts.count == 2 ? parts[1] : ""
            guard
                readCarrier(parts[0], value, &result)
                    || readHeaderOption(parts[0], value, &query)
                    || readOPTOption(parts[0], value, &query)
            else {
                throw Fault(line: result.line, message: "unknown option or bad value: \(option)")
            }
        }
        result.packet = query.wire
    }

    private static func readPacket(_ words: [Substring], _ result: inout Query) throws {
        for word in words.dropFirst() {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            if readCarrier(parts[0], parts.count == 2 ? parts[1] : "", &result) { continue }
            if word.count >= 2, word.hasPrefix("\""), word.hasSuffix("\"") {
                result.packet += Array(word.utf8.dropFirst().dropLast())
            } else if let octets = octets(ofHex: word) {
                result.packet += octets
            } else {
                throw Fault(line: result.line, message: "neither octets nor an option: \(word)")
            }
        }
    }

    /// Each reader returns whether the option is one of its own, and sound.
    private static func readCarrier(_ option: String, _ value: String, _ result: inout Query)
        -> Bool
    {
        switch option {
        case "+tcp": result.overUDP = false
        case "+notcp": result.overTCP = false
        case "from":
            guard let source = IPAddress(value) else { return false }
            result.source = source
        default: return false
        }
        return true
    }

    private static func readHeaderOption(
        _ option: String, _ value: String, _ query: inout TestQuery
    ) -> Bool {
        switch option {
        case "+opcode": query.opcode = UInt8(value) ?? 0
        case "+noquestion": query.hasQuestion = false
        case "+class": query.recordClass = value == "CH" ? 3 : UInt16(value) ?? 1
        default:
            guard let bit = headerBits.first(where: { "+\($0.name)" == option })?.bit else {
                return false
            }
            query.flags |= bit
        }
        return true
    }

    private static func readOPTOption(
        _ option: String, _ value: String, _ query: inout TestQuery
    ) -> Bool {
        var isSound = true
        switch option {
        case "+edns": query.payloadSize = UInt16(value)
        case "+version": query.version = UInt8(value) ?? 0
        case "+dnssec": query.dnssecOK = true
        case "+ednsflags": query.ednsFlags = UInt16(value, radix: 16) ?? 0
        case "+subnet":
            if let network = IPNetwork(value) { query.setSubnet(network) } else { isSound = false }
        case "+nsid": query.nsid = true
        case "+cookie":
            guard let octets = octets(ofHex: value[...]) else { return false }
            query.options.append((10, octets))
        case "+keepalive": query.options.append((11, []))
        case "+ednsopt":
            let parts = value.split(separator: ":", omittingEmptySubsequences: false)
            let data = parts.count == 2 ? octets(ofHex: parts[1]) : []
            if let code = UInt16(parts[0]), let data {
                query.options.append((code, data))
            } else {
                isSound = false
            }
        default: return false
        }
        if query.payloadSize == nil { query.payloadSize = 1_232 }
        return isSound
    }

    /// Two digits an octet; nil for anything else.
    private static func octets(ofHex text: Substring) -> [UInt8]? {
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == text.count, digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}
