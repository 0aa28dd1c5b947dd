// The compiled walk against a second one that is slow and shares nothing with it: the algorithm of
// RFC 1034, section 4.3.2, label by label over dictionaries, on many small random zones.

import DNSWire
import Settings
import Testing

@testable import Zones

/// A zone as the RFCs see it: names with RRsets.
private struct PlainZone {
    let apex: Name
    var records: [Name: [RecordType: [[UInt8]]]] = [:]
    var steers: [Name: String] = [:]

    init(_ source: ZoneSource) {
        apex = source.apex
        for record in source.records {
            switch record.content {
            case .steer(let service): steers[record.owner] = service
            case .data(let type, let data):
                records[record.owner, default: [:]][type, default: []]
                    .append(data)
            }
        }
    }

    /// Whether the name is an owner, or an empty non-terminal above one.
    func exists(_ name: Name) -> Bool {
        records.keys.contains { $0.isSubdomain(of: name) && isSeen($0) }
            || steers.keys.contains { $0.isSubdomain(of: name) && isSeen($0) }
    }

    /// Whether no cut or DNAME lies above the name.
    func isSeen(_ name: Name) -> Bool {
        var ancestor = name
        while ancestor != apex, let parent = ancestor.parent {
            ancestor = parent
            if isCut(ancestor) || records[ancestor]?[.dname] != nil { return false }
        }
        return true
    }

    func isCut(_ name: Name) -> Bool {
        name != apex && !name.isWildcard && records[name]?[.ns] != nil
    }

    /// Steps 3 of the algorithm: down from the apex, label by label.
    func answer(_ name: Name, _ type: RecordType) -> String {
        var node = apex
        while true {
            if isCut(node), !(node == name && type == .ds) {
                return told("referral", node, records[node]?[.ns], false)
            }
            if node == name { return at(node, type, false) }
            if let target = records[node]?[.dname] { return told("dname", node, target, false) }
            let next = suffix(of: name, labels: node.labelCount + 1)
            if exists(next) {
                node = next
                continue
            }
            guard let wildcard = node.prepending(label: "*".utf8), exists(wildcard) else {
                return "nxdomain \(apex)"
            }
            return at(wildcard, type, true, as: name)
        }
    }

    private func at(
        _ node: Name, _ type: RecordType, _ synthesised: Bool, as owner: Name? = nil
    ) -> String {
        let owner = owner ?? node
        let sets = records[node] ?? [:]
        if let service = steers[node], [.a, .aaaa, .any].contains(type) {
            return "steered \(service) \(synthesised) \(apex)"
        }
        if type == .any, let first = sets.min(by: { $0.key.code < $1.key.code }) {
            return told("answer", owner, first.value, synthesised)
        }
        if let data = sets[type] { return told("answer", owner, data, synthesised) }
        if let data = sets[.cname] { return told("cname", owner, data, synthesised) }
        return "nodata \(synthesised) \(apex)"
    }

    private func told(
        _ outcome: String, _ owner: Name, _ data: [[UInt8]]?, _ synthesised: Bool
    ) -> String {
        "\(outcome) \(owner) \((data ?? []).map(\.description).sorted()) \(synthesised) \(apex)"
    }
}

/// Steps 1 and 2: the nearest zone, or its parent for DS at an apex.
private func referenceAnswer(_ zones: [PlainZone], _ name: Name, _ type: RecordType) -> String {
    let above = zones.filter { name.isSubdomain(of: $0.apex) }
        .sorted { $0.apex.labelCount > $1.apex.labelCount }
    guard let nearest = above.first else { return "notAuthoritative" }
    if type == .ds, nearest.apex == name, above.count > 1 {
        let parent = above[1]
        // The parent knows the name only if it has it in its own data, not below another cut.
        if parent.exists(name), parent.isSeen(name) { return parent.answer(name, type) }
    }
    return nearest.answer(name, type)
}

extension ZoneSet {
    fileprivate func plainAnswer(_ name: Name, _ type: RecordType) -> String {
        let found = lookup(loaded(name), type: type)
        guard found.zone >= 0 else { return "\(found.outcome)" }
        let apex = suffix(of: name, labels: Int(found.apexLabels))
        let synthesised = found.isSynthesised
        switch found.outcome {
        case .nxdomain: return "nxdomain \(apex)"
        case .nodata: return "nodata \(synthesised) \(apex)"
        case .steered:
            return "steered \(steerReferences[Int(found.steer)].service) \(synthesised) \(apex)"
        default:
            let owner = suffix(of: name, labels: Int(found.ownerLabels))
            let data = data(found.rrset).map(\.description).sorted()
            return "\(found.outcome) \(owner) \(data) \(synthesised) \(apex)"
        }
    }
}

/// Random zones over a tiny alphabet, so that names meet often.
private struct ZoneMaker {
    var random: SplitMix64
    static let labels = ["a", "b", "*", "c"]
    static let types: [RecordType] = [.a, .aaaa, .txt, .mx, .ns, .cname, .dname, .ds, .soa, .any]

    mutating func name(below apex: Name, depth: ClosedRange<Int>) -> Name {
        var name = apex
        for _ in 0..<Int.random(in: depth, using: &random) {
            let label = Self.labels.randomElement(using: &random) ?? "a"
            name = name.prepending(label: label.utf8) ?? name
        }
        return name
    }

    mutating func source(apex: Name) -> ZoneSource {
        var source = ZoneSource(apex: apex, records: [], file: "\(apex)zone")
        var line = 0
        let add = { (owner: Name, content: ZoneRecord.Content) in
            line += 1
            source.records.append(
                ZoneRecord(
                    owner: owner, ttl: 60, content: content,
                    position: SourcePosition(file: source.file, line: line, column: 1)))
        }
        let number = UInt8(apex.wire.count)
        add(apex, .data(.soa, [0, 0] + [UInt8](repeating: number, count: 20)))
        add(apex, .data(.ns, [1, 0x6E, 0]))
        for _ in 0..<Int.random(in: 0...9, using: &random) {
            let owner = name(below: apex, depth: 0...4)
            let octet = UInt8.random(in: 0...255, using: &random)
            // No letters: names that differ in case only are the same record.
            let target = [1, octet | 0x80, 0] as [UInt8]
            switch Int.random(in: 0..<14, using: &random) {
            case 0..<4: add(owner, .data(.a, [192, 0, 2, octet]))
            case 4: add(owner, .data(.txt, [1, octet]))
            case 5: add(owner, .data(.mx, [0, 1] + target))
            case 6, 7, 8: add(owner, .data(.ns, target))
            case 9: add(owner, .data(.cname, target))
            case 10: add(owner, .data(.dname, target))
            case 11: add(owner, .data(.ds, [0, 1, 8, 2, octet]))
            default: add(owner, .steer(service: "s\(octet)"))
            }
        }
        return source
    }
}

@Suite("ZoneSet against a naive walk")
struct ZoneSetReferenceTests {
    @Test("random zones and queries: no mismatch", arguments: 0..<4 as Range<UInt64>)
    func randomZones(seed: UInt64) throws {
        var maker = ZoneMaker(random: SplitMix64(state: seed))
        var built = 0
        var outcomes: [String: Int] = [:]
        for _ in 0..<3_000 {
            var sources: [ZoneSource] = []
            for _ in 0..<Int.random(in: 1...3, using: &maker.random) {
                let apex = maker.name(below: .root, depth: 0...3)
                if sources.contains(where: { $0.apex == apex }) { continue }
                sources.append(maker.source(apex: apex))
            }
            var diagnostics = Diagnostics()
            // Zones with contradictions are refused, which is for other tests.
            guard let set = ZoneSet(sources, diagnostics: &diagnostics) else {
                #expect(diagnostics.hasErrors)
                continue
            }
            built += 1
            let cleaned = sources.map { PlainZone(withoutApexDS($0)) }
            for _ in 0..<10 {
                let apex = sources.randomElement(using: &maker.random)?.apex ?? .root
                let top = Bool.random(using: &maker.random) ? apex : .root
                let name = maker.name(below: top, depth: 0...6)
                let type = ZoneMaker.types.randomElement(using: &maker.random) ?? .a
                let expected = referenceAnswer(cleaned, name, type)
                let actual = set.plainAnswer(name, type)
                outcomes[String(expected.prefix { $0 != " " }), default: 0] += 1
                guard actual != expected else { continue }
                let text = sources.map { source in
                    "\(source.apex): "
                        + source.records.map { "\($0.owner) \($0.content)" }
                        .joined(separator: "\n    ")
                }
                Issue.record("\(name) \(type)\n  \(actual)\n  \(expected)\n\(text)")
                return
            }
        }
        #expect(built > 1_000)
        // Every outcome was met, so that the comparison means something.
        #expect(outcomes.count == 8 && outcomes.values.allSatisfy { $0 > 20 }, "\(outcomes)")
    }

    /// DS at an apex is left out with a warning.
    private func withoutApexDS(_ source: ZoneSource) -> ZoneSource {
        var source = source
        // The same record twice counts once.
        var seen: [(Name, ZoneRecord.Content)] = []
        source.records = ZoneRecords(
            source.records.filter { record in
                if case .data(.ds, _) = record.content, record.owner == source.apex { return false }
                if seen.contains(where: { $0.0 == record.owner && $0.1 == record.content }) {
                    return false
                }
                seen.append((record.owner, record.content))
                return true
            })
        return source
    }
}

/// Small seeded random numbers, so that a failure can be repeated.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
