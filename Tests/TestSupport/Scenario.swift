// Scenario files: zones, pools, places and health, then queries with the whole message expected.
//
//     ; a comment                     anywhere a directive may stand
//     $ZONE example.                  a master file follows, up to the next directive
//     $POOLS                          a pool file follows
//     $PLACES                         overrides follow (geo/overrides.yaml)
//     $DOWN POOL/ORIGIN ...           the origins that are down from here on; alone: none
//     $QUERY NAME TYPE [OPTION ...]   then the expected message, as `TestAnswer.text` prints it
//
// Options: +subnet=NET +dnssec +edns=SIZE +rd +cd +nsid +tcp +version=N +opcode=N +class=CH, from=ADDRESS,
// +ednsopt=CODE:HEX, +noquestion

public import DNSWire

/// One scenario file, taken apart.
public struct Scenario: Sendable {
    public struct Query: Sendable {
        public var line: Int
        public var query: TestQuery
        public var overTCP = false
        public var source = IPAddress(ipv4: 0x7F00_0001)
        /// `POOL/ORIGIN` of every origin that is down.
        public var down: [String] = []
        public var expected: String = ""
    }

    public var zones: [(apex: String, text: String)] = []
    public var pools = ""
    public var places = ""
    public var queries: [Query] = []

    /// What a scenario file says that can't be understood.
    public struct Fault: Error {
        public var line: Int
        public var message: String
    }

    public init(_ text: String) throws {
        var down: [String] = []
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
            case "$DOWN":
                down = words.dropFirst().map(String.init)
                append = nil
            default:
                var query = try Self.query(words, line: index + 1)
                query.down = down
                queries.append(query)
                append = { scenario, line in
                    // Blank lines between queries are no part of a message.
                    guard !line.isEmpty else { return }
                    let last = scenario.queries.count - 1
                    let separator = scenario.queries[last].expected.isEmpty ? "" : "\n"
                    scenario.queries[last].expected += separator + line
                }
            }
        }
    }

    /// The words of a directive; nil for `$TTL` and its like, which belong to a zone.
    private static func directive(_ line: Substring) -> [Substring]? {
        let words = line.split(separator: " ")
        let known = ["$ZONE": 2, "$POOLS": 1, "$PLACES": 1, "$DOWN": 1, "$QUERY": 3]
        guard let least = known[String(words[0])], words.count >= least else { return nil }
        return words
    }

    private static func query(_ words: [Substring], line: Int) throws -> Query {
        guard let type = RecordType(mnemonic: words[2]) else {
            throw Fault(line: line, message: "unknown type \(words[2])")
        }
        var result = Query(line: line, query: TestQuery(String(words[1]), type))
        for option in words.dropFirst(3) {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            let value = parts.count == 2 ? parts[1] : ""
            switch parts[0] {
            case "+subnet":
                guard let network = IPNetwork(value) else {
                    throw Fault(line: line, message: "bad network \(value)")
                }
                result.query.setSubnet(network)
            case "+dnssec":
                result.query.dnssecOK = true
                result.query.payloadSize = result.query.payloadSize ?? 1_232
            case "+edns": result.query.payloadSize = UInt16(value) ?? 1_232
            case "+rd": result.query.recursionDesired = true
            case "+cd": result.query.checkingDisabled = true
            case "+nsid":
                result.query.nsid = true
                result.query.payloadSize = result.query.payloadSize ?? 1_232
            case "+tcp": result.overTCP = true
            case "+version":
                result.query.version = UInt8(value) ?? 0
                result.query.payloadSize = result.query.payloadSize ?? 1_232
            case "+opcode": result.query.opcode = UInt8(value) ?? 0
            case "+class": result.query.recordClass = value == "CH" ? 3 : UInt16(value) ?? 1
            case "+ednsopt":
                let option = value.split(separator: ":", omittingEmptySubsequences: false)
                guard option.count == 2, let code = UInt16(option[0]) else {
                    throw Fault(line: line, message: "not CODE:HEX: \(value)")
                }
                let digits = option[1].compactMap(\.hexDigitValue).map(UInt8.init)
                let data = stride(from: 1, to: digits.count, by: 2).map {
                    digits[$0 - 1] << 4 | digits[$0]
                }
                result.query.options.append((code, data))
                result.query.payloadSize = result.query.payloadSize ?? 1_232
            case "+noquestion": result.query.hasQuestion = false
            case "from": result.source = IPAddress(value) ?? result.source
            default: throw Fault(line: line, message: "unknown option \(option)")
            }
        }
        return result
    }
}
