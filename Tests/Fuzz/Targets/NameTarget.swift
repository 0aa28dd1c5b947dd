// Names: an octet for the length of the first part, then two parts, each read as text and as wire
// octets. `Name` and `NameBuffer`, which share no code, have to agree.

import DNSWire

extension FuzzTarget {
    static let name = FuzzTarget(name: "name", maximumLength: 1_100) {
        { octets in
            var input = FuzzInput(octets)
            let first = input.octets(Int(input.octet()))
            let second = Array(input.rest)
            var names: [Name] = []
            for part in [first, second] {
                if let fault = textFault(part) ?? wireFault(part) { return fault }
                if let name = Name(wire: part) { names.append(name) }
                if let wire = try? Name.wire(of: part, origin: .root) {
                    names.append(Name(uncheckedWire: wire))
                }
            }
            guard let one = names.first, let other = names.last else { return nil }
            if let fault = pairFault(one, other) ?? pairFault(other, one) {
                return "\(one) and \(other): \(fault)"
            }
            return nil
        }
    }
}

/// Text to wire to text to wire.
private func textFault(_ text: [UInt8]) -> String? {
    guard let wire = try? Name.wire(of: text, origin: .root) else { return nil }
    guard Name(wire: wire) != nil else { return "the wire octets of a text are no name" }
    let again = Name.presentation(ofWire: wire)
    guard (try? Name.wire(of: again.utf8, origin: nil)) == wire else {
        return "\(again) is not read back"
    }
    return wireFault(wire)
}

/// `Name` against `NameBuffer`.
private func wireFault(_ wire: [UInt8]) -> String? {
    var buffer = NameBuffer()
    let length = buffer.load(wire.span, at: 0)
    guard let name = Name(wire: wire) else {
        return length == wire.count ? "a buffer takes what is no name" : nil
    }
    guard length == wire.count, buffer.length == wire.count, buffer.equals(name),
        buffer.labelCount == name.labelCount, name.labels.count == name.labelCount
    else { return "the buffer reads \(name) otherwise" }
    guard (try? Name(name.description)) == name else { return "\(name) is not read back" }
    var suffix: Name? = name
    for labels in (0...name.labelCount).reversed() {
        guard let current = suffix else { return "\(name) has too few parents" }
        defer { suffix = current.parent }
        guard labels % (1 + name.labelCount / 8) == 0 else { continue }
        let start = buffer.start(ofSuffixWithLabels: labels)
        guard buffer.suffix(from: start, equals: current.wire.span, at: 0),
            buffer.hash(from: start)
                == wireHash(current.wire.span, from: 0, to: current.wire.count)
        else { return "the suffix of \(labels) labels of \(name) is another" }
        guard name.isSubdomain(of: current) else { return "\(name) is not below \(current)" }
    }
    return nil
}

/// Order, and a DNAME's work, on two names.
private func pairFault(_ one: Name, _ other: Name) -> String? {
    guard (one < other) != (other < one) || one == other else { return "neither is before" }
    guard !(one < one) else { return "before itself" }
    let labels = one.labels
    // Not after each of 127 labels, which would take most of the time.
    for kept in stride(from: 0, through: labels.count, by: 1 + labels.count / 8) {
        let wire = one.wire.prefix(labels.prefix(kept).reduce(0) { $0 + $1.count + 1 }) + other.wire
        var buffer = NameBuffer()
        guard buffer.load(one.wire.span, at: 0) != nil else { return "the first is not loaded" }
        let isDone = buffer.replaceSuffix(keeping: kept, with: other.wire.span, at: 0)
        guard isDone == (wire.count <= Name.maximumLength) else {
            return "\(wire.count) octets: \(isDone)"
        }
        let expected = isDone ? Name(uncheckedWire: wire) : one
        guard buffer.equals(expected), buffer.labelCount == expected.labelCount else {
            return "keeping \(kept) labels does not make \(expected)"
        }
        var start = 0
        for (index, label) in expected.labels.enumerated() {
            guard buffer.start(ofSuffixWithLabels: buffer.labelCount - index) == start else {
                return "a label begins elsewhere after keeping \(kept)"
            }
            start += label.count + 1
        }
    }
    return nil
}
