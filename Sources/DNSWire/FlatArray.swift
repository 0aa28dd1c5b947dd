// Flat rows in memory of their own, for the tables that a query walks: one allocation, no reference
// counting at any access, indexes checked.

/// An immutable array of trivial rows that owns its memory and is never copied.
///
/// An `Array` held by a class costs a retain where the optimizer can't prove it alive; this doesn't.
@safe
public struct FlatArray<Element: BitwiseCopyable & Sendable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let base: UnsafeMutablePointer<Element>
    public let count: Int

    /// Rows begin at a cache line's start, so that none of 8, 16, 32 or 64 octets lies across two.
    private static var alignment: Int { 64 }

    public init(_ elements: [Element]) {
        count = elements.count
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: max(count, 1) * MemoryLayout<Element>.stride,
            alignment: max(Self.alignment, MemoryLayout<Element>.alignment))
        // Safe: the memory was just allocated for `count` elements, aligned for them.
        unsafe base = raw.bindMemory(to: Element.self, capacity: count)
        // Safe: as many elements are copied as memory was made for.
        unsafe elements.withUnsafeBufferPointer { source in
            if let first = source.baseAddress {
                unsafe base.initialize(from: first, count: source.count)
            }
        }
    }

    deinit {
        // Safe: elements are trivial; nothing else keeps the pointer.
        unsafe UnsafeMutableRawPointer(base).deallocate()
    }

    @inlinable
    public subscript(index: Int) -> Element {
        precondition(
            UInt(bitPattern: index) < UInt(bitPattern: count), "a row lies in its table")
        // Safe: the index was checked on the line above.
        return unsafe base[index]
    }

    @inlinable
    public subscript(index: Int32) -> Element { self[Int(index)] }

    /// All rows, for a class that holds the array and hands out views that borrow the class.
    ///
    /// A span can't be taken from a noncopyable field of a class otherwise (Swift 6.3). Unsafe: the
    /// caller ties the view to the owner's lifetime.
    @unsafe
    @inlinable
    public var unboundSpan: Span<Element> {
        @_lifetime(immortal)
        get {
            // Safe for as long as the owner lives: the memory holds `count` elements.
            unsafe _overrideLifetime(Span(_unsafeStart: base, count: count), copying: ())
        }
    }

    /// All rows.
    @inlinable
    public var span: Span<Element> {
        @_lifetime(borrow self)
        get {
            // Safe: the memory holds `count` elements and lives as long as `self`.
            unsafe _overrideLifetime(Span(_unsafeStart: base, count: count), borrowing: self)
        }
    }
}
