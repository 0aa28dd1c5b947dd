// Names from the octets of a file, without strings on the way.

extension Name {
    /// A name from its presentation format, as `init(_:origin:)` of a text.
    public init(octets: ArraySlice<UInt8>, origin: Name?) throws(NameError) {
        self.init(uncheckedWire: try Self.wire(of: octets, origin: origin))
    }
}
