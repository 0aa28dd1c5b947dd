// Names in an answer: which ones the message holds already, and how a later one points at them
// (RFC 1035, section 4.1.4). Case counts for nothing in the comparison (RFC 4343).

extension MessageWriter {
    /// Makes the question's name and its suffixes known to compression.
    ///
    /// Of very many labels the name itself and the shortest suffixes, which others may share, so
    /// that room is left for the names that follow. Apart from `init` because the commonest answers
    /// compress nothing but the owner.
    @_lifetime(self: copy self)
    public mutating func registerQuestion(_ name: borrowing NameBuffer) {
        guard suffixCount == 0 else { return }
        let known = min(name.labelCount, Self.compressionLimit / 2)
        if known < name.labelCount { register(offset: 12, length: name.length) }
        for labels in stride(from: known, to: 0, by: -1) {
            let start = name.start(ofSuffixWithLabels: labels)
            register(offset: 12 + start, length: name.length - start)
        }
        wholeSuffixes = .max
    }

    /// The pointer to the name at octet `start` of `octets`, if the message holds it whole; nil if not.
    ///
    /// This and what it calls are `mutating` though they change nothing: Swift 6.3 copies the whole writer
    /// to the stack to lend it to a function that isn't.
    @_lifetime(self: copy self)
    mutating func pointer(to octets: Span<UInt8>, from start: Int, to end: Int) -> UInt16? {
        guard suffixLengthBits >> UInt64((end - start) & 63) & 1 != 0 else { return nil }
        for index in 0..<suffixCount where Int(suffixLengths[index]) == end - start {
            let offset = Int(suffixOffsets[index])
            let isHeld =
                wholeSuffixes >> UInt32(index) & 1 != 0
                ? holdsWhole(octets, from: start, count: end - start, atMessage: offset)
                : holds(octets, from: start, atMessage: offset)
            if isHeld { return 0xC000 | suffixOffsets[index] }
        }
        return nil
    }

    /// The pointer to the name in data at octet `source` of the zones; nil if it was not written, or too
    /// many were.
    @_lifetime(self: copy self)
    mutating func pointer(toData source: Int) -> UInt16? {
        for index in 0..<dataNameCount where Int(dataSources[index]) == source {
            return dataPointers[index]
        }
        return nil
    }

    /// Writes a name of a record's data, so that `pointer(toData:)` knows it.
    @_lifetime(self: copy self)
    mutating func putDataName(_ octets: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        guard putName(octets, from: start, to: end) else { return false }
        if dataNameCount < dataSources.count, lastName != 0 {
            dataSources[dataNameCount] = UInt32(truncatingIfNeeded: start)
            dataPointers[dataNameCount] = lastName
            dataNameCount += 1
        }
        return true
    }

    /// Writes a name with its longest known suffix as a pointer, and makes it `lastName`.
    ///
    /// Case counts for nothing in the comparison (RFC 1035, section 4.1.4; RFC 4343). False, with part
    /// of it written, if it doesn't fit: the caller rolls back.
    @_lifetime(self: copy self)
    mutating func putName(_ octets: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        let nameStart = length
        let firstSuffix = suffixCount
        lastName = nameStart < 0x4000 ? 0xC000 | UInt16(nameStart) : 0
        var position = start
        while position < end, octets[position] != 0 {
            if let known = pointer(to: octets, from: position, to: end) {
                guard length + 2 <= limit else { return false }
                if length == nameStart { lastName = known }
                putUInt16(known)
                return true
            }
            let labelLength = Int(octets[position]) + 1
            // One more octet for the root that may follow.
            guard length + labelLength + 1 <= limit, position + labelLength < end else {
                return false
            }
            register(offset: length, length: end - position)
            put(octets, from: position, count: labelLength)
            position += labelLength
        }
        guard length + 1 <= limit else { return false }
        putUInt8(0)
        for index in firstSuffix..<suffixCount { wholeSuffixes |= 1 << UInt32(index) }
        return true
    }

    /// Whether the message has at `offset` these octets of a name, in any case; what it has there is whole.
    ///
    /// Eight octets at a time: nearly all names compared are the question's suffixes.
    @_lifetime(self: copy self)
    private mutating func holdsWhole(
        _ octets: Span<UInt8>, from start: Int, count: Int, atMessage offset: Int
    ) -> Bool {
        guard count >= 8 else {
            for index in 0..<count
            where asciiLowercased(octet(at: offset + index))
                != asciiLowercased(octets[start + index])
            {
                return false
            }
            return true
        }
        var position = 0
        while position + 8 < count {
            guard isSame(word(at: offset + position), octets.uint64(at: start + position)) else {
                return false
            }
            position += 8
        }
        // The last eight, so that no octet is compared alone.
        return isSame(word(at: offset + count - 8), octets.uint64(at: start + count - 8))
    }

    /// Whether the message has at `offset` the name `octets[start...]`, pointers followed.
    @_lifetime(self: copy self)
    private mutating func holds(_ octets: Span<UInt8>, from start: Int, atMessage offset: Int)
        -> Bool
    {
        var mine = offset
        var theirs = start
        // Every pointer was written here and points backwards, so this ends.
        while true {
            let length = octet(at: mine)
            if length >= 0xC0 {
                mine = Int(length & 0x3F) << 8 | Int(octet(at: mine + 1))
                continue
            }
            guard length == octets[theirs] else { return false }
            if length == 0 { return true }
            for index in 1...Int(length)
            where asciiLowercased(octet(at: mine + index))
                != asciiLowercased(octets[theirs + index])
            {
                return false
            }
            mine += Int(length) + 1
            theirs += Int(length) + 1
        }
    }

    @_lifetime(self: copy self)
    private mutating func register(offset: Int, length: Int) {
        guard suffixCount < Self.compressionLimit, offset < 0x4000 else { return }
        suffixOffsets[suffixCount] = UInt16(truncatingIfNeeded: offset)
        suffixLengths[suffixCount] = UInt8(truncatingIfNeeded: length)
        suffixLengthBits |= 1 << UInt64(length & 63)
        wholeSuffixes &= ~(1 << UInt32(suffixCount))
        suffixCount += 1
    }

    @_lifetime(self: copy self)
    mutating func rollBack(to mark: Int) {
        length = mark
        // Some of them may be gone; comparing finds the others.
        dataNameCount = 0
        while suffixCount > 0, Int(suffixOffsets[suffixCount - 1]) >= mark { suffixCount -= 1 }
    }
}

/// Whether eight octets of two names are the same in any case; length octets have none.
@inline(__always)
private func isSame(_ a: UInt64, _ b: UInt64) -> Bool { a == b || lowercased(a) == lowercased(b) }
