// `geo/latency.csv`: measured round trips, as operators or their real-user monitoring write them.
//
//     key,pool,rtt_ms,samples
//     # a comment; blank lines are fine, too
//     192.0.2.0/24,frankfurt,12.5,310
//     AS64496,frankfurt,14,9000
//     US-CA,virginia,61,1200
//     continent:EU,virginia,95,40000
//
// The column `samples` may be missing, and columns may stand in any order. Fields may be quoted as in
// RFC 4180, section 2. Octets are hostile: the reader is total, and stops where a limit is exceeded.

internal import DNSWire
internal import Geo
public import Settings

extension SteeringLimit {
    /// Rows of the table of round trips: 80 octets each for as long as a server runs, and up to five times
    /// that while it reads and compiles them.
    public static let latencyRows = 1_000_000
    /// Octets of the file: what as many rows need at 64 each.
    public static let latencyOctets = 64_000_000
    /// The longest round trip in milliseconds; what takes longer is no measurement.
    static let roundTripMilliseconds = 60_000.0
}

extension LatencyTable {
    /// Reads a file's octets; nil if anything in them is wrong, and everything that is wrong is told.
    ///
    /// - Parameter file: its name as messages show it.
    public static func parse(
        _ octets: [UInt8], file: String, _ diagnostics: inout Diagnostics
    ) -> LatencyTable? {
        parse(octets, file: file, rowLimit: SteeringLimit.latencyRows, &diagnostics)
    }

    static func parse(
        _ octets: [UInt8], file: String, rowLimit: Int, _ diagnostics: inout Diagnostics
    ) -> LatencyTable? {
        let errorsBefore = diagnostics.errorCount
        var reader = LatencyReader(octets: octets, file: file, rowLimit: rowLimit)
        reader.read(&diagnostics)
        let columns = reader.columns(&diagnostics)
        guard diagnostics.errorCount == errorsBefore else { return nil }
        return LatencyTable(file: file, columns: columns)
    }
}

private struct LatencyReader {
    private enum Column: String, CaseIterable {
        case key, pool
        case roundTrip = "rtt_ms"
        case samples
    }

    private struct Field {
        var text: String
        /// Counted in octets from 1.
        var column: Int
    }

    let octets: [UInt8]
    let file: String
    let rowLimit: Int
    /// Where the next line begins.
    private var next = 0
    private var line = 0
    /// What each field of a row is; nil until the header was read.
    private var header: [Column]?
    private var rows: [String: [LatencyRow]] = [:]
    private var rowCount = 0
    /// Neighbouring rows often tell of one key.
    private var lastKey: (text: String, key: LatencyKey)?

    init(octets: [UInt8], file: String, rowLimit: Int) {
        self.octets = octets
        self.file = file
        self.rowLimit = rowLimit
        // As spreadsheets begin what they write in UTF-8.
        if octets.starts(with: [0xEF, 0xBB, 0xBF]) { next = 3 }
    }

    private func position(_ column: Int = 1) -> SourcePosition {
        SourcePosition(file: file, line: line, column: column)
    }

    mutating func read(_ diagnostics: inout Diagnostics) {
        while let range = nextLine() {
            // No more would be shown, and a file of garbage must not take minutes.
            guard diagnostics.errorCount < Diagnostics.limit else { return }
            guard let first = octets[range].first(where: { !isBlank($0) }),
                first != UInt8(ascii: "#"), let fields = fields(of: range, &diagnostics)
            else { continue }
            guard let header else {
                readHeader(fields, &diagnostics)
                if self.header == nil { return }
                continue
            }
            guard rowCount < rowLimit else {
                diagnostics.error(
                    at: position(),
                    "more than \(rowLimit) rows, the limit; leave out what is"
                        + " nearly as its country or AS is, or join neighbouring networks")
                return
            }
            rowCount += 1
            readRow(fields, header, &diagnostics)
        }
        if header == nil {
            line = 0
            diagnostics.error(
                at: position(),
                "the file is empty; its first line is key,pool,rtt_ms or key,pool,rtt_ms,samples")
        }
    }

    /// The rows of each pool in order; a key that occurs twice is reported.
    func columns(_ diagnostics: inout Diagnostics) -> [String: LatencyColumn] {
        var columns: [String: LatencyColumn] = [:]
        for (pool, unsorted) in rows.sorted(by: { $0.key < $1.key }) {
            let rows = unsorted.sorted { $0.key != $1.key ? $0.key < $1.key : $0.line < $1.line }
            for (first, second) in zip(rows, rows.dropFirst()) where first.key == second.key {
                diagnostics.error(
                    at: SourcePosition(file: file, line: second.line, column: 1),
                    "\(second.key) and \"\(pool)\" are already on line \(first.line); keep one of"
                        + " both")
            }
            columns[pool] = LatencyColumn(rows)
        }
        return columns
    }

    // MARK: - Lines and fields

    private func isBlank(_ octet: UInt8) -> Bool { octet == 0x20 || octet == 0x09 }

    /// The next line without its end, which is LF, CR or both; nil at the file's end.
    private mutating func nextLine() -> Range<Int>? {
        guard next < octets.count else { return nil }
        line += 1
        let start = next
        let end = octets[start...].firstIndex { $0 == 0x0A || $0 == 0x0D } ?? octets.count
        next = end + 1
        if next < octets.count, octets[end] == 0x0D, octets[next] == 0x0A { next += 1 }
        return start..<end
    }

    /// A line's fields without blanks around them; nil after reporting a quote that does not end.
    private func fields(of range: Range<Int>, _ diagnostics: inout Diagnostics) -> [Field]? {
        var fields: [Field] = []
        var place = range.lowerBound
        while true {
            while place < range.upperBound, isBlank(octets[place]) { place += 1 }
            let start = place
            var text: [UInt8] = []
            if place < range.upperBound, octets[place] == UInt8(ascii: "\"") {
                guard let end = readQuoted(from: place + 1, to: range.upperBound, into: &text)
                else {
                    diagnostics.error(
                        at: position(start - range.lowerBound + 1),
                        "a quote that does not end here; a field in quotes ends with one, before a"
                            + " comma or the line's end")
                    return nil
                }
                place = end
            } else {
                place =
                    octets[start..<range.upperBound].firstIndex(of: UInt8(ascii: ","))
                    ?? range.upperBound
                var end = place
                while end > start, isBlank(octets[end - 1]) { end -= 1 }
                text += octets[start..<end]
            }
            fields.append(
                Field(
                    text: String(decoding: text, as: UTF8.self),
                    column: start - range.lowerBound + 1))
            guard place < range.upperBound else { return fields }
            place += 1
        }
    }

    /// Reads what follows an opening quote, and blanks behind the closing one; returns where the
    /// comma or the end is.
    private func readQuoted(from start: Int, to end: Int, into text: inout [UInt8]) -> Int? {
        let quote = UInt8(ascii: "\"")
        var place = start
        while place < end {
            if octets[place] != quote {
                text.append(octets[place])
            } else if place + 1 < end, octets[place + 1] == quote {
                text.append(quote)
                place += 1
            } else {
                let rest = octets[(place + 1)..<end].firstIndex { !isBlank($0) } ?? end
                return rest == end || octets[rest] == UInt8(ascii: ",") ? rest : nil
            }
            place += 1
        }
        return nil
    }

    // MARK: - Header and rows

    private mutating func readHeader(_ fields: [Field], _ diagnostics: inout Diagnostics) {
        let errorsBefore = diagnostics.errorCount
        let known = Column.allCases.map(\.rawValue)
        var columns: [Column] = []
        for field in fields {
            guard let column = Column(rawValue: field.text.lowercased()) else {
                let hint =
                    field.text.utf8.count > SteeringLimit.nameLength
                    ? nil : closestMatch(to: field.text, among: known)
                diagnostics.error(
                    at: position(field.column),
                    "\(shown(field.text)) is no column; the first line names them:"
                        + " key,pool,rtt_ms or key,pool,rtt_ms,samples"
                        + (hint.map { " (did you mean \($0)?)" } ?? ""))
                // A header that is none at all is told once.
                if hint == nil { return }
                continue
            }
            if columns.contains(column) {
                diagnostics.error(
                    at: position(field.column), "the column \(column.rawValue) occurs twice")
            }
            columns.append(column)
        }
        guard diagnostics.errorCount == errorsBefore else { return }
        for column in [Column.key, .pool, .roundTrip] where !columns.contains(column) {
            diagnostics.error(
                at: position(),
                "the column \(column.rawValue) is missing; the first line names the columns, as"
                    + " key,pool,rtt_ms,samples")
        }
        if diagnostics.errorCount == errorsBefore { header = columns }
    }

    private mutating func readRow(
        _ fields: [Field], _ header: [Column], _ diagnostics: inout Diagnostics
    ) {
        guard fields.count == header.count else {
            diagnostics.error(
                at: position(),
                "\(fields.count) fields where the first line names \(header.count) columns; write"
                    + " \(header.map(\.rawValue).joined(separator: ",")), with a full stop in"
                    + " decimals")
            return
        }
        let errorsBefore = diagnostics.errorCount
        var key: LatencyKey?
        var pool: String?
        var milliseconds: Double?
        var samples: Int?
        for (column, field) in zip(header, fields) {
            switch column {
            case .key: key = readKey(field, &diagnostics)
            case .pool: pool = readPool(field, &diagnostics)
            case .roundTrip: milliseconds = readRoundTrip(field, &diagnostics)
            case .samples:
                samples = isDigits(field.text) ? Int(field.text) : nil
                if samples == nil {
                    diagnostics.error(
                        at: position(field.column),
                        "\(shown(field.text)) is no number of samples; write a whole number")
                }
            }
        }
        guard diagnostics.errorCount == errorsBefore, let key, let pool, let milliseconds else {
            return
        }
        rows[pool, default: []].append(
            LatencyRow(
                key: key, milliseconds: milliseconds, measured: milliseconds, samples: samples,
                line: line))
    }

    private mutating func readKey(
        _ field: Field, _ diagnostics: inout Diagnostics
    ) -> LatencyKey? {
        if let lastKey, lastKey.text == field.text { return lastKey.key }
        do throws(LatencyKey.Fault) {
            let key = try LatencyKey(field.text)
            lastKey = (field.text, key)
            return key
        } catch {
            diagnostics.error(
                at: position(field.column), "\(shown(field.text)) \(error.explanation)")
            return nil
        }
    }

    private func readPool(_ field: Field, _ diagnostics: inout Diagnostics) -> String? {
        // What can't name a pool would be an unknown one; this tells where.
        if rows[field.text] != nil { return field.text }
        let errorsBefore = diagnostics.errorCount
        checkName(field.text, of: "pool", at: position(field.column), &diagnostics)
        return diagnostics.errorCount == errorsBefore ? field.text : nil
    }

    private func readRoundTrip(_ field: Field, _ diagnostics: inout Diagnostics) -> Double? {
        let parts = field.text.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count <= 2, parts.allSatisfy({ $0.isEmpty || isDigits(String($0)) }),
            let value = Double(field.text), value > 0,
            value <= SteeringLimit.roundTripMilliseconds
        {
            return value
        }
        diagnostics.error(
            at: position(field.column),
            "\(shown(field.text)) is no round trip in milliseconds; write a decimal above 0 and up to"
                + " \(Int(SteeringLimit.roundTripMilliseconds)), as 12.5")
        return nil
    }

    /// One to fifteen digits: what numbers hold exactly.
    private func isDigits(_ text: String) -> Bool {
        (1...15).contains(text.utf8.count)
            && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    private func shown(_ text: String) -> String {
        text.isEmpty ? "an empty field" : "\"\(text.prefix(60))\(text.count > 60 ? "…" : "")\""
    }
}

// MARK: - Keys

extension LatencyKey {
    /// What is wrong with a key, in words that follow it.
    struct Fault: Error {
        var explanation: String

        init(_ explanation: String) { self.explanation = explanation }
    }

    /// Reads a key as the file has it; codes may be in lower case.
    init(_ text: String) throws(Fault) {
        if text == "*" {
            self = .everyone
        } else if let colon = text.firstIndex(of: ":"), !text.contains("/"),
            IPAddress(text) == nil
        {
            self = try Self.named(
                text[..<colon].lowercased(), String(text[text.index(after: colon)...]))
        } else if text.contains("/") || text.contains(":") || IPAddress(text) != nil {
            self = .network(try Self.network(text))
        } else {
            self = try Self.coded(text.uppercased())
        }
    }

    private static func named(_ kind: String, _ name: String) throws(Fault) -> LatencyKey {
        switch kind {
        case "region" where !name.isEmpty && name.utf8.count <= SteeringLimit.nameLength:
            return .region(name)
        case "continent":
            if continents.contains(name.uppercased()) { return .continent(name.uppercased()) }
            throw Fault("is no continent; those are \(continents.joined(separator: ", "))")
        default:
            throw Fault("is no key; with a colon there are region:NAME and continent:EU")
        }
    }

    private static func network(_ text: String) throws(Fault) -> IPNetwork {
        if let network = IPNetwork(text) {
            guard let objection = FoldedSpace.objection(to: network) else { return network }
            throw Fault("never holds a client: \(objection)")
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2, let address = IPAddress(String(parts[0])), let length = Int(parts[1]),
            let meant = IPNetwork(address, length: length)
        {
            throw Fault("has bits set after its length; did you mean \(meant)?")
        }
        throw Fault("is no network; write ADDRESS/LENGTH, as 192.0.2.0/24 or 2001:db8::/32")
    }

    private static func coded(_ text: String) throws(Fault) -> LatencyKey {
        if text.hasPrefix("AS"), text.utf8.count > 2, text.utf8.count <= 12,
            text.utf8.dropFirst(2).allSatisfy({ (0x30...0x39).contains($0) })
        {
            guard let number = UInt32(text.dropFirst(2)), number > 0 else {
                throw Fault("is no autonomous system; those are AS1 to AS4294967295")
            }
            return .system(number)
        }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        if let country = parts.first, Geo.continent(ofCountry: country) != nil {
            if parts.count == 1 { return .country(country) }
            if parts.count == 2, isSubdivisionCode(parts[1]) {
                return .subdivision(Subdivision(country: country, code: parts[1]))
            }
            throw Fault("is no part of \(country); write its code of ISO 3166-2, as US-CA")
        }
        let meant = ["UK": "GB", "EL": "GR"][parts.first ?? ""]
        if continents.contains(text) { throw Fault("is no country; write continent:\(text)") }
        throw Fault(
            meant.map { "is no country; did you mean \($0)?" }
                ?? "is no key; a key is a network (192.0.2.0/24), an autonomous system (AS64496), a"
                + " subdivision (US-CA), a country (DE), region:NAME, continent:EU, or * for everyone"
        )
    }
}
