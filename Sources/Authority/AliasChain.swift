// Where a chain of CNAME and DNAME has been: kept by the responder while it follows one.

/// The way that a chain of aliases took, so that it does not run in circles or repeat a record.
struct AliasChain {
    /// Pointers to the owners' names in the message.
    private var owners = InlineArray<12, UInt16>(repeating: 0)
    private var rrsets = InlineArray<12, Int32>(repeating: -1)
    private var count = 0

    mutating func removeAll() { count = 0 }

    /// Adds an alias; whether its RRset was there before, as a wildcard's or a DNAME's may be.
    mutating func add(owner: UInt16, rrset: Int32) -> Bool {
        let isKnown = holds(rrset)
        // `aliasLimit` ends the chain before this is full.
        guard count < owners.count else { return isKnown }
        owners[count] = owner
        rrsets[count] = rrset
        count += 1
        return isKnown
    }

    /// Whether the chain went by an RRset.
    func holds(_ rrset: Int32) -> Bool {
        for index in 0..<count where rrsets[index] == rrset { return true }
        return false
    }

    func isNew(owner: UInt16) -> Bool {
        for index in 0..<count where owners[index] == owner { return false }
        return true
    }
}
