// The binary tree of a MaxMind database, read where the file is mapped.
//
// libmaxminddb reads one node in some 20 ns and types each record; compiling visits ten million, so
// nodes are read here. Format: MaxMind DB File Format Specification 2.0, "Binary Search Tree Section".

/// The search tree section of an open database.
///
/// Safe to use while its `LocationDatabase` lives: `init` has the section's size checked, `children`
/// its argument.
@safe struct SearchTree: @unchecked Sendable {
    private let base: UnsafeRawPointer
    /// Records below this are nodes, equal to it mean "nothing known", above it point at data.
    let nodeCount: UInt32
    private let recordBits: Int
    /// The root of IPv6; nil in a database of IPv4 alone.
    let ipv6Root: UInt32?
    /// The root of IPv4: what `::/96` leads to, or the tree's own root.
    let ipv4Root: UInt32

    /// How many octets follow the tree before the data section, all zero.
    static let separatorLength = 16

    /// - Parameter section: the file from its start; the tree is its first part.
    ///
    /// Nil if the section is too short for its nodes, or the numbers are none that the format has.
    init?(section: UnsafeRawBufferPointer, nodeCount: UInt32, recordBits: Int, isIPv6: Bool) {
        guard [24, 28, 32].contains(recordBits), nodeCount > 0,
            Int(nodeCount) * (recordBits / 4) + Self.separatorLength <= section.count,
            let base = section.baseAddress
        else { return nil }
        unsafe self.base = base
        self.nodeCount = nodeCount
        self.recordBits = recordBits
        ipv6Root = isIPv6 ? 0 : nil
        var root: UInt32 = 0
        if isIPv6 {
            for _ in 0..<96 where root < nodeCount {
                root = unsafe Self.children(
                    base: base, node: Int(root), recordBits: recordBits
                ).left
            }
        }
        ipv4Root = root
    }

    /// The octets that the tree takes.
    var length: Int { Int(nodeCount) * (recordBits / 4) }

    /// The records of a node: where the next address bit 0 and 1 leads.
    @inline(__always)
    func children(of node: UInt32) -> (left: UInt32, right: UInt32) {
        precondition(node < nodeCount, "a record that is no node has no children")
        // Safe: the node is one of those whose memory `init` checked.
        return unsafe Self.children(base: base, node: Int(node), recordBits: recordBits)
    }

    @inline(__always)
    private static func children(
        base: UnsafeRawPointer, node: Int, recordBits: Int
    ) -> (left: UInt32, right: UInt32) {
        // Safe: nodes have 6 to 8 octets and the separator's 16 follow the last.
        let octets = unsafe base.loadUnaligned(
            fromByteOffset: node &* (recordBits / 4), as: UInt64.self)
        let word = UInt64(bigEndian: octets)
        switch recordBits {
        case 24:
            return (
                UInt32(truncatingIfNeeded: word >> 40),
                UInt32(truncatingIfNeeded: word >> 16) & 0xFF_FFFF
            )
        case 28:
            // The middle octet holds the high four bits of both.
            let middle = UInt32(truncatingIfNeeded: word >> 32) & 0xFF
            return (
                UInt32(truncatingIfNeeded: word >> 40) | (middle & 0xF0) << 20,
                UInt32(truncatingIfNeeded: word >> 8) & 0xFF_FFFF | (middle & 0x0F) << 24
            )
        default:
            return (UInt32(truncatingIfNeeded: word >> 32), UInt32(truncatingIfNeeded: word))
        }
    }
}
