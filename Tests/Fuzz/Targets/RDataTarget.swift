// Record data: two octets for the type, then the data, taken as wire octets and as text.

import DNSWire
import Settings

@testable import Zones

extension FuzzTarget {
    static let rdata = FuzzTarget(name: "rdata", maximumLength: 2_048) {
        { octets in
            var input = FuzzInput(octets)
            let type = RecordType(input.word())
            let data = Array(input.rest)
            if type.isValid(rdata: data[...]), let fault = rdataFault(data, of: type) {
                return "wire: \(fault)"
            }
            // What is not well formed has a text too, and its names lie inside it.
            _ = type.presentation(of: data[...])
            for name in type.embeddedNames(in: data[...])
            where name.offset + name.length > data.count {
                return "a name outside of the data"
            }
            guard let wire = readRData(data, of: type) else { return nil }
            guard type.isValid(rdata: wire[...]) else {
                return "text became data that is not valid"
            }
            return rdataFault(wire, of: type).map { "text: \($0)" }
        }
    }
}

/// Valid data has a text, which reads back as equal octets.
private func rdataFault(_ wire: [UInt8], of type: RecordType) -> String? {
    let text = type.presentation(of: wire[...])
    guard readRData(Array(text.utf8), of: type) == wire else {
        return "\(type) \(text) is not read back"
    }
    return nil
}

/// Reads the first line as a master file's words are read.
private func readRData(_ text: [UInt8], of type: RecordType) -> [UInt8]? {
    var diagnostics = Diagnostics()
    var scanner = MasterFileScanner(text, file: "")
    guard scanner.readEntry(&diagnostics), !diagnostics.hasErrors else {
        // Data of no octets has no words.
        return text.isEmpty ? try? type.rdata(from: [], origin: .root) : nil
    }
    return try? type.rdata(from: scanner.words[...], origin: .root)
}
