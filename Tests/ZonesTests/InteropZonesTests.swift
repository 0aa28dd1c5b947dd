// Tests/Interop/bad-zones: little zones with one mistake each. A comment beside a line says what is to
// be found there, and nothing else may be:
//
//     ; zone example.com                   first line: the zone's name
//     ; file error: no SOA                 of the file as a whole
//     www CNAME ns1 ; error: CNAME beside  severity, and words of the message
//
// scripts/compare-zone-checks runs named-checkzone over the same files. Tests/Interop/good-zones has
// zones as they are met: a mail domain, a directory's, a reverse one, an enterprise's.

import DNSWire
import Settings
import TestSupport
import Testing

@testable import Zones

private let interopZones = zoneFiles("bad-zones") + zoneFiles("good-zones")

/// The zone files of a folder of Tests/Interop.
private func zoneFiles(_ folder: String) -> [String] {
    let tests = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    return listFiles("/\(tests)/Interop/\(folder)").filter { $0.hasSuffix(".zone") }
}

@Suite("Interop zones")
struct InteropZonesTests {
    @Test("are there")
    func exist() {
        #expect(interopZones.count { $0.contains("/bad-zones/") } >= 40)
        #expect(interopZones.count { $0.contains("/good-zones/") } >= 4)
    }

    /// One finding, as a zone's comment states it.
    private struct Expected: Hashable {
        var line: Int
        var severity: String
        var says: String
    }

    @Test("have the findings that stand beside their lines, and no others", arguments: interopZones)
    func findings(path: String) throws {
        let octets = try readFile(path: path, limit: 1 << 20)
        let text = String(decoding: octets, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let apex = try Name(try #require(lines.first).dropFirst("; zone ".count), origin: .root)
        var expected: [Expected] = []
        for (index, line) in lines.enumerated() {
            guard let comment = line.firstIndex(of: ";").map({ line[$0...].dropFirst(2) }) else {
                continue
            }
            let isFile = comment.hasPrefix("file ")
            let finding = (isFile ? comment.dropFirst(5) : comment).split(
                separator: ": ", maxSplits: 1)
            guard finding.count == 2, ["error", "warning"].contains(finding[0]) else { continue }
            expected.append(
                Expected(
                    line: isFile ? 0 : index + 1, severity: String(finding[0]),
                    says: String(finding[1])))
        }
        var diagnostics = Diagnostics()
        let source = readMasterFile(
            octets, file: "bad.zone", apex: apex,
            include: { (_) throws(FileError) in [] }, diagnostics: &diagnostics)
        _ = ZoneSet([source], diagnostics: &diagnostics)
        let found = diagnostics.sorted
        #expect(found.count == expected.count, "\(found)")
        for finding in expected {
            #expect(
                found.contains {
                    $0.position.line == finding.line && $0.severity.rawValue == finding.severity
                        && $0.message.contains(finding.says)
                }, "\(finding) not among \(found)")
        }
    }
}
