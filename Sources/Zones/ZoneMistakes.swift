// What a zone may say but hardly anybody means: warnings that need one zone alone. Each is about a
// mistake that operators are known to make; what is merely unusual is not told.

import DNSWire
import Settings

// MARK: - Names

extension ZoneTree {
    /// Reports each owner that ends in the zone's name twice, which is what a name becomes that is
    /// written in full but without its final dot (RFC 1035, section 5.1).
    func warnAboutRepeatedApex(_ names: NameIndex, _ diagnostics: inout Diagnostics) {
        guard let repeated = source.apex.repeated, let number = names.number(of: repeated) else {
            return
        }
        for node in nodes where names.isSubdomain(node.name, of: number) {
            guard let record = firstRecord(of: node) else { continue }
            diagnostics.warning(
                at: record.position,
                "\(record.owner) ends in the zone's name twice; end the name as written with a final dot "
                    + "(RFC 1035, section 5.1)")
        }
    }

    /// Reports an owner with addresses that applications refuse to look up, as no host can have
    /// that name (RFC 1123, section 2.1). Underscores are in wide use and pass.
    func checkHostName(_ node: TreeNode, _ names: NameIndex, _ diagnostics: inout Diagnostics) {
        guard !isHostName(names.octets.span.extracting(names.range(of: node.name))),
            let record = firstRecord(of: node)
        else { return }
        diagnostics.warning(
            at: record.position,
            "\(record.owner) has addresses, but no host can have that name; use letters, digits and "
                + "hyphens (RFC 1123, section 2.1)")
    }

    /// Reports a name right below one that begins with an asterisk: it is looked up as it stands.
    func warnAboutInnerAsterisk(_ node: TreeNode, _ diagnostics: inout Diagnostics) {
        guard let record = firstRecord(of: node) else { return }
        diagnostics.warning(
            at: record.position,
            "the asterisk in \(record.owner) is not leftmost, so it matches an asterisk only "
                + "(RFC 4592, section 2.1.3); name what is meant")
    }

    /// The STEER or the first record that was written at a name, glue and all.
    func firstRecord(of node: TreeNode) -> ZoneRecord? {
        if node.steer >= 0 { return record(node.steer) }
        return setDrafts(of: node).first.map { record(order[Int($0.records.lowerBound)]) }
    }
}

/// Whether hosts can have the name: letters, digits, hyphens (RFC 1123, section 2.1), underscores,
/// and asterisks alone, which have a check of their own. Octets outside ASCII pass: the reader tells of those.
func isHostName(_ wire: Span<UInt8>) -> Bool {
    var isAllowed = true
    var remaining = 0
    var isAlone = false
    for position in 0..<wire.count {
        let octet = wire[position]
        if remaining == 0 {
            remaining = Int(octet)
            isAlone = remaining == 1
            continue
        }
        remaining -= 1
        if isAlone, octet == UInt8(ascii: "*") { continue }
        let letter = octet | 0x20
        if letter &- 0x61 < 26 || octet &- 0x30 < 10 || octet == 0x2D || octet == 0x5F { continue }
        if octet >= 0x80 { return true }
        isAllowed = false
    }
    return isAllowed
}

extension Name {
    /// The name with itself put behind it, which no zone has on purpose; nil for names of fewer than
    /// two labels, where it may be meant, and where it is too long for a name.
    var repeated: Name? {
        labelCount > 1 ? Name(wire: wire.dropLast() + wire) : nil
    }
}

// MARK: - Records of one set

extension ZoneTree {
    /// Reports a record that is there already; `earlier` is the one that is kept.
    func reportDuplicate(
        _ record: Int32, of earlier: Int32, _ type: RecordType, _ diagnostics: inout Diagnostics
    ) {
        let (record, earlier) = (self.record(record), self.record(earlier))
        diagnostics.warning(
            at: record.position,
            "this \(type) record is the same as \(place(of: earlier, from: record)) "
                + "(RFC 2181, section 5); remove one of them")
    }

    /// Reports the first record of an RRset whose TTL is not that of the one before.
    func reportTTL(
        _ record: Int32, _ earlier: Int32, _ type: RecordType, _ diagnostics: inout Diagnostics
    ) {
        let (record, earlier) = (self.record(record), self.record(earlier))
        diagnostics.warning(
            at: record.position,
            "the \(type) records of \(record.owner) have TTL \(record.ttl) here and \(earlier.ttl) "
                + "in \(place(of: earlier, from: record)); they share one, the lowest is used "
                + "(RFC 2181, section 5.2), so give them the same")
    }

    /// How many records of one type at one name resolvers take: BIND answers SERVFAIL where it gets more
    /// (`max-records-per-type`, since 2024).
    private static let commonRecordLimit = 100

    /// Reports an RRset so large that users behind some resolvers get no answer.
    func warnAboutCount(of set: SetDraft, _ diagnostics: inout Diagnostics) {
        guard set.records.count > Self.commonRecordLimit else { return }
        let record = record(order[Int(set.records.lowerBound)])
        diagnostics.warning(
            at: record.position,
            "\(record.owner) has \(set.records.count) \(set.type) records, and BIND as a resolver "
                + "fails on more than \(Self.commonRecordLimit) unless told otherwise "
                + "(max-records-per-type); keep fewer")
    }

    func reportTypes(_ record: Int32, _ diagnostics: inout Diagnostics) {
        let record = self.record(record)
        diagnostics.error(
            at: record.position,
            "\(record.owner) has records of more than \(Self.maximumTypes) types; remove some")
    }

    /// "line 8", or the whole place if it is in another file.
    private func place(of record: ZoneRecord, from other: ZoneRecord) -> String {
        record.position.file == other.position.file
            ? "line \(record.position.line)" : record.position.description
    }
}

// MARK: - SOA

extension ZoneTree {
    /// The longest time, in seconds, that it is wise to remember that a name does not exist
    /// (RFC 2308, section 5: more than a day has been found to be problematic).
    static let maximumNegativeTTL: UInt32 = 86_400

    /// Reports SOA numbers that contradict each other or RFC 2308, and a mailbox written with "@".
    func checkSOA(_ set: SetDraft, _ diagnostics: inout Diagnostics) {
        let record = record(order[Int(set.records.lowerBound)])
        let data = data(set.records.lowerBound)
        let soa = SOAFields(data)
        if soa.retry > soa.refresh {
            diagnostics.warning(
                at: record.position,
                "the SOA's retry (\(soa.retry)) is longer than its refresh (\(soa.refresh)); a retry "
                    + "is a fraction of it (RFC 1912, section 2.2), so are they swapped?")
        } else if UInt64(soa.expire) < UInt64(soa.refresh) + UInt64(soa.retry) {
            diagnostics.warning(
                at: record.position,
                "the SOA's expire (\(soa.expire)) is shorter than refresh and retry together, so a "
                    + "secondary that fails once stops serving the zone; use 2 to 4 weeks "
                    + "(RFC 1912, section 2.2)")
        }
        let negativeTTL = min(set.ttl, soa.minimum)
        if negativeTTL > Self.maximumNegativeTTL {
            diagnostics.warning(
                at: record.position,
                "resolvers remember for \(negativeTTL) seconds that a name does not exist, by the "
                    + "SOA's TTL and its minimum; lower one of them to 1 to 3 hours "
                    + "(RFC 2308, section 5)")
        }
        // The mailbox follows the primary's name.
        let mailbox = data.dropFirst(RecordType.soa.embeddedNames(in: data[...])[0].length)
        if mailbox.prefix(Int(mailbox.first ?? 0) + 1).contains(UInt8(ascii: "@")) {
            diagnostics.warning(
                at: record.position,
                "the SOA's mailbox has an \"@\" in it; write it with a dot in its place "
                    + "(RFC 1035, section 8): hostmaster.example.com.")
        }
    }
}
