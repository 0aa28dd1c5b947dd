// Who is steered.

public import DNSWire

/// The client that a decision is for: the subnet of RFC 7871 if one is disclosed, else the resolver.
public struct Client: Sendable, BitwiseCopyable {
    /// The address, or the first one of a subnet.
    public var address: IPAddress
    /// How many bits of the address are known: fewer than the family has for a subnet.
    public var knownBits: UInt8
    /// Who asked; nil if that is the client itself, or not known.
    public var resolver: IPAddress?

    @inlinable
    public init(_ address: IPAddress) {
        self.address = address
        knownBits = address.family.rawValue
    }

    /// - Parameter knownBits: how many bits of the address a resolver disclosed.
    @inlinable
    public init(_ address: IPAddress, knownBits: UInt8, resolver: IPAddress) {
        self.address = address
        self.knownBits = knownBits
        self.resolver = resolver
    }

    /// - Parameter resolver: who disclosed the subnet; nil stands for one of the same place.
    @inlinable
    public init(_ subnet: IPNetwork, resolver: IPAddress? = nil) {
        address = subnet.address
        knownBits = UInt8(truncatingIfNeeded: subnet.length)
        self.resolver = resolver
    }
}
