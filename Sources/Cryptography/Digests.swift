// Digests and texts that protocols of probes want, by OpenSSL.

internal import COpenSSL

/// Returns the 20 octets of a SHA-1 digest: for protocols that use it as a checksum, never for
/// security.
public func sha1(_ octets: [UInt8]) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: Int(SHA_DIGEST_LENGTH)) { buffer, count in
        // Safe: it reads the octets, and writes 20 into a buffer of 20.
        let digest = unsafe SHA1(octets, octets.count, buffer.baseAddress)
        count = unsafe digest == nil ? 0 : Int(SHA_DIGEST_LENGTH)
    }
}

/// Returns octets as base64 with padding (RFC 4648, section 4).
public func base64(_ octets: [UInt8]) -> String {
    precondition(octets.count <= 1 << 20, "short texts only")
    let room = (octets.count + 2) / 3 * 4 + 1
    let text = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        // Safe: four for three octets begun, and a final zero, fit; it returns the former.
        count = unsafe Int(EVP_EncodeBlock(buffer.baseAddress, octets, Int32(octets.count)))
    }
    return String(decoding: text, as: UTF8.self)
}
