// Between our addresses and the kernel's: the only place that knows the layout of a sockaddr.

import CLinux
import DNSWire
import Glibc

extension ListenAddress {
    /// The kernel's form of this address, with its length in octets.
    var kernelForm: (storage: sockaddr_storage, length: socklen_t) {
        var storage = sockaddr_storage()
        let port = port.bigEndian
        let address = address
        if address.family == .ipv4 {
            var inner = sockaddr_in()
            inner.sin_family = sa_family_t(AF_INET)
            inner.sin_port = port
            inner.sin_addr.s_addr = address.ipv4Bits.bigEndian
            // Safe: sockaddr_storage has the room and alignment for any socket address.
            unsafe withUnsafeMutableBytes(of: &storage) {
                unsafe $0.storeBytes(of: inner, as: sockaddr_in.self)
            }
            return (storage, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
        var inner = sockaddr_in6()
        inner.sin6_family = sa_family_t(AF_INET6)
        inner.sin6_port = port
        // Safe: sin6_addr is 16 octets, sockaddr_storage has the room for any socket address.
        unsafe withUnsafeMutableBytes(of: &inner.sin6_addr) {
            unsafe $0.storeBytes(of: address.high.bigEndian, as: UInt64.self)
            unsafe $0.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        unsafe withUnsafeMutableBytes(of: &storage) {
            unsafe $0.storeBytes(of: inner, as: sockaddr_in6.self)
        }
        return (storage, socklen_t(MemoryLayout<sockaddr_in6>.size))
    }

    /// Reads the address and port that the kernel wrote; nil for any other family.
    @inline(__always)
    init?(kernelForm storage: UnsafePointer<sockaddr_storage>) {
        // Safe: sockaddr_storage has the size and alignment of each family's form; its family says
        // which one the kernel wrote.
        let raw = unsafe UnsafeRawPointer(storage)
        switch Int32(unsafe storage.pointee.ss_family) {
        case AF_INET:
            let inner = unsafe raw.load(as: sockaddr_in.self)
            self.init(
                address: IPAddress(ipv4: UInt32(bigEndian: inner.sin_addr.s_addr)),
                port: UInt16(bigEndian: inner.sin_port))
        case AF_INET6:
            let port = unsafe raw.load(as: sockaddr_in6.self).sin6_port
            // sin6_addr follows family, port and flow information, after 8 octets.
            let high = unsafe raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            let low = unsafe raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
            self.init(
                address: IPAddress(
                    family: .ipv6, high: UInt64(bigEndian: high), low: UInt64(bigEndian: low)),
                port: UInt16(bigEndian: port))
        default:
            return nil
        }
    }
}
