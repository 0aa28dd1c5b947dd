public enum NameLayout: UInt8, Sendable, BitwiseCopyable {
    case none, name, preferenceThenName, twoNamesThenFixed
}
