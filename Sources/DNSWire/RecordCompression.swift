// Records whose data has names: written one by one, each name as short as the message lets it be.

extension MessageWriter {
    /// Writes the records of a block one by one, with the names in their data compressed.
    @_lifetime(self: copy self)
    mutating func appendRecords(
        _ octets: Span<UInt8>, from start: Int, to end: Int, _ layout: NameLayout, _ owner: UInt16
    ) -> Bool {
        var position = start
        while position < end {
            let next = position + 12 + Int(octets.uint16(at: position + 10))
            guard length + 2 <= limit else { return false }
            putUInt16(owner)
            guard appendFields(of: octets, from: position, to: next, layout) else { return false }
            position = next
        }
        return true
    }

    /// Writes the records of a block under a name that the message does not hold yet: whole for the
    /// first, and for all where it lies past the 14 bits that a pointer can say.
    @_lifetime(self: copy self)
    mutating func appendRecords(
        _ octets: Span<UInt8>, from start: Int, to end: Int, _ layout: NameLayout,
        _ name: Span<UInt8>, _ nameStart: Int, _ nameEnd: Int
    ) -> Bool {
        var position = start
        while position < end {
            let next = position + 12 + Int(octets.uint16(at: position + 10))
            guard putName(name, from: nameStart, to: nameEnd), case let owner = lastName,
                appendFields(of: octets, from: position, to: next, layout)
            else { return false }
            position = next
            if owner != 0 { return appendRecords(octets, from: next, to: end, layout, owner) }
        }
        return true
    }

    /// Writes all of a block's record that follows its owner.
    @_lifetime(self: copy self)
    private mutating func appendFields(
        of octets: Span<UInt8>, from start: Int, to end: Int, _ layout: NameLayout
    ) -> Bool {
        guard length + 10 <= limit else { return false }
        put(octets, from: start + 2, count: 10)
        let dataStart = length
        guard appendData(octets, from: start + 12, to: end, layout) else { return false }
        patchUInt16(UInt16(truncatingIfNeeded: length - dataStart), at: dataStart - 2)
        return true
    }

    /// Writes one record's data: fixed octets and names as the layout says.
    @_lifetime(self: copy self)
    private mutating func appendData(
        _ octets: Span<UInt8>, from start: Int, to end: Int, _ layout: NameLayout
    ) -> Bool {
        switch layout {
        case .none, .automaticHints:
            guard length + end - start <= limit else { return false }
            put(octets, from: start, count: end - start)
            return true
        case .name:
            return putDataName(octets, from: start, to: end)
        case .preferenceThenName:
            guard length + 2 <= limit else { return false }
            put(octets, from: start, count: 2)
            return putDataName(octets, from: start + 2, to: end)
        case .twoNamesThenFixed:
            let first = nameEnd(octets, from: start)
            let second = nameEnd(octets, from: first)
            guard putName(octets, from: start, to: first),
                putName(octets, from: first, to: second),
                length + end - second <= limit
            else { return false }
            put(octets, from: second, count: end - second)
            return true
        }
    }

    func nameEnd(_ octets: Span<UInt8>, from start: Int) -> Int {
        var position = start
        while octets[position] != 0 { position += Int(octets[position]) + 1 }
        return position + 1
    }
}
